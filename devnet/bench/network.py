"""The network of a scenario: validators that start from a prepared chain, and one of them that is not well.

One rule: what is wrong with a validator is done to its process from outside, or is another program under its keys. The
others run as in production.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from devnet.bench.prepare import Prepared, link_data
from devnet.bench.scenarios import Fault, Scenario
from devnet.generate import VALIDATORS
from devnet.processes import READY_SECONDS, LocalNetwork
from devnet.wan import Delay
from node.ledger.genesis import Genesis

SECONDS_A_VALIDATOR: Final = 6.0  # until it is ready, where all share few cores
SECONDS_A_MILLION: Final = 60.0  # accounts: four build their state trees on two cores
SLOW_SECONDS: Final = 0.2  # a slow validator's period
SLOW_SHARE: Final = 0.25  # of it, in which it runs


def names_of(validators: int) -> tuple[str, ...]:
    """Return the names of so many validators."""
    return (*VALIDATORS, *(f"bank-{number}" for number in range(len(VALIDATORS), validators)))[:validators]


class BenchNetwork(LocalNetwork):
    """A scenario's validators; the last is the one that is not well, if one is not."""

    def __init__(self, directory: Path, scenario: Scenario, made: Prepared) -> None:
        names = names_of(scenario.validators)
        delay = Delay(scenario.delay_ms, scenario.jitter_ms) if scenario.delay_ms else None
        super().__init__(
            directory,
            names,
            scenario.signature_workers,
            delay=delay,
            ready_seconds=READY_SECONDS
            + SECONDS_A_VALIDATOR * len(names)
            + SECONDS_A_MILLION * scenario.accounts / 1_000_000,
        )
        self._made = made
        self._fault: Fault = scenario.fault

    @property
    def unwell(self) -> str | None:
        """The validator that is dead, slow or a liar."""
        return None if self._fault == "none" else self.names[-1]

    @property
    def well(self) -> tuple[str, ...]:
        """The others: they are loaded and measured."""
        return tuple(name for name in self.names if name != self.unwell)

    @property
    def running(self) -> tuple[str, ...]:
        """All that take part, well or not."""
        return self.well if self._fault == "dead" else self.names

    def make_genesis(self) -> Genesis:
        """Return the prepared chain's."""
        return self._made.genesis

    def prepare_homes(self) -> None:
        """Give each home the prepared chain."""
        for name in self.names:
            link_data(self._made, self.directory / name / "data")

    def module(self, name: str) -> tuple[str, ...]:
        """Run the liar's program where one lies."""
        return ("devnet.bench.liar",) if self._fault == "lying" and name == self.unwell else super().module(name)

    def other_pids(self) -> list[int]:
        """Return the processes that are part of this and are not measured one by one."""
        pids = [self.pid(name) for name in self.running if name not in self.well]
        wan = self.wan_pid()
        return pids if wan is None else [*pids, wan]

    @asynccontextmanager
    async def trouble(self) -> AsyncIterator[None]:
        """Let the fault happen for as long as this is open."""
        match self._fault, self.unwell:
            case "dead", str(name):
                self.kill(name)
                yield
            case "slow", str(name):
                slowing = asyncio.create_task(self._slow(name))
                try:
                    yield
                finally:
                    slowing.cancel()
                    await asyncio.gather(slowing, return_exceptions=True)
                    self.signal(name, signal.SIGCONT)
            case _:
                yield

    async def _slow(self, name: str) -> None:
        """Give a validator SLOW_SHARE of its time, by stopping its process for the rest."""
        while True:
            self.signal(name, signal.SIGSTOP)
            await asyncio.sleep(SLOW_SECONDS * (1 - SLOW_SHARE))
            self.signal(name, signal.SIGCONT)
            await asyncio.sleep(SLOW_SECONDS * SLOW_SHARE)
