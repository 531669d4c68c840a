"""The client never pays twice, whatever a node answers (where a connection is cut: tests/test_client_cuts.py)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from node.client.client import Client, Settled
from node.client.errors import NotReachable, OutboxError, Refused, RequestFailed
from node.client.outbox import Outbox, Row, State
from node.client.sync import SyncClient
from node.client.trust import Trust
from node.ledger.errors import Code
from node.ledger.pay import Pay
from node.rpc.ports import Submitted
from tests.solo_chain import (
    ALICE,
    BANK,
    BOB,
    NETWORK,
    NOBODY,
    SoloChain,
    key,
    serving,
    solo_chain,
    solo_genesis,
)


@dataclass
class Line:
    """A TCP line to a server that can be cut: after so many bytes of a request, or of a reply."""

    port: int
    request_bytes: int | None = None  # pass so many on, then cut
    reply_bytes: int | None = None
    cuts: int = 0  # connections that are still to be cut
    opened: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        cutting = self.cuts > 0
        self.cuts -= cutting
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        out = asyncio.ensure_future(pump(reader, back, self.request_bytes if cutting else None))
        home = asyncio.ensure_future(pump(there, writer, self.reply_bytes if cutting else None))
        await asyncio.wait((out, home), return_when=asyncio.FIRST_COMPLETED)
        if cutting and self.reply_bytes is not None and not home.done():
            await home
        for task in (out, home):
            task.cancel()
        await asyncio.gather(out, home, return_exceptions=True)
        back.close()
        writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    """Pass bytes on until the end, or until ``most`` have passed."""
    passed = 0
    while most is None or passed < most:
        data = await reader.read(65_536)
        if not data:
            return
        part = data if most is None else data[: most - passed]
        writer.write(part)
        await writer.drain()
        passed += len(part)


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """Give a line to a server, and its URL."""
    line = Line(int(url.rpartition(":")[2]))
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


def pay_bob(amount: int = 100, ref: bytes = b"") -> list[Pay]:
    return [Pay(1, ALICE, ((BOB, amount, ref),))]


async def pay(client: Client, name: str = "invoice 42", amount: int = 100, seconds: float = 5.0) -> Settled:
    return await client.execute([ALICE], pay_bob(amount), [(0, key("alice"))], key=name, timeout_seconds=seconds)


def balance(chain: SoloChain, number: int) -> int:
    account = chain.ledger.account(number)
    return 0 if account is None else account.balance()


async def test_a_payment_cut_off_for_good_is_resumed_by_the_next_life(chain: SoloChain, tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    async with serving(chain) as url, line_to(url) as (line, cut_url):
        first = Outbox(path)
        async with Client([cut_url], outbox=first) as client:
            await client.info()
            line.cuts, line.reply_bytes = 1_000, 0  # requests arrive, no reply ever comes back
            await client.__aexit__(None, None, None)
            await client.__aenter__()
            assert (await pay(client, seconds=0.3)).state is State.PENDING
        first.close()
        assert balance(chain, BOB) == 100
        second = Outbox(path)
        async with Client([url], outbox=second) as client:
            (settled,) = await client.resume()
            assert settled.state is State.APPLIED
            assert (await pay(client)).tx_id == settled.tx_id  # the same purpose is not signed again
        second.close()
    assert balance(chain, BOB) == 100


async def test_the_row_is_durable_before_the_first_send(chain: SoloChain, tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    async with serving(chain) as url:
        outbox = Outbox(path)
        seen: list[int] = []
        ports_submit = chain.submit

        async def submit(raws: list[bytes]) -> object:
            other = Outbox(path)
            seen.extend(row.sends for row in other.pending(chain.genesis.hash))
            other.close()
            return await ports_submit(raws)

        chain.submit = submit  # type: ignore[method-assign, assignment]
        async with serving(chain) as watched, Client([watched], outbox=outbox) as client:
            await pay(client)
        outbox.close()
        assert url != watched
    assert seen == [1]


async def test_the_next_node_is_asked_with_the_same_bytes(chain: SoloChain) -> None:
    async with serving(chain) as url, line_to(url) as (line, dead_url), Client([url, dead_url]) as client:
        await client.info()
    line.cuts = 0
    async with serving(chain) as url, line_to(url) as (line, cut_url), Client([cut_url, url]) as client:
        line.cuts, line.reply_bytes = 10, 0
        await client.info()  # answered by the second
        settled = await pay(client)
    assert settled.state is State.APPLIED
    assert balance(chain, BOB) == 100


async def test_one_purpose_is_paid_once_however_often_it_is_asked(chain: SoloChain) -> None:
    async with serving(chain) as url, Client([url]) as client:
        results = [await pay(client) for _ in range(3)]
    assert len({one.tx_id for one in results}) == 1
    assert balance(chain, BOB) == 100


async def test_two_purposes_are_two_payments(chain: SoloChain) -> None:
    async with serving(chain) as url, Client([url]) as client:
        await pay(client, "one")
        await pay(client, "two")
    assert balance(chain, BOB) == 200


async def test_a_time_out_is_pending_and_later_settled_as_the_same_transaction(chain: SoloChain) -> None:
    chain.hold = True
    async with serving(chain) as url, Client([url]) as client:
        pending = await pay(client, seconds=0.05)
        assert (pending.state, pending.height) == (State.PENDING, None)
        await chain.release()
        settled = await client.wait(pending.tx_id)
    assert (settled.state, settled.tx_id) == (State.APPLIED, pending.tx_id)
    assert balance(chain, BOB) == 100


async def test_it_signs_again_only_after_the_chain_says_expired(chain: SoloChain) -> None:
    async with serving(chain) as url, line_to(url) as (line, cut_url), Client([cut_url]) as client:
        await client.info()
        await client.__aexit__(None, None, None)
        await client.__aenter__()
        line.cuts, line.request_bytes = 1_000, 200  # nothing arrives
        assert (await pay(client, seconds=0.3)).state is State.PENDING
        first = client.outbox.by_key("invoice 42")
        assert first is not None
        assert first.state is State.PENDING
        line.cuts = 0
        chain.now_ms = first.expires_ms + 1  # of the node's clock, which decides nothing
        assert (await client.wait(first.tx_id, 0.1)).state is State.PENDING
        await chain.add_block(())
        expired = await client.wait(first.tx_id)
        assert expired.state is State.EXPIRED
        await client.info()
        settled = await pay(client)
    assert settled.state is State.APPLIED
    assert settled.tx_id != first.tx_id
    assert balance(chain, BOB) == 100


async def test_a_refusal_before_anything_was_sent_is_final_and_says_why(chain: SoloChain) -> None:
    async with serving(chain) as url, Client([url]) as client:
        with pytest.raises(Refused) as refused:
            await pay(client, amount=10**9)
        assert (refused.value.code, refused.value.name) == (302, "INSUFFICIENT")
        settled = await pay(client)  # the purpose was not paid: it may be signed anew
    assert settled.state is State.APPLIED


async def test_the_same_transaction_is_sent_again_after_a_refusal(chain: SoloChain) -> None:
    transaction = chain.pay("bob", ALICE, 50)
    async with serving(chain) as url, Client([url]) as client:
        with pytest.raises(Refused):
            await client.submit(transaction)
        await chain.execute([chain.pay("bank", BOB, 100)])
        assert (await client.submit(transaction)).state is State.APPLIED
    assert balance(chain, BOB) == 50


async def test_a_refusal_after_a_send_that_may_have_arrived_decides_nothing(chain: SoloChain) -> None:
    chain.hold = True
    async with serving(chain) as url, line_to(url) as (line, cut_url), Client([cut_url]) as client:
        await client.info()
        await client.__aexit__(None, None, None)
        await client.__aenter__()
        line.cuts, line.reply_bytes = 1_000, 0
        assert (await pay(client, amount=90_000, seconds=0.3)).state is State.PENDING  # it has arrived and waits there
        line.cuts = 0
        waiting = dict(chain.waiting)
        chain.waiting.clear()  # another node, which has not seen it, and where the money is gone meanwhile
        await chain.execute([chain.pay("alice", BOB, 50_000)])
        row = client.outbox.by_key("invoice 42")
        assert row is not None
        again = await client.wait(row.tx_id, 0.3)
        assert again.state is State.PENDING  # refused there as INSUFFICIENT, but it may still be applied
        await chain.execute(list(waiting.values()))
        settled = await client.wait(row.tx_id)
        assert settled.state is State.FAILED


async def test_what_may_be_on_the_wire_is_pending_whatever_goes_wrong_then(chain: SoloChain) -> None:
    """No reply, and a node that lets us ask no more: both come with the id, not as an error without one."""
    async with serving(chain) as url, line_to(url) as (line, cut_url), Client([cut_url]) as client:
        await client.info()
        await client.__aexit__(None, None, None)
        await client.__aenter__()
        line.cuts, line.reply_bytes = 1_000, 0
        lost = await pay(client, seconds=0.3)
        line.cuts = 0
        assert (lost.state, balance(chain, BOB)) == (State.PENDING, 100)
        assert lost.message is not None
        chain.open_access = False
        async with serving(chain) as closed_url, Client([closed_url], outbox=client.outbox) as stranger:
            closed = await pay(stranger)
        assert (closed.state, closed.tx_id) == (State.PENDING, lost.tx_id)
        assert "unauthorized" in (closed.message or "")
        assert (await pay(client)).state is State.APPLIED


async def test_what_is_kept_is_pending_though_no_node_was_there_to_send_it_to(chain: SoloChain) -> None:
    async with serving(chain) as url:
        pass
    async with serving(chain) as living, Client([url, living]) as client:
        kept = await pay(client, seconds=0)  # one attempt, and the first node is gone
        row = client.outbox.by_id(kept.tx_id)
        assert row is not None
        assert (kept.state, row.sends) == (State.PENDING, 0)
        (settled,) = await client.resume()
    assert (settled.tx_id, settled.state, balance(chain, BOB)) == (kept.tx_id, State.APPLIED, 100)


# Nodes of another network


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[SoloChain]:
    genesis = replace(solo_genesis(), network=NETWORK + 1)
    async with solo_chain(tmp_path / "other", genesis=genesis) as found:
        yield found


async def test_a_node_of_another_network_does_not_settle_what_is_pending(chain: SoloChain, other: SoloChain) -> None:
    chain.hold = True
    outbox = Outbox(":memory:")
    async with serving(chain) as url, serving(other) as foreign:
        async with Client([url], outbox=outbox) as client:
            pending = await pay(client, seconds=0.05)
        other.now_ms += 10 * 60_000
        await other.add_block(())  # past the expiry of the payment
        async with Client([foreign], outbox=outbox) as client:
            for again in (client.wait(pending.tx_id), pay(client)):
                with pytest.raises(OutboxError, match="another network"):
                    await again
        assert other.submissions == 0
        await chain.release()
        async with Client([url], outbox=outbox) as client:
            assert (await pay(client)).tx_id == pending.tx_id
    assert balance(chain, BOB) == 100


async def test_among_several_nodes_those_of_another_network_are_passed_over(
    chain: SoloChain, other: SoloChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.client.client.WAIT_MS", 50)
    chain.hold = True
    async with serving(chain) as url, serving(other) as foreign, Client([url, foreign]) as client:
        pending = await pay(client, seconds=1.0)  # both are asked several times
        assert pending.state is State.PENDING
        assert (chain.submissions > 1, other.submissions) == (True, 0)
        await chain.release()
        assert (await client.wait(pending.tx_id)).state is State.APPLIED


async def test_what_was_paid_on_one_network_is_no_answer_on_another(chain: SoloChain, other: SoloChain) -> None:
    outbox = Outbox(":memory:")
    async with serving(chain) as url, serving(other) as foreign:
        async with Client([url], outbox=outbox) as client:
            paid = await pay(client)
        async with Client([foreign], outbox=outbox) as client:
            for again in (client.wait(paid.tx_id), pay(client)):
                with pytest.raises(OutboxError, match=paid.tx_id.hex()):
                    await again
        async with Client([foreign], outbox=outbox, trust=Trust.of(chain.genesis)) as client:
            assert await pay(client) == paid  # the network that is meant is known, and no node need be asked
    assert (balance(chain, BOB), balance(other, BOB)) == (100, 0)


async def test_no_refusal_settles_what_was_sent_before_not_even_one_of_the_bytes(chain: SoloChain) -> None:
    """A node whose door says SIGNATURE to everything: what another one has may still be applied."""
    chain.hold = True
    async with serving(chain) as url, Client([url]) as client:
        pending = await pay(client, seconds=0.05)
        waiting = dict(chain.waiting)
        chain.waiting.clear()

        async def refuse(raws: list[bytes]) -> list[Submitted]:
            return [Submitted(None, int(Code.SIGNATURE)) for _ in raws]

        chain.submit = refuse  # type: ignore[method-assign, assignment]
        async with serving(chain) as wrong, Client([wrong], outbox=client.outbox) as elsewhere:
            again = await elsewhere.wait(pending.tx_id, 0.3)
        assert (again.state, again.tx_id) == (State.PENDING, pending.tx_id)
        await chain.execute(list(waiting.values()))
        assert (await client.wait(pending.tx_id)).state is State.APPLIED


async def test_a_full_node_is_asked_again_until_there_is_room(chain: SoloChain) -> None:
    chain.full = True
    async with serving(chain) as url, Client([url]) as client:
        await client.info()

        async def later() -> None:
            await chain.came.wait()
            chain.full = False

        settled, _ = await asyncio.gather(pay(client), later())
    assert settled.state is State.APPLIED


async def test_many_are_settled_in_one_go_each_with_its_own_end(chain: SoloChain) -> None:
    good = [chain.pay("bank", BOB, amount) for amount in (1, 2, 3)]
    bad = chain.pay("bank", NOBODY, 5)
    async with serving(chain) as url, Client([url]) as client:
        settled = await client.submit_many([good[0], bad, *good[1:]])
        again = await client.submit_many([good[0], bad, *good[1:]])
    assert [one.state for one in settled] == [State.APPLIED, State.REFUSED, State.APPLIED, State.APPLIED]
    assert [one.tx_id for one in again] == [one.tx_id for one in settled]
    assert settled[1].name == "NO_ACCOUNT"
    assert balance(chain, BOB) == 6


async def test_a_client_never_goes_back_in_time(chain: SoloChain) -> None:
    async with serving(chain) as url, Client([url]) as client:
        await client.info()
        client._seen_height += 100
        with pytest.raises(RequestFailed) as behind:
            await client.account(BOB)
        assert (behind.value.name, behind.value.retryable) == ("syncing", True)


async def test_no_node_is_not_reachable(chain: SoloChain) -> None:
    async with serving(chain) as url:
        pass
    async with Client([url]) as client:
        with pytest.raises(NotReachable):
            await client.info()


async def test_history_is_read_to_its_end(chain: SoloChain) -> None:
    await chain.execute([chain.pay("bank", ALICE, amount) for amount in range(1, 11)])
    async with serving(chain) as url, Client([url]) as client:
        numbers = [entry.number async for entry in client.history(ALICE, "asc")]
        paid = await client.paid(BANK, [b"SALARY-1"])
    assert numbers == list(range(11))
    assert [one.amount for one in paid.payments] == ["100000"]


async def test_the_synchronous_client_does_the_same(chain: SoloChain) -> None:
    def work(url: str) -> tuple[Settled, int]:
        with SyncClient([url]) as client:
            settled = client.execute([ALICE], pay_bob(), [(0, key("alice"))], key="sync")
            return settled, len(client.history(BOB))

    async with serving(chain) as url:
        settled, entries = await asyncio.to_thread(work, url)
    assert (settled.state, entries) == (State.APPLIED, 1)


async def test_the_synchronous_client_follows_from_a_cursor_on_and_ends_when_it_is_left(chain: SoloChain) -> None:
    def work(url: str) -> list[str]:
        seen: list[str] = []
        cursor = None
        with SyncClient([url]) as client:
            client.execute([ALICE], pay_bob(1), [(0, key("alice"))])
            events = client.subscribe("transactions", tx_ids=[paid.hex() for paid in ids])
            for event in events:
                assert event.transaction is not None
                seen.append(event.transaction.tx_id)
                cursor = event.cursor
                break
            events.close()
            for event in client.subscribe("transactions", tx_ids=[paid.hex() for paid in ids], from_cursor=cursor):
                assert event.transaction is not None
                seen.append(event.transaction.tx_id)
                break
            assert client.info().height > 0  # it goes on answering
        return seen

    transactions = [chain.pay("bank", BOB, amount) for amount in (1, 2)]
    ids = [transaction.id for transaction in transactions]
    for transaction in transactions:
        await chain.execute([transaction])
    async with serving(chain) as url:
        assert await asyncio.to_thread(work, url) == [paid.hex() for paid in ids]


def row_of(tx_id: bytes, name: str = "k") -> Row:
    """Return a row of the outbox."""
    return Row(name, tx_id, b"g" * 32, b"raw", 10, 0, State.PENDING, None, None, 1)


def test_a_key_that_is_pending_never_gets_other_bytes(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    row = row_of(b"1" * 32)
    outbox.add([row])
    with pytest.raises(OutboxError):
        outbox.add([row_of(b"2" * 32)])
    outbox.settle(row.tx_id, State.APPLIED, 5, 0)
    with pytest.raises(OutboxError):
        outbox.add([row_of(b"2" * 32)])
    outbox.close()


@pytest.mark.parametrize("state", [State.EXPIRED, State.FAILED, State.REFUSED])
def test_a_key_whose_transaction_can_not_apply_may_get_new_bytes(state: State) -> None:
    outbox = Outbox(":memory:")
    outbox.add([row_of(b"1" * 32)])
    outbox.settle(b"1" * 32, state)
    outbox.add([row_of(b"2" * 32)])
    found = outbox.by_key("k")
    assert found is not None
    assert found.tx_id == b"2" * 32
    outbox.close()


def test_a_refused_transaction_that_comes_again_is_tried_as_a_new_one_with_its_new_bytes() -> None:
    outbox = Outbox(":memory:")
    outbox.add([row_of(b"1" * 32)])
    outbox.sending([b"1" * 32])
    outbox.settle(b"1" * 32, State.REFUSED, None, int(Code.SIGNATURE))
    outbox.add([replace(row_of(b"1" * 32), raw=b"signed anew")])
    found = outbox.by_id(b"1" * 32)
    assert found is not None
    assert (found.raw, found.state, found.code, found.sends) == (b"signed anew", State.PENDING, None, 0)
    outbox.add([row_of(b"1" * 32)])
    assert outbox.by_id(b"1" * 32) == found  # what is pending keeps its bytes
    outbox.close()


def test_the_outbox_syncs_the_directory_too(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA
    outbox.close()


def test_what_is_settled_stays_settled() -> None:
    outbox = Outbox(":memory:")
    outbox.add([row_of(b"1" * 32)])
    outbox.settle(b"1" * 32, State.APPLIED, 5, 0)
    outbox.settle(b"1" * 32, State.EXPIRED)
    found = outbox.by_id(b"1" * 32)
    assert found is not None
    assert (found.state, found.height) == (State.APPLIED, 5)
    outbox.close()


def test_rows_are_added_all_or_none() -> None:
    outbox = Outbox(":memory:")
    outbox.add([row_of(b"1" * 32)])
    with pytest.raises(OutboxError):
        outbox.add([row_of(b"3" * 32, "other"), row_of(b"2" * 32)])
    assert outbox.by_key("other") is None
    outbox.close()


def test_a_file_that_is_no_outbox_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(OutboxError):
        Outbox(path)
