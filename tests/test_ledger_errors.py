"""Codes are for ever, and every one can be said in three languages."""

import re
from pathlib import Path

from node.ledger.errors import LANGUAGES, TEXTS, Code, Refused, text

DOCS = Path(__file__).parent.parent / "docs" / "ledger.md"

FAMILIES = {
    100: """MALFORMED NETWORK SIGNATURE NOT_SIGNED EXPIRED EXPIRY_TOO_FAR DUPLICATE OPS LEGS TOO_LARGE QUOTA
        DUPLICATE_REF""",
    200: """NO_ACCOUNT EXISTS KEYS ROLE PAYER_BLOCKED PAYEE_BLOCKED RECOVERING PENDING TOO_EARLY NOT_EMPTY SAME_ACCOUNT
        FIELD NO_RECOVERY""",
    300: "AMOUNT INSUFFICIENT LIMIT_TX LIMIT_DAY LIMIT_BALANCE ALL_LEGS_FAILED",
    400: """NO_ASSET ASSET_SUSPENDED ASSET_REVOKED STATUS MINT_PAYEE REDEEM_PAYER MAX_SUPPLY UNBACKED RESERVE_FLOOR
        ISSUER_TAKEN ASSET_EXISTS RESERVE_TAKEN""",
    500: """NO_HOLD OPEN_HOLD ISSUER_HOLD UNTIL HOLD_EXPIRED EXCEEDS_HOLD SECRET PAYEE PURPOSE NEEDS_ATTESTATION
        UNDER_ORDER""",
    600: """ATTEST NO_ATTESTATION SECOND_APPROVAL BASIS NO_ORDER IMMUNE KEY COMMITTEE NOT_AWAITED CHECKPOINT
        NOT_READY STALE ORDER_EXISTS ATTESTATION_OLD""",
}


def test_numbers_and_names_never_change() -> None:
    expected = {"APPLIED": 0}
    for family, names in FAMILIES.items():
        expected |= {name: family + place for place, name in enumerate(names.split(), 1) if name != "-"}
    assert {code.name: int(code) for code in Code} == expected


def test_every_code_has_its_own_text_in_each_language() -> None:
    assert set(TEXTS) == set(Code)
    for language in LANGUAGES:
        texts = [text(code, language) for code in Code]
        assert len(set(texts)) == len(texts)
        assert all(each == each.strip() and each[0].isupper() and not each.endswith(".") for each in texts)
    for code in Code:
        assert re.fullmatch(r"[\x20-\x7e]+", text(code, "en"))
        assert re.fullmatch(r"[А-Яа-яЁё ,—-]+", text(code, "ru")), code
        assert re.fullmatch(r"[А-Яа-яЁёӨөҮүҢң ,—-]+", text(code, "ky")), code


def test_kyrgyz_is_not_russian() -> None:
    assert [code for code in Code if text(code, "ky") == text(code, "ru")] == []


def test_the_document_lists_every_code_and_its_texts() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| (.+?) \| (.+?) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), code.name, *TEXTS[code]) for code in Code]


def test_a_refusal_says_where_and_why() -> None:
    assert str(Refused(Code.NO_ACCOUNT, 1, 7)) == "NO_ACCOUNT in operation 1, leg 7: There is no such account"
    assert str(Refused(Code.EXPIRED)) == "EXPIRED: The transaction has expired"
