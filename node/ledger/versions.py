"""What each version of the protocol changes: one table.

One rule: no other code compares version numbers. It asks a rule of the version that the block carries, so what a
version means stands here. Rows stay: whoever joins executes the chain from block 1, under the rules of each block.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

VERSION_MAX: Final = 2**16 - 1


class Rules(NamedTuple):
    """What a block is executed by; every field but the first is a rule that some version changed."""

    version: int
    names_old_attestations: bool  # issue on a backing's attestation that ran out: ATTESTATION_OLD, not NO_ATTESTATION


VERSIONS: Final[Mapping[int, Rules]] = {
    1: Rules(1, names_old_attestations=False),
    2: Rules(2, names_old_attestations=True),
}
OLDEST: Final = min(VERSIONS)
NEWEST: Final = max(VERSIONS)


def rules_of(version: int) -> Rules:
    """Return the rules of a version that this software knows: the node begins no epoch of another one."""
    return VERSIONS[version]


def may_follow(version: int, wanted: int) -> bool:
    """Return whether a parameter may demand ``wanted`` while ``version`` is in force: the next one, or none.

    Of no interest is what this software knows: all software must execute a block alike.
    """
    return wanted in (version, version + 1)
