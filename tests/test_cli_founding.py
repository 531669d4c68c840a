"""`som genesis make`: the model of a pilot becomes a genesis that a ledger starts from; what is wrong is named."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from consensus.crypto import SecretKey
from consensus.encoding import digest
from node.cli import main
from node.ledger.account import SOM, Kind, account_number, format_account, participant_of
from node.ledger.assets import Attested, OnLedger
from node.ledger.attest import Attest
from node.ledger.execute import Ledger, genesis_changes
from node.ledger.genesis import Genesis, format_genesis, parse_genesis
from node.ledger.operations import Operation
from node.ledger.parameters import DEFAULT
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.transaction import assemble, decode_transaction, make_body, sign_body
from tests.ledger_world import Rows

MODEL: Final = Path(__file__).parent.parent / "docs" / "pilot.toml"
HASH: Final = "3dcfa2f27534af5a511c551555d3d0ea0f62fdc425d934281367f9c045fe865b"


def key_of(name: str) -> SecretKey:
    """Return the test's own key for a place of the model, such as "nbkr 1"."""
    return SecretKey(digest(b"test-founding", name.encode()))


def described(change: Callable[[str], str] = lambda text: text) -> str:
    """Return the model with every key filled in, and changed."""
    return change(re.sub("KEY ([a-z0-9 -]+)", lambda match: key_of(match[1]).public.hex(), MODEL.read_text()))


def make(tmp_path: Path, text: str, name: str = "genesis.json") -> Result:
    (tmp_path / "pilot.toml").write_text(text)
    arguments = ["genesis", "make", str(tmp_path / "pilot.toml"), "--out", str(tmp_path / name), "--json"]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Genesis:
    path = tmp_path_factory.mktemp("pilot")
    made = make(path, described())
    assert made.exit_code == 0, made.output
    genesis = parse_genesis((path / "genesis.json").read_text())
    assert json.loads(made.stdout)["genesis_hash"] == genesis.hash.hex()
    return genesis


def test_the_model_has_everybody_whom_a_pilot_needs(pilot: Genesis) -> None:
    kinds = [row.profile.kind for row in pilot.accounts]
    assert kinds.count(Kind.BANK) == 23
    for kind in (Kind.CENTRAL_BANK, Kind.TREASURY, Kind.REGISTRAR, Kind.ENFORCER, Kind.DISTRIBUTOR):
        assert kinds.count(kind) == 1
    assert kinds.count(Kind.AUDITOR) >= 3
    assert (pilot.kind, len(pilot.validators)) == ("pilot", 7)
    assert pilot.parameters == DEFAULT._replace(attesters=pilot.parameters.attesters)
    schemas = [row.schema for row in pilot.parameters.attesters]
    assert schemas == ["certificate", "crypto-reserve", "delivered", "gold", "som-reserve"]
    accounts = {row.name: row for row in pilot.accounts}
    for name, keys, threshold in (("nbkr", 5, 3), ("som-issuer", 5, 3), ("kgst-issuer", 3, 2), ("bank-23", 3, 2)):
        profile = accounts[name].profile
        assert (len(profile.keys), profile.threshold) == (keys, threshold)
        assert profile.keys == tuple(sorted((bytes(key_of(f"{name} {i + 1}").public), 1) for i in range(keys)))
    assert [participant_of(row.number) for row in pilot.accounts if row.profile.kind == Kind.BANK] == [
        100 + index for index in range(1, 24)
    ]
    assets = {asset.code: asset for _, asset in pilot.assets}
    assert isinstance(assets["KGST"].backing, OnLedger)
    assert assets["USDKG"].backing == Attested("gold", 10_000, 92 * 24 * 3_600_000)
    assert pilot.time_ms == 1_798_740_000_000  # 2026-12-31 18:00 UTC, 2027 in Bishkek


def test_the_hash_of_the_model_is_always_the_same(pilot: Genesis, tmp_path: Path) -> None:
    assert pilot.hash.hex() == HASH
    assert parse_genesis(format_genesis(pilot)).hash == pilot.hash
    assert make(tmp_path, described(lambda text: text.replace("\n\n", "\n# a remark\n"))).exit_code == 0
    assert (tmp_path / "genesis.json").read_text() == format_genesis(pilot)


class Chain:
    """A ledger of one genesis, whose founders act with as many keys as they need."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.rows = Rows(genesis_changes(genesis))
        self.ledger = Ledger(self.rows, genesis)
        self.names = {row.number: row.name for row in genesis.accounts}
        self.numbers = {row.name: row.number for row in genesis.accounts}

    def run(self, *operations: Operation, one_too_few: bool = False) -> Receipt:
        accounts = list(dict.fromkeys(actor for operation in operations for actor in operation.actors))
        height, time_ms = self.ledger.height + 1, self.ledger.timestamp_ms + 1_000
        body = make_body(self.genesis.network, time_ms + 60_000, height, accounts, operations)
        profiles = {row.number: row.profile for row in self.genesis.accounts}
        signatures = []
        for index, number in enumerate(accounts):
            keys = [key_of(f"{self.names[number]} {i}") for i in range(1, len(profiles[number].keys) + 1)]
            keys = keys[: profiles[number].threshold - one_too_few]
            ascending = sorted(keys, key=lambda key: key.public)
            signatures += [sign_body(self.genesis.hash, body, index, key) for key in ascending]
        transaction = decode_transaction(assemble(body, signatures), self.genesis.hash)
        executed = self.ledger.execute(height, time_ms, self.ledger.version, [transaction])
        self.rows.store(executed.changes)
        return executed.receipts[0]


def test_a_ledger_starts_from_the_model_and_money_comes_by_all_three_ways(pilot: Genesis) -> None:
    chain = Chain(pilot)
    assert chain.ledger.audit() == {1: 0, 2: 0, 3: 0}
    of = chain.numbers
    issue = Pay(SOM, of["som-issuer"], ((of["bank-07"], 1_000, b""),))
    assert not chain.run(issue, one_too_few=True).applied
    assert chain.run(issue).applied
    deposit = Pay(SOM, of["bank-07"], ((of["kgst-reserve"], 300, b""),))
    assert not chain.run(Pay(2, of["kgst-issuer"], ((of["bank-07"], 300, b""),))).applied
    assert chain.run(deposit, Pay(2, of["kgst-issuer"], ((of["bank-07"], 300, b""),))).applied
    gold = Pay(3, of["usdkg-issuer"], ((of["distributor"], 5_000_000, b""),))
    assert not chain.run(gold).applied
    said = Attest(of["gold-auditor"], "gold", "USDKG", 5_000_000, chain.ledger.timestamp_ms, 0, b"e" * 32, b"")
    assert chain.run(said, gold).applied
    assert chain.ledger.audit() == {1: 1_000, 2: 300, 3: 5_000_000}


def test_a_genesis_is_never_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text("mine")
    made = make(tmp_path, described())
    assert made.exit_code == 7
    assert (tmp_path / "genesis.json").read_text() == "mine"


def test_the_model_itself_makes_no_genesis_before_its_keys_are_filled_in(tmp_path: Path) -> None:
    made = make(tmp_path, MODEL.read_text())
    assert made.exit_code == 7
    assert "validators[0].consensus_key" in made.output
    assert not (tmp_path / "genesis.json").exists()


def replaced(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return change


TWICE = key_of("bank-09 1").public.hex()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced('kind = "pilot"', 'kind = "devnet"'), "kind"),
        (replaced("+06:00", ""), "time: expected an offset"),
        (replaced("network = 417002", "network = 4294967296"), "network: expected 1..4294967295"),
        (replaced("network = 417002", "network = -1"), "network"),
        (replaced("network = 417002", "network = true"), "network"),
        (replaced("network = 417002", "net = 1"), "net"),
        (replaced("participant = 109", "participant = 108"), "stands twice"),
        (replaced("participant = 109", "participant = 0"), "participant 0, serial 0"),
        (replaced("participant = 109", "participant = 10000"), "participant"),
        (replaced('name = "bank-09"', 'name = "bank-08"'), "stands twice"),
        (replaced(key_of("bank-09 2").public.hex(), TWICE), "none twice"),
        (replaced("threshold = 2", "threshold = 4"), "reach the threshold"),
        (replaced("threshold = 2", "threshold = 0"), "threshold: expected 1.."),
        (replaced('issuer = "som-issuer"', 'issuer = "nobody"'), "assets[code=SOM].issuer: there is no 'nobody'"),
        (replaced('issuer = "som-issuer"', 'issuer = "nbkr"'), "assets[id=1].issuer: expected an account of kind"),
        (replaced("max_supply = 100_", "max_supply = 100_000_000_"), "max_supply"),
        (replaced('"bank", "treasury"', '"bank", "king"'), "assets[code=SOM].holders: there is no 'king'"),
        (replaced('asset = "SOM"', 'asset = "COM"'), "assets[code=KGST].reserve.asset: there is no 'COM'"),
        (replaced('account = "kgst-reserve"', 'account = "treasury"'), "expected an account of kind reserve"),
        (replaced('schema = "gold"', 'schema = "silver"'), "nobody attests it"),
        (replaced("max_age_days = 92", "max_age_days = 0"), "max_age_days"),
        (replaced("ratio_bp = 10_000", "ratio_bp = 0"), "ratio_bp: expected 1.."),
        (replaced('attested = {', 'reserve = { account = "kgst-reserve", asset = "SOM" }\nattested = {'), "not both"),
        (replaced('scale = 6', 'scale = 6\nbasis = "00"'), "basis: expected 64"),
        (replaced('scale = 6', 'scale = 6\nbasis = "xy"'), "basis: expected a SHA-256"),
        (replaced('gold = ["gold-auditor"]', 'gold = ["nobody"]'), "attesters.gold: there is no 'nobody'"),
        (replaced('gold = ["gold-auditor"]', 'Gold = ["gold-auditor"]'), "schema"),
        (lambda text: text + "\n]", "pilot.toml"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    made = make(tmp_path, described(change))
    assert made.exit_code == 7, made.output
    assert message in made.output
    assert not (tmp_path / "genesis.json").exists()


def test_there_must_be_a_description(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["genesis", "make", str(tmp_path / "no.toml"), "--out", str(tmp_path / "g")])
    assert done.exit_code == 7


def test_numbers_of_the_model_are_those_of_its_participants(pilot: Genesis) -> None:
    numbers = {row.name: format_account(row.number) for row in pilot.accounts}
    assert numbers["bank-01"] == format_account(account_number(101, 0))
    assert numbers["nbkr"] == "0001000000000251"
