"""Write a debit and credit notification, camt.054.001.08: entries of an account, as soon as they are final.

One rule: a notification is a function of its entries alone, so one that is written again is the same message, to the
byte, under the same name.
"""

from collections.abc import Sequence
from typing import BinaryIO, Final

from consensus.encoding import digest, encode
from node.iso20022.camt import Line, write_account, write_entry
from node.iso20022.fields import format_date_time
from node.iso20022.xml import DECLARATION, XmlWriter
from node.ledger.account import AccountNumber, format_account

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
NOTIFICATION_TAG: Final = b"som-iso-notification-1"


def notification_name(account: AccountNumber, lines: Sequence[Line]) -> str:
    """Return the name of a notification's file: sorted by name, they are in the order of booking."""
    return f"camt054-{format_account(account)}-{lines[0].number:012d}-{lines[-1].number:012d}.xml"


def write_notification(out: BinaryIO, account: AccountNumber, lines: Sequence[Line], genesis_hash: bytes) -> None:
    """Write entries of som, at least one, in the order of booking. Raises Unwritable."""
    first, last = lines[0].number, lines[-1].number
    named = digest(NOTIFICATION_TAG, encode((genesis_hash, int(account), first, last)))[:16].hex()
    created = format_date_time(lines[-1].entry.time_ms)
    xml = XmlWriter(out)
    xml.line(DECLARATION)
    xml.open("Document", f' xmlns="{NAMESPACE}"')
    with xml.element("BkToCstmrDbtCdtNtfctn"):
        with xml.element("GrpHdr"):
            xml.leaf("MsgId", named)
            xml.leaf("CreDtTm", created)
        with xml.element("Ntfctn"):
            xml.leaf("Id", named)
            xml.leaf("ElctrncSeqNb", str(last))
            xml.leaf("CreDtTm", created)
            write_account(xml, account)
            for line in lines:
                write_entry(xml, account, line)
    xml.close("Document")
