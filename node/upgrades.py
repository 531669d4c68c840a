"""Which protocol versions this node takes part in, and what follows when the chain demands another one.

One rule: a node votes only in epochs whose version it knows. It follows to the last block before another one, says why
it stands still there, and goes on from that block with newer software: nothing is lost and nothing is undone.
"""

from node.config import Config, ConfigError
from node.ledger.versions import NEWEST, OLDEST


class VersionUnknown(Exception):
    """What is stored here stands under a protocol version that this software, or its configuration, does not know."""


def supported_versions(config: Config) -> range:
    """Return the versions that this node takes part in. Raises ConfigError."""
    newest = config.protocol.supported_max or NEWEST
    if not OLDEST <= newest <= NEWEST:
        raise ConfigError(f"protocol.supported_max: this software knows versions {OLDEST} to {NEWEST}")
    return range(OLDEST, newest + 1)


def told(supported: range) -> str:
    """Return the versions in words."""
    first, last = supported[0], supported[-1]
    return f"version {first}" if first == last else f"versions {first} to {last}"
