"""The index at one moment, for who checks it: sums by SQL, statements as the ledger hashes them.

One rule: everything here is read in one transaction that sees one height, also while the indexer goes on writing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from node.indexer.database import Place, Reading, reading
from node.indexer.records import Kind, Record
from node.indexer.rows import AccountRow, AssetRow
from node.ledger.genesis import Genesis
from node.ledger.statement import Entry

ENTRIES_AT_ONCE: Final = 2_000  # of a statement, in memory

# What must hold within the database: what it says -> how many rows break it.
RULES: Final[dict[str, str]] = {
    "blocks follow each other from 1 on": """
        SELECT count(*) FROM (
            SELECT height, parent_hash, lag(hash) OVER ascending AS before, row_number() OVER ascending AS n
            FROM som.blocks WINDOW ascending AS (ORDER BY height)) linked
        WHERE height <> n OR (before IS NOT NULL AND parent_hash <> before)""",
    "the last block is that of the cursor": """
        SELECT count(*) FROM som.chain WHERE height > 0 AND (height, block_hash, root)
            IS DISTINCT FROM (SELECT (height, hash, root) FROM som.blocks ORDER BY height DESC LIMIT 1)""",
    "an account's entries are numbered without a gap": """
        SELECT count(*) FROM som.accounts account
        FULL JOIN (SELECT account, count(*) AS entries, max(number) AS last FROM som.entries GROUP BY account) booked
            ON booked.account = account.number
        WHERE (account.entries, account.entries)
            IS DISTINCT FROM (coalesce(booked.entries, 0), coalesce(booked.last + 1, 0))""",
    "the amounts of a transaction add up to 0": """
        SELECT count(*) FROM (
            SELECT FROM som.entries GROUP BY transaction, asset HAVING sum(amount) <> 0) uneven""",
    "balances are the sums of entries": """
        SELECT count(*) FROM som.balances
        FULL JOIN (SELECT account, asset, sum(amount) AS amount FROM som.entries GROUP BY account, asset) booked
            USING (account, asset)
        WHERE coalesce(balance, 0) <> coalesce(amount, 0)""",
    "what is held is the sum of what became of holds": """
        SELECT count(*) FROM som.balances balance
        FULL JOIN (SELECT payer AS account, asset, sum(change) AS change
                   FROM som.hold_changes JOIN som.holds ON id = hold GROUP BY payer, asset) noted
            USING (account, asset)
        WHERE coalesce(held, 0) <> coalesce(change, 0)""",
    "what is held is what is left of open holds": """
        SELECT count(*) FROM som.balances balance
        FULL JOIN (SELECT payer AS account, asset, sum(amount_left) AS waiting
                   FROM som.holds WHERE ended IS NULL GROUP BY payer, asset) open
            USING (account, asset)
        WHERE coalesce(held, 0) <> coalesce(waiting, 0)""",
}


class Sums(NamedTuple):
    """Of an asset, by its entries up to a height: what its holders have in all, and what its issuer has."""

    holders: int
    issuer: int


@dataclass(frozen=True, slots=True)
class View:
    """An open transaction. ``place`` is how far the index is in it."""

    reading: Reading
    place: Place

    def broken_rules(self) -> list[str]:
        """Return the rules that do not hold, with how many rows break them."""
        broken = []
        for rule, query in RULES.items():
            ((count,),) = self._rows(query)
            if count:
                broken.append(f"{rule}: {count}")
        return broken

    def count_entries(self) -> int:
        """Return how many entries there are."""
        ((count,),) = self._rows("SELECT count(*) FROM som.entries")
        return int(count)

    def assets(self) -> list[AssetRow]:
        """Return the register."""
        return [
            AssetRow(*row) for row in self._rows(f"SELECT {', '.join(AssetRow._fields)} FROM som.assets ORDER BY 1")
        ]

    def sums(self, asset: AssetRow, height: int) -> Sums:
        """Return the sums of an asset as of a height."""
        ((holders, issuer),) = self._rows(
            "SELECT coalesce(sum(amount) FILTER (WHERE account <> %(issuer)s), 0), "
            "coalesce(sum(amount) FILTER (WHERE account = %(issuer)s), 0) "
            "FROM som.entries WHERE asset = %(asset)s AND height <= %(height)s",
            {"issuer": asset.issuer, "asset": asset.number, "height": height},
        )
        return Sums(int(holders), int(issuer))

    def accounts(self, sample: int) -> list[int]:
        """Return the numbers of so many accounts by chance, ascending; 0: of all."""
        chosen = (
            "SELECT number FROM som.accounts ORDER BY random() LIMIT %s"
            if sample
            else "SELECT number FROM som.accounts"
        )
        return sorted(number for (number,) in self._rows(chosen, (sample,) if sample else ()))

    def account(self, number: int) -> AccountRow | None:
        """Return an account as it is in this view."""
        found = self._rows(f"SELECT {', '.join(AccountRow._fields)} FROM som.accounts WHERE number = %s", (number,))
        return AccountRow(*found[0]) if found else None

    def statement(self, account: int, height: int) -> Iterator[tuple[int, Entry]]:
        """Yield (number, entry) of an account up to a height, the oldest first."""
        after = -1
        while True:
            page = self._rows(
                "SELECT number, time_ms, height, transaction, op, leg, asset, counterparty, amount, balance, ref "
                "FROM som.entries WHERE account = %s AND number > %s AND height <= %s ORDER BY number LIMIT %s",
                (account, after, height, ENTRIES_AT_ONCE),
            )
            for number, *fields in page:
                yield number, Entry(*fields)
                after = number
            if len(page) < ENTRIES_AT_ONCE:
                return

    def records(self, kind: Kind, sample: int) -> list[Record]:
        """Return the records of so many rows by chance; 0: of all."""
        query = kind.query + (" ORDER BY random() LIMIT %s" if sample else "")
        return [kind.record(row) for row in self._rows(query, (sample,) if sample else ())]

    def record(self, kind: Kind, key: bytes) -> bytes | None:
        """Return the row of a record as it is in this view."""
        return next((each.row for each in map(kind.record, self._rows(*kind.find(key))) if each.key == key), None)

    def held(self, account: int, height: int) -> dict[int, int]:
        """Return what was held of each asset after a height."""
        found = self._rows(
            "SELECT asset, sum(change) FROM som.holds JOIN som.hold_changes changed ON changed.hold = id "
            "WHERE payer = %s AND changed.height <= %s GROUP BY asset",
            (account, height),
        )
        return {asset: int(held) for asset, held in found if held}

    def _rows(self, query: str, params: Any = ()) -> list[tuple[Any, ...]]:
        return self.reading.rows(query, params)


@contextmanager
def view(dsn: str, genesis: Genesis) -> Iterator[View]:
    """Give the index as it is now. Raises DatabaseError, Unavailable."""
    with reading(dsn, genesis) as (found, place):
        yield View(found, place)
