"""The model's blocks: envelopes, operations, receipts, ends of holds, and what a block forgets."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.ledger_model import acts, money
from tests.ledger_model.state import (
    CHECKPOINT_EVERY,
    CHECKPOINTS_FOR,
    MINUTE,
    NOTHING,
    SWEPT_FOR_EACH_MADE,
    SWEPT_MAX,
    Fails,
    State,
    h,
    plain,
    u,
)

Receipt = tuple[int, int | None, int | None, tuple[Any, ...], bytes | None]

ACTS: Final[dict[tuple[int, ...], Callable[..., Any]]] = {
    (4, 1): acts.open_account,
    (4, 2): acts.set_account,
    (4, 3): acts.set_keys,
    (4, 4): acts.recover,
    (4, 5): acts.recovered,
    (4, 6): acts.cancel,
    (4, 7): acts.move,
    (4, 8): acts.close,
    (5, 1): acts.register,
    (5, 2): acts.set_status,
    (6, 1): acts.attest,
    (6, 2): acts.revoke,
    (7, 1): acts.freeze,
    (7, 2): acts.unfreeze,
    (7, 3): acts.arrest,
    (7, 4): acts.release,
    (7, 5): acts.seize,
    (8, 1): acts.set_parameter,
    (8, 2): acts.prove_ready,
}


def transaction_id(genesis_hash: bytes, body: bytes) -> bytes:
    return h(b"som-tx-1", genesis_hash, body)


def begin(state: State, height: int, time: int, version: int, decreed: Any = None) -> None:
    """Begin a block; ``decreed`` are the seats of a decree whose term it begins."""
    state.height, state.time, state.version = height, time, version
    state.entries = []
    state.made = 0
    state.parameters = dict(state.tables["p"])
    if height > 1 and (height - 1) % CHECKPOINT_EVERY == 0:
        state.put("c", height - 1, state.root)
    for old in [old for old in state.tables["c"] if height > old + 1 + CHECKPOINTS_FOR]:
        state.put("c", old, None)
    if decreed is not None:
        state.put("p", "validators", decreed)


def execute(state: State, raw: bytes, network: int) -> Receipt:
    """Execute one transaction whose shape is right."""
    body, signatures = plain(raw)
    _, on, expires, _, accounts, operations = plain(body)
    state.id = transaction_id(state.genesis_hash, body)
    state.listed = accounts
    try:
        _check_envelope(state, on == network, expires, accounts, signatures)
    except Fails as fails:
        return fails.code, None, None, (), None
    minute = expires // MINUTE
    count, chain = state.get("w", minute) or (0, NOTHING)
    state.put("w", minute, (count + 1, h(b"som-seen-1", chain, state.id)))
    state.put("I", (minute, state.id), count)
    state.undo.clear()
    state.spent, state.first = {}, None
    mark = len(state.entries)
    skipped: list[Any] = []
    for index, operation in enumerate(operations):
        state.operation = index
        try:
            skipped += apply(state, operation)
        except Fails as fails:
            state.take_back()
            del state.entries[mark:]
            return fails.code, index, fails.leg, fails.skipped, fails.first
    state.made += sum(map(_holds_made, operations))
    return 0, None, None, tuple(skipped), state.first


def apply(state: State, operation: tuple[Any, ...]) -> list[tuple[int, int, int]]:
    """Apply one operation as it is on the wire; return skipped legs."""
    match operation:
        case (1, *fields):
            return money.pay(state, *fields)
        case (2, *fields):
            money.hold(state, *fields)
        case (3, *fields):
            money.settle(state, *fields)
        case (number, act, *fields):
            ACTS[number, act](state, *fields)
    return []


def _holds_made(operation: tuple[Any, ...]) -> int:
    """Return how many holds an operation makes: one for each leg of a hold, one in an arrest."""
    return len(operation[3]) if operation[0] == 2 else int(operation[:2] == (7, 3))


def _check_envelope(state: State, here: bool, expires: int, accounts: Sequence[int], signatures: Any) -> None:
    if not here:
        raise Fails(102)
    if expires <= state.time:
        raise Fails(105)
    if state.get("I", (expires // MINUTE, state.id)) is not None:
        raise Fails(107)
    found = [state.get("a", number) for number in accounts]
    if None in found:
        raise Fails(201)
    if any(expires > state.time + state.window(account) for account in found):
        raise Fails(106)
    weights = [0] * len(found)
    for index, key, _ in signatures:
        weight = dict(found[index].keys).get(key)
        if weight is None:
            raise Fails(104)
        weights[index] += weight
    if any(weight < account.threshold for weight, account in zip(weights, found, strict=True)):
        raise Fails(104)


def finish(state: State) -> None:
    """End a block: release holds that ended, forget minutes that passed."""
    ended = [(hold.until, key) for key, hold in state.tables["h"].items() if hold.until and hold.until <= state.time]
    for _, key in sorted(ended)[: SWEPT_MAX + SWEPT_FOR_EACH_MADE * state.made]:
        state.reduce(key, state.tables["h"][key].left)
    for letter in "wo":
        for minute in [minute for minute in state.tables[letter] if minute < state.time // MINUTE]:
            state.put(letter, minute, None)
    state.undo.clear()


def tree_root(rows: dict[bytes, bytes], depth: int) -> bytes:
    """Return the root of the state tree: docs/ledger.md section 6."""
    buckets: list[list[tuple[int, bytes, bytes]]] = [[] for _ in range(16**depth)]
    for key, value in rows.items():
        if not key[:1].islower():
            continue
        if key[:1] == b"a":
            first = int.from_bytes(key[1:], "big") // 100
            place = first // 10**10 * 0x9E3779B97F4A7C15 + first % 10**10 // 8
        else:
            place = int.from_bytes(h(b"som-place-1", key)[:8], "big")
        leaf = h(b"som-leaf-1", u(len(key), 1), key, value)
        buckets[place % len(buckets)].append((len(key), key, leaf))
    level = [h(b"som-bucket-1", *(u(size, 1) + key + leaf for size, key, leaf in sorted(bucket))) for bucket in buckets]
    while len(level) > 1:
        level = [h(b"som-node-1", *level[place : place + 16]) for place in range(0, len(level), 16)]
    return level[0]
