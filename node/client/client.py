"""The client: asks nodes, signs payments, and settles them by the outbox.

One rule: a payment is on disk before it is on the wire, and goes out again as the same bytes, to one node after the
other, until the chain says that it is applied, failed or expired. A time-out is a state (pending), not an error.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from consensus.crypto import SecretKey
from node.client.access import Access
from node.client.errors import ClientError, NotReachable, OutboxError, ProofInvalid, Refused, RequestFailed
from node.client.outbox import REPLACEABLE, Outbox, Row, State
from node.client.proofs import (
    ProvenAccount,
    ProvenReceipt,
    ProvenRow,
    ProvenStatement,
    StatementCheck,
    verify_account,
    verify_row,
    verify_transaction,
)
from node.client.subscriptions import Feed
from node.client.transport import Transport, height_of
from node.client.trust import CommitteeUnknown, Trust
from node.ledger.account import format_account
from node.ledger.errors import Code
from node.ledger.operations import Operation
from node.ledger.statement import Entry
from node.ledger.transaction import Transaction, assemble, decode_transaction, make_body, sign_body
from node.rpc import ledger_types, types, validator_types
from node.rpc.event_types import Event, Topic
from node.rpc.forms import LIMIT_MAX, SUBMIT_MANY_MAX

LIFETIME_MS: Final = 5 * 60_000  # of a transaction; persons may sign for 10 minutes ahead
WAIT_MS: Final = 8_000  # one call's wait for the final result, before another node is asked
PAUSE_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)  # between attempts, the last one again and again
PROVE_AFTER_TRIES: Final = 20  # with pauses of 0.5 s: views without a proposal may take seconds
MANY_AT_ONCE: Final = SUBMIT_MANY_MAX
MANY_HEX_MAX: Final = 3 * 1024 * 1024  # of one call; a body has at most 4 MiB

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)
ReadResult = TypeVar("ReadResult", bound=types.Result)
Signer = tuple[int, SecretKey]  # index in the transaction's accounts, key


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of a transaction. PENDING: it may still take effect until ``expires_ms``; wait, never sign anew.

    ``message`` is what a node said, or why none did, where that is not the ledger's final word.
    """

    key: str
    tx_id: bytes
    state: State
    expires_ms: int
    height: int | None = None
    code: int | None = None
    message: str | None = None

    @property
    def name(self) -> str | None:
        """The ledger's name of the code."""
        return None if self.code is None else Code(self.code).name


class Client:
    """Use it as an async context manager. Without an outbox payments are remembered only while the program runs."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        outbox: Outbox | None = None,
        trust: Trust | None = None,
        language: str = "en",
        now_ms: Callable[[], int] | None = None,
        token: str | None = None,
        reader: tuple[int, SecretKey] | None = None,
        under_order: str | None = None,
        socket: str | None = None,
    ) -> None:
        """``trust`` is what proofs are checked against; with it, answers of another network are refused.

        Where the network is not open (docs/rpc.md, section 10): ``token`` is presented with each call, ``reader`` is an
        account and its key, which prove whose accounts are asked about, ``under_order`` the order that one acts on.
        ``socket`` is the node's own, for its operator.
        """
        self._transport = Transport(urls, language, token, socket)
        self._access = Access(reader, under_order, self._moment)
        self.outbox = outbox or Outbox(":memory:")
        self._trust = trust
        self._info: types.GetInfoResult | None = None
        self._serves: dict[str, bytes] = {}  # URL -> the genesis hash of the network that it serves
        self._seen_height = 0
        self._clock_offset_ms = 0  # the node's clock less ours: expiry is judged by block times
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    # --- questions ---

    async def request(self, method: str, params: dict[str, Any], result: type[R]) -> R:
        """Return the result of any method that may be called twice."""
        found = await self._transport.call(method, await self._access.entitled(method, params), result)
        self._seen_height = max(self._seen_height, height_of(found))
        return found

    async def raw(self, method: str, params: dict[str, Any]) -> msgspec.Raw:
        """Return the result of any method as JSON. It may be asked of several nodes."""
        return await self._transport.raw(method, await self._access.entitled(method, params))

    async def subscribe(
        self,
        topic: Topic,
        *,
        from_cursor: str | None = None,
        begun: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens, from a cursor or from now on, for ever: each event once, whatever connection breaks.

        ``options`` as of sub_subscribe: ``account``, ``tx_ids``. To go on later keep the last event's cursor. Without
        a cursor, what happens once ``begun`` was called is told; it is called again for each further connection.
        Raises RequestFailed, NotReachable when no node has answered for a minute, ProofInvalid (another network).
        """
        genesis_hash = None if self._trust is None else self._trust.genesis_hash
        entitled = partial(self._access.entitled, "sub_subscribe")
        feed = Feed(self._transport, genesis_hash, {"topic": topic, **options}, entitled, begun)
        async with contextlib.aclosing(feed.events(from_cursor)) as events:
            async for event in events:
                self._seen_height = max(self._seen_height, event.at_height)
                yield event

    async def info(self) -> types.GetInfoResult:
        """Return which network this is and where it stands. Raises ProofInvalid if it is not the trusted one."""
        info = await self._read("chain_getInfo", {}, types.GetInfoResult)
        if self._trust is not None and bytes.fromhex(info.genesis_hash) != self._trust.genesis_hash:
            raise ProofInvalid("the node serves another network")
        self._info = info
        self._serves[self._transport.preferred] = bytes.fromhex(info.genesis_hash)
        self._clock_offset_ms = info.now_ms - self._now_ms()
        return info

    async def block(self, height: int | None = None, **options: Any) -> types.GetBlockResult:
        """Return a block, the latest without ``height``."""
        params = options if height is None else {"height": height, **options}
        return await self._read("chain_getBlock", params, types.GetBlockResult)

    async def consensus(self) -> types.GetConsensusResult:
        """Return who has voted in the view under way."""
        return await self._read("chain_getConsensus", {}, types.GetConsensusResult)

    async def account(self, number: int) -> types.AccountView:
        """Return an account. Raises RequestFailed (not_found)."""
        params = {"account": format_account(number)}
        return (await self._read("account_get", params, types.GetAccountResult)).account

    async def history(self, number: int, order: str = "desc") -> AsyncIterator[types.Entry]:
        """Yield all statement entries of an account."""
        cursor: str | None = None
        while True:
            page = await self.history_page(number, cursor, order)
            for entry in page.entries:
                yield entry
            cursor = page.next_cursor
            if cursor is None:
                return

    async def history_page(
        self,
        number: int,
        cursor: str | None = None,
        order: str = "desc",
        limit: int = LIMIT_MAX,
        *,
        from_number: int | None = None,
    ) -> types.GetHistoryResult:
        """Return one page of a statement: where ``cursor`` goes on, or from entry ``from_number`` on."""
        params: dict[str, Any] = {"account": format_account(number), "order": order, "limit": limit}
        if cursor is not None:
            params["cursor"] = cursor
        if from_number is not None:
            params["from_number"] = from_number
        return await self._read("account_getHistory", params, types.GetHistoryResult)

    async def supply(self, asset: int = 1) -> types.GetSupplyResult:
        """Return what is issued of an asset."""
        return await self._read("supply_get", {"asset": asset}, types.GetSupplyResult)

    async def validators(self) -> validator_types.ListValidatorsResult:
        """Return the committee."""
        return await self._read("validator_list", {}, validator_types.ListValidatorsResult)

    async def readiness(self) -> validator_types.GetReadinessResult:
        """Return a new validator's signed word that it is ready. Raises RequestFailed (not_ready) with the reasons."""
        return await self._read("validator_getReadiness", {}, validator_types.GetReadinessResult)

    async def peers(self) -> validator_types.GetPeersResult:
        """Return the node's links."""
        return await self._read("net_getPeers", {}, validator_types.GetPeersResult)

    async def transaction(self, tx_id: bytes, transaction: bool = False) -> types.GetTransactionResult:
        """Return what became of a transaction."""
        params = {"tx_id": tx_id.hex(), "transaction": transaction}
        return await self._read("tx_get", params, types.GetTransactionResult)

    async def paid(self, number: int, refs: Sequence[bytes]) -> types.GetByRefResult:
        """Return all that an account has ever paid under ``refs`` (LIMIT_MAX at the most)."""
        params = {"account": format_account(number), "refs": [ref.hex() for ref in refs]}
        return await self._read("tx_getByRef", params, types.GetByRefResult)

    # --- proofs ---

    async def prove_transaction(self, tx_id: bytes) -> ProvenReceipt:
        """Return the receipt of a transaction, verified from the genesis. Raises ProofInvalid, RequestFailed."""
        found = await self._read("tx_getProof", {"tx_id": tx_id.hex()}, types.GetTransactionProofResult)
        if found.tx_id != tx_id.hex():
            raise ProofInvalid("a proof of another transaction")
        return await self._proven(lambda trust: verify_transaction(found, trust))

    async def prove_account(self, number: int) -> ProvenAccount:
        """Return an account, or that there is none, verified from the genesis. Raises ProofInvalid, RequestFailed."""
        params = {"account": format_account(number)}
        found = await self._read("account_getProof", params, types.GetAccountProofResult)
        if found.account != format_account(number):
            raise ProofInvalid("a proof of another account")
        return await self._proven(lambda trust: verify_account(found, trust))

    async def prove_account_after(self, number: int, time_ms: int) -> ProvenAccount | None:
        """Return an account, proven after the last block with a time before ``time_ms``; None: it is not final yet.

        Block times never fall. So one certified header with that time, and a state of its height or later, are enough.
        Raises ProofInvalid, RequestFailed.
        """
        proven = await self.prove_account(number)
        if proven.certified_ms < time_ms:
            return None
        passed = proven.certified_by
        for _ in range(PROVE_AFTER_TRIES):
            if proven.height >= passed:
                return proven
            await asyncio.sleep(PAUSE_SECONDS[2])
            proven = await self.prove_account(number)
        return None

    async def prove_row(self, key: bytes) -> ProvenRow:
        """Return any row of the state tree, or that there is none, verified. Raises ProofInvalid, RequestFailed."""
        found = await self._read("state_getProof", {"key": key.hex()}, ledger_types.GetStateProofResult)
        if found.key != key.hex():
            raise ProofInvalid("a proof of another row")
        return await self._proven(lambda trust: verify_row(found, trust))

    async def statement(self, number: int) -> ProvenStatement:
        """Return all entries of an account, verified to be all from the genesis on. Raises ProofInvalid."""
        proven = await self.prove_account(number)
        entries = tuple([entry async for entry in self.walk_statement(proven)])
        return ProvenStatement(proven.account, entries, proven.height, proven.certified_by)

    async def walk_statement(self, proven: ProvenAccount) -> AsyncIterator[Entry]:
        """Yield every entry of a proven account, the oldest first, in bounded memory.

        Nothing of it is proven before the last step ends without ProofInvalid.
        """
        check = StatementCheck(proven)
        if check.length:
            async for entry in self.history(proven.number, "asc"):
                yield check.add(entry)
                if check.seen == check.length:  # what was booked since is not proven yet
                    break
        check.finish()

    async def committees(self, after: int) -> validator_types.ListCommitteesResult:
        """Return the committees after an epoch, each with what shows that it followed. Nothing is verified here."""
        return await self._read("validator_listCommittees", {"after": after}, validator_types.ListCommitteesResult)

    async def _proven(self, verify: Callable[[Trust], T]) -> T:
        """Verify, and once more after learning which committees have followed, if there are any that we do not know."""
        trust = self._trusted()
        try:
            return verify(trust)
        except CommitteeUnknown:
            return verify(await self.learn(trust))

    @property
    def trust(self) -> Trust:
        """What proofs are checked against. Raises ProofInvalid if nothing is trusted."""
        return self._trusted()

    async def learn(self, trust: Trust) -> Trust:
        """Return ``trust`` with all committees that followed, and check by it from now on. Raises ProofInvalid."""
        self._trust = await self._learned(trust)
        return self._trust

    async def _learned(self, trust: Trust) -> Trust:
        more = True
        while more:
            page = await self.committees(trust.epoch)
            for change in page.changes:
                trust = trust.after(change)
            more = page.more and bool(page.changes)
        return trust

    # --- payments ---

    async def prepare(
        self,
        accounts: Sequence[int],
        operations: Sequence[Operation],
        lifetime_ms: int = LIFETIME_MS,
        until_ms: int | None = None,
    ) -> bytes:
        """Return the body of a transaction for this network: what is to be signed.

        It expires in ``lifetime_ms``, and by ``until_ms``, a block time, if that is earlier.
        """
        info = self._info or await self.info()
        expires_ms = max(self._now_ms() + self._clock_offset_ms, info.block_time_ms) + lifetime_ms
        if until_ms is not None:
            expires_ms = min(expires_ms, until_ms)
        return make_body(info.network, expires_ms, secrets.randbits(64), accounts, operations)

    async def simulate(self, raw: bytes) -> ledger_types.SimulateResult:
        """Return what would become of a transaction now. Its signatures need not be valid."""
        return await self._read("tx_simulate", {"tx": raw.hex()}, ledger_types.SimulateResult)

    async def sign(
        self,
        accounts: Sequence[int],
        operations: Sequence[Operation],
        signers: Sequence[Signer],
        lifetime_ms: int = LIFETIME_MS,
        until_ms: int | None = None,
    ) -> Transaction:
        """Return a signed transaction for this network that expires as ``prepare`` says. Nothing is sent."""
        body = await self.prepare(accounts, operations, lifetime_ms, until_ms)
        genesis_hash = await self._genesis_hash()
        signatures = [sign_body(genesis_hash, body, index, key) for index, key in signers]
        return decode_transaction(assemble(body, signatures), genesis_hash)

    async def execute(
        self,
        accounts: Sequence[int],
        operations: Sequence[Operation],
        signers: Sequence[Signer],
        *,
        key: str | None = None,
        lifetime_ms: int = LIFETIME_MS,
        until_ms: int | None = None,
        timeout_seconds: float = 30.0,
    ) -> Settled:
        """Sign, keep and settle a transaction, which expires as ``prepare`` says.

        ``key`` names the purpose. If the outbox knows it, the transaction of then is settled, or its result returned,
        and nothing new is signed, unless that one has expired, failed or was refused. Raises Refused, RequestFailed,
        OutboxError if the transaction of then is of another network than the nodes.
        """
        name = key or f"random:{secrets.token_hex(16)}"
        known = self.outbox.by_key(name)
        if known is not None and known.state not in REPLACEABLE:
            return await self._known(known, timeout_seconds)
        transaction = await self.sign(accounts, operations, signers, lifetime_ms, until_ms)
        return await self.submit(transaction, key=name, timeout_seconds=timeout_seconds)

    async def submit(
        self, transaction: Transaction, *, key: str | None = None, timeout_seconds: float = 30.0
    ) -> Settled:
        """Keep a signed transaction and send it until it is settled or the time is over. Raises Refused.

        Once it is kept it may be sent, now or by ``resume``: then what is not known is pending, not an error.
        """
        (row,) = self._keep([transaction], [key or f"tx:{transaction.id.hex()}"], await self._genesis_hash())
        return await self._settle(row, timeout_seconds)

    async def submit_many(
        self, transactions: Sequence[Transaction], *, keys: Sequence[str] | None = None, timeout_seconds: float = 120.0
    ) -> list[Settled]:
        """Keep all, then send them in calls of up to 1,000 until all are settled or the time is over.

        The results are in the order given; a refused one says so in its state, nothing is raised for it.
        """
        names = list(keys) if keys is not None else [f"tx:{transaction.id.hex()}" for transaction in transactions]
        rows = self._keep(transactions, names, await self._genesis_hash())
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        messages: dict[bytes, str] = {}
        for chunk in _chunks(rows):
            await self._settle_many(chunk, deadline, messages)
        return [self._settled(row.tx_id, messages.get(row.tx_id)) for row in rows]

    async def wait(self, tx_id: bytes, timeout_seconds: float = 30.0) -> Settled:
        """Settle a transaction of the outbox, or follow one that others sent (then nothing is sent).

        Raises OutboxError if the transaction is of another network than the nodes.
        """
        row = self.outbox.by_id(tx_id)
        if row is not None:
            return await self._known(row, timeout_seconds)
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            found = await self._transport.call("tx_get", {"tx_id": tx_id.hex()}, types.GetTransactionResult)
            if found.outcome.final or asyncio.get_running_loop().time() >= deadline:
                state = State(found.outcome.status) if found.outcome.final else State.PENDING
                return Settled("", tx_id, state, 0, found.outcome.height, found.outcome.code)
            await asyncio.sleep(PAUSE_SECONDS[2])

    async def resume(self, timeout_seconds: float = 30.0) -> list[Settled]:
        """Settle whatever an earlier life of this program left in the outbox for this network."""
        rows = self.outbox.pending(await self._genesis_hash())
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        messages: dict[bytes, str] = {}
        for chunk in _chunks(rows):
            await self._settle_many(chunk, deadline, messages)
        return [self._settled(row.tx_id, messages.get(row.tx_id)) for row in rows]

    # --- settling ---

    def _keep(self, transactions: Sequence[Transaction], keys: Sequence[str], genesis_hash: bytes) -> list[Row]:
        now_ms = self._now_ms()
        rows = [
            Row(key, tx.id, genesis_hash, tx.raw, tx.expires_ms, 0, State.PENDING, None, None, now_ms)
            for tx, key in zip(transactions, keys, strict=True)
        ]
        self.outbox.add(rows)
        return rows

    async def _known(self, row: Row, timeout_seconds: float) -> Settled:
        """Settle a row of an earlier call, which may be of another network: its end there says nothing about here."""
        if row.state is not State.PENDING:
            ours = await self._genesis_hash() if self._trust is None else self._trust.genesis_hash
            if row.genesis_hash != ours:
                raise OutboxError(f"transaction {row.tx_id.hex()} is of another network")
        return await self._settle(row, timeout_seconds)

    async def _settle(self, row: Row, timeout_seconds: float) -> Settled:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        messages: dict[bytes, str] = {}
        await self._settle_many([row], deadline, messages)
        settled = self._settled(row.tx_id, messages.get(row.tx_id))
        if settled.state is State.REFUSED:
            assert settled.code is not None
            raise Refused(settled.code, Code(settled.code).name, settled.message or "", row.tx_id.hex())
        return settled

    async def _settle_many(self, rows: Sequence[Row], deadline: float, messages: dict[bytes, str]) -> None:
        """Send what is pending to one node after the other until nothing is, or the deadline has passed.

        A node that serves another network, or whose refusal of the call is no matter of time, is asked no more. What is
        in the outbox is pending whatever goes wrong on the way. Raises OutboxError if no node serves its network.
        """
        loop = asyncio.get_running_loop()
        urls = list(self._transport.urls)
        foreign: list[str] = []
        failure: ClientError | None = None
        attempt = 0
        while True:
            waiting = [row for row in map(self._row, rows) if row.state is State.PENDING]
            if not waiting:
                return
            left = deadline - loop.time()
            if not urls or (left <= 0 and attempt):
                break
            url = urls[attempt % len(urls)]
            pause = PAUSE_SECONDS[min(attempt, len(PAUSE_SECONDS) - 1)]
            try:
                if await self._network_of(url) != waiting[0].genesis_hash:
                    urls.remove(url)
                    foreign.append(url)
                    continue
                await self._send(url, waiting, max(0.0, left), messages)
                failure = None
                pause = min(pause, PAUSE_SECONDS[0]) if attempt < 2 else pause
            except (NotReachable, Refused) as error:
                failure = error
            except RequestFailed as error:
                failure = error
                pause = max(pause, _seconds(error.data.get("retry_after_ms")))
                if not error.retryable:
                    urls.remove(url)
            attempt += 1
            if urls and any(self._row(row).state is State.PENDING for row in waiting):
                await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
        if len(foreign) == len(self._transport.urls):
            raise OutboxError(f"transaction {waiting[0].tx_id.hex()} is of another network than {', '.join(foreign)}")
        if failure is not None:
            messages.update((row.tx_id, str(failure)) for row in waiting)

    async def _network_of(self, url: str) -> bytes:
        """Return the genesis hash that a node names, asked once: what it says of a foreign transaction is no answer."""
        if url not in self._serves:
            info = await self._transport.call("chain_getInfo", {}, types.GetInfoResult, url=url)
            self._serves[url] = bytes.fromhex(info.genesis_hash)
        return self._serves[url]

    async def _send(self, url: str, rows: Sequence[Row], left_seconds: float, messages: dict[bytes, str]) -> None:
        """Send once more; note what the node says. The outbox knows of the attempt before the node does."""
        wait_ms = min(WAIT_MS, int(left_seconds * 1_000))
        sent_before = self.outbox.sending([row.tx_id for row in rows])
        params = {"txs": [row.raw.hex() for row in rows], "wait": "final", "timeout_ms": wait_ms}
        found = await self._transport.call("tx_submitMany", params, types.SubmitManyResult, wait_ms / 1_000, url)
        self._seen_height = max(self._seen_height, found.at_height)
        if len(found.items) != len(rows):
            raise NotReachable(f"{url}: {len(found.items)} answers to {len(rows)} transactions")
        for row, item in zip(rows, found.items, strict=True):
            self._note(row, item, sent_before[row.tx_id], messages)
            if item.refused is not None and item.refused.code == Code.EXPIRED:
                await self._note_expired(url, row)

    def _note(self, row: Row, item: types.SubmittedItem, sent_before: int, messages: dict[bytes, str]) -> None:
        refused = item.refused
        outcome = item.outcome
        if refused is None and item.tx_id == row.tx_id.hex() and outcome.final:
            self.outbox.settle(row.tx_id, State(outcome.status), outcome.height, outcome.code)
        elif refused is not None and refused.code > 0:
            messages[row.tx_id] = refused.message
            # Once another node may have it, a refusal here decides nothing: it may be late news of its own success.
            if not refused.retryable and sent_before == 0 and refused.code != Code.EXPIRED:
                self.outbox.settle(row.tx_id, State.REFUSED, None, refused.code)

    async def _note_expired(self, url: str, row: Row) -> None:
        """Ask whether it was executed before it expired. A block that is later, and has it not, makes that certain."""
        found = await self._transport.call("tx_get", {"tx_id": row.tx_id.hex()}, types.GetTransactionResult, 0.0, url)
        if found.outcome.final:
            self.outbox.settle(row.tx_id, State(found.outcome.status), found.outcome.height, found.outcome.code)
        elif found.block_time_ms >= row.expires_ms:
            self.outbox.settle(row.tx_id, State.EXPIRED, None, int(Code.EXPIRED))

    def _row(self, row: Row) -> Row:
        found = self.outbox.by_id(row.tx_id)
        assert found is not None
        return found

    def _settled(self, tx_id: bytes, message: str | None) -> Settled:
        row = self.outbox.by_id(tx_id)
        assert row is not None
        return Settled(row.key, tx_id, row.state, row.expires_ms, row.height, row.code, message)

    async def _moment(self) -> tuple[bytes, int]:
        """Return the genesis hash, and the time by the node's clock."""
        return await self._genesis_hash(), self._now_ms() + self._clock_offset_ms

    async def _genesis_hash(self) -> bytes:
        info = self._info or await self.info()
        return bytes.fromhex(info.genesis_hash)

    async def _read(self, method: str, params: dict[str, Any], result: type[ReadResult]) -> ReadResult:
        # Behind a balancer the next node may be behind the last: never read an older state than the one seen.
        return await self.request(method, {**params, "min_height": self._seen_height}, result)

    def _trusted(self) -> Trust:
        if self._trust is None:
            raise ProofInvalid("no genesis to check against")
        return self._trust


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows in parts that one call may carry."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) == MANY_AT_ONCE or size + 2 * len(row.raw) > MANY_HEX_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += 2 * len(row.raw)
    if chunk:
        yield chunk


def _seconds(milliseconds: object) -> float:
    return milliseconds / 1_000 if isinstance(milliseconds, int) else 0.0
