"""A decree: after more validators are lost than may be, who validates from now on, and from which block. R62 to R65

    decree      what is signed: network, term, base block, whose word it is, the new validators, why, when
    evidence    the base's header and its certificate, the committee after it where that is another one
    signatures  of the central bank's keys, and of those validators of the committee before who are left

One rule: a decree stands if the central bank's threshold signed it, and more weight of every committee that could still
have gone on from the base than may be faulty. These have closed their guards before (node/storage/guard.py), so the
term before it can not go on; and one of them is honest, so the keys are the central bank's and no final block is left
out (docs/emergency.md says when that is certain). Nobody's word is taken: everything is checked here, by nodes and by
clients alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

from consensus.committee import Committee, Validator
from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature, verify
from consensus.encoding import DecodeError, as_bytes, as_int, as_str, as_tuple, decode, digest, encode
from consensus.messages import (
    HASH_BYTES,
    Certificate,
    Hash,
    Header,
    Kind,
    decode_certificate,
    decode_header,
    encode_certificate,
    encode_header,
    header_hash,
)
from consensus.verify import certificate_valid
from node.ledger.account import ACCOUNT_MAX, CLOSED, KEYS_MAX, WEIGHT_MAX, Account, Key
from node.ledger.account import Kind as AccountKind
from node.ledger.genesis import VALIDATOR_WEIGHT_MAX, VALIDATORS_MAX
from node.ledger.validators import Roster, decode_roster, encode_roster, members, safe_committee
from node.terms import TERMS_MAX, epoch_above, first_epoch, term_of

DECREE_BYTES_MAX: Final = 64 * 1024  # 31 seats, 16 keys, 62 signatures, a certificate, a reason
REASON_CHARACTERS_MAX: Final = 1_000
TIME_MAX_MS: Final = 2**53 - 1
DECREE_TAG: Final = b"som-decree-1"
_FORM: Final = 1

Member = tuple[bytes, int]  # consensus key, weight
Signed = tuple[bytes, bytes]  # public key, signature


class DecreeInvalid(Exception):
    """A decree that does not stand."""


class DecreeShort(DecreeInvalid):
    """Fewer validators of the committee before signed a decree than it takes: a person has to accept it by name."""


class DecreeConflict(Exception):
    """What is decreed contradicts what is final here, or another decree of the same term. Stop, keep everything."""


class TermBegins(Exception):
    """No error: from its next life on the node follows a decree."""


class DecreeUnknown(DecreeInvalid):
    """Nothing is wrong with the decree, but the committee before it is not known here yet."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An account of the central bank: whose keys sign, and how much weight of them it takes."""

    account: int
    keys: tuple[Key, ...]
    threshold: int


def central_bank(account: Account) -> Authority | None:
    """Return an account's authority to sign decrees, the same as to set parameters; None if it has none. R63"""
    profile = account.profile
    if profile.kind != AccountKind.CENTRAL_BANK or profile.flags & CLOSED:
        return None
    return Authority(account.number, profile.keys, profile.threshold)


@dataclass(frozen=True)
class Decree:
    """What is decreed. The chain goes on above the base in ``term``, with the validators of ``roster``."""

    genesis_hash: bytes
    term: int
    base_height: int
    base_hash: Hash
    authority: Authority
    roster: Roster  # everybody counts
    reason: str
    time_ms: int

    @cached_property
    def encoded(self) -> bytes:
        """What is signed, before it is hashed."""
        fields = (self.genesis_hash, self.term, self.base_height, self.base_hash)
        return encode((_FORM, *fields, self.authority_fields, encode_roster(self.roster), self.reason, self.time_ms))

    @cached_property
    def digest(self) -> bytes:
        """The 32 bytes that are signed, and by which the decree is known."""
        return digest(DECREE_TAG, self.encoded)

    @property
    def authority_fields(self) -> tuple[int, tuple[Key, ...], int]:
        """Whose word it is, as it is encoded."""
        return self.authority.account, self.authority.keys, self.authority.threshold


@dataclass(frozen=True)
class SignedDecree:
    """A decree with what shows that it stands. Signatures ascend by key. ``certificate`` is missing for block 0 only.

    ``following`` is the committee that the base names, if the base is the last block of an epoch.
    """

    decree: Decree
    header: Header
    certificate: Certificate | None
    following: tuple[Member, ...]
    bank: tuple[Signed, ...] = ()
    validators: tuple[Signed, ...] = ()

    @cached_property
    def encoded(self) -> bytes:
        """The form of files and of the wire."""
        certificate = b"" if self.certificate is None else encode_certificate(self.certificate)
        evidence = (encode_header(self.header), certificate, self.following)
        return encode((_FORM, self.decree.encoded, *evidence, self.bank, self.validators))


@dataclass(frozen=True, slots=True)
class Standing:
    """How much weight has signed: of the bank's keys, and of each committee that could have gone on."""

    bank: int
    bank_threshold: int
    validators: tuple[tuple[int, int], ...]  # signed, needed; one for each committee

    @property
    def bank_signed(self) -> bool:
        """Whether the central bank's threshold is reached."""
        return self.bank >= self.bank_threshold

    @property
    def blocked(self) -> bool:
        """Whether no committee before can go on any more without those who signed."""
        return all(signed >= needed for signed, needed in self.validators)


def committee_of(decree: Decree, length: int) -> Committee:
    """Return the first committee of the term that a decree begins."""
    rows = [Validator(PublicKey(row.consensus_key), row.weight) for row in members(decree.roster)]
    return Committee(epoch_above(decree.base_height, length, decree.term), rows, allow_dominant=True)


# --- the check ---


def require_stands(
    signed: SignedDecree,
    genesis_hash: bytes,
    length: int,
    before: Decree | None,
    known: Callable[[int], Committee | None],
    allow_short: bool,
) -> Standing:
    """Return how a decree stands; raise DecreeInvalid if it does not. R63

    ``before`` is the decree of the term before, if there was one; ``known`` gives the committees of that term's epochs.
    ``allow_short``: a person has accepted that fewer validators signed than it takes.
    """
    standing = standing_of(signed, genesis_hash, length, before, known)
    if not standing.bank_signed:
        raise DecreeInvalid(f"signed by {standing.bank} of the central bank's {standing.bank_threshold}")
    if not standing.blocked and not allow_short:
        shares = ", ".join(f"{got} of {needed}" for got, needed in standing.validators)
        raise DecreeShort(f"signed by too little weight of the committee before: {shares}")
    return standing


def standing_of(
    signed: SignedDecree,
    genesis_hash: bytes,
    length: int,
    before: Decree | None,
    known: Callable[[int], Committee | None],
) -> Standing:
    """Return how much weight has signed a decree; raise DecreeInvalid if anything in it is not as it must be."""
    decree, header = signed.decree, signed.header
    if decree.genesis_hash != genesis_hash or header.genesis_hash != genesis_hash:
        raise DecreeInvalid("a decree of another network")
    if header_hash(header) != decree.base_hash or header.height != decree.base_height:
        raise DecreeInvalid("the header is not the base's")
    if decree.term != (0 if before is None else before.term) + 1:
        raise DecreeInvalid(f"a decree of term {decree.term}, which is not the next one")
    if before is not None and decree.base_height < before.base_height:
        raise DecreeInvalid("the base lies below that of the decree before")
    if not safe_committee([row.weight for row in members(decree.roster)], allow_dominant=False):
        raise DecreeInvalid("the new validators make no safe committee")
    bank = _bank_weight(signed, dict(decree.authority.keys))
    for key, signature in signed.validators:
        _require_signature(decree, key, signature)
    committees = could_go_on(signed, length, before, known)
    _require_certified(signed, genesis_hash, known)
    return Standing(
        bank,
        decree.authority.threshold,
        tuple((_weight(signed, committee), committee.faulty_max + 1) for committee in committees),
    )


def could_go_on(
    signed: SignedDecree, length: int, before: Decree | None, known: Callable[[int], Committee | None]
) -> list[Committee]:
    """Return the committees that could make another block final above the base, or beside it. R63

    The base's own epoch can put another block beside it, unless it is final. The epoch of the block above can go on.
    """
    decree, header = signed.decree, signed.header
    acting = epoch_above(decree.base_height, length, decree.term - 1)
    begun = before is not None and before.base_hash == decree.base_hash  # nothing is final since the last decree
    final = begun or signed.certificate is None or signed.certificate.kind is Kind.FINALIZE
    if acting == header.epoch:
        return [_known(known, acting)]
    if begun:
        return [_known(known, acting)]
    if term_of(header.epoch) != decree.term - 1 or acting != header.epoch + 1:
        raise DecreeInvalid("the base is no block of the term before")
    rows = [Validator(PublicKey(key), weight) for key, weight in signed.following]
    try:
        following = Committee(acting, rows, allow_dominant=True)
    except ValueError as error:
        raise DecreeInvalid(f"the committee that the base names: {error}") from None
    if following.hash != header.next_validators_hash:
        raise DecreeInvalid("the base names another committee than is shown")
    return [following] if final else [_known(known, header.epoch), following]


def _require_certified(signed: SignedDecree, genesis_hash: bytes, known: Callable[[int], Committee | None]) -> None:
    header, certificate = signed.header, signed.certificate
    if certificate is None:
        if header.height:
            raise DecreeInvalid("the base has no certificate")
        return
    if certificate.kind not in (Kind.NOTARIZE, Kind.FINALIZE) or certificate.hash != signed.decree.base_hash:
        raise DecreeInvalid("the certificate is not the base's")
    committee = _known(known, header.epoch)
    if header.validators_hash != committee.hash:
        raise DecreeUnknown("the base is of a committee that is not known here")
    if certificate.epoch != header.epoch or not certificate_valid(certificate, committee, Hash(genesis_hash)):
        raise DecreeInvalid("no quorum certified the base")


def _known(known: Callable[[int], Committee | None], epoch: int) -> Committee:
    committee = known(epoch)
    if committee is None:
        raise DecreeUnknown(f"the committee of epoch {epoch} is not known here yet")
    return committee


def _bank_weight(signed: SignedDecree, keys: dict[bytes, int]) -> int:
    for key, signature in signed.bank:
        if key not in keys:
            raise DecreeInvalid("signed by a key that is not the central bank's")
        _require_signature(signed.decree, key, signature)
    return sum(keys[key] for key, _ in signed.bank)


def _weight(signed: SignedDecree, committee: Committee) -> int:
    found = [committee.index(key) for key, _ in signed.validators]
    return committee.weight(index for index in found if index is not None)


def _require_signature(decree: Decree, key: bytes, signature: bytes) -> None:
    if not verify(PublicKey(key), decree.digest, Signature(signature)):
        raise DecreeInvalid(f"a signature that does not hold, of {key.hex()[:16]}")


def merged(signed: SignedDecree, other: SignedDecree) -> SignedDecree:
    """Return a decree with the signatures of both copies. Raises DecreeInvalid if they are of two decrees."""
    if signed.decree.digest != other.decree.digest:
        raise DecreeInvalid("these are two decrees")
    bank = {**dict(signed.bank), **dict(other.bank)}
    validators = {**dict(signed.validators), **dict(other.validators)}
    return replace(signed, bank=tuple(sorted(bank.items())), validators=tuple(sorted(validators.items())))


# --- bytes ---


def decode_decree(data: bytes) -> SignedDecree:
    """Return the decree that a file or a stranger shows. Raises DecodeError. Nothing is verified here."""
    if len(data) > DECREE_BYTES_MAX:
        raise DecodeError(f"a decree has at most {DECREE_BYTES_MAX} bytes")
    form, decree, header, certificate, following, bank, validators = as_tuple(decode(data), 7)
    as_int(form, _FORM, _FORM)
    shown = as_bytes(certificate)
    rows = [as_tuple(row, 2) for row in as_tuple(following, most=VALIDATORS_MAX)]
    return SignedDecree(
        _as_decree(as_bytes(decree)),
        decode_header(as_bytes(header)),
        decode_certificate(shown) if shown else None,
        tuple((as_bytes(key, PUBLIC_KEY_BYTES), as_int(weight, 1, VALIDATOR_WEIGHT_MAX)) for key, weight in rows),
        _as_signatures(bank, KEYS_MAX),
        _as_signatures(validators, 2 * VALIDATORS_MAX),
    )


def _as_decree(data: bytes) -> Decree:
    form, genesis_hash, term, height, base_hash, authority, roster, reason, time_ms = as_tuple(decode(data), 9)
    as_int(form, _FORM, _FORM)
    seats = decode_roster(as_bytes(roster))
    if any(seat.current is None or seat.next is not None for seat in seats):
        raise DecodeError("a seat of a decree has the keys that count, and no others")
    return Decree(
        as_bytes(genesis_hash, HASH_BYTES),
        as_int(term, 1, TERMS_MAX),
        as_int(height),
        Hash(as_bytes(base_hash, HASH_BYTES)),
        _as_authority(authority),
        seats,
        as_str(reason, REASON_CHARACTERS_MAX),
        as_int(time_ms, 0, TIME_MAX_MS),
    )


def _as_authority(value: object) -> Authority:
    account, keys, threshold = as_tuple(value, 3)
    rows = [as_tuple(row, 2) for row in as_tuple(keys, most=KEYS_MAX)]
    found = tuple((as_bytes(key, PUBLIC_KEY_BYTES), as_int(weight, 1, WEIGHT_MAX)) for key, weight in rows)
    _require_ascending([key for key, _ in found])
    return Authority(as_int(account, 1, ACCOUNT_MAX), found, as_int(threshold, 1, KEYS_MAX * WEIGHT_MAX))


def _as_signatures(value: object, most: int) -> tuple[Signed, ...]:
    rows = [as_tuple(row, 2) for row in as_tuple(value, most=most)]
    found = tuple((as_bytes(key, PUBLIC_KEY_BYTES), as_bytes(signature, SIGNATURE_BYTES)) for key, signature in rows)
    _require_ascending([key for key, _ in found])
    return found


def _require_ascending(keys: Sequence[bytes]) -> None:
    if any(after <= before for before, after in pairwise(keys)):
        raise DecodeError("keys do not ascend")


def epoch_of(decree: Decree, length: int) -> int:
    """Return the first epoch of the term that a decree begins."""
    return epoch_above(decree.base_height, length, decree.term)


def closes_below(term: int) -> int:
    """Return the epoch below which a guard that is closed for a decree of ``term`` signs nothing."""
    return first_epoch(term)
