"""Cursors: where a list goes on. Opaque to callers, so that what is behind them may change.

One rule: a cursor fits one list only, and a cursor of another list is refused, not misread.
"""

from consensus.encoding import DecodeError, as_int, as_tuple, decode, digest, encode
from node.rpc.errors import INVALID_PARAMS, RpcError

_SEAL_BYTES = 4  # against typing errors and mixing up, not against forgery: a forged cursor shows nothing hidden


def encode_cursor(of: tuple[str | int | bytes, ...], position: int) -> str:
    """Return the cursor to ``position`` in the list that ``of`` names: method, order, what is listed."""
    return (_seal(of) + encode((position,))).hex()


def decode_cursor(of: tuple[str | int | bytes, ...], cursor: str | None) -> int | None:
    """Return the position, None without a cursor. Raises RpcError (invalid_params)."""
    if cursor is None:
        return None
    data = bytes.fromhex(cursor)
    try:
        if data[:_SEAL_BYTES] != _seal(of):
            raise DecodeError("of another list")
        return as_int(as_tuple(decode(data[_SEAL_BYTES:]), 1)[0])
    except DecodeError:
        raise RpcError(INVALID_PARAMS, path="cursor", expected="next_cursor of this very list") from None


def _seal(of: tuple[str | int | bytes, ...]) -> bytes:
    return digest(b"som-cursor-1", encode(of))[:_SEAL_BYTES]
