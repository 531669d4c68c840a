"""tests/vectors/client.json, which every client library computes alike, against code that shares nothing with ours."""

import json
import re
from hashlib import sha256
from typing import Any, Final

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from consensus.encoding import DecodeError, decode, encode
from node.cli.amounts import parse_som
from node.ledger.account import parse_account
from node.ledger.errors import Code, Refused
from node.ledger.transaction import decode_transaction, signatures_valid
from tests import client_vectors

SAID: Final[dict[str, Any]] = json.loads(client_vectors.PATH.read_text())


def named(rows: str, name: str = "name") -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", SAID[rows], ids=[str(row[name])[:40] for row in SAID[rows]])


def packed(value: dict[str, Any]) -> bytes:
    """Return MessagePack as its specification says it, in the shortest form."""
    ((kind, given),) = value.items()
    match kind:
        case "nil":
            return b"\xc0"
        case "bool":
            return b"\xc3" if given else b"\xc2"
        case "int":
            return packed_int(int(given))
        case "bytes":
            data: bytes = bytes.fromhex(given)
            return length(len(data), None, (0xC4, 0xC5, 0xC6)) + data
        case "text":
            data = given.encode()
            return length(len(data), (0xA0, 31), (0xD9, 0xDA, 0xDB)) + data
        case "array":
            return length(len(given), (0x90, 15), (None, 0xDC, 0xDD)) + b"".join(map(packed, given))
    raise ValueError(kind)


def packed_int(number: int) -> bytes:
    if -32 <= number <= 127:
        return bytes([number & 0xFF])
    first = 0xCC if number >= 0 else 0xD0
    for step in range(4):
        bits = 8 << step
        low, high = (0, 2**bits) if number >= 0 else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        if low <= number < high:
            return bytes([first + step]) + number.to_bytes(bits // 8, "big", signed=number < 0)
    raise ValueError(number)


def length(count: int, short: tuple[int, int] | None, longer: tuple[int | None, ...]) -> bytes:
    if short is not None and count <= short[1]:
        return bytes([short[0] | count])
    for step, first in enumerate(longer):
        if first is not None and count < 256 ** (1 << step):
            return bytes([first]) + count.to_bytes(1 << step, "big")
    raise ValueError(count)


def test_the_file_is_what_the_generator_writes() -> None:
    assert client_vectors.PATH.read_text() == client_vectors.text(), "python -m tests.client_vectors"


def test_no_number_in_the_file_can_be_rounded() -> None:
    numbers = re.findall(r"[:,\[]\s*(-?\d[\d.eE+]*)\s*[,\]}\n]", client_vectors.PATH.read_text())
    assert numbers
    assert max(map(float, numbers)) < 2**16


@named("encoding", "hex")
def test_a_value_has_the_bytes_that_the_specification_says(row: dict[str, Any]) -> None:
    assert packed(row["value"]).hex() == row["hex"]
    assert encode(decode(bytes.fromhex(row["hex"]))).hex() == row["hex"]


@named("not_canonical", "why")
def test_what_is_not_the_one_encoding_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(row["hex"]))


@named("accounts", "account")
def test_an_account_number_carries_its_check_digits(row: dict[str, str]) -> None:
    first = f"{int(row['participant']):04d}{int(row['serial']):010d}"
    assert row["account"] == f"{first}{int(first) % 97:02d}"
    assert parse_account(row["account"]) == int(row["account"])


@pytest.mark.parametrize("text", SAID["not_accounts"])
def test_what_is_no_account_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_account(text)


def test_amounts_are_exact_or_refused() -> None:
    for row in SAID["amounts"]:
        whole, _, part = row["text"].partition(".")
        assert int(whole + part.ljust(2, "0")) == int(row["tyiyn"]) == parse_som(row["text"])
    for text in SAID["not_amounts"]:
        with pytest.raises(ValueError):
            parse_som(text)


@named("keys", "public")
def test_a_key_follows_from_its_seed(row: dict[str, str]) -> None:
    assert bytes(SigningKey(bytes.fromhex(row["seed"])).verify_key).hex() == row["public"]


def pay_value(pay: dict[str, Any]) -> dict[str, Any]:
    legs = [
        {"array": [{"int": leg["to"]}, {"int": leg["amount"]}, {"bytes": leg["ref"]}]} for leg in pay["legs"]
    ]  # an account number is written as an integer: its leading zeros are not there
    fields = [{"int": "1"}, {"int": str(pay["asset"])}, {"int": pay["payer"]}, {"array": legs}]
    return {"array": [*fields, {"bool": pay["partial"]}, {"bool": pay["once"]}]}


@named("transactions")
def test_a_transaction_is_made_of_its_parts(row: dict[str, Any]) -> None:
    parts = [{"int": text} for text in ("1", row["network"], row["expires_ms"], row["salt"])]
    accounts = {"array": [{"int": number} for number in row["accounts"]]}
    body = packed({"array": [*parts, accounts, {"array": [pay_value(pay) for pay in row["pays"]]}]})
    assert body.hex() == row["body"]
    tx_id = sha256(b"som-tx-1" + bytes.fromhex(row["genesis_hash"]) + body).digest()
    assert tx_id.hex() == row["tx_id"]
    signed = []
    for signer in row["signers"]:
        key = SigningKey(bytes.fromhex(signer["seed"]))
        signed.append((signer["index"], bytes(key.verify_key).hex(), key.sign(tx_id).signature.hex()))
    signed.sort()
    assert [list(each) for each in signed] == [list(each.values()) for each in row["signatures"]]
    values = [{"array": [{"int": str(i)}, {"bytes": public}, {"bytes": sig}]} for i, public, sig in signed]
    assert packed({"array": [{"bytes": row["body"]}, {"array": values}]}).hex() == row["raw"]
    read = decode_transaction(bytes.fromhex(row["raw"]), bytes.fromhex(row["genesis_hash"]))
    assert (read.id.hex(), signatures_valid(read)) == (row["tx_id"], True)


@named("refused")
def test_wrong_bytes_are_refused_for_the_reason_given(row: dict[str, Any]) -> None:
    if row["refused"] == "SIGNATURE":
        read = decode_transaction(bytes.fromhex(row["raw"]), client_vectors.GENESIS_HASH)
        ((_, public, signature),) = read.signatures
        with pytest.raises(BadSignatureError):
            VerifyKey(public).verify(read.id, signature)
        return
    with pytest.raises(Refused) as refused:
        decode_transaction(bytes.fromhex(row["raw"]), client_vectors.GENESIS_HASH)
    assert refused.value.code is Code[row["refused"]]


@named("reading", "namespace")
def test_who_reads_signs_the_statement(row: dict[str, str]) -> None:
    numbers = int(row["account"]).to_bytes(8, "big") + int(row["expires_ms"]).to_bytes(8, "big")
    said = b"som-read-1" + bytes.fromhex(row["genesis_hash"]) + numbers + row["namespace"].encode()
    statement = sha256(said).digest()
    assert statement.hex() == row["statement"]
    assert SigningKey(bytes.fromhex(row["seed"])).sign(statement).signature.hex() == row["signature"]
