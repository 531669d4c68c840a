"""What each operation of the ledger costs: to apply, to commit to, and to store, with few accounts and with many.

One rule: whole blocks of one operation go through the real ledger into a real store; the block around them, empty, has
a row of its own. Signatures are not checked here, and not made: devnet/bench/stages.py has them and the route before.

    python -m devnet.bench.ledger [--accounts 20000,1000000] [--rounds 7] [--json FILE]
"""

import argparse
import gc
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from consensus.crypto import PublicKey, SecretKey, Signature, verify
from consensus.encoding import digest
from devnet.bench.sign import BANKS, wallet
from devnet.bench.stages import CHECK_US, block_record
from devnet.generate import (
    CENTRAL_BANK,
    ENFORCER,
    ISSUER,
    KGST,
    REGISTRAR,
    TREASURY,
    bank_account,
    demo_accounts,
    key_of,
    make_genesis,
)
from devnet.money import WALLET_TIER
from node.batches import make_batch
from node.ledger.account import (
    EMPTY_HEAD,
    SOM,
    Account,
    Kind,
    Profile,
    account_number,
    decode_account,
    encode_account,
)
from node.ledger.account_ops import CloseAccount, OpenAccount, SetAccount, SetKeys
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import AssetStatus
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.execute import META_KEY, Executed, Ledger, genesis_changes, read_meta, with_meta
from node.ledger.genesis import Genesis
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition, row_id
from node.ledger.operations import Operation
from node.ledger.order import Arrest, Freeze, Release, Seize, Unfreeze
from node.ledger.param import SetParameter
from node.ledger.parameters import record_hash
from node.ledger.pay import Pay
from node.ledger.recovery import CancelRecovery, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.state import account_key, parameter_key
from node.ledger.transaction import OPERATIONS_MAX, Transaction, assemble, decode_transaction, make_body
from node.node import GARBAGE_THRESHOLDS
from node.storage.records import Roots
from node.storage.store import Store

TREE_DEPTH: Final = 5  # a million buckets: what a country has
BLOCK_MS: Final = 300
LIFETIME_MS: Final = 500_000
GENESIS_MS: Final = 1_800_000_000_000
OPENED_FROM: Final = 1_000_000_000  # serials of accounts that are opened, out of the way of the wallets
SPARE_ISSUERS: Final = 900  # of assets to be registered
SINGLE: Final = 1_000  # transactions of a block of payments
OFFICIAL: Final = 200  # transactions of a block of what authorities and banks do
REGISTRATIONS: Final = 20
LEGS: Final = 1_000
ACTIVE: Final = 10_000  # wallets
BULK: Final = 4  # transactions with so many legs
CHECKS: Final = 200  # signature checks beside each block, to tell the machine's speed
BATCH_TRANSACTIONS: Final = 250
WALLET_TYIYN: Final = 1_000_00
INSTITUTION_TYIYN: Final = 100_000_000_00
BASIS: Final = bytes(range(32))
FREE: Final = Condition(b"", (), 0, "", "", True)
ACCOUNTS_MIN: Final = BULK * LEGS * BANKS
ROUNDS_MAX: Final = SPARE_ISSUERS // REGISTRATIONS - 1
PAY_APPLY_US: Final = 25.0  # goals
LEG_APPLY_US: Final = 10.0

Actions = tuple[tuple[int, ...], Sequence[Operation]]  # accounts, operations of one transaction


class Cost(NamedTuple):
    """CPU microseconds of one unit: a transaction, a leg or an operation."""

    apply: float
    commit: float
    store: float

    @property
    def total(self) -> float:
        return self.apply + self.commit + self.store


@dataclass(slots=True)
class Row:
    """What one kind of block has cost, a cost a block, and what it is divided by."""

    unit: str
    costs: list[Cost] = field(default_factory=list)

    def median(self) -> Cost:
        return Cost(*(statistics.median(part) for part in zip(*self.costs, strict=True)))


class Bench:
    """One ledger over one store, and the blocks that it is given."""

    def __init__(self, genesis: Genesis, store: Store, accounts: int) -> None:
        """Take a store at height 0 with so many wallets."""
        self.accounts = accounts
        self.rows: dict[str, Row] = {}
        self._genesis = genesis
        self._store = store
        self._ledger = Ledger(store, genesis)
        self._salt = count()
        self._opened_so_far = count()
        self._spare = count()
        self._lot = Random(accounts)
        self._active = [accounts * each // ACTIVE for each in range(ACTIVE)]
        self._keys = {
            demo.number: [key_of(name).public for name in demo.key_names[: demo.threshold]] for demo in demo_accounts()
        }
        self._author = SecretKey(bytes(32))

    def run(self, rounds: int) -> None:
        """Measure every kind of block so many times. The first round warms up and is not counted.

        ACTIVE wallets that are spread over all, and some neighbours, pay and are paid, and so are in memory. The rows
        that end the table are of all wallets, and of a ledger that keeps none in memory from block to block.
        """
        for legs in (self._far_apart(ACTIVE // LEGS), self._neighbours(BULK)):
            self._measure("", "", self._bulk(legs))
        for number in range(rounds + 1):
            self._round(number)
            if number == 0:
                self.rows.clear()
        self._active = list(range(self.accounts))
        for _ in range(rounds):
            self._ledger = Ledger(self._store, self._genesis, accounts_in_memory=0)
            self._measure("pay, nobody in memory", "transaction", self._single_pays())
            self._ledger = Ledger(self._store, self._genesis, accounts_in_memory=0)
            self._measure("a leg, nobody in memory", "leg", self._bulk(self._far_apart(BULK)), BULK * LEGS)

    def _round(self, number: int) -> None:
        self._measure("empty block", "block", [])
        self._pays()
        self._holds()
        self._accounts_of_people()
        self._register(number)
        self._attestations(number)
        self._orders(number)
        self._parameter(number)

    # --- the operations ---

    def _pays(self) -> None:
        self._measure("pay", "transaction", self._single_pays())
        self._measure(f"pay, {LEGS:,} legs far apart", "leg", self._bulk(self._far_apart(BULK)), BULK * LEGS)
        self._measure(f"pay, {LEGS:,} legs neighbours", "leg", self._bulk(self._neighbours(BULK)), BULK * LEGS)
        issues = [((ISSUER,), [Pay(SOM, ISSUER, ((bank_account(1), 2, b""),))]) for _ in range(OFFICIAL)]
        self._measure("pay: issue", "transaction", issues)
        redeems = [((bank_account(1),), [Pay(SOM, bank_account(1), ((ISSUER, 1, b""),))]) for _ in range(OFFICIAL)]
        self._measure("pay: redeem", "transaction", redeems)

    def _single_pays(self) -> list[Actions]:
        wallets = self._drawn(2 * SINGLE)
        pairs = zip(wallets[::2], wallets[1::2], strict=True)
        return [((a,), [Pay(SOM, a, ((b, 1, b""),))]) for a, b in pairs]

    def _bulk(self, legs: Iterable[tuple[tuple[int, int, bytes], ...]]) -> list[Actions]:
        return [((TREASURY,), [Pay(SOM, TREASURY, each, partial=True)]) for each in legs]

    def _holds(self) -> None:
        until_ms = self._ledger.timestamp_ms + LIFETIME_MS
        wallets = self._drawn(2 * SINGLE)
        made = [
            ((a,), [MakeHold(SOM, a, ((b, 2, b""),), 0, until_ms, FREE)])
            for a, b in zip(wallets[::2], wallets[1::2], strict=True)
        ]
        holds = [row_id(each.id, 0, 0) for each in self._measure("hold", "transaction", made)]
        settlers = wallets[1::2]
        paid = [((by,), [SettleHold(by, hold, 1, by, b"", False)]) for by, hold in zip(settlers, holds, strict=True)]
        self._measure("settle: pay", "transaction", paid)
        void = [((by,), [SettleHold(by, hold, 0, 0, b"", True)]) for by, hold in zip(settlers, holds, strict=True)]
        self._measure("settle: void", "transaction", void)

    def _accounts_of_people(self) -> None:
        bank = bank_account(1)
        mine = [account_number(101, OPENED_FROM + next(self._opened_so_far)) for _ in range(OFFICIAL * OPERATIONS_MAX)]
        opened = [self._opened(bank, number) for number in mine]
        groups = [opened[low : low + OPERATIONS_MAX] for low in range(0, len(opened), OPERATIONS_MAX)]
        self._measure("account: open", "operation", [((bank,), each) for each in groups], len(opened))
        some = mine[:OFFICIAL]
        self._measure(
            "account: set", "transaction", [((bank,), [SetAccount(bank, each, 2, 0, BASIS)]) for each in some]
        )
        keys = ((digest(b"som-devnet-key-1", b"other"), 1),)
        self._measure("account: keys", "transaction", [((each,), [SetKeys(each, keys, 1)]) for each in some])
        self._keys |= {each: [PublicKey(keys[0][0])] for each in some}
        self._measure(
            "account: recover", "transaction", [((bank,), [RecoverAccount(bank, each, keys, 1)]) for each in some]
        )
        self._measure("account: cancel", "transaction", [((each,), [CancelRecovery(each)]) for each in some])
        self._measure("account: close", "transaction", [((bank,), [CloseAccount(bank, each)]) for each in some])

    def _register(self, number: int) -> None:
        registered = []
        for each in range(REGISTRATIONS):
            asset = 100 + number * REGISTRATIONS + each
            issuer = spare_issuer(next(self._spare))
            operation = RegisterAsset(
                REGISTRAR, asset, f"T{asset}", 2, issuer, 10**9, None, 1 << Kind.PERSON, 1 << Kind.PERSON, BASIS
            )
            registered.append(((REGISTRAR,), [operation]))
        self._measure("asset: register", "transaction", registered)
        statuses = (AssetStatus.SUSPENDED, AssetStatus.REGISTERED)
        changes = [
            ((REGISTRAR,), [SetAssetStatus(REGISTRAR, KGST, statuses[each % 2], BASIS)]) for each in range(OFFICIAL)
        ]
        self._measure("asset: status", "transaction", changes)

    def _attestations(self, number: int) -> None:
        at_ms = self._ledger.timestamp_ms
        said = [
            (
                (CENTRAL_BANK,),
                [Attest(CENTRAL_BANK, "crypto-reserve", f"{number}-{each}", 5, at_ms, 0, BASIS, b"")],
            )
            for each in range(OFFICIAL)
        ]
        names = [row_id(each.id, 0, 0) for each in self._measure("attest", "transaction", said)]
        revoked = [((CENTRAL_BANK,), [RevokeAttestation(CENTRAL_BANK, each)]) for each in names]
        self._measure("attest: revoke", "transaction", revoked)

    def _orders(self, number: int) -> None:
        targets = self._drawn(OFFICIAL)
        both = (ENFORCER, CENTRAL_BANK)
        names = [f"{number}-{each}" for each in range(OFFICIAL)]
        named = list(zip(names, targets, strict=True))
        acts: dict[str, list[Operation]] = {
            "freeze": [Freeze(ENFORCER, f"F{name}", to, BASIS, False) for name, to in named],
            "unfreeze": [Unfreeze(ENFORCER, f"F{name}", BASIS) for name in names],
            "arrest": [Arrest(ENFORCER, f"A{name}", to, BASIS, SOM, 5) for name, to in named],
            "seize": [Seize(ENFORCER, f"S{name}", to, BASIS, SOM, 5, TREASURY) for name, to in named],
            "release": [Release(ENFORCER, f"A{name}", BASIS) for name in names],
        }
        for act, operations in acts.items():
            self._measure(f"order: {act}", "transaction", [(both, [each]) for each in operations])

    def _parameter(self, number: int) -> None:
        key = "recovery_delay_ms"
        record = self._store.get(parameter_key(key))
        assert record is not None
        operation = SetParameter(CENTRAL_BANK, key, record_hash(record), 5_000 + number)
        self._measure("param: set (and its block)", "transaction", [((CENTRAL_BANK,), [operation])])

    def audit(self) -> None:
        """Scan the whole state. Raises InvariantViolation if anything does not add up."""
        self._ledger.audit()

    # --- who takes part ---

    def _drawn(self, how_many: int) -> list[int]:
        return [wallet(each).number for each in self._lot.sample(self._active, how_many)]

    def _far_apart(self, how_many: int) -> Iterator[tuple[tuple[int, int, bytes], ...]]:
        drawn = self._drawn(how_many * LEGS)
        for low in range(0, len(drawn), LEGS):
            yield tuple((number, 1, b"") for number in sorted(drawn[low : low + LEGS]))

    def _neighbours(self, how_many: int) -> Iterator[tuple[tuple[int, int, bytes], ...]]:
        for each in range(how_many):
            indices = range(each * LEGS * BANKS, (each + 1) * LEGS * BANKS, BANKS)  # customers of one bank
            yield tuple((wallet(index).number, 1, b"") for index in indices)

    def _opened(self, bank: int, number: int) -> OpenAccount:
        return OpenAccount(bank, number, Kind.PERSON, WALLET_TIER, 0, ((public_of(number), 1),), 1, BASIS)

    # --- blocks ---

    def _measure(self, name: str, unit: str, acts: Iterable[Actions], units: int = 0) -> list[Transaction]:
        """Execute and store a block, and add what a unit of it cost. Return its transactions."""
        transactions = [self._transaction(*each) for each in acts]
        batches = [
            make_batch(self._genesis.hash, self._author, low, self._ledger.height, raws)
            for low in range(0, len(transactions), BATCH_TRANSACTIONS)
            if (raws := [each.raw for each in transactions[low : low + BATCH_TRANSACTIONS]])
        ]
        check_us = self._check_us()
        clock = time.thread_time
        began = clock()
        self._ledger.begin(self._ledger.height + 1, self._ledger.timestamp_ms + BLOCK_MS, self._ledger.version)
        for each in transactions:
            self._ledger.apply(each)
        applied = clock()
        executed: Executed = self._ledger.finish()
        committed = clock()
        self._store.commit(block_record(self._store, executed, transactions, batches))
        stored = clock()
        refused = [receipt for receipt in executed.receipts if not receipt.applied or receipt.skipped]
        assert not refused, f"{name}: {refused[0]}"
        scale = 1e6 / (units or len(transactions) or 1) * CHECK_US / check_us
        cost = Cost((applied - began) * scale, (committed - applied) * scale, (stored - committed) * scale)
        self.rows.setdefault(name, Row(unit)).costs.append(cost)
        return transactions

    def _transaction(self, accounts: tuple[int, ...], operations: Sequence[Operation]) -> Transaction:
        """Return a transaction under the right keys; the signatures themselves are zeros, which nobody checks here."""
        expires_ms = self._ledger.timestamp_ms + LIFETIME_MS
        body = make_body(self._genesis.network, expires_ms, next(self._salt), accounts, operations)
        signed = [
            (index, PublicKey(key), Signature(bytes(64)))
            for index, number in enumerate(accounts)
            for key in self._keys.get(number) or [PublicKey(public_of(number))]
        ]
        return decode_transaction(assemble(body, signed), self._genesis.hash)

    def _check_us(self) -> float:
        message = self._lot.randbytes(32)
        signature, public = self._author.sign(message), self._author.public
        began = time.thread_time()
        for _ in range(CHECKS):
            verify(public, message, signature)
        return (time.thread_time() - began) / CHECKS * 1e6


def public_of(number: int) -> bytes:
    """Return what stands for a wallet's public key; nobody has a secret one."""
    return digest(b"som-devnet-key-1", number.to_bytes(8, "big"))


def spare_issuer(index: int) -> int:
    """Return an issuer's account that has no asset yet."""
    return account_number(900, 1 + index)


def make_state(genesis: Genesis, accounts: int) -> dict[bytes, bytes]:
    """Return the rows of a state with so many wallets that have money, and issuers to spare."""
    rows = genesis_changes(genesis)
    del rows[META_KEY]
    rich = [TREASURY, *(bank_account(bank) for bank in range(1, BANKS + 1))]
    for number in rich:
        _give(rows, number, INSTITUTION_TYIYN)
    _give(rows, ISSUER, -(INSTITUTION_TYIYN * len(rich) + WALLET_TYIYN * accounts))
    for each in map(wallet, range(accounts)):
        keys = ((public_of(each.number), 1),)
        profile = Profile(Kind.PERSON, WALLET_TIER, 0, bank_account(each.bank), 0, keys, 1, keys[0][0])
        account = Account(each.number, profile, 0, 0, 0, EMPTY_HEAD, ((SOM, WALLET_TYIYN, 0),))
        rows[account_key(each.number)] = encode_account(account)
    for index in range(SPARE_ISSUERS):
        number = spare_issuer(index)
        profile = Profile(Kind.ISSUER, 0, 0, 0, 0, ((public_of(number), 1),), 1, BASIS)
        rows[account_key(number)] = encode_account(Account(number, profile, 0, 0, 0, EMPTY_HEAD, ()))
    return with_meta(genesis, rows)


def _give(rows: dict[bytes, bytes], number: int, amount: int) -> None:
    account = decode_account(number, rows[account_key(number)])
    account.set_holding(SOM, amount, 0)
    rows[account_key(number)] = encode_account(account)


def measure(directory: Path, accounts: int, rounds: int) -> dict[str, Row]:
    """Measure in a store of its own, made anew under ``directory``."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    genesis = replace(make_genesis(GENESIS_MS), tree_depth=TREE_DEPTH)
    state = make_state(genesis, accounts)
    meta = read_meta(state[META_KEY], genesis)
    path = directory / "store"
    roots = Roots(meta.state_tree_root, meta.outcomes_root, meta.root)
    Store.create(path, genesis.hash, state, timestamp_ms=genesis.time_ms, roots=roots)
    state.clear()
    with closing(Store.open(path, genesis.hash)) as store:
        bench = Bench(genesis, store, accounts)
        gc.collect()
        gc.freeze()
        bench.run(rounds)
        bench.audit()
    gc.unfreeze()
    shutil.rmtree(directory)
    return bench.rows


def table(found: dict[int, dict[str, Row]]) -> Table:
    """Return the costs by operation, one group of columns for each number of accounts, and how the last grows."""
    shown = Table("operation", "unit", box=None)
    for accounts in found:
        for part in ("apply", "commit", "store", f"all, {accounts:,}"):
            shown.add_column(part, justify="right")
    few, many = min(found), max(found)
    if few != many:
        shown.add_column("growth", justify="right")
    for name, row in found[few].items():
        cells = [f"{part:.1f}" for each in found.values() for part in (*each[name].median(), each[name].median().total)]
        growth = [f"{found[many][name].median().total / row.median().total:.2f}"] if few != many else []
        shown.add_row(name, row.unit, *cells, *growth)
    return shown


def goals(found: dict[int, dict[str, Row]]) -> list[str]:
    """Return how the goals stand, with the most accounts."""
    rows = found[max(found)]
    named = [("pay", PAY_APPLY_US), (f"pay, {LEGS:,} legs far apart", LEG_APPLY_US)]
    return [
        f"{name}: applied in {rows[name].median().apply:.1f} us a {rows[name].unit}, goal {goal:.0f}: "
        + ("met" if rows[name].median().apply <= goal else "MISSED")
        for name, goal in named
    ]


def as_json(found: dict[int, dict[str, Row]]) -> str:
    """Return all medians."""
    return json.dumps(
        {
            str(accounts): {name: {"unit": row.unit, **row.median()._asdict()} for name, row in rows.items()}
            for accounts, rows in found.items()
        },
        indent=2,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m devnet.bench.ledger", description="What an operation costs.")
    parser.add_argument("--accounts", default="20000,1000000", help="numbers of wallets, with commas")
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each kind; medians are told")
    parser.add_argument("--directory", type=Path, default=Path(".devnet/bench-ledger"), help="made anew, and removed")
    parser.add_argument("--json", type=Path, help="write the medians there")
    given = parser.parse_args(arguments)
    sizes = sorted({int(each) for each in given.accounts.split(",")})
    gc.set_threshold(*GARBAGE_THRESHOLDS)  # as in a node
    if sizes[0] < ACCOUNTS_MIN or not 1 <= given.rounds <= ROUNDS_MAX:
        parser.error(f"at least {ACCOUNTS_MIN:,} accounts, and 1 to {ROUNDS_MAX} rounds")
    found = {accounts: measure(given.directory, accounts, given.rounds) for accounts in sizes}
    console = Console(highlight=False, width=160 if len(sizes) > 1 else 100)
    console.print(
        f"CPU microseconds a unit, as if a signature check took {CHECK_US:.0f}: medians of {given.rounds} blocks.\n"
    )
    console.print(table(found))
    console.print("\n" + "\n".join(goals(found)))
    if given.json:
        given.json.write_text(as_json(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
