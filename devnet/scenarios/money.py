"""How digital som comes into the world and reaches people: issue and redemption, and the two tiers."""

from typing import Final

from devnet.generate import ISSUER, bank_account, key_of
from devnet.scenarios.stage import Stage, new_serial, pay, som
from node.cli.texts import Words
from node.ledger.account import SOM, Kind, account_number
from node.ledger.errors import Code

ISSUED: Final = 1_000_000_00
SOLD: Final = 20_000_00


async def issue(stage: Stage) -> None:
    """Two of three board members issue som to a bank, and the bank gives it back."""
    bank = bank_account(1)
    person = await stage.open_wallet(1, som=100_00)
    before = int((await stage.asset(SOM)).supply)
    operation = pay(ISSUER, bank, ISSUED, ref="issue")
    await stage.refused(
        Words(
            "Башкарманын бир мүчөсү жалгыз {amount} сом чыгарууга аракет кылат",
            "Один член правления пытается выпустить {amount} сом в одиночку",
            "One board member alone tries to issue {amount} som",
        ),
        Code.NOT_SIGNED,
        operation,
        keys={ISSUER: (key_of("nbkr-board-1"),)},
        amount=som(ISSUED),
    )
    await stage.applied(
        Words(
            "Үчөөнүн экөөсү кол коёт: Улуттук банк 1-банкка {amount} сом чыгарат",
            "Двое из трёх подписали: Национальный банк выпускает банку 1 {amount} сом",
            "Two of three sign: the National Bank issues {amount} som to bank 1",
        ),
        operation,
        keys={ISSUER: (key_of("nbkr-board-2"), key_of("nbkr-board-3"))},
        amount=som(ISSUED),
    )
    stage.fact(
        Words(
            "Жүгүртүүдөгү сом {amount} көбөйдү", "В обращении стало на {amount} сом больше", "{amount} more is issued"
        ),
        int((await stage.asset(SOM)).supply),
        before + ISSUED,
        amount=som(ISSUED),
    )
    await stage.refused(
        Words(
            "Эмиссия түз жарандын капчыгына жөнөтүлөт",
            "Выпуск прямо в кошелёк гражданина",
            "An issue straight to a citizen's wallet",
        ),
        Code.MINT_PAYEE,
        pay(ISSUER, person, 100_00),
    )
    await stage.refused(
        Words(
            "Жаран сомду түз Улуттук банкка кайтарууга аракет кылат",
            "Гражданин пытается погасить сомы прямо в Национальном банке",
            "A citizen tries to redeem som at the National Bank directly",
        ),
        Code.REDEEM_PAYER,
        pay(person, ISSUER, 1_00),
    )
    await stage.applied(
        Words(
            "1-банк {amount} сомду кайтарат, алар жүгүртүүдөн чыгат",
            "Банк 1 возвращает {amount} сом, они изъяты из обращения",
            "Bank 1 redeems {amount} som, which leave circulation",
        ),
        pay(bank, ISSUER, ISSUED, ref="redeem"),
        amount=som(ISSUED),
    )
    stage.fact(
        Words("Жүгүртүүдө мурдагыдай эле", "В обращении столько же, сколько вначале", "As much is issued as at first"),
        int((await stage.asset(SOM)).supply),
        before,
    )


async def tiers(stage: Stage) -> None:
    """Banks open wallets, sell som to their customers and buy it back; the tier limits what a wallet may do."""
    bank = bank_account(1)
    await stage.refused(
        Words(
            "1-банк 2-банктын номери менен капчык ачууга аракет кылат",
            "Банк 1 пытается открыть кошелёк с номером банка 2",
            "Bank 1 tries to open a wallet under a number of bank 2",
        ),
        Code.FIELD,
        stage.opening(bank, account_number(102, new_serial()), Kind.PERSON, 1),
    )
    aida_number = account_number(101, new_serial())
    await stage.applied(
        Words(
            "1-банк Айдага капчык ачат: 1-деңгээл, реестрде аты-жөнү да, паспорту да жок",
            "Банк 1 открывает кошелёк Аиде: уровень 1, ни имени, ни паспорта в реестре нет",
            "Bank 1 opens a wallet for Aida: tier 1, no name and no passport on the ledger",
        ),
        stage.opening(bank, aida_number, Kind.PERSON, 1),
    )
    bakyt = await stage.open_wallet(2, tier=2)
    await stage.applied(
        Words("1-банк Айдага {amount} сом сатат", "Банк 1 продаёт Аиде {amount} сом", "Bank 1 sells Aida {amount} som"),
        pay(bank, aida_number, SOLD),
        amount=som(SOLD),
    )
    await stage.refused(
        Words(
            "Айда бир жолу 15 000.01 сом төлөөгө аракет кылат: 1-деңгээлдин чеги 15 000",
            "Аида пытается заплатить за раз 15 000.01 сом: предел уровня 1 — 15 000",
            "Aida tries to pay 15 000.01 som at once: the limit of tier 1 is 15 000",
        ),
        Code.LIMIT_TX,
        pay(aida_number, bakyt, 15_000_01),
    )
    await stage.applied(
        Words(
            "Айда 2-банктын кардары Бакытка 5 000.00 сом төлөйт, акысыз",
            "Аида платит Бакыту, клиенту банка 2, 5 000.00 сом, без комиссии",
            "Aida pays Bakyt, a customer of bank 2, 5 000.00 som, without a fee",
        ),
        pay(aida_number, bakyt, 5_000_00),
    )
    await stage.refused(
        Words(
            "1-банк Айдага дагы 90 000.00 сатууга аракет кылат: капчыкта 100 000ден ашпашы керек",
            "Банк 1 пытается продать Аиде ещё 90 000.00: в её кошельке не может быть больше 100 000",
            "Bank 1 tries to sell Aida 90 000.00 more: her wallet may hold 100 000",
        ),
        Code.LIMIT_BALANCE,
        pay(bank, aida_number, 90_000_00),
    )
    await stage.applied(
        Words(
            "2-банк Бакыттан 1 000.00 сом сатып алат",
            "Банк 2 выкупает у Бакыта 1 000.00 сом",
            "Bank 2 buys back 1 000.00 som from Bakyt",
        ),
        pay(bakyt, bank_account(2), 1_000_00),
    )
    stage.fact(
        Words(
            "Айдада 15 000.00, Бакытта 4 000.00 сом",
            "У Аиды 15 000.00, у Бакыта 4 000.00 сом",
            "Aida has 15 000.00, Bakyt 4 000.00 som",
        ),
        (await stage.balance(aida_number), await stage.balance(bakyt)),
        ((15_000_00, 0), (4_000_00, 0)),
    )
