"""One value, one encoding; and nothing but DecodeError comes out of a decoder."""

import tracemalloc
from typing import Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.encoding import (
    INT_MAX,
    INT_MIN,
    DecodeError,
    as_bool,
    as_bytes,
    as_int,
    as_str,
    as_tuple,
    decode,
    digest,
    encode,
)

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(INT_MIN, INT_MAX) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6).map(tuple),
    max_leaves=20,
)
BOMB_BYTES: Final = 100_000


@given(VALUES)
def test_a_value_survives_its_encoding(value: object) -> None:
    assert decode(encode(value)) == value
    assert encode(decode(encode(value))) == encode(value)


@given(VALUES, VALUES)
def test_different_values_have_different_encodings(first: object, second: object) -> None:
    same = first == second and repr(first) == repr(second)  # True == 1, but they are different values
    assert (encode(first) == encode(second)) == same


@given(st.binary(max_size=64))
def test_bytes_are_canonical_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except DecodeError:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_damaged_bytes_are_canonical_or_refused(value: object, data: st.DataObject) -> None:
    damaged = bytearray(encode(value))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    try:
        assert encode(decode(bytes(damaged))) == bytes(damaged)
    except DecodeError:
        pass


@pytest.mark.parametrize(
    "five", [b"\xcc\x05", b"\xcd\x00\x05", b"\xce\x00\x00\x00\x05", b"\xcf" + bytes(7) + b"\x05", b"\xd0\x05"]
)
def test_a_number_has_one_form(five: bytes) -> None:
    assert msgpack.unpackb(five) == 5
    with pytest.raises(DecodeError):
        decode(five)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x02",  # two values
        b"\x92\x01",  # a value that ends too soon
        b"\x80",  # a map
        b"\x81\x01\x02",
        b"\x82\x01\x02\x01\x03",  # a key twice
        b"\xca\x3f\x80\x00\x00",  # floats
        b"\xcb" + bytes(8),
        b"\xd4\x01\x00",  # extension types
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x00\x01",  # one of no bytes
        b"\x91\xc7\x00\xff",
        b"\xc1",  # never used
        b"\xa2\xff\xfe",  # text that is no UTF-8
        b"\xdc\x00\x01\x05",  # a longer form of an array than needed
        b"\xc5\x00\x01\x00",  # and of bytes
        b"\xd9\x01a",  # and of text
        b"\x92\x01\x91\xcb" + bytes(8),  # a float inside
        b"\x91" * 2_000 + b"\x01",  # deeper than the decoder goes
        b"\xdd\xff\xff\xff\xff",  # four thousand million items, announced
        b"\xc6\xff\xff\xff\xff",
    ],
)
def test_what_is_no_canonical_value_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\x90" * BOMB_BYTES,
        b"\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\x80" * BOMB_BYTES,
        b"\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\xc0" * BOMB_BYTES,
        b"\xdd" + (BOMB_BYTES // 2).to_bytes(4, "big") + b"\x91\xc0" * (BOMB_BYTES // 2),
        b"\xdc\x03\xe8" + (b"\x91" * 400 + b"\x90") * 1_000,
        b"\xdc\x03\xe8" + (b"\x91" * 400 + b"\xc4\x01\xcb") * 1_000,
        b"\xdd" + (BOMB_BYTES // 3).to_bytes(4, "big") + "у".encode().join([b"\xa2"] * (BOMB_BYTES // 3)) + b"\xd1\x83",
    ],
    ids=["empty arrays", "empty maps", "nothings", "small arrays", "chains", "chains that are searched", "letters"],
)
def test_decoding_takes_a_bounded_multiple_of_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        decode(bomb)
    except DecodeError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= 64 * len(bomb)


@pytest.mark.parametrize("depth", [1, 100, 500, 600, 1_000, 1_100])
def test_what_is_too_deep_does_not_depend_on_who_calls(depth: int) -> None:
    deep = b"\x91" * (depth - 1) + b"\x92\x01\xc4\x01\xcb"  # the byte of a float, in bytes: all is searched

    def verdict(levels: int) -> bool:
        if levels:
            return verdict(levels - 1)
        try:
            decode(deep)
        except DecodeError:
            return False
        return True

    assert verdict(0) == verdict(700)


@given(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9))
def test_a_digest_depends_on_its_tag(first: bytes, second: bytes) -> None:
    assert (digest(first, b"same") == digest(second, b"same")) == (first == second)


def test_a_digest_is_sha256_of_the_tag_and_the_parts() -> None:
    # FIPS 180-4, appendix: "abc"
    assert digest(b"a", b"b", b"c").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_boolean_is_no_number_and_a_number_no_boolean() -> None:
    assert as_int(1) == 1
    assert as_bool(True) is True
    for check, wrong in ((as_int, True), (as_bool, 1), (as_int, None), (as_bytes, "x"), (as_tuple, [1]), (as_int, b"")):
        with pytest.raises(DecodeError):
            check(wrong)
    with pytest.raises(DecodeError):
        as_str(b"x", 5)


def test_shapes_are_bounded() -> None:
    assert as_int(5, 5, 5) == 5
    assert as_bytes(b"ab", 2) == b"ab"
    assert as_str("ab", 2) == "ab"
    assert as_tuple((1, 2), 2) == (1, 2)
    for refused in (
        lambda: as_int(4, 5, 9),
        lambda: as_int(10, 5, 9),
        lambda: as_int(-1),
        lambda: as_int(2**63),
        lambda: as_bytes(b"abc", 2),
        lambda: as_bytes(b"abc", most=2),
        lambda: as_str("abc", 2),
        lambda: as_tuple((1,), 2),
        lambda: as_tuple((1, 2, 3), most=2),
    ):
        with pytest.raises(DecodeError):
            refused()
