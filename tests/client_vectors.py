"""What every client library of the digital som must compute alike: python -m tests.client_vectors writes the vectors.

One rule: a reader in any language needs nothing but the file. Integers are decimal strings (JavaScript rounds above
2^53), bytes are lower-case hex, and a value of the encoding is an object with one name: int, bytes, text, bool, nil
or array.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from consensus.crypto import SecretKey
from consensus.encoding import encode
from node.cli.amounts import parse_som
from node.ledger.account import account_number, format_account
from node.ledger.errors import Refused
from node.ledger.pay import Pay
from node.ledger.transaction import (
    Transaction,
    assemble,
    decode_transaction,
    make_body,
    make_transaction,
    sign_body,
    signatures_valid,
)
from node.rpc.auth import auth_statement, sign_auth

PATH: Final = Path(__file__).parent / "vectors" / "client.json"
GENESIS_HASH: Final = sha256(b"client vectors").digest()
NETWORK: Final = 7
EXPIRES_MS: Final = 1_790_000_300_000

PAYER: Final = account_number(11, 100)
PAYEES: Final = tuple(account_number(11, serial) for serial in range(101, 121))
SECOND: Final = account_number(12, 1)

# One value on each side of every length that MessagePack writes differently.
VALUES: Final[tuple[object, ...]] = (
    *(0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**64 - 1),
    *(-1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**63)),
    *(b"", b"\x00", bytes(31), bytes(255), bytes(256)),
    *("", "som", "сом", "Жапарова", "я" * 15, "я" * 16, "a" * 31, "a" * 32, "a" * 255, "a" * 256),
    *(True, False, None, (), (1,), (1, (2, (3, ()))), tuple(range(15)), tuple(range(16))),
    (1, PAYER, ((PAYEES[0], 12_34, b"INV-42"),), False, True),
)
# Bytes that mean a value to MessagePack and are not its one encoding, or are no value of ours.
NOT_CANONICAL: Final = (
    ("", "nothing"),
    ("c1", "a byte that MessagePack never uses"),
    ("0102", "bytes after the value"),
    ("cc7f", "127 in two bytes"),
    ("cd00ff", "255 in three bytes"),
    ("ce0000ffff", "65535 in five bytes"),
    ("cf00000000ffffffff", "2^32 - 1 in nine bytes"),
    ("d07f", "127 as a signed byte"),
    ("d0ff", "-1 in two bytes"),
    ("d9036162", "a text that ends early"),
    ("d90161", "a text of one character in three bytes"),
    ("a1ff", "a text that is not UTF-8"),
    ("c5000100", "one byte with a length of two bytes"),
    ("dc000101", "an array of one with a length of two bytes"),
    ("91", "an array that ends early"),
    ("80", "a map"),
    ("ca3f800000", "a float"),
    ("cb3ff0000000000000", "a double"),
    ("d40000", "an extension"),
    ("c70001", "an extension of no bytes"),
)
AMOUNTS: Final = ("0.01", "1", "1.5", "12.34", "1250.50", "90071992547409.93", "92233720368547758.07")
NO_AMOUNTS: Final = (
    "",
    "0",
    "0.00",
    "-1",
    "+1",
    "01",
    "1.",
    ".5",
    "1,5",
    "1.234",
    "1e3",
    "1 000",
    "92233720368547758.08",
)


def seed(name: str) -> bytes:
    """Return the seed of a key of the vectors."""
    return sha256(b"client vectors " + name.encode()).digest()


def key(name: str) -> SecretKey:
    """Return a key of the vectors."""
    return SecretKey(seed(name))


def vectors() -> dict[str, Any]:
    """Return all of the file."""
    return {
        "about": __doc__.splitlines()[0].split(":")[0],
        "format": 1,
        "encoding": [{"value": written(value), "hex": encode(value).hex()} for value in VALUES],
        "not_canonical": [{"hex": text, "why": why} for text, why in NOT_CANONICAL],
        "accounts": [_account(*place) for place in ((1, 1), (11, 100), (101, 1), (9_999, 9_999_999_999), (0, 1))],
        "not_accounts": ["", "0", "0011000000010058", "001100000001005", "00110000000100570", "001100000001005x"],
        "amounts": [{"text": text, "tyiyn": str(parse_som(text))} for text in AMOUNTS],
        "not_amounts": list(NO_AMOUNTS),
        "keys": [
            {"seed": seed(name).hex(), "public": key(name).public.hex()} for name in ("payer", "board-1", "board-2")
        ],
        "transactions": [_transaction(name, *parts) for name, parts in _payments().items()],
        "refused": [_refused(name, raw) for name, raw in _wrong().items()],
        "reading": [_reading(namespace) for namespace in ("account", "tx", "sub")],
    }


def written(value: object) -> dict[str, Any]:
    """Return a value of the encoding as JSON that no reader rounds."""
    match value:
        case None:
            return {"nil": None}
        case bool():
            return {"bool": value}
        case int():
            return {"int": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case str():
            return {"text": value}
        case tuple():
            return {"array": [written(item) for item in value]}
    raise TypeError(type(value))


def _account(participant: int, serial: int) -> dict[str, str]:
    text = format_account(account_number(participant, serial))
    return {"participant": str(participant), "serial": str(serial), "account": text}


Parts = tuple[int, tuple[int, ...], tuple[Pay, ...], tuple[tuple[int, str], ...]]  # salt, accounts, pays, signers


def _payments() -> dict[str, Parts]:
    one = Pay(1, PAYER, ((PAYEES[0], 12_34, b""),))
    named = Pay(1, PAYER, ((PAYEES[0], 2**53 + 1, b"INV-42"),), once=True)
    wages = Pay(1, SECOND, tuple((to, 100_00 + index, b"WAGE-%d" % index) for index, to in enumerate(sorted(PAYEES))))
    return {
        "one payment": (1, (PAYER,), (one,), ((0, "payer"),)),
        "a reference that is paid once": (2**64 - 1, (PAYER,), (named,), ((0, "payer"),)),
        "two keys of one account": (2**32, (SECOND,), (one._replace(payer=SECOND),), ((0, "board-2"), (0, "board-1"))),
        "two accounts, two operations": (0, (PAYER, SECOND), (one, wages), ((1, "board-1"), (0, "payer"))),
        "many legs, of which bad ones are skipped": (5, (SECOND,), (wages._replace(partial=True),), ((0, "board-1"),)),
    }


def _made(parts: Parts) -> Transaction:
    salt, accounts, pays, signers = parts
    keys = [(index, key(name)) for index, name in signers]
    return make_transaction(NETWORK, GENESIS_HASH, EXPIRES_MS, salt, accounts, pays, keys)


def _transaction(name: str, *parts: Any) -> dict[str, Any]:
    salt, accounts, pays, signers = parts
    made = _made((salt, accounts, pays, signers))
    return {
        "name": name,
        "genesis_hash": GENESIS_HASH.hex(),
        "network": str(NETWORK),
        "expires_ms": str(EXPIRES_MS),
        "salt": str(salt),
        "accounts": [format_account(number) for number in accounts],
        "pays": [_pay(pay) for pay in pays],
        "body": made.body.hex(),
        "tx_id": made.id.hex(),
        "signers": [{"index": index, "seed": seed(signer).hex()} for index, signer in signers],
        "signatures": [
            {"index": index, "public": public.hex(), "signature": signature.hex()}
            for index, public, signature in made.signatures
        ],
        "raw": made.raw.hex(),
    }


def _pay(pay: Pay) -> dict[str, Any]:
    legs = [{"to": format_account(to), "amount": str(amount), "ref": ref.hex()} for to, amount, ref in pay.legs]
    return {
        "asset": pay.asset,
        "payer": format_account(pay.payer),
        "legs": legs,
        "partial": pay.partial,
        "once": pay.once,
    }


def _wrong() -> dict[str, bytes]:
    """Return bytes that no node takes."""
    made = _made(_payments()["one payment"])
    changed = bytearray(made.signatures[0][2])
    changed[0] ^= 1
    nothing = make_body(NETWORK, EXPIRES_MS, 1, (PAYER,), (Pay(1, PAYER, ((PAYEES[0], 0, b""),)),))
    stranger = make_body(NETWORK, EXPIRES_MS, 1, (PAYER,), (Pay(1, SECOND, ((PAYEES[0], 1, b""),)),))
    once = make_body(NETWORK, EXPIRES_MS, 1, (PAYER,), (Pay(1, PAYER, ((PAYEES[0], 1, b""),), once=True),))
    twice = (made.body, (made.signatures[0], made.signatures[0]))
    return {
        "another signature": assemble(made.body, [(0, made.signatures[0][1], bytes(changed))]),
        "no signature": assemble(made.body, []),
        "one signature twice": encode(twice),
        "bytes after the end": made.raw + b"\x00",
        "an amount of nothing": assemble(nothing, [sign_body(GENESIS_HASH, nothing, 0, key("payer"))]),
        "a payer who does not sign": assemble(stranger, [sign_body(GENESIS_HASH, stranger, 0, key("payer"))]),
        "once without a reference": assemble(once, [sign_body(GENESIS_HASH, once, 0, key("payer"))]),
    }


def _refused(name: str, raw: bytes) -> dict[str, Any]:
    """Return the bytes and what the ledger says of them: a code of the envelope, or SIGNATURE."""
    try:
        assert not signatures_valid(decode_transaction(raw, GENESIS_HASH))
        found = "SIGNATURE"
    except Refused as refused:
        found = refused.code.name
    return {"name": name, "raw": raw.hex(), "refused": found}


def _reading(namespace: str) -> dict[str, Any]:
    statement = auth_statement(GENESIS_HASH, PAYER, EXPIRES_MS, namespace)
    auth = sign_auth(GENESIS_HASH, PAYER, EXPIRES_MS, namespace, key("payer"))
    return {
        "genesis_hash": GENESIS_HASH.hex(),
        "account": format_account(PAYER),
        "expires_ms": str(EXPIRES_MS),
        "namespace": namespace,
        "seed": seed("payer").hex(),
        "statement": statement.hex(),
        "signature": auth.signature,
    }


def text() -> str:
    """Return the file as it is written."""
    return json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
