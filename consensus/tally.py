"""The votes of one view, and the certificates that they make.

One rule: a certificate is made of the weights of distinct signers of one and the same statement. The first verified
vote of a signer stands and is never replaced; a second one that contradicts it is evidence.
"""

from consensus.committee import Committee
from consensus.messages import Certificate, Hash, Kind, Vote


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
        if self.certificates[vote.kind] is not None:
            return False
        first = self._votes[vote.kind].get(vote.signer)
        return first is None or (first.hash != vote.hash and (vote.kind, vote.signer) not in self._accused)

    def conflicts(self, vote: Vote) -> Vote | None:
        """Return the stored vote that convicts the signer of ``vote``, once for each pair. Ask before ``add``. R45."""
        first = self._votes[vote.kind].get(vote.signer)
        if first is not None:
            if first.hash == vote.hash or (vote.kind, vote.signer) in self._accused:
                return None
            self._accused.add((vote.kind, vote.signer))
            return first
        if vote.kind is Kind.NULLIFY:
            return self._votes[Kind.FINALIZE].get(vote.signer)
        if vote.kind is Kind.FINALIZE:
            return self._votes[Kind.NULLIFY].get(vote.signer)
        return None

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
        """Store a certificate; return False if one of its kind is there."""
        if self.certificates[certificate.kind] is not None:
            return False
        self.certificates[certificate.kind] = certificate
        return True

    def voted(self, kind: Kind, signer: int) -> bool:
        """Return whether a vote of this kind by ``signer`` is here."""
        return signer in self._votes[kind]

    def signers(self, kind: Kind) -> tuple[int, ...]:
        """Return who cast a vote of this kind, ascending."""
        return tuple(sorted(self._votes[kind]))

    def _assemble(self, last: Vote) -> Certificate:
        votes = self._votes[last.kind]
        chosen, weight = [], 0
        for signer in sorted(votes):
            if votes[signer].hash == last.hash and weight < self._committee.quorum:
                chosen.append((signer, votes[signer].signature))
                weight += self._committee.validators[signer].weight
        return Certificate(last.kind, last.epoch, last.view, last.hash, tuple(chosen))
