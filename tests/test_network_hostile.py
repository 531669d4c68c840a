"""A peer that misbehaves, floods, stalls or was never one: it is dropped and counted, and nothing else happens."""

import asyncio
import ssl
import struct
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from consensus.encoding import DecodeError
from network.calls import PeerError, RequestFailed
from network.connection import PATH, UNREAD_BYTES_MAX, VISITORS_MAX
from network.identity import ALPN
from network.limits import MISBEHAVED_POINTS, Channel, Limits
from network.mesh import PeerAddress
from network.wire import (
    FRAME_BYTES_MAX,
    CloseCode,
    FailureCode,
    PeerId,
    bundle_frame,
    decode_hello,
    failure_frame,
    hello_frame,
    message_frame,
    request_frame,
    welcome_frame,
)
from tests.network_lab import (
    BATCHES,
    PATIENCE_SECONDS,
    STRICT,
    VOTES,
    ByHand,
    Node,
    by_hand,
    connect,
    eventually,
    identities,
    identity,
    nowhere,
    running,
)

FORGIVING = Limits(block_seconds_min=0.02, block_seconds_max=0.02, backoff_seconds_max=0.05)

GARBAGE = {
    "empty": b"",
    "unknown channel": message_frame(99, b"x"),
    "unknown type": b"\xff",
    "hello again": b"\x00" + bytes(50),
    "welcome again": welcome_frame(),
    "too much for the channel": message_frame(VOTES.number, bytes(VOTES.payload_bytes_max + 1)),
    "a request cut short": request_frame(1, 1, 1, b"")[:7],
    "a request too large": request_frame(1, 1, 1, bytes(64 * 2**10 + 1)),
    "a bundle in a bundle": bundle_frame([bundle_frame([message_frame(1, b"x")])]),
    "a bundle cut short": bundle_frame([message_frame(1, b"x"), message_frame(1, b"y")])[:-1],
    "more than a frame may have": bytes(FRAME_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_ends_the_link_of_its_sender_and_nothing_else_happens(name: str) -> None:
    first, second, bad = identities(3)
    node, good = Node(first), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(bad)])
        async with by_hand(bad, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(bad.peer))
            await peer.ws.send_bytes(GARBAGE[name])
            code = await peer.close_code()
            is_cut = name == "more than a frame may have"  # refused at its header: what is still on its way is reset
            assert code == CloseCode.VIOLATION or is_cut
        await still_well(node, good)
        assert sum(node.mesh.counters.violations.values()) == 1
        status = node.status(bad.peer)
        assert status.score > 0 or status.narrow, "it costs points, or more than a hundred of them"
        assert node.received == []


@pytest.mark.parametrize("what", ["text", "wrong ping"])
async def test_messages_that_are_no_frames_end_the_link(what: str) -> None:
    first, second, bad = identities(3)
    node, good = Node(first), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(bad)])
        async with by_hand(bad, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(bad.peer))
            await (peer.ws.send_str("vote") if what == "text" else peer.ws.ping(b"short"))
            assert await peer.close_code() == CloseCode.VIOLATION
        await still_well(node, good)
        assert node.mesh.counters.violations["malformed"] == 1


RAW = {
    "a reserved opcode": b"\x83\x80\x00\x00\x00\x00",
    "a reserved bit": b"\xc2\x80\x00\x00\x00\x00",
    "a fragmented ping": b"\x09\x80\x00\x00\x00\x00",
    "a continuation of nothing": b"\x80\x80\x00\x00\x00\x00",
    "a length of 2**62": b"\x82\xff" + struct.pack(">Q", 2**62) + bytes(4),
    "no WebSocket at all": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_bytes_that_are_no_websocket_end_the_link(name: str) -> None:
    first, second, bad = identities(3)
    node, good = Node(first), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(bad)])
        async with by_hand(bad, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(bad.peer))
            transport = peer.ws._writer.transport  # beneath aiohttp, which would refuse to send this
            transport.write(RAW[name])
            await eventually(lambda: node.disconnected == [bad.peer])
        await still_well(node, good)


async def test_fragments_are_one_message() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            mask = bytes(4)
            transport = peer.ws._writer.transport
            transport.write(b"\x02\x83" + mask + b"\x01ab" + b"\x00\x81" + mask + b"c" + b"\x80\x81" + mask + b"d")
            await eventually(lambda: node.received == [(second.peer, 1, b"abcd")])
            assert type(node.received[0][2]) is bytes


async def test_fragments_without_an_end_end_the_link() -> None:
    """Empty ones make no message, so no rate of messages or of what is in them would count."""
    first, second, bad = identities(3)
    node, good = Node(first), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(bad)])
        async with by_hand(bad, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(bad.peer))
            transport = peer.ws._writer.transport
            transport.write(b"\x02\x80" + bytes(4))
            for _ in range(5):
                transport.write((b"\x00\x80" + bytes(4)) * (FRAME_BYTES_MAX // 6))
            await eventually(lambda: node.disconnected == [bad.peer])
        await still_well(node, good)
        assert node.mesh.counters.violations["malformed"] == 1
        assert node.status(bad.peer).narrow


async def test_any_number_of_whole_messages_is_read() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        for _ in range(3 * UNREAD_BYTES_MAX // BATCHES.payload_bytes_max):
            await eventually(lambda: a.mesh.send(b.peer, BATCHES.number, bytes(BATCHES.payload_bytes_max)))
            await eventually(lambda: a.mesh._slots[b.peer].link.queue_bytes == 0)  # type: ignore[union-attr]
        assert await a.mesh.request(b.peer, 1, b"x", PATIENCE_SECONDS) == b"\x01x"
        assert b.disconnected == []


async def test_a_slow_reader_delays_nobody_and_its_queue_is_bounded() -> None:
    first, second, slow = identities(3)
    node, good = Node(first, Limits(write_seconds=0.3)), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(slow)])
        async with by_hand(slow, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(slow.peer))
            batch, sent, largest = bytes(BATCHES.payload_bytes_max), 0, 0

            def broadcast_until_it_is_dropped() -> bool:
                nonlocal sent, largest
                if len(good.received) == sent:  # the other gets each in its turn
                    node.mesh.broadcast(BATCHES.number, batch)
                    for number in range(1_100):  # more than its outbox holds
                        node.mesh.send(slow.peer, VOTES.number, b"%d" % number)
                    sent += 1
                largest = max(largest, node.status(slow.peer).queue_bytes)
                return node.disconnected == [slow.peer]

            await eventually(broadcast_until_it_is_dropped)
            assert BATCHES.outbox_bytes_max / 2 < largest <= BATCHES.outbox_bytes_max + VOTES.outbox_bytes_max
            assert len(good.received) >= sent - 1
            assert node.mesh.channel_counters[BATCHES.number].dropped > 0
            assert node.mesh.channel_counters[VOTES.number].dropped > 0
            assert node.mesh.counters.links_closed["too_slow"] == 1
        await still_well(node, good)


async def test_an_outbox_that_may_have_no_gap_ends_the_link_when_it_is_full() -> None:
    first, slow = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(slow)])
        async with by_hand(slow, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(slow.peer))
            queued = 0
            while node.mesh.send(slow.peer, STRICT.number, bytes(STRICT.payload_bytes_max)):
                queued += 1
            assert queued <= STRICT.outbox_bytes_max // STRICT.payload_bytes_max
            assert not node.has_link(slow.peer)
            await eventually(lambda: node.mesh.counters.links_closed["too_slow"] == 1)


async def test_what_comes_over_the_rate_is_dropped_and_a_flood_is_a_misbehaviour() -> None:
    first, second = identities(2)
    modest = Channel(1, "votes", 512, 2**16, 0, "drop_oldest", 1.0, 1e6, messages_burst=10.0)
    node = Node(first, channels=[modest])
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            for number in range(200):
                await peer.ws.send_bytes(message_frame(1, b"%d" % number))
            counters = node.mesh.channel_counters[1]
            await eventually(lambda: counters.messages_in == 200)
            assert 10 <= len(node.received) <= 13
            assert counters.over_rate == 200 - len(node.received)
            assert 4 <= node.status(second.peer).score <= 15, "points once a second, not for each message"
            assert node.has_link(second.peer)


async def test_bytes_over_the_rate_are_dropped() -> None:
    first, second = identities(2)
    modest = Channel(1, "batches", 1_000, 2**16, 0, "drop_new", 1e6, 1.0, bytes_burst=2_500.0)
    node = Node(first, channels=[modest])
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            for _ in range(5):
                await peer.ws.send_bytes(message_frame(1, bytes(1_000)))
            await eventually(lambda: node.mesh.channel_counters[1].messages_in == 5)
            assert len(node.received) == 2


async def test_a_link_over_its_total_rate_is_read_slowly_and_loses_nothing() -> None:
    a, b = identities(2)
    sender, reader = Node(a), Node(b, Limits(link_bytes_per_second=4e6, link_bytes_burst=1e5))
    async with running(sender, reader):
        await connect(sender, reader)
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            await eventually(lambda: sender.mesh.send(b.peer, BATCHES.number, bytes(100_000)))
        await eventually(lambda: len(reader.received) == 20)
        assert asyncio.get_running_loop().time() - started >= 0.4  # 2 MB at 4 MB/s


async def test_each_frame_of_a_bundle_counts_against_the_total_rate_of_messages() -> None:
    a, b = identities(2)
    reader = Node(a, Limits(link_messages_per_second=1_000.0, link_messages_burst=100.0))
    async with running(reader):
        reader.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, reader) as peer:
            await peer.greet()
            await eventually(lambda: reader.has_link(b.peer))
            started = asyncio.get_running_loop().time()
            for _ in range(3):
                await peer.ws.send_bytes(bundle_frame([message_frame(VOTES.number, b"vote")] * 300))
            await eventually(lambda: len(reader.received) == 900)
            assert asyncio.get_running_loop().time() - started >= 0.4  # 600 before the last bundle, 100 of them at once


async def test_points_add_up_to_a_disconnection_and_a_way_back_on_the_narrow_lane() -> None:
    first, second = identities(2)
    node = Node(first, FORGIVING)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            node.mesh.penalize(second.peer, 60, "a bad signature")
            assert node.has_link(second.peer)
            node.mesh.penalize(second.peer, 60, "another")
            assert not node.has_link(second.peer)
            assert await peer.close_code() == CloseCode.BLOCKED
            assert node.mesh.counters.penalties == 1
        await eventually(lambda: not node.status(second.peer).blocked_seconds)
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            assert node.status(second.peer).narrow
            await on_the_narrow_lane(node, peer)


async def on_the_narrow_lane(node: Node, peer: ByHand) -> None:
    """A buggy validator can still vote: some votes pass, and nothing else."""
    for number in range(100):
        await peer.ws.send_bytes(message_frame(BATCHES.number, b"batch"))
        await peer.ws.send_bytes(message_frame(VOTES.number, b"%d" % number))
    await eventually(lambda: node.mesh.channel_counters[VOTES.number].messages_in == 100)
    assert {channel for _, channel, _ in node.received} == {VOTES.number}
    assert 40 <= len(node.received) <= 60
    await peer.ws.send_bytes(request_frame(1, 1, 1_000, b""))
    assert await peer.frame() == failure_frame(1, FailureCode.BUSY)
    assert node.status(peer.peer).score == 0, "who is held back is not punished for it"


async def test_nobody_is_blocked_for_good_and_a_block_grows_to_a_bound() -> None:
    first, second = identities(2)
    node = Node(first, Limits(block_seconds_min=0.01, block_seconds_max=0.04))
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        for _ in range(4):
            await eventually(lambda: not node.status(second.peer).blocked_seconds)
            async with by_hand(second, node) as peer:
                await peer.greet()
                await eventually(lambda: node.has_link(second.peer))
                node.mesh.penalize(second.peer, MISBEHAVED_POINTS, "again")
                await peer.close_code()
        assert node.mesh.counters.penalties == 4
        assert node.status(second.peer).narrow


async def test_a_block_doubles_while_the_misbehaviour_goes_on_up_to_a_minute() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        for longest in (5, 10, 20, 40, 60, 60):
            node.mesh._slots[second.peer].blocked_until = 0.0  # it is let in again
            for _ in range(100):  # a burst counts once
                node.mesh.penalize(second.peer, MISBEHAVED_POINTS, "again")
            assert longest - 1 < node.status(second.peer).blocked_seconds <= longest
        assert node.mesh.counters.penalties == 6


async def test_who_is_blocked_is_not_let_in() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        node.mesh.penalize(second.peer, MISBEHAVED_POINTS, "before it ever came")
        async with by_hand(second, node) as peer:
            assert await peer.close_code() == CloseCode.BLOCKED
        assert node.connected == []


@pytest.mark.parametrize(
    ("error", "points"),
    [(DecodeError("not canonical"), 100), (PeerError("bad signature", 100), 100), (PeerError("dull", 1), 1)],
)
async def test_what_the_node_cannot_read_is_scored_and_counted(error: Exception, points: int) -> None:
    a, b = (Node(one) for one in identities(2))

    def refuse(peer: PeerId, channel: int, payload: bytes) -> None:
        raise error

    a.take = refuse
    async with running(a, b):
        await connect(a, b)
        b.mesh.send(a.peer, VOTES.number, b"x")
        await eventually(lambda: a.mesh.channel_counters[VOTES.number].invalid == 1)
        await eventually(lambda: a.has_link(b.peer) == (points < MISBEHAVED_POINTS))
        assert a.mesh.counters.penalties == (points >= MISBEHAVED_POINTS)


async def test_nothing_of_a_bundle_is_read_after_the_frame_for_which_the_link_ends() -> None:
    first, second = identities(2)
    node = Node(first)
    seen: list[bytes] = []

    def take(peer: PeerId, channel: int, payload: bytes) -> None:
        seen.append(payload)
        raise PeerError("bad signature", 100)

    node.take = take
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await peer.ws.send_bytes(bundle_frame([message_frame(1, b"bad"), message_frame(1, b"worse")]))
            await eventually(lambda: node.disconnected)
    assert seen == [b"bad"]


@pytest.mark.parametrize("limits", [Limits(handshakes_per_ip_max=4), Limits(handshakes_max=4)], ids=["ip", "all"])
async def test_strangers_that_say_nothing_hold_a_bounded_number_of_places_for_a_bounded_time(limits: Limits) -> None:
    a, b = identities(2)
    node, good = Node(a, replace(limits, handshake_seconds=2.0)), Node(b)
    refused = node.mesh.counters.arrivals_refused
    async with running(node, good):
        silent = [await asyncio.open_connection("127.0.0.1", node.mesh.port) for _ in range(10)]
        try:
            await eventually(lambda: refused["full"] == 6)
            await eventually(lambda: refused.total() == 10)  # the four, after their time
            await connect(node, good)
        finally:
            for _, writer in silent:
                writer.close()


async def test_a_peer_that_says_nothing_after_tls_holds_its_place_for_a_bounded_time() -> None:
    a, b = identities(2)
    node = Node(a, Limits(handshake_seconds=0.5))
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        reader, writer = await asyncio.open_connection("127.0.0.1", node.mesh.port, ssl=b.contexts([a.peer]).client)
        try:
            await eventually(lambda: node.mesh.counters.arrivals_refused["deadline"] == 1)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await reader.read() == b""
        finally:
            writer.transport.abort()


async def test_no_more_than_so_many_addresses_are_remembered() -> None:
    (a,) = identities(1)
    listener = Node(a).mesh._listener
    for number in range(2 * VISITORS_MAX):
        assert listener._admit(f"10.0.{number // 256}.{number % 256}") is not None
    assert len(listener._visitors) == VISITORS_MAX


async def test_a_peer_that_leaves_in_the_handshake_gives_its_place_back_at_once() -> None:
    a, b = identities(2)
    node, good = Node(a, Limits(handshakes_per_ip_max=1, handshake_seconds=600.0)), Node(b)
    async with running(node, good):
        node.mesh.set_addresses([nowhere(b)])
        _, leaving = await asyncio.open_connection("127.0.0.1", node.mesh.port, ssl=b.contexts([a.peer]).client)
        leaving.transport.abort()
        good.mesh.set_addresses([node.address()])
        await eventually(lambda: node.has_link(b.peer) and good.has_link(a.peer))


async def test_arrivals_from_one_address_are_metered() -> None:
    (a,) = identities(1)
    node = Node(a, Limits(handshakes_per_ip_per_second=0.001, handshakes_per_ip_burst=3.0))
    async with running(node):
        for _ in range(8):
            _, writer = await asyncio.open_connection("127.0.0.1", node.mesh.port)
            writer.close()
            await writer.wait_closed()
        await eventually(lambda: node.mesh.counters.arrivals_refused["full"] == 5)


async def test_a_stranger_without_tls_or_a_known_key_never_reaches_http() -> None:
    a, b = identities(2)
    stranger = identity(99)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        nameless = ssl.create_default_context()
        nameless.check_hostname, nameless.verify_mode = False, ssl.CERT_NONE
        nameless.set_alpn_protocols([ALPN])
        for context in (None, nameless):
            reader, writer = await asyncio.open_connection("127.0.0.1", node.mesh.port, ssl=context)
            writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            try:
                answer = await reader.read()
            except (ConnectionResetError, ssl.SSLError):
                answer = b""
            assert b"HTTP" not in answer
            writer.transport.abort()
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            async with by_hand(stranger, node):
                pass
        await eventually(lambda: node.mesh.counters.arrivals_refused["tls"] >= 3)
        assert set(node.mesh.counters.arrivals_refused) == {"tls"}, "nobody came as far as the second check"
        assert node.mesh.counters.accepted == 0


async def test_a_known_peer_that_speaks_only_http_is_turned_away() -> None:
    a, b = identities(2)
    node = Node(a, Limits(handshake_seconds=0.5))
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with aiohttp.ClientSession() as session:
            context = b.contexts([a.peer]).client
            for path, status in (("/", 404), ("/metrics", 404), (PATH, 400)):
                async with session.get(f"https://127.0.0.1:{node.mesh.port}{path}", ssl=context) as response:
                    assert response.status == status
        assert node.connected == []


async def test_a_redirect_is_not_followed() -> None:
    a, b = identities(2)
    visited: list[str] = []

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        visited.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    server = web.Server(redirect, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=b.contexts([a.peer]).server)
    node = Node(a)
    try:
        async with running(node):
            port = listener.sockets[0].getsockname()[1]
            node.mesh.set_addresses([PeerAddress(b.peer, "b", "127.0.0.1", port)])
            await eventually(lambda: node.mesh.counters.dials_failed["refused"])
            assert visited == [PATH]
            assert node.status(b.peer).backoff_seconds == 60.0
    finally:
        listener.close()
        await server.shutdown(1.0)
        await listener.wait_closed()


async def test_one_peer_cannot_open_many_handshakes() -> None:
    a, b = identities(2)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as one, by_hand(b, node) as two, by_hand(b, node) as three:
            assert await three.close_code() == CloseCode.DUPLICATE
            assert decode_hello(await one.frame()).node == a.peer
            assert decode_hello(await two.frame()).node == a.peer


async def test_a_flood_leaves_others_their_turn() -> None:
    first, second, flooder = identities(3)
    node, good = Node(first), Node(second)
    async with running(node, good):
        await connect(node, good)
        node.mesh.set_addresses([good.address(), nowhere(flooder)])
        async with by_hand(flooder, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(flooder.peer))
            bundle = bundle_frame([message_frame(VOTES.number, b"x")] * 512)

            async def flood() -> None:
                while True:
                    await peer.ws.send_bytes(bundle)
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as tasks:
                flooding = tasks.create_task(flood())
                await eventually(lambda: node.mesh.channel_counters[VOTES.number].messages_in > 20_000)
                for _ in range(20):
                    await good.mesh.request(first.peer, 1, b"", 2.0)
                flooding.cancel()
        assert good.disconnected == []


async def still_well(node: Node, good: Node) -> None:
    """The link between the two has never been touched, and works."""
    assert await node.mesh.request(good.peer, 1, b"x", PATIENCE_SECONDS) == b"\x01x"
    assert await good.mesh.request(node.peer, 1, b"x", PATIENCE_SECONDS) == b"\x01x"
    assert good.disconnected == []
    assert good.peer not in node.disconnected


async def test_a_peer_on_the_narrow_lane_is_back_to_normal_after_its_time() -> None:
    first, second = identities(2)
    node = Node(first, replace(FORGIVING, narrow_seconds=0.1))
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        node.mesh.penalize(second.peer, MISBEHAVED_POINTS, "once")
        await eventually(lambda: not node.status(second.peer).narrow)
        async with by_hand(second, node) as peer:
            await peer.greet()
            await peer.ws.send_bytes(message_frame(BATCHES.number, b"batch"))
            await eventually(lambda: node.received == [(second.peer, BATCHES.number, b"batch")])


async def test_hello_frames_by_hand_are_those_of_the_mesh() -> None:
    """The lab speaks the same wire: its HELLO gets a link, with one bit changed it gets none."""
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.ws.send_bytes(hello_frame(peer.hello())[:-1] + b"!")
            await peer.frame()
            await peer.ws.send_bytes(welcome_frame())
            await eventually(lambda: node.has_link(second.peer))
            assert node.hellos == [(second.peer, b"by han!")]
            with pytest.raises(RequestFailed):
                await node.mesh.request(second.peer, 1, b"", 0.01)
