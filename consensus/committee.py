"""Who may vote in an epoch, with what weight, and who leads a view.

One rule: any two quorums share more weight than may be faulty, so they share an honest validator.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consensus.crypto import PUBLIC_KEY_BYTES, PublicKey
from consensus.encoding import digest, encode

VALIDATORS_MAX: Final = 31  # votes are all-to-all; above this the messages of one block cost more than they are worth
WEIGHT_MAX: Final = 2**32 - 1  # a sum of 31 weights stays far below 2**63


@dataclass(frozen=True, slots=True)
class Validator:
    """A member of a committee: its consensus key and its weight (>= 1)."""

    public_key: PublicKey
    weight: int


class Committee:
    """The validators of one epoch, sorted by public key; a validator is its index in this order.

    total = W, faulty_max = F = (W - 1) // 3, quorum = Q = W - F. Two quorums overlap in weight >= F + 1.
    """

    __slots__ = ("_index", "epoch", "faulty_max", "hash", "quorum", "total", "validators")

    def __init__(self, epoch: int, validators: Iterable[Validator], allow_dominant: bool = False) -> None:
        """Raise ValueError if keys repeat, weights are out of range, or one validator outweighs all tolerance.

        A validator heavier than ``faulty_max`` makes its own failure fatal: it needs ``allow_dominant``. (A lone
        validator, and a committee of two or three, tolerate no fault at all and are accepted.)
        """
        ordered = tuple(sorted(validators, key=lambda validator: validator.public_key))
        _check(ordered)
        self.epoch = epoch
        self.validators = ordered
        self.total = sum(validator.weight for validator in ordered)
        self.faulty_max = (self.total - 1) // 3
        self.quorum = self.total - self.faulty_max
        assert self.quorum == 2 * self.total // 3 + 1
        if not allow_dominant and self.faulty_max and any(v.weight > self.faulty_max for v in ordered):
            raise ValueError("a validator weighs more than may be faulty")
        self._index = {validator.public_key: index for index, validator in enumerate(ordered)}
        self.hash = digest(b"som-committee-1", encode([(v.public_key, v.weight) for v in ordered]))

    def __len__(self) -> int:
        return len(self.validators)

    def leader(self, view: int) -> int:
        """Return the index of the validator that proposes in ``view``: equal rotation, whatever the weights."""
        return (self.epoch + view) % len(self.validators)

    def index(self, public_key: bytes) -> int | None:
        """Return the index of the validator with this key, or None."""
        return self._index.get(PublicKey(public_key))

    def weight(self, signers: Iterable[int]) -> int:
        """Return the weight of distinct signers. Asserts that they are distinct."""
        seen = tuple(signers)
        assert len(set(seen)) == len(seen)
        return sum(self.validators[signer].weight for signer in seen)


def _check(validators: tuple[Validator, ...]) -> None:
    if not 1 <= len(validators) <= VALIDATORS_MAX:
        raise ValueError(f"a committee has 1 to {VALIDATORS_MAX} validators, not {len(validators)}")
    for validator in validators:
        if len(validator.public_key) != PUBLIC_KEY_BYTES:
            raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes")
        if not 1 <= validator.weight <= WEIGHT_MAX:
            raise ValueError(f"a weight is 1 to {WEIGHT_MAX}, not {validator.weight}")
    if len({validator.public_key for validator in validators}) != len(validators):
        raise ValueError("a public key occurs twice")
