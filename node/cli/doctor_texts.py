"""What `som doctor` says to do about each check that is not well. Kyrgyz, Russian and English."""

from typing import Final

from node.cli.texts import Words

DO: Final[dict[str, Words]] = {
    "python": Words(
        "Python 3.11 же 3.12 орнотуңуз; -O менен иштетпеңиз",
        "Установите Python 3.11 или 3.12; не запускайте с -O",
        "Install Python 3.11 or 3.12; never run with -O",
    ),
    "leveldb": Words(
        "requirements/run.txt боюнча кайра орнотуңуз",
        "Переустановите по requirements/run.txt",
        "Install anew from requirements/run.txt",
    ),
    "uvloop": Words(
        "Ансыз да иштейт, бирок жайыраак: uvloop орнотуңуз",
        "Работает и без него, но медленнее: установите uvloop",
        "It works without, but slower: install uvloop",
    ),
    "config": Words(
        "Бул орнотуулар чын эле ушундайбы? som config show",
        "Действительно ли эти настройки так задуманы? som config show",
        "Are these settings as meant? som config show",
    ),
    "keys": Words(
        "Бул папка эки валидатордуку эмеспи? Жаңы валидатор болсо, борбордук банк кабыл алганын текшериңиз",
        "Не смешаны ли папки двух валидаторов? Новый валидатор должен быть принят центральным банком",
        "Are homes of two validators mixed up? A newcomer has to be admitted by the central bank",
    ),
    "permissions": Words(
        "Ээси түйүндүн колдонуучусу, режими 0700 жана 0600 болсун",
        "Владелец: пользователь узла; режимы 0700 и 0600",
        "Owner: the node's user; modes 0700 and 0600",
    ),
    "disk": Words(
        "Орун бошотуңуз же дискти чоңойтуңуз", "Освободите место или увеличьте диск", "Free space or enlarge it"
    ),
    "sync": Words(
        "Диск жай: тармактык файл системасы эмеспи? SSD керек",
        "Медленный диск: не сетевая ли это файловая система? Нужен SSD",
        "A slow disk: is it a network file system? It takes an SSD",
    ),
    "listen": Words(
        "Түйүн иштесе: порт ачылбаган. Иштебесе: аны башка бирөө ээлеген",
        "Если узел работает: порт не отвечает. Если нет: порт занят другим",
        "If the node runs: the port does not answer. If not: somebody else has it",
    ),
    "rpc": Words(
        "Түйүн иштесе: порт ачылбаган. Иштебесе: аны башка бирөө ээлеген",
        "Если узел работает: порт не отвечает. Если нет: порт занят другим",
        "If the node runs: the port does not answer. If not: somebody else has it",
    ),
    "peers": Words(
        "Тармакты, брандмауэрди жана даректерди текшериңиз",
        "Проверьте сеть, межсетевой экран и адреса",
        "Look at the network, the firewall and the addresses",
    ),
    "node": Words(
        "Түйүн иштебей жатат же даяр эмес: som admin why-stalled",
        "Узел не работает или не готов: som admin why-stalled",
        "The node does not run or is not ready: som admin why-stalled",
    ),
    "links": Words(
        "som admin peers: эмне үчүн экенин айтат",
        "som admin peers: там сказано, почему",
        "som admin peers says why",
    ),
    "clock": Words(
        "NTP же chrony орнотуңуз: chronyc tracking",
        "Настройте NTP или chrony: chronyc tracking",
        "Set up NTP or chrony: chronyc tracking",
    ),
    "genesis": Words(
        "Бул башка тармак: генезис файлын салыштырыңыз",
        "Это другая сеть: сравните файл генезиса",
        "This is another network: compare the genesis file",
    ),
    "snapshots": Words(
        "Сүрөт жасалбай жатат же ага орун жок: журналдан snapshot_ саптарын окуңуз; snapshot.every = 0 өчүрөт",
        "Снимки не делаются, или им нет места: строки snapshot_ в журнале; snapshot.every = 0 выключает",
        "None is made, or the next has no room: the snapshot_ lines of the log; snapshot.every = 0 makes none",
    ),
    "pruning": Words(
        "Эски блоктор өчпөй жатат: журналды караңыз, түйүндү кайра иштетиңиз",
        "Старые блоки не удаляются: посмотрите журнал, перезапустите узел",
        "What is old does not go: look at the log, restart the node",
    ),
    "home": Words("som init аны түзөт", "Его создаёт som init", "som init makes it"),
}
