"""What `som` says, in Kyrgyz, Russian and English.

One rule: data is never translated, only words: names in ``--json`` are the same in every language.
"""

from typing import Final, NamedTuple

from node.ledger.errors import LANGUAGES, Language


class Words(NamedTuple):
    """One text in each language, in the order of LANGUAGES."""

    ky: str
    ru: str
    en: str


TEXTS: Final[dict[str, Words]] = {
    "network": Words("Тармак", "Сеть", "Network"),
    "genesis": Words("Генезис", "Генезис", "Genesis"),
    "height": Words("Бийиктик", "Высота", "Height"),
    "block": Words("Блок", "Блок", "Block"),
    "block_time": Words("Блоктун убактысы", "Время блока", "Block time"),
    "view": Words("Көрүнүш", "Вид", "View"),
    "leader": Words("Лидер", "Лидер", "Leader"),
    "validators": Words("Валидаторлор", "Валидаторы", "Validators"),
    "validator": Words("Валидатор", "Валидатор", "Validator"),
    "weight": Words("Салмагы", "Вес", "Weight"),
    "address": Words("Дареги", "Адрес", "Address"),
    "epoch": Words("Доор", "Эпоха", "Epoch"),
    "until_height": Words("акыркы бийиктиги", "последняя высота", "its last height"),
    "next_key": Words("Кийинки ачкыч", "Следующий ключ", "Next key"),
    "validates": Words("валидациялайт", "валидирует", "validates"),
    "from_next_epoch": Words("кийинки доордон", "со следующей эпохи", "from the next epoch"),
    "awaits_ready": Words("даярдыгы күтүлүүдө", "ждём готовности", "must prove ready"),
    "leaving": Words("доордун аягына чейин", "до конца эпохи", "until the epoch ends"),
    "new_needs_keys": Words(
        "Жаңы валидаторго --consensus-key жана --node-key керек",
        "Новому валидатору нужны --consensus-key и --node-key",
        "A new validator needs --consensus-key and --node-key",
    ),
    "no_such_validator": Words("мындай валидатор жок", "такого валидатора нет", "there is no such validator"),
    "peers": Words("Туташкан түйүндөр", "Подключённые узлы", "Connected peers"),
    "waiting": Words("Кезекте", "В очереди", "Waiting"),
    "ready": Words("Даяр", "Готов", "Ready"),
    "yes": Words("ооба", "да", "yes"),
    "no": Words("жок", "нет", "no"),
    "voted": Words("Добуш берди", "Голос подан", "Voted"),
    "awaited": Words("Күтүлүүдө", "Ожидается", "Awaited"),
    "supply": Words("Жүгүртүүдө", "В обращении", "Supply"),
    "account": Words("Эсеп", "Счёт", "Account"),
    "kind": Words("Түрү", "Вид", "Kind"),
    "tier": Words("Деңгээл", "Уровень", "Tier"),
    "flags": Words("Белгилер", "Признаки", "Flags"),
    "bank": Words("Банк", "Банк", "Bank"),
    "keys": Words("Ачкычтар", "Ключи", "Keys"),
    "id": Words("Белгиси", "Идентификатор", "Id"),
    "key": Words("Ачкыч", "Ключ", "Key"),
    "name": Words("Аты", "Имя", "Name"),
    "use": Words("Колдонуу", "Назначение", "Use"),
    "balance": Words("Калдык", "Остаток", "Balance"),
    "held": Words("Кармалган", "Удержано", "Held"),
    "available": Words("Жеткиликтүү", "Доступно", "Available"),
    "entries": Words("Жазуулар", "Записей", "Entries"),
    "time": Words("Убакыт", "Время", "Time"),
    "amount": Words("Сумма", "Сумма", "Amount"),
    "other": Words("Экинчи тарап", "Контрагент", "Other side"),
    "ref": Words("Шилтеме", "Назначение", "Reference"),
    "transaction": Words("Транзакция", "Транзакция", "Transaction"),
    "status": Words("Абалы", "Состояние", "Status"),
    "code": Words("Код", "Код", "Code"),
    "expires": Words("Мөөнөтү", "Действует до", "Expires"),
    "skipped": Words("Өткөрүлгөн", "Пропущено", "Skipped"),
    "payments": Words("Төлөмдөр", "Платежи", "Payments"),
    "total": Words("Жалпы", "Итого", "Total"),
    "file": Words("Файл", "Файл", "File"),
    "path": Words("Жолу", "Путь", "Path"),
    "unknown": Words("белгисиз", "неизвестно", "unknown"),
    "pending": Words("күтүүдө", "в обработке", "pending"),
    "applied": Words("аткарылды", "исполнено", "applied"),
    "failed": Words("аткарылган жок", "отклонено", "failed"),
    "expired": Words("мөөнөтү өттү", "срок истёк", "expired"),
    "refused": Words("кабыл алынган жок", "не принято", "refused"),
    "error": Words("Ката", "Ошибка", "Error"),
    "still_pending": Words(
        "Жыйынтык азырынча белгисиз: төлөм дагы эле аткарылышы мүмкүн. Кайра төлөбөңүз, күтүңүз:",
        "Итог пока неизвестен: платёж ещё может исполниться. Не платите заново, дождитесь:",
        "Not known yet: the payment may still apply. Do not pay again, wait:",
    ),
    "not_reachable": Words("Түйүн жооп берген жок", "Узел не отвечает", "No node answered"),
    "verified": Words(
        "Далил генезистен баштап текшерилди",
        "Доказательство проверено от генезиса",
        "The proof is verified from genesis",
    ),
    "bad_amount": Words(
        "сумма сом менен, эң көп эки ондук белги, мисалы 1250.50",
        "сумма в сомах, не более двух знаков после точки, например 1250.50",
        "an amount in som with at most two decimals, such as 1250.50",
    ),
    "bad_account": Words(
        "16 орундуу эсеп номери (текшерүү сандары менен) же белгилүү ат",
        "номер счёта из 16 цифр с верными контрольными или известное имя",
        "an account number of 16 digits whose check digits hold, or a known name",
    ),
    "bad_hex": Words("кичине тамгалуу он алтылык", "шестнадцатеричные строчные цифры", "lower-case hex"),
    "no_key": Words(
        "бул эсептин ачкычы жок; --key FILE бериңиз",
        "нет ключа этого счёта; укажите --key FILE",
        "no key of this account is known; give --key FILE",
    ),
    "passphrase": Words("Сырсөз", "Парольная фраза", "Passphrase"),
    "passphrase_again": Words("Сырсөздү кайталаңыз", "Повторите парольную фразу", "Repeat the passphrase"),
    "created": Words("Түзүлдү", "Создано", "Created"),
    "set_aside": Words("Сакталып коюлду", "Отложено", "Set aside"),
    "valid": Words("Туура", "Верно", "Valid"),
    "planned": Words(
        "Эч нерсе жөнөтүлгөн жок (--dry-run)", "Ничего не отправлено (--dry-run)", "Nothing was sent (--dry-run)"
    ),
    "paid": Words("Төлөндү", "Оплачено", "Paid"),
    "rejected": Words("Четке кагылды", "Отклонено", "Rejected"),
    "open": Words("Белгисиз", "Не решено", "Open"),
    "written": Words("Жазылды", "Записан", "Written"),
    "missing": Words("Кол тамга жетишсиз", "Не хватает подписей", "Signatures missing"),
    "key_of_none": Words(
        "бул ачкыч эч бир эсептики эмес", "ключ не принадлежит этим счетам", "the key is of none of these accounts"
    ),
    "other_network": Words("башка тармактын транзакциясы", "транзакция другой сети", "it is of another network"),
    "sign_this": Words("Кол коёсузбу?", "Подписать?", "Sign this?"),
    "not_signed": Words("Кол коюлган жок", "Не подписано", "Not signed"),
    "hold": Words("Кармоо", "Блокировка", "Hold"),
    "payer": Words("Төлөөчү", "Плательщик", "Payer"),
    "payee": Words("Алуучу", "Получатель", "Payee"),
    "settler": Words("Төлөй алат", "Исполняет", "Settled by"),
    "left": Words("Калганы", "Осталось", "Left"),
    "until": Words("Чейин", "До", "Until"),
    "condition": Words("Шарты", "Условия", "Condition"),
    "anybody": Words("сырды билген", "кто знает секрет", "who has the secret"),
    "settler_says": Words("төлөөчү айтат", "назовёт исполнитель", "whom the settler names"),
    "order": Words("Чечим", "Постановление", "Order"),
    "no_hold": Words("ачык кармоо жок", "открытой блокировки нет", "no such hold is open"),
    "asset": Words("Актив", "Актив", "Asset"),
    "issuer": Words("Эмитент", "Эмитент", "Issuer"),
    "max_supply": Words("Эң көп", "Предел эмиссии", "Most"),
    "backing": Words("Камсыздоо", "Обеспечение", "Backing"),
    "coverage": Words("Камсыздалышы", "Покрытие", "Coverage"),
    "attested": Words("Ырасталган", "Подтверждено", "Attested"),
    "history": Words("Тарыхы", "История", "History"),
    "basis": Words("Негизи", "Основание", "Basis"),
    "by": Words("Ким", "Кем", "By"),
    "no_such_asset": Words("мындай актив жок", "такого актива нет", "there is no such asset"),
    "attestation": Words("Ырастоо", "Подтверждение", "Attestation"),
    "schema": Words("Схема", "Схема", "Schema"),
    "subject": Words("Предмети", "Предмет", "Subject"),
    "value": Words("Мааниси", "Значение", "Value"),
    "as_of": Words("Абалы боюнча", "По состоянию на", "As of"),
    "evidence": Words("Документ", "Документ", "Document"),
    "replaces": Words("Алмаштырат", "Заменяет", "Replaces"),
    "current": Words("күчүндө", "действует", "in force"),
    "revoked": Words("кайтарылган", "отозвано", "revoked"),
    "authority": Words("Орган", "Орган", "Authority"),
    "number": Words("Номери", "Номер", "Number"),
    "act": Words("Иш", "Действие", "Act"),
    "target": Words("Эсеби", "Счёт", "Account"),
    "given": Words("Берилди", "Вынесено", "Given"),
    "standing": Words("Күчүндө", "Действует", "Standing"),
    "lifted": Words("жокко чыгарылган", "снято", "lifted"),
    "recovery": Words("Калыбына келтирүү", "Восстановление", "Recovery"),
    "ready_at": Words("Күчүнө кирет", "Вступят в силу", "In force from"),
    "cancelled": Words("Токтотулган", "Отменено", "Cancelled"),
    "opening": Words("Башталышы", "На начало", "Opening"),
    "credits": Words("Киреше", "Зачислено", "Credits"),
    "debits": Words("Чыгаша", "Списано", "Debits"),
    "day_open": Words(
        "Бул күн чынжырда али бүтө элек; --interim менен ушул убакытка чейинки көчүрмө жазылат",
        "Этот день в цепочке ещё не окончен; --interim запишет выписку на текущий момент",
        "This day has not ended on the chain yet; --interim writes what there is so far",
    ),
    "closing": Words("Акыры", "На конец", "Closing"),
    "parameter": Words("Параметр", "Параметр", "Parameter"),
    "no_such_parameter": Words("мындай параметр жок", "такого параметра нет", "there is no such parameter"),
    "receipt": Words("Дүмүрчөк", "Чек", "Receipt"),
    "bad_receipt": Words("чек туура эмес", "чек повреждён или не чек", "this is no receipt, or a damaged one"),
    "bad_time": Words(
        "2026-12-31T18:00 (Бишкек) же +24h, +30m, +7d",
        "2026-12-31T18:00 (Бишкек) или +24h, +30m, +7d",
        "2026-12-31T18:00 (Bishkek), or +24h, +30m, +7d",
    ),
    "sound": Words("Инварианттар сакталган", "Инварианты выполнены", "All invariants hold"),
    "devnet_only": Words(
        "бул ачкычтар ачык: devnet'тен башка тармакта колдонулбайт",
        "эти ключи общеизвестны: они годятся только для devnet",
        "these keys are public: they are used on a devnet only",
    ),
}

assert len(Words._fields) == len(LANGUAGES)


def say(name: str, language: Language) -> str:
    """Return the text; every name has all languages."""
    return str(getattr(TEXTS[name], language))
