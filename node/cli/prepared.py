"""A transaction on its way from signer to signer, as a file: m of n people sign, each on a machine of their own.

One rule: what is signed is read first. A signer sees the operations in words, made from the very bytes that the
signature is over; nothing else in the file is believed, and signing asks no node.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from consensus.crypto import SIGNATURE_BYTES, SecretKey
from node.cli.session import Exit, Session
from node.cli.show import format_time
from node.cli.signing import DEVNET, demo_accounts, key_header, open_key
from node.client.client import Signer
from node.config import ConfigError
from node.ledger.account import parse_account
from node.ledger.transaction import (
    TRANSACTION_BYTES_MAX,
    Signed,
    Transaction,
    assemble,
    decode_transaction,
    sign_body,
    signatures_valid,
)
from node.rpc import types
from node.rpc.forms import AccountNumber, Bytes, Count, Hash, Signature
from node.rpc.operation_types import KeyView
from node.storage.files import write_file

FILE_BYTES_MAX: Final = 4 * TRANSACTION_BYTES_MAX


class SignerAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account that must sign: which keys it has, as a node told who prepared the file."""

    account: AccountNumber
    threshold: Count
    keys: tuple[KeyView, ...]


class FileSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``index``: the account's place in ``accounts``."""

    index: Count
    key: Hash
    signature: Signature


class Prepared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. ``body`` is what is signed; ``network_kind`` says whether public keys of a devnet may sign it."""

    genesis_hash: Hash
    network_kind: str
    body: Bytes
    accounts: tuple[SignerAccount, ...]
    signatures: tuple[FileSignature, ...] = ()

    def signed(self, signers: Sequence[Signer]) -> "Prepared":
        """Return this with more signatures."""
        genesis_hash, body = bytes.fromhex(self.genesis_hash), bytes.fromhex(self.body)
        made = [sign_body(genesis_hash, body, index, key) for index, key in signers]
        added = [FileSignature(index, key.hex(), signature.hex()) for index, key, signature in made]
        return msgspec.structs.replace(self, signatures=tuple(dict.fromkeys((*self.signatures, *added))))

    def transaction(self) -> Transaction:
        """Return the transaction with the signatures that are there, of which one must be. Raises Refused."""
        genesis_hash, body = bytes.fromhex(self.genesis_hash), bytes.fromhex(self.body)
        return decode_transaction(assemble(body, self._signatures()), genesis_hash)

    def trial(self) -> Transaction:
        """Return a transaction for a dry run: enough keys are named; zeros stand for what they have not signed."""
        genesis_hash, body = bytes.fromhex(self.genesis_hash), bytes.fromhex(self.body)
        signed = self._signatures()
        have = {(index, key) for index, key, _ in signed}
        for index, account in enumerate(self.accounts):
            weight = sum(key.weight for key in account.keys if (index, bytes.fromhex(key.key)) in have)
            for row in account.keys:
                key = bytes.fromhex(row.key)
                if weight < account.threshold and (index, key) not in have:
                    signed.append((index, key, bytes(SIGNATURE_BYTES)))
                    weight += row.weight
        return decode_transaction(assemble(body, signed), genesis_hash)

    def missing(self) -> dict[str, int]:
        """Return by how much weight each account is below its threshold, for those that are."""
        have = {(each.index, each.key) for each in self.signatures}
        weights = [
            sum(key.weight for key in account.keys if (index, key.key) in have)
            for index, account in enumerate(self.accounts)
        ]
        return {
            account.account: account.threshold - weight
            for account, weight in zip(self.accounts, weights, strict=True)
            if weight < account.threshold
        }

    def _signatures(self) -> list[Signed]:
        return [(each.index, bytes.fromhex(each.key), bytes.fromhex(each.signature)) for each in self.signatures]


def file_of(info: types.GetInfoResult, body: bytes, accounts: Sequence[types.AccountView]) -> Prepared:
    """Return the file of a body that nobody has signed yet."""
    rows = tuple(SignerAccount(view.account, view.threshold, view.keys) for view in accounts)
    return Prepared(info.genesis_hash, info.kind, body.hex(), rows)


def parse_prepared(data: bytes) -> Prepared | None:
    """Return the file that ``data`` is; None if it is something else. Raises ConfigError if it contradicts itself."""
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(data, type=Prepared)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"no prepared transaction: {error}") from None
    if [int(row.account) for row in found.accounts] != list(found.trial().accounts):
        raise ConfigError("the file names other accounts than the transaction")
    if found.signatures and not signatures_valid(found.transaction()):
        raise ConfigError("the file has a signature that does not hold")
    return found


def read_prepared(path: Path) -> Prepared:
    """Return what a file holds. Raises ConfigError, Refused."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    found = parse_prepared(data) if len(data) <= FILE_BYTES_MAX else None
    if found is None:
        raise ConfigError(f"{path}: no prepared transaction")
    return found


def write_prepared(session: Session, path: Path, prepared: Prepared) -> None:
    """Write a file, and say whose signatures are missing."""
    write_file(path, json.dumps(msgspec.to_builtins(prepared), indent=1).encode() + b"\n")
    transaction = prepared.trial()
    missing = prepared.missing()
    session.data(
        {"tx_id": transaction.id.hex(), "file": str(path), "missing": missing, "expires_ms": transaction.expires_ms},
        lambda: session.pairs(
            [
                (session.say("transaction"), transaction.id.hex()),
                (session.say("written"), path),
                (session.say("expires"), format_time(transaction.expires_ms)),
                *((session.say("missing"), f"{account}: {weight}") for account, weight in missing.items()),
            ]
        ),
    )


def signers_for(
    session: Session,
    accounts: Sequence[types.AccountView | SignerAccount],
    files: Sequence[Path],
    passphrase_file: Path | None,
    network_kind: str,
    needs_all: bool = True,
) -> list[Signer]:
    """Return who signs for which of ``accounts``: key files for those that list their keys, else a devnet's keys.

    Ends the command if a file's key is of none of them, or, with ``needs_all``, if an account has nobody.
    """
    devnet = network_kind == DEVNET
    named = {path: key_header(path)["pub"] for path in files}
    keys = {public: open_key(session, path, "operator", passphrase_file, devnet) for path, public in named.items()}
    signers: list[Signer] = [
        (index, keys[key.key]) for index, account in enumerate(accounts) for key in account.keys if key.key in keys
    ]
    used = {key.public.hex() for _, key in signers}
    for path, public in named.items():
        if public not in used:
            session.end(Exit.CONFIG, f"{path}: {session.say('key_of_none')}")
    for index in sorted(set(range(len(accounts))) - {index for index, _ in signers}):
        found = _demo_keys(session, accounts[index].account) if devnet else []
        if needs_all and not found:
            session.end(Exit.CONFIG, f"{accounts[index].account}: {session.say('no_key')}")
        if needs_all or not files:
            signers += [(index, key) for key in found]
    return signers


def _demo_keys(session: Session, account: str) -> list[SecretKey]:
    number = parse_account(account)
    for demo in demo_accounts(session).values():
        if demo.number == number:
            return list(demo.keys[: demo.threshold])
    return []
