"""National QR codes: real ones are read, ours are drawn, and a damaged one is never taken for a whole one."""

from binascii import crc_hqx
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from node.ledger.errors import LANGUAGES
from node.qr.errors import TEXTS, QrCode, QrRefused
from node.qr.link import AMOUNT_DIGITS_MAX, LINK_CHARS_MAX, NAME_CHARS_MAX, Kind, Link, format_link, parse_link
from node.qr.tlv import parse_fields

VECTORS = Path(__file__).parent / "vectors" / "national_qr_links.txt"
REAL = dict(line.split("\t") for line in VECTORS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
SHOP = Link(Kind.STATIC, "digital-som", "Нан дүкөнү", "5411", "pay", "0011000000010057", amount=250_00)


def code_of(text: str) -> tuple[QrCode, str]:
    with pytest.raises(QrRefused) as caught:
        parse_link(text)
    return caught.value.code, caught.value.place


def sealed(*fields: tuple[str, str], digits: str | None = None) -> str:
    """Fields with their checksum behind them."""
    body = "".join(f"{tag}{len(value):02d}{value}" for tag, value in fields)
    return f"{body}6304{digits or sha256(body.encode()).hexdigest()[-4:]}"


GOOD = (
    ("00", "01"),
    ("01", "11"),
    ("32", "0011digital-som"),
    ("52", "5411"),
    ("53", "417"),
    ("54", "100"),
    ("59", "Shop"),
)


def changed(tag: str, value: str | None) -> str:
    kept = [(name, value if name == tag else old) for name, old in GOOD]
    return sealed(*((name, told) for name, told in kept if told is not None))


@pytest.mark.parametrize("name", REAL)
def test_a_real_code_is_read_and_its_checksum_fits(name: str) -> None:
    link = parse_link(REAL[name])
    assert link.payee is not None
    assert not link.payee_editable


def test_real_codes_say_what_they_said() -> None:
    dynamic, static, card = (parse_link(REAL[name]) for name in REAL)
    assert (dynamic.kind, dynamic.amount, dynamic.amount_editable) == (Kind.DYNAMIC, 12_412_00, False)
    assert (static.kind, static.amount, static.amount_editable) == (Kind.STATIC, None, True)
    assert (dynamic.provider, dynamic.service, dynamic.name) == ("qr.finik.kg", "averspay-items", "Finik-QR")
    assert (card.name, card.category) == ("0000 **** **** 1234", "4822")


@pytest.mark.parametrize("name", REAL)
def test_either_case_of_the_checksum_is_taken_and_the_bare_payload_too(name: str) -> None:
    payload = unquote(REAL[name].partition("#")[2])
    for text in (payload[:-4] + payload[-4:].upper(), payload[:-4] + payload[-4:].lower(), f" {payload}\n"):
        assert parse_link(text) == parse_link(REAL[name])


@pytest.mark.parametrize("name", REAL)
def test_one_changed_character_of_a_real_code_is_found(name: str) -> None:
    payload = unquote(REAL[name].partition("#")[2])
    for at, character in enumerate(payload):
        for other in "07aZ":
            damaged = payload[:at] + other + payload[at + 1 :]
            if other.lower() != character.lower() and not _collides(damaged):
                with pytest.raises(QrRefused):
                    parse_link(damaged)


def _collides(text: str) -> bool:
    """Whether four digits of a hash happen to fit: one text in 65,536."""
    body, told = text[:-8], text[-4:]
    return text[-8:-4] == "6304" and sha256(body.encode()).hexdigest()[-4:] == told.lower()


TEXT = st.text(st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P", "S"]), min_size=1, max_size=32)
SHORT = TEXT.map(lambda text: text[:12])
LINKS = st.builds(
    Link,
    kind=st.sampled_from(Kind),
    provider=SHORT,
    name=TEXT.map(lambda text: text[:NAME_CHARS_MAX]),
    category=st.from_regex("[0-9]{4}", fullmatch=True),
    service=st.none() | SHORT,
    payee=st.none() | SHORT,
    transaction_id=st.none() | SHORT,
    amount_editable=st.booleans(),
    payee_editable=st.booleans(),
    merchant=st.none() | TEXT,
    merchant_service=st.none() | TEXT,
    comment=st.none() | TEXT,
    amount=st.none() | st.integers(1, 10**AMOUNT_DIGITS_MAX - 1),
    others=st.lists(st.tuples(st.sampled_from(["35", "39", "62", "99"]), TEXT), max_size=2).map(tuple),
)


@given(LINKS)
def test_what_is_drawn_is_read_again(link: Link) -> None:
    assert parse_link(format_link(link)) == link


@given(LINKS, st.data())
def test_one_changed_character_is_found(link: Link, data: st.DataObject) -> None:
    payload = unquote(format_link(link).partition("#")[2])
    at = data.draw(st.integers(0, len(payload) - 1))
    other = data.draw(st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P"]))
    damaged = payload[:at] + other + payload[at + 1 :]
    assume(other.lower() != payload[at].lower() and not _collides(damaged))
    with pytest.raises(QrRefused):
        parse_link(damaged.replace("%", "%25").replace("#", "%23"))


@given(st.text(max_size=300) | st.from_regex("([0-9]{4}[a-z0-9]{0,9}){1,9}", fullmatch=True) | st.text("0123456%F#"))
@example("https://pay.payqr.kg/#")
@example("#%ff%fe")
@example("\ud800")
@example("%\ud800")
@example("6304")
def test_whatever_the_text_it_is_a_link_or_a_coded_error(text: str) -> None:
    try:
        parse_link(text)
    except QrRefused as refused:
        told = [refused.text("ky"), refused.text("ru"), str(refused)]
    else:
        told = ["a link"]
    assert all(told)


@given(st.text(max_size=120), st.text(max_size=120), st.integers(), st.text(max_size=5))
def test_whatever_is_to_be_drawn_is_drawn_or_a_coded_error(name: str, payee: str, amount: int, category: str) -> None:
    link = Link(Kind.STATIC, "digital-som", name, category, payee=payee, amount=amount)
    try:
        text = format_link(link)
    except QrRefused:
        return
    assert parse_link(text) == link


def test_the_order_of_fields_is_the_writers() -> None:
    text = sealed(*reversed(GOOD))
    assert parse_link(text) == parse_link(sealed(*GOOD))
    middle = sealed(*GOOD)
    body, seal = middle[:-8], middle[-8:]
    assert parse_link(seal + body) == parse_link(middle)  # the other fields are the same, in the same order


def test_lengths_count_characters_and_the_hash_is_over_bytes() -> None:
    payload = unquote(format_link(SHOP).partition("#")[2])
    assert ("59", "Нан дүкөнү") in parse_fields(payload)
    assert "5910Нан дүкөнү" in payload


def test_an_emv_code_is_refused_with_a_hint() -> None:
    body = changed("59", "Shop")[:-8]
    crc = f"{crc_hqx(f'{body}6304'.encode(), 0xFFFF):04X}"
    assert code_of(f"{body}6304{crc}") == (QrCode.EMV, "63")
    assert code_of(f"{body}63040000") == (QrCode.CHECKSUM, "63")


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", QrCode.FORM, "#"),
        ("https://pay.payqr.kg/", QrCode.FORM, "0"),
        ("00", QrCode.FORM, "0"),
        ("0003x", QrCode.FORM, "00"),
        ("0002016", QrCode.FORM, "00+"),
        ("0002010\u06611x", QrCode.FORM, "00+"),
        ("0001\x07", QrCode.FORM, "#"),
        ("0001\U0001f600", QrCode.FORM, "#"),
        ("%ff", QrCode.FORM, "%"),
        ("0" * (LINK_CHARS_MAX + 1), QrCode.TOO_LONG, ""),
        ("000201", QrCode.MISSING, "63"),
        (sealed(*GOOD) + "6304abcd", QrCode.DUPLICATE, "63"),
        (sealed(*GOOD, ("59", "Shop")), QrCode.DUPLICATE, "59"),
        (changed("00", "02"), QrCode.VERSION, "00"),
        (changed("00", None), QrCode.MISSING, "00"),
        (changed("01", "13"), QrCode.FIELD, "01"),
        (changed("01", None), QrCode.MISSING, "01"),
        (changed("32", None), QrCode.MISSING, "32"),
        (changed("32", "1002ab"), QrCode.MISSING, "32/00"),
        (changed("32", "0003"), QrCode.FORM, "32/00"),
        (changed("32", "0001a0001b"), QrCode.DUPLICATE, "32/00"),
        (changed("32", "0001a120213"), QrCode.FIELD, "32/12"),
        (changed("32", f"0033{'a' * 33}"), QrCode.FIELD, "32/00"),
        (changed("52", "541"), QrCode.FIELD, "52"),
        (changed("52", "٥٤١١"), QrCode.FIELD, "52"),
        (changed("53", "840"), QrCode.CURRENCY, "53"),
        (changed("53", None), QrCode.MISSING, "53"),
        (changed("54", "1.50"), QrCode.AMOUNT, "54"),
        (changed("54", "-1"), QrCode.AMOUNT, "54"),
        (changed("54", "1" * 14), QrCode.AMOUNT, "54"),
        (changed("59", "a" * 26), QrCode.FIELD, "59"),
        (changed("59", None), QrCode.MISSING, "59"),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(text: str, code: QrCode, place: str) -> None:
    assert code_of(text) == (code, place)


def test_an_amount_of_nothing_is_none_and_an_empty_field_too() -> None:
    assert parse_link(changed("54", "0")).amount is None
    assert parse_link(changed("54", "0000000000100")).amount == 100
    assert parse_link(changed("32", "0001a1100")).transaction_id is None


def test_what_is_not_forbidden_may_be_changed() -> None:
    link = parse_link(changed("32", "0001a"))
    assert (link.amount_editable, link.payee_editable) == (True, True)


@pytest.mark.parametrize("amount", [0, -1, 10**AMOUNT_DIGITS_MAX])
def test_an_amount_that_no_code_can_have_is_not_drawn(amount: int) -> None:
    with pytest.raises(QrRefused) as caught:
        format_link(Link(Kind.STATIC, "a", "b", "0000", amount=amount))
    assert caught.value.code is QrCode.AMOUNT


def test_every_code_has_a_text_in_every_language() -> None:
    assert set(TEXTS) == set(QrCode)
    for meaning in TEXTS.values():
        for language in LANGUAGES:
            assert getattr(meaning, language).strip()
