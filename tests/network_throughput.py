"""How fast one link is, both ends in this process: python -m tests.network_throughput [payload bytes] [messages].

Run by hand; the figures stand in docs/network.md.
"""

import asyncio
import sys
import time
from dataclasses import replace
from typing import Final

from network.limits import Channel, Limits
from tests.network_lab import Node, connect, identities, running

UNLIMITED: Final = Limits(link_bytes_per_second=1e12, link_bytes_burst=1e12, link_messages_per_second=1e9)
STREAM: Final = Channel(1, "stream", 2**20, 2**26, 0, "drop_new", 1e9, 1e12)
TURN: Final = 64  # messages sent before the loop gets its turn
CALLS: Final = 90  # below the burst of requests


async def measure(payload_bytes: int, count: int) -> None:
    limits = replace(UNLIMITED, link_messages_burst=1e9)
    a, b = (Node(one, limits, [STREAM]) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        started, cpu = time.perf_counter(), time.process_time()
        await stream(a, b, bytes(payload_bytes), count)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        print(
            f"{payload_bytes} B: {count / seconds:,.0f} messages/s, {count * payload_bytes / seconds / 1e6:,.0f} MB/s,"
        )
        print(f"  {cpu / count * 1e6:.1f} µs of CPU a message, both ends together")
        print(f"request and response: {await round_trip(a, b) * 1e3:.2f} ms (median)")


async def stream(a: Node, b: Node, payload: bytes, count: int) -> None:
    done, seen = asyncio.Event(), 0

    def take(peer: object, channel: object, payload: bytes) -> None:
        nonlocal seen
        seen += 1
        b.received.clear()
        if seen == count:
            done.set()

    b.take = take
    sent = 0
    while sent < count:
        sent += a.mesh.send(b.peer, STREAM.number, payload)
        if sent % TURN == 0 or len(payload) > 2**12:
            await asyncio.sleep(0)
    await done.wait()


async def round_trip(a: Node, b: Node) -> float:
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await a.mesh.request(b.peer, 1, bytes(200), 5.0)
        times.append(time.perf_counter() - started)
    return sorted(times)[CALLS // 2]


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(measure(*given, *(200, 100_000)[len(given) :]))
