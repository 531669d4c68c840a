"""What `som admin why-stalled` says of each cause: what it is, and what to do. Kyrgyz, Russian and English.

One rule: what is in braces is a figure or the names of a finding; all languages have the same.
"""

from typing import Final, NamedTuple

from node.cli.stalls import Cause, Finding
from node.cli.texts import Words
from node.ledger.errors import Language


class Advice(NamedTuple):
    """What a cause is, and what to do next."""

    what: Words
    do: Words


TEXTS: Final[dict[Cause, Advice]] = {
    Cause.MOVES: Advice(
        Words(
            "Чынжыр жылып жатат: {height}-блок", "Цепочка движется: блок {height}", "The chain moves: block {height}"
        ),
        Words("Эч нерсе кылуунун кереги жок", "Делать ничего не нужно", "Nothing is to be done"),
    ),
    Cause.VERSION_UNKNOWN: Advice(
        Words(
            "Кийинки доор протоколдун {next}-версиясын талап кылат, бул түйүн {known}-версияга чейин билет",
            "Следующая эпоха требует версии протокола {next}, этот узел знает до {known}",
            "The next epoch demands protocol version {next}; this node knows up to {known}",
        ),
        Words("Жаңы программаны орнотуңуз", "Установите новую программу", "Install the newer software"),
    ),
    Cause.FUTURE: Advice(
        Words(
            "Акыркы блоктун убактысы {seconds} секунддан кийин келет: тармак али башталган жок, же бул саат артта",
            "Время последнего блока наступит через {seconds} с: сеть ещё не началась, или эти часы отстают",
            "The time of the last block comes in {seconds} seconds: the network has not begun, or this clock is behind",
        ),
        Words(
            "Генезистин убактысын жана саатты караңыз: som status, som doctor",
            "Сверьте время генезиса и часы: som status, som doctor",
            "Look at the genesis' time and at the clock: som status, som doctor",
        ),
    ),
    Cause.DISK_FULL: Advice(
        Words("Диск толуп калды", "Диск почти полон", "The disk is nearly full"),
        Words(
            "Орун бошотуңуз; эң аягында data/ballast файлын өчүрүңүз",
            "Освободите место; в крайнем случае удалите data/ballast",
            "Free space; as a last resort delete data/ballast",
        ),
    ),
    Cause.SIGNER_AWAY: Advice(
        Words("Кол коюучу процесс жооп бербейт", "Процесс подписи не отвечает", "The signer process does not answer"),
        Words(
            "systemctl status som-signer; журналдан signer_away дегенди окуңуз",
            "systemctl status som-signer; прочтите signer_away в журнале",
            "systemctl status som-signer; read signer_away in the log",
        ),
    ),
    Cause.SIGNER_SUSPENDED: Advice(
        Words(
            "Биздин ачкыч менен башка бирөө кол койгон: ачкыч унчукпайт",
            "Нашим ключом подписал кто-то другой: ключ молчит",
            "Somebody else signed with our key: it keeps silent",
        ),
        Words(
            "Экинчи түйүндү же көчүрмөнү табыңыз; таппаганча бошотпоңуз",
            "Найдите второй узел или копию ключа; до этого не снимайте запрет",
            "Find the second node or the copy of the key; release nothing before",
        ),
    ),
    Cause.FENCED: Advice(
        Words(
            "Бул валидатор азырынча угуп гана турат: айтканын унутушу мүмкүн",
            "Этот валидатор пока только слушает: он мог забыть, что говорил",
            "This validator only listens for now: it may have forgotten what it said",
        ),
        Words(
            "Күтүңүз; эгер чынжыр ошондон турса, башка валидаторду көтөрүңүз",
            "Ждите; если цепочка стоит из-за этого, поднимите другой валидатор",
            "Wait; if the chain stands because of it, bring up another validator",
        ),
    ),
    Cause.DRAINING: Advice(
        Words("Кардарлар кабыл алынбайт (drain)", "Клиенты не принимаются (drain)", "Clients are turned away (drain)"),
        Words(
            "Токтотуңуз, же: som admin drain --undo",
            "Остановите узел или: som admin drain --undo",
            "Stop it, or: som admin drain --undo",
        ),
    ),
    Cause.BEHIND: Advice(
        Words("Бул түйүн тармактан артта", "Этот узел отстал от сети", "This node is behind the network"),
        Words(
            "Күтүңүз, блоктор алынып жатат; бийиктик өспөсө, som admin peers",
            "Ждите, блоки загружаются; если высота не растёт, som admin peers",
            "Wait, it fetches blocks; if the height does not rise, som admin peers",
        ),
    ),
    Cause.CUT_OFF: Advice(
        Words(
            "Бул түйүн эч ким менен байланышта эмес ({names}). {errors}",
            "Этот узел ни с кем не связан ({names}). {errors}",
            "This node has no link to anybody ({names}). {errors}",
        ),
        Words(
            "Биринчи бул машинанын тармагын, брандмауэрин, ачкычын текшериңиз: som doctor",
            "Сначала проверьте сеть, межсетевой экран и ключи этой машины: som doctor",
            "Look at this machine's own network, firewall and keys first: som doctor",
        ),
    ),
    Cause.NO_QUORUM: Advice(
        Words(
            "Кворум жок: салмак {present}, керек {quorum}. Жок: {names}. {errors}",
            "Нет кворума: вес {present}, нужно {quorum}. Отсутствуют: {names}. {errors}",
            "No quorum: weight {present} of {quorum} needed. Missing: {names}. {errors}",
        ),
        Words(
            "Алардын операторлоруна чалыңыз; дагы {lacking} салмак жетишет. Биротоло жоголсо: docs/emergency.md",
            "Позвоните их операторам; хватит веса ещё {lacking}. Если утрачены навсегда: docs/emergency.md",
            "Call their operators; weight {lacking} more is enough. If they are lost for good: docs/emergency.md",
        ),
    ),
    Cause.SOME_AWAY: Advice(
        Words("Байланышта эмес: {names}. {errors}", "Нет связи с: {names}. {errors}", "No link to: {names}. {errors}"),
        Words(
            "Аларсыз да жүрөт; операторлоруна айтыңыз",
            "Сеть работает и без них; сообщите их операторам",
            "The network goes on without them; tell their operators",
        ),
    ),
    Cause.BATCHES_MISSING: Advice(
        Words(
            "{batches} пакет эч кимден алынбай жатат",
            "Не удаётся получить пакеты: {batches}",
            "{batches} batches can not be fetched",
        ),
        Words(
            "som admin peers: ким байланышта? Пакеттин автору кайтып келиши керек",
            "som admin peers: кто на связи? Автор пакета должен вернуться",
            "som admin peers: who is linked? The author of the batch has to come back",
        ),
    ),
    Cause.EXECUTION_BEHIND: Advice(
        Words(
            "{blocks} түпкүлүктүү блок бул жерде али аткарылган жок",
            "Здесь ещё не исполнено окончательных блоков: {blocks}",
            "{blocks} final blocks are not executed here yet",
        ),
        Words(
            "Дискти жана процессорду текшериңиз: som doctor",
            "Проверьте диск и процессор: som doctor",
            "Look at disk and processor: som doctor",
        ),
    ),
    Cause.PROPOSAL_AWAITED: Advice(
        Words(
            "{names} сунушу күтүлүүдө (доор {epoch}, көрүнүш {view})",
            "Ожидается предложение {names} (эпоха {epoch}, вид {view})",
            "The proposal of {names} is awaited (epoch {epoch}, view {view})",
        ),
        Words(
            "Бир нече секундда кийинки лидер келет; келбесе {names} операторуна чалыңыз",
            "Через секунды лидер сменится; если нет, позвоните оператору {names}",
            "The next leader comes within seconds; if not, call the operator of {names}",
        ),
    ),
    Cause.VOTES_AWAITED: Advice(
        Words(
            "Добуш күтүлүүдө: {names} (доор {epoch}, көрүнүш {view})",
            "Ожидаются голоса: {names} (эпоха {epoch}, вид {view})",
            "Votes are awaited of {names} (epoch {epoch}, view {view})",
        ),
        Words(
            "Алардын /readyz жообун караңыз; операторлоруна чалыңыз",
            "Посмотрите их /readyz; позвоните операторам",
            "Look at their /readyz; call their operators",
        ),
    ),
    Cause.UNEXPLAINED: Advice(
        Words(
            "Баары байланышта жана сүйлөдү, бирок блок жок",
            "Все на связи и высказались, но блока нет",
            "All are linked and have spoken, and yet there is no block",
        ),
        Words(
            "Бир мүнөттөн кайталаңыз; андан кийин som admin bundle жасап, билдириңиз",
            "Повторите через минуту; затем som admin bundle и сообщите",
            "Ask again in a minute; then make a som admin bundle and report it",
        ),
    ),
}


def told(finding: Finding, language: Language) -> tuple[str, str]:
    """Return what is wrong and what to do, in a language."""
    given = {**finding.figures, "names": ", ".join(finding.names)}
    advice = TEXTS[finding.cause]
    return str(getattr(advice.what, language)).format(**given), str(getattr(advice.do, language)).format(**given)
