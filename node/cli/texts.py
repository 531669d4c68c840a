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


class Translated(NamedTuple):
    """A text that stands in English in the code, in the other languages."""

    ky: str
    ru: str


TEXTS: Final[dict[str, Words]] = {
    "usage": Words("Колдонуу", "Вызов", "Usage"),
    "options": Words("Тандоолор", "Параметры", "Options"),
    "commands": Words("Буйруктар", "Команды", "Commands"),
    "network": Words("Тармак", "Сеть", "Network"),
    "genesis": Words("Генезис", "Генезис", "Genesis"),
    "height": Words("Бийиктик", "Высота", "Height"),
    "block": Words("Блок", "Блок", "Block"),
    "block_time": Words("Блоктун убактысы", "Время блока", "Block time"),
    "protocol_version": Words("Протоколдун версиясы", "Версия протокола", "Protocol version"),
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
    "connected": Words("Туташкан", "Связан", "Connected"),
    "since": Words("Качантан", "С какого времени", "Since"),
    "signed_blocks": Words("Кол койду", "Подписал", "Signed"),
    "led": Words("Жетектеди", "Возглавил", "Led"),
    "passed": Words("Блоксуз", "Без блока", "Without a block"),
    "waiting": Words("Кезекте", "В очереди", "Waiting"),
    "ready": Words("Даяр", "Готов", "Ready"),
    "yes": Words("ооба", "да", "yes"),
    "no": Words("жок", "нет", "no"),
    "voted": Words("Добуш берди", "Голос подан", "Voted"),
    "awaited": Words("Күтүлүүдө", "Ожидается", "Awaited"),
    "supply": Words("Жүгүртүүдө", "В обращении", "Supply"),
    "account": Words("Эсеп", "Счёт", "Account"),
    "kind": Words("Түрү", "Тип", "Kind"),
    "tier": Words("Деңгээл", "Уровень", "Tier"),
    "flags": Words("Белгилер", "Признаки", "Flags"),
    "bank": Words("Банк", "Банк", "Bank"),
    "keys": Words("Ачкычтар", "Ключи", "Keys"),
    "id": Words("Идентификатору", "Идентификатор", "Id"),
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
    "ref": Words("Шилтеме", "Референс", "Reference"),
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
    "new_passphrase": Words("Жаңы сырсөз:", "Новая парольная фраза:", "The new passphrase:"),
    "no_passphrase": Words("бул ачкычта сырсөз жок", "у этого ключа нет парольной фразы", "this key has no passphrase"),
    "changed": Words("Өзгөртүлдү", "Изменено", "Changed"),
    "seed": Words("Жашыруун ачкыч", "Секретный ключ", "Secret key"),
    "type_key": Words("Макул болсоңуз, териңиз", "Если да, наберите", "If so, type"),
    "not_confirmed": Words(
        "Ырасталган жок, эч нерсе жасалган жок", "Не подтверждено, ничего не сделано", "Not confirmed, nothing done"
    ),
    "export_consensus": Words(
        "Бул добуш берүү ачкычы. Иштеген экинчи көчүрмө эки жолу кол коёт, муну тармак далилдейт.",
        "Это ключ голосования. Вторая работающая копия подпишет дважды, и вся сеть это докажет.",
        "This is a voting key. A second copy that runs signs twice, and everybody can prove it.",
    ),
    "rebase": Words(
        "Бул ачкыч эмнеге кол койгонун эми эч нерсе эстебейт. Бул чектен төмөн ал эч нерсеге кол койбойт:",
        "О том, что подписал этот ключ, больше ничто не помнит. Ниже этой черты он не подпишет ничего:",
        "Nothing remembers any more what this key has signed. Below this line it will sign nothing:",
    ),
    "nothing_runs": Words(
        "Бул ачкыч менен эч жерде эч нерсе иштебейби?",
        "Нигде больше ничто не работает с этим ключом?",
        "Does nothing run with this key, here or anywhere?",
    ),
    "release": Words(
        "Бул ачкыч менен башка бирөө кол койгон. Ал табылып, токтотулдубу?",
        "Этим ключом подписал кто-то другой. Он найден и остановлен?",
        "Somebody else has signed with this key. Is it found, and stopped?",
    ),
    "not_suspended": Words("токтотулган эмес", "не приостановлен", "is not suspended"),
    "key_may_have_signed": Words(
        "бул ачкыч мурда кол койгон болушу мүмкүн, анын кароолу жок: жаңысы менен ал эки жолу кол коёр эле. "
        "Жаңы ачкычтарды жасаңыз, же `som signer rebase` (docs/operations.md, 6-бөлүм)",
        "этот ключ мог уже подписывать, а его стража нет: с новым он подписал бы дважды. "
        "Сделайте новые ключи, или `som signer rebase` (docs/operations.md, раздел 6)",
        "this key may have signed, and its guard is not here: with a new one it could sign twice. "
        "Make new keys, or `som signer rebase` (docs/operations.md, section 6)",
    ),
    "term_unknown": Words(
        "бул папка канча буйрук чыкканын билбейт. --height менен --term дагы керек (буйрук болбосо, 0), "
        "же --epoch: башка валидаторлордо `som validator list` көрсөткөн доордон кийинкиси",
        "эта папка не знает, сколько было указов. К --height нужен и --term (0, если указов не было), "
        "или --epoch: эпоха после той, что показывает `som validator list` других валидаторов",
        "this home does not know how many decrees there were. --height takes --term as well (0 if there was none), "
        "or say --epoch: the one after that which `som validator list` of other validators shows",
    ),
    "peers_not_in_genesis": Words(
        "Кийин кабыл алынганбы, же аты туура эмес жазылганбы? Кийин кабыл алынса, туура: аны чынжыр тааныйт",
        "Принят позже, или опечатка? Если принят позже, всё верно: его знает цепочка",
        "Admitted later, or misspelt? If it was admitted later all is well: the chain knows it",
    ),
    "epoch_not_over": Words(
        "ачкыч ушул доордо же кийин кол койгон болушу мүмкүн; андан кийинки доорду атаңыз",
        "ключ мог подписывать в этой эпохе или позже; назовите более позднюю",
        "the key may have signed in this epoch or later; name a later one",
    ),
    "signs_from": Words("Кол коёт", "Подписывает с", "Signs from"),
    "last_signed": Words("Акыркы кол коюлган", "Последняя подпись", "Last signed"),
    "suspended": Words("Токтотулган", "Приостановлен", "Suspended"),
    "runs": Words("Иштеп жатат", "Работает", "Runs"),
    "device": Words("Түзмөк", "Устройство", "Device"),
    "passphrase_again": Words("Сырсөздү кайталаңыз", "Повторите парольную фразу", "Repeat the passphrase"),
    "accounts": Words("Эсептер", "Счета", "Accounts"),
    "again": Words("Кайра аракет", "Новая попытка", "Another try"),
    "lag": Words("артта калуу", "отставание", "lag"),
    "transactions_a_second": Words("транзакция/с", "транзакций/с", "transactions/s"),
    "rows_a_second": Words("сап/с", "строк/с", "rows/s"),
    "records": Words(
        "Кармоолор, чечимдер, ырастоолор", "Удержания, постановления, подтверждения", "Holds, orders, attestations"
    ),
    "sums_equal": Words("Суммалар чынжырга дал келет", "Суммы равны суммам цепочки", "The sums equal the chain's"),
    "index_pruned": Words(
        "Түйүндөрдө бул бийиктиктер сакталган эмес: баарын сактаган түйүндү же архивден куруланын атаңыз",
        "Узлы не хранят этих высот: назовите узел, хранящий всё, или восстановленный из архива",
        "No node has kept these heights: name one that keeps all, or one made of an archive (som archive import)",
    ),
    "index_unknown": Words(
        "Индексатор муну билбейт, аны жаңыртыңыз",
        "Индексатор этого не знает: обновите его",
        "The indexer does not know this: update it",
    ),
    "index_incomplete": Words(
        "Базада сап жетишпейт, аны кимдир бирөө өзгөрткөн: индексти жаңыдан түзүңүз",
        "В базе не хватает строки, её кто-то изменил: создайте индекс заново",
        "The database lacks a row, somebody has changed it: make the index anew",
    ),
    "index_behind": Words(
        "Индекс артта калды: som index иштеп турганда кайра текшериңиз",
        "Индекс отстаёт: проверьте снова при работающем som index",
        "The index is behind the proof: verify while som index runs",
    ),
    "created": Words("Түзүлдү", "Создано", "Created"),
    "heights": Words("Бийиктиктер", "Высоты", "Heights"),
    "segments": Words("Бөлүктөр", "Части", "Segments"),
    "archived": Words("Архив жазылды", "Архив записан", "Archive written"),
    "archive_valid": Words("Архив чын", "Архив подлинный", "The archive is valid"),
    "set_aside": Words("Сакталып коюлду", "Отложено", "Set aside"),
    "valid": Words("Туура", "Верно", "Valid"),
    "planned": Words(
        "Эч нерсе жөнөтүлгөн жок (--dry-run)", "Ничего не отправлено (--dry-run)", "Nothing was sent (--dry-run)"
    ),
    "paid": Words("Төлөндү", "Оплачено", "Paid"),
    "rejected": Words("Четке кагылды", "Отклонено", "Rejected"),
    "open": Words("Белгисиз", "Не решено", "Open"),
    "record_damaged": Words(
        "Импорттун жазуусу бузулган: көчүрмөсүн ордуна коюңуз; ансыз четке кагылган төлөмдөр кайра аракет кылынат",
        "Запись об импорте повреждена: верните её из копии; без неё отклонённые платежи будут повторены",
        "The import record is damaged: put a copy of it back; without it what was refused is tried again",
    ),
    "not_utf8": Words("UTF-8 эмес байттар", "байты не в UTF-8", "bytes that are not UTF-8"),
    "unsent": Words("Жөнөтүлгөн жок", "Не отправлено", "Not sent"),
    "written": Words("Жазылды", "Записан", "Written"),
    "missing": Words("Кол тамга жетишсиз", "Не хватает подписей", "Signatures missing"),
    "key_of_none": Words(
        "бул ачкыч эч бир эсептики эмес", "ключ не принадлежит этим счетам", "the key is of none of these accounts"
    ),
    "other_network": Words("башка тармактын транзакциясы", "транзакция другой сети", "it is of another network"),
    "sign_this": Words("Кол коёсузбу?", "Подписать?", "Sign this?"),
    "not_signed": Words("Кол коюлган жок", "Не подписано", "Not signed"),
    "hold": Words("Кармоо", "Удержание", "Hold"),
    "payer": Words("Төлөөчү", "Плательщик", "Payer"),
    "payee": Words("Алуучу", "Получатель", "Payee"),
    "settler": Words("Аткарат", "Исполняет", "Settled by"),
    "left": Words("Калганы", "Осталось", "Left"),
    "until": Words("Чейин", "До", "Until"),
    "condition": Words("Шарты", "Условия", "Condition"),
    "anybody": Words("сырды билген", "кто знает секрет", "who has the secret"),
    "settler_says": Words("аткаруучу айтат", "назовёт исполнитель", "whom the settler names"),
    "order": Words("Чечим", "Постановление", "Order"),
    "no_hold": Words("ачык кармоо жок", "открытого удержания нет", "no such hold is open"),
    "asset": Words("Актив", "Актив", "Asset"),
    "issuer": Words("Эмитент", "Эмитент", "Issuer"),
    "max_supply": Words("Эң көп", "Предел эмиссии", "Most"),
    "backing": Words("Камсыздоо", "Обеспечение", "Backing"),
    "coverage": Words("Камсыздалышы", "Покрытие", "Coverage"),
    "attested": Words("Ырасталган", "Подтверждено", "Attested"),
    "history": Words("Тарыхы", "История", "History"),
    "basis": Words("Негизи", "Основание", "Basis"),
    "by": Words("Ким", "Кем", "By"),
    "units_of_asset": Words(
        "{asset}-активдин {units} майда бирдиги",
        "{units} минимальных единиц актива {asset}",
        "{units} minor units of asset {asset}",
    ),
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
    "looked_up": Words("Текшерилди", "Проверено", "Looked up"),
    "settled": Words("Аткарылды", "Исполнено", "Settled"),
    "no_such_payment": Words(
        "мындай төлөм жок: бул эсептен ал эсепке ушул шилтеме менен төлөнгөн эмес",
        "такого платежа нет: с этого счёта на тот с таким референсом не платили",
        "there is no such payment: that account has not paid this one under that reference",
    ),
    "returned_already": Words("бул төлөм кайтарылган", "этот платёж уже возвращён", "it was paid back before"),
    "day_open": Words(
        "Бул күн чынжырда али бүтө элек; --interim менен ушул убакытка чейинки көчүрмө жазылат",
        "Этот день в цепочке ещё не окончен; --interim запишет выписку на текущий момент",
        "This day has not ended on the chain yet; --interim writes what there is so far",
    ),
    "closing": Words("Акыры", "На конец", "Closing"),
    "parameter": Words("Параметр", "Параметр", "Parameter"),
    "no_such_parameter": Words("мындай параметр жок", "такого параметра нет", "there is no such parameter"),
    "provider": Words("Провайдер", "Провайдер", "Provider"),
    "category": Words("Категория", "Категория", "Category"),
    "static": Words("туруктуу", "статический", "static"),
    "dynamic": Words("бир жолку", "одноразовый", "dynamic"),
    "editable": Words("Сумманы өзгөртсө болот", "Сумму можно изменить", "Amount may be changed"),
    "link": Words("Интернет-шилтеме", "Ссылка", "Link"),
    "amount_needed": Words(
        "бул коддо сумма жок: --amount бериңиз",
        "в этом коде нет суммы: укажите --amount",
        "this code has no amount: give --amount",
    ),
    "amount_fixed": Words(
        "бул коддун суммасын өзгөртүүгө болбойт",
        "сумму этого кода изменить нельзя",
        "the amount of this code may not be changed",
    ),
    "other_provider": Words(
        "Бул башка провайдердин коду, алуучусу санарип сомдун эсеби эмес. Ошол провайдердин колдонмосу менен төлөңүз",
        "Это код другого провайдера, его получатель не счёт цифрового сома. Заплатите через приложение провайдера",
        "This is another provider's code: its payee is no account of the digital som. Pay it with that provider's app",
    ),
    "already_paid": Words(
        "Бул код боюнча ушул эсептен мурда төлөнгөн",
        "По этому коду с этого счёта уже заплачено",
        "This code was paid from this account before",
    ),
    "receipt": Words("Чек", "Чек", "Receipt"),
    "bad_receipt": Words(
        "бул чек эмес же бузулган", "это не чек, или он повреждён", "this is no receipt, or a damaged one"
    ),
    "bad_time": Words(
        "2026-12-31T18:00 (Бишкек) же +24h, +30m, +7d",
        "2026-12-31T18:00 (Бишкек) или +24h, +30m, +7d",
        "2026-12-31T18:00 (Bishkek), or +24h, +30m, +7d",
    ),
    "token_once": Words(
        "Бул токен бир гана жолу көрсөтүлөт: сактап коюңуз. Түйүндө анын хеши гана калат.",
        "Токен показан один раз: сохраните его. У узла остаётся только хеш.",
        "The token is shown once: keep it. The node has its hash only.",
    ),
    "no_such_token": Words("мындай токен жок", "такого токена нет", "there is no such token"),
    "allows": Words("Уруксаттары", "Разрешает", "Allows"),
    "allowed": Words("Уруксат", "Разрешено", "Allowed"),
    "per_second": Words("Секундасына чакыруу / төлөм", "Вызовов / платежей в секунду", "Calls / payments a second"),
    "audit_sound": Words(
        "Журнал бүтүн, кол тамгалары туура",
        "Журнал цел, подписи верны",
        "The log is whole and its signatures are valid",
    ),
    "audit_broken": Words("Журнал бузулган", "Журнал повреждён или изменён", "The log was damaged or changed"),
    "transactions": Words("Транзакциялар", "Транзакции", "Transactions"),
    "agrees": Words("Баары дал келет", "Всё совпадает", "All agrees"),
    "differs": Words("Айырма бар", "Есть различие", "Differs"),
    "sound": Words("Инварианттар сакталган", "Инварианты выполнены", "All invariants hold"),
    "drain_refused": Words(
        "Бул валидатор азыр токтотулбайт: ансыз кворум жок. Салмак; жок болгондор",
        "Этот валидатор сейчас останавливать нельзя: без него нет кворума. Вес; отсутствуют",
        "This validator must not be stopped now: without it there is no quorum. Weight; away",
    ),
    "drain_waits": Words(
        "Кардарлардын транзакциялары али аткарыла элек: токтотпоңуз, кайталаңыз",
        "Транзакции клиентов ещё не исполнены: не останавливайте, повторите",
        "Transactions of its clients are not executed yet: do not stop it, ask again",
    ),
    "drained": Words("Эми токтотсо болот", "Теперь можно останавливать", "Stop it now"),
    "drain_stops": Words("Токтоп жатат", "Останавливается", "It stops"),
    "drain_undone": Words("Кардарлар кайра кабыл алынат", "Клиенты снова принимаются", "Clients are taken again"),
    "other_genesis": Words("башка тармактын түйүнү", "узел другой сети", "a node of another network"),
    "bundle_private": Words(
        "Ачкычтар, сырсөздөр жана токендер кирген жок. Башкага берерден мурун карап чыгыңыз.",
        "Ключей, парольных фраз и токенов внутри нет. Просмотрите архив, прежде чем передать.",
        "No keys, passphrases or tokens are in it. Look through it before you give it away.",
    ),
    "term": Words("Мезгил", "Срок", "Term"),
    "decree": Words("Буйрук", "Указ", "Decree"),
    "base": Words("Чынжыр уланган блок", "Блок, с которого цепочка продолжается", "The chain goes on above"),
    "reason": Words("Себеби", "Причина", "Reason"),
    "signed_by_bank": Words("Улуттук банктын колдору", "Подписи Национального банка", "The central bank has signed"),
    "signed_by_validators": Words(
        "Калган валидаторлордун колдору", "Подписи оставшихся валидаторов", "Validators that are left have signed"
    ),
    "follows_decree": Words("Ушул буйрукка баш иет", "Следует указу", "Follows the decree"),
    "close_guard": Words(
        "Бул валидатор мындан ары мурдагы мезгилде эч качан добуш бербейт; артка жол жок.",
        "Этот валидатор больше никогда не проголосует в прежнем сроке; пути назад нет.",
        "This validator will never vote in the term before again; there is no way back.",
    ),
    "sign_decree": Words(
        "Бул мезгилдин башка буйругуна кол коюлбайт. Жогоруда көрсөтүлгөнгө кол коёсузбу?",
        "Другой указ этого срока уже не подписать. Подписать показанный выше?",
        "No other decree of this term can be signed after it. Sign what is shown above?",
    ),
    "report_whole": Words(
        "Өзү кол койгондун баары ушул жерде", "Здесь есть всё, что он подписывал", "All that it has signed is here"
    ),
    "reported_weight": Words(
        "Билдирген салмак / керектүү", "Доложивший вес / нужно", "Weight that has reported / needed"
    ),
    "whole_weight": Words("маалыматы толук / керектүү", "с полными данными / нужно", "with all its data / needed"),
    "not_blocked": Words(
        "ЭСКЕРТҮҮ: жоголду делген валидаторлор кайтып келсе, өз алдынча уланта алышат, анда эки чынжыр пайда болот.",
        "ВНИМАНИЕ: если валидаторы, считающиеся утраченными, вернутся, они смогут продолжить сами: цепочек станет две.",
        "WARNING: if validators that are said to be lost come back, they can go on alone: there would be two chains.",
    ),
    "not_certain": Words(
        "ЭСКЕРТҮҮ: ырасталган төлөмдөр жоголушу мүмкүн: алар жөнүндө билген эч ким калган эмес.",
        "ВНИМАНИЕ: подтверждённые платежи могут пропасть: не осталось никого, кто наверняка о них знает.",
        "WARNING: acknowledged payments may be lost: nobody is left who is sure to know of them.",
    ),
    "lost_block": Words(
        "ЭСКЕРТҮҮ: бул күбөлөндүрүлгөн блок эч кимде жок:",
        "ВНИМАНИЕ: этого заверенного блока нет ни у кого:",
        "WARNING: nobody has this certified block any more:",
    ),
    "plan_uncertain": Words(
        "Буйрук жазылган жок. Дагы билдирүүлөрдү табыңыз; мүмкүн болбосо, --may-lose менен кайталаңыз",
        "Указ не записан. Найдите ещё доклады; если их нет, повторите с --may-lose",
        "No decree was written. Find more reports; if there are none, do it again with --may-lose",
    ),
    "check_ok": Words("жакшы", "хорошо", "ok"),
    "check_warn": Words("көңүл буруңуз", "внимание", "warn"),
    "check_fail": Words("жараксыз", "плохо", "fail"),
    "batch_too_large": Words("таблица өтө чоң", "таблица слишком велика", "the table is too large"),
    "batch_not_utf8": Words("таблица UTF-8 эмес", "таблица не в UTF-8", "the table is not UTF-8"),
    "batch_no_table": Words("бул таблица эмес", "это не таблица", "this is no table"),
    "batch_columns": Words(
        "биринчи сап мамычаларды бирден атайт",
        "первая строка называет столбцы, каждый один раз",
        "the first line names the columns, each once",
    ),
    "batch_cells": Words("уячалардын саны туура эмес", "число ячеек не то", "the number of cells is wrong"),
    "batch_empty": Words("таблицада төлөм жок", "в таблице нет платежей", "there is no payment in the table"),
    "batch_ref": Words("шилтеме: 1–35 белги", "референс: от 1 до 35 знаков", "a reference of 1 to 35 characters"),
    "batch_ref_twice": Words(
        "бул шилтеме таблицада мурда болгон",
        "этот референс в таблице уже был",
        "the reference stood in the table before",
    ),
    "no_devnet": Words(
        "Бул жерде сыноо тармагы иштебейт: make devnet же som devnet up",
        "Здесь не работает тестовая сеть: make devnet или som devnet up",
        "No devnet runs here: make devnet, or som devnet up",
    ),
    "devnet_ended": Words("Сыноо тармагы токтоду", "Тестовая сеть остановлена", "The devnet has ended"),
    "runs_now": Words("иштеп жатат", "работает", "runs"),
    "not_ready": Words("даяр эмес", "не готов", "not ready"),
    "dead": Words("өчүк", "выключен", "dead"),
    "cut_off": Words("бөлүнгөн", "отрезан", "cut off"),
    "sent": Words("Жөнөтүлдү", "Отправлено", "Sent"),
    "accepted": Words("Кабыл алынды", "Принято", "Accepted"),
    "a_second": Words("секундасына", "в секунду", "a second"),
    "ms": Words("мс", "мс", "ms"),
    "not_final": Words("Түпкүлүктүү эмес", "Не окончательно", "Not final"),
    "not_answered": Words("Жооп жок", "Без ответа", "Not answered"),
    "load_not_whole": Words(
        "Баары эле аткарылган жок",
        "Исполнено не всё",
        "Not all of it was applied",
    ),
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
