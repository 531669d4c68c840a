"""The distance between validators of a devnet: proxies that delay and change nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devnet.processes import LOOPBACK, free_ports
from devnet.wan import IN_FLIGHT_BYTES_MAX, Delay, Link, Pipe, Proxy, format_links, main, obey, parse_links

DELAY: Final = Delay(20.0, 5.0)
ports = st.integers(1, 65_535)


@asynccontextmanager
async def echo_behind(delay: Delay) -> AsyncIterator[int]:
    """Give the port of a proxy before a server that sends back what it gets, to the end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(10_000):
            writer.write(data)
            await writer.drain()
        writer.close()

    listen, target = free_ports(2)
    proxy = Proxy([Link(listen, target)], delay)
    async with await asyncio.start_server(serve, LOOPBACK, target):
        await proxy.start()
        try:
            yield listen
        finally:
            await proxy.close()


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20), st.integers(0, 3), st.integers(0, 3))
async def test_a_pipe_gives_the_same_bytes_in_the_same_order_however_it_jitters(
    parts: list[bytes], ms: int, jitter_ms: int
) -> None:
    pipe = Pipe(Delay(ms, jitter_ms), Random(1), asyncio.get_running_loop().time)
    for part in (*parts, b""):
        pipe.put(part)
    came = []
    while part := await pipe.get():
        came.append(part)
    assert came == parts


async def test_nothing_comes_out_of_a_pipe_before_its_time() -> None:
    now = asyncio.get_running_loop().time
    pipe, began = Pipe(DELAY, Random(1), now), now()
    pipe.put(b"vote")
    assert await pipe.get() == b"vote"
    assert now() - began >= DELAY.ms / 1_000


async def test_a_pipe_that_is_full_holds_up_its_sender_until_something_leaves() -> None:
    pipe = Pipe(Delay(0.0), Random(1), asyncio.get_running_loop().time)
    pipe.put(bytes(IN_FLIGHT_BYTES_MAX))
    waiting = asyncio.create_task(pipe.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await pipe.get()
    await waiting


async def test_a_megabyte_comes_back_whole_after_a_round_trip_and_so_does_the_end() -> None:
    data = Random(7).randbytes(2**20)
    async with echo_behind(DELAY) as port:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        began = asyncio.get_running_loop().time()
        writer.write(data)
        writer.write_eof()
        assert await reader.read(-1) == data
        assert asyncio.get_running_loop().time() - began >= 2 * DELAY.ms / 1_000
        writer.close()


async def test_who_dials_a_validator_that_is_down_sees_its_connection_end() -> None:
    listen, target = free_ports(2)
    proxy = Proxy([Link(listen, target)], Delay(1.0))
    await proxy.start()
    reader, writer = await asyncio.open_connection(LOOPBACK, listen)
    assert await reader.read(-1) == b""
    writer.close()
    await proxy.close()


async def test_a_link_that_is_cut_carries_nothing_until_it_is_healed_and_the_others_do() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(10):
            writer.write(data)
        writer.close()

    async def carried(port: int) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(b"x")
            writer.write_eof()
            return await reader.read(-1)
        except OSError:
            return b""
        finally:
            writer.close()

    one, other, target = free_ports(3)
    proxy = Proxy([Link(one, target), Link(other, target)], Delay(0.0))
    async with await asyncio.start_server(echo, LOOPBACK, target):
        await proxy.start()
        reader, writer = await asyncio.open_connection(LOOPBACK, one)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        obey(proxy, f"cut {one}\n")
        assert await reader.read(-1) == b""
        writer.close()
        assert (await carried(one), await carried(other)) == (b"", b"x")
        obey(proxy, f"heal {one},{other}\n")
        assert (await carried(one), await carried(other)) == (b"x", b"x")
        await proxy.close()


@pytest.mark.parametrize("line", ["", "cut", "cut x", "stop 1", "heal 1,", "cut 0"])
def test_a_line_that_is_no_command_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        obey(Proxy([], Delay(0.0)), line)


async def test_a_proxy_that_closes_cuts_what_is_connected() -> None:
    async with echo_behind(Delay(0.0)) as port:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    assert await reader.read(-1) == b""
    writer.close()


@given(st.lists(st.builds(Link, ports, ports), min_size=1, max_size=20))
def test_links_are_read_as_written(links: list[Link]) -> None:
    assert parse_links(format_links(links)) == links


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "0:1", "1:70000", "a:1", "1:1,", "-1:5", "1:٣"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no port"):
        parse_links(text)
    assert main(["--delay-ms", "1", f"--links={text}"]) == 1


@pytest.mark.parametrize("delay", ["-1", "5001", "nan"])
def test_a_delay_out_of_bounds_is_refused(delay: str) -> None:
    with pytest.raises(SystemExit):
        main(["--delay-ms", delay, "--links", "1:1"])
