"""The first money of a devnet: the National Bank issues, banks open wallets, demo people get something to spend.

One rule: nothing here is special. Each step is a transaction that any client could send, and whose references say
that it is made once: run again on a network that has its money, it pays nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.crypto import SecretKey
from consensus.encoding import digest
from devnet.generate import ISSUER, TREASURY, bank_account, demo_accounts, key_of
from node.client.client import Client, Settled
from node.client.outbox import State
from node.ledger.account import SOM, Kind, format_account
from node.ledger.account_ops import OpenAccount
from node.ledger.errors import Code
from node.ledger.pay import Pay
from node.ledger.transaction import OPERATIONS_MAX, Transaction

TREASURY_TYIYN: Final = 500_000_000_00
BANK_TYIYN: Final = 100_000_000_00
PERSON_TYIYN: Final = 10_000_00
WALLET_TIER: Final = 1
BANKS: Final = (1, 2, 3)


class DevnetRefused(Exception):
    """A step that must succeed on a fresh devnet did not."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A citizen's wallet to be opened: bank 1, 2 or 3, and the number."""

    bank: int
    number: int


@dataclass(frozen=True, slots=True)
class _First:
    """A payment of first money, and who signs it."""

    pay: Pay
    keys: tuple[SecretKey, ...]


async def issue(client: Client) -> int:
    """Issue digital som to the Central Treasury and the banks: two of three board members sign.

    Return the number of transactions: 0 if that was done before.
    """
    amounts = {TREASURY: TREASURY_TYIYN, **{bank_account(index): BANK_TYIYN for index in BANKS}}
    board = key_of("nbkr-board-1"), key_of("nbkr-board-2")
    return await _pay_once(client, [_First(_first_pay(ISSUER, amounts), board)])


async def fund_people(client: Client) -> int:
    """Let each bank sell som to its demo customers. Return the number of transactions: 0 if that was done before."""
    firsts = []
    for index in BANKS:
        customers = [demo for demo in demo_accounts() if demo.bank == bank_account(index)]
        amounts = {demo.number: PERSON_TYIYN for demo in customers if demo.kind is not Kind.DEVICE}
        firsts.append(_First(_first_pay(bank_account(index), amounts), (bank_key(index),)))
    return await _pay_once(client, firsts)


def _first_pay(payer: int, amounts: Mapping[int, int]) -> Pay:
    """Return a payment that the ledger takes once: its references name the payees."""
    legs = [(number, amount, f"first money {format_account(number)}".encode()) for number, amount in amounts.items()]
    return Pay(SOM, payer, tuple(sorted(legs)), once=True)


async def _pay_once(client: Client, firsts: Sequence[_First]) -> int:
    transactions = []
    for first in firsts:
        pay = first.pay
        if not (await client.paid(pay.payer, [ref for _, _, ref in pay.legs])).payments:
            transactions.append(await client.sign([pay.payer], [pay], [(0, key) for key in first.keys]))
    await require(client, transactions, Code.DUPLICATE_REF)  # another was quicker
    return len(transactions)


async def open_wallets(client: Client, wallets: Sequence[Wallet], done: Callable[[int], None]) -> None:
    """Let banks open wallets, as many in a transaction as there is room for; ``done`` hears how many more are open."""
    transactions: list[Transaction] = []
    for bank in sorted({wallet.bank for wallet in wallets}):
        mine = [wallet for wallet in wallets if wallet.bank == bank]
        for start in range(0, len(mine), OPERATIONS_MAX):
            opened = [open_wallet(wallet) for wallet in mine[start : start + OPERATIONS_MAX]]
            transactions.append(await client.sign([bank_account(bank)], opened, [(0, bank_key(bank))]))
    await require(client, transactions)
    done(len(wallets))


def open_wallet(wallet: Wallet) -> OpenAccount:
    """Return the operation that opens a citizen's wallet, with its own public devnet key."""
    commitment = digest(b"som-devnet-commitment-1", format_account(wallet.number).encode())
    keys = ((bytes(wallet_key(wallet.number).public), 1),)
    return OpenAccount(bank_account(wallet.bank), wallet.number, Kind.PERSON, WALLET_TIER, 0, keys, 1, commitment)


def wallet_key(number: int) -> SecretKey:
    """Return the devnet key of a wallet."""
    return key_of(f"wallet-{format_account(number)}")


def bank_key(index: int) -> SecretKey:
    """Return the devnet key of bank 1, 2, ..."""
    return key_of(f"bank-{index}-treasurer")


async def require(client: Client, transactions: Sequence[Transaction], *also: Code) -> list[Settled]:
    """Send transactions, wait until all are final. Raise DevnetRefused if one ends neither applied nor as ``also``."""
    settled = await client.submit_many(transactions)
    for each in settled:
        if each.state is not State.APPLIED and each.code not in also:
            raise DevnetRefused(f"transaction {each.tx_id.hex()[:16]}: {each.state.value} {each.message or each.name}")
    return settled
