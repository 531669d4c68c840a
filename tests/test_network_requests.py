"""Requests end: with a response, or with a reason, at the deadline at the latest, and nobody can answer for another."""

import asyncio

import pytest

from consensus.encoding import DecodeError
from network.calls import PeerError, RequestFailed
from network.limits import Limits
from network.wire import (
    CloseCode,
    FailureCode,
    PeerId,
    Request,
    decode_frames,
    failure_frame,
    payload_table,
    request_frame,
    response_frame,
)
from tests.network_lab import PATIENCE_SECONDS, ByHand, Node, by_hand, connect, eventually, identities, nowhere, running

TABLE = payload_table([(1, 512), (2, 128 * 2**10), (3, 128 * 2**10)], 64 * 2**10, 2**20)
SOON = 0.1


class Stuck:
    """Answers no request until it is released; tells how many wait."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cancelled = 0
        self.released = asyncio.Event()

    async def answer(self, peer: PeerId, method: int, payload: bytes) -> bytes:
        self.waiting += 1
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return b"at last"


async def asked(peer: ByHand) -> Request:
    """Return the request that the peer is asked next."""
    (request,) = await all_asked(peer, 1)
    return request


async def all_asked(peer: ByHand, count: int) -> list[Request]:
    """Return ``count`` requests, which may come in one bundle or in several frames."""
    requests: list[Request] = []
    while len(requests) < count:
        for frame in decode_frames(await peer.frame(), TABLE):
            assert isinstance(frame, Request)
            requests.append(frame)
    return requests


async def failure(node: Node, peer: PeerId, deadline_seconds: float = PATIENCE_SECONDS) -> str:
    with pytest.raises(RequestFailed) as caught:
        await node.mesh.request(peer, 1, b"", deadline_seconds)
    return caught.value.reason


async def test_a_request_is_answered_by_the_peer_it_was_sent_to() -> None:
    a, b, c = (Node(one) for one in identities(3))
    async with running(a, b, c):
        await connect(a, b, c)

        async def answer(peer: PeerId, method: int, payload: bytes) -> bytes:
            return b"c:" + peer[:4] + bytes((method,)) + payload

        c.answer = answer
        assert await a.mesh.request(b.peer, 3, b"block", PATIENCE_SECONDS) == b"\x03block"
        assert await a.mesh.request(c.peer, 4, b"batch", PATIENCE_SECONDS) == b"c:" + a.peer[:4] + b"\x04batch"


async def test_many_requests_at_once_get_their_own_answers() -> None:
    a, b = (Node(one, Limits(requests_served_max=64, requests_burst=1_000.0)) for one in identities(2))
    async with running(a, b):
        await connect(a, b)

        async def backwards(peer: PeerId, method: int, payload: bytes) -> bytes:
            for _ in range(100 - int(payload)):
                await asyncio.sleep(0)
            return payload

        b.answer = backwards
        answers = await asyncio.gather(*(a.mesh.request(b.peer, 1, b"%d" % n, PATIENCE_SECONDS) for n in range(60)))
        assert answers == [b"%d" % n for n in range(60)]


async def test_a_response_may_have_a_megabyte() -> None:
    a, b = (Node(one) for one in identities(2))
    async with running(a, b):
        await connect(a, b)

        async def large(peer: PeerId, method: int, payload: bytes) -> bytes:
            return bytes(2**20)

        b.answer = large
        assert len(await a.mesh.request(b.peer, 1, bytes(64 * 2**10), PATIENCE_SECONDS)) == 2**20


async def test_a_request_ends_at_its_deadline_on_both_sides() -> None:
    a, b = (Node(one) for one in identities(2))
    stuck = Stuck()
    b.answer = stuck.answer
    async with running(a, b):
        await connect(a, b)
        assert await failure(a, b.peer, SOON) == "deadline"
        await eventually(lambda: stuck.cancelled == 1)
        assert a.mesh.counters.requests_failed["deadline"] == 1
        assert a.has_link(b.peer)


async def test_who_serves_sets_a_deadline_of_its_own() -> None:
    a, b = identities(2)
    asker, server = Node(a), Node(b, Limits(request_seconds_max=SOON))
    stuck = Stuck()
    server.answer = stuck.answer
    async with running(asker, server):
        await connect(asker, server)
        assert await failure(asker, b.peer, PATIENCE_SECONDS) == "deadline"
        assert stuck.cancelled == 1


async def test_a_fifth_request_at_once_is_answered_busy_and_the_four_are_served() -> None:
    a, b = (Node(one) for one in identities(2))
    stuck = Stuck()
    b.answer = stuck.answer
    async with running(a, b):
        await connect(a, b)
        async with asyncio.TaskGroup() as tasks:
            four = [tasks.create_task(a.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS)) for _ in range(4)]
            await eventually(lambda: stuck.waiting == 4)
            assert await failure(a, b.peer) == "busy"
            stuck.released.set()
        assert [one.result() for one in four] == [b"at last"] * 4
        assert await a.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS) == b"at last"
        assert b.mesh.counters.requests_refused["busy"] == 1


async def test_requests_over_the_rate_are_answered_busy() -> None:
    a, b = identities(2)
    asker, server = Node(a), Node(b, Limits(requests_per_second=0.001, requests_burst=2.0))
    async with running(asker, server):
        await connect(asker, server)
        for _ in range(2):
            await asker.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS)
        assert await failure(asker, b.peer) == "busy"


async def test_our_own_pending_requests_are_bounded() -> None:
    a, b = identities(2)
    node = Node(a, Limits(requests_pending_max=2))
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(b.peer))
            async with asyncio.TaskGroup() as tasks:
                two = [tasks.create_task(node.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS)) for _ in range(2)]
                numbers = [request.request for request in await all_asked(peer, len(two))]
                assert await failure(node, b.peer) == "full"
                for number in numbers:
                    await peer.ws.send_bytes(response_frame(number, b"ok"))


@pytest.mark.parametrize("error", [PeerError("no such block"), DecodeError("unreadable")])
async def test_a_request_that_the_node_refuses_fails_as_refused(error: Exception) -> None:
    a, b = (Node(one) for one in identities(2))

    async def refuse(peer: PeerId, method: int, payload: bytes) -> bytes:
        raise error

    b.answer = refuse
    async with running(a, b):
        await connect(a, b)
        if isinstance(error, PeerError):
            assert await failure(a, b.peer) == "refused"
            assert a.has_link(b.peer)
        else:  # what cannot be decoded was not sent by an honest peer
            assert await failure(a, b.peer) in ("refused", "disconnected")
            await eventually(lambda: b.mesh.counters.penalties == 1)


async def test_a_request_to_nobody_fails_at_once() -> None:
    a, b, c = identities(3)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        assert await failure(node, b.peer) == "not_connected"
        assert await failure(node, c.peer) == "not_connected"


async def test_a_request_fails_when_its_link_ends() -> None:
    a, b = (Node(one) for one in identities(2))
    stuck = Stuck()
    b.answer = stuck.answer
    async with running(a, b):
        await connect(a, b)
        async with asyncio.TaskGroup() as tasks:
            failing = tasks.create_task(failure(a, b.peer))
            await eventually(lambda: stuck.waiting == 1)
            a.mesh.set_addresses([])
        assert failing.result() == "disconnected"
        await eventually(lambda: stuck.cancelled == 1)


async def test_an_answer_to_a_request_that_was_never_made_ends_the_link() -> None:
    a, b = identities(2)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(b.peer))
            async with asyncio.TaskGroup() as tasks:
                failing = tasks.create_task(failure(node, b.peer))
                request = await asked(peer)
                await peer.ws.send_bytes(response_frame(request.request + 1, b"a lie"))
            assert failing.result() == "disconnected"
            assert await peer.close_code() == CloseCode.VIOLATION
        assert node.mesh.counters.violations["unsolicited"] == 1
        assert node.status(b.peer).score > 0


@pytest.mark.parametrize("lie", [response_frame(1, b"a lie"), failure_frame(1, FailureCode.BUSY)])
async def test_nobody_can_answer_a_request_to_another(lie: bytes) -> None:
    a, b, c = identities(3)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b), nowhere(c)])
        async with by_hand(b, node) as honest, by_hand(c, node) as liar:
            await honest.greet()
            await liar.greet()
            await eventually(lambda: len(node.mesh.connected()) == 2)
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(node.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS))
                request = await asked(honest)
                assert request.request == 1
                await liar.ws.send_bytes(lie)
                assert await liar.close_code() == CloseCode.VIOLATION
                assert not waiting.done()
                await honest.ws.send_bytes(response_frame(request.request, b"the truth"))
            assert waiting.result() == b"the truth"


async def test_an_answer_that_comes_late_or_twice_is_ignored_and_counted() -> None:
    a, b = identities(2)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(b.peer))
            assert await failure(node, b.peer, SOON) == "deadline"
            late = await asked(peer)
            await peer.ws.send_bytes(response_frame(late.request, b"late"))
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(node.mesh.request(b.peer, 1, b"", PATIENCE_SECONDS))
                request = await asked(peer)
                for _ in range(2):
                    await peer.ws.send_bytes(response_frame(request.request, b"in time"))
            assert waiting.result() == b"in time"
            await eventually(lambda: node.mesh.counters.responses_late == 2)
            assert node.has_link(b.peer)


async def test_the_deadline_travels_with_the_request() -> None:
    a, b = identities(2)
    node = Node(a)
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(b.peer))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(failure(node, b.peer, 2.5))
                request = await asked(peer)
                await peer.ws.send_bytes(failure_frame(request.request, FailureCode.REFUSED))
            assert (request.method, request.deadline_ms, request.payload) == (1, 2_500, b"")


async def test_a_request_with_no_time_left_is_not_served_in_vain() -> None:
    a, b = identities(2)
    node = Node(a)
    stuck = Stuck()
    node.answer = stuck.answer
    async with running(node):
        node.mesh.set_addresses([nowhere(b)])
        async with by_hand(b, node) as peer:
            await peer.greet()
            await eventually(lambda: node.has_link(b.peer))
            await peer.ws.send_bytes(request_frame(9, 1, 0, b""))
            assert await peer.frame() == failure_frame(9, FailureCode.DEADLINE)
            assert stuck.waiting == 0
