"""The calls of a load, signed and written down before anything is measured.

One rule: what can be done before the measured window is done here, in worker processes: keys, signatures, hex, JSON and
HTTP. While it measures, the load generator only writes bytes and reads short replies.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from random import Random
from types import TracebackType
from typing import Final, Self

from consensus.crypto import SecretKey
from devnet.money import Wallet, wallet_key
from node.ledger.account import SOM, account_number
from node.ledger.pay import Pay
from node.ledger.transaction import assemble, make_body, sign_body
from node.rpc.forms import WAIT_MS_MAX

ACCOUNTS_MAX: Final = 100_000
BANKS: Final = 3
CALLS_A_JOB: Final = 16  # signed by one worker at a time
AMOUNT_TYIYN: Final = 1

# A JSON-RPC batch of two: all transactions but the last by tx_submitMany, the last by tx_submit, which waits until it
# is final. They enter the mempool in this order, so when the last is final, the others are.
_BODY: Final = (
    '[{"jsonrpc":"2.0","id":1,"method":"tx_submitMany","params":{"txs":["%s"]}},'
    '{"jsonrpc":"2.0","id":2,"method":"tx_submit","params":{"tx":"%s","wait":"final","timeout_ms":%d}}]'
)
_HEAD: Final = b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Chain:
    """What a transaction is signed for."""

    network: int
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """Calls ``first``, ``first`` + 1, ... of ``batch`` transactions each. ``number`` makes salts and payees its own."""

    chain: Chain
    expires_ms: int
    accounts: int
    first: int
    calls: int
    batch: int


class Signers:
    """Worker processes that sign. Use it as a context manager."""

    def __init__(self, workers: int, chain: Chain, accounts: int, batch: int) -> None:
        """``accounts`` are those of ``wallets``."""
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("forkserver"))
        self._chain = chain
        self._accounts = accounts
        self._batch = batch
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def calls(self, transactions: int, expires_ms: int) -> list[bytes]:
        """Return whole HTTP requests that hold at least so many transactions, none of them made before."""
        calls = -(-transactions // self._batch)
        jobs = [
            Job(self._chain, expires_ms, self._accounts, self._next + low, min(CALLS_A_JOB, calls - low), self._batch)
            for low in range(0, calls, CALLS_A_JOB)
        ]
        self._next += calls
        return [request for requests in self._pool.map(sign_job, jobs) for request in requests]


def wallet(index: int) -> Wallet:
    """Return wallet ``index``, from 0: they are spread over the banks in turn."""
    serial, bank = divmod(index, BANKS)
    return Wallet(bank + 1, account_number(101 + bank, 1 + serial))


def sign_job(job: Job) -> list[bytes]:
    """Return the calls of a job. Runs in a worker."""
    return [request_of(transactions_of(job, job.first + call)) for call in range(job.calls)]


def request_of(transactions: Sequence[bytes]) -> bytes:
    """Return the HTTP request that submits these and waits for the last."""
    hexed = [raw.hex() for raw in transactions]
    body = (_BODY % ('","'.join(hexed[:-1]), hexed[-1], WAIT_MS_MAX)).encode()
    return _HEAD % len(body) + body


def transactions_of(job: Job, call: int) -> list[bytes]:
    """Return a call's single pays, signed: each account pays in its turn, somebody drawn by lot."""
    return list(_pays(job, call))


def _pays(job: Job, call: int) -> Iterator[bytes]:
    lot = Random(call)
    for salt in range(call * job.batch, (call + 1) * job.batch):
        payer = salt % job.accounts
        payee = (payer + 1 + lot.randrange(job.accounts - 1)) % job.accounts
        number = wallet(payer).number
        pay = Pay(SOM, number, ((wallet(payee).number, AMOUNT_TYIYN, b""),))
        body = make_body(job.chain.network, job.expires_ms, salt, [number], [pay])
        yield assemble(body, [sign_body(job.chain.genesis_hash, body, 0, _key(number))])


@lru_cache(maxsize=ACCOUNTS_MAX)
def _key(number: int) -> SecretKey:
    return wallet_key(number)
