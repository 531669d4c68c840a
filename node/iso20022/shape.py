"""The shape of pain.001.001.09 as far as we read it: which element may stand where, how often, how long.

One rule: this is the official schema's content model, as data. What is ``SKIPPED`` is read past: any well-formed
content, kept nowhere. Account numbers are optional here and asked for by the reader, so that their absence has a code
of its own.
"""

from dataclasses import dataclass
from typing import Final

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
MESSAGE_NAME: Final = "pain.001.001.09"

TEXT_35: Final = 35  # Max35Text: identifiers
TEXT_34: Final = 34  # Max34Text: account numbers
NUMERIC_15: Final = 15  # Max15NumericText: counts
DECIMAL_CHARS: Final = 40  # 18 digits, a sign, a point and generous leading zeros
TIME_CHARS: Final = 40  # a date and time, a fraction of a second and a time zone
CODE_CHARS: Final = 4
UNBOUNDED: Final = 2**31  # the cap on payments and on the file's size bounds it


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element with text and no children. ``attribute`` is mandatory where it is named."""

    most: int  # characters
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An element of which nothing is kept."""


@dataclass(frozen=True, slots=True)
class Group:
    """An element with children in a fixed order, or with a choice of exactly one of them, or none if ``empty``."""

    children: dict[str, "Child"]
    choice: bool = False
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """How often a child stands in its parent, and where in the order."""

    node: Leaf | Skipped | Group
    order: int
    least: int
    most: int


SKIPPED: Final = Skipped()


def _group(*children: tuple[str, Leaf | Skipped | Group, int, int], choice: bool = False, empty: bool = False) -> Group:
    places = {name: Child(node, order, least, most) for order, (name, node, least, most) in enumerate(children)}
    return Group(places, choice, empty)


_CODE: Final = Leaf(CODE_CHARS)
_ID: Final = Leaf(TEXT_35)

ACCOUNT: Final = _group(
    (
        "Id",
        _group(
            ("IBAN", Leaf(TEXT_34), 0, 1),
            ("Othr", _group(("Id", Leaf(TEXT_34), 0, 1), ("SchmeNm", SKIPPED, 0, 1), ("Issr", SKIPPED, 0, 1)), 0, 1),
            choice=True,
            empty=True,
        ),
        0,
        1,
    ),
    ("Tp", SKIPPED, 0, 1),
    ("Ccy", _CODE, 0, 1),
    ("Nm", SKIPPED, 0, 1),
    ("Prxy", SKIPPED, 0, 1),
)

GROUP_HEADER: Final = _group(
    ("MsgId", _ID, 1, 1),
    ("CreDtTm", Leaf(TIME_CHARS), 1, 1),
    ("Authstn", SKIPPED, 0, 2),
    ("NbOfTxs", Leaf(NUMERIC_15), 1, 1),
    ("CtrlSum", Leaf(DECIMAL_CHARS), 0, 1),
    ("InitgPty", SKIPPED, 1, 1),
    ("FwdgAgt", SKIPPED, 0, 1),
)

PAYMENT: Final = _group(
    ("PmtId", _group(("InstrId", _ID, 0, 1), ("EndToEndId", _ID, 1, 1), ("UETR", Leaf(36), 0, 1)), 1, 1),
    ("PmtTpInf", SKIPPED, 0, 1),
    ("Amt", _group(("InstdAmt", Leaf(DECIMAL_CHARS, "Ccy"), 0, 1), ("EqvtAmt", SKIPPED, 0, 1), choice=True), 1, 1),
    ("XchgRateInf", SKIPPED, 0, 1),
    ("ChrgBr", SKIPPED, 0, 1),
    ("ChqInstr", SKIPPED, 0, 1),
    ("UltmtDbtr", SKIPPED, 0, 1),
    ("IntrmyAgt1", SKIPPED, 0, 1),
    ("IntrmyAgt1Acct", SKIPPED, 0, 1),
    ("IntrmyAgt2", SKIPPED, 0, 1),
    ("IntrmyAgt2Acct", SKIPPED, 0, 1),
    ("IntrmyAgt3", SKIPPED, 0, 1),
    ("IntrmyAgt3Acct", SKIPPED, 0, 1),
    ("CdtrAgt", SKIPPED, 0, 1),
    ("CdtrAgtAcct", SKIPPED, 0, 1),
    ("Cdtr", SKIPPED, 0, 1),
    ("CdtrAcct", ACCOUNT, 0, 1),
    ("UltmtCdtr", SKIPPED, 0, 1),
    ("InstrForCdtrAgt", SKIPPED, 0, UNBOUNDED),
    ("InstrForDbtrAgt", SKIPPED, 0, 1),
    ("Purp", SKIPPED, 0, 1),
    ("RgltryRptg", SKIPPED, 0, 10),
    ("Tax", SKIPPED, 0, 1),
    ("RltdRmtInf", SKIPPED, 0, 10),
    ("RmtInf", SKIPPED, 0, 1),
    ("SplmtryData", SKIPPED, 0, UNBOUNDED),
)

PAYMENT_INFORMATION: Final = _group(
    ("PmtInfId", _ID, 1, 1),
    ("PmtMtd", _CODE, 1, 1),
    ("BtchBookg", SKIPPED, 0, 1),
    ("NbOfTxs", Leaf(NUMERIC_15), 0, 1),
    ("CtrlSum", Leaf(DECIMAL_CHARS), 0, 1),
    ("PmtTpInf", SKIPPED, 0, 1),
    ("ReqdExctnDt", _group(("Dt", Leaf(TIME_CHARS), 0, 1), ("DtTm", Leaf(TIME_CHARS), 0, 1), choice=True), 1, 1),
    ("PoolgAdjstmntDt", SKIPPED, 0, 1),
    ("Dbtr", SKIPPED, 1, 1),
    ("DbtrAcct", ACCOUNT, 0, 1),
    ("DbtrAgt", SKIPPED, 1, 1),
    ("DbtrAgtAcct", SKIPPED, 0, 1),
    ("InstrForDbtrAgt", SKIPPED, 0, 1),
    ("UltmtDbtr", SKIPPED, 0, 1),
    ("ChrgBr", SKIPPED, 0, 1),
    ("ChrgsAcct", SKIPPED, 0, 1),
    ("ChrgsAcctAgt", SKIPPED, 0, 1),
    ("CdtTrfTxInf", PAYMENT, 1, UNBOUNDED),
)

MESSAGE: Final = _group(
    ("GrpHdr", GROUP_HEADER, 1, 1),
    ("PmtInf", PAYMENT_INFORMATION, 1, UNBOUNDED),
    ("SplmtryData", SKIPPED, 0, UNBOUNDED),
)

DOCUMENT: Final = _group(("CstmrCdtTrfInitn", MESSAGE, 1, 1))
