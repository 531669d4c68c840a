"""`make country`: the chain that it prepares is a chain like any other, and its checks see what is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.messages import Hash, decode_block, decode_certificate
from consensus.verify import certificate_valid
from devnet import country_chain
from devnet.bench.sign import FIRST_SERIAL, Chain, wallet
from devnet.country import CALL, LEGS, _calls, main
from devnet.country_chain import LIFETIME_MS, Country, kept, pension, prepare, recipients, serials, supply
from devnet.country_check import Expected, examine
from devnet.generate import TREASURY, demo_accounts, make_genesis, write_network
from devnet.offline import Openings, making, openings
from devnet.processes import place_store
from node.epochs import Epochs
from node.home import committee_of
from node.ledger.account import SOM, Kind, participant_of, serial_of
from node.ledger.commitment import chain_root
from node.ledger.execute import Ledger
from node.storage.store import Store
from tests.test_devnet import TIME_MS, places

ACCOUNTS = 1_000


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    return prepare(tmp_path_factory.mktemp("country") / "kept", ACCOUNTS, lambda _: None)


@pytest.fixture
def store(country: Country, tmp_path: Path) -> Iterator[Store]:
    """A copy: what opens a store writes to it."""
    (tmp_path / "store").mkdir()
    place_store(country.chain.store, tmp_path / "store")
    opened = Store.open(tmp_path / "store", country.genesis.hash)
    yield opened
    opened.close()


def test_no_wallet_of_a_country_is_one_of_the_demo_people() -> None:
    whole = {bank: serials(bank, 7_000_000) for bank in (1, 2, 3)}
    demo = [row.number for row in demo_accounts()]
    assert demo
    assert not any(serial_of(number) in whole.get(participant_of(number) - 100, ()) for number in demo)


def identify(data: bytes) -> tuple[bytes, bytes]:
    block = decode_block(data)
    return block.hash, block.header.parent_hash


def test_all_four_validators_signed_every_block_of_the_prepared_chain(country: Country, store: Store) -> None:
    committee = committee_of(country.genesis, 0)
    store.check(
        identify=lambda data: (decode_block(data).hash, decode_block(data).header.parent_hash), chain_root=chain_root
    )
    for height in range(1, store.tip.height + 1):
        stored, finalized = store.block(height), store.certificate(height)
        assert stored is not None
        assert finalized is not None
        header, certificate = decode_block(stored.block_bytes).header, decode_certificate(finalized)
        assert certificate_valid(certificate, committee, Hash(country.genesis.hash))
        assert (certificate.hash, len(certificate.signatures)) == (stored.block_hash, 4)
        assert header.proposer == committee.leader(header.view)
    members = Epochs(country.genesis, store).members(0)
    assert members is not None
    assert members.committee.hash == committee.hash


def test_the_prepared_state_has_every_wallet_and_the_money_for_all(country: Country, store: Store) -> None:
    ledger = Ledger(store, country.genesis)
    assert ledger.audit()[SOM] == supply(ACCOUNTS) == ledger.supply(SOM)
    for index in range(ACCOUNTS):
        account = ledger.account(wallet(index).number)
        assert account is not None
        assert (account.kind, account.holdings) == (Kind.PERSON, ())
    treasury = ledger.account(TREASURY)
    assert treasury is not None
    assert treasury.balance(SOM) == supply(ACCOUNTS)


async def test_a_chain_of_which_a_transaction_is_refused_is_not_made(country: Country, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    place_store(country.chain.store, tmp_path / "store")
    chain = Chain(country.genesis.network, country.genesis.hash)
    again = openings(Openings(chain, country.genesis.time_ms + LIFETIME_MS - 1, 1, FIRST_SERIAL, FIRST_SERIAL + 1))
    with pytest.raises(ExceptionGroup) as failed:
        async with making(tmp_path / "store", country.genesis) as maker:
            await maker.add_block(again)
    assert failed.group_contains(AssertionError, match="what is prepared is good")


def test_a_chain_is_kept_for_its_number_of_wallets_and_only_when_whole(country: Country) -> None:
    found = kept(country.directory, ACCOUNTS)
    assert found is not None
    assert (found.genesis.hash, found.made) == (country.genesis.hash, country.made)
    assert kept(country.directory, ACCOUNTS + 1) is None
    assert kept(country.directory / "data", ACCOUNTS) is None


@pytest.mark.parametrize("accounts", [1_000, 1_001, 1_002])
def test_each_wallet_is_paid_once_in_ascending_order(accounts: int) -> None:
    pays = [pay for call in _calls(accounts) for pay in call]
    assert [len(pay.legs) for pay in pays] == [LEGS] * (accounts // LEGS) + [accounts % LEGS] * (accounts % LEGS > 0)
    legs = [leg for pay in pays for leg in pay.legs]
    numbers = [to for to, _, _ in legs]
    assert numbers == sorted(wallet(index).number for index in range(accounts))
    assert [amount for _, amount, _ in legs] == [pension(serial_of(number)) for number in numbers]
    assert [(to, amount) for to, amount, _ in legs] == list(recipients(accounts))
    assert len({ref for _, _, ref in legs}) == accounts
    assert sum(len(serials(bank, accounts)) for bank in (1, 2, 3)) == accounts
    assert all(len(call) <= CALL for call in _calls(accounts))


def test_the_check_sees_a_wallet_that_was_not_paid_and_money_that_is_not_there(
    country: Country, tmp_path: Path
) -> None:
    """The prepared chain itself, before any pension: right only for who expects that none was paid."""
    write_network(tmp_path, places(), country.genesis)
    home = tmp_path / "nbkr"
    place_store(country.chain.store, home / "data" / "store")
    numbers = [wallet(index).number for index in range(ACCOUNTS)]
    unpaid = Expected(ACCOUNTS, 0, frozenset(numbers), supply(ACCOUNTS))
    found = examine("nbkr", home, country.genesis, unpaid, rebuild=True)
    assert (found.faults, found.height, found.entries) == ((), country.made.height, 0)
    assert found.roots[found.height].hex() == country.made.root
    for expected, words in (
        (replace(unpaid, closed=frozenset(numbers[1:])), "are due"),
        (replace(unpaid, opened=1), "wallets"),
        (replace(unpaid, supply=unpaid.supply + 1), "were issued"),
    ):
        faults = examine("nbkr", home, country.genesis, expected, rebuild=False).faults
        assert faults
        assert all(words in fault for fault in faults)
    foreign = examine("nbkr", home, make_genesis(TIME_MS), unpaid, rebuild=False)
    assert "belongs to the network" in foreign.faults[0]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.timeout(600)
def test_pensions_of_a_small_country_are_paid_on_four_validators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(country_chain, "JOB_ACCOUNTS", 400)  # several batches, several blocks
    for arguments in ([], ["--json", str(tmp_path / "figures.json")]):  # the second one finds the chain kept
        code = main(["--accounts", "3000", "--opened", "48", "--directory", str(tmp_path), *arguments])
        assert code == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert "3,000 wallets are open already" in printed
    assert "every wallet has what is due to it" in printed.replace("\n", " ")
    assert (tmp_path / "figures.json").stat().st_size > 500
