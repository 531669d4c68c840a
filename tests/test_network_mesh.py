"""Links come to be, exactly one with each peer, and come back whatever breaks."""

import asyncio
import gc
import socket
import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

import network.mesh
from consensus.encoding import DecodeError
from network.calls import PeerError
from network.connection import Connection
from network.handshake import Greeting, greet
from network.limits import Limits
from network.mesh import PeerAddress
from network.names import LOOKUPS_MAX
from network.tasks import start
from network.wire import CloseCode, decode_hello, hello_frame, is_welcome, welcome_frame
from tests.network_lab import (
    BATCHES,
    PATIENCE_SECONDS,
    STRICT,
    VOTES,
    Node,
    by_hand,
    connect,
    eventually,
    identities,
    introduce,
    line_to,
    nowhere,
    running,
)

EAGER = Limits(head_start_seconds=0.0)  # both sides dial at once
PATIENT = Limits(ping_seconds=600.0)  # only what the test does ends a link


async def test_peers_exchange_messages_on_channels_and_keep_their_order() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        for number in range(500):
            assert a.mesh.send(b.peer, VOTES.number, b"vote %d" % number)
            if number % 100 == 0:
                assert a.mesh.send(b.peer, BATCHES.number, bytes(BATCHES.payload_bytes_max))
        await eventually(lambda: len(b.received) == 505)
        votes = [payload for peer, channel, payload in b.received if channel == VOTES.number]
        assert votes == [b"vote %d" % number for number in range(500)]
        assert {peer for peer, _, _ in b.received} == {a.peer}


async def test_a_broadcast_reaches_everybody_else_once() -> None:
    nodes = [Node(one) for one in identities(4)]
    async with running(*nodes):
        await connect(*nodes)
        nodes[1].mesh.broadcast(VOTES.number, b"all")
        others = [node for node in nodes if node is not nodes[1]]
        await eventually(lambda: all(node.received for node in others))
        assert [node.received for node in others] == [[(nodes[1].peer, VOTES.number, b"all")]] * 3
        assert nodes[1].received == []


async def test_each_side_hears_what_the_other_says_in_hello() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        assert a.hellos[-1] == (b.peer, b"hello from " + b.peer[:4])
        assert b.hellos[-1] == (a.peer, b"hello from " + a.peer[:4])


async def test_two_that_dial_at_once_get_exactly_one_link() -> None:
    nodes = [Node(one, EAGER) for one in identities(6)]
    async with running(*nodes):
        for round_number in range(1, 6):
            await connect(*nodes)
            for first, second in pairwise(nodes):  # the links work both ways
                assert await first.mesh.request(second.peer, 1, b"x", PATIENCE_SECONDS) == b"\x01x"
                assert await second.mesh.request(first.peer, 1, b"x", PATIENCE_SECONDS) == b"\x01x"
            for node in nodes:
                assert len(node.connected) == 5 * round_number, "a link was made twice"
                assert len(node.disconnected) == 5 * (round_number - 1), "a link was lost"
            pairs = {
                frozenset((node.peer, status.peer)) for node in nodes for status in node.mesh.peers() if status.dialled
            }
            assert len(pairs) == 15
            for node in nodes:
                node.mesh.set_addresses([])
            await eventually(lambda: not any(node.mesh.connected() for node in nodes))
    assert sum(node.mesh.counters.dialled for node in nodes) > 15 * 5, "nobody dialled at the same time"


@pytest.mark.parametrize("only_dialler", [0, 1])
async def test_one_side_that_can_dial_is_enough(only_dialler: int) -> None:
    pair = [Node(one) for one in identities(2)]
    dialler, other = pair[only_dialler], pair[1 - only_dialler]
    async with running(*pair):
        other.mesh.set_addresses([nowhere(dialler.identity)])
        dialler.mesh.set_addresses([other.address()])
        await eventually(lambda: dialler.has_link(other.peer) and other.has_link(dialler.peer))
        assert dialler.status(other.peer).dialled
        assert not other.status(dialler.peer).dialled


@pytest.mark.parametrize("restarted", [0, 1])
async def test_a_peer_that_restarts_is_back_at_once(restarted: int) -> None:
    pair = [Node(one) for one in identities(2)]
    stays, goes = pair[1 - restarted], pair[restarted]
    async with running(stays):
        async with running(goes):
            await connect(stays, goes)
        await eventually(lambda: stays.disconnected == [goes.peer])
        assert not stays.mesh.send(goes.peer, VOTES.number, b"to nobody")
        again = Node(goes.identity, port=goes.mesh.port)
        async with running(again):
            again.mesh.set_addresses([stays.address()])
            async with asyncio.timeout(3.0):
                await eventually(lambda: stays.has_link(goes.peer) and again.has_link(stays.peer))
            assert stays.mesh.send(goes.peer, VOTES.number, b"welcome back")
            await eventually(lambda: again.received == [(stays.peer, VOTES.number, b"welcome back")])


async def test_a_peer_without_an_address_is_not_dialled_until_it_has_one_and_may_dial_us() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        for node, other in ((a, b), (b, a)):
            node.mesh.set_addresses([PeerAddress(other.peer, "other")])
        await asyncio.sleep(0.1)
        assert a.mesh.counters.dialled == b.mesh.counters.dialled == 0
        a.mesh.set_addresses([b.address()])
        await eventually(lambda: a.has_link(b.peer) and b.has_link(a.peer))
        a.mesh.set_addresses([PeerAddress(b.peer, "other")])
        assert a.has_link(b.peer), "the link stays"
        b.mesh.set_addresses([])
        await eventually(lambda: not a.has_link(b.peer))
        dialled = a.mesh.counters.dialled
        b.mesh.set_addresses([PeerAddress(a.peer, "other")])
        await asyncio.sleep(0.3)
        assert a.mesh.counters.dialled == dialled
        b.mesh.set_addresses([a.address()])
        await eventually(lambda: a.has_link(b.peer))


async def test_a_line_that_breaks_is_dialled_again() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b), line_to(b.mesh.port) as line:
        a.mesh.set_addresses([b.address(line.port)])
        b.mesh.set_addresses([nowhere(a.identity)])
        for times in range(1, 4):
            await eventually(lambda: a.has_link(b.peer) and b.has_link(a.peer))
            line.cut()
            # At least: one end may dial before the other has noticed, and that link ends too.
            await eventually(lambda times=times: min(len(a.disconnected), len(b.disconnected)) >= times)  # type: ignore[misc]
        await eventually(lambda: a.has_link(b.peer))
        assert a.status(b.peer).bytes_out >= 0


async def test_a_silent_peer_is_dead_after_some_pings() -> None:
    limits = Limits(ping_seconds=0.05)
    a, b = (Node(one, limits) for one in identities(2))
    async with running(a, b), line_to(b.mesh.port) as line:
        a.mesh.set_addresses([b.address(line.port)])
        b.mesh.set_addresses([nowhere(a.identity)])
        await eventually(lambda: a.has_link(b.peer) and a.status(b.peer).rtt_ms is not None)
        line.freeze()
        await eventually(lambda: a.mesh.counters.links_closed["timeout"] and b.mesh.counters.links_closed["timeout"])
        line.thaw()
        await eventually(lambda: a.has_link(b.peer) and b.has_link(a.peer))


async def test_an_idle_link_lives_on_its_pings() -> None:
    limits = Limits(ping_seconds=0.02)
    a, b = (Node(one, limits) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        seen: set[float | None] = set()

        def answered() -> int:
            seen.add(a.status(b.peer).rtt_ms)
            return len(seen)

        await eventually(lambda: answered() > 10)
        assert a.disconnected == b.disconnected == []


@pytest.mark.parametrize("restarted", [0, 1])
async def test_a_restart_replaces_a_link_that_still_looks_alive(restarted: int) -> None:
    """As after a power cut: the old connection was never closed, and no ping has told yet."""
    pair = [Node(one, PATIENT) for one in identities(2)]
    stays, goes = pair[1 - restarted], pair[restarted]
    async with running(stays), line_to(stays.mesh.port) as line:
        async with running(goes):
            goes.mesh.set_addresses([stays.address(line.port)])
            stays.mesh.set_addresses([nowhere(goes.identity)])
            await eventually(lambda: stays.has_link(goes.peer))
            line.freeze()
        assert stays.has_link(goes.peer)
        again = Node(goes.identity, PATIENT)
        async with running(again):
            again.mesh.set_addresses([stays.address()])
            await eventually(lambda: again.has_link(stays.peer) and len(stays.connected) == 2)
            assert stays.disconnected == [goes.peer]
            assert stays.mesh.counters.links_closed["replaced"] == 1 or not stays.mesh.counters.links_closed
            assert stays.mesh.send(goes.peer, VOTES.number, b"new line")
            await eventually(lambda: again.received)


async def test_a_second_connection_of_one_run_is_a_duplicate_and_the_link_stays() -> None:
    first, second = identities(2)
    node = Node(first, PATIENT)  # the smaller id decides
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as link, by_hand(second, node) as extra:
            await link.greet()
            await eventually(lambda: node.has_link(second.peer))
            await extra.ws.send_bytes(hello_frame(extra.hello()))
            decode_hello(await extra.frame())
            await extra.ws.send_bytes(welcome_frame())
            assert await extra.close_code() == CloseCode.DUPLICATE
            assert node.mesh.send(second.peer, VOTES.number, b"still here")
            assert (await link.frame()).endswith(b"still here")
        assert node.connected == [second.peer]


async def test_who_dials_long_after_the_link_was_made_has_lost_it() -> None:
    first, second = identities(2)
    node = Node(first, replace(PATIENT, stale_seconds=0.0))
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as lost, by_hand(second, node) as link:
            await lost.greet()
            await eventually(lambda: node.has_link(second.peer))
            await link.greet()
            assert await lost.close_code() == CloseCode.REPLACED
            assert node.mesh.send(second.peer, VOTES.number, b"here")
            assert (await link.frame()).endswith(b"here")


async def test_hello_of_another_chain_is_refused_and_not_dialled_for_a_minute() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.ws.send_bytes(hello_frame(peer.hello(genesis_hash=bytes(32))))
            decode_hello(await peer.frame())
            assert await peer.close_code() == CloseCode.WRONG_CHAIN
        assert node.mesh.counters.handshakes_refused["wrong_chain"] == 1
        assert node.connected == []
        assert node.status(second.peer).score == 0, "a wrong configuration is no attack"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("wrong_node", CloseCode.WRONG_NODE),
        ("wrong_version", CloseCode.WRONG_VERSION),
        ("garbage", CloseCode.VIOLATION),
        ("empty", CloseCode.VIOLATION),
        ("huge", CloseCode.VIOLATION),
        ("message", CloseCode.VIOLATION),
    ],
)
async def test_a_wrong_hello_is_refused_with_its_code(frame: str, code: CloseCode) -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            good = hello_frame(peer.hello())
            frames = {
                "wrong_node": hello_frame(peer.hello(node=first.peer)),
                "wrong_version": good.replace(b"som-p2p\x01\x01", b"som-p2p\x02\x02"),
                "garbage": b"\x00garbage",
                "empty": b"",
                "huge": good + bytes(2_000),
                "message": b"\x01vote",
            }
            await peer.ws.send_bytes(frames[frame])
            decode_hello(await peer.frame())
            assert await peer.close_code() == code
        assert node.connected == []
        assert node.received == []


async def test_a_hello_that_does_not_come_costs_a_place_for_a_bounded_time() -> None:
    first, second = identities(2)
    node = Node(first, Limits(handshake_seconds=0.3))
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            decode_hello(await peer.frame())
            await peer.close_code()
        assert node.connected == []
        counters = node.mesh.counters
        assert counters.handshakes_refused["timeout"] + counters.arrivals_refused["deadline"] >= 1


@pytest.mark.parametrize("error", [PeerError("too old"), DecodeError("unreadable")])
@pytest.mark.parametrize("refuser", [0, 1])
async def test_the_node_can_refuse_a_hello(error: Exception, refuser: int) -> None:
    pair = [Node(one) for one in identities(2)]

    def refuse(peer: object, opaque: object) -> None:
        raise error

    pair[refuser].meet = refuse
    async with running(*pair):
        introduce(*pair)
        await eventually(lambda: pair[1 - refuser].mesh.counters.handshakes_refused["refused"])
        assert pair[0].connected == pair[1].connected == []
        status = pair[1 - refuser].status(pair[refuser].peer)
        assert status.last_error == "closed by the peer"


async def test_the_other_side_of_a_refusal_waits_a_minute() -> None:
    pair = [Node(one) for one in identities(2)]

    def refuse(peer: object, opaque: object) -> None:
        raise PeerError("too old")

    pair[1].meet = refuse
    async with running(*pair):
        pair[1].mesh.set_addresses([nowhere(pair[0].identity)])
        pair[0].mesh.set_addresses([pair[1].address()])
        await eventually(lambda: pair[0].status(pair[1].peer).backoff_seconds == 60.0)


async def test_failed_dials_wait_longer_and_longer_up_to_a_bound() -> None:
    first, second = identities(2)
    node = Node(first, Limits(backoff_seconds_min=0.001, backoff_seconds_max=0.008))
    waits: list[float] = []

    def note() -> bool:
        wait = node.status(second.peer).backoff_seconds
        if not waits or waits[-1] != wait:
            waits.append(wait)
        return node.mesh.counters.dials_failed["unreachable"] >= 8

    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        await eventually(note)
    assert max(waits) == 0.008
    assert waits == sorted(waits)


async def test_there_is_time_between_failed_dials() -> None:
    first, second = identities(2)
    node = Node(first, Limits(backoff_seconds_min=0.02, backoff_seconds_max=0.16))
    async with running(node):
        started = asyncio.get_running_loop().time()
        node.mesh.set_addresses([nowhere(second)])
        await eventually(lambda: node.mesh.counters.dials_failed["unreachable"] >= 8)
        assert asyncio.get_running_loop().time() - started >= 0.39  # half of 20, 40, 80 and four times 160 ms


async def test_a_link_that_lived_ends_the_back_off_before_it() -> None:
    a, b = Node(identities(2)[0], Limits(backoff_seconds_min=3.0, steady_seconds=0.05)), Node(identities(2)[1])
    async with running(a, b):
        a.mesh.set_addresses([nowhere(b.identity)])
        await eventually(lambda: a.status(b.peer).backoff_seconds)
        b.mesh.set_addresses([a.address()])
        await eventually(lambda: a.has_link(b.peer) and b.has_link(a.peer))
        assert a.status(b.peer).backoff_seconds == 3.0
        await asyncio.sleep(0.1)
        assert b.mesh.disconnect(a.peer)
        await eventually(lambda: a.disconnected)
        assert a.status(b.peer).backoff_seconds == 0.0


@pytest.mark.parametrize("host", ["bank..example", ".example", "..", "x" * 64, "xn--", "[", "%zz", "a b", "a@b", "a/b"])
async def test_what_is_no_host_name_is_a_peer_that_cannot_be_reached(host: str) -> None:
    """It may stand in the roster, and comes from whom it belongs to: the links of the others go on."""
    a, b, c = (Node(one) for one in identities(3))
    async with running(a, b):
        await connect(a, b)
        a.mesh.set_addresses([b.address(), PeerAddress(c.peer, "c", host, 26600)])
        await eventually(lambda: a.mesh.counters.dials_failed["unreachable"] >= 2)
        assert a.has_link(b.peer)


async def test_a_name_server_that_is_silent_takes_no_thread_from_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked, look_up = threading.Event(), list[str](), socket.getaddrinfo

    def silent(host: str, *others: Any) -> Any:
        if not host.endswith(".example"):
            return look_up(host, *others)
        asked.append(host)
        answers.wait()
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    first, *others = identities(64)
    node = Node(first)
    try:
        async with running(node):
            node.mesh.set_addresses([PeerAddress(one.peer, "", f"{one.peer.hex()}.example", 1) for one in others])
            await eventually(lambda: len(asked) >= LOOKUPS_MAX)
            for _ in range(10):
                await asyncio.wait_for(asyncio.to_thread(lambda: None), PATIENCE_SECONDS)
    finally:
        answers.set()


async def test_contexts_are_made_anew_before_their_leaf_ends() -> None:
    """And not for each connection: they cost a third of a millisecond for each peer."""
    node = Node(identities(1)[0], Limits(context_seconds=0.05))
    contexts = node.mesh._fresh_contexts()
    assert node.mesh._fresh_contexts() is contexts
    await asyncio.sleep(0.1)
    assert node.mesh._fresh_contexts() is not contexts


async def test_another_peer_at_the_address_is_not_taken_for_the_one_we_dialled() -> None:
    a, b, c = (Node(one) for one in identities(3))
    async with running(a, b):
        b.mesh.set_addresses([nowhere(a.identity), nowhere(c.identity)])
        wrong = PeerAddress(c.peer, "c", "127.0.0.1", b.mesh.port)
        a.mesh.set_addresses([wrong, nowhere(b.identity)])
        await eventually(lambda: a.mesh.counters.dials_failed["not_the_peer"])
        assert a.connected == []
        assert a.status(c.peer).backoff_seconds == 60.0


async def test_a_removed_peer_loses_its_link_and_is_not_let_in_again_until_it_is_back_on_the_list() -> None:
    a, b, c = (Node(one, Limits(backoff_seconds_max=0.05)) for one in identities(3))
    async with running(a, b, c):
        await connect(a, b, c)
        refused = a.mesh.counters.arrivals_refused["tls"]
        a.mesh.set_addresses([b.address()])
        assert a.disconnected == [c.peer]
        assert a.mesh.connected() == [b.peer]
        await eventually(lambda: c.disconnected == [a.peer])
        await eventually(lambda: a.mesh.counters.arrivals_refused["tls"] >= 2 + refused)  # it tries, and TLS refuses
        assert a.disconnected == [c.peer], "the link with b has been touched"
        a.mesh.set_addresses([b.address(), c.address()])
        await eventually(lambda: a.has_link(c.peer) and c.has_link(a.peer))


async def test_our_own_entry_in_the_list_is_no_peer() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        assert [status.peer for status in a.mesh.peers()] == [b.peer]


async def test_a_message_for_a_stranger_or_an_absent_peer_is_not_sent_and_hurts_nobody() -> None:
    a, b, c = identities(3)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        assert not node.mesh.send(b.peer, VOTES.number, b"absent")
        assert not node.mesh.send(c.peer, VOTES.number, b"stranger")
        node.mesh.broadcast(STRICT.number, b"nobody")
        node.mesh.penalize(c.peer, 1_000, "a stranger has no score")


async def test_a_mistake_of_ours_in_a_callback_ends_the_mesh() -> None:
    class Mistake(Exception):
        pass

    a, b = (Node(one) for one in identities(2))

    def fail(peer: object, channel: object, payload: object) -> None:
        raise Mistake

    a.take = fail

    async def scenario() -> None:
        async with running(a, b):
            await connect(a, b)
            b.mesh.send(a.peer, VOTES.number, b"x")
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await scenario()
    assert caught.group_contains(Mistake)


async def test_the_clock_of_a_peer_is_compared_with_ours() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(second.peer))
            offset = node.status(second.peer).clock_offset_ms
            since = node.status(second.peer).since_ms
        assert offset is not None
        assert since is not None
        assert abs(since + offset - peer.hello().wall_ms) < 60_000


async def test_pings_keep_the_clock_offset_and_the_round_trip_up_to_date() -> None:
    a, b = (Node(one, Limits(ping_seconds=0.02)) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        await eventually(lambda: a.status(b.peer).rtt_ms is not None)
        offset, rtt = a.status(b.peer).clock_offset_ms, a.status(b.peer).rtt_ms
        assert offset is not None
        assert rtt is not None
        assert abs(offset) < 5_000
        assert 0 <= rtt < 5_000


async def test_compression_is_off_even_if_a_peer_asks_for_it() -> None:
    first, second = identities(2)
    node = Node(first)
    async with running(node):
        node.mesh.set_addresses([nowhere(second)])
        async with by_hand(second, node, compress=15) as peer:
            assert peer.ws.compress == 0
            await peer.greet()


async def test_counters_tell_what_went_through_by_channel() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        for _ in range(10):
            a.mesh.send(b.peer, VOTES.number, bytes(100))
        await eventually(lambda: len(b.received) == 10)
        ours, theirs = a.mesh.channel_counters[VOTES.number], b.mesh.channel_counters[VOTES.number]
        assert (ours.messages_out, ours.bytes_out) == (10, 1_010)
        assert (theirs.messages_in, theirs.bytes_in) == (10, 1_000)
        assert b.mesh.channel_counters[BATCHES.number].messages_in == 0
        assert a.status(b.peer).bytes_out >= 1_010
        assert b.status(a.peer).bytes_in >= 1_010


async def test_a_port_that_is_taken_is_an_error() -> None:
    a, b = identities(2)
    node = Node(a)
    async with running(node):
        with pytest.raises(OSError):
            await Node(b, port=node.mesh.port).mesh.run()


async def test_the_wire_is_the_same_whoever_decides() -> None:
    """By hand as the smaller id: the peer that decides is not always ours."""
    first, second = identities(2)
    node = Node(second)
    async with running(node):
        node.mesh.set_addresses([nowhere(first)])
        async with by_hand(first, node) as peer:
            hello = await peer.greet()
            assert hello.node == second.peer
            await eventually(lambda: node.has_link(first.peer))
            await peer.ws.send_bytes(b"\x01vote")
            await eventually(lambda: node.received == [(first.peer, 1, b"vote")])


async def test_without_welcome_there_is_no_link() -> None:
    first, second = identities(2)
    node = Node(second)
    async with running(node):
        node.mesh.set_addresses([nowhere(first)])
        async with by_hand(first, node) as peer:
            await peer.ws.send_bytes(hello_frame(peer.hello()))
            decode_hello(await peer.frame())
            assert is_welcome(await peer.frame())
            await peer.ws.send_bytes(b"\x01vote")
            assert await peer.close_code() == CloseCode.VIOLATION
        assert node.connected == []
        assert node.received == []


async def test_a_task_for_a_group_that_shuts_down_is_never_run_and_is_no_error() -> None:
    class Mistake(Exception):
        pass

    started: list[object] = []

    async def never() -> None:
        raise AssertionError

    async def late(tasks: asyncio.TaskGroup) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            started.append(start(tasks, never()))

    async def fail() -> None:
        raise Mistake

    tasks = asyncio.TaskGroup()

    async def scenario() -> None:
        async with tasks:
            tasks.create_task(late(tasks))
            tasks.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        await scenario()
    assert [type(error) for error in caught.value.exceptions] == [Mistake]
    assert started == [None]
    assert start(tasks, never()) is None


@pytest.mark.parametrize("turns", range(12))
async def test_a_mesh_can_be_stopped_in_the_middle_of_a_handshake(turns: int) -> None:
    """After each number of turns of the loop; what is under way is closed, and nothing is raised."""
    pair = [Node(one, EAGER) for one in identities(2)]
    async with running(*pair):
        introduce(*pair)
        await eventually(lambda: pair[0].hellos)
        for _ in range(turns):
            await asyncio.sleep(0)


async def test_a_link_whose_mesh_stops_before_its_first_turn_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task is cancelled before it begins; the connection that we dialled would be left to the garbage collector."""
    smaller, larger = sorted((Node(one) for one in identities(2)), key=lambda node: node.peer)
    run = asyncio.create_task(smaller.mesh.run())
    dialled: list[Connection] = []

    async def greet_and_stop(connection: Connection, *others: Any) -> Greeting:
        greeting = await greet(connection, *others)
        if connection.dialled:
            dialled.append(connection)
            run.cancel()
        return greeting

    monkeypatch.setattr(network.mesh, "greet", greet_and_stop)
    async with running(larger):
        await smaller.mesh.started.wait()
        larger.mesh.set_addresses([nowhere(smaller.identity)])
        smaller.mesh.set_addresses([larger.address()])
        await asyncio.wait((run,))
    assert run.cancelled()
    assert smaller.connected == [larger.peer]
    assert [connection.closed.is_set() for connection in dialled] == [True]


@pytest.mark.parametrize("turns", range(8))
async def test_who_arrives_as_the_mesh_stops_is_hung_up_on(turns: int) -> None:
    """Also who was accepted, and whose task never had its first turn: no socket is left open."""
    node = Node(identities(1)[0])
    async with running(node):
        stranger = socket.create_connection(("127.0.0.1", node.mesh.port), timeout=PATIENCE_SECONDS)
        for _ in range(turns):
            await asyncio.sleep(0)
    with stranger:
        try:
            assert await asyncio.to_thread(stranger.recv, 1) == b""
        except ConnectionResetError:
            pass
    gc.collect()  # an open socket that nobody holds is a warning, and so a failure


async def test_a_connection_that_was_closed_twice_already_can_still_be_cut() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)
        link = a.mesh._slots[b.peer].link
        assert link is not None
        link._connection._transport.close()
        link._connection._transport.close()
        link._connection.abort()
        await eventually(lambda: len(a.connected) == 2 and b.has_link(a.peer))


def test_the_mesh_runs_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> None:
        nodes = [Node(one) for one in identities(3)]
        async with running(*nodes):
            await connect(*nodes)
            nodes[0].mesh.broadcast(BATCHES.number, bytes(100_000))
            await eventually(lambda: all(node.received for node in nodes[1:]))
            assert await nodes[0].mesh.request(nodes[1].peer, 7, b"x", PATIENCE_SECONDS) == b"\x07x"
            nodes[0].mesh.set_addresses([nodes[1].address()])
            await eventually(lambda: nodes[2].disconnected == [nodes[0].peer])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def test_software_of_two_wire_versions_links_and_of_two_apart_does_not() -> None:
    first, second, third = identities(3)
    before, now, after = (Node(each, versions=versions) for each, versions in zip(
        (first, second, third), (range(1, 2), range(1, 3), range(2, 4)), strict=True
    ))  # fmt: skip
    async with running(before, now, after):
        introduce(before, now, after)
        ends = ((before, now, 1), (now, before, 1), (now, after, 2), (after, now, 2))
        await eventually(lambda: all(one.status(other.peer).wire_version == each for one, other, each in ends))
        refused = ("wire versions", "wrong_version")
        await eventually(lambda: any(word in before.status(after.peer).last_error for word in refused))
        assert not before.has_link(after.peer)
        assert before.status(after.peer).wire_version is None
        assert before.status(after.peer).score == 0
