"""Load for a devnet that runs: the banks pay each other in a ring, at times drawn as by people without a plan.

One rule: nobody gets richer. A bank pays the next one a tyiyn and is paid one by the one before, so a load may run as
often and as long as one likes, and no limit of an account stands in its way.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Final

from devnet.bench.load import APPLIED, Nodes, Tally, open_loop
from devnet.bench.results import Latency, latency_of
from devnet.bench.sign import AMOUNT_TYIYN, BANKS, Call, request_of
from devnet.generate import bank_account
from devnet.money import bank_key
from node.client.client import LIFETIME_MS, Client
from node.ledger.account import SOM
from node.ledger.pay import Pay
from node.ledger.transaction import assemble, make_body, sign_body
from node.rpc.types import GetInfoResult

CALL_TRANSACTIONS: Final = 2  # the fewest that a call of the bench holds
RATE_MAX: Final = 1_000.0  # transactions a second: they are signed on the way, by this process
SECONDS_MAX: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load. What was not answered may still have been applied."""

    sent: int
    accepted: int
    refused: dict[str, int]
    not_final: dict[str, int]  # taken and not applied while we waited, by status; only a call's last one is looked at
    not_answered: dict[str, int]  # calls, by what became of the connection
    seconds: float
    latency: Latency

    @property
    def whole(self) -> bool:
        """Whether all of it was taken and applied."""
        return self.accepted == self.sent and not self.not_final


async def load(urls: Sequence[str], rate: float, seconds: float) -> Loaded:
    """Send ``rate`` transactions a second, spread over the nodes, and wait until they are final."""
    async with Client(urls) as client:
        info = await client.info()
    count = max(1, round(rate * seconds / CALL_TRANSACTIONS))
    nodes, tally = Nodes(urls), Tally()
    began = time.monotonic()
    try:
        await open_loop(nodes, _calls(info, count), rate / CALL_TRANSACTIONS, tally, asyncio.Event())
    finally:
        nodes.close()
    return Loaded(
        sent=count * CALL_TRANSACTIONS,
        accepted=tally.accepted,
        refused=dict(tally.refused),
        not_final={status: number for status, number in tally.outcomes.items() if status != APPLIED},
        not_answered=dict(tally.failed_calls),
        seconds=time.monotonic() - began,
        latency=latency_of([latency for _, latency in tally.samples]),
    )


def _calls(info: GetInfoResult, count: int) -> Iterator[Call]:
    """Yield calls, each signed when it is due."""
    salt = SystemRandom().getrandbits(60)  # no two loads sign the same
    for number in range(salt, salt + count * CALL_TRANSACTIONS, CALL_TRANSACTIONS):
        yield (request_of([_payment(info, number + each) for each in range(CALL_TRANSACTIONS)]),)


def _payment(info: GetInfoResult, number: int) -> bytes:
    genesis_hash = bytes.fromhex(info.genesis_hash)
    payer = bank_account(1 + number % BANKS)
    payee = bank_account(1 + (number + 1) % BANKS)
    expires_ms = time.time_ns() // 1_000_000 + LIFETIME_MS
    pay = Pay(SOM, payer, ((payee, AMOUNT_TYIYN, b""),))
    body = make_body(info.network, expires_ms, number, [payer], [pay])
    return assemble(body, [sign_body(genesis_hash, body, 0, bank_key(1 + number % BANKS))])
