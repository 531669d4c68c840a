"""One chain: random blocks, executed by the ledger and by the model, compared after each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final

from consensus.encoding import encode
from node.ledger.errors import Refused
from node.ledger.receipt import Receipt
from node.ledger.transaction import Transaction, decode_transaction
from node.ledger.validators import Roster, decode_roster
from node.ledger.versions import NEWEST, OLDEST, VERSIONS
from tests.ledger_model import model
from tests.ledger_model.generate import Generator
from tests.ledger_model.state import DAY, MINUTE, State, plain
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    DEAD,
    DEAD_ISSUER,
    HALTED,
    HALTED_ISSUER,
    ISSUER,
    NETWORK,
    PARAMETERS,
    START_MS,
    Override,
    World,
)

SOM: Final = 1
FORGETTING: Final = (b"I", b"R", b"Q")  # rows beside the tree that go some time after their minute
RAW: Final = (b"t", b"E", b"P", b"B", b"Y", b"F", b"Q")  # values that are not MessagePack
MONEY: Final = {
    ISSUER: ((SOM, -(10**14), 0),),
    BANK: ((SOM, 10**14 - 2 * 10**6, 0), (HALTED, 500, 0)),
    ALICE: ((SOM, 2 * 10**6, 0),),
    HALTED_ISSUER: ((HALTED, -500, 0),),
    DEAD_ISSUER: ((DEAD, -(10**15), 0),),
    BOB: ((DEAD, 10**15, 0),),
}

Block = tuple[int, int, list[bytes], Roster | None]  # time, protocol version, transactions, a decree's validators
DECREES: Final = 0.05  # the share of blocks that begin a term
EPOCH: Final = 40  # heights after which a demanded protocol version is in force


class Disagreement(Exception):
    """The ledger and the model differ."""


@dataclass
class Result:
    """What a chain came to. Codes of receipts, of skipped legs and of refused shapes are counted apart."""

    seed: int
    transactions: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    skipped: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    applied: Counter[tuple[int, ...]] = field(default_factory=Counter)  # operations by number and act
    blocks: list[Block] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Return what must be the same wherever the seed runs."""
        return sha256(b"".join(self.roots)).hexdigest()


def start(seed: int, accounts_in_memory: int | None = None) -> World:
    """Return the world of a chain. Every other one begins under an old version of the protocol."""
    parameters = PARAMETERS._replace(protocol_version=OLDEST if seed % 2 else NEWEST)
    overrides: dict[int, Override] = {number: Override(holdings=money) for number, money in MONEY.items()}
    if accounts_in_memory is None:
        return World(overrides, parameters, kind="pilot")
    return World(overrides, parameters, accounts_in_memory, kind="pilot")


def _version(state: State, height: int) -> int:
    """Return the version of a block: at the end of an epoch the demanded one, if there is such; it never falls."""
    demanded = int(state.tables["p"]["protocol_version"])
    return max(state.version, demanded) if height % EPOCH == 0 and demanded in VERSIONS else state.version


def _decreed(state: State, random: Random) -> Any:
    """Return, once in a while, the seats of a decree: who waited counts at once, one is left out where enough stay."""
    if random.random() > DECREES:
        return None
    seats = [
        (name, weight, address, after or now, None)
        for name, weight, address, now, after in state.get("p", "validators")
    ]
    random.shuffle(seats)
    left = seats[:-1] if len(seats) > 4 else seats
    weights = [seat[1] for seat in left]
    return tuple(sorted(left)) if max(weights) <= (sum(weights) - 1) // 3 else None


def later(random: Random, state: State) -> int:
    """Return a time for the next block: soon, or at or beside a moment at which something ends."""
    if random.random() < 0.8:
        return state.time + random.choice((1, 200, 900, 900, 5_000, 20_000))
    if random.random() < 0.3:
        return state.time + random.choice((MINUTE, 11 * MINUTE, 7 * 60 * MINUTE, DAY, 2 * DAY))
    moments = [hold.until for hold in list(state.tables["h"].values())[-50:]]
    moments += [recovery.ready for recovery in state.tables["y"].values()] * 3
    moments += [word.until for word in list(state.tables["e"].values())[-10:]]
    moments += [minute * MINUTE for minute in state.tables["w"]]
    offset = state.get("p", "day_offset_ms")
    moments += [((state.time + offset) // DAY + 1) * DAY - offset]
    near = sorted(moment for moment in moments if state.time < moment - 1 < state.time + 2 * DAY)
    return random.choice(near) + random.choice((-1, 0, 0, 1)) if near else state.time + 1_000


def run(seed: int, transactions: int) -> Result:
    """Run a chain. Raises Disagreement."""
    world = start(seed)
    state = State(world.reader.rows, world.genesis.hash, devnet=False)
    state.root = world.ledger.root
    state.time = START_MS
    result = Result(seed)
    generator = Generator(seed, state)
    while result.transactions < transactions:
        try:
            _block(world, state, generator, result)
        except Disagreement as disagreement:
            again = f"python -m tests.ledger_model --chain {seed}"
            raise Disagreement(f"chain {seed}, block {state.height}: {disagreement}\n  see it again: {again}") from None
    _end(world, state)
    return result


def _block(world: World, state: State, generator: Generator, result: Result) -> None:
    random = generator.random
    height, time = world.ledger.height + 1, later(random, state)
    version = _version(state, height)
    decreed = _decreed(state, Random(f"{result.seed} {height}"))  # of its own: it changes no other draw
    roster = None if decreed is None else decode_roster(encode(decreed))
    model.begin(state, height, time, version, decreed)
    batch: list[Transaction] = []
    expected: list[model.Receipt] = []
    for _ in range(random.randrange(0, 50)):
        raw, code = generator.transaction()
        result.transactions += 1
        try:
            transaction = decode_transaction(raw, world.genesis.hash)
        except Refused as refused:
            if refused.code != code:
                raise Disagreement(f"shape: {code} in the model, {refused.code!r} in the ledger: {told(raw)}") from None
            result.refused[code] += 1
            continue
        if code:
            raise Disagreement(f"shape: {code} in the model, none in the ledger: {told(raw)}")
        batch.append(transaction)
        expected.append(model.execute(state, raw, NETWORK))
    model.finish(state)
    if batch and version == world.ledger.version and decreed is None:
        _ask(world, batch[0], time, expected[0])
    executed = world.ledger.execute(height, time, version, batch, roster)
    for transaction, receipt, mine in zip(batch, executed.receipts, expected, strict=True):
        _compare_receipt(mine, receipt, transaction)
        _count(result, transaction, mine)
    _compare_entries(state.entries, executed.entries)
    _compare_rows(world.reader.rows, executed.changes, state)
    world.reader.store(executed.changes)
    state.root = executed.root
    result.blocks.append((time, version, [transaction.raw for transaction in batch], roster))
    result.roots.append(executed.root)
    supplies = {asset: state.supply(asset) for asset in sorted(state.tables["s"])}
    if world.ledger.audit() != supplies:
        raise Disagreement("supplies")


def _ask(world: World, transaction: Transaction, time: int, mine: model.Receipt) -> None:
    """A block's first transaction gets what simulation said before, and admission refuses none that succeeds."""
    _compare_receipt(mine, world.ledger.simulate(transaction, time), transaction)
    try:
        world.ledger.admit(transaction, time)
    except Refused as refused:
        if mine[0] == 0:
            raise Disagreement(f"admission: {refused.code!r}: {told(transaction.raw)}") from None


def _compare_receipt(mine: model.Receipt, receipt: Receipt, transaction: Transaction) -> None:
    theirs = (receipt.code, receipt.op, receipt.leg, tuple(receipt.skipped), receipt.original)
    if theirs != mine:
        raise Disagreement(f"receipt: {mine} in the model, {theirs} in the ledger: {told(transaction.raw)}")


def _count(result: Result, transaction: Transaction, receipt: model.Receipt) -> None:
    result.codes[receipt[0]] += 1
    result.skipped.update(int(code) for _, _, code in receipt[3])
    if receipt[0] == 0:
        _, _, _, _, _, operations = plain(transaction.body)
        result.applied.update(each[:1] if each[0] <= 3 else each[:2] for each in operations)


def told(raw: bytes) -> str:
    """Return a transaction's body as a reader can use it."""
    body, _ = plain(raw)
    text = repr(plain(body))
    return text if len(text) < 3_000 else text[:3_000] + " ..."


def _compare_entries(mine: Sequence[tuple[int, int, bytes]], theirs: Sequence[tuple[int, int, bytes]]) -> None:
    if sorted(mine) != sorted(theirs):
        odd = [(account, index, plain(line)) for account, index, line in {*mine} ^ {*theirs}]
        raise Disagreement(f"statements: {sorted(odd, key=repr)[:6]}")


def _compare_rows(before: dict[bytes, bytes], changes: dict[bytes, bytes | None], state: State) -> None:
    minute = state.time // MINUTE
    theirs = {}
    for key, value in changes.items():
        old = before.get(key)
        if key == b"M" or old == value:
            continue
        if value is None and old is not None and key[:1] in FORGETTING:
            ends = plain(old)[0] if key[:1] == b"R" else int.from_bytes(key[1:9], "big")
            if ends >= minute:
                raise Disagreement(f"{key!r} is forgotten too early")
            continue
        theirs[key] = value
    mine = state.changes()
    if mine != theirs:
        odd = sorted(key for key in {*mine, *theirs} if mine.get(key, b"-") != theirs.get(key, b"-"))
        shown = "; ".join(
            f"{key!r}: {_shown(mine, key)} in the model, {_shown(theirs, key)} in the ledger" for key in odd[:4]
        )
        raise Disagreement(f"rows: {shown}")


def _shown(rows: dict[bytes, bytes | None], key: bytes) -> str:
    if key not in rows:
        return "unchanged"
    value = rows[key]
    if value is None:
        return "removed"
    return repr(value if key[:1] in RAW else plain(value))


def _end(world: World, state: State) -> None:
    """Compare everything, worked out anew; then let time pass until all that can be forgotten is."""
    rows = {key: value for key, value in world.reader.rows.items() if key != b"M"}
    mine = state.all_rows()
    if {key: value for key, value in rows.items() if key[:1] not in FORGETTING} != {
        key: value for key, value in mine.items() if key[:1] not in FORGETTING
    }:
        raise Disagreement("the whole state at the end")
    if model.tree_root(mine, world.genesis.tree_depth) != world.ledger.state_tree_root:
        raise Disagreement("the root of the state tree")
    for _ in range(12):
        model.begin(state, world.ledger.height + 1, state.time + 8 * DAY, state.version)
        model.finish(state)
        executed = world.ledger.execute(state.height, state.time, state.version, [])
        _compare_rows(world.reader.rows, executed.changes, state)
        world.store(executed)
        state.root = executed.root
    left = [key for key in world.reader.rows if key[:1] in FORGETTING or key[:1] in (b"w", b"o")]
    if left:
        raise Disagreement(f"not forgotten: {left[:3]}")
    rows = {key: value for key, value in world.reader.rows.items() if key != b"M"}
    if rows != {key: value for key, value in state.all_rows().items() if key[:1] not in FORGETTING}:
        raise Disagreement("the whole state when time has passed")


def replay(result: Result, accounts_in_memory: int, seed: int) -> None:
    """Execute the same blocks with little memory and restarts. Raises Disagreement if a root differs."""
    random = Random(seed)
    world = start(result.seed, accounts_in_memory)
    for (time, version, raws, roster), root in zip(result.blocks, result.roots, strict=True):
        if random.random() < 0.1:
            world.ledger = world.reopened(accounts_in_memory)
        world.time_ms, world.version = time - 1, version
        transactions = [decode_transaction(raw, world.genesis.hash) for raw in raws]
        executed = world.block(transactions, 1, roster)
        if executed.root != root:
            raise Disagreement(
                f"chain {result.seed}, block {executed.height}: another root, {accounts_in_memory} accounts in memory"
            )
