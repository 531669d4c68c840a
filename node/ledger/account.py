"""Accounts: their numbers, their kinds, and the one form of their record in bytes.

One rule: a number is given by the opening bank and never derived from a key. Its 16 digits are participant 4,
serial 10, check 2, where the first 14 modulo 97 equal the last 2: the check that Kyrgyz bank account numbers pass. The
layout of the first 14 is our own.
"""

from collections.abc import Iterable
from enum import IntEnum, unique
from itertools import pairwise
from typing import Final, NamedTuple, NewType

from consensus.crypto import PUBLIC_KEY_BYTES
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, decode_own, encode

AccountNumber = NewType("AccountNumber", int)
AssetId = NewType("AssetId", int)  # u16

SOM: Final = AssetId(1)
ASSET_MAX: Final = 2**16 - 1
AMOUNT_MAX: Final = 2**63 - 1  # minor units
TIME_MAX_MS: Final = 2**53 - 1  # of every time that is given: JSON numbers stay exact; the year 287,396

ACCOUNT_DIGITS: Final = 16
PARTICIPANT_MAX: Final = 9_999
SERIAL_MAX: Final = 9_999_999_999
ACCOUNT_MAX: Final = 10**16 - 1

KEYS_MAX: Final = 16  # keys of one account: a board with deputies
WEIGHT_MAX: Final = 1_000
CATEGORY_MAX: Final = 9_999  # ISO 18245 merchant category codes have four digits
TIER_MAX: Final = 255
COMMITMENT_BYTES: Final = 32
HEAD_BYTES: Final = 32
EMPTY_HEAD: Final = bytes(HEAD_BYTES)


@unique
class Kind(IntEnum):
    """What an account is for. Records hold the plain number."""

    CENTRAL_BANK = 1
    ISSUER = 2
    TREASURY = 3
    BANK = 4
    DISTRIBUTOR = 5
    RESERVE = 6
    REGISTRAR = 7
    AUDITOR = 8
    ENFORCER = 9
    MERCHANT = 10
    PERSON = 11
    DEVICE = 12


KIND_MAX: Final = int(max(Kind))

OUT_BLOCKED: Final = 1
IN_BLOCKED: Final = 2
CLOSED: Final = 4
RECOVERING: Final = 8
FLAGS_MAX: Final = 15


def kinds_mask(kinds: Iterable[int]) -> int:
    """Return kinds as a bit set: bit ``k`` is kind ``k``."""
    mask = 0
    for kind in kinds:
        mask |= 1 << kind
    return mask


def mask_kinds(mask: int) -> tuple[Kind, ...]:
    """Return the kinds of a bit set, ascending."""
    return tuple(kind for kind in Kind if mask >> kind & 1)


# People and their things: a tier limits them, and their transactions expire soon. All others are institutions.
LIMITED_KINDS: Final = kinds_mask((Kind.MERCHANT, Kind.PERSON, Kind.DEVICE))

Key = tuple[bytes, int]  # public key, weight
Holding = tuple[int, int, int]  # asset, balance, held


class Profile(NamedTuple):
    """What an account is; payments leave it alone. ``bank`` is the account of the bank that opened it."""

    kind: int
    tier: int
    flags: int
    bank: int
    category: int  # merchant category, 0 = none
    keys: tuple[Key, ...]  # ascending by public key
    threshold: int
    commitment: bytes  # 32 bytes, HMAC(bank's secret, national id): high entropy, so neighbours' leaves reveal nothing


_FIELDS: Final = ("number", "profile", "day", "out_today", "length", "head", "holdings")


class Account:
    """One account. Mutable, for the state only; readers get a copy. ``holdings`` ascend by asset, none is empty."""

    __slots__ = _FIELDS

    def __init__(
        self,
        number: int,
        profile: Profile,
        day: int = 0,
        out_today: int = 0,
        length: int = 0,
        head: bytes = EMPTY_HEAD,
        holdings: tuple[Holding, ...] = (),
    ) -> None:
        self.number = number
        self.profile = profile
        self.day = day  # the day that out_today counts, days since 1970-01-01 in UTC+6
        self.out_today = out_today
        self.length = length  # statement entries so far
        self.head = head  # hash chain over them
        self.holdings = holdings

    def balance(self, asset: int = SOM) -> int:
        """Return the balance in minor units; an issuer's is negative."""
        for held_asset, balance, _ in self.holdings:
            if held_asset == asset:
                return balance
        return 0

    def held(self, asset: int = SOM) -> int:
        """Return the part of the balance that holds reserve."""
        for held_asset, _, held in self.holdings:
            if held_asset == asset:
                return held
        return 0

    def available(self, asset: int = SOM) -> int:
        """Return what may be paid out."""
        for held_asset, balance, held in self.holdings:
            if held_asset == asset:
                return balance - held
        return 0

    def holding(self, asset: int) -> tuple[int, int]:
        """Return (balance, held)."""
        for held_asset, balance, held in self.holdings:
            if held_asset == asset:
                return balance, held
        return 0, 0

    def set_holding(self, asset: int, balance: int, held: int) -> None:
        """Replace one holding; an empty one disappears."""
        holdings = self.holdings
        if len(holdings) <= 1 and (not holdings or holdings[0][0] == asset):  # nearly every account has only som
            self.holdings = ((asset, balance, held),) if balance or held else ()
            return
        others = [holding for holding in holdings if holding[0] != asset]
        if balance or held:
            others.append((asset, balance, held))
            others.sort()
        self.holdings = tuple(others)

    def copy(self) -> "Account":
        """Return an account that shares nothing mutable with this one."""
        return Account(self.number, self.profile, self.day, self.out_today, self.length, self.head, self.holdings)

    @property
    def kind(self) -> Kind:
        return Kind(self.profile.kind)

    @property
    def limited(self) -> bool:
        """Whether tiers limit this account."""
        return bool(LIMITED_KINDS >> self.profile.kind & 1)

    @property
    def tier(self) -> int:
        return self.profile.tier

    @property
    def flags(self) -> int:
        return self.profile.flags

    @property
    def bank(self) -> AccountNumber:
        return AccountNumber(self.profile.bank)

    @property
    def keys(self) -> tuple[Key, ...]:
        return self.profile.keys

    @property
    def threshold(self) -> int:
        return self.profile.threshold

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and all(getattr(self, name) == getattr(other, name) for name in _FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Account({format_account(self.number)}, {self.kind.name}, {self.holdings})"


def account_number(participant: int, serial: int) -> AccountNumber:
    """Return the number with its check digits. Raises ValueError outside 0..9999 and 0..9,999,999,999, and for (0, 0).

    The number 0 means "none" in records.
    """
    if not 0 <= participant <= PARTICIPANT_MAX or not 0 <= serial <= SERIAL_MAX or participant == serial == 0:
        raise ValueError(f"no account number for participant {participant}, serial {serial}")
    first = participant * (SERIAL_MAX + 1) + serial
    return AccountNumber(first * 100 + first % 97)


def is_account_number(number: int) -> bool:
    """Return whether the check digits hold."""
    return 0 < number <= ACCOUNT_MAX and number // 100 % 97 == number % 100


def format_account(number: int) -> str:
    """Return the 16 digits."""
    return f"{number:016d}"


def parse_account(text: str) -> AccountNumber:
    """Return the number of 16 ASCII digits. Raises ValueError if the form or the check digits are wrong."""
    if len(text) != ACCOUNT_DIGITS or not (text.isascii() and text.isdigit()):
        raise ValueError(f"an account number has {ACCOUNT_DIGITS} digits")
    number = int(text)
    if not is_account_number(number):
        raise ValueError("the check digits of the account number are wrong")
    return AccountNumber(number)


def participant_of(number: int) -> int:
    """Return the participant's four digits."""
    return number // 10**12


def serial_of(number: int) -> int:
    """Return the serial's ten digits."""
    return number // 100 % 10**10


def as_keys(value: object) -> tuple[Key, ...]:
    """Return a key list's shape: public keys of 32 bytes and integer weights. Rules are in ``keys_allowed``."""
    keys: list[Key] = []
    for item in as_tuple(value, most=KEYS_MAX):
        public, weight = as_tuple(item, 2)
        keys.append((as_bytes(public, PUBLIC_KEY_BYTES), as_int(weight, 0, WEIGHT_MAX)))
    return tuple(keys)


def keys_allowed(keys: tuple[Key, ...], threshold: int) -> bool:
    """Return whether there is a key, they ascend strictly, each weighs, and together they reach the threshold."""
    publics = [public for public, _ in keys]
    ascending = all(low < high for low, high in pairwise(publics))
    weights = [weight for _, weight in keys]
    return bool(keys) and ascending and min(weights) >= 1 and 1 <= threshold <= sum(weights)


def encode_account(account: Account) -> bytes:
    """Return the record: [profile, day, out_today, length, head, holdings]."""
    return encode((account.profile, account.day, account.out_today, account.length, account.head, account.holdings))


def decode_account(number: int, record: bytes) -> Account:
    """Return the account of a record that may come from a stranger. Raises DecodeError."""
    fields = as_tuple(decode(record), 6)
    return Account(
        number,
        _as_profile(fields[0]),
        as_int(fields[1]),
        as_int(fields[2]),
        as_int(fields[3]),
        as_bytes(fields[4], HEAD_BYTES),
        _as_holdings(fields[5]),
    )


def own_account(number: int, record: bytes) -> Account:
    """Return the account of a record that the ledger wrote itself and its reader has kept whole: nothing is checked.

    A bulk pay reads a thousand; ``decode_account`` takes six times as long.
    """
    profile, day, out_today, length, head, holdings = decode_own(record)
    return Account(number, Profile._make(profile), day, out_today, length, head, holdings)


def _as_profile(value: object) -> Profile:
    kind, tier, flags, bank, category, keys, threshold, commitment = as_tuple(value, 8)
    return Profile(
        as_int(kind, 1, KIND_MAX),
        as_int(tier, 0, TIER_MAX),
        as_int(flags, 0, FLAGS_MAX),
        as_int(bank, 0, ACCOUNT_MAX),
        as_int(category, 0, CATEGORY_MAX),
        as_keys(keys),
        as_int(threshold, 1, KEYS_MAX * WEIGHT_MAX),
        as_bytes(commitment, COMMITMENT_BYTES),
    )


def _as_holdings(value: object) -> tuple[Holding, ...]:
    holdings: list[Holding] = []
    before = 0
    for item in as_tuple(value, most=ASSET_MAX):
        asset, balance, held = as_tuple(item, 3)
        holdings.append((as_int(asset, 1, ASSET_MAX), as_int(balance, -AMOUNT_MAX, AMOUNT_MAX), as_int(held)))
        if holdings[-1][0] <= before:
            raise DecodeError("holdings do not ascend by asset")
        before = holdings[-1][0]
    return tuple(holdings)
