"""The import of a payment file over the RPC: look up, sign what is due, send, and look again.

One rule: the chain says what was paid (node/iso20022/resume.py has the argument); what is kept here saves work and
keeps refusals. Every "sent" line is on disk before the transaction is on the wire.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from consensus.crypto import SecretKey
from node.client.client import Client, Settled
from node.client.outbox import REPLACEABLE, State
from node.iso20022.pain001 import PaymentFile
from node.iso20022.plan import PAY_LEGS_MAX, Pay, Plan, Ref, pay_salt, plan
from node.iso20022.record import Begun, Entry, RecordDamaged, Refused, Sent, encode_entry, read_entries, refusals
from node.iso20022.resume import (
    PENDING,
    Answer,
    Outcome,
    Pending,
    Rejected,
    Unsent,
    confirm,
    deciding,
    due,
    expires_ms,
    look_up,
    outcome_of,
    pay_outcomes,
)
from node.iso20022.resume import Settled as PaidLeg
from node.ledger.account import SOM, AccountNumber, Kind, parse_account
from node.ledger.errors import Code
from node.ledger.parameters import DEFAULT
from node.ledger.pay import Pay as PayOperation
from node.ledger.transaction import Transaction, make_transaction
from node.rpc import ledger_types
from node.storage.files import lock

ROUNDS_MAX: Final = 3  # a second one when another import was faster, a third when both met again
AT_ONCE: Final = 100  # transactions under way: their results are not waited for one by one
LEGS_AT_ONCE: Final = 10_000  # payments under way: after so many we say how far we are
ATTEMPTS_MAX: Final = 16  # whole pays that failed before and are tried again, each as a new transaction
FILE_MODE: Final = 0o600
LOCK_SUFFIX: Final = ".lock"

Keys = Callable[[AccountNumber], Sequence[SecretKey]]
Progress = Callable[[int, int], None]  # payments with an outcome, or looked up; of how many


def _quietly(_done: int, _of: int) -> None:
    """Tell nobody."""


class RpcLookup:
    """The chain's memory of payments, by tx_getByRef (node/iso20022/resume.py: Lookup)."""

    def __init__(self, client: Client, planned: Plan, asked: Callable[[int], None] = lambda _: None) -> None:
        """``asked`` is told how many references were looked up so far."""
        self._client = client
        self._legs = {leg.ref: leg for pay in planned.pays for leg in pay.legs}
        self._asked = asked
        self._refs = 0

    async def paid(self, debtor: AccountNumber, refs: Sequence[Ref]) -> Answer:
        """Return what ``debtor`` has paid under ``refs``, complete up to a block's time."""
        found = await self._client.paid(debtor, refs)
        self._refs += len(refs)
        self._asked(self._refs)
        paid: dict[Ref, list[PaidLeg]] = {}
        for payment in reversed(found.payments):  # the latest came first
            if payment.asset == SOM:
                made = PaidLeg(parse_account(payment.to), int(payment.amount))
                paid.setdefault(Ref(bytes.fromhex(payment.ref)), []).append(made)
        return Answer(found.block_time_ms, {ref: deciding(self._legs[ref], made) for ref, made in paid.items()})


class Record:
    """The import record of one file on one network: a text file beside the outbox. One import at a time has it."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises InUse while another import of the same file runs, RecordDamaged."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock(path.with_name(path.name + LOCK_SUFFIX))
        try:
            self.entries = read_record(path)
        except RecordDamaged:
            os.close(self._lock)
            raise
        # A torn last line is cut off: what is appended starts on a line of its own.
        whole = sum(len(encode_entry(entry)) for entry in self.entries)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        os.ftruncate(descriptor, whole)
        self._file = os.fdopen(descriptor, "ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        os.close(self._lock)

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries, durably."""
        self.entries += entries
        for entry in entries:
            self._file.write(encode_entry(entry))
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: the outcome of each reference."""

    plan: Plan
    outcomes: Mapping[Ref, Outcome]


@dataclass(frozen=True, slots=True)
class _Network:
    number: int
    genesis_hash: bytes


def read_record(path: Path) -> list[Entry]:
    """Return the entries of a record, none if there is no such file. It may be in use. Raises RecordDamaged."""
    if not path.exists():
        return []
    try:
        with path.open("rb") as file:
            return list(read_entries(file))
    except RecordDamaged as error:
        raise RecordDamaged(f"{path}: {error}") from None


async def look(client: Client, file: PaymentFile, entries: Sequence[Entry]) -> Imported:
    """Return what the chain knows of a file. Nothing is sent."""
    network, planned = await _network(client), plan(file)
    answers = await look_up(planned, RpcLookup(client, planned))
    recorded = refusals(entries, file.digest, network.genesis_hash)
    outcomes: dict[Ref, Outcome] = {}
    for pay in planned.pays:
        for leg in pay.legs:
            outcomes[leg.ref] = outcome_of(leg, answers.known.get(leg.ref) or recorded.get(leg.ref))
    return Imported(planned, outcomes)


async def import_file(
    client: Client,
    file: PaymentFile,
    record: Record,
    keys: Keys,
    progress: Progress,
    *,
    looked_up: Progress = _quietly,
    timeout_seconds: float,
    retry: bool = False,
    legs_max: int = PAY_LEGS_MAX,
    at_once: int = AT_ONCE,
) -> Imported:
    """Pay what of the file is not paid yet, and return what is known at the end.

    ``legs_max`` payments share a transaction, and ``at_once`` transactions are under way together.
    """
    network, planned = await _network(client), plan(file, legs_max)
    recorded = refusals(record.entries, file.digest, network.genesis_hash)
    record.append([Begun(file.digest, file.message_id, network.genesis_hash, (await client.info()).now_ms)])
    outcomes: dict[Ref, Outcome] = {leg.ref: PENDING for pay in planned.pays for leg in pay.legs}

    def lookup() -> RpcLookup:
        return RpcLookup(client, planned, lambda refs: looked_up(refs, planned.legs))

    for round_number in range(ROUNDS_MAX):
        answers = await look_up(planned, lookup())
        left = due(planned, answers, recorded, retry=retry and round_number == 0)
        outcomes.update(left.outcomes)
        progress(_known(outcomes), planned.legs)
        if not left.pays:
            break
        windows_ms = await replay_windows_ms(client, dict.fromkeys(pay.debtor for pay in planned.pays))
        found: dict[Ref, Outcome] = {}
        for pays in _chunks(left.pays, at_once):
            sent = await _send(client, network, file, record, pays, answers.at_ms, windows_ms, keys, timeout_seconds)
            found.update(sent)
            outcomes.update(sent)
            rejections = {ref: outcome for ref, outcome in sent.items() if isinstance(outcome, Rejected)}
            record.append([Refused(ref, outcome.code) for ref, outcome in rejections.items()])
            recorded = {**recorded, **rejections}
            progress(_known(outcomes), planned.legs)
        turned_away = any(isinstance(outcome, Unsent) for outcome in found.values())
        if turned_away or not any(isinstance(outcome, Pending) for outcome in found.values()):
            break
    if any(isinstance(outcome, Rejected | Unsent) for outcome in outcomes.values()):
        # What was refused here may have been paid by another import a moment before: the chain has the last word.
        outcomes = confirm(planned, outcomes, await look_up(planned, lookup()))
    return Imported(planned, outcomes)


def _chunks(pays: Sequence[Pay], at_once: int) -> Iterator[Sequence[Pay]]:
    """Yield pays that are sent together: at most ``at_once``, and LEGS_AT_ONCE payments unless one pay has more."""
    chunk: list[Pay] = []
    legs = 0
    for pay in pays:
        if chunk and (len(chunk) == at_once or legs + len(pay.legs) > LEGS_AT_ONCE):
            yield chunk
            chunk, legs = [], 0
        chunk.append(pay)
        legs += len(pay.legs)
    if chunk:
        yield chunk


async def _send(
    client: Client,
    network: _Network,
    file: PaymentFile,
    record: Record,
    pays: Sequence[Pay],
    at_ms: int,
    windows_ms: Mapping[AccountNumber, int],
    keys: Keys,
    timeout_seconds: float,
) -> dict[Ref, Outcome]:
    """Sign and settle pays; return the outcome of each leg."""
    signed: list[Transaction] = []
    for pay in pays:
        expires = expires_ms(at_ms, windows_ms[pay.debtor])
        transaction, attempt = await _signed(client, network, file, pay, expires, keys(pay.debtor))
        record.append([Sent(pay.index, transaction.id, transaction.expires_ms, attempt)])
        signed.append(transaction)
    names = [
        f"iso:{file.digest.hex()[:16]}:{pay.index}:{tx.id.hex()[:16]}" for pay, tx in zip(pays, signed, strict=True)
    ]
    settled = await client.submit_many(signed, keys=names, timeout_seconds=timeout_seconds)
    outcomes: dict[Ref, Outcome] = {}
    for pay, one in zip(pays, settled, strict=True):
        if one.state is State.REFUSED and one.code and not _under_way(client, record, pay, at_ms):
            outcomes.update({leg.ref: Unsent(Code(one.code)) for leg in pay.legs})
        else:
            outcomes.update(await _outcomes(client, pay, one))
    return outcomes


def _under_way(client: Client, record: Record, pay: Pay, at_ms: int) -> bool:
    """Return whether a transaction that was recorded as sent may still pay legs of this pay."""
    sent = [each for each in record.entries if isinstance(each, Sent) and each.pay_index == pay.index]
    rows = [client.outbox.by_id(each.transaction_id) for each in sent if each.expires_ms > at_ms]
    return any(row is None or row.state not in REPLACEABLE for row in rows)


async def _signed(
    client: Client, network: _Network, file: PaymentFile, pay: Pay, expires: int, keys: Sequence[SecretKey]
) -> tuple[Transaction, int]:
    """Return the pay's transaction. One that failed whole before keeps its id, so the next attempt has another salt."""
    legs = tuple((leg.creditor, leg.amount, leg.ref) for leg in pay.legs)
    operation = PayOperation(SOM, pay.debtor, legs, partial=True, once=True)
    signers = [(0, key) for key in keys]
    attempt = 0
    while True:
        salt = pay_salt(file.digest, pay.index, attempt)
        transaction = make_transaction(
            network.number, network.genesis_hash, expires, salt, [pay.debtor], [operation], signers
        )
        before = await client.transaction(transaction.id)
        if before.outcome.status != "failed" or attempt == ATTEMPTS_MAX:
            return transaction, attempt
        attempt += 1


async def _outcomes(client: Client, pay: Pay, one: Settled) -> dict[Ref, Outcome]:
    if one.state not in (State.APPLIED, State.FAILED):
        return {leg.ref: PENDING for leg in pay.legs}
    receipt = (await client.transaction(one.tx_id)).receipt
    if receipt is None:  # another node was asked, which is behind
        return {leg.ref: PENDING for leg in pay.legs}
    skipped = {leg.leg: Code(leg.code) for leg in receipt.skipped}
    return pay_outcomes(pay, skipped, Code(receipt.code) if receipt.code else None)


async def _network(client: Client) -> _Network:
    info = await client.info()
    return _Network(info.network, bytes.fromhex(info.genesis_hash))


async def replay_windows_ms(client: Client, payers: Iterable[AccountNumber]) -> dict[AccountNumber, int]:
    """Return how long the ledger remembers the references of each payer, as the central bank has set it."""
    listed = await client.request("parameter_list", {}, ledger_types.ListParametersResult)
    set_ms = {each.name: each.milliseconds for each in listed.parameters if each.milliseconds is not None}
    parameters = DEFAULT._replace(
        window_person_ms=set_ms["window_person_ms"], window_institution_ms=set_ms["window_institution_ms"]
    )
    found: dict[AccountNumber, int] = {}
    for payer in payers:
        account = await client.account(payer)
        found[payer] = parameters.window_ms(Kind[account.kind.upper()])
    return found


def _known(outcomes: Mapping[Ref, Outcome]) -> int:
    return sum(1 for outcome in outcomes.values() if not isinstance(outcome, Pending))
