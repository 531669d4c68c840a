"""What `som ... --help` says of nodes and keys in detail, in Kyrgyz and in Russian: options and second paragraphs.

One rule: as in help_texts.py, which puts all of it together: the English text is the key.
"""

from typing import Final

from node.cli.texts import Translated

HELP_OF_NODES: Final[dict[str, Translated]] = {
    # som
    "Exit codes: 0 done, 1 error, 2 usage, 3 partly done, 4 refused by the ledger, 5 no node answered, 6 "
    "still pending (it may yet apply: wait, do not pay again), 7 configuration or key.": Translated(
        "Чыгуу коддору: 0 бүттү, 1 ката, 2 колдонуу катасы, 3 жарым-жартылай, 4 китеп четке какты, 5 түйүн жооп "
        "бербеди, 6 дагы белгисиз (аткарылышы мүмкүн: күтүңүз, кайра төлөбөңүз), 7 жөндөө же ачкыч.",
        "Коды завершения: 0 готово, 1 ошибка, 2 неверный вызов, 3 исполнено частично, 4 отклонено книгой, 5 узел не "
        "отвечает, 6 ещё неизвестно (может исполниться: ждите, не платите заново), 7 настройки или ключ.",
    ),
    "The token to present to a node that is not open to everybody.": Translated(
        "Баарына ачык болбогон түйүнгө көрсөтүлүүчү токен.",
        "Токен для узла, который открыт не для всех.",
    ),
    "The account that asks about itself or its customers, where a node is not open to everybody.": Translated(
        "Түйүн баарына ачык болбосо: өзү же кардарлары жөнүндө сураган эсеп.",
        "Счёт, который спрашивает о себе или своих клиентах, если узел открыт не для всех.",
    ),
    "Its key file.": Translated(
        "Анын ачкыч файлы.",
        "Файл его ключа.",
    ),
    "The order that an enforcer or auditor acts on; the node writes it down.": Translated(
        "Аткаруучу же аудитор таянган чечим; түйүн аны жазып алат.",
        "Постановление, по которому действует исполнитель или аудитор; узел его записывает.",
    ),
    # init
    "Without --genesis: make the consensus key and the node key, and show their public halves, which the network's "
    "founders write into the genesis. With --genesis: check that it names these keys, and make the chain at height "
    "0. A validator that joins a running network does both at once, with --joins (docs/operations.md). So does an "
    "observer, with --observer; validators let it link by the node key that is shown.": Translated(
        "--genesis жок болсо: консенсус жана түйүн ачкычтарын түзүп, ачык жарымдарын көрсөтөт, аларды тармактын "
        "негиздөөчүлөрү генезиске жазышат. --genesis менен: анда ушул ачкычтар аталганын текшерип, 0 бийиктигинде "
        "чынжыр түзөт. Иштеп жаткан тармакка кошулган валидатор экөөнү тең --joins менен бир жолу жасайт "
        "(docs/operations.md). Байкоочу да ошондой, --observer менен; валидаторлор аны көрсөтүлгөн түйүн ачкычы боюнча "
        "байланыштырат.",
        "Без --genesis: создать ключ консенсуса и ключ узла и показать их открытые половины, которые основатели "
        "сети впишут в генезис. С --genesis: проверить, что эти ключи в нём названы, и создать цепочку на высоте 0. "
        "Валидатор, который присоединяется к работающей сети, делает то и другое сразу, с --joins "
        "(docs/operations.md). Наблюдатель тоже, с --observer; валидаторы пускают его по показанному ключу узла.",
    ),
    "The node's directory: configuration, keys, data.": Translated(
        "Түйүндүн папкасы: жөндөөлөр, ачкычтар, маалымат.",
        "Папка узла: настройки, ключи, данные.",
    ),
    "The validator's name in the genesis.": Translated(
        "Валидатордун генезистеги аты.",
        "Имя валидатора в генезисе.",
    ),
    "The network's genesis.": Translated(
        "Тармактын генезиси.",
        "Генезис сети.",
    ),
    "Where another validator listens.": Translated(
        "Башка валидатор кайсы даректе угат.",
        "Где слушает другой валидатор.",
    ),
    "The genesis does not name it: it follows, and may be admitted later.": Translated(
        "Генезисте ал жок: ээрчип турат, кийин кабыл алынышы мүмкүн.",
        "В генезисе его нет: он следует за сетью и может быть принят позже.",
    ),
    "No key to vote with: it follows, verifies and serves clients.": Translated(
        "Добуш берүүчү ачкычы жок: ээрчийт, текшерет, кардарларга кызмат кылат.",
        "Без ключа для голосования: следует за сетью, проверяет и обслуживает клиентов.",
    ),
    "Keys without a passphrase, for a devnet only.": Translated(
        "Сырсөзсүз ачкычтар, сыноо тармагы үчүн гана.",
        "Ключи без парольной фразы, только для тестовой сети.",
    ),
    "Where a signer process has the consensus key.": Translated(
        "Консенсус ачкычы бар кол коюучу процесстин сокети.",
        "Сокет процесса-подписанта, у которого ключ консенсуса.",
    ),
    "And its public half.": Translated(
        "Анын ачык жарымы.",
        "И его открытая половина.",
    ),
    "Read the keys' passphrase here instead of asking.": Translated(
        "Ачкычтардын сырсөзүн сурабай, ушул файлдан окуу.",
        "Читать парольную фразу ключей из файла, не спрашивая.",
    ),
    # resync
    "With --snapshot the node begins at the newest snapshot that its peers prove: sooner, but it then answers "
    "nothing about what was before. Keys and guard stay as they are, so that nothing is signed twice. The validator "
    "must not run.": Translated(
        "--snapshot менен түйүн кошуналар далилдеген эң жаңы сүрөттөн баштайт: тезирээк, бирок мурункулар жөнүндө "
        "жооп бербейт. Ачкычтар жана кароол ордунда калат, ошондуктан эч нерсеге эки жолу кол коюлбайт. Валидатор "
        "иштебеши керек.",
        "С --snapshot узел начинает с новейшего снимка, доказанного соседями: быстрее, но о прежнем он ничего не "
        "отвечает. Ключи и страж остаются, поэтому ничто не подписывается дважды. Валидатор не должен работать.",
    ),
    "Take the state from a snapshot of the peers, and only newer blocks.": Translated(
        "Абалды кошуналардын сүрөтүнөн алуу, жаңы блокторду гана жүктөө.",
        "Взять состояние из снимка соседей и только более новые блоки.",
    ),
    # audit
    "The state's root is computed anew, all balances are added up, and holds, orders, recoveries and the "
    "register are compared with their indexes and with the accounts.": Translated(
        "Абалдын тамыры кайра эсептелет, бардык калдыктар кошулат; кармоолор, чечимдер, калыбына келтирүүлөр жана "
        "реестр индекстери жана эсептер менен салыштырылат.",
        "Корень состояния вычисляется заново, все остатки складываются, а удержания, постановления, восстановления и "
        "реестр сверяются с их индексами и счетами.",
    ),
    # config
    "Read the configuration and the genesis as the node would; say what is wrong.": Translated(
        "Жөндөөлөрдү жана генезисти түйүндөй окуп, эмне туура эмес экенин айтуу.",
        "Прочитать настройки и генезис, как это сделал бы узел, и сказать, что неверно.",
    ),
    "Print the settings in force, defaults and environment included.": Translated(
        "Күчүндөгү жөндөөлөрдү басып чыгаруу, демейки жана чөйрөдөн алынгандары менен.",
        "Напечатать действующие настройки, включая значения по умолчанию и из окружения.",
    ),
    # completion
    "To keep it: som completion bash > ~/.local/share/bash-completion/completions/som; for zsh a file "
    "_som in a folder of $fpath; for fish ~/.config/fish/completions/som.fish.": Translated(
        "Сактап коюу үчүн: som completion bash > ~/.local/share/bash-completion/completions/som; zsh үчүн $fpath "
        "папкасында _som файлы; fish үчүн ~/.config/fish/completions/som.fish.",
        "Чтобы сохранить: som completion bash > ~/.local/share/bash-completion/completions/som; для zsh файл _som в "
        "папке из $fpath; для fish ~/.config/fish/completions/som.fish.",
    ),
    # genesis
    "The hash of a genesis file: what all validators compare before the start.": Translated(
        "Генезис файлынын хеши: баштоонун алдында бардык валидаторлор ушуну салыштырышат.",
        "Хеш файла генезиса: его сверяют все валидаторы перед запуском.",
    ),
    "Check a genesis file; what is wrong is named by its path.": Translated(
        "Генезис файлын текшерүү; катасы жолу менен аталат.",
        "Проверить файл генезиса; ошибка названа по её месту.",
    ),
    "Make the genesis of a new network from what its founders wrote down (docs/pilot.toml is the model).": Translated(
        "Негиздөөчүлөр жазгандан жаңы тармактын генезисин түзүү (үлгүсү docs/pilot.toml).",
        "Создать генезис новой сети из того, что записали её основатели (образец — docs/pilot.toml).",
    ),
    "The genesis file.": Translated(
        "Генезис файлы.",
        "Файл генезиса.",
    ),
    # archive
    "Write heights of a node's chain into segments, a day or 64 MiB each. The node must not run.": Translated(
        "Түйүндүн чынжырын бөлүктөргө жазуу, ар бири бир күн же 64 МиБ. Түйүн иштебеши керек.",
        "Записать высоты цепочки узла частями, по дню или по 64 МиБ. Узел не должен работать.",
    ),
    "Each segment names the hash of the one before. The last height is the last one that has a "
    "certificate of its own.": Translated(
        "Ар бир бөлүк мурункусунун хешин атайт. Акыркы бийиктик — өз сертификаты бар акыркысы.",
        "Каждая часть называет хеш предыдущей. Последняя высота — последняя с собственным сертификатом.",
    ),
    "The first height.": Translated(
        "Биринчи бийиктик.",
        "Первая высота.",
    ),
    "The last height; all there are if left out.": Translated(
        "Акыркы бийиктик; жазылбаса — баары.",
        "Последняя высота; если не указана — все, что есть.",
    ),
    "A directory without an archive.": Translated(
        "Архиви жок папка.",
        "Папка без архива.",
    ),
    "Verify an archive from the genesis: committees, certificates, headers, payloads, signatures, "
    "receipts, roots.": Translated(
        "Архивди генезистен баштап текшерүү: комитеттер, сертификаттар, баштар, мазмун, кол тамгалар, дүмүрчөктөр, "
        "тамырлар.",
        "Проверить архив от генезиса: комитеты, сертификаты, заголовки, содержимое, подписи, квитанции, корни.",
    ),
    "node/archive_verify.py does it, a program of its own, which runs without this one, too.": Translated(
        "Муну node/archive_verify.py кылат: өзүнчө программа, мунусуз да иштейт.",
        "Это делает node/archive_verify.py — отдельная программа, которая работает и без этой.",
    ),
    "Its hash, instead of the file.": Translated(
        "Файлдын ордуна анын хеши.",
        "Его хеш вместо файла.",
    ),
    "Execute an archive upon a node's chain, which is at height 0 (`som init`, `som resync`) or part of "
    "the archive.": Translated(
        "Архивди түйүндүн чынжырына аткаруу; чынжыр 0 бийиктигинде (`som init`, `som resync`) же архивдин бөлүгү.",
        "Исполнить архив поверх цепочки узла, которая на высоте 0 (`som init`, `som resync`) или часть архива.",
    ),
    "Every certificate and signature is verified and every root computed again. The node must not run.": Translated(
        "Ар бир сертификат жана кол тамга текшерилет, ар бир тамыр кайра эсептелет. Түйүн иштебеши керек.",
        "Каждый сертификат и подпись проверяются, каждый корень вычисляется заново. Узел не должен работать.",
    ),
    # doctor
    "Look at all that a validator needs: program, settings, keys, disk, ports, and if it runs, links and "
    "clock.": Translated(
        "Валидаторго керектүүнүн баарын кароо: программа, жөндөөлөр, ачкычтар, диск, порттор, иштеп жатса "
        "байланыштары жана сааты.",
        "Осмотреть всё, что нужно валидатору: программу, настройки, ключи, диск, порты, а если работает — связи и "
        "часы.",
    ),
    "With --node also whether those nodes serve the same network. Ends with 1 if anything is wrong; a "
    "warning is not.": Translated(
        "--node менен: ал түйүндөр ошол эле тармакты тейлейби. Бир нерсе туура эмес болсо 1 менен бүтөт; эскертүү "
        "эсептелбейт.",
        "С --node также: обслуживают ли те узлы ту же сеть. Если что-то неверно, завершается с 1; предупреждение не "
        "считается.",
    ),
    "Ask neither the node nor its peers.": Translated(
        "Түйүндү да, кошуналарын да сурабоо.",
        "Не спрашивать ни узел, ни соседей.",
    ),
    # key
    "First 16 digits of the genesis hash; * is any network.": Translated(
        "Генезис хешинин биринчи 16 саны; * — каалаган тармак.",
        "Первые 16 цифр хеша генезиса; * — любая сеть.",
    ),
    "No passphrase; opens only where the network is a devnet.": Translated(
        "Сырсөзсүз; тармак сыноо тармагы болгондо гана ачылат.",
        "Без парольной фразы; открывается только там, где сеть тестовая.",
    ),
    "Read the passphrase here instead of asking.": Translated(
        "Сырсөздү сурабай, ушул файлдан окуу.",
        "Читать парольную фразу здесь, не спрашивая.",
    ),
    "A consensus key that has signed needs its guard beside it as well; without it: som signer rebase.": Translated(
        "Кол койгон консенсус ачкычына жанындагы кароолу да керек; ал жок болсо: som signer rebase.",
        "Ключу консенсуса, который уже подписывал, нужен рядом и его страж; без него: som signer rebase.",
    ),
    "For a consensus key the first digits of the public key must be typed: a second copy that runs signs "
    "twice.": Translated(
        "Консенсус ачкычы үчүн ачык ачкычтын биринчи сандарын териш керек: иштеген экинчи көчүрмө эки жолу кол коёт.",
        "Для ключа консенсуса надо набрать первые цифры открытого ключа: вторая работающая копия подпишет дважды.",
    ),
    "Read the new passphrase here instead of asking.": Translated(
        "Жаңы сырсөздү сурабай, ушул файлдан окуу.",
        "Читать новую парольную фразу здесь, не спрашивая.",
    ),
    # signer
    "Make a signer's home, with a new key or with the one of a node that stands still.": Translated(
        "Кол коюучунун папкасын түзүү: жаңы ачкыч менен же токтоп турган түйүндүн ачкычы менен.",
        "Создать папку подписанта: с новым ключом или с ключом узла, который стоит.",
    ),
    "It shows the public half, for `som init --signer SOCKET --consensus-key HEX` of the node and for "
    "the genesis.": Translated(
        "Ачык жарымын көрсөтөт: түйүндүн `som init --signer SOCKET --consensus-key HEX` буйругу жана генезис үчүн.",
        "Показывает открытую половину: для `som init --signer SOCKET --consensus-key HEX` узла и для генезиса.",
    ),
    "Take key and guard out of this node.": Translated(
        "Ачкычты жана кароолду ушул түйүндөн алуу.",
        "Взять ключ и стража из этого узла.",
    ),
    "The PKCS#11 library of a device that is to make and hold the key.": Translated(
        "Ачкычты түзүп, сактай турган түзмөктүн PKCS#11 китепканасы.",
        "Библиотека PKCS#11 устройства, которое создаст и хранит ключ.",
    ),
    "The label of the token in the device.": Translated(
        "Түзмөктөгү токендин белгиси.",
        "Метка токена в устройстве.",
    ),
    "The label of the key in the token.": Translated(
        "Токендеги ачкычтын белгиси.",
        "Метка ключа в токене.",
    ),
    "A key without a passphrase, for a devnet only.": Translated(
        "Сырсөзсүз ачкыч, сыноо тармагы үчүн гана.",
        "Ключ без парольной фразы, только для тестовой сети.",
    ),
    "Read the key's passphrase, or the device's PIN, here instead of asking; /dev/fd/3 is a descriptor.": Translated(
        "Ачкычтын сырсөзүн же түзмөктүн PIN кодун сурабай, ушул файлдан окуу; /dev/fd/3 — дескриптор.",
        "Читать парольную фразу ключа или PIN устройства здесь, не спрашивая; /dev/fd/3 — дескриптор.",
    ),
    "Sign for one node at a time until told to stop.": Translated(
        "Токтотулганча бир учурда бир түйүн үчүн кол коюу.",
        "Подписывать для одного узла за раз, пока не остановят.",
    ),
    "Exit code 7: key, guard or settings, no restart mends it; 74: the disk or the device failed.": Translated(
        "Чыгуу коду 7: ачкыч, кароол же жөндөө, кайра баштоо жардам бербейт; 74: диск же түзмөк иштебей калды.",
        "Код 7: ключ, страж или настройки, перезапуск не поможет; 74: отказал диск или устройство.",
    ),
    "Where the node reaches it; its directory is 0700 and ours.": Translated(
        "Түйүн ага кайсы сокеттен жетет; папкасы 0700 жана биздики.",
        "Где узел его находит; папка сокета 0700 и наша.",
    ),
    "Show a key and what its guard remembers, of a signer or of a node with its own.": Translated(
        "Ачкычты жана анын кароолу эмнени эстеп турганын көрсөтүү: кол коюучунуку же түйүндүн өзүнүкү.",
        "Показать ключ и что помнит его страж: подписанта или узла с собственным.",
    ),
    "Begin a new guard where the old one is lost, above everything that the key can have signed.": Translated(
        "Эскиси жоголгондо, ачкыч кол коюшу мүмкүн болгондун баарынан жогору жаңы кароол баштоо.",
        "Начать нового стража, если старый потерян, выше всего, что ключ мог подписать.",
    ),
    "No epoch that may have begun is safe: take the height that several other validators show, now. The "
    "key signs again from the epoch after it. Nothing may run with this key meanwhile, here or anywhere.": Translated(
        "Башталышы мүмкүн болгон бир да доор коопсуз эмес: бир нече башка валидатор азыр көрсөткөн бийиктикти "
        "алыңыз. Ачкыч андан кийинки доордон кайра кол коёт. Бул аралыкта бул ачкыч менен эч жерде эч нерсе "
        "иштебеши керек.",
        "Ни одна эпоха, которая могла начаться, не безопасна: возьмите высоту, которую сейчас показывают несколько "
        "других валидаторов. Ключ снова подписывает с эпохи после неё. До тех пор с этим ключом нигде ничто не "
        "должно работать.",
    ),
    "Sign nothing before this epoch.": Translated(
        "Бул доорго чейин эч нерсеге кол койбоо.",
        "Не подписывать ничего до этой эпохи.",
    ),
    "A decree begins a new term, whose epochs have other numbers (docs/emergency.md). A signer's home "
    "follows none.": Translated(
        "Буйрук жаңы мезгилди баштайт, анын доорлору башкача номерленет (docs/emergency.md). Кол коюучунун папкасы "
        "эч бирине баш ийбейт.",
        "Указ начинает новый срок, эпохи которого имеют другие номера (docs/emergency.md). Папка подписанта не "
        "следует ни одному.",
    ),
    "How many decrees there were, for --height.": Translated(
        "--height үчүн: канча буйрук чыккан.",
        "Для --height: сколько было указов.",
    ),
    "those that this home follows": Translated(
        "бул папка баш ийгендери",
        "те, которым следует эта папка",
    ),
    "Or: nothing before the epoch after that of this height.": Translated(
        "Же: ушул бийиктиктин доорунан кийинкисине чейин эч нерсеге.",
        "Или: ничего до эпохи после той, что у этой высоты.",
    ),
    "Let a suspended key sign again, from the epoch after the foreign vote on.": Translated(
        "Токтотулган ачкычка бөтөн добуштан кийинки доордон баштап кайра кол койдуруу.",
        "Разрешить приостановленному ключу снова подписывать, с эпохи после чужого голоса.",
    ),
    "First find and end what signed with it. If that is not sure, make new keys instead "
    "(docs/operations.md).": Translated(
        "Адегенде аны менен эмне кол койгонун таап, токтотуңуз. Ишенимиңиз болбосо, жаңы ачкыч түзүңүз "
        "(docs/operations.md).",
        "Сначала найдите и остановите то, что им подписало. Если уверенности нет, создайте новые ключи "
        "(docs/operations.md).",
    ),
    # validator
    "The committee of this epoch, and the seats of which the next will be made.": Translated(
        "Бул доордун комитети жана кийинкиси түзүлө турган орундар.",
        "Комитет этой эпохи и места, из которых составится следующий.",
    ),
    "Admit a validator, or change its keys, weight or address.": Translated(
        "Валидаторду кабыл алуу же анын ачкычтарын, салмагын, дарегин өзгөртүү.",
        "Принять валидатора или изменить его ключи, вес или адрес.",
    ),
    "New keys count from the first epoch after they have proven ready (som validator ready); until then "
    "the old ones do.": Translated(
        "Жаңы ачкычтар даярдыгы далилденгенден (som validator ready) кийинки биринчи доордон эсептелет; ага чейин "
        "эскилери.",
        "Новые ключи действуют с первой эпохи после доказанной готовности (som validator ready); до тех пор старые.",
    ),
    "The validator: a new one is admitted, one that is there is changed.": Translated(
        "Валидатор: жаңысы кабыл алынат, бары өзгөртүлөт.",
        "Валидатор: нового принимают, имеющегося изменяют.",
    ),
    "Public key of its votes, as `som init` shows it.": Translated(
        "Добуштарынын ачык ачкычы, `som init` көрсөткөндөй.",
        "Открытый ключ его голосов, как показывает `som init`.",
    ),
    "Public key of its links.": Translated(
        "Байланыштарынын ачык ачкычы.",
        "Открытый ключ его связей.",
    ),
    "Its weight; a new one's is 1 unless said.": Translated(
        "Салмагы; жаңысыныкы айтылбаса 1.",
        "Его вес; у нового 1, если не сказано иначе.",
    ),
    "Where others dial it.": Translated(
        "Башкалар ага кайдан туташат.",
        "Где его вызывают другие.",
    ),
    "Remove a validator: it counts until the epoch ends, then its links are closed.": Translated(
        "Валидаторду чыгаруу: доор бүткөнчө эсептелет, анан байланыштары жабылат.",
        "Убрать валидатора: он считается до конца эпохи, затем связи с ним закрываются.",
    ),
    "Tell the network that a new validator is ready: its node says so, signed by its consensus key.": Translated(
        "Жаңы валидатор даяр деп тармакка айтуу: муну анын түйүнү консенсус ачкычы менен кол коюп айтат.",
        "Сообщить сети, что новый валидатор готов: это говорит его узел за подписью ключа консенсуса.",
    ),
    "Any account: it carries the word.": Translated(
        "Каалаган эсеп: сөздү ал жеткирет.",
        "Любой счёт: он передаёт это слово.",
    ),
    "The new validator's own RPC; the --node that is asked by default.": Translated(
        "Жаңы валидатордун өз RPC дареги; демейки — суралуучу --node.",
        "RPC самого нового валидатора; по умолчанию — спрашиваемый --node.",
    ),
    # net
    "A certificate holds a quorum, seldom all: who is missing in some was late, who is missing in all is "
    "away.": Translated(
        "Сертификатта кворум бар, сейрек баары: кээсинде жогу кечиккен, баарында жогу жок.",
        "В сертификате кворум, редко все: кого нет в некоторых, тот опоздал, кого нет ни в одном, тот отсутствует.",
    ),
    "How many of the latest.": Translated(
        "Акыркылардын канчасы.",
        "Сколько последних.",
    ),
    # evidence
    "All evidence that a node holds.": Translated(
        "Түйүндөгү бардык далилдер.",
        "Все доказательства, которые есть у узла.",
    ),
    "One piece of evidence: who, when, what was signed.": Translated(
        "Бир далил: ким, качан, эмнеге кол коюлган.",
        "Одно доказательство: кто, когда, что подписано.",
    ),
    "Also write a file for `som evidence verify`; there must be none.": Translated(
        "`som evidence verify` үчүн файл да жазуу; ал мурда болбошу керек.",
        "Записать и файл для `som evidence verify`; его ещё не должно быть.",
    ),
    "Check a file of evidence, offline: exit code 0 only if it convicts somebody.": Translated(
        "Далил файлын тармаксыз текшерүү: бирөөнү күнөөлөсө гана чыгуу коду 0.",
        "Проверить файл доказательства без сети: код 0, только если оно кого-то изобличает.",
    ),
    "The network's genesis, from your own copy.": Translated(
        "Тармактын генезиси, өз көчүрмөңүздөн.",
        "Генезис сети, из вашей копии.",
    ),
    # watch
    "Go on after the event that printed this cursor.": Translated(
        "Ушул курсорду чыгарган окуядан кийин улантуу.",
        "Продолжить после события, которое напечатало этот курсор.",
    ),
    "End after so many events.": Translated(
        "Ушунча окуядан кийин бүтүү.",
        "Закончить после стольких событий.",
    ),
    "Only this transaction; several may be named.": Translated(
        "Ушул транзакция гана; бир нечесин атаса болот.",
        "Только эта транзакция; можно назвать несколько.",
    ),
    # token
    "Make a token and print it, once. An earlier one of this name ends after --overlap hours.": Translated(
        "Токен түзүп, бир жолу басып чыгаруу. Бул аттагы мурункусу --overlap сааттан кийин бүтөт.",
        "Создать токен и напечатать его один раз. Прежний с этим именем кончается через --overlap часов.",
    ),
    "What it allows.": Translated(
        "Эмнеге уруксат берет.",
        "Что он разрешает.",
    ),
    "The account of the bank or authority that holds it.": Translated(
        "Токен ээси болгон банктын же органдын эсеби.",
        "Счёт банка или органа, у которого он.",
    ),
    "How long it holds.": Translated(
        "Канча күн күчүндө.",
        "Сколько дней действует.",
    ),
    "Calls a second.": Translated(
        "Секундасына чакыруулар.",
        "Вызовов в секунду.",
    ),
    "How long an earlier token of this name still holds.": Translated(
        "Бул аттагы мурунку токен дагы канча күчүндө.",
        "Сколько ещё действует прежний токен с этим именем.",
    ),
    "List tokens: names, what they allow, until when. Never the tokens.": Translated(
        "Токендердин тизмеси: аттары, эмнеге уруксат, качанга чейин. Токендердин өзү эч качан.",
        "Перечислить токены: имена, что разрешают, до какого времени. Сами токены — никогда.",
    ),
    "End all tokens of a name, at once.": Translated(
        "Бул аттагы бардык токендерди дароо бүтүрүү.",
        "Сразу прекратить все токены с этим именем.",
    ),
    "Only the one whose hash begins so; see list.": Translated(
        "Хеши ушундай башталганы гана; list караңыз.",
        "Только тот, хеш которого так начинается; см. list.",
    ),
    # admin
    "How the node does: readiness, queues, sizes.": Translated(
        "Түйүндүн иши: даярдыгы, кезектери, көлөмдөрү.",
        "Как идут дела у узла: готовность, очереди, размеры.",
    ),
    "The links: addresses, round trips, scores, errors.": Translated(
        "Байланыштар: даректер, убакыт, баалар, каталар.",
        "Связи: адреса, время отклика, оценки, ошибки.",
    ),
    "End the link with a peer; it is dialled anew at once.": Translated(
        "Кошуна менен байланышты үзүү; дароо кайра туташат.",
        "Разорвать связь с соседом; она сразу устанавливается заново.",
    ),
    "What the node logs from now on, until it ends.": Translated(
        "Мындан ары түйүн бүткөнчө эмнени журналга жазат.",
        "Что узел пишет в журнал с этого момента, пока не завершится.",
    ),
    "End the node, cleanly. A supervisor may start it again.": Translated(
        "Түйүндү тыкан токтотуу. Көзөмөлчү аны кайра баштаса болот.",
        "Завершить узел аккуратно. Надзирающая программа может запустить его снова.",
    ),
    "Who did what, and who read whose account under which order.": Translated(
        "Ким эмне кылды жана ким кайсы чечим менен кимдин эсебин окуду.",
        "Кто что сделал и кто по какому постановлению читал чей счёт.",
    ),
    "Check every hash and signature; the node need not run.": Translated(
        "Бардык хештерди жана кол тамгаларды текшерүү; түйүн иштебесе да болот.",
        "Проверить все хеши и подписи; узел может не работать.",
    ),
    "Only entries after this number.": Translated(
        "Ушул номерден кийинки жазуулар гана.",
        "Только записи после этого номера.",
    ),
    "The node's key, to check a copy elsewhere.": Translated(
        "Башка жердеги көчүрмөнү текшерүү үчүн түйүндүн ачкычы.",
        "Ключ узла, чтобы проверить копию в другом месте.",
    ),
    "Why the chain does not move: who is missing, what is awaited, what to do, and the page that goes on "
    "from there.": Translated(
        "Чынжыр эмнеге жылбайт: ким жок, эмне күтүлүүдө, эмне кылуу керек жана улантуучу барак.",
        "Почему цепочка стоит: кого нет, чего ждут, что делать и страница, где об этом дальше.",
    ),
    "Asks the node of --home by its socket, or with --node any node, which tells less. Ends with 0 if "
    "the chain moves.": Translated(
        "--home түйүнүн сокети аркылуу сурайт, же --node менен каалаган түйүндү, ал азыраак айтат. Чынжыр жылса 0 "
        "менен бүтөт.",
        "Спрашивает узел из --home через сокет или, с --node, любой узел, который скажет меньше. Если цепочка "
        "движется, завершается с 0.",
    ),
    "Make a validator ready to be stopped, if the others have a quorum without it.": Translated(
        "Башкаларда ансыз кворум болсо, валидаторду токтотууга даярдоо.",
        "Подготовить валидатор к остановке, если у остальных без него есть кворум.",
    ),
    "Asks the validators whose RPC is given with --node whether they are ready; for the others counts whether they "
    "are linked and heard. Then the node turns clients away (they go to another), and goes on voting until what it "
    "took in is executed.": Translated(
        "--node менен берилген валидаторлордон даярсыңарбы деп сурайт; калганы туташып, угулуп жатабы — ошону "
        "эсептейт. Анан түйүн кардарларды кайтарат (алар башкага барат), алганы аткарылганча добуш бере берет.",
        "Спрашивает валидаторов, чей RPC дан через --node, готовы ли они; для прочих считает, есть ли связь и "
        "слышны ли они. Затем узел отсылает клиентов (они идут к другому) и голосует, пока принятое не исполнено.",
    ),
    "End the node when nothing waits any more.": Translated(
        "Эч нерсе күтпөй калганда түйүндү токтотуу.",
        "Завершить узел, когда ничего больше не ждёт.",
    ),
    "Take clients again.": Translated(
        "Кардарларды кайра кабыл алуу.",
        "Снова принимать клиентов.",
    ),
    "Put together what somebody needs who helps: settings, state, links, metrics, checks, the end of the "
    "log.": Translated(
        "Жардам бергенге керектүүнү чогултуу: жөндөөлөр, абал, байланыштар, көрсөткүчтөр, текшерүүлөр, журналдын аягы.",
        "Собрать то, что нужно помогающему: настройки, состояние, связи, показатели, проверки, конец журнала.",
    ),
    "The node need not run. There is no key, passphrase or token in it, and nothing about anybody's "
    "account.": Translated(
        "Түйүн иштебесе да болот. Анда ачкыч, сырсөз же токен жок, эч кимдин эсеби жөнүндө да эч нерсе жок.",
        "Узел может не работать. Внутри нет ни ключа, ни парольной фразы, ни токена, ничего о чьих-либо счетах.",
    ),
    "[default: som-NAME-TIME.tar.gz]": Translated(
        "[демейкиси: som-NAME-TIME.tar.gz]",
        "[по умолчанию: som-NAME-TIME.tar.gz]",
    ),
    "The node's log.": Translated(
        "Түйүндүн журналы.",
        "Журнал узла.",
    ),
    # shadow
    "The gate before an upgrade: install the new software beside the old one and shadow a copy of a home. All "
    "roots, receipts, committees and protocol versions must be those that are stored; else the first difference is "
    "named, and the exit code is 1. Nothing of the home is changed.": Translated(
        "Жаңыртуунун алдындагы текшерүү: жаңы программаны эскисинин жанына орнотуп, папканын көчүрмөсүн аткарыңыз. "
        "Бардык тамырлар, дүмүрчөктөр, комитеттер жана протоколдун версиялары сакталгандай болушу керек; болбосо "
        "биринчи айырма аталып, чыгуу коду 1 болот. Папкада эч нерсе өзгөрбөйт.",
        "Проверка перед обновлением: установите новую программу рядом со старой и исполните копию папки. Все корни, "
        "квитанции, комитеты и версии протокола должны совпасть с сохранёнными; иначе названо первое отличие и код "
        "1. В папке ничего не меняется.",
    ),
    "Below it, compare roots only.": Translated(
        "Андан төмөн тамырлар гана салыштырылат.",
        "Ниже неё сравнивать только корни.",
    ),
    "Check all signatures too: of transactions, batches, certificates.": Translated(
        "Бардык кол тамгаларды да текшерүү: транзакциялардын, пакеттердин, сертификаттардын.",
        "Проверить и все подписи: транзакций, пакетов, сертификатов.",
    ),
    "Where the state is built that is thrown away at the end.": Translated(
        "Аягында ташталуучу абал кайда түзүлөт.",
        "Где строится состояние, которое в конце выбрасывается.",
    ),
    # index
    "Each block is there exactly once, whatever dies and when, and only when a quorum has certified what it did. One "
    "indexer writes a database; name several nodes with --node, and it goes on at the next one. docs/indexer.md has "
    "the tables, and questions that banks ask.": Translated(
        "Ар бир блок, эмне качан өчсө да, так бир жолу жана кворум анын ишин ырастаганда гана турат. Маалымат базасына "
        "бир индексчи жазат; --node менен бир нече түйүндү атаңыз, ал кийинкисинен улантат. Таблицалар жана банктар "
        "берген суроолор docs/indexer.md ичинде.",
        "Каждый блок там ровно один раз, что бы и когда ни отказало, и только когда кворум заверил сделанное им. В "
        "базу пишет один индексатор; назовите через --node несколько узлов, и он продолжит у следующего. Таблицы и "
        "вопросы, которые задают банки, — в docs/indexer.md.",
    ),
}
