"""Make an example bank file: the pensions that the Central Treasury pays, as pain.001.001.09.

One rule: the same arguments give the same bytes. People, addresses and amounts are invented from a seed; the accounts
follow the devnet's scheme (participant 0002 is the Treasury, 0101.. are the banks, wallets count from 1).

    python -m devnet.pensions --recipients 1000 > pensions.xml
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import BinaryIO, Final, NamedTuple
from uuid import UUID
from xml.sax.saxutils import escape

from node.iso20022.fields import CURRENCY, format_som
from node.iso20022.shape import NAMESPACE
from node.ledger.account import (
    PARTICIPANT_MAX,
    SERIAL_MAX,
    AccountNumber,
    account_number,
    format_account,
    parse_account,
)

TREASURY: Final = account_number(2, 1)
BANKS: Final = (101, 102, 103)  # participants
RECIPIENTS_MAX: Final = 100_000  # what one file may hold
LOWEST_TYIYN: Final = 6_000_00
HIGHEST_TYIYN: Final = 15_000_00
STEP_TYIYN: Final = 1_00  # pensions are whole som
WITH_UETR: Final = 4  # every fourth payment brings its own UETR; the others' references are derived

_SURNAMES: Final = (
    "Абдыкадыров", "Асанов", "Байтемиров", "Джумабаев", "Жээнбеков", "Иманалиев", "Исаков", "Калыков", "Кыдыралиев",
    "Мамбетов", "Молдокматов", "Осмонов", "Сыдыков", "Токтогулов", "Турдубаев", "Усенов", "Чотбаев", "Шаршенов",
)  # fmt: skip
_WOMEN: Final = ("Айгүл", "Бүбүсара", "Гүлнара", "Жылдыз", "Зуура", "Каныкей", "Нургүл", "Сабира", "Токтобүбү")
_MEN: Final = ("Акматбек", "Бакыт", "Жумабек", "Кубанычбек", "Медер", "Нурлан", "Өмүрбек", "Сагынбек", "Таалайбек")
_TOWNS: Final = (
    ("720001", "Бишкек"), ("723500", "Ош"), ("720900", "Жалал-Абад"), ("722200", "Каракол"), ("722900", "Нарын"),
    ("724200", "Талас"), ("720300", "Баткен"), ("725000", "Токмок"),
)  # fmt: skip
_STREETS: Final = ("Чүй", "Манас", "Ленин", "Токтогул", "Абдрахманов", "Ысык-Көл", "Байтик Баатыр", "Курманжан Датка")


@dataclass(frozen=True, slots=True)
class Run:
    """One month's pensions."""

    recipients: int = 1_000
    debtor: AccountNumber = TREASURY
    banks: tuple[int, ...] = BANKS  # wallets are spread over them in turn
    first_serial: int = 1  # of the first wallet at each bank
    day: date = date(2026, 9, 1)
    message_id: str = "CT-PENS-2026-09"
    seed: int = 1


class Pension(NamedTuple):
    """One recipient's payment."""

    end_to_end_id: str
    uetr: str | None
    wallet: AccountNumber
    amount: int  # tyiyn
    name: str
    post_code: str
    town: str
    address: str


def wallet(run: Run, index: int) -> AccountNumber:
    """Return the wallet of recipient ``index``, from 0: 1,000 on three banks are 334, 333 and 333."""
    serial, bank = divmod(index, len(run.banks))
    return account_number(run.banks[bank], run.first_serial + serial)


def pensions(run: Run) -> Iterator[Pension]:
    """Yield the payments in the order of the file."""
    random = Random(run.seed)
    for index in range(run.recipients):
        steps = random.randrange((HIGHEST_TYIYN - LOWEST_TYIYN) // STEP_TYIYN + 1)
        uuid = UUID(int=random.getrandbits(128), version=4)
        post_code, town = random.choice(_TOWNS)
        yield Pension(
            f"{run.message_id}-{index + 1:06d}",
            str(uuid) if index % WITH_UETR == 0 else None,
            wallet(run, index),
            LOWEST_TYIYN + steps * STEP_TYIYN,
            _name(random),
            post_code,
            town,
            f"{random.choice(_STREETS)} {random.randint(1, 220)}-{random.randint(1, 80)}",
        )


def write_pensions(out: BinaryIO, run: Run) -> None:
    """Write the file, payment by payment."""
    total = sum(pension.amount for pension in pensions(run))
    out.write(_head(run, total).encode())
    for pension in pensions(run):
        out.write(_payment(run, pension).encode())
    out.write(b"</PmtInf>\n</CstmrCdtTrfInitn>\n</Document>\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file to the standard output."""
    write_pensions(sys.stdout.buffer, _run(arguments))


def _run(arguments: Sequence[str] | None) -> Run:
    usual = Run()
    parser = argparse.ArgumentParser(prog="python -m devnet.pensions", description="Write a pain.001.001.09 file.")
    parser.add_argument("--recipients", type=int, default=usual.recipients, help="how many are paid")
    parser.add_argument("--debtor", type=parse_account, default=usual.debtor, help="16 digits; usually the Treasury")
    parser.add_argument("--banks", type=int, nargs="+", default=usual.banks, help="participants that hold the wallets")
    parser.add_argument("--first-account", type=int, default=usual.first_serial, help="serial of each first wallet")
    parser.add_argument("--day", type=date.fromisoformat, default=usual.day, help="requested execution date")
    parser.add_argument("--message-id", default=usual.message_id, help="at most 28 characters")
    parser.add_argument("--seed", type=int, default=usual.seed)
    asked = parser.parse_args(arguments)
    if not 1 <= asked.recipients <= RECIPIENTS_MAX:
        parser.error(f"--recipients: 1..{RECIPIENTS_MAX}")
    if not 1 <= len(asked.message_id) <= 28 or not asked.message_id.isprintable():
        parser.error("--message-id: 1 to 28 characters")
    if not all(1 <= bank <= PARTICIPANT_MAX for bank in asked.banks) or len(set(asked.banks)) != len(asked.banks):
        parser.error(f"--banks: different participants, 1..{PARTICIPANT_MAX}")
    if not 0 <= asked.first_account <= SERIAL_MAX - asked.recipients:
        parser.error("--first-account: a serial number of ten digits")
    return Run(
        asked.recipients, asked.debtor, tuple(asked.banks), asked.first_account, asked.day, asked.message_id, asked.seed
    )


def _name(random: Random) -> str:
    surname = random.choice(_SURNAMES)
    return f"{surname}а {random.choice(_WOMEN)}" if random.random() < 0.6 else f"{surname} {random.choice(_MEN)}"


def _head(run: Run, total: int) -> str:
    message_id, amount = escape(run.message_id), format_som(total)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{NAMESPACE}">
<CstmrCdtTrfInitn>
<GrpHdr>
 <MsgId>{message_id}</MsgId>
 <CreDtTm>{run.day}T09:00:00+06:00</CreDtTm>
 <NbOfTxs>{run.recipients}</NbOfTxs>
 <CtrlSum>{amount}</CtrlSum>
 <InitgPty><Nm>Социалдык фонд</Nm></InitgPty>
</GrpHdr>
<PmtInf>
 <PmtInfId>{message_id}-1</PmtInfId>
 <PmtMtd>TRF</PmtMtd>
 <BtchBookg>true</BtchBookg>
 <NbOfTxs>{run.recipients}</NbOfTxs>
 <CtrlSum>{amount}</CtrlSum>
 <PmtTpInf><CtgyPurp><Cd>PENS</Cd></CtgyPurp></PmtTpInf>
 <ReqdExctnDt><Dt>{run.day}</Dt></ReqdExctnDt>
 <Dbtr><Nm>Борбордук казыналык</Nm><PstlAdr><TwnNm>Бишкек</TwnNm><Ctry>KG</Ctry></PstlAdr></Dbtr>
 <DbtrAcct><Id><Othr><Id>{format_account(run.debtor)}</Id></Othr></Id><Ccy>{CURRENCY}</Ccy></DbtrAcct>
 <DbtrAgt><FinInstnId><ClrSysMmbId><MmbId>{run.debtor // 10**12:04d}</MmbId></ClrSysMmbId></FinInstnId></DbtrAgt>
 <ChrgBr>SLEV</ChrgBr>
"""


def _payment(run: Run, pension: Pension) -> str:
    uetr = f"<UETR>{pension.uetr}</UETR>" if pension.uetr else ""
    account = format_account(pension.wallet)
    return f""" <CdtTrfTxInf>
  <PmtId><EndToEndId>{escape(pension.end_to_end_id)}</EndToEndId>{uetr}</PmtId>
  <Amt><InstdAmt Ccy="{CURRENCY}">{format_som(pension.amount)}</InstdAmt></Amt>
  <CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>{account[:4]}</MmbId></ClrSysMmbId></FinInstnId></CdtrAgt>
  <Cdtr><Nm>{pension.name}</Nm><PstlAdr><StrtNm>{pension.address}</StrtNm><PstCd>{pension.post_code}</PstCd>\
<TwnNm>{pension.town}</TwnNm><Ctry>KG</Ctry></PstlAdr></Cdtr>
  <CdtrAcct><Id><Othr><Id>{account}</Id></Othr></Id></CdtrAcct>
  <RmtInf><Ustrd>Пенсия {run.day:%Y-%m}</Ustrd></RmtInf>
 </CdtTrfTxInf>
"""


if __name__ == "__main__":
    main()
