"""What an enforcer may do alone, what it may only do with the National Bank, and what both leave to be read."""

from typing import Final

from devnet.generate import CENTRAL_BANK, ENFORCER, ISSUER, TREASURY
from devnet.scenarios.stage import Stage, document, hold_id, new_number, pay, som
from node.cli.texts import Words
from node.ledger.account import SOM, Kind
from node.ledger.errors import Code
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.order import Arrest, Freeze, Seize, Unfreeze
from node.ledger.settle import SettleHold
from node.rpc.ledger_types import CountOrdersResult, GetOrderResult, ListOrdersResult

MONEY: Final = 9_000_00
PROMISED: Final = 4_000_00
ARRESTED: Final = 2_000_00
SEIZED: Final = 6_000_00
ACTS: Final = ("freeze", "arrest", "seize")
NO_CONDITION: Final = Condition(b"", (), 0, "", "", False)


async def orders(stage: Stage) -> None:
    """A freeze by the enforcer alone; an arrest and a seizure by two authorities, which reaches promised money too."""
    target = await stage.open_wallet(1, som=MONEY)
    friend = await stage.open_wallet(2, som=100_00)
    shop = await stage.open_wallet(3, 3, kind=Kind.MERCHANT, category=5411)
    frozen, arrested, seized = new_number("F"), new_number("A"), new_number("S")
    basis = document(f"case of {frozen}")
    before = await _given(stage)
    await _freeze(stage, target, friend, frozen, basis)
    promise = await _arrest(stage, target, shop, arrested, basis)
    await _seize(stage, target, shop, promise, seized, basis)
    await _log(stage, target, (frozen, arrested, seized), basis, before)


async def _freeze(stage: Stage, target: int, friend: int, number: str, basis: bytes) -> None:
    await stage.refused(
        Words(
            "Укук коргоо органы {number} чечими менен эмитенттин эсебин бөгөттөөгө аракет кылат",
            "Правоохранительный орган пытается заморозить счёт эмитента постановлением {number}",
            "The enforcer tries to freeze the issuer's account by order {number}",
        ),
        Code.IMMUNE,
        Freeze(ENFORCER, number, ISSUER, basis, False),
        number=number,
    )
    await stage.applied(
        Words(
            "Шашылыш: орган жалгыз өзү капчыкты {number} чечими менен бөгөттөйт",
            "Срочно: орган один замораживает кошелёк постановлением {number}",
            "Urgent: the enforcer alone freezes a wallet by order {number}",
        ),
        Freeze(ENFORCER, number, target, basis, False),
        number=number,
    )
    await stage.refused(
        Words("Капчыктан төлөөгө аракет", "Попытка заплатить из кошелька", "An attempt to pay out of the wallet"),
        Code.PAYER_BLOCKED,
        pay(target, friend, 1_00),
    )
    await stage.applied(
        Words("Капчыкка 50.00 сом келет", "На кошелёк приходит 50.00 сом", "50.00 som come in"),
        pay(friend, target, 50_00),
    )
    await stage.refused(
        Words(
            "Орган бөгөттү жалгыз алып салууга аракет кылат",
            "Орган пытается снять заморозку в одиночку",
            "The enforcer tries to lift the freeze alone",
        ),
        Code.SECOND_APPROVAL,
        Unfreeze(ENFORCER, number, basis),
    )
    await stage.applied(
        Words(
            "Улуттук банктын макулдугу менен бөгөт алынат",
            "С согласия Национального банка заморозка снята",
            "With the National Bank's approval the freeze is lifted",
        ),
        Unfreeze(ENFORCER, number, basis),
        also=[CENTRAL_BANK],
    )


async def _arrest(stage: Stage, target: int, shop: int, number: str, basis: bytes) -> bytes:
    day = await stage.now_ms() + 24 * 3_600_000
    tx_id = await stage.applied(
        Words(
            "Капчык ээси дүкөнгө {amount} сом убада кылат",
            "Владелец кошелька обещает магазину {amount} сом",
            "The wallet's owner promises {amount} som to a shop",
        ),
        MakeHold(SOM, target, ((shop, PROMISED, b"promise"),), shop, day, NO_CONDITION),
        amount=som(PROMISED),
    )
    arrest = Arrest(ENFORCER, number, target, basis, SOM, ARRESTED)
    await stage.refused(
        Words(
            "Орган {amount} сомду жалгыз камакка алууга аракет кылат",
            "Орган пытается арестовать {amount} сом в одиночку",
            "The enforcer tries to arrest {amount} som alone",
        ),
        Code.SECOND_APPROVAL,
        arrest,
        amount=som(ARRESTED),
    )
    arrested = await stage.applied(
        Words(
            "Эки макулдук: {amount} сом {number} чечими менен камакта, мөөнөтсүз",
            "Два согласия: {amount} сом арестованы постановлением {number}, без срока",
            "Two approvals: {amount} som are arrested by order {number}, without an end",
        ),
        arrest,
        also=[CENTRAL_BANK],
        amount=som(ARRESTED),
        number=number,
    )
    await stage.refused(
        Words(
            "Ээси камактагы акчаны бошотууга аракет кылат",
            "Владелец пытается высвободить арестованное",
            "The owner tries to free what is arrested",
        ),
        Code.UNDER_ORDER,
        SettleHold(target, hold_id(arrested), 0, 0, b"", True),
    )
    stage.fact(
        Words(
            "Капчыкта {balance} сом, анын ичинен {held} бош эмес",
            "В кошельке {balance} сом, из них {held} не свободны",
            "The wallet has {balance} som, of which {held} are not free",
        ),
        await stage.balance(target),
        (MONEY + 50_00, PROMISED + ARRESTED),
        balance=som(MONEY + 50_00),
        held=som(PROMISED + ARRESTED),
    )
    return hold_id(tx_id)


async def _seize(stage: Stage, target: int, shop: int, promise: bytes, number: str, basis: bytes) -> None:
    seize = Seize(ENFORCER, number, target, basis, SOM, SEIZED, TREASURY)
    await stage.refused(
        Words(
            "Орган {amount} сомду жалгыз өндүрүп алууга аракет кылат",
            "Орган пытается взыскать {amount} сом в одиночку",
            "The enforcer tries to seize {amount} som alone",
        ),
        Code.SECOND_APPROVAL,
        seize,
        amount=som(SEIZED),
    )
    await stage.applied(
        Words(
            "Эки макулдук: {amount} сом казынага өндүрүлөт; адегенде бош акча, анан убада кылынганы",
            "Два согласия: {amount} сом взысканы в казну; сначала свободные деньги, затем обещанные",
            "Two approvals: {amount} som are seized for the Treasury; free money first, then what was promised",
        ),
        seize,
        also=[CENTRAL_BANK],
        amount=som(SEIZED),
    )
    left = MONEY + 50_00 - SEIZED
    hold = await stage.hold(promise)
    stage.fact(
        Words(
            "Капчыкта {left} сом калды; дүкөнгө убаданын {promised} сому калды; камак кол тийбеген",
            "В кошельке осталось {left} сом; от обещания магазину осталось {promised}; арест не тронут",
            "The wallet has {left} som left; of the promise {promised} are left; the arrest is whole",
        ),
        (await stage.balance(target), hold and int(hold.left)),
        ((left, left), left - ARRESTED),
        left=som(left),
        promised=som(left - ARRESTED),
    )
    await stage.refused(
        Words(
            "Дүкөн убада кылынгандын баарын алууга аракет кылат",
            "Магазин пытается получить всё обещанное",
            "The shop tries to get all that was promised",
        ),
        Code.EXCEEDS_HOLD,
        SettleHold(shop, promise, PROMISED, 0, b"", False),
    )


async def _given(stage: Stage) -> dict[str, int]:
    """Return how many orders the enforcer has given, by act."""
    counted = await stage.read("order_getCounts", CountOrdersResult)
    given = {str(each.act): each.given for each in counted.counts if int(each.authority) == ENFORCER}
    return {act: given.get(act, 0) for act in ACTS}


async def _log(stage: Stage, target: int, numbers: tuple[str, str, str], basis: bytes, before: dict[str, int]) -> None:
    given = await _given(stage)
    stage.fact(
        Words(
            "Саны ар кимге ачык: бөгөт {freeze}, камак {arrest}, өндүрүү {seize}",
            "Число открыто каждому: заморозок {freeze}, арестов {arrest}, взысканий {seize}",
            "The number is public: freezes {freeze}, arrests {arrest}, seizures {seize}",
        ),
        all(given[act] > before[act] for act in ACTS),
        True,
        **given,
    )
    log = [await stage.read("order_get", GetOrderResult, authority=f"{ENFORCER:016d}", number=each) for each in numbers]
    stage.fact(
        Words(
            "Журналда {numbers}: эсеби, негизи жана убактысы менен (devnet'те баарына ачык)",
            "В журнале {numbers}: со счётом, основанием и временем (на devnet открыт всем)",
            "In the log {numbers}: with account, basis and time (open to all on a devnet)",
        ),
        [(each.order.act, int(each.order.target), each.order.basis, each.order.stands) for each in log],
        [
            ("freeze", target, basis.hex(), False),
            ("arrest", target, basis.hex(), True),
            ("seize", target, basis.hex(), False),
        ],
        numbers=", ".join(numbers),
    )
    standing = await stage.read("order_list", ListOrdersResult, target=f"{target:016d}")
    stage.fact(
        Words(
            "Капчыкка каршы азыр камак гана күчүндө",
            "Против кошелька сейчас действует только арест",
            "Against the wallet only the arrest stands now",
        ),
        [(each.number, each.act) for each in standing.orders],
        [(numbers[1], "arrest")],
    )
