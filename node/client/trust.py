"""What a client trusts: a network by its genesis, and each later committee by the quorum of the one before.

One rule: nobody's word. A committee follows another only by a boundary block that a quorum of the other finalized, and
whose header names the new one (docs/protocol.md, epochs); or, after more validators were lost than may be, by a decree
(node/decree.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError
from consensus.messages import Certificate, Hash, Header, Kind, decode_certificate, decode_header, header_hash
from consensus.verify import certificate_valid
from node.client.errors import ProofInvalid
from node.decree import (
    Decree,
    DecreeInvalid,
    DecreeUnknown,
    SignedDecree,
    committee_of,
    decode_decree,
    require_stands,
)
from node.ledger.genesis import Genesis
from node.rpc.validator_types import CommitteeChange
from node.terms import begin_height, epoch_above, term_of

GENESIS_EPOCH: Final = 0


class CommitteeUnknown(ProofInvalid):
    """A header of a committee that is not the last one known: ask the node for the changes since."""


@dataclass(frozen=True, slots=True)
class Trust:
    """``committees`` ascend by epoch; each holds until the next one's epoch, the last until one follows.

    ``decrees`` are those on the way, by term. ``accepted`` are the digests of decrees that a person has accepted
    although fewer validators signed them than it takes.
    """

    genesis_hash: bytes
    epoch_length: int
    committees: tuple[Committee, ...]
    decrees: tuple[Decree, ...] = ()
    accepted: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, genesis: Genesis, accepted: Iterable[bytes] = ()) -> Self:
        """Return what a genesis says. Raises ValueError if its validators make no committee."""
        members = (Validator(PublicKey(row.consensus_key), row.weight) for row in genesis.validators)
        first = Committee(GENESIS_EPOCH, members, allow_dominant=genesis.kind == "devnet")
        return cls(genesis.hash, genesis.epoch_length, (first,), accepted=frozenset(accepted))

    @property
    def epoch(self) -> int:
        """The epoch from which the last known committee validates."""
        return self.committees[-1].epoch

    def committee_of(self, epoch: int) -> Committee:
        """Return the committee of an epoch, as far as changes are known."""
        known = next(each for each in reversed(self.committees) if each.epoch <= epoch)
        return Committee(epoch, known.validators, allow_dominant=True)

    def require_final(self, header: Header, certificate: Certificate) -> None:
        """Raise ProofInvalid unless a quorum finalized the block of ``header``; CommitteeUnknown if we cannot tell."""
        if header.genesis_hash != self.genesis_hash:
            raise ProofInvalid("a header of another network")
        if certificate.kind is not Kind.FINALIZE or certificate.hash != header_hash(header):
            raise ProofInvalid("the certificate does not finalize the header")
        if certificate.epoch != header.epoch:
            raise ProofInvalid("the certificate is of another epoch than the header")
        if self.term_above(header.height - 1) > term_of(header.epoch):
            raise ProofInvalid("a header that a decree left out")
        committee = self.committee_of(header.epoch)
        if header.validators_hash != Hash(committee.hash):
            raise CommitteeUnknown("the header is of a committee that does not follow from the genesis")
        if not certificate_valid(certificate, committee, Hash(self.genesis_hash)):
            raise ProofInvalid("no quorum of valid signatures")

    def term_above(self, height: int) -> int:
        """Return the term of the block above a height, as far as decrees are known."""
        return sum(1 for decree in self.decrees if decree.base_height <= height)

    def after(self, change: CommitteeChange) -> Self:
        """Return this with the committee that followed the last known one. Raises ProofInvalid."""
        if change.decree is not None:
            try:
                return self.decreed(decode_decree(bytes.fromhex(change.decree)))
            except DecodeError as error:
                raise ProofInvalid(f"a decree: {error}") from None
        try:
            header = decode_header(bytes.fromhex(change.header))
            certificate = decode_certificate(bytes.fromhex(change.certificate))
            members = [Validator(PublicKey(bytes.fromhex(row.consensus_key)), row.weight) for row in change.validators]
            committee = Committee(change.epoch, members, allow_dominant=True)
        except (DecodeError, ValueError) as error:
            raise ProofInvalid(f"a change of the committee: {error}") from None
        if change.epoch != header.epoch + 1:
            raise ProofInvalid("a change of the committee that does not follow the last one known")
        return self.followed(header, certificate, committee)

    def followed(self, header: Header, certificate: Certificate, committee: Committee) -> Self:
        """Return this with the committee that a final last block of an epoch names. Raises ProofInvalid."""
        if header.epoch < self.epoch:
            raise ProofInvalid("a change of the committee that does not follow the last one known")
        if header.height != begin_height(committee.epoch, self.epoch_length) or committee.epoch != header.epoch + 1:
            raise ProofInvalid("a change of the committee in the middle of an epoch")
        self.require_final(header, certificate)
        if header.next_validators_hash != Hash(committee.hash):
            raise ProofInvalid("the boundary block names another committee")
        return replace(self, committees=(*self.committees, committee))

    def decreed(self, signed: SignedDecree) -> Self:
        """Return this with the committee that a decree names. Raises ProofInvalid, also for a second decree. R63"""
        decree = signed.decree
        known = next((each for each in self.decrees if each.term == decree.term), None)
        if known is not None and known.digest == decree.digest:
            return self
        if known is not None:
            raise ProofInvalid(f"two decrees of term {decree.term}: {known.digest.hex()}, {decree.digest.hex()}")
        if epoch_above(decree.base_height, self.epoch_length, decree.term - 1) < self.epoch:
            raise ProofInvalid("a decree whose base lies below what is final")
        before = self.decrees[-1] if self.decrees else None
        short = decree.digest in self.accepted
        try:
            require_stands(signed, self.genesis_hash, self.epoch_length, before, self.committee_of, allow_short=short)
            committee = committee_of(decree, self.epoch_length)
        except DecreeUnknown as error:
            raise CommitteeUnknown(str(error)) from None
        except (DecreeInvalid, ValueError) as error:
            raise ProofInvalid(f"decree {decree.digest.hex()}: {error}") from None
        return replace(self, committees=(*self.committees, committee), decrees=(*self.decrees, decree))
