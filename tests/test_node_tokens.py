"""Tokens: the file has no secrets, a change counts at once, and what cannot be read grants nothing."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.config import ConfigError
from node.tokens import SCOPES, TOKENS_MAX, Token, Tokens, hash_of, new_secret, read_tokens, with_new, write_tokens
from tests.solo_chain import BANK, digits

NOW_MS = 1_000_000


def row(secret: str, name: str = "bank-1", **fields: Any) -> Token:
    given = {"scopes": ("submit", "accounts"), "expires_ms": NOW_MS + 1_000, "participant": digits(BANK), **fields}
    return Token(name=name, hash=hash_of(secret), **given)


def test_a_token_grants_what_its_row_says_until_it_is_over(tmp_path: Path) -> None:
    now = [NOW_MS]
    secret, path = new_secret(), tmp_path / "tokens.json"
    write_tokens(path, [row(new_secret(), "other"), row(secret, calls_per_second=5, transactions_per_second=7)])
    tokens = Tokens(path, lambda: now[0])
    granted = tokens.grant(secret)
    assert granted is not None
    assert (granted.name, granted.scopes, granted.participant) == ("bank-1", frozenset(("submit", "accounts")), BANK)
    assert (granted.calls, granted.transactions) == (5, 7)
    now[0] += 999
    assert tokens.grant(secret) == granted
    now[0] += 1
    assert tokens.grant(secret) is None
    for wrong in ("", secret[:-1], secret + "0", secret.upper(), hash_of(secret), "0" * 10_000):
        assert tokens.grant(wrong) is None


def test_the_file_has_no_token_and_is_ours_alone(tmp_path: Path) -> None:
    secret, path = new_secret(), tmp_path / "tokens.json"
    write_tokens(path, [row(secret)])
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        read_tokens(path)


@pytest.mark.parametrize("text", ["\udcff\udcfe", "\ud800" * 200, "ы" * 64, "\0", ""])
def test_what_is_no_text_or_no_token_is_an_unknown_token(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    write_tokens(path, [row(new_secret())])
    assert Tokens(path, lambda: NOW_MS).grant(text) is None


def test_a_file_that_was_open_to_others_counts_as_soon_as_it_is_closed_to_them(tmp_path: Path) -> None:
    secret, path = new_secret(), tmp_path / "tokens.json"
    write_tokens(path, [row(secret)])
    tokens = Tokens(path, lambda: NOW_MS)
    path.chmod(0o644)
    assert tokens.grant(secret) is None
    path.chmod(0o600)
    assert tokens.grant(secret) is not None


def test_secrets_have_256_bits_and_never_repeat() -> None:
    secrets = {new_secret() for _ in range(1_000)}
    assert len(secrets) == 1_000
    assert {len(bytes.fromhex(secret)) for secret in secrets} == {32}


def test_a_change_of_the_file_counts_at_once_and_an_unreadable_one_grants_nothing(tmp_path: Path) -> None:
    first, second, path = new_secret(), new_secret(), tmp_path / "tokens.json"
    tokens = Tokens(path, lambda: NOW_MS)
    assert tokens.grant(first) is None
    write_tokens(path, [row(first)])
    assert tokens.grant(first) is not None
    write_tokens(path, [row(second)])
    assert tokens.grant(first) is None
    assert tokens.grant(second) is not None
    path.write_text("{")
    assert tokens.grant(second) is None
    write_tokens(path, [row(second)])
    assert tokens.grant(second) is not None
    os.unlink(path)
    assert tokens.grant(second) is None


def test_a_new_token_of_a_name_takes_the_place_of_the_old_one_after_the_overlap(tmp_path: Path) -> None:
    now = [NOW_MS]
    old, fresh, other, path = new_secret(), new_secret(), new_secret(), tmp_path / "tokens.json"
    rows = with_new([row(old), row(other, "other")], row(fresh, expires_ms=NOW_MS + 5_000), NOW_MS + 100)
    write_tokens(path, rows)
    tokens = Tokens(path, lambda: now[0])
    assert all(tokens.grant(secret) for secret in (old, fresh, other))
    now[0] += 100
    assert [tokens.grant(secret) is not None for secret in (old, fresh, other)] == [False, True, True]
    longer = with_new([row(old)], row(fresh), NOW_MS + 10_000)
    assert longer[0].expires_ms == NOW_MS + 1_000, "an overlap makes no token hold longer"


def test_a_participants_budget_is_the_greatest_of_its_tokens_and_none_if_one_has_none(tmp_path: Path) -> None:
    one, two, free, path = new_secret(), new_secret(), new_secret(), tmp_path / "tokens.json"
    rows = [row(one, "a", calls_per_second=5), row(two, "b", calls_per_second=9, transactions_per_second=1)]
    write_tokens(path, [*rows, row(free, "c", participant="", scopes=("submit",), calls_per_second=3)])
    tokens = Tokens(path, lambda: NOW_MS)
    granted = tokens.grant(one)
    assert granted is not None
    assert (granted.calls, granted.participant_calls, granted.participant_transactions) == (5, 9, 0)
    alone = tokens.grant(free)
    assert alone is not None
    assert (alone.participant_calls, alone.participant_transactions) == (3, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Bank 1"},
        {"hash": "00"},
        {"scopes": ["all"]},
        {"expires_ms": -1},
        {"participant": "1"},
        {"participant": "0011000000010058"},
        {"participant": ""},
        {"calls_per_second": -1},
        {"calls_per_second": 10**9},
        {"token": "x"},
    ],
)
def test_a_row_that_is_wrong_is_refused_with_the_file_that_has_it(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "tokens.json"
    wrong = {**msgspec.to_builtins(row(new_secret())), **change}
    write_tokens(path, [])
    path.write_bytes(msgspec.json.encode({"tokens": [wrong]}))
    with pytest.raises(ConfigError, match=r"tokens\.json"):
        Tokens(path, lambda: NOW_MS)


def test_tokens_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    write_tokens(path, [row(new_secret(), scopes=SCOPES)] * (TOKENS_MAX + 1))
    with pytest.raises(ConfigError, match="at the most"):
        read_tokens(path)
