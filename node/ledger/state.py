"""The working set of execution: accounts, assets and parameters of the block that is open, over the stored state.

One rule: nothing is written to an account before `edit`. What `edit` saved lets a failed transaction be undone
exactly, lets readers see the last finished block while another one is open, and gives the invariants their "before".

State keys. Lower case: in the state tree. Upper case: beside it, indexes of what the tree has among them.
    a account u64          the account's record          w minute u64   ids seen: count, chain       (recent.py)
    s asset u16            the asset's record            o minute u64   once refs: count, chain      (recent.py)
    p name                 a parameter; the roster       I R Q          their rows                   (recent.py)
    c height u64           a root (checkpoints.py)       M              what the ledger restarts from (execute.py)
    h hold                 a hold (holds.py)             E P B Y        holds by end, payer, settler, payee (holds.py)
    k asset u16, n u32     a change of status (asset.py) e t F          attestations (attestations.py)
    r authority, number    an order (orders.py)          G              orders by target (orders.py)
    y account u64          a recovery (recovery.py)
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from consensus.encoding import encode
from node.ledger.account import ACCOUNT_MAX, CLOSED, Account, own_account
from node.ledger.assets import Asset, OnLedger, decode_asset, encode_asset
from node.ledger.errors import Code, Refused
from node.ledger.parameters import Parameters, decode_parameters
from node.ledger.recent import Changes, Reader
from node.ledger.records import Records
from node.ledger.validators import Roster, decode_roster, encode_roster

ACCOUNT_PREFIX: Final = b"a"
ASSET_PREFIX: Final = b"s"
PARAMETER_PREFIX: Final = b"p"
ROSTER: Final = "validators"  # the parameter that is a roster and has its own form (validators.py)
TREE_LOW: Final = b"a"  # the rows of the state tree lie between these
TREE_HIGH: Final = b"{"

NO_END_MS: Final = 2**64 - 1  # later than any time

ACCOUNTS_IN_MEMORY: Final = 250_000  # decoded, 0.8 kB each; others are read from the store
EVICT_SHARE: Final = 64  # of the bound, gone at once: 4,000 accounts take some 3 ms

# (account, profile, day, out_today, length, head, holdings). A tuple of known length is another one whenever mypyc
# hands it over, and `undo` asks which one it is.
Saved = tuple[Any, ...]
EntryRow = tuple[int, int, bytes]  # account, entry number, encoded entry


def account_key(number: int) -> bytes:
    """Return the state key of an account."""
    return ACCOUNT_PREFIX + number.to_bytes(8, "big")


def asset_key(asset: int) -> bytes:
    """Return the state key of an asset."""
    return ASSET_PREFIX + asset.to_bytes(2, "big")


def parameter_key(name: str) -> bytes:
    """Return the state key of a parameter."""
    return PARAMETER_PREFIX + name.encode()


class StateReader(Reader, Protocol):
    """The state of the last stored block. What it gives is what was written, or it raises."""

    def get_ascending(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        """Yield the value of each key, or None; the keys ascend strictly. Of neighbours cheaper than ``get``."""


class State:
    """Accounts by number, with undo per transaction. The reader shows the last stored block at every ``begin``.

    ``parameters``, ``finished_roster`` and ``finished_assets`` are those of the last finished block,
    ``next_parameters``, ``roster`` and ``assets`` what the open block makes of them: values that are replaced and never
    changed, so that undo is to put the old ones back.
    """

    def __init__(self, reader: StateReader, accounts_in_memory: int = ACCOUNTS_IN_MEMORY) -> None:
        """Read assets and parameters whole. Raises DecodeError if a record is damaged."""
        self._reader = reader
        self._bound = accounts_in_memory
        self._accounts: dict[int, Account] = {}
        self._saved: dict[int, Saved | None] = {}  # since the transaction began; None = did not exist
        self._before: dict[int, Saved | None] = {}  # since the block began
        self._loaded: list[int] = []  # since the transaction began
        self._mark = 0
        self.holds_made = 0  # by the open block
        self.first_end_ms = NO_END_MS  # none of these ends before it
        self._holds_mark = 0
        self.entries: list[EntryRow] = []
        self.records = Records(reader)
        self.assets: Mapping[int, Asset] = {
            int.from_bytes(key[1:], "big"): decode_asset(row) for key, row in _scan(reader, ASSET_PREFIX)
        }
        self.finished_assets: Mapping[int, Asset] = self.assets
        self.backed_by = _backed_by(self.assets)  # reserve account -> the asset that it backs
        rows = {key[1:].decode(): row for key, row in _scan(reader, PARAMETER_PREFIX)}
        self.finished_roster = self.roster = decode_roster(rows.pop(ROSTER, b""))
        self.parameters = self.next_parameters = decode_parameters(rows)
        self._drafts: tuple[Parameters, Roster, Mapping[int, Asset]] = (
            self.parameters,
            self.roster,
            self.assets,
        )  # when the transaction began

    def warm(self) -> None:
        """Read accounts into memory, the first by number, as many as stay: who pays first waits for no look-up."""
        room = self._bound - self._bound // EVICT_SHARE
        for key, record in islice(_scan(self._reader, ACCOUNT_PREFIX), room):
            number = int.from_bytes(key[1:], "big")
            self._accounts[number] = own_account(number, record)

    # --- reading ---

    def account(self, number: int) -> Account | None:
        """Return the account as the open transaction sees it. Do not change it without ``edit``."""
        account = self._accounts.get(number)
        return account if account is not None else self._load(number)

    def require_account(self, number: int) -> Account:
        """Return the account. Raises Refused(NO_ACCOUNT)."""
        account = self.account(number)
        if account is None:
            raise Refused(Code.NO_ACCOUNT)
        return account

    def require_active(self, number: int) -> Account:
        """Return the account that acts. A closed one has no role any more: Refused(ROLE)."""
        account = self.require_account(number)
        if account.flags & CLOSED:
            raise Refused(Code.ROLE)
        return account

    def require_open(self, number: int) -> Account:
        """Return the account that is acted on. A closed one is gone: Refused(NO_ACCOUNT)."""
        account = self.require_account(number)
        if account.flags & CLOSED:
            raise Refused(Code.NO_ACCOUNT)
        return account

    def peek(self, number: int) -> Account | None:
        """Return the account for reading, without taking up memory if it was not there."""
        account = self._accounts.get(number)
        return account if account is not None else self._read(number)

    def bring(self, numbers: Sequence[int]) -> None:
        """Read accounts that are about to be touched one by one; the numbers ascend strictly."""
        accounts = self._accounts
        missing = [number for number in numbers if number not in accounts]
        records = self._reader.get_ascending([account_key(number) for number in missing])
        for number, record in zip(missing, records, strict=True):
            if record is not None:
                accounts[number] = own_account(number, record)
                self._loaded.append(number)

    def supply(self, asset: int) -> int:
        """Return what is in circulation, in minor units."""
        issuer = self.account(self.assets[asset].issuer)
        return 0 if issuer is None else -issuer.balance(asset)

    def account_before(self, number: int) -> Account | None:
        """Return a copy of the account as of the last finished block."""
        if number in self._before:
            saved = self._before[number]
            return None if saved is None else Account(number, *saved[1:])
        account = self._accounts.get(number)
        return self._read(number) if account is None else account.copy()

    # --- writing ---

    def edit(self, account: Account) -> None:
        """Save the account as it is, before its first change in this transaction."""
        number = account.number
        if number in self._saved:
            return
        saved: Saved = (
            account,
            account.profile,
            account.day,
            account.out_today,
            account.length,
            account.head,
            account.holdings,
        )
        self._saved[number] = saved
        self._before.setdefault(number, saved)

    def create(self, account: Account) -> None:
        """Add an account that does not exist."""
        assert self.account(account.number) is None
        self._saved[account.number] = None
        self._before.setdefault(account.number, None)
        self._accounts[account.number] = account

    def set_asset(self, number: int, asset: Asset) -> None:
        """Add an asset, or replace its record."""
        self.assets = {**self.assets, number: asset}
        self.backed_by = _backed_by(self.assets)

    # --- transactions and blocks ---

    def begin_block(self) -> None:
        """Start a block: the reader now has all of the last one. Over the bound, who was touched longest ago is let go.

        In between there may be more: those that one block touches, which its bytes bound.
        """
        if len(self._accounts) > self._bound:
            keep = self._bound - self._bound // EVICT_SHARE
            for number in list(islice(self._accounts, len(self._accounts) - keep)):
                del self._accounts[number]
        self.holds_made = 0
        self.first_end_ms = NO_END_MS
        self.records.begin_block()

    def begin_transaction(self) -> None:
        """Start a transaction."""
        self._saved = {}
        self._loaded = []
        self._mark = len(self.entries)
        self._holds_mark = self.holds_made
        self._drafts = (self.next_parameters, self.roster, self.assets)
        self.records.begin_transaction()

    def undo(self) -> None:
        """Put everything back as it was when the transaction began."""
        for number, saved in self._saved.items():
            if saved is None:
                del self._accounts[number]
                if self._before[number] is None:
                    del self._before[number]
                continue
            account, *fields = saved
            (
                account.profile,
                account.day,
                account.out_today,
                account.length,
                account.head,
                account.holdings,
            ) = fields
            if self._before[number] is saved:
                del self._before[number]
        self._saved = {}
        del self.entries[self._mark :]
        self.holds_made = self._holds_mark
        self.next_parameters, self.roster, assets = self._drafts
        if assets is not self.assets:
            self.assets, self.backed_by = assets, _backed_by(assets)
        self.records.undo()

    def forget_loaded(self) -> None:
        """After ``undo``: let go of the accounts that this transaction brought into memory."""
        for number in self._loaded:
            del self._accounts[number]
        self._loaded = []

    def touched(self) -> list[tuple[Saved | None, Account]]:
        """Return (before, after) of each account that the block touched, in the order of the first touch."""
        return [(saved, self._accounts[number]) for number, saved in self._before.items()]

    def seal(self) -> Changes:
        """End the writing of the block: return the rows other than accounts that it changed (``Records.seal``)."""
        rows = self.records.seal()
        for name, before, after in zip(Parameters._fields, self.parameters, self.next_parameters, strict=True):
            if before != after:
                rows[parameter_key(name)] = encode(after)
        if self.roster != self.finished_roster:
            rows[parameter_key(ROSTER)] = encode_roster(self.roster)
        if self.assets is not self.finished_assets:
            for number, asset in self.assets.items():
                if self.finished_assets.get(number) != asset:
                    rows[asset_key(number)] = encode_asset(asset)
        return rows

    def changed_version(self) -> int | None:
        """Return the protocol version that the block demands of the next epoch, None if it leaves it as it was."""
        version = self.next_parameters.protocol_version
        return None if version == self.parameters.protocol_version else version

    def close_block(self) -> None:
        """From here on readers see the block as finished. What it changed stays in memory until the next begins."""
        if len(self._accounts) > self._bound - self._bound // EVICT_SHARE:
            for number in self._before:
                self._accounts[number] = self._accounts.pop(number)
        self._before = {}
        self.entries = []
        self.records.close_block()
        self.parameters = self.next_parameters
        self.finished_roster = self.roster
        self.finished_assets = self.assets

    def _load(self, number: int) -> Account | None:
        account = self._read(number)
        if account is not None:
            self._accounts[number] = account
            self._loaded.append(number)
        return account

    def _read(self, number: int) -> Account | None:
        if not 0 < number <= ACCOUNT_MAX:
            return None
        record = self._reader.get(account_key(number))
        return None if record is None else own_account(number, record)


def _backed_by(assets: Mapping[int, Asset]) -> dict[int, int]:
    return {asset.backing.reserve: number for number, asset in assets.items() if isinstance(asset.backing, OnLedger)}


def _scan(reader: Reader, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    return reader.scan(prefix, bytes((prefix[0] + 1,)))
