"""Cursors: where a list goes on. Opaque to callers, so that what is behind them may change.

One rule: a cursor fits one list only, and a cursor of another list is refused, not misread.
"""

from collections.abc import Iterator
from itertools import islice

from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, digest, encode
from node.ledger.records import after
from node.rpc.errors import INVALID_PARAMS, RpcError
from node.storage.reads import Reads

_SEAL_BYTES = 4  # against typing errors and mixing up, not against forgery: a forged cursor shows nothing hidden


List = tuple[str | int | bytes, ...]  # method, order, what is listed


def encode_cursor(of: List, position: int | bytes) -> str:
    """Return the cursor to ``position`` in the list that ``of`` names."""
    return (_seal(of) + encode((position,))).hex()


def decode_cursor(of: List, cursor: str | None) -> int | None:
    """Return the position, None without a cursor. Raises RpcError (invalid_params)."""
    try:
        return None if cursor is None else as_int(_position(of, cursor))
    except DecodeError:
        raise _of_another_list() from None


def decode_cursor_bytes(of: List, cursor: str) -> bytes:
    """Return the position of a cursor whose position is bytes. Raises DecodeError."""
    return as_bytes(_position(of, cursor))


def page_of_rows(
    store: Reads, of: List, prefix: bytes, cursor: str | None, limit: int
) -> tuple[list[tuple[bytes, bytes]], str | None]:
    """Return (key without prefix, value) of the ledger's rows under ``prefix``, ascending, and the cursor to the next.

    Raises RpcError (invalid_params).
    """
    try:
        start = b"" if cursor is None else as_bytes(_position(of, cursor))
    except DecodeError:
        raise _of_another_list() from None
    rows: Iterator[tuple[bytes, bytes]] = store.scan(prefix + start, after(prefix))
    found = [(key[len(prefix) :], value) for key, value in islice(rows, limit + 1)]
    return found[:limit], encode_cursor(of, found[limit][0]) if len(found) > limit else None


def _position(of: List, cursor: str) -> object:
    data = bytes.fromhex(cursor)
    if data[:_SEAL_BYTES] != _seal(of):
        raise DecodeError("of another list")
    return as_tuple(decode(data[_SEAL_BYTES:]), 1)[0]


def _of_another_list() -> RpcError:
    return RpcError(INVALID_PARAMS, path="cursor", expected="next_cursor of this very list")


def _seal(of: List) -> bytes:
    return digest(b"som-cursor-1", encode(of))[:_SEAL_BYTES]
