"""The calls of a load, signed and written down before anything is measured.

One rule: what can be done before the measured window is done here, in worker processes: keys, signatures, hex, JSON and
HTTP. While it measures, the load generator only writes bytes and reads short replies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import gcd
from random import Random
from types import TracebackType
from typing import Final, NamedTuple, Self

from consensus.crypto import SecretKey
from devnet.bench.scenarios import PAYLOADS, Draw, PayloadName
from devnet.generate import bank_account, demo_accounts, key_of
from devnet.money import Wallet, bank_key, wallet_key
from devnet.processes import worker_pool
from node.ledger.account import SOM, account_number
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition, row_id
from node.ledger.operations import Operation
from node.ledger.pay import Pay
from node.ledger.settle import SettleHold
from node.ledger.transaction import assemble, make_body, sign_body, transaction_id
from node.rpc.forms import WAIT_MS_MAX

FIRST_SERIAL: Final = 1_000_001  # of a bank's wallets: above those of the demo people (generate.py)
ACCOUNTS_MIN: Final = 1_000  # the payees of the longest pay
ACCOUNTS_MAX: Final = 10_000_000
KEYS_KEPT: Final = 100_000  # of a worker
BANKS: Final = 3
CALLS_A_JOB: Final = 16  # signed by one worker at a time
AMOUNT_TYIYN: Final = 1
NO_TERMS: Final = Condition(b"", (), 0, "", "", True)
MERCHANT: Final = "market"  # a devnet's account
MERCHANT_SHARE: Final = 0.5
GOLDEN: Final = 0.618  # of all accounts lie between two that pay one after the other: no two are neighbours

# A JSON-RPC batch of two: all transactions but the last by tx_submitMany, the last by tx_submit, which waits until it
# is final. They enter the mempool in this order, so when the last is final, the others are.
_BODY: Final = (
    '[{"jsonrpc":"2.0","id":1,"method":"tx_submitMany","params":{"txs":["%s"]}},'
    '{"jsonrpc":"2.0","id":2,"method":"tx_submit","params":{"tx":"%s","wait":"final","timeout_ms":%d}}]'
)
_HEAD: Final = b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class HttpRequest(NamedTuple):
    """One HTTP request, whole."""

    data: bytes
    transactions: int


Call = tuple[HttpRequest, ...]  # to one validator, each when the one before is final


@dataclass(frozen=True, slots=True)
class Chain:
    """What a transaction is signed for."""

    network: int
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class Mix:
    """What is signed: who pays whom, and in what form."""

    accounts: int
    payload: PayloadName = "pays"
    draw: Draw = "uniform"
    batch: int = PAYLOADS["pays"].batch  # transactions of a call


@dataclass(frozen=True, slots=True)
class Job:
    """Calls ``first``, ``first`` + 1, ...; their numbers make salts and payees their own."""

    chain: Chain
    expires_ms: int
    mix: Mix
    first: int
    calls: int


class Signers:
    """Worker processes that sign. Use it as a context manager."""

    def __init__(self, workers: int, chain: Chain, mix: Mix) -> None:
        self._pool = worker_pool(workers)
        self._chain = chain
        self._mix = mix
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def calls(self, transactions: int, expires_ms: int) -> list[Call]:
        """Return calls that hold at least so many transactions, none of them made before."""
        calls = -(-transactions // self._mix.batch)
        jobs = [
            Job(self._chain, expires_ms, self._mix, self._next + low, min(CALLS_A_JOB, calls - low))
            for low in range(0, calls, CALLS_A_JOB)
        ]
        self._next += calls
        return [call for signed in self._pool.map(sign_job, jobs) for call in signed]


def wallet(index: int) -> Wallet:
    """Return wallet ``index``, from 0: they are spread over the banks in turn."""
    serial, bank = divmod(index, BANKS)
    return Wallet(bank + 1, account_number(101 + bank, FIRST_SERIAL + serial))


def sign_job(job: Job) -> list[Call]:
    """Return the calls of a job. Runs in a worker."""
    return [tuple(request_of(raws) for raws in transactions_of(job, job.first + number)) for number in range(job.calls)]


def request_of(transactions: Sequence[bytes]) -> HttpRequest:
    """Return the HTTP request that submits these and waits for the last."""
    hexed = [raw.hex() for raw in transactions]
    body = (_BODY % ('","'.join(hexed[:-1]), hexed[-1], WAIT_MS_MAX)).encode()
    return HttpRequest(_HEAD % len(body) + body, len(transactions))


def transactions_of(job: Job, call: int) -> list[list[bytes]]:
    """Return the transactions of a call, signed, by request: each account pays in its turn, somebody drawn by lot."""
    lot, batch = Random(call), job.mix.batch
    if job.mix.payload == "holds":
        return _holds(job, lot, range(call * batch, call * batch + batch // 2))
    salts = range(call * batch, (call + 1) * batch)
    legs = PAYLOADS[job.mix.payload].legs
    return [[_pay(job, lot, salt) if legs == 1 else _bulk_pay(job, lot, salt, legs) for salt in salts]]


def _pay(job: Job, lot: Random, salt: int) -> bytes:
    payer, payee = _pair(job.mix, lot, salt)
    return _signed(job, salt, payer, Pay(SOM, payer, ((payee, AMOUNT_TYIYN, b""),)), _key(payer))


def _bulk_pay(job: Job, lot: Random, salt: int, legs: int) -> bytes:
    """Return a bank's pay to wallets drawn by lot."""
    bank = 1 + salt % BANKS
    payees = sorted(wallet(index).number for index in lot.sample(range(job.mix.accounts), legs))
    pay = Pay(SOM, bank_account(bank), tuple((number, AMOUNT_TYIYN, b"") for number in payees))
    return _signed(job, salt, pay.payer, pay, bank_key(bank))


def _holds(job: Job, lot: Random, salts: range) -> list[list[bytes]]:
    """Return holds, and what settles them: the payee does, once they are there."""
    holds, settles = [], []
    for salt in salts:
        payer, payee = _pair(job.mix, lot, salt)
        terms = (payee, job.expires_ms, NO_TERMS)
        body = _body(job, salt, payer, MakeHold(SOM, payer, ((payee, AMOUNT_TYIYN, b""),), *terms))
        holds.append(assemble(body, [sign_body(job.chain.genesis_hash, body, 0, _key(payer))]))
        name = row_id(transaction_id(job.chain.genesis_hash, body), 0, 0)
        settle = SettleHold(payee, name, AMOUNT_TYIYN, 0, b"", True)
        settles.append(_signed(job, salt, payee, settle, _key(payee)))
    return [holds, settles]


def _body(job: Job, salt: int, account: int, operation: Operation) -> bytes:
    return make_body(job.chain.network, job.expires_ms, salt, [account], [operation])


def _signed(job: Job, salt: int, account: int, operation: Operation, key: SecretKey) -> bytes:
    body = _body(job, salt, account, operation)
    return assemble(body, [sign_body(job.chain.genesis_hash, body, 0, key)])


# --- who pays whom ---


def _pair(mix: Mix, lot: Random, salt: int) -> tuple[int, int]:
    """Return the numbers of a payer and a payee."""
    payer, count = spread(salt, mix.accounts), mix.accounts
    match mix.draw:
        case "merchant" if lot.random() < MERCHANT_SHARE:
            return wallet(payer).number, merchant()
        case "zipf":
            payee = spread(zipf_rank(lot, count), count)
            payee = payee if payee != payer else (payee + 1) % count
        case _:
            payee = (payer + 1 + lot.randrange(count - 1)) % count
    return wallet(payer).number, wallet(payee).number


def spread(number: int, accounts: int) -> int:
    """Return an index for each number, all in turn and neighbours far apart: no order of the state helps a cache."""
    return number * _stride(accounts) % accounts


def zipf_rank(lot: Random, accounts: int) -> int:
    """Return a rank from 0, drawn so that rank r comes up as 1 / (r + 1): a tenth of the ranks gets most."""
    return min(accounts, int((accounts + 1) ** lot.random())) - 1


@cache
def _stride(accounts: int) -> int:
    stride = max(1, int(accounts * GOLDEN))
    while gcd(stride, accounts) != 1:
        stride += 1
    return stride


@cache
def merchant() -> int:
    """Return the account of the merchant that many pay."""
    return next(demo.number for demo in demo_accounts() if demo.name == MERCHANT)


@lru_cache(maxsize=KEYS_KEPT)
def _key(number: int) -> SecretKey:
    return key_of(MERCHANT) if number == merchant() else wallet_key(number)
