"""A network that has lost more validators than it may, and the ceremony that brings it back."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from devnet.generate import CENTRAL_BANK, key_of
from node.ceremony import Plan, apply, open_chain, open_consensus_key, plan, report, sign_as_bank, sign_as_validator
from node.decree import SignedDecree, TermBegins
from node.emergency import Report
from node.ledger.validators import Seat
from node.snapshot_fetch import SnapshotReady
from tests.committee_lab import BOARD, keys_of
from tests.node_lab import Lab

REASON = "two banks burnt down"
NOW_MS = 1_900_000_000_000


def seat(name: str, keys: str = "", weight: int = 1, address: str = "") -> Seat:
    """Return a seat of a decree, with the keys of the home ``keys``."""
    return Seat(name, weight, address, keys_of(keys or name), None)


def lose(lab: Lab, *names: str) -> None:
    """Destroy homes for good: keys, guards and data."""
    for name in names:
        shutil.rmtree(lab.directory / name)


def report_of(lab: Lab, name: str) -> Report:
    """Close a validator's guard, and return what its home holds."""
    with ExitStack() as resources:
        chain = open_chain(lab.directory / name, resources)
        return report(chain, open_consensus_key(chain, None, None, resources), resources, NOW_MS)


def planned(lab: Lab, home: str, reports: Sequence[Report], seats: Sequence[Seat]) -> Plan:
    """Return the decree that reports lead to, as the central bank plans it on a home."""
    with ExitStack() as resources:
        chain = open_chain(lab.directory / home, resources)
        return plan(chain, reports, CENTRAL_BANK, tuple(seats), REASON, NOW_MS)


def signed_by_bank(signed: SignedDecree, keys: Sequence[str] = BOARD) -> SignedDecree:
    return sign_as_bank(signed, [key_of(name) for name in keys])


def signed_by(lab: Lab, name: str, signed: SignedDecree, may_lose: bool = False) -> SignedDecree:
    with ExitStack() as resources:
        chain = open_chain(lab.directory / name, resources)
        key = open_consensus_key(chain, None, None, resources)
        return sign_as_validator(chain, key, signed, may_lose, resources)


def applied(lab: Lab, name: str, signed: SignedDecree, accepted: bytes | None = None) -> bool:
    with ExitStack() as resources:
        chain = open_chain(lab.directory / name, resources)
        return apply(chain, open_consensus_key(chain, None, None, resources), signed, accepted)


def ceremony(lab: Lab, left: Sequence[str], seats: Sequence[Seat]) -> SignedDecree:
    """Do all of it among those who are left: report, plan, sign. Nobody has applied the decree yet."""
    made = planned(lab, left[0], [report_of(lab, name) for name in left], seats)
    assert made.certain
    signed = signed_by_bank(made.signed)
    for name in left:
        signed = signed_by(lab, name, signed)
    return signed


class Lives:
    """Runs nodes that may begin again, as node.main does."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.begun: dict[str, int] = {}

    async def start(self, *names: str) -> None:
        """Start nodes."""
        for name in names:
            self.begun[name] = 0
            await self._start(name)

    async def _start(self, name: str) -> None:
        try:
            await self.lab.start(name)
        except ExceptionGroup:  # it had only to reach the base
            await self._again(name)

    async def _again(self, name: str) -> None:
        error = await self.lab.gone(name)
        assert isinstance(error, ExceptionGroup), error
        assert error.split((SnapshotReady, TermBegins))[1] is None, error
        self.begun[name] += 1
        await self._start(name)

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Wait until ``holds()``; a node that ended because a term begins is started again."""
        deadline = time.monotonic() + 90
        while not holds():
            assert time.monotonic() < deadline, f"never came true: {what}; {'; '.join(self.lab.describe())}"
            await asyncio.sleep(0.01)
            for name in list(self.lab.running):
                if self.lab.has_ended(name):
                    await self._again(name)
