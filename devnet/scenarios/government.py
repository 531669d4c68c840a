"""What the Treasury pays: pensions in bulk, benefits for a purpose, and budget money on proof of delivery."""

from typing import Final

from devnet.generate import INSPECTOR, TREASURY, bank_account
from devnet.money import Wallet, open_wallets
from devnet.scenarios.stage import Stage, document, hold_id, new_number, new_serial, som
from node.cli.texts import Words
from node.ledger.account import SOM, Kind, account_number
from node.ledger.account_ops import CloseAccount
from node.ledger.attest import Attest
from node.ledger.errors import Code
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.pay import Pay
from node.ledger.settle import SettleHold

PENSIONERS: Final = 1_000
CLOSED: Final = (17, 404, 999)  # places in the list of those whose wallets are closed
PENSION: Final = 8_500_00
BENEFIT: Final = 3_000_00
SPENT: Final = 1_200_00
CONTRACT: Final = 2_500_000_00
CHILDRENS_WEAR: Final = 5641  # ISO 18245
LIQUOR_STORE: Final = 5921
NO_CONDITION: Final = Condition(b"", (), 0, "", "", False)


async def pensions(stage: Stage) -> None:
    """One transaction pays a thousand pensions, past the wallets that are closed."""
    serials = sorted({new_serial() for _ in range(PENSIONERS)})
    numbers = sorted(account_number(101, serial) for serial in serials)
    await open_wallets(stage.client, [Wallet(1, number) for number in numbers], lambda count: None)
    await stage.applied(
        Words(
            "{count} пенсионердин үчөөсүнүн капчыгын 1-банк жапкан",
            "Из {count} пенсионеров у троих банк 1 закрыл кошельки",
            "Of {count} pensioners three have had their wallets closed by bank 1",
        ),
        *(CloseAccount(bank_account(1), numbers[place]) for place in CLOSED),
        count=len(numbers),
    )
    legs = tuple((number, PENSION, b"pension") for number in numbers)
    await stage.refused(
        Words(
            "Баары же эч ким: казына тизмени өткөрүүсүз төлөөгө аракет кылат",
            "Всё или ничего: казначейство пытается заплатить по списку без пропусков",
            "All or nothing: the Treasury tries to pay the list with nobody left out",
        ),
        Code.PAYEE_BLOCKED,
        Pay(SOM, TREASURY, legs),
    )
    tx_id = await stage.applied(
        Words(
            "Бир транзакция: казына {count} адамга {amount} сомдон пенсия төлөйт",
            "Одна транзакция: казначейство платит {count} людям пенсию по {amount} сом",
            "One transaction: the Treasury pays {count} people a pension of {amount} som each",
        ),
        Pay(SOM, TREASURY, legs, partial=True),
        count=len(numbers),
        amount=som(PENSION),
    )
    skipped = (await stage.receipt(tx_id)).skipped
    stage.fact(
        Words(
            "Дүмүрчөктө жабык үч капчык гана калтырылган: 206 PAYEE_BLOCKED",
            "В квитанции пропущены только три закрытых кошелька: 206 PAYEE_BLOCKED",
            "The receipt lists as left out the three closed wallets alone: 206 PAYEE_BLOCKED",
        ),
        [(each.leg, each.name) for each in skipped],
        [(place, Code.PAYEE_BLOCKED.name) for place in CLOSED],
    )
    page = await stage.client.history_page(TREASURY)
    paid = [int(entry.amount) for entry in page.entries if entry.tx_id == tx_id.hex()]
    total = (len(numbers) - len(CLOSED)) * PENSION
    stage.fact(
        Words(
            "Казынадан так {amount} сом чыкты: төлөнгөн пенсиялардын суммасы",
            "Со счёта казначейства ушло ровно {amount} сом: сумма выплаченных пенсий",
            "Exactly {amount} som left the Treasury: the pensions that were paid",
        ),
        paid,
        [-total],
        amount=som(total),
    )
    stage.fact(
        Words(
            "Тизмедеги биринчи пенсионерде {amount} сом, жабык капчыкта 0",
            "У первого в списке {amount} сом, в закрытом кошельке 0",
            "The first of the list has {amount} som, a closed wallet 0",
        ),
        (await stage.balance(numbers[0]), await stage.balance(numbers[CLOSED[0]])),
        ((PENSION, 0), (0, 0)),
        amount=som(PENSION),
    )


async def vouchers(stage: Stage) -> None:
    """Child benefit for children's clothes: spent in the right shop, refused in the wrong one, back when it ends."""
    parent = await stage.open_wallet(1)
    clothes = await stage.open_wallet(2, 3, kind=Kind.MERCHANT, category=CHILDRENS_WEAR)
    liquor = await stage.open_wallet(3, 3, kind=Kind.MERCHANT, category=LIQUOR_STORE)
    for_children = NO_CONDITION._replace(categories=(CHILDRENS_WEAR,))
    legs = ((parent, BENEFIT, b"child benefit"),)
    day = await stage.now_ms() + 24 * 3_600_000
    tx_id = await stage.applied(
        Words(
            "Казына ата-энеге {amount} сомдук ваучер берет: балдар кийими үчүн гана (5641)",
            "Казначейство даёт родителю ваучер на {amount} сом: только на детскую одежду (5641)",
            "The Treasury gives a parent a voucher of {amount} som: for children's clothes alone (5641)",
        ),
        MakeHold(SOM, TREASURY, legs, 0, day, for_children),
        amount=som(BENEFIT),
    )
    voucher = hold_id(tx_id)
    stage.fact(
        Words(
            "Акча азырынча казынаныкы: ата-эненин капчыгында 0",
            "Деньги пока принадлежат казначейству: в кошельке родителя 0",
            "The money is the Treasury's still: the parent's wallet has 0",
        ),
        await stage.balance(parent),
        (0, 0),
    )
    await stage.refused(
        Words(
            "Ата-эне ваучер менен арак-шарап дүкөнүндө (5921) төлөөгө аракет кылат",
            "Родитель пытается заплатить ваучером в винном магазине (5921)",
            "The parent tries to pay by voucher in a liquor store (5921)",
        ),
        Code.PURPOSE,
        SettleHold(parent, voucher, SPENT, liquor, b"", False),
    )
    await stage.refused(
        Words(
            "Ата-эне ваучерди нак акчадай өзүнө которууга аракет кылат",
            "Родитель пытается перевести ваучер себе, как деньги",
            "The parent tries to take the voucher as money",
        ),
        Code.PURPOSE,
        SettleHold(parent, voucher, SPENT, parent, b"", False),
    )
    await stage.applied(
        Words(
            "Балдар кийими дүкөнүндө {amount} сом төлөнөт",
            "В магазине детской одежды оплачено {amount} сом",
            "In the shop of children's clothes {amount} som are paid",
        ),
        SettleHold(parent, voucher, SPENT, clothes, b"", False),
        amount=som(SPENT),
    )
    left = await stage.hold(voucher)
    stage.fact(
        Words(
            "Дүкөндө {spent} сом, ваучерде {left} сом калды",
            "У магазина {spent} сом, на ваучере осталось {left} сом",
            "The shop has {spent} som, the voucher {left} som left",
        ),
        (await stage.balance(clothes), left and int(left.left)),
        ((SPENT, 0), BENEFIT - SPENT),
        spent=som(SPENT),
        left=som(BENEFIT - SPENT),
    )
    await _expires(stage, parent, clothes, for_children)


async def _expires(stage: Stage, parent: int, clothes: int, condition: Condition) -> None:
    end = await stage.soon_ms()
    tx_id = await stage.applied(
        Words(
            "Экинчи ваучер, мөөнөтү кыска: {amount} сом",
            "Второй ваучер, с коротким сроком: {amount} сом",
            "A second voucher, with a near end: {amount} som",
        ),
        MakeHold(SOM, TREASURY, ((parent, BENEFIT, b"child benefit"),), 0, end, condition),
        amount=som(BENEFIT),
    )
    short = hold_id(tx_id)
    opened = await stage.hold(short)
    before = int(opened.left) if opened else 0
    await stage.passed(end)
    await stage.refused(
        Words(
            "Мөөнөтү өткөндөн кийин ата-эне аны сарптоого аракет кылат",
            "Когда срок прошёл, родитель пытается его потратить",
            "When it has ended, the parent tries to spend it",
        ),
        Code.NO_HOLD,
        SettleHold(parent, short, SPENT, clothes, b"", False),
    )
    stage.fact(
        Words(
            "{amount} сом казынага өзү кайтты: ваучер жок",
            "{amount} сом вернулись казначейству сами: ваучера больше нет",
            "{amount} som are the Treasury's again by themselves: the voucher is gone",
        ),
        (before, await stage.hold(short), await stage.balance(clothes)),
        (BENEFIT, None, (SPENT, 0)),
        amount=som(BENEFIT),
    )


async def budget(stage: Stage) -> None:
    """Budget money waits for the word of an inspector that the school was delivered."""
    supplier = await stage.open_wallet(2, 3, kind=Kind.MERCHANT, category=1520)  # general contractors
    contract = new_number("school")
    condition = NO_CONDITION._replace(schema="delivered", subject=contract)
    end = await stage.now_ms() + 90 * 24 * 3_600_000
    tx_id = await stage.applied(
        Words(
            "Казына {contract} келишими боюнча {amount} сом бөлөт: мектеп тапшырылганда гана төлөнөт",
            "Казначейство резервирует {amount} сом по договору {contract}: они выплатятся, когда школа сдана",
            "The Treasury sets aside {amount} som for contract {contract}: payable once the school is delivered",
        ),
        MakeHold(SOM, TREASURY, ((supplier, CONTRACT, contract.encode()),), supplier, end, condition),
        amount=som(CONTRACT),
        contract=contract,
    )
    money = hold_id(tx_id)
    claim = SettleHold(supplier, money, CONTRACT, 0, b"", False)
    await stage.refused(
        Words(
            "Куруучу акчаны эрте алууга аракет кылат",
            "Подрядчик пытается взять деньги заранее",
            "The contractor tries to take the money early",
        ),
        Code.NEEDS_ATTESTATION,
        claim,
    )
    await stage.refused(
        Words(
            "Казына убадаланган акчаны кайтарып алууга аракет кылат",
            "Казначейство пытается забрать обещанное",
            "The Treasury tries to take back what it promised",
        ),
        Code.ROLE,
        SettleHold(TREASURY, money, 0, 0, b"", True),
    )
    now = await stage.now_ms()
    report = document(f"acceptance report of {contract}")
    await stage.refused(
        Words(
            "Куруучу тапшырылганын өзү ырастоого аракет кылат",
            "Подрядчик пытается подтвердить сдачу сам",
            "The contractor tries to attest the delivery himself",
        ),
        Code.ROLE,
        Attest(supplier, "delivered", contract, 1, now, 0, report, b""),
    )
    await stage.applied(
        Words(
            "Инспектор ырастайт: мектеп тапшырылды, актынын хеши реестрде",
            "Инспектор подтверждает: школа сдана, хеш акта в реестре",
            "The inspector attests: the school is delivered; the hash of the report is on the ledger",
        ),
        Attest(INSPECTOR, "delivered", contract, 1, now, 0, report, b""),
    )
    await stage.applied(
        Words(
            "Эми куруучу {amount} сом алат",
            "Теперь подрядчик получает {amount} сом",
            "Now the contractor has {amount} som",
        ),
        claim,
        amount=som(CONTRACT),
    )
    stage.fact(
        Words(
            "Куруучунун эсебинде {amount} сом",
            "На счёте подрядчика {amount} сом",
            "The contractor's account has {amount} som",
        ),
        await stage.balance(supplier),
        (CONTRACT, 0),
        amount=som(CONTRACT),
    )
