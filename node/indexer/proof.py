"""The proof that the index is the chain's: its sums, and its statements, against records that a quorum has certified.

One rule: nothing of the node is believed, and nothing of the index. An account's record commits to every entry that it
ever had, so an index whose statement leads to the same hash has the ledger's entries, byte by byte.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from node.client.client import Client
from node.client.proofs import ProvenAccount
from node.indexer.books import asset_row
from node.indexer.records import KINDS, Kind, Record
from node.indexer.rows import AssetRow
from node.indexer.view import View
from node.ledger.account import CLOSED, EMPTY_HEAD, format_account, is_account_number
from node.ledger.assets import decode_asset
from node.ledger.state import asset_key
from node.ledger.statement import encode_entry, next_head

FAULTS_MAX: Final = 100  # that are told; the first ones say enough
BEHIND_SECONDS: Final = 30.0  # that an indexer which runs has to come to the height of a proof
BEHIND_PAUSE_SECONDS: Final = 0.2

TRIES: Final = 3  # to find a row between two changes of it

Open = Callable[[], AbstractContextManager[View]]


class Behind(Exception):
    """The index has not come to the height of which the nodes prove the state."""


@dataclass(frozen=True, slots=True)
class Supply:
    """An asset's holders have ``amount`` in all, by the entries up to ``height``: what the chain says is issued."""

    asset: int
    code: str
    scale: int
    amount: int
    height: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was compared, and what differs. No fault: the sums equal the chain's."""

    height: int
    entries: int
    accounts: int
    records: int  # holds, orders, attestations
    supplies: tuple[Supply, ...]
    faults: tuple[str, ...]


async def verify(client: Client, open_view: Open, sample: int) -> Verdict:
    """Compare; ``sample`` accounts by chance, or all if 0. Raises Behind, ProofInvalid and what the client raises."""
    with open_view() as now:
        faults = now.broken_rules()
        assets, numbers, entries, height = now.assets(), now.accounts(sample), now.count_entries(), now.place.height
        others = [(kind, now.records(kind, sample)) for kind in KINDS]
    supplies = []
    for asset in assets:
        supply, wrong = await _compare_asset(client, open_view, asset)
        supplies.append(supply)
        faults += wrong
    for kind, records in others:
        for record in records:
            faults += await _compare_record(client, open_view, kind, record)
    for number in numbers:
        faults += await _compare_account(client, open_view, number)
        if len(faults) >= FAULTS_MAX:
            break
    return Verdict(
        height,
        entries,
        len(numbers),
        sum(len(records) for _, records in others),
        tuple(supplies),
        tuple(faults[:FAULTS_MAX]),
    )


async def _compare_asset(client: Client, open_view: Open, asset: AssetRow) -> tuple[Supply, list[str]]:
    row = await client.prove_row(asset_key(asset.number))
    issuer = await client.prove_account(asset.issuer)
    faults = []
    if row.value is None:
        faults.append(f"asset {asset.number}: the chain has none")
    else:
        proven = decode_asset(row.value)
        if asset != asset_row(asset.number, proven, asset.height):
            faults.append(f"asset {asset.number}: the register says {proven}")
    async with _reaching(open_view, issuer.height) as now:
        sums = now.sums(asset, issuer.height)
    issued = 0 if issuer.account is None else -issuer.account.balance(asset.number)
    if not sums.holders == -sums.issuer == issued:
        faults.append(
            f"asset {asset.number} at height {issuer.height}: {issued} issued by the chain, "
            f"{sums.holders} with holders and {-sums.issuer} issued by the entries"
        )
    return Supply(asset.number, asset.code, asset.scale, sums.holders, issuer.height), faults


async def _compare_record(client: Client, open_view: Open, kind: Kind, record: Record) -> list[str]:
    """Compare a hold, an order or an attestation with what the state tree has under its key."""
    for _ in range(TRIES):
        proven = await client.prove_row(record.key)
        async with _reaching(open_view, proven.height) as now:
            there, current = now.record(kind, record.key), now.place.height == proven.height
        if proven.value == there:
            return []
        if current:
            break
    return [f"{kind.table} {record.key.hex()}: the chain proves another row"]


async def _compare_account(client: Client, open_view: Open, number: int) -> list[str]:
    if not is_account_number(number):
        return [f"{number}: the number of no account"]
    faults: list[str] = []
    for _ in range(TRIES):  # what has no height of its own (tier, bank, category) may have changed since the proof
        proven = await client.prove_account(number)
        async with _reaching(open_view, proven.height) as now:
            faults, current = _differences(now, proven), now.place.height == proven.height
        if not faults or current:
            break
    return faults


def _differences(now: View, proven: ProvenAccount) -> list[str]:
    """Compare one account as of the height of its proof."""
    name, row, account = format_account(proven.number), now.account(proven.number), proven.account
    if account is None or row is None or row.opened > proven.height:
        there = row is not None and row.opened <= proven.height
        return [] if there == (account is not None) else [f"{name}: only one of chain and index has it"]
    head, length, balances = EMPTY_HEAD, 0, dict[int, int]()
    for entry_number, entry in now.statement(proven.number, proven.height):
        head = next_head(head, encode_entry(entry))
        balances[entry.asset] = balances.get(entry.asset, 0) + entry.amount
        length += 1
        if entry_number != length - 1 or entry.balance != balances[entry.asset]:
            return [f"{name}: entry {entry_number} does not follow from those before it"]
    faults = []
    if (length, head) != (account.length, account.head):
        faults.append(f"{name}: {length} entries do not lead to the proven head of {account.length}")
    if {asset: balance for asset, balance in balances.items() if balance} != {
        asset: balance for asset, balance, _ in account.holdings if balance
    }:
        faults.append(f"{name}: other balances than the chain proves")
    if now.held(proven.number, proven.height) != {asset: held for asset, _, held in account.holdings if held}:
        faults.append(f"{name}: another sum is held than the chain proves")
    closed = row.closed is not None and row.closed <= proven.height
    profile = account.profile
    if (row.kind, row.tier, row.bank, row.category, closed) != (
        *(profile.kind, profile.tier, profile.bank, profile.category, bool(profile.flags & CLOSED)),
    ):
        faults.append(f"{name}: kind, tier, bank, category or end are others than the chain proves")
    return faults


@asynccontextmanager
async def _reaching(open_view: Open, height: int) -> AsyncIterator[View]:
    """Give a view that has come to a height: an indexer that runs may need a moment. Raises Behind."""
    deadline = time.monotonic() + BEHIND_SECONDS
    while True:
        with open_view() as now:
            if now.place.height >= height:
                yield now
                return
        if time.monotonic() > deadline:
            raise Behind(f"{now.place.height} < {height}")
        await asyncio.sleep(BEHIND_PAUSE_SECONDS)
