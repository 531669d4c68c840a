"""Values of the wire changed at one place or several: the part of a fuzzer that knows our encoding and nothing else."""

from random import Random
from typing import Any, Final

from consensus.encoding import INT_MAX, INT_MIN, encode

EDGES: Final = (0, 1, -1, 2, 16, 17, 31, 63, 64, 255, 2**16, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, INT_MAX, INT_MIN)
ODD: Final[tuple[Any, ...]] = (None, True, False, 1.5, "text", "\u0443" * 99, b"", bytes(32), b"\xff" * 31, [], [[]])

Value = Any  # what decode gives, with lists for tuples


def opened(value: object) -> Value:
    """Return a value with lists for its tuples, so that it can be changed."""
    return [opened(item) for item in value] if isinstance(value, tuple | list) else value


def twist(random: Random, value: Value) -> Value:
    """Return the value with one of its parts, perhaps itself, changed."""
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        if random.random() < 0.75:
            return [*value[:place], twist(random, value[place]), *value[place + 1 :]]
        return _twisted_list(random, value, place)
    if type(value) is int and random.random() < 0.9:
        near = value + random.choice((-17, -16, -1, 1, 2, 16, 17, 64))
        return random.choice((near if INT_MIN <= near <= INT_MAX else 0, random.choice(EDGES)))
    if isinstance(value, bytes) and random.random() < 0.9:
        return _twisted_bytes(random, value)
    return random.choice((*ODD, random.choice(EDGES), deep(random.choice((3, 500)))))


def _twisted_list(random: Random, value: list[Value], place: int) -> list[Value]:
    match random.randrange(6):
        case 0:
            return value[:place] + value[place + 1 :]
        case 1:
            return [*value, value[place]]
        case 2:
            return value[:place] + value[place:] * random.choice((2, 40))
        case 3:
            return value[::-1]
        case 4:
            return random.sample(value, len(value))
        case _:
            return []


def _twisted_bytes(random: Random, value: bytes) -> bytes:
    match random.randrange(5):
        case 0:
            return random.randbytes(len(value))
        case 1:
            return bytes(len(value))
        case 2:
            return value[:-1]
        case 3:
            return value + b"\x00"
        case _ if value:
            place = random.randrange(len(value))
            return value[:place] + bytes((value[place] ^ 1 << random.randrange(8),)) + value[place + 1 :]
        case _:
            return b"\x00"


def deep(levels: int) -> Value:
    """Return empty lists in one another."""
    value: Value = []
    for _ in range(levels):
        value = [value]
    return value


def spoiled(random: Random, data: bytes) -> bytes:
    """Return bytes that are no canonical encoding, or of something else."""
    match random.randrange(6):
        case 0:
            return data[: random.randrange(len(data) + 1)]
        case 1:
            return data + random.randbytes(random.choice((1, 40)))
        case 2:  # a small integer in five bytes: the same value, not canonical
            places = [place for place, byte in enumerate(data) if byte < 128]
            if not places:
                return data
            place = random.choice(places)
            return data[:place] + b"\xce" + bytes((0, 0, 0, data[place])) + data[place + 1 :]
        case 3:  # an array that announces four billion items
            return data[:1] + data[1:2] + b"\xdd\xff\xff\xff\xff" + data[2:]
        case 4:
            return random.randbytes(random.choice((0, 1, 2, 30, 3_000)))
        case _:
            return data[:2] + encode(bytes(random.choice((10, 200_000))))
