"""Private money under public rules: KGST, which som on the ledger backs, and USDKG, which attested gold backs."""

from typing import Final

from devnet.generate import (
    GOLD_AUDITOR,
    GOLD_MAX_AGE_MS,
    KGST,
    KGST_ISSUER,
    KGST_RESERVE,
    USDKG,
    USDKG_ISSUER,
    bank_account,
)
from devnet.scenarios.stage import Stage, document, pay, som, units
from node.cli.texts import Words
from node.ledger.account import SOM
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.errors import Code

DEPOSIT: Final = 500_000_00
DOLLAR: Final = 10**6
GOLD: Final = 1_000 * DOLLAR  # worth of the gold beyond what earlier runs left in circulation
ISSUED: Final = 600 * DOLLAR
FALLEN: Final = 500 * DOLLAR
SCHEMA: Final = "gold"
SUBJECT: Final = "USDKG"


async def kgst(stage: Stage) -> None:
    """KGST is issued against som in the reserve, deposit and issue in one transaction, and never a tyiyn beyond."""
    bank = bank_account(1)
    aida = await stage.open_wallet(1, som=100_00)
    before = await stage.asset(KGST)
    room = _number(before.cover.supply_max if before.cover else None) - int(before.supply)
    issued = DEPOSIT + room
    deposit = pay(bank, KGST_RESERVE, DEPOSIT, ref="deposit")
    await stage.refused(
        Words(
            "Эмитент адегенде KGST чыгарып, резервди кийин толтурмакчы",
            "Эмитент хочет сначала выпустить KGST, а резерв пополнить потом",
            "The issuer wants to issue KGST first and fill the reserve later",
        ),
        Code.UNBACKED,
        pay(KGST_ISSUER, bank, issued, KGST),
        deposit,
    )
    await stage.applied(
        Words(
            "Бир транзакция, эки тарап кол коёт: 1-банк резервге {deposit} сом салат жана {issued} KGST алат",
            "Одна транзакция, подписи обеих сторон: банк 1 вносит в резерв {deposit} сом и получает {issued} KGST",
            "One transaction, signed by both: bank 1 deposits {deposit} som in the reserve and gets {issued} KGST",
        ),
        deposit,
        pay(KGST_ISSUER, bank, issued, KGST, "issue"),
        deposit=som(DEPOSIT),
        issued=som(issued),
    )
    await stage.refused(
        Words("Дагы бир тыйын KGST", "Ещё один тыйын KGST", "One more tyiyn of KGST"),
        Code.UNBACKED,
        pay(KGST_ISSUER, bank, 1, KGST),
    )
    await stage.refused(
        Words(
            "Резервден бир тыйын чыгарууга аракет",
            "Попытка взять из резерва один тыйын",
            "An attempt to take one tyiyn out of the reserve",
        ),
        Code.RESERVE_FLOOR,
        pay(KGST_RESERVE, bank, 1),
    )
    after = await stage.asset(KGST)
    reserve, _ = await stage.balance(KGST_RESERVE)
    stage.fact(
        Words(
            "Чыгарылганы {supply} KGST, резервде {reserve} сом: бирге бир",
            "Выпущено {supply} KGST, в резерве {reserve} сом: один к одному",
            "{supply} KGST are issued, {reserve} som are in the reserve: one to one",
        ),
        (int(after.supply), reserve),
        (int(before.supply) + issued, int(before.supply) + issued),
        supply=som(int(after.supply)),
        reserve=som(reserve),
    )
    await stage.applied(
        Words("1-банк Айдага 250.00 KGST төлөйт", "Банк 1 платит Аиде 250.00 KGST", "Bank 1 pays Aida 250.00 KGST"),
        pay(bank, aida, 250_00, KGST),
    )
    await stage.applied(
        Words(
            "Айда аларды кайтарат жана резервден 250.00 сом алат: кайра бир транзакция",
            "Аида гасит их и получает из резерва 250.00 сом: снова одна транзакция",
            "Aida redeems them and gets 250.00 som from the reserve: one transaction again",
        ),
        pay(aida, KGST_ISSUER, 250_00, KGST),
        pay(KGST_RESERVE, aida, 250_00, SOM),
    )
    stage.fact(
        Words("Айдада 350.00 сом, KGST жок", "У Аиды 350.00 сом и ни одного KGST", "Aida has 350.00 som and no KGST"),
        (await stage.balance(aida), await stage.balance(aida, KGST)),
        ((350_00, 0), (0, 0)),
    )


async def usdkg(stage: Stage) -> None:
    """USDKG is issued against attested gold; an old word or too little gold stops issue, never redemption."""
    bank = bank_account(2)
    circulating = int((await stage.asset(USDKG)).supply)
    known = await stage.attested(SCHEMA, SUBJECT)
    if known is not None:  # of an earlier run
        await stage.do(RevokeAttestation(GOLD_AUDITOR, bytes.fromhex(known.id)))
    issue = pay(USDKG_ISSUER, bank, ISSUED, USDKG)
    await stage.refused(
        Words(
            "Эмитент аудитордун сөзүсүз {amount} USDKG чыгарууга аракет кылат",
            "Эмитент пытается выпустить {amount} USDKG без слова аудитора",
            "The issuer tries to issue {amount} USDKG without an auditor's word",
        ),
        Code.NO_ATTESTATION,
        issue,
        amount=units(ISSUED, 6),
    )
    ends = await stage.soon_ms()
    first = await _attest(
        stage,
        Words(
            "Аудитор алтынды 92 күн мурун эсептеген: {value} USDKG турат. Анын сөзү жакында эскирет",
            "Аудитор считал золото почти 92 дня назад: оно стоит {value} USDKG. Его слово скоро устареет",
            "The auditor counted the gold almost 92 days ago: worth {value} USDKG. His word will be too old soon",
        ),
        circulating + GOLD,
        ends - GOLD_MAX_AGE_MS,
        b"",
    )
    await stage.applied(
        Words(
            "Эмитент 2-банкка {amount} USDKG чыгарат",
            "Эмитент выпускает банку 2 {amount} USDKG",
            "The issuer issues {amount} USDKG to bank 2",
        ),
        issue,
        amount=units(ISSUED, 6),
    )
    await stage.passed(ends + 1)
    await stage.refused(
        Words(
            "Алтын жетет, бирок ырастоо эскирди: эмитент дагы 1 USDKG чыгарууга аракет кылат",
            "Золота хватает, но подтверждение устарело: эмитент пробует выпустить ещё 1 USDKG",
            "There is enough gold, but the attestation is too old: the issuer tries 1 USDKG more",
        ),
        Code.ATTESTATION_OLD,
        pay(USDKG_ISSUER, bank, DOLLAR, USDKG),
    )
    await _attest(
        stage,
        Words(
            "Аудитор кайра эсептейт; алтын арзандады: {value} USDKG",
            "Аудитор пересчитал; золото подешевело: {value} USDKG",
            "The auditor counts again; the price has fallen: {value} USDKG",
        ),
        circulating + FALLEN,
        await stage.now_ms(),
        first,
    )
    await stage.refused(
        Words(
            "Камсыздоо жетпейт: эмитент дагы 1 USDKG чыгарууга аракет кылат",
            "Обеспечения не хватает: эмитент пробует выпустить ещё 1 USDKG",
            "The backing is too low: the issuer tries 1 USDKG more",
        ),
        Code.UNBACKED,
        pay(USDKG_ISSUER, bank, DOLLAR, USDKG),
    )
    await stage.applied(
        Words(
            "Ээси баары бир кайтара алат: 2-банк {amount} USDKG кайтарат",
            "Держатель погашает всё равно: банк 2 возвращает {amount} USDKG",
            "A holder can redeem all the same: bank 2 redeems {amount} USDKG",
        ),
        pay(bank, USDKG_ISSUER, ISSUED, USDKG),
        amount=units(ISSUED, 6),
    )
    after = await stage.asset(USDKG)
    stage.fact(
        Words(
            "Жүгүртүүдө {supply} USDKG, алтын {value} USDKG турат",
            "В обращении {supply} USDKG, золото стоит {value} USDKG",
            "{supply} USDKG are issued, the gold is worth {value} USDKG",
        ),
        (int(after.supply), _number(after.cover.value if after.cover else None)),
        (circulating, circulating + FALLEN),
        supply=units(circulating, 6),
        value=units(circulating + FALLEN, 6),
    )


async def _attest(stage: Stage, words: Words, value: int, as_of_ms: int, revokes: bytes) -> bytes:
    """Let the auditor attest what the gold is worth; return the attestation's id."""
    evidence = document(f"count of the gold, {as_of_ms}")
    operation = Attest(GOLD_AUDITOR, SCHEMA, SUBJECT, value, as_of_ms, 0, evidence, revokes)
    await stage.applied(words, operation, value=units(value, 6))
    said = await stage.attested(SCHEMA, SUBJECT)
    return b"" if said is None else bytes.fromhex(said.id)


def _number(amount: str | None) -> int:
    return int(amount or 0)
