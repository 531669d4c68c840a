"""Blocks: replay, time, signatures, undo, slices, restart; the same everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.account import CLOSED, SOM, account_number
from node.ledger.account_ops import CloseAccount, OpenAccount, SetKeys
from node.ledger.commitment import chain_root, extend_root, outcome_leaf, outcomes_root, verify_proof
from node.ledger.errors import Code, InvariantViolation, Refused
from node.ledger.execute import Executed, Ledger, genesis_changes
from node.ledger.operations import Operation
from node.ledger.parameters import DEFAULT
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt, decode_receipt, encode_receipt
from node.ledger.recent import SEEN_ID, SeenIds
from node.ledger.state import TREE_HIGH, TREE_LOW, account_key
from node.ledger.tree import Tree
from tests.ledger_world import (
    ALICE,
    BANK,
    BOB,
    CAROL,
    CENTRAL,
    ISSUER,
    MINUTE_MS,
    NETWORK,
    NOBODY,
    SHOP,
    START_MS,
    TREASURY,
    Override,
    Rows,
    World,
    keys_of,
    make_genesis,
)

ROOT = Path(__file__).parent.parent


def paying(amount: int = 1, payer: int = ALICE, to: int = BOB) -> Pay:
    return Pay(SOM, payer, ((to, amount, b""),))


def funded(accounts_in_memory: int = 1_000) -> World:
    world = World(accounts_in_memory=accounts_in_memory)
    world.fund(ALICE, BANK)
    return world


# --- replay and time ---


def test_the_same_bytes_twice_pay_once_even_within_one_block() -> None:
    world = funded()
    transaction = world.transaction([paying()])
    executed = world.block([transaction, transaction])
    assert [receipt.code for receipt in executed.receipts] == [0, Code.DUPLICATE]
    assert [receipt.consumed for receipt in executed.receipts] == [True, False]
    assert world.block([transaction]).receipts[0].code == Code.DUPLICATE
    world.ledger = world.reopened()
    assert world.block([transaction]).receipts[0].code == Code.DUPLICATE
    assert world.balance(BOB) == 1


def test_a_failed_transaction_consumes_its_id() -> None:
    world = funded()
    transaction = world.transaction([paying(2_000_000)])
    first = world.block([transaction]).receipts[0]
    assert (first.code, first.consumed) == (Code.INSUFFICIENT, True)
    world.fund(ALICE, amount=1_500_000)
    assert world.block([transaction]).receipts[0].code == Code.DUPLICATE


def test_nobody_can_use_up_an_id_with_signatures_of_his_own() -> None:
    world = funded()
    honest = world.transaction([paying()])
    (foreign,) = keys_of(NOBODY)
    forged = world.transaction([paying()], signers=[(0, foreign)], salt=honest.salt)
    assert forged.id == honest.id
    executed = world.block([forged, honest])
    assert [receipt.code for receipt in executed.receipts] == [Code.NOT_SIGNED, 0]
    assert [receipt.consumed for receipt in executed.receipts] == [False, True]


@pytest.mark.parametrize(("ahead_ms", "code"), [(-1, Code.EXPIRED), (0, Code.EXPIRED), (1, Code.APPLIED)])
def test_a_transaction_lives_until_block_time_reaches_its_expiry(ahead_ms: int, code: Code) -> None:
    world = funded()
    transaction = world.transaction([paying()], expires_ms=world.time_ms + 1_000 + ahead_ms)
    assert world.block([transaction], 1_000).receipts[0].code == code


@pytest.mark.parametrize(("payer", "window_ms"), [(ALICE, 10 * MINUTE_MS), (BANK, 72 * 60 * MINUTE_MS)])
def test_an_expiry_lies_within_the_window_of_each_account(payer: int, window_ms: int) -> None:
    world = funded()
    operation = [paying(payer=payer)]
    late = world.transaction(operation, expires_ms=world.time_ms + 1_001 + window_ms)
    assert world.block([late], 1_000).receipts[0].code == Code.EXPIRY_TOO_FAR
    assert world.block([late], 1).receipts[0].applied
    both = world.transaction(operation, accounts=[BANK, ALICE], expires_ms=world.time_ms + 11 * MINUTE_MS)
    assert world.block([both]).receipts[0].code == Code.EXPIRY_TOO_FAR


def test_ids_are_forgotten_after_their_minute_and_their_rows_soon_after() -> None:
    world = funded()
    transactions = [world.transaction([paying()], expires_ms=START_MS + MINUTE_MS - 1) for _ in range(30)]
    world.block(transactions)
    minute = (START_MS // MINUTE_MS).to_bytes(8, "big")
    assert len(dict(world.reader.scan(SEEN_ID + minute, SEEN_ID + minute + b"\xff"))) == 30
    assert b"w" + minute in world.reader.rows
    world.block([], 2 * MINUTE_MS)
    assert dict(world.reader.scan(SEEN_ID + minute, SEEN_ID + minute + b"\xff")) == {}
    assert b"w" + minute not in world.reader.rows
    assert world.block([transactions[0]]).receipts[0].code == Code.EXPIRED


def test_ids_that_do_not_fit_in_memory_are_asked_of_the_store() -> None:
    reader = Rows({})
    roomy, tight = SeenIds(reader), SeenIds(reader, bound=3)
    known: list[tuple[bytes, int]] = []
    for block in range(8):
        fresh = [(bytes((block, i)) * 16, START_MS + i * MINUTE_MS) for i in range(4)]
        for ids in (roomy, tight):
            ids.begin()
            assert [ids.known(*each) for each in known] == [True] * len(known)
            for each in fresh:
                assert not ids.known(*each)
                ids.remember(*each)
                assert ids.known(*each)
        changes: list[dict[bytes, bytes | None]] = []
        for ids in (roomy, tight):
            changes.append({})
            assert list(ids.finishing(START_MS, changes[-1])) == []
        assert changes[0] == changes[1]
        reader.store(changes[0])
        known += fresh
    with pytest.raises(InvariantViolation):
        tight.remember(*known[-1])
    restarted = SeenIds(reader, bound=10)
    assert [restarted.known(*each) for each in known] == [True] * len(known)


# --- the envelope ---


@pytest.mark.parametrize(
    ("operations", "accounts", "network", "code"),
    [
        ([paying()], None, NETWORK + 1, Code.NETWORK),
        ([paying(payer=NOBODY)], None, NETWORK, Code.NO_ACCOUNT),
        ([paying()], (ALICE, NOBODY), NETWORK, Code.NO_ACCOUNT),
        ([paying()], (ALICE, BANK), NETWORK, Code.APPLIED),
    ],
)
def test_the_envelope_names_this_network_and_accounts_that_exist(
    operations: list[Operation], accounts: tuple[int, ...] | None, network: int, code: Code
) -> None:
    world = funded()
    transaction = world.transaction(operations, accounts, network=network)
    receipt = world.block([transaction]).receipts[0]
    assert (receipt.code, receipt.consumed, receipt.transaction_id) == (code, code == 0, transaction.id)


@pytest.mark.parametrize(
    ("signing", "code"), [((0,), Code.NOT_SIGNED), ((0, 1), 0), ((1, 2), 0), ((0, 2), 0), ((0, 1, 2), 0)]
)
def test_two_of_three_keys_issue(signing: tuple[int, ...], code: int) -> None:
    world = World()
    signers = [(0, keys_of(ISSUER)[index]) for index in signing]
    transaction = world.transaction([paying(5, ISSUER, BANK)], signers=signers)
    assert world.block([transaction]).receipts[0].code == code


def test_weights_add_up_to_the_threshold() -> None:
    world = World()
    world.fund(ALICE)
    keys = sorted([*keys_of(ISSUER)], key=lambda key: key.public)
    weighted = tuple((bytes(key.public), weight) for key, weight in zip(keys, (1, 2, 4), strict=True))
    assert world.run(SetKeys(ALICE, weighted, 5)).applied
    for signing, applied in (((2,), False), ((0, 1), False), ((0, 2), True), ((1, 2), True)):
        transaction = world.transaction([paying()], signers=[(0, keys[index]) for index in signing])
        assert world.block([transaction]).receipts[0].applied == applied


def test_every_listed_account_signs_and_foreign_keys_are_refused() -> None:
    world = funded()
    (alice,), (bank,), (bob,) = keys_of(ALICE), keys_of(BANK), keys_of(BOB)
    for signers in ([(0, alice)], [(0, alice), (1, bob)], [(0, alice), (1, alice)], [(0, alice), (1, bank), (1, bob)]):
        transaction = world.transaction([paying()], (ALICE, BANK), signers)
        assert world.block([transaction]).receipts[0].code == Code.NOT_SIGNED
    assert world.block([world.transaction([paying()], (ALICE, BANK), [(0, alice), (1, bank)])]).receipts[0].applied


# --- all or nothing ---


def test_a_later_operation_that_fails_undoes_the_earlier_ones() -> None:
    world = funded()
    before = {key: row for key, row in world.reader.rows.items() if key[:1] == b"a"}
    (key,) = keys_of(ALICE)
    opening = OpenAccount(BANK, account_number(101, 9), 11, 1, 0, ((bytes(key.public), 1),), 1, b"c" * 32)
    operations: list[Operation] = [
        paying(10),
        SetKeys(ALICE, ((bytes(key.public), 5),), 5),
        opening,
        Pay(SOM, BANK, ((opening.number, 5, b"r"),), once=True),
        paying(10**9),
    ]
    transaction = world.transaction(operations, (ALICE, BANK))
    entries = {number: list(rows) for number, rows in world.entries.items()}
    executed = world.block([transaction])
    assert (executed.receipts[0].code, executed.receipts[0].op) == (Code.INSUFFICIENT, 4)
    assert {key: row for key, row in world.reader.rows.items() if key[:1] == b"a"} == before
    assert world.entries == entries
    assert [key[:1] for key in executed.changes if key[:1] not in (b"w", b"I", b"M")] == []
    assert world.run(Pay(SOM, BANK, ((ALICE, 5, b"r"),), once=True)).applied
    assert world.ledger.account(opening.number) is None
    assert world.run(Pay(SOM, BANK, ((opening.number, 5, b"s"),))).code == Code.NO_ACCOUNT
    assert world.run(opening).applied


def operation_of(draw: tuple[int, int, int, int]) -> Operation:
    kind, payer, to, amount = draw
    people = (ALICE, BOB, CAROL, SHOP, BANK, TREASURY, NOBODY, ISSUER)
    if kind == 0:
        return CloseAccount(people[payer], people[to])
    if kind == 1:
        legs = tuple((each, amount, b"r%d" % (amount % 5)) for each in (people[to], people[(to + 3) % 8]))
        return Pay(SOM, people[payer], legs, amount % 2 == 0, amount % 3 == 0)
    return Pay(SOM, people[payer], ((people[to], amount, b""),))


DRAWS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 7), st.integers(0, 7), st.integers(1, 2_000_000)),
        min_size=1, max_size=4,
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=40)
@given(DRAWS)
def test_whatever_comes_money_is_conserved_and_failures_change_nothing(
    draws: list[list[tuple[int, int, int, int]]],
) -> None:
    world = funded()
    for draw in draws:
        before = {key: row for key, row in world.reader.rows.items() if key[:1] in b"aoRQ"}
        receipt = world.run(*[operation_of(each) for each in draw])
        if not receipt.applied:
            assert {key: row for key, row in world.reader.rows.items() if key[:1] in b"aoRQ"} == before
        world.ledger.audit()
    again = world.reopened()
    assert (again.root, again.state_tree_root) == (world.ledger.root, world.ledger.state_tree_root)


@settings(max_examples=25)
@given(DRAWS)
def test_memory_slices_and_restarts_do_not_change_a_bit(draws: list[list[tuple[int, int, int, int]]]) -> None:
    roomy, tight = funded(), funded(accounts_in_memory=1)
    for index, draw in enumerate(draws):
        transactions = [roomy.transaction([operation_of(each)]) for each in draw]
        expected = roomy.block(transactions)
        tight.time_ms += 1_000
        tight.ledger.begin(tight.ledger.height + 1, tight.time_ms, tight.version)
        for transaction in transactions:
            tight.ledger.simulate(transaction, tight.time_ms)
            tight.ledger.apply(transaction)
        for _ in tight.ledger.finishing():
            tight.ledger.simulate(transactions[0], tight.time_ms)
        executed = tight.ledger.finish()
        assert executed == expected
        tight.store(executed)
        if index % 3 == 0:
            tight.ledger = tight.reopened(accounts_in_memory=1)
    assert tight.reader.rows == roomy.reader.rows


# --- reading ---


def test_readers_see_the_last_finished_block_while_one_is_open() -> None:
    world = funded()
    before = (world.balance(ALICE), world.ledger.height, world.ledger.root, world.ledger.supply(SOM))
    new = account_number(101, 9)
    opening = OpenAccount(BANK, new, 11, 1, 0, ((b"k" * 32, 1),), 1, b"c" * 32)
    transactions = [
        world.transaction([paying(7)]),
        world.transaction([opening]),
        world.transaction([paying(8, BANK, ISSUER)]),
    ]
    world.ledger.begin(world.ledger.height + 1, world.time_ms + 1, world.version)
    for transaction in transactions:
        assert world.ledger.apply(transaction).applied
    record = world.ledger.value(account_key(ALICE))
    assert (world.balance(ALICE), world.ledger.height, world.ledger.root, world.ledger.supply(SOM)) == before
    assert (world.ledger.account(new), record) == (None, world.reader.get(account_key(ALICE)))
    executed = world.ledger.finish()
    assert world.balance(ALICE) == before[0] - 7, "finished, and not stored yet"
    world.store(executed)
    assert (world.balance(ALICE), world.balance(new)) == (before[0] - 7, 0)
    assert world.ledger.supply(SOM) == before[3] - 8


def test_a_block_is_finished_in_slices_while_readers_and_proofs_see_the_one_before() -> None:
    world = World()
    world.fund(BANK, amount=10**9)
    numbers = [account_number(101, 1_000 + i) for i in range(640)]
    openings = [OpenAccount(BANK, number, 11, 3, 0, ((b"k" * 32, 1),), 1, b"c" * 32) for number in numbers]
    world.block([world.transaction(openings[i : i + 16]) for i in range(0, 640, 16)])
    legs = tuple((number, 5, b"%d" % number) for number in numbers)
    ledger, before = world.ledger, world.ledger.root
    tree_root, record = ledger.state_tree_root, world.reader.get(account_key(numbers[0]))
    ledger.begin(ledger.height + 1, world.time_ms + 1, world.version)
    assert ledger.apply(world.transaction([Pay(SOM, BANK, legs, once=True)])).applied
    simulated = world.transaction([paying(3, BANK, numbers[1])])
    slices = 0
    for _ in ledger.finishing():
        slices += 1
        for number in (numbers[0], numbers[-1], NOBODY):
            key = account_key(number)
            assert verify_proof(tree_root, key, ledger.value(key), ledger.prove(key))
        assert (ledger.root, ledger.state_tree_root, ledger.value(account_key(numbers[0]))) == (
            before,
            tree_root,
            record,
        )
        assert ledger.simulate(simulated, world.time_ms).applied
    assert slices > 640 // 64 * 4
    with pytest.raises(AssertionError):
        ledger.apply(simulated)
    world.store(ledger.finish())
    assert (ledger.root != before, world.balance(numbers[0])) == (True, 5)
    key = account_key(numbers[0])
    assert verify_proof(ledger.state_tree_root, key, world.reader.get(key), ledger.prove(key))
    assert world.reopened().root == ledger.root


def test_a_read_account_is_a_copy() -> None:
    world = funded()
    account = world.account(ALICE)
    account.set_holding(SOM, 5, 0)
    assert world.balance(ALICE) == 1_000_000


def test_an_unknown_number_or_asset_is_read_as_nothing() -> None:
    ledger = World().ledger
    assert (ledger.account(NOBODY), ledger.account(0), ledger.account(-5), ledger.account(2**70)) == (None,) * 4
    assert (ledger.asset(77), ledger.supply(77)) == (None, 0)
    assert list(ledger.assets()) == [1, 2, 3, 4, 5, 6]


def test_simulating_tells_the_receipt_and_changes_nothing() -> None:
    world = funded()
    rows = dict(world.reader.rows)
    good, bad = world.transaction([paying(5)]), world.transaction([paying(10**9)])
    assert world.ledger.simulate(good, world.time_ms) == Receipt(good.id, 0)
    assert world.ledger.simulate(bad, world.time_ms).code == Code.INSUFFICIENT
    assert (world.balance(ALICE), world.reader.rows) == (1_000_000, rows)
    assert world.block([good]).receipts[0].applied


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (paying(), None),
        (paying(payer=NOBODY), Code.NO_ACCOUNT),
        (paying(to=NOBODY), Code.NO_ACCOUNT),
        (paying(10**9), Code.INSUFFICIENT),
        (Pay(99, ALICE, ((BOB, 1, b""),)), Code.NO_ASSET),
        (paying(payer=CAROL), Code.PAYER_BLOCKED),
        (Pay(SOM, ALICE, ((NOBODY, 1, b""), (BOB, 1, b"")), partial=True), None),
        (paying(10**9, ISSUER, BANK), None),
    ],
)
def test_admission_keeps_out_what_cannot_succeed(operation: Pay, code: Code | None) -> None:
    world = World({CAROL: Override(CLOSED)})
    world.fund(ALICE, BANK)
    transaction = world.transaction([operation])
    if code is None:
        world.ledger.admit(transaction, world.time_ms)
        return
    with pytest.raises(Refused) as refused:
        world.ledger.admit(transaction, world.time_ms)
    assert refused.value.code == code


def test_admission_looks_at_what_may_be_paid_and_not_at_what_is_held() -> None:
    world = World({ALICE: Override(holdings=((SOM, 10, 4),)), ISSUER: Override(holdings=((SOM, -10, 0),))})
    world.ledger.admit(world.transaction([paying(6)]), world.time_ms)
    with pytest.raises(Refused) as refused:
        world.ledger.admit(world.transaction([paying(7)]), world.time_ms)
    assert refused.value.code is Code.INSUFFICIENT


def test_admission_checks_the_envelope() -> None:
    world = funded()
    seen = world.transaction([paying()])
    world.block([seen])
    late = world.transaction([paying()], expires_ms=world.time_ms + 10 * MINUTE_MS + 1)
    unsigned = world.transaction([paying()], (ALICE, BANK), [(0, keys_of(ALICE)[0])])
    for transaction, now_ms, code in (
        (seen, world.time_ms, Code.DUPLICATE),
        (late, world.time_ms, Code.EXPIRY_TOO_FAR),
        (unsigned, world.time_ms, Code.NOT_SIGNED),
        (unsigned, world.time_ms + MINUTE_MS, Code.EXPIRED),
    ):
        with pytest.raises(Refused) as refused:
            world.ledger.admit(transaction, now_ms)
        assert (refused.value.code, refused.value.op) == (code, None)


# --- blocks, roots, restart ---


def test_the_roots_chain_from_genesis() -> None:
    genesis = make_genesis()
    rows = Rows(genesis_changes(genesis))
    ledger = Ledger(rows, genesis)
    tree = Tree(genesis.tree_depth, rows.scan(TREE_LOW, TREE_HIGH))
    assert (ledger.height, ledger.timestamp_ms, ledger.state_tree_root) == (0, START_MS, tree.root)
    assert ledger.root == chain_root(bytes(32), 0, tree.root, outcomes_root(()))
    world = World()
    start, blocks = world.ledger.root, [world.block([world.transaction([paying(5, ISSUER, BANK)])]) for _ in range(3)]
    assert extend_root(start, 0, [(block.state_tree_root, block.outcomes_root) for block in blocks]) == blocks[-1].root
    assert [block.root_before for block in blocks] == [start, blocks[0].root, blocks[1].root]


def test_outcomes_commit_to_every_receipt_in_order() -> None:
    world = funded()
    transactions = [world.transaction([paying(amount)]) for amount in (1, 10**9, 2)]
    executed = world.block(transactions)
    leaves = [outcome_leaf(receipt.transaction_id, encode_receipt(receipt)) for receipt in executed.receipts]
    assert list(executed.outcomes) == leaves
    assert executed.outcomes_root == outcomes_root(leaves)
    for receipt, transaction in zip(executed.receipts, transactions, strict=True):
        assert receipt.transaction_id == transaction.id
        assert decode_receipt(transaction.id, encode_receipt(receipt)) == receipt


def test_an_empty_block_changes_the_root_but_not_the_state() -> None:
    world = funded()
    before = world.ledger.state_tree_root
    world.block([], 2 * MINUTE_MS)
    root = world.ledger.root
    executed = world.block([])
    assert (executed.state_tree_root == before, executed.root == root) == (False, False)  # the seen minute died
    after = executed.state_tree_root
    assert world.block([]).state_tree_root == after


def test_a_state_that_is_damaged_missing_or_foreign_does_not_start() -> None:
    world = funded()
    rows = dict(world.reader.rows)
    for damage in ({account_key(ALICE): rows[account_key(BOB)]}, {account_key(ALICE): None}, {b"M": None}):
        reader = Rows(rows)
        reader.store(damage)
        with pytest.raises(InvariantViolation):
            Ledger(reader, world.genesis)
    with pytest.raises(InvariantViolation):
        Ledger(Rows(rows), make_genesis(DEFAULT._replace(window_person_ms=MINUTE_MS)))


def test_a_block_out_of_turn_is_our_own_error() -> None:
    world = funded()
    for height, time_ms in ((world.ledger.height + 2, world.time_ms), (world.ledger.height + 1, world.time_ms - 1)):
        with pytest.raises(AssertionError):
            world.ledger.begin(height, time_ms, world.version)
    with pytest.raises(AssertionError):
        world.ledger.finish()


def scripted_chain() -> list[Executed]:
    """Return a fixed chain of blocks, more than a third of its transactions failing."""
    world = funded()
    blocks = []
    for height in range(12):
        draws = [(height * 7 + i * 13 + j) for i in range(9) for j in range(2)]
        operations = [operation_of((n % 4, n % 8, n * 5 % 8, n * 7919 % 400_000 + 1)) for n in draws]
        transactions = [world.transaction(operations[i : i + 2]) for i in range(0, len(operations), 2)]
        blocks.append(world.block(transactions, 20_000))
    return blocks


def test_a_fixed_chain_has_the_same_root_for_ever() -> None:
    blocks = scripted_chain()
    codes = [receipt.code for block in blocks for receipt in block.receipts]
    assert sum(code != 0 for code in codes) >= len(codes) * 0.3
    # Changes only with a new version of the ledger's bytes or rules: docs/ledger.md.
    assert blocks[-1].root.hex() == "686d32bc684d2cb7b1e43736a6706f2d6643eadaaa4fd90457907d2cd8f004ef"


@pytest.mark.children
@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_order_of_hashes_does_not_matter(seed: str) -> None:
    script = "from tests.test_ledger_execute import scripted_chain; print(scripted_chain()[-1].root.hex())"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == scripted_chain()[-1].root.hex()


def test_the_central_bank_needs_two_keys_like_the_issuer() -> None:
    world = World()
    opening = OpenAccount(CENTRAL, account_number(300, 0), 4, 0, 0, ((b"k" * 32, 1),), 1, b"c" * 32)
    one_key = world.transaction([opening], signers=[(0, keys_of(CENTRAL)[0])])
    assert world.block([one_key]).receipts[0].code == Code.NOT_SIGNED
    assert world.run(opening).applied
