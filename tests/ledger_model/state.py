"""The model's state: tables of plain values under the letters of docs/ledger.md section 5, and the rows that they are.

Nothing here or in the rules is shared with the ledger but the encoding. Each change is noted, so that a failed
transaction is undone by writing the old values back.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from consensus.encoding import decode, encode

SOM = 1
CENTRAL_BANK, ISSUER, TREASURY, BANK, DISTRIBUTOR, RESERVE = 1, 2, 3, 4, 5, 6
REGISTRAR, AUDITOR, ENFORCER, MERCHANT, PERSON, DEVICE = 7, 8, 9, 10, 11, 12
LIMITED = (MERCHANT, PERSON, DEVICE)
OUT, IN, CLOSED, RECOVERING = 1, 2, 4, 8
MINUTE = 60_000
DAY = 86_400_000
NOTHING = bytes(32)
SWEPT_MAX = 1_000
SWEPT_FOR_EACH_MADE = 2
CHECKPOINT_EVERY, CHECKPOINTS_FOR = 16, 4_096


class Fails(Exception):
    """Why an operation fails: (code, leg, skipped legs, id that paid first)."""

    def __init__(self, code: int, leg: int | None = None, skipped: tuple[Any, ...] = (), first: bytes | None = None):
        super().__init__(code, leg)
        self.code, self.leg, self.skipped, self.first = code, leg, skipped, first


class Account(NamedTuple):
    """All of an account but its money."""

    kind: int
    tier: int
    flags: int
    bank: int
    category: int
    keys: tuple[tuple[bytes, int], ...]
    threshold: int
    commitment: bytes
    day: int = 0
    out: int = 0
    entries: int = 0
    head: bytes = NOTHING

    @property
    def limited(self) -> bool:
        return self.kind in LIMITED


class Asset(NamedTuple):
    """Backing: (0,), (1, reserve account, asset) or (2, schema, basis points, max age)."""

    code: str
    scale: int
    issuer: int
    status: int
    maximum: int
    backing: tuple[Any, ...]
    mint_to: int
    redeem_from: int
    basis: bytes


class Hold(NamedTuple):
    """Condition: (hash, categories, not before, schema, subject, revocable), or None for an arrest."""

    asset: int
    payer: int
    by: int
    to: int
    left: int
    ref: bytes
    until: int
    height: int
    condition: tuple[Any, ...] | None
    order: str


class Attestation(NamedTuple):
    """One word of an attester."""

    schema: str
    subject: str
    value: int
    as_of: int
    until: int
    evidence: bytes
    by: int
    time: int
    height: int
    transaction: bytes
    revoked: int
    revoked_by: int


class Order(NamedTuple):
    """One act of an authority, under (authority, number)."""

    act: int
    target: int
    basis: bytes
    asset: int
    amount: int
    to: int
    incoming: bool
    hold: bytes
    time: int
    height: int
    transaction: bytes
    lifted: int
    lifting: bytes


class Recovery(NamedTuple):
    """Open if nothing was cancelled."""

    keys: tuple[tuple[bytes, int], ...]
    threshold: int
    ready: int
    cancelled: int


Key = Any


def u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def plain(data: bytes) -> Any:
    """Return what bytes say: tuples, numbers, texts and bytes."""
    return decode(data)


def h(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


class State:
    """Tables by letter, `m` being the money: (account, asset) -> (balance, held)."""

    def __init__(self, rows: Mapping[bytes, bytes], genesis_hash: bytes, devnet: bool) -> None:
        self.genesis_hash = genesis_hash
        self.devnet = devnet
        self.tables: dict[str, dict[Key, Any]] = {letter: {} for letter in "msahketrypcwoIRQ"}
        self.undo: list[tuple[str, Key, Any]] = []
        self.dirty: dict[tuple[str, Key], None] = {}
        self.shown: dict[tuple[str, Key], dict[bytes, bytes]] = {}
        self.made = 0  # holds, in this block
        self.entries: list[tuple[int, int, bytes]] = []  # account, number, bytes; of this block
        self.height = 0
        self.time = 0
        self.id = b""  # of the transaction
        self.operation = 0
        self.listed: tuple[int, ...] = ()
        self.first: bytes | None = None  # what paid the first duplicate ref among the transaction's skipped legs
        self.spent: dict[int, int] = {}  # som that limited accounts paid in this transaction
        self._read(rows)
        self.parameters: dict[str, Any] = dict(self.tables["p"])  # as the block before left them
        self.version: int = self.parameters["protocol_version"]  # of the block
        self.root = b""  # of the block before, as the ledger says
        self.changes()

    def _read(self, rows: Mapping[bytes, bytes]) -> None:
        for row, value in rows.items():
            letter, rest = chr(row[0]), row[1:]
            if letter == "M":
                continue
            fields = plain(value)
            match letter:
                case "a":
                    profile, day, out, entries, head, money = fields
                    number = int.from_bytes(rest, "big")
                    self.put("a", number, Account(*(*profile, day, out, entries, head)))
                    for asset, balance, held in money:
                        self.put("m", (number, asset), (balance, held))
                case "s":
                    self.put("s", int.from_bytes(rest, "big"), Asset(*fields))
                case "p":
                    self.put("p", rest.decode(), fields)
                case _:
                    raise AssertionError(row)

    # --- tables ---

    def get(self, letter: str, key: Key) -> Any:
        return self.tables[letter].get(key)

    def put(self, letter: str, key: Key, value: Any) -> None:
        """Set, or remove with None."""
        table = self.tables[letter]
        self.undo.append((letter, key, table.get(key)))
        self.dirty["a" if letter == "m" else letter, key[0] if letter == "m" else key] = None
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def take_back(self) -> None:
        """Undo all since `undo` was emptied."""
        for letter, key, old in reversed(self.undo):
            if old is None:
                self.tables[letter].pop(key, None)
            else:
                self.tables[letter][key] = old
        self.undo.clear()

    # --- words that the rules use ---

    def account(self, number: int) -> Account:
        """Return an account that is not closed. NO_ACCOUNT."""
        account: Account | None = self.get("a", number)
        if account is None or account.flags & CLOSED:
            raise Fails(201)
        return account

    def actor(self, number: int) -> Account:
        """Return an account that acts. ROLE if it is closed."""
        account: Account = self.tables["a"][number]
        if account.flags & CLOSED:
            raise Fails(204)
        return account

    def change(self, number: int, **fields: Any) -> None:
        self.put("a", number, self.tables["a"][number]._replace(**fields))

    def balance(self, number: int, asset: int) -> int:
        return int(self.tables["m"].get((number, asset), (0, 0))[0])

    def available(self, number: int, asset: int) -> int:
        balance, held = self.tables["m"].get((number, asset), (0, 0))
        return int(balance - held)

    def add(self, number: int, asset: int, balance: int = 0, held: int = 0) -> None:
        old = self.tables["m"].get((number, asset), (0, 0))
        new = (old[0] + balance, old[1] + held)
        self.put("m", (number, asset), new if new != (0, 0) else None)

    def supply(self, asset: int) -> int:
        return -self.balance(self.tables["s"][asset].issuer, asset)

    def tier(self, account: Account) -> tuple[int, int, int]:
        """Return the caps: a transaction, a day, balance."""
        return next(tuple(row[1:]) for row in self.parameters["tiers"] if row[0] == account.tier)

    def window(self, account: Account) -> int:
        return int(self.parameters[f"window_{'person' if account.kind in (MERCHANT, PERSON) else 'institution'}_ms"])

    @property
    def day(self) -> int:
        return int((self.time + self.parameters["day_offset_ms"]) // DAY)

    def may_open(self, opener: Account, kind: int) -> bool:
        return any(row[0] == opener.kind and row[1] >> kind & 1 for row in self.parameters["openers"])

    def attesters(self, schema: str) -> tuple[int, ...] | None:
        return next((tuple(row[1]) for row in self.parameters["attesters"] if row[0] == schema), None)

    def valid(self, schema: str, subject: str) -> Attestation | None:
        """Return the current attestation, if it is valid at block time."""
        word: Attestation | None = self.get("e", self.get("t", (schema, subject)))
        return word if word and (word.until == 0 or self.time < word.until) else None

    def holds_of(self, payer: int, asset: int) -> list[tuple[bytes, Hold]]:
        """Return them newest block first, within one descending by id."""
        found = [(key, hold) for key, hold in self.tables["h"].items() if (hold.payer, hold.asset) == (payer, asset)]
        return sorted(found, key=lambda pair: (pair[1].height, pair[0]), reverse=True)

    def reduce(self, key: bytes, amount: int) -> None:
        """Let go of a part of a hold, or of all: then it is removed."""
        hold: Hold = self.tables["h"][key]
        self.put("h", key, hold._replace(left=hold.left - amount) if amount < hold.left else None)
        self.add(hold.payer, hold.asset, held=-amount)

    def row_id(self, leg: int) -> bytes:
        return h(b"som-row-1", self.id, u(self.operation, 2), u(leg, 4))[:16]

    def standing(self, number: int) -> list[Order]:
        """Return the freezes and arrests of an account that stand."""
        return [
            each for each in self.tables["r"].values() if each.target == number and each.act != 5 and not each.lifted
        ]

    def entry(
        self, number: int, leg: int | None, asset: int, other: int | None, amount: int, ref: bytes | None
    ) -> None:
        """Write a line into an account's statement."""
        account: Account = self.tables["a"][number]
        balance = self.balance(number, asset)
        line = encode((self.time, self.height, self.id, self.operation, leg, asset, other, amount, balance, ref))
        self.entries.append((number, account.entries, line))
        self.change(number, entries=account.entries + 1, head=h(b"som-entry-1", account.head, line))

    # --- rows ---

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the rows that changed since the last call, None for those that are gone."""
        changed: dict[bytes, bytes | None] = {}
        for letter, key in self.dirty:
            old = self.shown.get((letter, key), {})
            value = self.get(letter, key)
            new = {} if value is None else self.rows(letter, key, value)
            changed |= {row: None for row in old if row not in new}
            changed |= {row: text for row, text in new.items() if old.get(row) != text}
            self.shown[letter, key] = new
        self.dirty = {}
        return changed

    def all_rows(self) -> dict[bytes, bytes]:
        """Return the rows of all that there is, worked out anew."""
        found: dict[bytes, bytes] = {}
        for letter, table in self.tables.items():
            for key, value in table.items() if letter != "m" else ():
                found |= self.rows(letter, key, value)
        return found

    def rows(self, letter: str, key: Key, value: Any) -> dict[bytes, bytes]:
        """Return an item's own row and its indexes."""
        match letter:
            case "a":
                money = [
                    (asset, *self.tables["m"][key, asset])
                    for asset in sorted(self.tables["s"])
                    if (key, asset) in self.tables["m"]
                ]
                return {b"a" + u(key, 8): encode((tuple(value[:8]), *value[8:], tuple(money)))}
            case "s":
                return {b"s" + u(key, 2): encode(tuple(value))}
            case "p":
                return {b"p" + key.encode(): encode(value)}
            case "h":
                return {b"h" + key: encode(tuple(value)), **_hold_indexes(key, value)}
            case "k":
                return {b"k" + u(key[0], 2) + u(key[1], 4): encode(value)}
            case "e":
                index = b"F" + _subject(value.schema, value.subject) + b"\0" + u(value.height, 8) + key
                return {b"e" + key: encode(tuple(value)), index: b""}
            case "t":
                return {b"t" + _subject(*key): value}
            case "r":
                place = u(key[0], 8) + key[1].encode()
                rows = {b"r" + place: encode(tuple(value))}
                if value.act != 5 and not value.lifted:
                    rows[b"G" + u(value.target, 8) + place] = encode(value.act)
                return rows
            case "y":
                return {b"y" + u(key, 8): encode(tuple(value))}
            case "c" | "w" | "o":
                return {letter.encode() + u(key, 8): encode(value)}
            case "I":
                return {b"I" + u(key[0], 8) + key[1]: encode(value)}
            case "R":
                return {b"R" + u(key[0], 8) + key[1]: encode(value)}
            case "Q":
                return {b"Q" + u(key[0], 8) + u(key[1], 4): u(value[0], 8) + value[1]}
            case _:
                raise AssertionError(letter)


def _subject(schema: str, subject: str) -> bytes:
    return u(len(schema), 1) + schema.encode() + subject.encode()


def _hold_indexes(key: bytes, hold: Hold) -> dict[bytes, bytes]:
    place = b"P" + u(hold.payer, 8) + u(hold.asset, 2)
    rows = {place + u(2**64 - 1 - hold.height, 8) + u(2**128 - 1 - int.from_bytes(key, "big"), 16): b""}
    if hold.until:
        rows[b"E" + u(hold.until, 8) + key] = b""
    if hold.by:
        rows[b"B" + u(hold.by, 8) + key] = b""
    if hold.to:
        rows[b"Y" + u(hold.to, 8) + key] = b""
    return rows
