"""Decrees of a small chain, made by hand: keys, a base with its certificate, signatures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from consensus.committee import Committee, Validator
from consensus.crypto import SecretKey
from consensus.messages import NO_HASH, Certificate, Hash, Header, Kind, header_hash, vote_statement
from node.decree import Authority, Decree, SignedDecree
from node.ledger.validators import Keys, Seat
from node.terms import first_epoch

GENESIS: Final = Hash(b"\5" * 32)
LENGTH: Final = 10
KEYS: Final = [SecretKey(bytes([number]) * 32) for number in range(1, 16)]
OLD, NEW, NEXT = KEYS[:4], KEYS[4:8], KEYS[8:12]  # committees
BANK: Final = sorted(KEYS[12:15], key=lambda key: key.public)
AUTHORITY: Final = Authority(42, tuple((bytes(key.public), 1) for key in BANK), 2)


def committee(keys: Sequence[SecretKey], epoch: int = 0) -> Committee:
    return Committee(epoch, [Validator(key.public, 1) for key in keys])


def header(
    height: int, keys: Sequence[SecretKey] = OLD, following: Sequence[SecretKey] | None = None, **fields: Any
) -> Header:
    """Return a block's header, of term 0 unless said otherwise; the last of an epoch names a committee."""
    made = Header(
        genesis_hash=GENESIS,
        epoch=(height - 1) // LENGTH,
        view=height,
        height=height,
        parent_view=height - 1,
        parent_hash=Hash(b"\1" * 32),
        proposer=0,
        timestamp_ms=height,
        validators_hash=Hash(committee(keys).hash),
        next_validators_hash=NO_HASH if following is None else Hash(committee(following).hash),
        executed_height=height - 1,
        state_root=Hash(b"\2" * 32),
        payload_hash=Hash(b"\3" * 32),
        version=1,
    )
    return replace(made, **fields)


def certified(
    head: Header, keys: Sequence[SecretKey] = OLD, kind: Kind = Kind.NOTARIZE, signing: int | None = None
) -> Certificate:
    """Return the certificate of a block by its committee, signed by a quorum unless said otherwise."""
    name = header_hash(head)
    statement = vote_statement(GENESIS, kind, head.epoch, head.view, name)
    seats = committee(keys, head.epoch)
    secrets = {key.public: key for key in keys}
    signed = tuple((index, secrets[member.public_key].sign(statement)) for index, member in enumerate(seats.validators))
    return Certificate(kind, head.epoch, head.view, name, signed[: seats.quorum if signing is None else signing])


def seats_of(keys: Sequence[SecretKey]) -> tuple[Seat, ...]:
    """Return seats whose node keys are made of their consensus keys."""
    rows = [
        Seat(f"v{index:02}", 1, "", Keys(bytes(key.public), bytes(SecretKey(bytes(key.public)).public)), None)
        for index, key in enumerate(keys)
    ]
    return tuple(rows)


def decreed(
    head: Header, certificate: Certificate | None = None, following: Sequence[SecretKey] = (), **fields: Any
) -> SignedDecree:
    """Return a decree of the committee NEW above a base, not signed yet."""
    decree = Decree(
        GENESIS, 1, head.height, header_hash(head), AUTHORITY, seats_of(NEW), "two banks burnt down", 1_900_000_000_000
    )
    rows = (
        tuple((bytes(member.public_key), member.weight) for member in committee(following).validators)
        if following
        else ()
    )
    return SignedDecree(replace(decree, **fields), head, certificate, rows)


def signed(
    unsigned: SignedDecree, bank: Sequence[SecretKey] = BANK[:2], left: Sequence[SecretKey] = OLD[:2]
) -> SignedDecree:
    """Return a decree with the signatures of these keys."""
    name = unsigned.decree.digest
    return replace(
        unsigned,
        bank=tuple(sorted((bytes(key.public), bytes(key.sign(name))) for key in bank)),
        validators=tuple(sorted((bytes(key.public), bytes(key.sign(name))) for key in left)),
    )


def sound(height: int = 13, kind: Kind = Kind.NOTARIZE) -> SignedDecree:
    """Return a decree that stands."""
    head = header(height)
    return signed(decreed(head, certified(head, kind=kind)))


FIRST_TERM: Final = first_epoch(1)
