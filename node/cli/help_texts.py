"""What `som --help` says in Kyrgyz and in Russian, found by the English text that stands in the code.

One rule: the English text is the key, so one that is changed loses its translations until somebody looks at them
(tests/test_cli_help.py finds it). Here are the first sentences; details of money and of nodes have files of their own.
"""

from typing import Final

from node.cli.help_emergency import HELP_OF_EMERGENCIES
from node.cli.help_money import HELP_OF_MONEY
from node.cli.help_nodes import HELP_OF_NODES
from node.cli.texts import Translated
from node.ledger.errors import Language

FIRST_TEXTS: Final[dict[str, Translated]] = {
    "The digital som: run a validator, look at the chain, pay.": Translated(
        "Санарип сом: валидаторду иштетүү, чынжырды кароо, төлөө.",
        "Цифровой сом: запустить валидатор, посмотреть цепочку, заплатить.",
    ),
    # Options that every command takes
    "Data as JSON.": Translated("Маалымат JSON түрүндө.", "Данные в виде JSON."),
    "Language of words.": Translated("Сөздөрдүн тили.", "Язык слов."),
    "Where sent payments are remembered.": Translated(
        "Жөнөтүлгөн төлөмдөр сакталган файл.", "Где хранятся отправленные платежи."
    ),
    "A node to ask; several are tried in turn.": Translated(
        "Суралуучу түйүн; бир нечеси кезек менен суралат.", "Узел, который спрашивают; несколько — по очереди."
    ),
    "Names and public keys of a devnet.": Translated(
        "Сыноо тармагынын аттары жана ачык ачкычтары.", "Имена и открытые ключи тестовой сети."
    ),
    "Show this message and exit.": Translated("Ушул билдирүүнү көрсөтүп, бүтүрүү.", "Показать эту справку и выйти."),
    "Show the version and exit.": Translated("Версияны көрсөтүп, бүтүрүү.", "Показать версию и выйти."),
    # What is in force where nothing is said
    ".devnet/accounts.json if it is there": Translated(
        ".devnet/accounts.json, эгер бар болсо", ".devnet/accounts.json, если он есть"
    ),
    "the next one": Translated("кийинкиси", "следующая"),
    "no bound of its own": Translated("өз чеги жок", "без собственного предела"),
    "where temporary files go": Translated("убактылуу файлдар турган жерде", "там, где временные файлы"),
    "of the home's key file": Translated("папканын ачкыч файлынан", "из файла ключа папки"),
    "one for each block": Translated("ар бир блокко бирден", "по одному на каждый блок"),
    # Money
    "Pay AMOUNT som: som pay --from treasury --to 0011000000010057 1250.50": Translated(
        "AMOUNT сом төлөө: som pay --from treasury --to 0011000000010057 1250.50",
        "Заплатить AMOUNT сомов: som pay --from treasury --to 0011000000010057 1250.50",
    ),
    "Issue AMOUNT som: a payment from the issuer's account, which its board signs.": Translated(
        "AMOUNT сом чыгаруу: эмитенттин эсебинен төлөм, ага анын башкармасы кол коёт.",
        "Выпустить AMOUNT сомов: платёж со счёта эмитента, его подписывает правление.",
    ),
    "Redeem AMOUNT som: a payment to the issuer's account takes money out of circulation.": Translated(
        "AMOUNT сомду жүгүртүүдөн чыгаруу: эмитенттин эсебине төлөм.",
        "Погасить AMOUNT сомов: платёж на счёт эмитента выводит деньги из обращения.",
    ),
    "16 digits, or a devnet's name.": Translated(
        "16 сан же сыноо тармагындагы ат.", "16 цифр или имя в тестовой сети."
    ),
    "Name the purpose (an invoice): under the same name nothing is paid twice from this computer.": Translated(
        "Максаттын аты (эсеп-фактура): бир ат менен бул компьютерден эки жолу төлөнбөйт.",
        "Назвать цель (счёт-фактуру): под тем же именем с этого компьютера дважды не платится.",
    ),
    "How long to wait for the final result.": Translated(
        "Түпкүлүктүү жыйынтыкты канча күтүү.", "Сколько ждать окончательного результата."
    ),
    # Accounts
    "Accounts: balances, statements, opening.": Translated(
        "Эсептер: калдыктар, көчүрмөлөр, ачуу.", "Счета: остатки, выписки, открытие."
    ),
    "Show an account: kind, limits, keys, balances.": Translated(
        "Эсепти көрсөтүү: түрү, чектери, ачкычтары, калдыктары.", "Показать счёт: тип, лимиты, ключи, остатки."
    ),
    "List an account's statement, newest first.": Translated(
        "Эсептин көчүрмөсү, жаңылары биринчи.", "Выписка по счёту, новые сверху."
    ),
    "The whole statement of an account, oldest first, proven: nothing is missing, added or changed.": Translated(
        "Эсептин толук көчүрмөсү, эскилери биринчи, далилденген: эч нерсе калтырылган, кошулган же өзгөртүлгөн эмес.",
        "Полная выписка по счёту, старые сверху, с доказательством: ничего не пропущено, не добавлено, не изменено.",
    ),
    "Make an account number: participant, serial, check digits. Nothing is sent.": Translated(
        "Эсептин номерин түзүү: катышуучу, катар номер, текшерүү сандары. Эч нерсе жөнөтүлбөйт.",
        "Составить номер счёта: участник, порядковый номер, контрольные цифры. Ничего не отправляется.",
    ),
    "Open an account: a bank does it for a customer, by its own signature.": Translated(
        "Эсеп ачуу: банк кардары үчүн өз колу менен ачат.", "Открыть счёт: банк делает это для клиента своей подписью."
    ),
    "Begin to give an account new keys. Until then it can be paid and can not pay; its old keys can "
    "stop it.": Translated(
        "Эсепке жаңы ачкыч берүүнү баштоо. Ага чейин ага төлөөгө болот, ал төлөй албайт; эски ачкычтар токтото алат.",
        "Начать замену ключей счёта. До тех пор он получает, но не платит; старые ключи могут это остановить.",
    ),
    "Put the new keys in force, when the delay is over.": Translated(
        "Мөөнөт бүткөндө жаңы ачкычтарды күчүнө киргизүү.", "Ввести новые ключи в действие, когда срок истёк."
    ),
    "Stop a recovery, by the keys that were said to be lost.": Translated(
        "«Жоголгон» деп айтылган ачкычтар менен калыбына келтирүүнү токтотуу.",
        "Остановить восстановление теми ключами, которые объявили утерянными.",
    ),
    "Whether an account waits for new keys, and which.": Translated(
        "Эсеп жаңы ачкычтарды күтүп жатабы, кайсыларын.", "Ждёт ли счёт новых ключей и каких."
    ),
    "Give an account to another bank; its number stays.": Translated(
        "Эсепти башка банкка өткөрүү; номери сакталат.", "Передать счёт другому банку; номер остаётся."
    ),
    # Transactions
    "Transactions: what became of them.": Translated(
        "Транзакциялар: алар эмне болду.", "Транзакции: что с ними стало."
    ),
    "Show a transaction and its receipt.": Translated(
        "Транзакцияны жана анын дүмүрчөгүн көрсөтүү.", "Показать транзакцию и её квитанцию."
    ),
    "Wait for the final result; what this computer sent is sent again if need be.": Translated(
        "Түпкүлүктүү жыйынтыкты күтүү; бул компьютер жөнөткөнү керек болсо кайра жөнөтүлөт.",
        "Ждать окончательного результата; отправленное с этого компьютера при нужде отправляется снова.",
    ),
    "Show what a transaction says, and whether its signatures hold for the node's network.": Translated(
        "Транзакция эмне дейт жана анын кол тамгалары түйүндүн тармагы үчүн туурабы.",
        "Показать, что говорит транзакция и верны ли её подписи для сети узла.",
    ),
    "Ask what would become of a transaction now, signed or not. Nothing is sent.": Translated(
        "Транзакция азыр эмне болорун суроо, кол коюлганбы же жокпу. Эч нерсе жөнөтүлбөйт.",
        "Спросить, что стало бы с транзакцией сейчас, подписана она или нет. Ничего не отправляется.",
    ),
    "Add signatures to a file that --prepare wrote. No node is asked, nothing is sent.": Translated(
        "--prepare жазган файлга кол тамга кошуу. Түйүн суралбайт, эч нерсе жөнөтүлбөйт.",
        "Добавить подписи в файл, который записал --prepare. Узел не спрашивают, ничего не отправляется.",
    ),
    "Send a signed transaction. Sending it again is harmless: the first receipt is shown.": Translated(
        "Кол коюлган транзакцияны жөнөтүү. Кайра жөнөтүү зыянсыз: биринчи дүмүрчөк көрсөтүлөт.",
        "Отправить подписанную транзакцию. Повтор безвреден: показывается первая квитанция.",
    ),
    # Keys
    "Key files: one Ed25519 key each, under a passphrase.": Translated(
        "Ачкыч файлдары: ар биринде бир Ed25519 ачкыч, сырсөз менен.",
        "Файлы ключей: по одному ключу Ed25519, под парольной фразой.",
    ),
    "Make a key and write it to FILE; show the public half.": Translated(
        "Ачкыч түзүп, FILE файлына жазуу; ачык жарымын көрсөтүү.",
        "Создать ключ и записать в FILE; показать открытую половину.",
    ),
    "Write a key that exists already to FILE: 64 hex digits on standard input, never an argument.": Translated(
        "Бар ачкычты FILE файлына жазуу: стандарттык киргизүүдөн 64 он алтылык сан, аргумент эмес.",
        "Записать имеющийся ключ в FILE: 64 шестнадцатеричные цифры на стандартном вводе, не аргументом.",
    ),
    "List the key files of a directory, by what they say in clear.": Translated(
        "Папкадагы ачкыч файлдары, ачык жазылганы боюнча.", "Перечислить файлы ключей папки по открытой их части."
    ),
    "Print the secret seed of a key, for a backup on paper.": Translated(
        "Ачкычтын жашыруун негизин кагазга сактоо үчүн басып чыгаруу.",
        "Напечатать секретное зерно ключа, для копии на бумаге.",
    ),
    "Put a key under another passphrase. Copies of the old file still open with the old one.": Translated(
        "Ачкычтын сырсөзүн алмаштыруу. Эски файлдын көчүрмөлөрү эски сырсөз менен ачыла берет.",
        "Сменить парольную фразу ключа. Копии старого файла открываются прежней.",
    ),
    # Codes, purses, holds
    "National QR codes: draw one for an account, read any, pay one of ours.": Translated(
        "Улуттук QR коддор: эсеп үчүн чийүү, каалаганын окуу, биздикин төлөө.",
        "Национальные QR-коды: нарисовать для счёта, прочитать любой, оплатить наш.",
    ),
    "Draw a code that pays ACCOUNT; prints its link.": Translated(
        "ACCOUNT эсебине төлөтүүчү кодду чийүү; шилтемесин басып чыгарат.",
        "Нарисовать код для оплаты на ACCOUNT; печатает ссылку.",
    ),
    "Pay what a code of this network asks for.": Translated(
        "Ушул тармактын коду сураганын төлөө.", "Оплатить то, что просит код этой сети."
    ),
    "Receipts of an offline purse: a device pays a merchant without a network.": Translated(
        "Офлайн капчыктын чектери: түзмөк сатуучуга тармаксыз төлөйт.",
        "Чеки офлайн-кошелька: устройство платит продавцу без сети.",
    ),
    "Holds: promise money, pay from it later, give it back.": Translated(
        "Кармоолор: акча убада кылуу, кийин андан төлөө, кайтаруу.",
        "Удержания: обещать деньги, платить из них позже, вернуть.",
    ),
    "Bank files (ISO 20022): pain.001.001.09 in; pain.002.001.12, camt.053.001.08 and camt.054.001.08 out.": Translated(
        "Банк файлдары (ISO 20022): pain.001.001.09 кирет; pain.002.001.12, camt.053.001.08, camt.054.001.08 чыгат.",
        "Файлы банков (ISO 20022): входит pain.001.001.09; выходят pain.002.001.12, camt.053.001.08, camt.054.001.08.",
    ),
    # The chain
    "Where the network stands, as one node sees it: height, leader, who has voted, what is issued.": Translated(
        "Тармактын абалы, бир түйүн көргөндөй: бийиктик, лидер, ким добуш берди, канча чыгарылган.",
        "Состояние сети, как его видит один узел: высота, лидер, кто голосовал, сколько выпущено.",
    ),
    "Print what happens, each event with the cursor to go on from (--from).": Translated(
        "Эмне болуп жатканын басып чыгаруу, ар бир окуя улантуу курсору менен (--from).",
        "Печатать происходящее, каждое событие с курсором, от которого продолжать (--from).",
    ),
    "Entries of an account's statement.": Translated("Эсеп көчүрмөсүнүн жазуулары.", "Записи выписки по счёту."),
    "Final blocks.": Translated("Түпкүлүктүү блоктор.", "Окончательные блоки."),
    "What became of transactions, finally.": Translated(
        "Транзакциялардын түпкүлүктүү жыйынтыгы.", "Окончательные результаты транзакций."
    ),
    "Epochs as they begin, with their committees.": Translated(
        "Доорлордун башталышы, комитеттери менен.", "Начала эпох с их комитетами."
    ),
    "The view under way: who leads, who has voted, who is awaited.": Translated(
        "Учурдагы көрүнүш: ким лидер, ким добуш берди, ким күтүлүүдө.",
        "Текущий вид: кто лидер, кто голосовал, кого ждут.",
    ),
    "Call any RPC method: som rpc account_get account=0011000000010057": Translated(
        "Каалаган RPC ыкмасын чакыруу: som rpc account_get account=0011000000010057",
        "Вызвать любой метод RPC: som rpc account_get account=0011000000010057",
    ),
    "The version of this program.": Translated("Программанын версиясы.", "Версия этой программы."),
    "The file that a network starts from.": Translated("Тармак башталган файл.", "Файл, с которого начинается сеть."),
    "Who validates, who will, and how that changes.": Translated(
        "Ким валидациялайт, ким боло турган жана ал кантип өзгөрөт.", "Кто валидирует, кто будет и как это меняется."
    ),
    "Links between nodes, and how regularly validators sign.": Translated(
        "Түйүндөрдүн байланыштары жана валидаторлор канчалык үзгүлтүксүз кол коёт.",
        "Связи между узлами и насколько исправно подписывают валидаторы.",
    ),
    "The nodes that this one has links to, or should have.": Translated(
        "Бул түйүн туташкан же туташууга тийиш болгон түйүндөр.", "Узлы, с которыми этот связан или должен быть связан."
    ),
    "How many of the latest blocks each validator signed and led.": Translated(
        "Ар бир валидатор акыркы блоктордун канчасына кол койду жана канчасын жетектеди.",
        "Сколько последних блоков подписал и возглавил каждый валидатор.",
    ),
    'Print what completes commands in a shell: eval "$(som completion bash)"': Translated(
        'Кабыкта буйруктарды толуктоочуну басып чыгаруу: eval "$(som completion bash)"',
        'Напечатать то, что дополняет команды в оболочке: eval "$(som completion bash)"',
    ),
    "Proofs that a validator signed what an honest one never signs.": Translated(
        "Валидатор чынчылы эч качан кол койбогонго кол койгонунун далилдери.",
        "Доказательства, что валидатор подписал то, чего честный не подписывает.",
    ),
    # The register and the authorities
    "Assets: the register, what is issued, what covers it.": Translated(
        "Активдер: реестр, эмне чыгарылган, эмне менен камсыздалган.",
        "Активы: реестр, что выпущено и чем обеспечено.",
    ),
    "Attestations: reserves, deliveries, certificates.": Translated(
        "Ырастоолор: резервдер, жеткирүүлөр, күбөлүктөр.", "Подтверждения: резервы, поставки, сертификаты."
    ),
    "Orders of authorities: freeze, arrest, seize.": Translated(
        "Органдардын чечимдери: бөгөт, камак, өндүрүп алуу.",
        "Постановления органов: заморозка, арест, взыскание.",
    ),
    "Parameters: windows, tiers, openers, attesters, the protocol's version.": Translated(
        "Параметрлер: мөөнөттөр, деңгээлдер, ачуучулар, ырастоочулар, протоколдун версиясы.",
        "Параметры: сроки, уровни, кто открывает счета и подтверждает, версия протокола.",
    ),
    # A node
    "Make a validator's home directory, in two steps.": Translated(
        "Валидатордун папкасын эки кадамда түзүү.", "Создать папку валидатора, в два шага."
    ),
    "Run the validator until it is told to stop.": Translated(
        "Токтотулганча валидаторду иштетүү.", "Запустить валидатор, пока его не остановят."
    ),
    "Set a damaged chain aside and begin again at height 0: the blocks come from the peers.": Translated(
        "Бузулган чынжырды четке коюп, 0 бийиктиктен кайра баштоо: блоктор кошуналардан келет.",
        "Отложить повреждённую цепочку и начать с высоты 0: блоки придут от соседей.",
    ),
    "Check every invariant of the ledger over all that a node has stored. The validator must not run.": Translated(
        "Түйүн сактаганынын баарында китептин бардык шарттарын текшерүү. Валидатор иштебеши керек.",
        "Проверить все инварианты книги по всему, что хранит узел. Валидатор не должен работать.",
    ),
    "The chain in files that anybody can verify without a node.": Translated(
        "Түйүнсүз эле каалаган киши текшере ала турган файлдардагы чынжыр.",
        "Цепочка в файлах, которые каждый может проверить без узла.",
    ),
    "A node's own settings.": Translated("Түйүндүн өз жөндөөлөрү.", "Собственные настройки узла."),
    "Four validators on this computer, with keys that everybody knows.": Translated(
        "Бул компьютердеги төрт валидатор, ачкычтары баарына белгилүү.",
        "Четыре валидатора на этом компьютере, с ключами, известными всем.",
    ),
    "Start the devnet and keep it running until Ctrl-C or `som devnet down`.": Translated(
        "Сыноо тармагын баштап, Ctrl-C же `som devnet down` чейин иштетүү.",
        "Запустить тестовую сеть, пока её не остановят Ctrl-C или `som devnet down`.",
    ),
    "Of the validators that are started; made anew.": Translated(
        "Башталуучу валидаторлордун папкасы; жаңыдан түзүлөт.", "Папка запускаемых валидаторов; создаётся заново."
    ),
    "How long a byte is on its way from one validator to another.": Translated(
        "Бир валидатордон экинчисине байт канча убакыт барат.", "Сколько байт идёт от одного валидатора к другому."
    ),
    "Make the home directories of a devnet whose validators run on hosts of their own, and its genesis.": Translated(
        "Валидаторлору өзүнчө хосттордо иштеген сыноо тармагынын папкаларын жана генезисин түзүү.",
        "Создать папки и генезис тестовой сети, валидаторы которой работают на отдельных хостах.",
    ),
    "A directory for all of it.": Translated("Баары үчүн папка.", "Папка для всего этого."),
    "Names of validators and hosts.": Translated(
        "Валидаторлордун жана хосттордун аттары.", "Имена валидаторов и хостов."
    ),
    "Names of nodes that only follow and serve, and of their hosts.": Translated(
        "Ээрчип, кызмат кылган гана түйүндөрдүн жана алардын хостторунун аттары.",
        "Имена узлов, которые только следуют и обслуживают, и их хостов.",
    ),
    "For validators.": Translated("Валидаторлор үчүн.", "Для валидаторов."),
    "For clients.": Translated("Кардарлар үчүн.", "Для клиентов."),
    "Where they listen.": Translated("Кайсы даректе угушат.", "На каком адресе слушают."),
    "Where the devnet wrote how it is asked.": Translated(
        "Сыноо тармагы кантип суралары жазылган файл.", "Файл, куда тестовая сеть записала, как к ней обращаться."
    ),
    "Who runs, who is cut off, and where each answers.": Translated(
        "Ким иштейт, ким бөлүнгөн жана ар бири кайсы даректе жооп берет.",
        "Кто работает, кто отрезан и по какому адресу отвечает каждый.",
    ),
    "Kill validators as a power cut would. They stay dead until `som devnet restart`.": Translated(
        "Валидаторлорду ток өчкөндөй өчүрүү. `som devnet restart` чейин өчүк бойдон калат.",
        "Выключить валидаторы, как при отключении тока. Не работают до `som devnet restart`.",
    ),
    "Start validators again; one that runs is killed first. They fetch what they missed by themselves.": Translated(
        "Валидаторлорду кайра баштоо; иштеп жатканы адегенде өчүрүлөт. Калтырганын өздөрү алышат.",
        "Запустить валидаторы снова; работающий сначала выключается. Пропущенное они получают сами.",
    ),
    "Cut all links between these validators and all others. Clients reach them as before.": Translated(
        "Бул валидаторлордун башкалары менен бардык байланышын үзүү. Кардарлар аларга мурдагыдай жетет.",
        "Оборвать все связи этих валидаторов с остальными. Клиентам они доступны, как прежде.",
    ),
    "Mend the links of these validators, or of all that are cut off.": Translated(
        "Бул валидаторлордун же бөлүнгөндөрдүн баарынын байланышын калыбына келтирүү.",
        "Восстановить связи этих валидаторов или всех отрезанных.",
    ),
    "Let a bank of the devnet pay AMOUNT som to ACCOUNT, up to 100,000.": Translated(
        "Сыноо тармагынын банкы ACCOUNT эсебине AMOUNT сом төлөйт, 100 000ге чейин.",
        "Банк тестовой сети платит AMOUNT сомов на счёт ACCOUNT, до 100 000.",
    ),
    "Let the banks pay each other a tyiyn again and again, and show how soon that was final.": Translated(
        "Банктар бири-бирине кайра-кайра бир тыйындан төлөп, канчалык тез түпкүлүктүү болгонун көрсөтүү.",
        "Банки снова и снова платят друг другу по тыйыну; показать, как скоро это окончательно.",
    ),
    "Transactions a second.": Translated("Секундасына транзакция.", "Транзакций в секунду."),
    "For how long.": Translated("Канча убакыт.", "Как долго."),
    "Begin anew: another genesis, a new chain with the first money, old addresses. What was is gone.": Translated(
        "Жаңыдан баштоо: башка генезис, биринчи акчасы бар бош чынжыр, ошол эле даректер. Мурдагысы жок болот.",
        "Начать заново: другой генезис, пустая цепочка с первыми деньгами, те же адреса. Прежнее исчезает.",
    ),
    "Stop the devnet that runs, and return when all of it has ended.": Translated(
        "Иштеп жаткан сыноо тармагын токтотуп, баары бүткөндө кайтуу.",
        "Остановить работающую тестовую сеть и вернуться, когда всё завершено.",
    ),
    "The consensus key and its guard: in a process of its own, or in a node's home.": Translated(
        "Консенсус ачкычы жана анын кароолу: өзүнчө процессте же түйүндүн папкасында.",
        "Ключ консенсуса и его страж: в отдельном процессе или в папке узла.",
    ),
    "Tokens of a node's RPC. The file has their hashes: a token is shown once, when it is made.": Translated(
        "Түйүндүн RPC токендери. Файлда алардын хештери: токен түзүлгөндө бир гана жолу көрсөтүлөт.",
        "Токены RPC узла. В файле их хеши: токен показывается один раз, при создании.",
    ),
    "Speak with a running node by the socket in its home. Every call is written into its audit log.": Translated(
        "Иштеп жаткан түйүн менен анын папкасындагы сокет аркылуу сүйлөшүү. Ар бир чакыруу аудит журналына жазылат.",
        "Говорить с работающим узлом через сокет в его папке. Каждый вызов записывается в журнал аудита.",
    ),
    "Play ROW, a name or a number, or `all`; without ROW list them. Starts four validators, unless --node names a "
    "devnet that runs.": Translated(
        "ROW ойнотуу: аты, номери же `all`; ROW жок болсо тизмеси. --node иштеп жаткан тармакты атабаса, төрт "
        "валидаторду баштайт.",
        "Сыграть ROW: имя, номер или `all`; без ROW — список. Запускает четыре валидатора, если --node не называет "
        "работающую тестовую сеть.",
    ),
    "Execute a stored chain anew with this software, and compare. The validator must not run.": Translated(
        "Сакталган чынжырды ушул программа менен кайра аткарып, салыштыруу. Валидатор иштебеши керек.",
        "Исполнить сохранённую цепочку заново этой программой и сравнить. Валидатор не должен работать.",
    ),
    "Follow the chain into a PostgreSQL database: blocks, transactions, entries, holds, assets, orders.": Translated(
        "Чынжырды PostgreSQL базасына көчүрүп туруу: блоктор, транзакциялар, жазуулар, кармоолор, активдер, чечимдер.",
        "Вести цепочку в базу PostgreSQL: блоки, транзакции, проводки, удержания, активы, постановления.",
    ),
    "The database. A password belongs into ~/.pgpass or PGPASSWORD.": Translated(
        "Маалымат базасы. Сырсөздүн орду — ~/.pgpass же PGPASSWORD.",
        "База данных. Паролю место в ~/.pgpass или PGPASSWORD.",
    ),
    "End when this height is indexed.": Translated("Ушул бийиктикке жеткенде бүтүү.", "Закончить на этой высоте."),
    "Prove that the sums equal the chain's, and end.": Translated(
        "Суммалар чынжырга дал келерин далилдеп, бүтүү.", "Доказать, что суммы равны суммам цепочки, и закончить."
    ),
    "Of --verify: how many accounts, by chance; 0 compares all.": Translated(
        "--verify үчүн: канча эсеп, туш келди; 0 — баары.", "Для --verify: сколько счетов, наугад; 0 — все."
    ),
}

HELP_TEXTS: Final = {**FIRST_TEXTS, **HELP_OF_MONEY, **HELP_OF_NODES, **HELP_OF_EMERGENCIES}


def in_language(english: str, language: Language) -> str:
    """Return a text of --help in a language; the English one where there is no other."""
    found = HELP_TEXTS.get(english)
    if found is None or language == "en":
        return english
    return found.ky if language == "ky" else found.ru
