"""Proofs from the genesis: what is proven is true, and no byte of a proof can be changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consensus.committee import Committee, Validator
from consensus.messages import Certificate, Kind, decode_certificate, encode_certificate
from node.client.client import Client
from node.client.errors import ProofInvalid, RequestFailed
from node.client.proofs import verify_account, verify_transaction
from node.client.trust import Trust
from node.rpc.types import GetAccountProofResult, GetTransactionProofResult
from tests.solo_chain import ALICE, BANK, BOB, NOBODY, SoloChain, digits, key, serving, solo_chain


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[SoloChain]:
    async with solo_chain(tmp_path / "chain") as found:
        yield found


@pytest.fixture
async def client(chain: SoloChain) -> AsyncIterator[Client]:
    async with serving(chain) as url, Client([url], trust=Trust.of(chain.genesis)) as found:
        yield found


async def account_proof(client: Client, number: int) -> GetAccountProofResult:
    return await client.request("account_getProof", {"account": digits(number)}, GetAccountProofResult)


async def transaction_proof(client: Client, tx_id: bytes) -> GetTransactionProofResult:
    return await client.request("tx_getProof", {"tx_id": tx_id.hex()}, GetTransactionProofResult)


async def test_a_receipt_is_proven_by_the_genesis_alone(chain: SoloChain, client: Client) -> None:
    tx = chain.pay("alice", BOB, 1_234)
    await chain.execute([chain.pay("bank", BOB, 1), tx, chain.pay("bank", BOB, 2)])
    proven = await client.prove_transaction(tx.id)
    assert (proven.receipt.transaction_id, proven.receipt.code, proven.height) == (tx.id, 0, 5)
    assert proven.certified_by == 6


async def test_a_failure_is_proven_too(chain: SoloChain, client: Client) -> None:
    good, bad = chain.pay("alice", BOB, 90_000), chain.pay("alice", BOB, 90_001)
    await chain.execute([good, bad])
    assert (await client.prove_transaction(bad.id)).receipt.code == 302


async def test_an_account_is_proven_and_so_is_its_absence(chain: SoloChain, client: Client) -> None:
    proven = await client.prove_account(ALICE)
    assert proven.account is not None
    assert (proven.account.balance(), proven.account.number) == (100_000, ALICE)
    assert (await client.prove_account(NOBODY)).account is None


async def test_every_old_height_is_proven_by_a_later_header(chain: SoloChain, client: Client) -> None:
    tx = chain.pay("alice", BOB, 7)
    await chain.execute([tx])
    for _ in range(10):
        await chain.add_block(())
    assert (await client.prove_transaction(tx.id)).height == 5


async def test_a_block_without_its_own_certificate_is_proven_by_the_headers_above(
    chain: SoloChain, client: Client
) -> None:
    tx = chain.pay("alice", BOB, 7)
    await chain.add_block([tx], certified=False)
    await chain.add_block((), certified=False)
    await chain.add_block((), certified=False)
    await chain.add_block(())
    found = await transaction_proof(client, tx.id)
    assert len(found.anchor.headers) == 3
    assert (await client.prove_transaction(tx.id)).certified_by == 8


async def test_the_newest_state_waits_for_the_block_that_certifies_it(chain: SoloChain, client: Client) -> None:
    chain.certifying = False
    tx = chain.pay("alice", BOB, 7)
    await chain.execute([tx])
    asked = asyncio.create_task(client.prove_account(BOB))
    await chain.reaching.wait()
    await chain.execute([chain.pay("bank", ALICE, 1)])  # the tree moves on while the proof waits
    await chain.execute([chain.pay("bank", ALICE, 1)])
    proven = await asked
    assert proven.account is not None
    assert proven.account.balance() == 7


async def test_a_proof_that_no_block_certifies_yet_is_a_retryable_error(
    chain: SoloChain, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.anchors.WAIT_SECONDS", 0.01)
    chain.certifying = False
    tx = chain.pay("alice", BOB, 7)
    await chain.execute([tx])
    with pytest.raises(RequestFailed) as unavailable:
        await client.prove_transaction(tx.id)
    assert (unavailable.value.name, unavailable.value.retryable) == ("proof_unavailable", True)
    await chain.add_block(())
    assert (await client.prove_transaction(tx.id)).receipt.applied


async def test_an_unknown_transaction_has_no_proof(client: Client) -> None:
    with pytest.raises(RequestFailed) as unknown:
        await client.prove_transaction(b"\1" * 32)
    assert unknown.value.name == "not_found"


async def test_another_network_is_not_believed(chain: SoloChain, client: Client) -> None:
    trust = Trust(b"\7" * 32, 1_000, (Committee(0, [Validator(key("consensus").public, 1)]),))
    with pytest.raises(ProofInvalid):
        verify_account(await account_proof(client, ALICE), trust)
    async with serving(chain) as url, Client([url], trust=trust) as other:
        with pytest.raises(ProofInvalid):
            await other.info()


async def test_another_committee_is_not_believed(chain: SoloChain, client: Client) -> None:
    trust = Trust(chain.genesis.hash, 1_000, (Committee(0, [Validator(key("stranger").public, 1)]),))
    with pytest.raises(ProofInvalid):
        verify_account(await account_proof(client, ALICE), trust)


async def test_a_proof_of_another_thing_is_not_taken(chain: SoloChain, client: Client) -> None:
    found = await account_proof(client, ALICE)
    other = msgspec.structs.replace(found, account=digits(BANK))
    with pytest.raises(ProofInvalid):
        verify_account(other, Trust.of(chain.genesis))


@pytest.mark.parametrize("kind", [Kind.NOTARIZE])
async def test_a_notarization_finalizes_nothing(chain: SoloChain, client: Client, kind: Kind) -> None:
    found = await account_proof(client, ALICE)
    certificate = decode_certificate(bytes.fromhex(found.anchor.certificate))
    anchor = msgspec.structs.replace(
        found.anchor, certificate=encode_certificate(replace(certificate, kind=kind)).hex()
    )
    with pytest.raises(ProofInvalid):
        verify_account(msgspec.structs.replace(found, anchor=anchor), Trust.of(chain.genesis))


async def test_a_certificate_without_a_quorum_is_refused(chain: SoloChain, client: Client) -> None:
    found = await account_proof(client, ALICE)
    certificate = decode_certificate(bytes.fromhex(found.anchor.certificate))
    empty = Certificate(certificate.kind, certificate.epoch, certificate.view, certificate.hash, ())
    anchor = msgspec.structs.replace(found.anchor, certificate=encode_certificate(empty).hex())
    with pytest.raises(ProofInvalid):
        verify_account(msgspec.structs.replace(found, anchor=anchor), Trust.of(chain.genesis))


def tampered(value: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of a JSON value, each with one byte of one hex string flipped, or one number moved."""
    for place, leaf in leaves(value):
        if place[-1] in ("at_height", "tx_id", "account"):
            continue  # the caller compares these with what it asked
        if isinstance(leaf, str):
            data = bytes.fromhex(leaf)
            for at in range(len(data)):
                changed = data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :]
                yield f"{place}[{at}]", put(value, place, changed.hex())
        elif isinstance(leaf, int):
            yield f"{place}", put(value, place, leaf + 1)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for name, inner in items:
        yield from leaves(inner, (*path, name))


def put(value: Any, path: tuple[str | int, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    name, *rest = path
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[name] = put(value[name], tuple(rest), leaf)
    return copied


async def test_no_byte_of_a_receipts_proof_can_be_changed(chain: SoloChain, client: Client) -> None:
    transactions = [chain.pay("bank", BOB, amount) for amount in (1, 2, 3)]
    await chain.execute(transactions)
    found = await transaction_proof(client, transactions[1].id)
    trust = Trust.of(chain.genesis)
    assert verify_transaction(found, trust).receipt.applied
    plain = msgspec.to_builtins(found)
    believed = [
        where
        for where, value in tampered(plain)
        if believes(lambda value=value: verify_transaction(msgspec.convert(value, GetTransactionProofResult), trust))
    ]
    assert believed == []


async def test_no_byte_of_an_accounts_proof_can_be_changed(chain: SoloChain, client: Client) -> None:
    found = await account_proof(client, ALICE)
    trust = Trust.of(chain.genesis)
    plain = msgspec.to_builtins(found)
    believed = [
        where
        for where, value in tampered(plain)
        if believes(lambda value=value: verify_account(msgspec.convert(value, GetAccountProofResult), trust))
    ]
    assert believed == []


async def test_a_list_of_a_proof_can_not_be_shortened_or_lengthened(chain: SoloChain, client: Client) -> None:
    for _ in range(3):
        await chain.add_block((), certified=False)
    await chain.add_block(())
    found = await account_proof(client, ALICE)
    trust = Trust.of(chain.genesis)
    for name in ("links", "headers"):
        items = getattr(found.anchor, name)
        for changed in (items[1:], items[:-1], (*items, items[-1]), ()):
            if changed == items:
                continue
            anchor = msgspec.structs.replace(found.anchor, **{name: changed})
            assert not believes(
                lambda anchor=anchor: verify_account(msgspec.structs.replace(found, anchor=anchor), trust)
            )


def believes(check: Any) -> bool:
    """Return whether a check passes; anything but ProofInvalid is an error of the test or of ours."""
    try:
        check()
    except ProofInvalid:
        return False
    return True
