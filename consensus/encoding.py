"""Values to canonical MessagePack and back, and digests with a domain tag.

One rule: a value has exactly one encoding. What we hash, sign, send or store is the bytes; ``decode`` accepts bytes
only if ``encode`` would give the same ones. A value is an int, bytes, str, bool, None, or a tuple of values: there are
no maps (duplicate keys), no floats and no extension types.

``as_*`` check the shape of what ``decode`` returned. They test the exact type, because in Python ``True == 1``.
"""

from hashlib import sha256
from typing import Any, Final

import msgpack

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1


class DecodeError(ValueError):
    """The bytes are not the canonical encoding of a value of the expected shape."""


_FLOAT: Final = b"\xcb"  # the first byte of a float; most data has none, so most data is not searched


def _holds_float(value: object) -> bool:
    waiting = [value]  # no recursion: how deep that may go depends on the caller
    for item in waiting:  # it grows meanwhile
        kind = type(item)
        if kind is tuple:
            waiting += item  # type: ignore[arg-type]
        elif kind is float:
            return True
    return False


def _refuse_map(_: object) -> object:
    raise DecodeError("maps are not values")


def _refuse_extension(code: int, data: bytes) -> object:
    raise DecodeError("extensions are not values")


# Built once: packb makes a Packer for each call and costs twice as much.
_pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def encode(value: object) -> bytes:
    """Return the canonical encoding. Lists and tuples are the same array."""
    return _pack(value)  # type: ignore[no-any-return]


def decode(data: bytes) -> object:
    """Return the value that ``data`` encodes, arrays as tuples.

    The caller has bounded ``len(data)``; memory stays below 64 times that: the dearest byte is an array of one item.
    Raises DecodeError for anything that is not canonical.
    """
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=True,
            object_hook=_refuse_map,
            ext_hook=_refuse_extension,  # max_ext_len lets one of no bytes pass
            max_ext_len=0,
        )
        if _pack(value) != data:
            raise DecodeError("not canonical")
        if _FLOAT in data and _holds_float(value):
            raise DecodeError("floats are not values")
    except DecodeError:
        raise
    except Exception as error:  # msgpack raises ValueError, its own types, UnicodeError and RecursionError
        raise DecodeError(f"not MessagePack: {type(error).__name__}") from None
    return value


def decode_own(data: bytes) -> Any:
    """Return the value of bytes that came from our own ``encode`` and back over a seal: a sixth of ``decode``'s time.

    Nothing is checked. Never for what a client, a peer or a file of somebody else's says.
    """
    return msgpack.unpackb(data, use_list=False)


def digest(tag: bytes, *parts: bytes) -> bytes:
    """Return SHA-256 (FIPS 180-4) over the domain tag and the parts, 32 bytes.

    Parts are not delimited: all but the last have a fixed length.
    """
    return sha256(b"".join((tag, *parts))).digest()


def _expected(what: str, got: object) -> DecodeError:
    return DecodeError(f"expected {what}, got {type(got).__name__}")


def as_tuple(value: object, length: int | None = None, most: int | None = None) -> tuple[object, ...]:
    """Return ``value`` if it is a tuple of ``length`` items, or of ``most`` at the most."""
    if type(value) is not tuple:
        raise _expected("an array", value)
    if length is not None and len(value) != length:
        raise DecodeError(f"expected {length} items, got {len(value)}")
    if most is not None and len(value) > most:
        raise DecodeError(f"expected {most} items at the most, got {len(value)}")
    return value


def as_int(value: object, low: int = 0, high: int = 2**63 - 1) -> int:
    """Return ``value`` if it is an int (no bool) with low <= value <= high."""
    if type(value) is not int:
        raise _expected("an integer", value)
    if not low <= value <= high:
        raise DecodeError(f"expected {low}..{high}, got {value}")
    return value


def as_bytes(value: object, length: int | None = None, most: int | None = None) -> bytes:
    """Return ``value`` if it is ``length`` bytes, or ``most`` at the most."""
    if type(value) is not bytes:
        raise _expected("bytes", value)
    if length is not None and len(value) != length:
        raise DecodeError(f"expected {length} bytes, got {len(value)}")
    if most is not None and len(value) > most:
        raise DecodeError(f"expected {most} bytes at the most, got {len(value)}")
    return value


def as_str(value: object, most: int) -> str:
    """Return ``value`` if it is a str of ``most`` characters at the most."""
    if type(value) is not str:
        raise _expected("text", value)
    if len(value) > most:
        raise DecodeError(f"expected {most} characters at the most, got {len(value)}")
    return value


def as_bool(value: object) -> bool:
    """Return ``value`` if it is a bool."""
    if type(value) is not bool:
        raise _expected("a boolean", value)
    return value
