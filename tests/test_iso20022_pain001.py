"""What a bank's payment file must be, and what refuses it."""

import tracemalloc
from collections.abc import Iterator
from datetime import date
from io import BytesIO, RawIOBase
from subprocess import PIPE, Popen, run
from sys import executable
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.iso20022.errors import FILE_CODES, FileCode, FileRefused
from node.iso20022.fields import AMOUNT_MAX, format_som
from node.iso20022.pain001 import Limits, read_payments, require_due
from node.iso20022.walk import PROBLEMS_MAX, TEXT_CHARS_MAX, TOKEN_BYTES_MAX
from node.ledger.account import account_number, format_account
from node.ledger.errors import LANGUAGES
from tests.iso20022_files import EXAMPLE, TREASURY, Batch, Message, Tx, codes, one, read, refused, wallet

UETR = "c386bbc4-cd61-4e30-98f1-6adf91b7584a"


# What is read


def test_a_payment_is_read_with_its_identifiers_account_and_tyiyn() -> None:
    file = read(one(end_to_end_id="E-7", instruction_id="I-7", amount="1234.5", uetr=UETR))
    (batch,) = file.payment_informations
    (payment,) = batch.payments
    assert (file.message_id, file.created, file.payments, file.total) == ("M1", "2026-09-01T09:00:00+06:00", 1, 123450)
    assert (batch.id, batch.debtor, batch.requested) == ("P1", TREASURY, date(2026, 9, 1))
    assert (payment.end_to_end_id, payment.instruction_id) == ("E-7", "I-7")
    assert (payment.creditor, payment.amount) == (wallet(1), 123450)
    assert payment.uetr == bytes.fromhex(UETR.replace("-", ""))


def test_the_example_file_is_read_whole() -> None:
    with EXAMPLE.open("rb") as source:
        file = read_payments(source)
    assert file.payments == 1000
    assert file.payment_informations[0].debtor == account_number(2, 1)


def test_names_addresses_and_remittance_are_kept_nowhere() -> None:
    secret = "Тайна-Купуя"
    envelope = f"<SplmtryData><Envlp><x xmlns='urn:x'>{secret}</x></Envlp></SplmtryData>"
    extra = f"<RmtInf><Ustrd>{secret}</Ustrd></RmtInf>{envelope}"
    assert secret not in repr(read(one(extra=extra)))


def test_control_sums_and_the_count_of_a_batch_may_be_left_out() -> None:
    message = Message([Batch(count=None, control_sum=None)], control_sum=None)
    assert read(message).payments == 1


@pytest.mark.parametrize("control_sum", ["100", "100.0", "0100.00", "+100.000000"])
def test_a_control_sum_is_compared_by_value(control_sum: str) -> None:
    assert read(Message(control_sum=control_sum)).total == 10000


def test_sums_are_exact_where_a_float_would_not_be() -> None:
    payments = [Tx(f"E{index}", amount="0.10") for index in range(3)]
    assert read(Message([Batch(payments, control_sum="0.30")], control_sum="0.3")).total == 30
    assert read(one(amount="9007199254740993.01")).total == 900719925474099301


@pytest.mark.parametrize(
    ("requested", "day"),
    [
        ("<Dt>2026-09-01+06:00</Dt>", date(2026, 9, 1)),
        ("<DtTm>2026-09-01T23:30:00Z</DtTm>", date(2026, 9, 2)),  # half past five in Bishkek
        ("<DtTm>2026-09-01T23:30:00</DtTm>", date(2026, 9, 1)),
        ("<DtTm>2026-09-01T01:02:03.123456789+06:00</DtTm>", date(2026, 9, 1)),
    ],
)
def test_the_requested_day_is_the_day_in_bishkek(requested: str, day: date) -> None:
    assert read(Message([Batch(requested=requested)])).payment_informations[0].requested == day


def test_comments_processing_instructions_and_blanks_change_nothing() -> None:
    text = Message().xml().replace("<MsgId>M1", "<?x y?>\n <!-- z --> <MsgId>M<!-- inside -->1")
    assert read(text).message_id == "M1"


def test_a_byte_order_mark_of_utf_8_is_accepted() -> None:
    assert read(b"\xef\xbb\xbf" + Message().xml().encode()).payments == 1


def test_the_digest_covers_every_byte_of_the_file() -> None:
    text = Message().xml()
    assert read(text).digest == read(text).digest
    assert read(text).digest != read(text + "\n").digest
    assert read(text).digest != read(text.replace("Асанов", "Исаков", 1)).digest


# Bytes that are no honest file


def test_file_too_large_is_refused() -> None:
    size = len(Message().xml().encode())
    assert read(Message(), Limits(file_bytes=size)).payments == 1
    assert codes(Message(), Limits(file_bytes=size - 1)) == ["FILE_TOO_LARGE"]


@pytest.mark.parametrize("encoding", ["windows-1251", "ISO-8859-1", "UTF-16", "bogus"])
def test_encoding_other_than_utf_8_is_refused(encoding: str) -> None:
    assert codes(Message(prologue=f'<?xml version="1.0" encoding="{encoding}"?>')) == ["ENCODING"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encoding_that_is_not_declared_is_refused_too(encoding: str) -> None:
    assert codes(Message(prologue="").xml().encode(encoding)) == ["ENCODING"]


def test_encoding_is_seen_though_the_bytes_come_one_by_one() -> None:
    class Slow(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1)

    with pytest.raises(FileRefused) as caught:
        read_payments(Slow(Message(prologue="").xml().encode("utf-16")))
    assert caught.value.code is FileCode.ENCODING
    assert read_payments(Slow(Message().xml().encode())).payments == 1


def test_dtd_is_refused() -> None:
    assert codes(Message(prologue="<!DOCTYPE Document>")) == ["DTD"]
    assert codes(Message(prologue='<!DOCTYPE Document SYSTEM "http://localhost/x.dtd">')) == ["DTD"]


def test_billion_laughs_are_refused_before_the_first() -> None:
    entities = '<!ENTITY a "лол">' + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    bomb = Message(message_id="&j;", prologue=f"<!DOCTYPE Document [{entities}]>")
    assert codes(bomb) == ["DTD"]


def test_an_external_entity_is_refused_and_not_fetched() -> None:
    prologue = '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    assert codes(Message(message_id="&x;", prologue=prologue)) == ["DTD"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "not xml",
        "<Document",
        Message().xml().replace("</MsgId>", "</MsgIdd>"),
        Message(message_id="&x;").xml(),
        Message(message_id="&#0;").xml(),
        Message().xml() + "<Document/>",
    ],
)
def test_not_well_formed_is_refused(text: str) -> None:
    assert codes(text) == ["NOT_WELL_FORMED"]


def test_not_well_formed_a_byte_that_is_no_utf_8_is_refused() -> None:
    assert codes(Message().xml().encode().replace(b"M1", b"M\xff")) == ["NOT_WELL_FORMED"]


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    data = Message().xml().encode()
    for end in range(len(data)):
        assert set(codes(data[:end])) == {"NOT_WELL_FORMED"}, end


def test_a_text_of_megabytes_is_refused_where_it_begins_to_be_one() -> None:
    extra = f"<RmtInf><Ustrd>{'x' * 5_000_000}</Ustrd></RmtInf>"
    tracemalloc.start()
    data = one(extra=extra).xml().encode()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    caught = refused(data)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert [problem.code for problem in caught.problems] == [FileCode.FIELD_TOO_LONG]
    assert str(TEXT_CHARS_MAX) in str(caught)
    assert peak < 2_000_000


@pytest.mark.parametrize("opening", ["<!--", "<RmtInf x='", "<?pi "])
def test_a_token_without_end_is_refused(opening: str) -> None:
    text = Message().xml().replace("<PmtInf>", f"<PmtInf>{opening}{'y' * (3 * TOKEN_BYTES_MAX)}", 1)
    assert codes(text) == ["FIELD_TOO_LONG"]


def test_elements_without_end_are_refused() -> None:
    assert codes(one(extra="<SplmtryData>" + "<x>" * 100_000)) == ["UNEXPECTED_ELEMENT"]


class Endless(RawIOBase):
    """A stream that never ends, of well-formed payments."""

    def __init__(self) -> None:
        self._parts = self._make()

    def _make(self) -> Iterator[bytes]:
        yield Message().xml().partition("</PmtInf>")[0].encode()
        number = 1
        while True:
            number += 1
            yield Tx(f"E{number}").xml().encode()

    def read(self, size: int = -1, /) -> bytes:
        return next(self._parts)


def test_a_stream_without_end_is_refused_at_the_cap() -> None:
    source = cast(BinaryIO, Endless())
    with pytest.raises(FileRefused) as caught:
        read_payments(source, Limits(payments=50))
    assert caught.value.code is FileCode.TOO_MANY_PAYMENTS


# The wrong message


@pytest.mark.parametrize("version", ["03", "08", "10", "13"])
def test_wrong_message_another_version_is_refused_by_its_name(version: str) -> None:
    namespace = f"urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}"
    caught = refused(Message(namespace=namespace))
    assert caught.code is FileCode.WRONG_MESSAGE
    assert f"pain.001.001.{version}" in str(caught)


def test_wrong_message_something_else_is_refused() -> None:
    assert codes("<html/>") == ["WRONG_MESSAGE"]
    assert codes(Message(namespace="")) == ["WRONG_MESSAGE"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<PmtInf>", "<Unknown/><PmtInf>"),  # no such element
        ("<PmtMtd>", "<PmtMtd>TRF</PmtMtd><PmtMtd>"),  # twice
        ("<PmtInfId>P1</PmtInfId><PmtMtd>TRF</PmtMtd>", "<PmtMtd>TRF</PmtMtd><PmtInfId>P1</PmtInfId>"),  # order
        ("<MsgId>M1", "<MsgId><b>M1</b>"),  # inside a text
        ("<PmtId>", "<PmtId>text"),  # between elements
        ("<Dt>", "<DtTm>2026-09-01T00:00:00</DtTm><Dt>"),  # one or the other
        ("<MsgId>", "<MsgId xmlns='urn:other'>"),  # of another namespace
        ("</CdtrAcct>", "</CdtrAcct><CdtrAcct/>"),  # a second account
    ],
)
def test_unexpected_element_is_refused(before: str, after: str) -> None:
    text = Message().xml()
    assert before in text
    assert codes(text.replace(before, after, 1))[0] == "UNEXPECTED_ELEMENT"


@pytest.mark.parametrize(
    "element",
    (
        "GrpHdr MsgId CreDtTm NbOfTxs InitgPty PmtInfId PmtMtd ReqdExctnDt Dt Dbtr DbtrAgt "
        "PmtId EndToEndId Amt InstdAmt CdtTrfTxInf PmtInf CstmrCdtTrfInitn"
    ).split(),
)
def test_missing_element_is_refused_by_its_name(element: str) -> None:
    text = Message(batches=[Batch(count=None)]).xml().replace("<InitgPty/>", "<InitgPty></InitgPty>")
    start = text.index(f"<{element}")
    end = text.rindex(f"</{element}>") + len(f"</{element}>")
    caught = refused(text[:start] + text[end:])
    missing = [problem.expected for problem in caught.problems if problem.code is FileCode.MISSING_ELEMENT]
    assert any(element in names for names in missing)


def test_missing_element_an_empty_one_is_none() -> None:
    assert codes(Message(message_id=" ")) == ["MISSING_ELEMENT"]


@pytest.mark.parametrize("length", [36, 10_000])
def test_field_too_long_is_refused(length: int) -> None:
    assert read(Message(message_id="M" * 35)).message_id == "M" * 35
    assert codes(Message(message_id="M" * length)) == ["FIELD_TOO_LONG"]
    assert "FIELD_TOO_LONG" in codes(one(end_to_end_id="E" * length))
    assert codes(one(end_to_end_id="Ү" * 35, instruction_id="I" * length)) == ["FIELD_TOO_LONG"]


@pytest.mark.parametrize(
    "message",
    [
        Message(message_id=" M1"),
        Message(message_id="M\u200b1"),
        Message(message_id="M\n1"),
        Message(created="yesterday"),
        Message(created="2026-W36-2"),
        Message(created="2026-02-30T00:00:00"),
        Message(created="2026-09-01T00:00:00+23:00"),
        Message(count="1.0"),
        Message(count="-1"),
        Message(count="\u0661"),
        Message(control_sum="1e2"),
        Message(control_sum="NaN"),
        Message(control_sum="1_00"),
        Message([Batch(requested="<Dt>01.09.2026</Dt>")]),
        Message([Batch(requested="<DtTm>2026-09-01</DtTm>")]),
        Message([Batch(requested="<DtTm>9999-12-31T23:00:00Z</DtTm>")]),
        one(end_to_end_id="E1\t"),
    ],
)
def test_field_form_is_refused(message: Message) -> None:
    assert codes(message) == ["FIELD_FORM"]


def test_too_many_payments_are_refused_by_the_count_they_state_and_by_the_count_they_have() -> None:
    payments = [Tx(f"E{index}") for index in range(4)]
    assert read(Message([Batch(payments)]), Limits(payments=4)).payments == 4
    assert codes(Message([Batch(payments)]), Limits(payments=3)) == ["TOO_MANY_PAYMENTS"]
    assert codes(Message([Batch(payments)], count="1"), Limits(payments=3)) == ["TOO_MANY_PAYMENTS"]
    assert codes(Message(count="999999999999999")) == ["TOO_MANY_PAYMENTS"]


# Counts and sums


def test_group_count_wrong_is_refused() -> None:
    caught = refused(Message(count="2"))
    assert [problem.code for problem in caught.problems] == [FileCode.GROUP_COUNT]
    assert (caught.problems[0].expected, caught.problems[0].actual) == ("2", "1")


@pytest.mark.parametrize("control_sum", ["100.01", "99.99", "100.001", "-100", "0"])
def test_group_sum_wrong_is_refused(control_sum: str) -> None:
    assert codes(Message(control_sum=control_sum)) == ["GROUP_SUM"]


def test_information_count_wrong_is_refused() -> None:
    assert codes(Message([Batch(count="2")])) == ["INFORMATION_COUNT"]


def test_information_sum_wrong_is_refused_in_the_batch_where_it_is() -> None:
    batches = [Batch(), Batch([Tx("E2")], id="P2", control_sum="100.01")]
    caught = refused(Message(batches))
    assert [(problem.code, problem.path) for problem in caught.problems] == [
        (FileCode.INFORMATION_SUM, "PmtInf[2]/CtrlSum")
    ]


# One payment


@pytest.mark.parametrize("method", ["CHK", "TRA"])
def test_payment_method_other_than_transfer_is_refused(method: str) -> None:
    assert codes(Message([Batch(method=method)])) == ["PAYMENT_METHOD"]


@pytest.mark.parametrize("currency", ["USD", "EUR", "kgs", "", "KGSX"])
def test_currency_other_than_som_is_refused(currency: str) -> None:
    assert codes(one(currency=currency)) == ["CURRENCY"]


def test_currency_of_an_account_and_an_equivalent_amount_are_refused() -> None:
    account = f"<CdtrAcct><Id><Othr><Id>{format_account(wallet(1))}</Id></Othr></Id><Ccy>USD</Ccy></CdtrAcct>"
    assert codes(one(account=account)) == ["CURRENCY"]
    equivalent = '<EqvtAmt><Amt Ccy="USD">1</Amt><CcyOfTrf>KGS</CcyOfTrf></EqvtAmt>'
    assert codes(one(amt=equivalent)) == ["CURRENCY"]
    assert codes(one(amt="<InstdAmt>1</InstdAmt>")) == ["CURRENCY"]


@pytest.mark.parametrize("amount", ["1.001", "1.000", "0.001"])
def test_decimals_more_than_two_are_refused(amount: str) -> None:
    assert codes(one(amount=amount)) == ["DECIMALS"]


@pytest.mark.parametrize("amount", ["1e3", "NaN", "Infinity", "1,00", "1 000", "0x10", "1_0", "\u0661", "--1", "."])
def test_amount_form_is_refused(amount: str) -> None:
    assert codes(one(amount=amount)) == ["AMOUNT_FORM"]


@pytest.mark.parametrize("amount", ["0", "0.00", "-0", "+0.0"])
def test_amount_zero_is_refused(amount: str) -> None:
    assert codes(one(amount=amount)) == ["AMOUNT_ZERO"]


def test_amount_negative_is_refused() -> None:
    assert codes(one(amount="-100.00")) == ["AMOUNT_NEGATIVE"]


def test_amount_too_large_is_refused_alone_and_in_sum() -> None:
    assert read(one(amount=format_som(AMOUNT_MAX))).total == AMOUNT_MAX
    assert codes(one(amount=format_som(AMOUNT_MAX + 1))) == ["AMOUNT_TOO_LARGE"]
    both = [Tx("E1", amount=format_som(AMOUNT_MAX)), Tx("E2", amount="0.01")]
    assert codes(Message([Batch(both)])) == ["AMOUNT_TOO_LARGE"]


def test_account_missing_is_refused_on_both_sides() -> None:
    assert codes(one(account="<UltmtCdtr/>")) == ["ACCOUNT_MISSING"]
    assert codes(one(account="<CdtrAcct/>")) == ["ACCOUNT_MISSING"]
    assert codes(one(account="<CdtrAcct><Id><Othr/></Id></CdtrAcct>")) == ["ACCOUNT_MISSING"]
    assert codes(Message([Batch(account="<DbtrAcct><Id/></DbtrAcct>")])) == ["ACCOUNT_MISSING"]


def test_account_iban_is_refused_and_the_reason_says_where_the_number_goes() -> None:
    caught = refused(one(account="<CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct>"))
    assert caught.code is FileCode.ACCOUNT_IBAN
    assert "Othr/Id" in caught.problems[0].text("ky")


@pytest.mark.parametrize("account", ["123", "010100000000010", "01010000000001030", "O101000000000103", "0" * 34])
def test_account_form_is_refused(account: str) -> None:
    assert codes(one(creditor=account)) == ["ACCOUNT_FORM"]


def test_account_check_digits_wrong_are_refused_on_both_sides() -> None:
    good = format_account(wallet(1))
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    assert codes(one(creditor=wrong)) == ["ACCOUNT_CHECK_DIGITS"]
    assert codes(Message([Batch(debtor=wrong)])) == ["ACCOUNT_CHECK_DIGITS"]


@pytest.mark.parametrize("uetr", [UETR.upper(), UETR.replace("4e30", "1e30"), UETR.replace("-98", "-c8"), "x"])
def test_uetr_form_is_refused(uetr: str) -> None:
    assert codes(one(uetr=uetr)) == ["UETR_FORM"]


# The payments together


def test_duplicate_information_is_refused() -> None:
    assert codes(Message([Batch(), Batch([Tx("E2")])])) == ["DUPLICATE_INFORMATION"]


def test_duplicate_end_to_end_id_is_refused_even_across_batches() -> None:
    assert codes(Message([Batch([Tx("E1"), Tx("E1")])])) == ["DUPLICATE_END_TO_END"]
    assert codes(Message([Batch(), Batch(id="P2")])) == ["DUPLICATE_END_TO_END"]


def test_duplicate_uetr_is_refused() -> None:
    assert codes(Message([Batch([Tx("E1", uetr=UETR), Tx("E2", uetr=UETR)])])) == ["DUPLICATE_UETR"]


def test_not_yet_due_is_refused_and_the_day_itself_is_not() -> None:
    file = read(Message())
    require_due(file, date(2026, 9, 1))
    with pytest.raises(FileRefused) as caught:
        require_due(file, date(2026, 8, 31))
    assert caught.value.code is FileCode.NOT_YET_DUE


# What is told


def test_every_problem_of_the_fields_is_told_at_once_with_its_place() -> None:
    batch = Batch([Tx("E1", currency="USD"), Tx("E2"), Tx("E3", creditor="1", amount="0.001")], count="7")
    found = [(str(problem.code), problem.path) for problem in refused(Message([batch])).problems]
    assert found == [
        ("CURRENCY", "PmtInf[1]/CdtTrfTxInf[1]/Amt/InstdAmt"),
        ("DECIMALS", "PmtInf[1]/CdtTrfTxInf[3]/Amt/InstdAmt"),
        ("ACCOUNT_FORM", "PmtInf[1]/CdtTrfTxInf[3]/CdtrAcct/Id/Othr/Id"),
        ("INFORMATION_COUNT", "PmtInf[1]/NbOfTxs"),
    ]


def test_a_problem_names_its_line() -> None:
    payments = [Tx("E1"), Tx("E2", amount="0")]
    caught = refused(Message([Batch(payments)]))
    lines = Message([Batch(payments)]).xml().splitlines()
    assert "E2" in lines[caught.line - 1]


def test_problems_are_told_up_to_a_bound() -> None:
    payments = [Tx(f"E{index}", amount="0") for index in range(PROBLEMS_MAX + 10)]
    assert len(refused(Message([Batch(payments)])).problems) == PROBLEMS_MAX


def test_a_refusal_knows_which_message_it_speaks_of() -> None:
    original = refused(one(amount="0")).original
    assert (original.message_id, original.created, original.payments) == ("M1", "2026-09-01T09:00:00+06:00", 1)


def test_what_a_stranger_wrote_is_told_on_one_short_line() -> None:
    caught = refused(one(amount="1\n\x85" + "9" * 30 + "x"))
    assert "\n" not in str(caught)
    assert len(str(refused("<" + "a" * 5000 + "/>"))) < 400


def test_every_code_has_a_reason_and_the_same_places_in_three_languages() -> None:
    assert set(FILE_CODES) == set(FileCode)
    for code, meaning in FILE_CODES.items():
        assert len(meaning.reason) == 4, code
        texts = [meaning.text(language) for language in LANGUAGES]
        assert len(set(texts)) == 3, code
        for name in ("{expected}", "{actual}"):
            assert len({name in text for text in texts}) == 1, code


# Size


READ_FROM_A_PIPE = """
import resource, sys
from node.iso20022.pain001 import read_payments
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
file = read_payments(sys.stdin.buffer)
print(file.payments, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_fifty_thousand_payments_from_a_pipe_take_memory_for_the_payments_alone() -> None:
    with Popen([executable, "-m", "devnet.pensions", "--recipients", "50000"], stdout=PIPE) as writer:
        done = run([executable, "-c", READ_FROM_A_PIPE], stdin=writer.stdout, capture_output=True, check=True)
    payments, kibibytes = map(int, done.stdout.split())
    assert payments == 50_000
    assert kibibytes < 48 * 1024  # the text is 28 MB; a tree of it takes over 200 MB


@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_changed_bytes_is_read_or_refused_and_nothing_else_escapes(seed: int) -> None:
    base = Message([Batch([Tx("E1", uetr=UETR), Tx("E2", instruction_id="I")]), Batch([Tx("E3")], id="P2")]).xml()

    @settings(max_examples=250, deadline=None, database=None)
    @given(st.lists(st.tuples(st.integers(0, len(base.encode()) - 1), st.binary(max_size=3)), min_size=1, max_size=4))
    def changed(changes: list[tuple[int, bytes]]) -> None:
        data = bytearray(base.encode())
        for place, patch in changes:
            data[place : place + max(1, len(patch) - seed % 2)] = patch
        try:
            read_payments(BytesIO(bytes(data)))
        except FileRefused as refused_file:
            for problem in refused_file.problems:
                assert all(problem.text(language) for language in LANGUAGES)

    changed()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FileRefused):
        read_payments(BytesIO(data))
