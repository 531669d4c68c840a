"""What `som ... --help` says of money in detail, in Kyrgyz and in Russian: options and second paragraphs.

One rule: as in help_texts.py, which puts all of it together: the English text is the key.
"""

from typing import Final

from node.cli.texts import Translated

HELP_OF_MONEY: Final[dict[str, Translated]] = {
    # account
    "Verify the answer from this genesis: no node needs to be believed.": Translated(
        "Жоопту ушул генезистен текшерүү: эч бир түйүнгө ишенүүнүн кереги жок.",
        "Проверить ответ от этого генезиса: верить узлу не нужно.",
    ),
    "Go on where the last page ended.": Translated(
        "Мурунку барак бүткөн жерден улантуу.",
        "Продолжить там, где кончилась прошлая страница.",
    ),
    "The bank's four digits.": Translated(
        "Банктын төрт саны.",
        "Четыре цифры банка.",
    ),
    "Ten digits, given by the bank.": Translated(
        "Банк берген он сан.",
        "Десять цифр, которые даёт банк.",
    ),
    "The bank that opens it, and signs.": Translated(
        "Аны ачкан жана кол койгон банк.",
        "Банк, который его открывает и подписывает.",
    ),
    "A merchant's category code.": Translated(
        "Сатуучунун категория коду.",
        "Код категории продавца.",
    ),
    "Public key, hex, or a key file.": Translated(
        "Ачык ачкыч, он алтылык, же ачкыч файлы.",
        "Открытый ключ, шестнадцатеричный, или файл ключа.",
    ),
    "Keys that must sign.": Translated(
        "Кол коюуга тийиш ачкычтардын саны.",
        "Сколько ключей должны подписать.",
    ),
    "The person's number; only its keyed hash goes on the chain. Without a value it is asked for.": Translated(
        "Адамдын номери; чынжырга анын ачкычтуу хеши гана барат. Мааниси жазылбаса суралат.",
        "Номер человека; в цепочку идёт только его хеш с ключом. Без значения будет спрошен.",
    ),
    "The bank's secret for the hash.": Translated(
        "Банктын хеш үчүн сыры.",
        "Секрет банка для хеша.",
    ),
    "The 32 bytes themselves, in place of --identity.": Translated(
        "--identity ордуна 32 байттын өзү.",
        "Сами 32 байта вместо --identity.",
    ),
    "Key file that signs; several for accounts that need more than one signature.": Translated(
        "Кол коё турган ачкыч файлы; бирден көп кол керек болсо бир нечеси.",
        "Файл ключа, который подписывает; несколько, если подписей нужно больше одной.",
    ),
    "Read the passphrase of the key files here instead of asking.": Translated(
        "Ачкыч файлдарынын сырсөзүн сурабай, ушул файлдан окуу.",
        "Читать парольную фразу файлов ключей здесь, не спрашивая.",
    ),
    "An account that agrees, and signs too: a second authority.": Translated(
        "Макул болуп, кошо кол койгон эсеп: экинчи орган.",
        "Счёт, который соглашается и тоже подписывает: второй орган.",
    ),
    "Send nothing: write a file that others sign (som tx sign) and one sends (som tx submit).": Translated(
        "Эч нерсе жөнөтпөө: башкалар кол коё турган (som tx sign), кийин жөнөтүлө турган (som tx submit) файлды жазуу.",
        "Ничего не отправлять: записать файл, который подпишут другие (som tx sign) и кто-то отправит (som tx submit).",
    ),
    "How long it may wait for signatures and a block: less than 10 for people, than 4320 for institutions.": Translated(
        "Кол тамгаларды жана блокту канча күтө алат: адамдар үчүн 10дон, мекемелер үчүн 4320дан аз.",
        "Сколько может ждать подписей и блока: для людей меньше 10, для учреждений меньше 4320.",
    ),
    "The account's record, under a root that a quorum of validators certified, has the number of its "
    "entries and the head of their chain. (som account history shows pages, unproven.)": Translated(
        "Эсептин жазуусу валидаторлордун кворуму ырастаган тамырдын астында турат: анда жазуулардын саны жана "
        "чынжырынын башы бар. (som account history барактарды далилсиз көрсөтөт.)",
        "Запись счёта под корнем, который заверил кворум валидаторов, содержит число строк и голову их цепочки. "
        "(som account history показывает страницы без доказательства.)",
    ),
    "Your own copy of the network's genesis: from there on everything is proven.": Translated(
        "Тармактын генезисинин өз көчүрмөңүз: андан ары баары далилденет.",
        "Ваша копия генезиса сети: от неё всё доказано.",
    ),
    "The account's bank, which signs.": Translated(
        "Эсептин банкы, ал кол коёт.",
        "Банк счёта, он подписывает.",
    ),
    "New key: hex or a key file.": Translated(
        "Жаңы ачкыч: он алтылык же ачкыч файлы.",
        "Новый ключ: шестнадцатеричный или файл ключа.",
    ),
    "The new bank, which signs too.": Translated(
        "Жаңы банк, ал да кол коёт.",
        "Новый банк, он тоже подписывает.",
    ),
    # hold
    "Hold AMOUNT: som hold make --from alice --by device --until +24h --revocable 200": Translated(
        "AMOUNT кармоо: som hold make --from alice --by device --until +24h --revocable 200",
        "Удержать AMOUNT: som hold make --from alice --by device --until +24h --revocable 200",
    ),
    "Who may pay from it; without, who has the secret.": Translated(
        "Андан ким төлөй алат; жазылбаса — сырды билген.",
        "Кто может из него платить; если не указан — тот, у кого секрет.",
    ),
    "Who is paid; without, whom the settler names.": Translated(
        "Кимге төлөнөт; жазылбаса — төлөөчү атаган адамга.",
        "Кому платят; если не указан — тому, кого назовёт исполнитель.",
    ),
    "When it ends: +24h, or 2026-12-31T18:00 in Bishkek.": Translated(
        "Качан бүтөт: +24h же Бишкек боюнча 2026-12-31T18:00.",
        "Когда кончается: +24h или 2026-12-31T18:00 по Бишкеку.",
    ),
    "What it is for, 35 bytes at most.": Translated(
        "Эмне үчүн, эң көп 35 байт.",
        "За что, не больше 35 байт.",
    ),
    "SHA-256 of a secret that the settler must show.": Translated(
        "Төлөөчү көрсөтө турган сырдын SHA-256 хеши.",
        "SHA-256 секрета, который должен показать исполнитель.",
    ),
    "The secret, 64 bytes at most, as they are.": Translated(
        "Сыр, эң көп 64 байт, кандай болсо ошондой.",
        "Секрет, не больше 64 байт, как есть.",
    ),
    "Only merchants of these.": Translated(
        "Ушул категориядагы сатуучулар гана.",
        "Только продавцы этих категорий.",
    ),
    "An attestation that must be valid.": Translated(
        "Күчүндө болууга тийиш ырастоо.",
        "Подтверждение, которое должно действовать.",
    ),
    "The payer may void it before its end.": Translated(
        "Төлөөчү мөөнөтүнө чейин жокко чыгара алат.",
        "Плательщик может отменить его до срока.",
    ),
    "Number or code of the asset.": Translated(
        "Активдин номери же коду.",
        "Номер или код актива.",
    ),
    "Pay AMOUNT from a hold.": Translated(
        "Кармоодон AMOUNT төлөө.",
        "Заплатить AMOUNT из удержания.",
    ),
    "Who may pay from it, and signs.": Translated(
        "Андан төлөй алган жана кол койгон эсеп.",
        "Кто может из него платить и подписывает.",
    ),
    "Who is paid, if the hold does not say.": Translated(
        "Кимге төлөнөт, эгер кармоо айтпаса.",
        "Кому платят, если удержание не говорит.",
    ),
    "Give the rest back.": Translated(
        "Калганын кайтаруу.",
        "Вернуть остаток.",
    ),
    "Give all that a hold has left back to its payer.": Translated(
        "Кармоодо калгандын баарын төлөөчүсүнө кайтаруу.",
        "Вернуть плательщику всё, что осталось в удержании.",
    ),
    "Its settler or payee; its payer if revocable.": Translated(
        "Аткаруучусу же алуучусу; кайтарылма болсо төлөөчүсү.",
        "Исполнитель или получатель; плательщик, если отзывное.",
    ),
    "List the open holds that an account made, may settle, or is to be paid from.": Translated(
        "Эсеп түзгөн, төлөй алган же ала турган ачык кармоолордун тизмеси.",
        "Перечислить открытые удержания, которые счёт создал, может исполнить или должен получить.",
    ),
    "Only of this asset; of a payer.": Translated(
        "Ушул актив гана; төлөөчү боюнча.",
        "Только этого актива; по плательщику.",
    ),
    "Show an open hold; with --genesis, proven.": Translated(
        "Ачык кармоону көрсөтүү; --genesis менен далилденген.",
        "Показать открытое удержание; с --genesis — с доказательством.",
    ),
    "Verify the answer from this genesis.": Translated(
        "Жоопту ушул генезистен текшерүү.",
        "Проверить ответ от этого генезиса.",
    ),
    # receipt
    "Pay AMOUNT som from HOLD without a network: prints the receipt for the merchant.": Translated(
        "HOLD кармоосунан тармаксыз AMOUNT сом төлөө: сатуучу үчүн чек басып чыгарат.",
        "Заплатить AMOUNT сомов из HOLD без сети: печатает чек для продавца.",
    ),
    "The purse, which may settle the hold.": Translated(
        "Кармоодон төлөй алган капчык.",
        "Кошелёк, который может исполнить удержание.",
    ),
    "The network's genesis; no node is asked.": Translated(
        "Тармактын генезиси; түйүн суралбайт.",
        "Генезис сети; узел не спрашивают.",
    ),
    "The purse's key file.": Translated(
        "Капчыктын ачкыч файлы.",
        "Файл ключа кошелька.",
    ),
    "Write the receipt here too.": Translated(
        "Чекти бул жерге да жазуу.",
        "Записать чек и сюда.",
    ),
    "Draw its QR code: FILE.svg or FILE.png. Without, in the terminal.": Translated(
        "QR кодун чийүү: FILE.svg же FILE.png. Жазылбаса терминалда.",
        "Нарисовать его QR-код: FILE.svg или FILE.png. Без файла — в терминале.",
    ),
    "Check a receipt without a network: its form, its network, its signatures. Whether the hold has so "
    "much, only the ledger knows.": Translated(
        "Чекти тармаксыз текшерүү: формасы, тармагы, кол тамгалары. Кармоодо ошончо акча барбы — китеп гана билет.",
        "Проверить чек без сети: форму, сеть, подписи. Есть ли столько в удержании, знает только книга.",
    ),
    "Draw its QR code: FILE.svg or FILE.png.": Translated(
        "QR кодун чийүү: FILE.svg же FILE.png.",
        "Нарисовать его QR-код: FILE.svg или FILE.png.",
    ),
    "Turn a receipt into money. Settling it again is harmless: the first result is shown.": Translated(
        "Чекти акчага айландыруу. Кайра жасоо зыянсыз: биринчи жыйынтык көрсөтүлөт.",
        "Превратить чек в деньги. Повтор безвреден: показывается первый результат.",
    ),
    # qr
    "What the payer is shown: 25 characters at most.": Translated(
        "Төлөөчүгө көрсөтүлгөн ат: эң көп 25 белги.",
        "Что видит плательщик: не больше 25 знаков.",
    ),
    "Without it the payer names the amount.": Translated(
        "Жазылбаса сумманы төлөөчү айтат.",
        "Без неё сумму называет плательщик.",
    ),
    "The payer may pay another amount.": Translated(
        "Төлөөчү башка сумма төлөй алат.",
        "Плательщик может заплатить другую сумму.",
    ),
    "For one payment only (a dynamic code); the payment's reference.": Translated(
        "Бир гана төлөм үчүн (бир жолку код); төлөмдүн шилтемеси.",
        "Только для одного платежа (динамический код); его референс.",
    ),
    "The merchant's category, four digits.": Translated(
        "Сатуучунун категориясы, төрт сан.",
        "Категория продавца, четыре цифры.",
    ),
    "Which app the link opens.": Translated(
        "Шилтеме кайсы колдонмону ачат.",
        "Какое приложение открывает ссылка.",
    ),
    "FILE.svg or FILE.png.": Translated(
        "FILE.svg же FILE.png файлы.",
        "Файл FILE.svg или FILE.png.",
    ),
    "Read the link of a code, of any provider, and check it. - reads standard input. Pictures are not "
    "read.": Translated(
        "Каалаган провайдердин кодунун шилтемесин окуп, текшерүү. - стандарттык киргизүүдөн окуйт. Сүрөт окулбайт.",
        "Прочитать ссылку кода любого провайдера и проверить её. - читает стандартный ввод. Картинки не читаются.",
    ),
    "Whose money it is; it signs.": Translated(
        "Акча кимдики; ал кол коёт.",
        "Чьи деньги; он подписывает.",
    ),
    "Where the code has none, or lets it be another.": Translated(
        "Кодо сумма жок же өзгөртүлсө болгондо.",
        "Если в коде её нет или он позволяет другую.",
    ),
    # asset
    "Register asset NUMBER under CODE: som asset register 4 GOLD --by registrar --issuer ...": Translated(
        "NUMBER активин CODE коду менен каттоо: som asset register 4 GOLD --by registrar --issuer ...",
        "Зарегистрировать актив NUMBER под кодом CODE: som asset register 4 GOLD --by registrar --issuer ...",
    ),
    "Who keeps the register, and signs.": Translated(
        "Реестрди ким жүргүзөт; ал кол коёт.",
        "Кто ведёт реестр и подписывает.",
    ),
    "The issuer's account, without money.": Translated(
        "Эмитенттин акчасыз эсеби.",
        "Счёт эмитента, без денег.",
    ),
    "Decimal places.": Translated(
        "Ондук белгилердин саны.",
        "Число знаков после точки.",
    ),
    "The most that may be issued.": Translated(
        "Эң көп канча чыгарса болот.",
        "Сколько можно выпустить самое большее.",
    ),
    "Backed one to one by money on this reserve account,": Translated(
        "Ушул резерв эсебиндеги акча менен бирге-бир камсыздалган,",
        "Обеспечен один к одному деньгами на этом резервном счёте,",
    ),
    "of this asset.": Translated(
        "ушул активден.",
        "этого актива.",
    ),
    "Backed by what is attested under this schema, with the code as its subject.": Translated(
        "Ушул схема боюнча ырасталган менен камсыздалган; предмети — активдин коду.",
        "Обеспечен тем, что подтверждено по этой схеме; предмет — код актива.",
    ),
    "Basis points of it.": Translated(
        "Анын базистик пункттары.",
        "Его базисные пункты.",
    ),
    "How old an attestation may be.": Translated(
        "Ырастоо канча эски болушу мүмкүн.",
        "Насколько старым может быть подтверждение.",
    ),
    "Who may be issued to: bank,treasury": Translated(
        "Кимге чыгарса болот: bank,treasury",
        "Кому можно выпускать: bank,treasury",
    ),
    "The legal basis: a document, whose SHA-256 is kept, or that hash.": Translated(
        "Укуктук негизи: SHA-256 хеши сакталган документ же ошол хеш.",
        "Правовое основание: документ, SHA-256 которого хранится, или сам хеш.",
    ),
    "Suspend an asset, let it move again, or revoke it for ever. Holders can redeem all the same.": Translated(
        "Активди токтотуу, кайра жүргүзүү же биротоло жокко чыгаруу. Ээлери баары бир кайтара алышат.",
        "Приостановить актив, снова пустить его или отозвать навсегда. Владельцы погасить могут в любом случае.",
    ),
    "A registrar; of som the central bank.": Translated(
        "Реестр жүргүзүүчү; сом үчүн борбордук банк.",
        "Регистратор; для сома — центральный банк.",
    ),
    "List the register: status, supply, coverage.": Translated(
        "Реестрдин тизмеси: абалы, чыгарылганы, камсыздалышы.",
        "Перечислить реестр: состояние, выпуск, покрытие.",
    ),
    "Show an asset: what is issued, what covers it, and the last changes of its status.": Translated(
        "Активди көрсөтүү: эмне чыгарылган, эмне менен камсыздалган, абалынын акыркы өзгөрүүлөрү.",
        "Показать актив: что выпущено, чем покрыто и последние изменения его состояния.",
    ),
    # attest
    "Say that SUBJECT is VALUE, a whole number; of a reserve in minor units. What was said before is "
    "replaced.": Translated(
        "SUBJECT мааниси VALUE деп айтуу, бүтүн сан; резерв үчүн эң кичине бирдикте. Мурда айтылган алмашат.",
        "Сказать, что SUBJECT равен VALUE, целому числу; для резерва — в мельчайших единицах. Сказанное раньше "
        "заменяется.",
    ),
    "Whose word it is, and who signs.": Translated(
        "Кимдин сөзү; ал кол коёт.",
        "Чьё это слово; он подписывает.",
    ),
    "A document, whose hash is kept, or its SHA-256.": Translated(
        "Хеши сакталган документ же анын SHA-256 хеши.",
        "Документ, хеш которого хранится, или его SHA-256.",
    ),
    "When it was so; now unless said. 2026-12-31T18:00 in Bishkek.": Translated(
        "Качан ошондой болгон; айтылбаса азыр. Бишкек боюнча 2026-12-31T18:00.",
        "Когда это было так; если не сказано — сейчас. 2026-12-31T18:00 по Бишкеку.",
    ),
    "When it ends, if it does: +24h, or a time.": Translated(
        "Качан бүтөт, эгер бүтсө: +24h же убакыт.",
        "Когда кончается, если кончается: +24h или время.",
    ),
    "Take back the current attestation of that id; it stays to be read.": Translated(
        "Ушул идентификатордогу күчүндөгү ырастоону кайтарып алуу; окуу үчүн калат.",
        "Отозвать действующее подтверждение с этим идентификатором; прочесть его можно и дальше.",
    ),
    "List the current attestations of a schema; with SUBJECT all that it ever had.": Translated(
        "Схеманын күчүндөгү ырастоолорунун тизмеси; SUBJECT менен — болгондорунун баары.",
        "Перечислить действующие подтверждения схемы; с SUBJECT — все, что были.",
    ),
    "Show an attestation, in force or not.": Translated(
        "Ырастоону көрсөтүү, күчүндө болсо да, болбосо да.",
        "Показать подтверждение, действует оно или нет.",
    ),
    # order
    "Block payments from an account at once.": Translated(
        "Эсептен төлөөнү дароо токтотуу.",
        "Сразу запретить платежи со счёта.",
    ),
    "The authority, which signs.": Translated(
        "Кол койгон орган.",
        "Орган, который подписывает.",
    ),
    "The authority's own number of the order.": Translated(
        "Органдын чечимге берген өз номери.",
        "Собственный номер постановления этого органа.",
    ),
    "It may not be paid either.": Translated(
        "Ага төлөөгө да болбойт.",
        "Платить на него тоже нельзя.",
    ),
    "Lift a freeze by its number; the account is free when none stands.": Translated(
        "Бөгөттү номери боюнча алуу; бири да калбаса эсеп бошойт.",
        "Снять заморозку по её номеру; счёт свободен, когда не осталось ни одной.",
    ),
    "Hold AMOUNT of the free money of an account, without an end.": Translated(
        "Эсептин бош акчасынан AMOUNT мөөнөтсүз кармоо.",
        "Удержать AMOUNT из свободных денег счёта, без срока.",
    ),
    "Lift an arrest by its number.": Translated(
        "Камакты номери боюнча алуу.",
        "Снять арест по его номеру.",
    ),
    "Move AMOUNT from an account, out of its holds where it must.": Translated(
        "Эсептен AMOUNT өндүрүп алуу, керек болсо кармоолорунан да.",
        "Взыскать AMOUNT со счёта, если нужно — из его удержаний.",
    ),
    "An account of the state or of a bank.": Translated(
        "Мамлекеттин же банктын эсеби.",
        "Счёт государства или банка.",
    ),
    "How many orders each authority has given: public.": Translated(
        "Ар бир орган канча чечим берген: ачык маалымат.",
        "Сколько постановлений вынес каждый орган: открытые сведения.",
    ),
    "List orders. A node without open access wants a token with the scope orders, and --under-order.": Translated(
        "Чечимдердин тизмеси. Баарына ачык эмес түйүн orders укугу бар токенди жана --under-order талап кылат.",
        "Перечислить постановления. Узел не для всех требует токен с правом orders и --under-order.",
    ),
    "All orders of this authority.": Translated(
        "Ушул органдын бардык чечимдери.",
        "Все постановления этого органа.",
    ),
    "The orders that stand against this account.": Translated(
        "Ушул эсепке каршы күчүндөгү чечимдер.",
        "Постановления, которые действуют против этого счёта.",
    ),
    # param
    "List all parameters; validators have a list of their own (som validator list).": Translated(
        "Бардык параметрлердин тизмеси; валидаторлордун өз тизмеси бар (som validator list).",
        "Перечислить все параметры; у валидаторов свой список (som validator list).",
    ),
    "Set a parameter from the next block on: a number, or a JSON file with the whole table.": Translated(
        "Параметрди кийинки блоктон баштап коюу: сан же бүт таблицасы бар JSON файлы.",
        "Установить параметр со следующего блока: число или файл JSON со всей таблицей.",
    ),
    'The protocol version is in force from the next epoch on (docs/operations.md, "Upgrade").': Translated(
        'Протоколдун версиясы кийинки доордон баштап күчүнө кирет (docs/operations.md, "Upgrade").',
        'Версия протокола вступает в силу со следующей эпохи (docs/operations.md, "Upgrade").',
    ),
    "The central bank's account: 16 digits, or a devnet's name.": Translated(
        "Борбордук банктын эсеби: 16 сан же сыноо тармагындагы ат.",
        "Счёт центрального банка: 16 цифр или имя в тестовой сети.",
    ),
    # pay
    "What it is for, 35 bytes at most; then paid only once.": Translated(
        "Эмне үчүн, эң көп 35 байт; анда бир гана жолу төлөнөт.",
        "За что, не больше 35 байт; тогда платится только один раз.",
    ),
    # issue
    "The issuer's account.": Translated(
        "Эмитенттин эсеби.",
        "Счёт эмитента.",
    ),
    "A bank or the Treasury.": Translated(
        "Банк же Казыналык.",
        "Банк или Казначейство.",
    ),
    # tx
    "Verify the receipt from this genesis.": Translated(
        "Дүмүрчөктү ушул генезистен текшерүү.",
        "Проверить квитанцию от этого генезиса.",
    ),
    "Of a file that others sign (--prepare), whether all that are needed are there: no node is asked.": Translated(
        "Башкалар кол коё турган файл үчүн (--prepare): керектүүнүн баары барбы; түйүн суралбайт.",
        "О файле, который подписывают другие (--prepare): все ли нужные подписи есть; узел не спрашивают.",
    ),
    "Your own copy: refuse what is of another network.": Translated(
        "Өз көчүрмөңүз: башка тармактыкын четке кагуу.",
        "Ваша копия: отклонить то, что из другой сети.",
    ),
    "Do not ask whether to sign what is shown.": Translated(
        "Көрсөтүлгөнгө кол коюу керекпи деп сурабоо.",
        "Не спрашивать, подписать ли показанное.",
    ),
    # iso
    "Pay a payment file: plan, sign per debtor, send, wait for final, write the status report.": Translated(
        "Төлөм файлын төлөө: пландоо, төлөөчүлөр боюнча кол коюу, жөнөтүү, түпкүлүктүүсүн күтүү, абал отчётун жазуу.",
        "Оплатить файл платежей: составить план, подписать за каждого плательщика, отправить, дождаться "
        "окончательного, записать отчёт.",
    ),
    "A debtor's keys are key files (--debtor-key) or, on a devnet, public ones. Each signs for its debtor.": Translated(
        "Төлөөчүнүн ачкычтары — ачкыч файлдары (--debtor-key) же сыноо тармагында ачык белгилүү ачкычтар. Ар бири өз "
        "эсеби үчүн гана кол коёт.",
        "Ключи плательщика — файлы ключей (--debtor-key) или, в тестовой сети, общеизвестные. Каждый подписывает за "
        "свой счёт.",
    ),
    "Check and plan; send nothing.": Translated(
        "Текшерип, пландоо; эч нерсе жөнөтпөө.",
        "Проверить и составить план; ничего не отправлять.",
    ),
    "Try again what the ledger refused before.": Translated(
        "Китеп мурда четке какканды кайра аракет кылуу.",
        "Повторить то, что книга раньше отклонила.",
    ),
    "Where the status report (pain.002.001.12) goes.": Translated(
        "Абал отчёту (pain.002.001.12) кайда жазылат.",
        "Куда записать отчёт о состоянии (pain.002.001.12).",
    ),
    "Key file of a debtor; several for several debtors, or signatures.": Translated(
        "Төлөөчүнүн ачкыч файлы; төлөөчү же кол тамга бир нече болсо, бир нече файл.",
        "Файл ключа плательщика; несколько, если плательщиков или подписей больше одной.",
    ),
    "Say what became of a file, and write the status report. Nothing is sent.": Translated(
        "Файл эмне болгонун айтып, абал отчётун жазуу. Эч нерсе жөнөтүлбөйт.",
        "Сказать, что стало с файлом, и записать отчёт о состоянии. Ничего не отправляется.",
    ),
    "Write a bank statement (camt.053.001.08): opening balance, entries, closing balance, of som.": Translated(
        "Банк көчүрмөсүн жазуу (camt.053.001.08): баштапкы калдык, жазуулар, акыркы калдык, сом менен.",
        "Записать банковскую выписку (camt.053.001.08): входящий остаток, записи, исходящий остаток, в сомах.",
    ),
    "The business day, in Bishkek.": Translated(
        "Иш күнү, Бишкек боюнча.",
        "Рабочий день, по Бишкеку.",
    ),
    "The last of several days; 366 at most.": Translated(
        "Бир нече күндүн акыркысы; эң көп 366.",
        "Последний из нескольких дней; не больше 366.",
    ),
    "[default: camt053-ACCOUNT-DAY.xml]": Translated(
        "[демейкиси: camt053-ACCOUNT-DAY.xml]",
        "[по умолчанию: camt053-ACCOUNT-DAY.xml]",
    ),
    "Prove from this genesis that nothing is missing, added or changed. It reads the account's whole "
    "history.": Translated(
        "Эч нерсе калтырылбаганын, кошулбаганын же өзгөртүлбөгөнүн ушул генезистен далилдөө. Эсептин бүт тарыхын "
        "окуйт.",
        "Доказать от этого генезиса, что ничего не пропущено, не добавлено и не изменено. Читает всю историю счёта.",
    ),
    "Of a day that has not ended too: the closing balance is an interim one.": Translated(
        "Бүтө элек күн үчүн да: акыркы калдык убактылуу.",
        "И для дня, который не кончился: исходящий остаток промежуточный.",
    ),
    "Follow an account: a debit and credit notification (camt.054.001.08) for each final block that "
    "books in som.": Translated(
        "Эсепти ээрчүү: сом киргизген же чыгарган ар бир түпкүлүктүү блок үчүн дебет-кредит билдирмеси "
        "(camt.054.001.08).",
        "Следить за счётом: уведомление о списаниях и зачислениях (camt.054.001.08) для каждого окончательного "
        "блока с движением сомов.",
    ),
    "Ends with Ctrl-C, and goes on there when it is started again: every entry is told exactly once.": Translated(
        "Ctrl-C менен бүтөт, кайра башталса ошол жерден улантат: ар бир жазуу так бир жолу айтылат.",
        "Завершается по Ctrl-C и при новом запуске продолжает оттуда же: каждая запись сообщается ровно один раз.",
    ),
    "Where files and the cursor go.": Translated(
        "Файлдар жана курсор кайда турат.",
        "Куда идут файлы и курсор.",
    ),
    "The first entry to tell, or only what comes from now on. A cursor in the directory goes before.": Translated(
        "Биринчи айтыла турган жазуу же мындан ары гана. Папкадагы курсор мурда турат.",
        "Первая сообщаемая запись, или только то, что придёт. Курсор в папке важнее.",
    ),
    "One file for what came in so many seconds.": Translated(
        "Ушунча секундада киргендер бир файлга.",
        "Один файл на то, что пришло за столько секунд.",
    ),
    "End when all that is final was told.": Translated(
        "Түпкүлүктүүнүн баары айтылганда бүтүү.",
        "Закончить, когда всё окончательное сообщено.",
    ),
    "Pay back a payment of a file. UETR: as a statement has it, or the report's AcctSvcrRef, its 32 hex "
    "digits.": Translated(
        "Файлдагы төлөмдү кайтаруу. UETR: көчүрмөдөгүдөй, же отчёттогу AcctSvcrRef, анын 32 он алтылык саны.",
        "Вернуть платёж из файла. UETR: как в выписке, или AcctSvcrRef отчёта, его 32 шестнадцатеричные цифры.",
    ),
    "Who paid, and gets it back.": Translated(
        "Ким төлөгөн жана кайтарып алат.",
        "Кто платил и получает назад.",
    ),
    "Who was paid, and pays back; it signs.": Translated(
        "Кимге төлөнгөн жана ким кайтарат; ал кол коёт.",
        "Кому платили и кто возвращает; он подписывает.",
    ),
    # batch
    "Many payments of one payer from a table (CSV) with the columns account, amount and ref.": Translated(
        "Бир төлөөчүнүн көп төлөмдөрү таблицадан (CSV); мамычалары account, amount жана ref.",
        "Много платежей одного плательщика из таблицы (CSV) со столбцами account, amount и ref.",
    ),
    "Who pays all of it, and signs.": Translated(
        "Баарын ким төлөйт; ал кол коёт.",
        "Кто платит за всё и подписывает.",
    ),
    "Check the table and show the transactions that it would be. No node is asked, nothing is sent.": Translated(
        "Таблицаны текшерип, кандай транзакциялар болорун көрсөтүү. Түйүн суралбайт, эч нерсе жөнөтүлбөйт.",
        "Проверить таблицу и показать, какими транзакциями она станет. Узел не спрашивают, ничего не отправляется.",
    ),
    "Pay what of the table is not paid yet, wait until it is final, and write what became of each payment.": Translated(
        "Таблицадан төлөнө элегин төлөп, түпкүлүктүү болгонун күтүп, ар бир төлөм эмне болгонун жазуу.",
        "Заплатить то из таблицы, что ещё не оплачено, дождаться окончательного и записать судьбу каждого платежа.",
    ),
    "Where it is written what became of each payment.": Translated(
        "Ар бир төлөм эмне болгону кайда жазылат.",
        "Куда записать судьбу каждого платежа.",
    ),
    "Say what became of the table, and write it down. Nothing is sent.": Translated(
        "Таблица эмне болгонун айтып, жазып коюу. Эч нерсе жөнөтүлбөйт.",
        "Сказать, что стало с таблицей, и записать. Ничего не отправляется.",
    ),
}
