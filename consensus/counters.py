"""What happened since the start, for metrics and operators.

One rule: nothing here decides anything.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts of one core."""

    blocks_finalized: int = 0
    views_notarized: int = 0
    views_nullified: int = 0
    leader_timeouts: int = 0
    view_timeouts: int = 0
    leaders_skipped: int = 0
    proposals_invalid: int = 0
    own_blocks_unfit: int = 0
    retries: int = 0
    evidence: int = 0
