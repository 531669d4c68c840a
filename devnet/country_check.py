"""What must be true of a country's stores once all pensions are paid: every wallet of every validator is read.

One rule: nothing is taken from the validators' words. They are stopped; each store is opened, every account decoded,
and the state tree of the first is built anew.
"""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from devnet.bench.sign import BANKS
from devnet.country_chain import pension, serials
from devnet.generate import ISSUER, TREASURY
from node.ledger.account import SOM, Account, format_account, own_account, participant_of, serial_of
from node.ledger.errors import InvariantViolation
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis
from node.ledger.state import ACCOUNT_PREFIX
from node.storage.errors import StorageError
from node.storage.store import Store

FAULTS_MAX: Final = 5  # told of each validator


@dataclass(frozen=True, slots=True)
class Expected:
    """What was done: ``accounts`` wallets were to be paid, ``closed`` ones excepted; ``opened`` came with the run."""

    accounts: int
    opened: int
    closed: frozenset[int]  # account numbers
    supply: int

    def balance(self, bank: int, serial: int, number: int) -> int | None:
        """Return what a wallet has after the run, or None if there is no such wallet."""
        if serial in serials(bank, self.accounts):
            return 0 if number in self.closed else pension(serial)
        return 0 if serial in serials(bank, self.accounts + self.opened) else None


@dataclass(frozen=True, slots=True)
class Examined:
    """One validator's store."""

    name: str
    faults: tuple[str, ...]
    accounts_hash: str  # over all accounts, in order: equal if and only if the accounts are
    roots: Mapping[int, bytes]
    height: int
    entries: int  # statement entries of wallets: how many pensions were booked


def check(
    homes: Mapping[str, Path], genesis: Genesis, expected: Expected, workers: int
) -> tuple[list[Examined], list[str]]:
    """Return what each store holds, and what is wrong."""
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        jobs = [
            pool.submit(examine, name, home, genesis, expected, rebuild=at == 0)
            for at, (name, home) in enumerate(homes.items())
        ]
        found = [job.result() for job in jobs]
    faults = [f"{each.name}: {fault}" for each in found for fault in each.faults]
    if len({each.accounts_hash for each in found}) > 1:
        faults.append("the accounts of two validators differ")
    common = min((each.height for each in found), default=0)
    faults += [
        f"height {height}: the validators have different roots"
        for height in range(common + 1)
        if len({each.roots.get(height) for each in found}) > 1
    ]
    return found, faults


def examine(name: str, home: Path, genesis: Genesis, expected: Expected, rebuild: bool) -> Examined:
    """Read one store whole. Runs in a worker."""
    nothing = Examined(name, (), "", {}, 0, 0)
    try:
        store = Store.open(home / "data" / "store", genesis.hash)
    except StorageError as error:
        return Examined(name, (str(error),), *_rest(nothing))
    try:
        if rebuild:
            Ledger(store, genesis)  # raises unless the stored state has the root that the chain says
        return _read(name, store, expected)
    except (StorageError, InvariantViolation) as error:
        return Examined(name, (str(error),), *_rest(nothing))
    finally:
        store.close()


def _rest(nothing: Examined) -> tuple[str, Mapping[int, bytes], int, int]:
    return nothing.accounts_hash, nothing.roots, nothing.height, nothing.entries


def _read(name: str, store: Store, expected: Expected) -> Examined:
    faults: list[str] = []
    whole = sha256()
    total = wallets = entries = paid = 0
    others: dict[int, Account] = {}
    for key, record in store.scan(ACCOUNT_PREFIX, bytes((ACCOUNT_PREFIX[0] + 1,))):
        whole.update(b"%d:%b%b" % (len(record), key, record))
        account = own_account(int.from_bytes(key[1:], "big"), record)
        number, balance = account.number, account.balance(SOM)
        total += balance
        bank = participant_of(number) - 100
        due = expected.balance(bank, serial_of(number), number) if 1 <= bank <= BANKS else None
        if due is None:
            others[number] = account
            continue
        wallets += 1
        entries += account.length
        paid += balance
        if (balance != due or account.length != (due > 0)) and len(faults) < FAULTS_MAX:
            faults.append(f"{format_account(number)} has {balance} tyiyn in {account.length} payments, {due} are due")
    treasury = others[TREASURY].balance(SOM) if TREASURY in others else 0
    issued = -others[ISSUER].balance(SOM) if ISSUER in others else 0
    if wallets != expected.accounts + expected.opened:
        faults.append(f"{wallets} wallets, {expected.accounts + expected.opened} were opened")
    if total != 0 or issued != expected.supply:
        faults.append(f"all balances sum to {total}, the issuer's is {-issued}, {expected.supply} were issued")
    if treasury + paid != expected.supply:
        faults.append(f"the Treasury has {treasury}, the wallets {paid}, {expected.supply} were issued")
    height = store.tip.height
    roots = {at: row.root for at in range(height + 1) if (row := store.roots(at)) is not None}
    return Examined(name, tuple(faults), whole.hexdigest(), roots, height, entries)
