"""The votes of one view, and the certificates that they make.

One rule: a certificate is made of the weights of distinct signers of one and the same statement. The first verified
vote of a signer stands and is never replaced; a second one that contradicts it is evidence.
"""

from collections.abc import Iterable

from consensus.committee import Committee
from consensus.events import Evidence
from consensus.evidence import make_evidence
from consensus.messages import Certificate, Hash, Kind, Vote, certified_votes


class Tally:
    """Votes and certificates of one view. Every vote and certificate given to it is verified."""

    __slots__ = ("_accused", "_committee", "_votes", "_weights", "certificates")

    def __init__(self, committee: Committee) -> None:
        self._committee = committee
        self._votes: tuple[dict[int, Vote], dict[int, Vote], dict[int, Vote]] = ({}, {}, {})
        self._weights: dict[tuple[Kind, Hash], int] = {}
        self._accused: set[tuple[Kind, int]] = set()
        self.certificates: list[Certificate | None] = [None, None, None]

    def wants(self, vote: Vote) -> bool:
        """Return whether the vote could make a certificate, or is evidence that we do not have. R21."""
        first = self._votes[vote.kind].get(vote.signer)
        if first is not None:
            return first.hash != vote.hash and (vote.kind, vote.signer) not in self._accused
        return self.certificates[vote.kind] is None or self._opposed(vote) is not None

    def conflicts(self, vote: Vote) -> Vote | None:
        """Return the stored vote that convicts the signer of ``vote``, once for each pair. Ask before ``add``. R45."""
        first = self._votes[vote.kind].get(vote.signer)
        if first is not None:
            if first.hash == vote.hash or (vote.kind, vote.signer) in self._accused:
                return None
            self._accused.add((vote.kind, vote.signer))
            return first
        return self._opposed(vote)

    def convict(self, votes: Iterable[Vote]) -> list[Evidence]:
        """Return what verified votes of distinct signers prove with those that are here. Ask before ``add``. R45."""
        pairs = [(first, vote) for vote in votes if (first := self.conflicts(vote)) is not None]
        return [make_evidence(first, vote) for first, vote in pairs]

    def add(self, vote: Vote) -> Certificate | None:
        """Count a vote; return the certificate if this vote completes it, for ``certify`` to store. R22."""
        votes = self._votes[vote.kind]
        if vote.signer in votes:
            return None
        votes[vote.signer] = vote
        statement = (vote.kind, vote.hash)
        weight = self._weights.get(statement, 0) + self._committee.validators[vote.signer].weight
        self._weights[statement] = weight
        if weight < self._committee.quorum or self.certificates[vote.kind] is not None:
            return None
        return self._assemble(vote)

    def certify(self, certificate: Certificate) -> bool:
        """Store a certificate; return False if one of its kind is there. Its votes may yet be contradicted. R45."""
        if self.certificates[certificate.kind] is not None:
            return False
        self.certificates[certificate.kind] = certificate
        for vote in certified_votes(certificate):
            self._votes[vote.kind].setdefault(vote.signer, vote)
        return True

    def voted(self, kind: Kind, signer: int) -> bool:
        """Return whether a vote of this kind by ``signer`` is here."""
        return signer in self._votes[kind]

    def signers(self, kind: Kind) -> tuple[int, ...]:
        """Return who cast a vote of this kind, ascending."""
        return tuple(sorted(self._votes[kind]))

    def _opposed(self, vote: Vote) -> Vote | None:
        """Return the vote of the same signer that an honest one does not cast beside this kind. R7."""
        if vote.kind is Kind.NULLIFY:
            return self._votes[Kind.FINALIZE].get(vote.signer)
        return self._votes[Kind.NULLIFY].get(vote.signer) if vote.kind is Kind.FINALIZE else None

    def _assemble(self, last: Vote) -> Certificate:
        votes = self._votes[last.kind]
        chosen, weight = [], 0
        for signer in sorted(votes):
            if votes[signer].hash == last.hash and weight < self._committee.quorum:
                chosen.append((signer, votes[signer].signature))
                weight += self._committee.validators[signer].weight
        return Certificate(last.kind, last.epoch, last.view, last.hash, tuple(chosen))
