"""Tokens of the RPC: who holds one, what it allows, until when. A file of the node's home, written by `som token`.

One rule: the file has hashes, never tokens, and a node that cannot read it grants nothing. A change counts at once,
without a restart: the file is looked at whenever a token is presented.
"""

import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import structlog

from node.config import ConfigError
from node.ledger.account import is_account_number
from node.rpc.ports import Grant
from node.storage.errors import StorageError
from node.storage.files import DISK, write_file

TOKEN_BYTES: Final = 32
TOKENS_MAX: Final = 256
FILE_BYTES_MAX: Final = 256 * 1024
RATE_MAX: Final = 100_000

Scope = Literal["submit", "accounts", "orders", "index", "audit", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("submit", "accounts", "orders", "index", "audit", "admin")
_Rate = Annotated[int, msgspec.Meta(ge=0, le=RATE_MAX)]

log = structlog.get_logger("tokens")


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the file. Rates are a second, 0 for none; ``participant`` is an account, or empty."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9.-]{0,31}$")]
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...]
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    participant: Annotated[str, msgspec.Meta(pattern="^([0-9]{16})?$")] = ""
    calls_per_second: _Rate = 0
    transactions_per_second: _Rate = 0


class TokenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Two rows of one name are a token and the one that takes its place."""

    tokens: tuple[Token, ...] = ()


def new_secret() -> str:
    """Return a token: 256 random bits, in hex."""
    return secrets.token_hex(TOKEN_BYTES)


def hash_of(secret: str) -> str:
    """Return what the file has of a token, of any text. It has 256 bits of chance, so nothing slow is needed."""
    return blake2b(secret.encode(errors="surrogatepass"), digest_size=32, person=b"som-token-1").hexdigest()


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the rows of a file, none if there is no file. Raises ConfigError."""
    try:
        found = msgspec.json.decode(DISK.read(path, FILE_BYTES_MAX), type=TokenFile).tokens
    except FileNotFoundError:
        return ()
    except (StorageError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if len(found) > TOKENS_MAX:
        raise ConfigError(f"{path}: {len(found)} tokens; {TOKENS_MAX} at the most")
    for token in found:
        if token.participant and not is_account_number(int(token.participant)):
            raise ConfigError(f"{path}: {token.name}: {token.participant} is no account")
        if "accounts" in token.scopes and not token.participant:
            raise ConfigError(f"{path}: {token.name}: the scope accounts needs a participant, whose customers they are")
    return found


def write_tokens(path: Path, tokens: Sequence[Token]) -> None:
    """Put these rows into the file, 0600."""
    write_file(path, msgspec.json.format(msgspec.json.encode(TokenFile(tuple(tokens))), indent=1) + b"\n")


def with_new(tokens: Sequence[Token], fresh: Token, overlap_until_ms: int) -> tuple[Token, ...]:
    """Return the rows with a new one; others of its name end at ``overlap_until_ms`` at the latest."""
    kept = tuple(
        msgspec.structs.replace(token, expires_ms=min(token.expires_ms, overlap_until_ms))
        if token.name == fresh.name
        else token
        for token in tokens
    )
    return (*kept, fresh)


class Tokens:
    """What the file grants now."""

    def __init__(self, path: Path | None, now_ms: Callable[[], int]) -> None:
        """``path`` None: no token grants anything. Raises ConfigError if the file is there and not readable."""
        self._path = path
        self._now_ms = now_ms
        self._tokens: tuple[Token, ...] = () if path is None else read_tokens(path)
        self._seen = self._stamp()

    def grant(self, secret: str) -> Grant | None:
        """Return what a token grants; None for one that is unknown or over."""
        self._look()
        wanted, now_ms = hash_of(secret[: 4 * TOKEN_BYTES]), self._now_ms()
        found: Token | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.hash, wanted):
                found = token
        if found is None or found.expires_ms <= now_ms:
            return None
        shared = [
            token
            for token in self._tokens
            if token is found or (token.participant and token.participant == found.participant)
        ]
        return Grant(
            name=found.name,
            scopes=frozenset(found.scopes),
            participant=int(found.participant or 0),
            calls=found.calls_per_second,
            transactions=found.transactions_per_second,
            participant_calls=_most(token.calls_per_second for token in shared),
            participant_transactions=_most(token.transactions_per_second for token in shared),
        )

    def __len__(self) -> int:
        return len(self._tokens)

    def _look(self) -> None:
        stamp = self._stamp()
        if self._path is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._tokens = read_tokens(self._path)
        except ConfigError as error:
            self._tokens = ()
            log.error("tokens_unreadable", why=str(error))
        else:
            log.info("tokens_read", count=len(self._tokens))

    def _stamp(self) -> tuple[int, ...] | None:
        """Return what changes with the file, or with who may read it; None if there is none."""
        try:
            status = None if self._path is None else os.stat(self._path)
        except OSError:
            return None
        if status is None:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode


def _most(rates: Iterable[int]) -> int:
    """Return the greatest of the rates that bound; 0 where one does not."""
    found = list(rates)
    return 0 if 0 in found else max(found)
