"""Bytes from a peer to an Input that the core may believe, or Invalid.

One rule: cheap before dear. Size, form and sender first; then whether the core wants it at all; signatures last. What
is not wanted still tells that its sender lives and where it is: it becomes PeerHeard.

``certificate_valid`` is the one check of certificates for live traffic, synchronization and clients.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, assert_never

from consensus import crypto
from consensus.committee import Committee
from consensus.encoding import DecodeError
from consensus.events import (
    CertificateReceived,
    CertificatesRequested,
    Input,
    PeerHeard,
    ProposalReceived,
    StatusReceived,
    VoteReceived,
)
from consensus.messages import (
    Certificate,
    CertificateRequest,
    Hash,
    Kind,
    Message,
    Proposal,
    Status,
    Vote,
    decode_message,
    view_after,
    vote_statement,
)

# The largest message of each type, by its second byte. Certificates: 31 signatures of 68 bytes. Proposals: a payload of
# 64 KiB, a header, eleven certificates.
BYTES_MAX: Final = {0: 192, 1: 2_304, 2: 96 * 1024, 3: 32, 4: 48}
MESSAGE_BYTES_MAX: Final = max(BYTES_MAX.values())
SEEN_MAX: Final = 8_192  # verified signatures kept: the votes of 31 validators in some 90 views


class Invalid(Exception):
    """A peer sent what no honest validator sends. Drop it and count it against the peer."""


def certificate_valid(certificate: Certificate, committee: Committee, genesis_hash: bytes) -> bool:
    """Return whether a quorum of ``committee`` signed the certificate. R3. ``committee`` is that of its epoch."""
    return _certificate_valid(certificate, committee, genesis_hash, crypto.verify)


class Verifier:
    """Checks what peers send in one epoch, and remembers which signatures were good."""

    def __init__(self, committee: Committee, genesis_hash: Hash) -> None:
        self._committee = committee
        self._genesis_hash = genesis_hash
        self._seen: dict[tuple[bytes, bytes, bytes], None] = {}

    def verify(self, data: bytes, sender: int, wants: Callable[[Message], bool]) -> Input:
        """Return what ``data`` from the validator ``sender`` means to the core. Raise Invalid.

        ``wants`` is ``Core.wants``: what it refuses costs no signature check and becomes PeerHeard. So does a message
        of another epoch, whatever it says.
        """
        message = self._decode(data)
        match message:
            case Vote():
                return self._vote(message, sender, wants)
            case Certificate():
                if not self._wanted(message, wants):
                    return PeerHeard(sender, message.epoch, message.view + 1, False)
                self._require(self.verify_certificate(message), "certificate")
                return CertificateReceived(sender, message)
            case Proposal():
                return self._proposal(message, sender, wants)
            case CertificateRequest():
                if message.epoch != self._committee.epoch:
                    return PeerHeard(sender, message.epoch, 0, False)
                return CertificatesRequested(sender, message.low, message.high)
            case Status():
                return StatusReceived(sender, message)
            case _:
                assert_never(message)

    def verify_certificate(self, certificate: Certificate) -> bool:
        """Return what ``certificate_valid`` does; signatures seen before cost nothing."""
        return _certificate_valid(certificate, self._committee, self._genesis_hash, self._check)

    def learn(self, vote: Vote) -> None:
        """Remember our own vote: certificates that hold it need not check it."""
        self._remember((self._key(vote.signer), self._statement(vote), vote.signature))

    def _decode(self, data: bytes) -> Message:
        if len(data) > BYTES_MAX.get(data[1] if len(data) > 1 else -1, 0):
            raise Invalid("a message of unknown type or too large")
        try:
            return decode_message(data)
        except DecodeError as error:
            raise Invalid(str(error)) from None

    def _wanted(self, message: Vote | Certificate, wants: Callable[[Message], bool]) -> bool:
        return message.epoch == self._committee.epoch and wants(message)

    def _vote(self, vote: Vote, sender: int, wants: Callable[[Message], bool]) -> Input:
        if vote.epoch != self._committee.epoch:  # in another committee its signer has another index
            return PeerHeard(sender, vote.epoch, view_after(vote), vote.kind is Kind.NULLIFY)
        self._require(vote.signer == sender, "relayed vote")  # R21
        if not self._wanted(vote, wants):
            return PeerHeard(sender, vote.epoch, view_after(vote), vote.kind is Kind.NULLIFY)
        self._require(self._signed(vote), "vote")
        return VoteReceived(vote)

    def _proposal(self, proposal: Proposal, sender: int, wants: Callable[[Message], bool]) -> Input:
        vote = proposal.vote
        if vote.epoch != self._committee.epoch:
            return PeerHeard(sender, vote.epoch, vote.view, False)
        self._require(vote.kind is Kind.NOTARIZE, "proposal without NOTARIZE")
        self._require(vote.signer == sender == self._committee.leader(vote.view), "proposal of another than the leader")
        self._require(proposal.parent_view < vote.view, "proposal before its parent")
        if proposal.block is not None:
            self._require(proposal.block.hash == vote.hash, "proposal of another block")
            self._require(proposal.block.header.epoch == vote.epoch, "block of another epoch")
        if not wants(proposal):
            return PeerHeard(sender, vote.epoch, vote.view, False)
        self._require(self._signed(vote), "proposal")
        finalization = proposal.finalization
        if finalization is not None:
            self._require(finalization.kind is Kind.FINALIZE, "finalization of another kind")
        return ProposalReceived(
            sender,
            Proposal(
                proposal.parent_view,
                vote,
                proposal.block,
                tuple(c for c in proposal.justification if self._useful(c, wants)),
                finalization if finalization is not None and self._useful(finalization, wants) else None,
            ),
        )

    def _useful(self, certificate: Certificate, wants: Callable[[Message], bool]) -> bool:
        if not self._wanted(certificate, wants):
            return False
        self._require(self.verify_certificate(certificate), "certificate in a proposal")
        return True

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Invalid(what)

    def _key(self, signer: int) -> bytes:
        return self._committee.validators[signer].public_key

    def _statement(self, vote: Vote) -> bytes:
        return vote_statement(self._genesis_hash, vote.kind, vote.epoch, vote.view, vote.hash)

    def _signed(self, vote: Vote) -> bool:
        return self._check(self._key(vote.signer), self._statement(vote), vote.signature)

    def _check(self, public_key: bytes, statement: bytes, signature: bytes) -> bool:
        checked = (public_key, statement, signature)
        if checked in self._seen:
            return True
        if not crypto.verify(public_key, statement, signature):
            return False
        self._remember(checked)
        return True

    def _remember(self, checked: tuple[bytes, bytes, bytes]) -> None:
        self._seen[checked] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]  # the oldest


def _certificate_valid(
    certificate: Certificate, committee: Committee, genesis_hash: bytes, check: Callable[[bytes, bytes, bytes], bool]
) -> bool:
    signers = [signer for signer, _ in certificate.signatures]
    if certificate.epoch != committee.epoch or any(not 0 <= signer < len(committee) for signer in signers):
        return False
    if any(before >= after for before, after in pairwise(signers)):
        return False
    if committee.weight(signers) < committee.quorum:
        return False
    statement = vote_statement(genesis_hash, certificate.kind, certificate.epoch, certificate.view, certificate.hash)
    keys = committee.validators
    return all(check(keys[signer].public_key, statement, signature) for signer, signature in certificate.signatures)
