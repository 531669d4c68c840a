"""A submit that is cut at every place on its way is one payment: the same node, another one, or the client's next life.

One rule: a cut is counted in bytes of the submit itself, over a real socket; so its places are known, and whether the
node had the whole request when the line broke is known too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from node.client.client import Client
from node.client.outbox import Outbox, State
from node.ledger.pay import Pay
from tests.solo_chain import ALICE, BOB, SoloChain, key, serving, solo_chain

EVERY_BYTES: Final = 32  # besides the first and last bytes of a request, of its headers, and of a reply
TYIYN: Final = 7
CHUNK_BYTES: Final = 65_536


class Scissors:
    """A line to a node that is cut after so many bytes of a request, or of a reply, since it was told so."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.passed = {"request": 0, "reply": 0}
        self.header_bytes = 0  # of the request that passed last
        self.cuts = 0
        self._limits: dict[str, int] = {}

    def watch(self, side: str | None = None, most: int = 0) -> None:
        """Count from here on, and cut once: when ``most`` bytes of that side have passed and the next one comes."""
        self.passed = {"request": 0, "reply": 0}
        self._limits = {} if side is None else {side: most}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        cut = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._pass(reader, back, "request", cut)),
            asyncio.ensure_future(self._pass(there, writer, "reply", cut)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        back.close()
        writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, side: str, cut: asyncio.Event
    ) -> None:
        while (data := await reader.read(CHUNK_BYTES)) and not cut.is_set():
            if side == "request" and b"\r\n\r\n" in data:
                self.header_bytes = self.passed[side] + data.index(b"\r\n\r\n") + 4
            left = self._limits.get(side, CHUNK_BYTES) - self.passed[side]
            writer.write(data[:left])
            self.passed[side] += len(data[:left])
            if side in self._limits and left <= len(data):
                self._limits = {}
                self.cuts += 1
                cut.set()
                return
            await writer.drain()


@asynccontextmanager
async def scissors(url: str) -> AsyncIterator[tuple[Scissors, str]]:
    """Give a line to a node, and its URL."""
    line = Scissors(int(url.rpartition(":")[2]))
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    try:
        yield line, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    async with solo_chain(tmp_path / "chain") as found:
        yield found


def received(chain: SoloChain) -> int:
    """Return how many payments Bob has had."""
    account = chain.ledger.account(BOB)
    balance = 0 if account is None else account.balance()
    assert balance % TYIYN == 0
    return balance // TYIYN


async def pay(client: Client, purpose: str, seconds: float) -> State:
    operations = [Pay(1, ALICE, ((BOB, TYIYN, b""),))]
    settled = await client.execute([ALICE], operations, [(0, key("alice"))], key=purpose, timeout_seconds=seconds)
    return settled.state


def places(request: int, headers: int, reply: int) -> list[tuple[str, int]]:
    """Return where to cut: before, within and after a request, before and within its reply."""
    ends = [0, 1, headers - 1, headers, headers + 1, request - 1, request]
    sent = sorted({*ends, *range(0, request, EVERY_BYTES)})
    # The numbers in a reply get longer as the chain does; its last bytes are left to chance.
    return [*(("request", at) for at in sent), *(("reply", at) for at in (1, *range(0, reply - 8, EVERY_BYTES)))]


@pytest.mark.parametrize("goes_on", ["the same node", "another node", "its next life"])
async def test_a_submit_that_is_cut_anywhere_is_one_payment(
    chain: SoloChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    monkeypatch.setattr("node.client.client.PAUSE_SECONDS", (0.0, 0.01, 0.05))
    path = tmp_path / "outbox.sqlite3"
    seconds = 0.0 if goes_on == "its next life" else 10.0  # none: it sends once and gives up
    async with serving(chain) as url, serving(chain) as other_url, scissors(url) as (line, cut_url):
        urls = [cut_url, other_url] if goes_on == "another node" else [cut_url]

        async def attempt(purpose: str, side: str | None, at: int) -> None:
            outbox = Outbox(path)
            try:
                async with Client(urls, outbox=outbox) as client:
                    await client.info()  # the line is open; the submit goes over it
                    line.watch(side, at)
                    if goes_on != "its next life" or side is None:
                        assert await pay(client, purpose, seconds) is State.APPLIED
                        return
                    assert await pay(client, purpose, seconds) is State.PENDING
            finally:
                outbox.close()
            outbox = Outbox(path)
            try:
                async with Client([other_url], outbox=outbox) as client:
                    (settled,) = await client.resume(10.0)
                    assert settled.state is State.APPLIED
                    assert await pay(client, purpose, 10.0) is State.APPLIED  # asked again, it is not paid again
            finally:
                outbox.close()

        await attempt("uncut", None, 0)
        request, headers, reply = line.passed["request"], line.header_bytes, line.passed["reply"]
        assert 0 < headers < request
        for paid, (side, at) in enumerate(places(request, headers, reply), 1):
            before, cuts = chain.submissions, line.cuts
            await attempt(f"cut {side} {at}", side, at)
            assert line.cuts == cuts + 1, (side, at)
            assert received(chain) == paid + 1, (side, at)
            if side == "reply" or at < request:  # what was cut in the request never came; what was cut later came twice
                assert chain.submissions - before == (2 if side == "reply" else 1), (side, at)
    assert received(chain) > 40
