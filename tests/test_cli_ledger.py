"""`som` for the whole ledger: holds, receipts, assets, attestations, orders, recoveries, parameters, statements."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from node.cli.prepared import Prepared, file_of
from node.cli.texts import TEXTS
from node.client.client import Client
from node.ledger.account import Kind, account_number
from node.ledger.holds import Condition, holds_of_payer
from node.ledger.parameters import DAY_MS
from node.ledger.pay import Pay
from node.ledger.records import Records
from node.ledger.versions import NEWEST
from tests.cli_lab import Som, seed, som_lab
from tests.solo_chain import (
    ALICE,
    BANK,
    BOB,
    CENTRAL,
    DEVICE,
    ENFORCER,
    OTHER_BANK,
    SHOP,
    START_MS,
    SoloChain,
    digits,
    key,
)


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


@pytest.fixture
def basis(tmp_path: Path) -> str:
    path = tmp_path / "decision.pdf"
    path.write_bytes(b"decision 17")
    return str(path)


def words(som: Som, *arguments: str) -> str:
    """Run a command that succeeds, for people; return its table."""
    result = som.run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def ends(som: Som, code: int, name: str, *arguments: str) -> None:
    """Run a command that fails: the exit code, and a word of why."""
    result = som.run(*arguments)
    assert (result.exit_code, name in result.output) == (code, True), result.output


def make_hold(som: Som, *more: str, amount: str = "200") -> str:
    made = som.json("hold", "make", "--from", "alice", "--until", "+24h", amount, *more)
    found: str = made["hold"]
    return found


# Holds


def test_a_hold_is_made_shown_settled_and_its_rest_given_back(som: Som) -> None:
    name = make_hold(som, "--by", "device", "--ref", "PURSE", "--category", "5411", "--revocable")
    (listed,) = som.json("hold", "list", "alice")["holds"]
    assert (listed["id"], listed["left"], listed["by"], listed["to"]) == (name, "20000", digits(DEVICE), None)
    assert listed["condition"] == {"categories": [5411], "revocable": True}
    assert som.json("hold", "list", "device", "--role", "settler")["holds"] == [listed]
    assert som.json("hold", "list", "shop", "--role", "payee")["holds"] == []
    assert "200.00 SOM" in words(som, "hold", "list", "alice")
    assert words(som, "hold", "settle", name, "50", "--by", "device", "--to", "shop")
    assert "150.00 SOM" in words(som, "hold", "show", name)
    assert words(som, "hold", "settle", name, "30.50", "--by", "device", "--to", "shop", "--close")
    assert som.balance(SHOP) == 80_50
    account = som.chain.ledger.account(ALICE)
    assert account is not None
    assert (account.balance(), account.held()) == (1_000_00 - 80_50, 0)
    ends(som, 1, TEXTS["no_hold"].en, "hold", "show", name)
    ends(som, 1, TEXTS["no_hold"].en, "hold", "settle", name, "1", "--by", "device")


def test_a_hold_is_voided_by_whom_its_terms_let(som: Som) -> None:
    kept, revocable = make_hold(som, "--by", "bank"), make_hold(som, "--by", "bank", "--revocable")
    ends(som, 4, "ROLE", "hold", "void", kept, "--by", "alice")
    assert words(som, "hold", "void", revocable, "--by", "alice")
    assert words(som, "hold", "void", kept, "--by", "bank")
    assert som.json("hold", "list", "alice")["holds"] == []


def test_a_hold_opens_to_who_has_the_secret(som: Som, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"sesame")
    lock = sha256(b"sesame").hexdigest()
    first = make_hold(som, "--to", "bob", "--lock", lock)
    second = make_hold(som, "--to", "bob", "--secret-file", str(secret))
    ends(som, 4, "SECRET", "hold", "settle", first, "200", "--by", "bob")
    for name in (first, second):
        assert words(som, "hold", "settle", name, "200", "--by", "bob", "--secret-file", str(secret))
    assert som.balance(BOB) == 400_00


def test_terms_reach_the_ledger_as_they_are_typed(som: Som) -> None:
    make_hold(
        som, "--by", "bank", "--to", "shop", "--not-before", "2026-10-01T12:00", "--needs", "delivered", "№ 7",
        "--category", "5912", "--category", "5411", "--until", "2026-12-31T18:00",
    )  # fmt: skip
    ((_, hold),) = holds_of_payer(Records(som.chain.store), ALICE, 1)
    noon_ms = 1_790_834_400_000  # 1 October 2026, 12:00 in Bishkek
    assert hold.condition == Condition(b"", (5411, 5912), noon_ms, "delivered", "№ 7", False)
    assert (hold.to, hold.until_ms) == (SHOP, noon_ms + 91 * DAY_MS + 6 * 3_600_000)


def test_a_hold_is_proven_from_the_genesis_and_so_is_that_none_is_open(som: Som) -> None:
    name = make_hold(som, "--by", "bank")
    genesis = str(som.home / "genesis.json")
    shown = som.run("hold", "show", name, "--genesis", genesis)
    assert (shown.exit_code, TEXTS["verified"].en in shown.stderr, "200.00 SOM" in shown.stdout) == (0, True, True)
    gone = som.run("hold", "show", "00" * 16, "--genesis", genesis)
    assert (gone.exit_code, TEXTS["verified"].en in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["make", "--from", "alice", "--until", "+24h", "1"],
        ["make", "--from", "alice", "--until", "soon", "--by", "bank", "1"],
        ["make", "--from", "alice", "--until", "+24h", "--by", "bank", "1.234"],
        ["make", "--from", "alice", "--until", "+24h", "--by", "bank", "--asset", "77", "1"],
        ["make", "--from", "alice", "--until", "+24h", "--by", "bank", "--lock", "ab", "1"],
        ["settle", "zz", "1", "--by", "bank"],
        ["show", "ab"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(som: Som, arguments: list[str]) -> None:
    assert som.run("hold", *arguments).exit_code == 2


# Receipts


@pytest.fixture
def purse(som: Som) -> str:
    """Alice's device may pay 200 som to merchants."""
    return make_hold(som, "--by", "device", "--category", "5411")


def receipt(som: Som, hold: str, amount: str, *more: str) -> str:
    genesis = str(som.home / "genesis.json")
    dead = ("--node", "http://127.0.0.1:1")  # no network
    made = som.json(
        "receipt", "make", hold, amount, "--device", "device", "--to", "shop", "--genesis", genesis, *more, *dead
    )
    text: str = made["receipt"]
    return text


@pytest.fixture
def same_clock(som: Som, monkeypatch: pytest.MonkeyPatch) -> None:
    """The purse's clock is the chain's: that of this computer is another time."""
    monkeypatch.setattr("node.cli.receipts.unix_ms", lambda: som.chain.now_ms)


@pytest.mark.usefixtures("same_clock")
def test_a_purse_pays_offline_and_the_merchant_settles_later_once(som: Som, purse: str, tmp_path: Path) -> None:
    text = receipt(som, purse, "12.50", "--out", str(tmp_path / "r.txt"), "--qr", str(tmp_path / "r.svg"))
    assert text.startswith(f"SOM1:{som.chain.genesis.hash.hex()[:8].upper()}:")
    assert (tmp_path / "r.txt").read_text() == text + "\n"
    assert (tmp_path / "r.svg").read_bytes().startswith(b"<?xml")
    genesis = ("--genesis", str(som.home / "genesis.json"))
    shown = som.json("receipt", "show", text, *genesis, "--node", "http://127.0.0.1:1")
    assert (shown["amount"], shown["to"], shown["hold"]) == ("1250", digits(SHOP), purse)
    for source in (text, str(tmp_path / "r.txt"), text):
        assert som.json("receipt", "settle", source, *genesis)["status"] == "applied"
    assert som.balance(SHOP) == 12_50


@pytest.mark.usefixtures("same_clock")
def test_a_purse_that_signs_more_than_it_has_pays_who_comes_first(som: Som, purse: str) -> None:
    first, second = receipt(som, purse, "150"), receipt(som, purse, "150")
    genesis = ("--genesis", str(som.home / "genesis.json"))
    assert som.run("receipt", "settle", second, *genesis).exit_code == 0
    ends(som, 4, "EXCEEDS_HOLD", "receipt", "settle", first, *genesis)
    assert som.balance(SHOP) == 150_00


@pytest.mark.usefixtures("same_clock")
def test_no_character_of_a_receipt_can_be_changed(som: Som, purse: str) -> None:
    from node.cli.receipts import parse_receipt

    text = receipt(som, purse, "1")
    genesis = som.chain.genesis
    assert parse_receipt(text, genesis) is not None
    for at in range(len(text)):
        for other in "09AFaf:Z":
            if text[at] != other:
                assert parse_receipt(text[:at] + other + text[at + 1 :], genesis) is None, at
    for size in range(len(text)):
        assert parse_receipt(text[:size], genesis) is None
    ends(som, 4, TEXTS["bad_receipt"].en, "receipt", "show", text[:-2], "--genesis", str(som.home / "genesis.json"))


@pytest.mark.usefixtures("same_clock")
def test_a_transaction_that_is_no_payment_from_a_hold_is_no_receipt(som: Som) -> None:
    from node.cli.receipts import format_receipt, parse_receipt

    pay = som.chain.pay("alice", BOB, 1)
    assert parse_receipt(format_receipt(pay, som.chain.genesis.hash), som.chain.genesis) is None


@pytest.mark.usefixtures("same_clock")
def test_an_expired_receipt_says_so(som: Som, purse: str) -> None:
    text = receipt(som, purse, "1", "--expires-in", "1")
    som.chain.now_ms += 3_600_001
    ends(som, 4, TEXTS["expired"].en, "receipt", "show", text, "--genesis", str(som.home / "genesis.json"))


# Assets and attestations


def test_an_asset_is_registered_issued_suspended_and_shows_what_covers_it(som: Som, basis: str) -> None:
    registered = som.run(
        "asset", "register", "9", "TEST", "--by", "registrar", "--issuer", "spare-issuer", "--scale", "3",
        "--max-supply", "1000.5", "--schema", "gold", "--max-age", "1d", "--mint-to", "bank", "--basis", basis,
    )  # fmt: skip
    assert registered.exit_code == 0, registered.output
    ends(som, 4, "EXISTS", "asset", "register", "9", "TEST", "--by", "registrar", "--issuer", "spare-issuer",
         "--max-supply", "1", "--basis", basis)  # fmt: skip
    found = som.json("asset", "show", "TEST")["asset"]
    assert (found["max_supply"], found["mint_to"], found["terms"]["schema"]) == ("1000500", ["bank"], "gold")
    assert found["cover"] == {"value": None, "supply_max": None, "coverage_bp": None, "attestation": None}
    som.json("attest", "make", "gold", "TEST", "400000", "--by", "auditor", "--evidence", basis)
    shown = som.json("asset", "show", "9")
    assert (shown["asset"]["cover"]["value"], shown["asset"]["cover"]["supply_max"]) == ("400000", "400000")
    som.json("asset", "status", "test", "suspended", "--by", "registrar", "--basis", basis)
    shown = som.json("asset", "show", "9")
    assert [change["status"] for change in shown["changes"]] == ["suspended", "registered"]
    assert shown["changes"][0]["basis"] == sha256(b"decision 17").hexdigest()
    assert "suspended" in words(som, "asset", "list")
    assert "TEST" in words(som, "asset", "show", "9", "--lang", "ky")
    ends(som, 2, TEXTS["no_such_asset"].en, "asset", "show", "NONE")


def test_coverage_is_shown_in_percent(som: Som) -> None:
    som.on_chain(lambda chain: chain.act())
    listed = {row["code"]: row for row in som.json("asset", "list")["assets"]}
    assert (listed["KGST"]["supply"], listed["KGST"]["cover"]["value"]) == ("200000", "300000")
    assert listed["KGST"]["cover"]["coverage_bp"] == 15_000
    assert listed["USDKG"]["cover"]["coverage_bp"] == 20_000
    assert "150.00 %" in words(som, "asset", "show", "KGST")


def test_who_attests_sees_what_it_replaces_and_can_take_it_back(som: Som, basis: str) -> None:
    first = som.json("attest", "make", "delivered", "№ 7", "1", "--by", "auditor", "--evidence", basis)["attestation"]
    again = som.run("attest", "make", "delivered", "№ 7", "2", "--by", "auditor", "--evidence", basis, "--json")
    assert first in again.stderr
    second = json.loads(again.stdout)["attestation"]
    states = {row["id"]: (row["value"], row["current"]) for row in
              som.json("attest", "list", "delivered", "№ 7")["attestations"]}  # fmt: skip
    assert states == {first: ("1", False), second: ("2", True)}
    assert [row["id"] for row in som.json("attest", "list", "delivered")["attestations"]] == [second]
    assert words(som, "attest", "revoke", second, "--by", "auditor")
    assert som.json("attest", "show", second)["revoked_by"] is not None
    assert som.json("attest", "list", "delivered")["attestations"] == []
    ends(som, 4, "ROLE", "attest", "make", "delivered", "№ 7", "1", "--by", "bank", "--evidence", basis)


# Orders


def test_orders_of_an_authority_with_the_central_banks_word(som: Som, basis: str) -> None:
    order = ("--by", "enforcer", "--basis", basis)
    assert words(som, "order", "freeze", "bob", "--number", "1/26", "--incoming", *order)
    ends(som, 4, "PAYEE_BLOCKED", "pay", "--from", "alice", "--to", "bob", "1")
    ends(som, 4, "SECOND_APPROVAL", "order", "unfreeze", "--number", "1/26", *order)
    assert words(som, "order", "unfreeze", "--number", "1/26", "--with", "central", *order)
    held = som.json("order", "arrest", "alice", "300", "--number", "2/26", "--with", "central", *order)["hold"]
    assert som.json("hold", "show", held)["order"] == "2/26"
    assert words(som, "order", "seize", "alice", "800", "--to", "treasury", "--number", "3/26", "--with", "central",
                 *order)  # fmt: skip
    assert words(som, "order", "release", "--number", "2/26", "--with", "central", *order)
    assert som.balance(ALICE) == 200_00
    listed = som.json("order", "list", "--authority", "enforcer")["orders"]
    assert [(row["number"], row["act"], row["stands"]) for row in listed] == [
        ("1/26", "freeze", False), ("2/26", "arrest", False), ("3/26", "seize", False)
    ]  # fmt: skip
    assert som.json("order", "list", "--target", "alice")["orders"] == []
    counts = som.json("order", "count")["counts"]
    assert [(row["act"], row["given"], row["standing"]) for row in counts] == [
        ("freeze", 1, 0), ("arrest", 1, 0), ("seize", 1, 0)
    ]  # fmt: skip
    assert "3/26" in words(som, "order", "list", "--authority", "enforcer")


# Signing on several machines


def key_file(som: Som, name: str) -> tuple[str, str]:
    """Return options that sign with a key file of a person."""
    path = som.home / f"{name}.json"
    phrase = som.home / "phrase"
    phrase.write_text("correct horse battery\n")
    som.json("key", "import", str(path), "--passphrase-file", str(phrase), typed=seed(name).hex())
    return str(path), str(phrase)


def test_two_authorities_sign_one_file_each_on_its_own_machine(som: Som, basis: str, tmp_path: Path) -> None:
    path, phrase = key_file(som, "enforcer")
    central, _ = key_file(som, "central")
    file = str(tmp_path / "order.json")
    prepared = som.json(
        "order", "arrest", digits(BANK), "500", "--by", digits(ENFORCER), "--with", digits(CENTRAL), "--number", "9/26",
        "--basis", basis, "--prepare", file, "--expires-in", "4260", "--key", path, "--passphrase-file", phrase,
    )  # fmt: skip
    assert prepared["missing"] == {digits(CENTRAL): 1}
    assert prepared["expires_ms"] >= START_MS + 4_260 * 60_000
    ends(som, 4, TEXTS["missing"].en, "tx", "submit", file)
    assert som.json("tx", "simulate", file)["name"] == "APPLIED"  # as if all had signed
    offline = ("--node", "http://127.0.0.1:1", "--accounts", str(tmp_path / "none.json"))
    (tmp_path / "none.json").write_text('{"accounts": []}')
    refused = som.run("tx", "sign", file, "--key", central, "--passphrase-file", phrase, *offline, typed="n\n")
    assert (refused.exit_code, "9/26" in refused.stderr) == (1, True)
    genesis = ("--genesis", str(som.home / "genesis.json"))
    signed = som.json("tx", "sign", file, "--yes", "--key", central, "--passphrase-file", phrase, *genesis, *offline)
    assert (signed["missing"], signed["tx_id"]) == ({}, prepared["tx_id"])
    assert som.json("tx", "simulate", file)["name"] == "APPLIED"
    assert som.json("tx", "decode", file)["signatures_valid"] is True
    assert som.json("tx", "submit", file)["status"] == "applied"
    assert som.json("tx", "submit", file)["status"] == "applied"
    assert [row["number"] for row in som.json("order", "list", "--target", "bank")["orders"]] == ["9/26"]


def test_who_signs_is_shown_every_leg_and_the_total_and_other_assets_in_minor_units(som: Som, tmp_path: Path) -> None:
    wallets = sorted(account_number(11, 200 + serial) for serial in range(24))
    legs = tuple((wallet, 1_00 + index, b"") for index, wallet in enumerate(wallets))
    operations = [Pay(2, ALICE, ((BOB, 2_000_00, b"RENT"),)), Pay(1, ALICE, legs, partial=True)]

    async def prepared(chain: SoloChain) -> Prepared:
        async with Client([som.url]) as client:
            body = await client.prepare([ALICE], operations)
            return file_of(await client.info(), body, [await client.account(ALICE)])

    file = tmp_path / "many.json"
    file.write_text(json.dumps(to_builtins(som.on_chain(prepared))))
    path, phrase = key_file(som, "alice")
    offline = ("--node", "http://127.0.0.1:1", "--key", path, "--passphrase-file", phrase)
    shown = som.run("tx", "sign", str(file), *offline, typed="n\n").stderr
    assert [wallet for wallet in wallets if digits(wallet) not in shown] == []
    total = ("Payments: 24, Total: 26.76 SOM", "partial True", "once False")
    other = (f"→ {digits(BOB)}  200000 minor units of asset 2  RENT", "asset 2, payer")
    assert [part for part in (*total, *other) if part not in shown] == []
    assert "000.00 SOM" not in shown
    assert "200000 minor units of asset 2" in som.run("tx", "decode", str(file)).stdout


def test_a_key_of_none_of_the_accounts_signs_nothing(som: Som, tmp_path: Path) -> None:
    path, phrase = key_file(som, "alice")
    file = str(tmp_path / "move.json")
    som.json("account", "move", "bob", "--to", "other-bank", "--prepare", file)
    before = Path(file).read_text()
    ends(som, 7, TEXTS["key_of_none"].en, "tx", "sign", file, "--yes", "--key", path, "--passphrase-file", phrase)
    assert Path(file).read_text() == before


@pytest.mark.parametrize("field", ["body", "accounts", "signatures", "genesis_hash"])
def test_a_file_that_was_changed_on_the_way_is_refused(som: Som, tmp_path: Path, field: str) -> None:
    file = tmp_path / "move.json"
    som.json("account", "move", "bob", "--to", "other-bank", "--prepare", str(file))
    value: dict[str, Any] = json.loads(file.read_text())
    if field == "accounts":
        value["accounts"][0]["account"] = digits(ALICE)
    elif field == "signatures":
        value["signatures"][0]["signature"] = "00" * 64
    elif field == "body":
        value["body"] = value["body"][:-2] + "00"
    else:
        value["genesis_hash"] = "00" * 32
    file.write_text(json.dumps(value))
    assert som.run("tx", "submit", str(file)).exit_code in (4, 7)
    assert som.run("tx", "sign", str(file), "--yes").exit_code in (4, 7)


def test_a_dry_run_says_what_would_be_and_changes_nothing(som: Som, tmp_path: Path) -> None:
    file, poor = str(tmp_path / "hold.json"), str(tmp_path / "poor.json")
    som.json("hold", "make", "--from", "alice", "--by", "bank", "--until", "+1h", "5", "--prepare", file)
    som.json("hold", "make", "--from", "bob", "--by", "bank", "--until", "+1h", "5", "--prepare", poor)
    assert som.json("tx", "simulate", file)["name"] == "APPLIED"
    ends(som, 4, "INSUFFICIENT", "tx", "simulate", poor)
    assert som.json("hold", "list", "alice")["holds"] == []
    account = som.chain.ledger.account(ALICE)
    assert account is not None
    assert account.held() == 0


# Accounts


def test_a_lost_key_is_replaced_after_the_delay_unless_the_owner_objects(som: Som) -> None:
    new = key("bob's new").public.hex()
    assert words(som, "account", "recover", "bob", "--by", "bank", "--owner", new)
    shown = som.json("account", "recovery", "bob")["recovery"]
    assert (shown["status"], shown["keys"][0]["key"]) == ("open", new)
    ends(som, 4, "TOO_EARLY", "account", "recovered", "bob", "--by", "bank")
    assert words(som, "account", "cancel-recovery", "bob")
    assert TEXTS["cancelled"].ru in words(som, "account", "recovery", "bob", "--lang", "ru")
    ends(som, 4, "SECOND_APPROVAL", "account", "recover", "bob", "--by", "bank", "--owner", new)
    assert words(som, "account", "recover", "bob", "--by", "bank", "--owner", new, "--with", "central")
    som.chain.now_ms += 60_000
    som.on_chain(lambda chain: chain.add_block(()))
    assert words(som, "account", "recovered", "bob", "--by", "bank")
    assert [row["key"] for row in som.json("account", "show", "bob")["account"]["keys"]] == [new]
    assert som.json("account", "recovery", "bob")["recovery"] is None


def test_an_account_moves_to_another_bank_by_both_words(som: Som) -> None:
    assert words(som, "account", "move", "bob", "--to", "other-bank")
    assert som.json("account", "show", "bob")["account"]["bank"] == digits(OTHER_BANK)


def test_a_statement_is_proven_to_be_whole(som: Som) -> None:
    som.on_chain(lambda chain: chain.act())
    genesis = ("--verify", str(som.home / "genesis.json"))
    found = som.json("account", "statement", "alice", *genesis)
    assert [entry["amount"] for entry in found["entries"]] == ["100000", "200000"]
    assert found["balances"] == {"1": "100000", "2": "200000"}
    assert found["proven"]["certified_by"] > 0
    assert "2 000.00 KGST" in words(som, "account", "statement", "alice", *genesis)
    assert som.json("account", "statement", "bob", *genesis)["entries"] == []
    other = som.home / "other.json"
    other.write_text((som.home / "genesis.json").read_text().replace('"solo"', '"sola"', 1))
    assert som.run("account", "statement", "alice", "--verify", str(other)).exit_code != 0


# Parameters


def test_the_central_bank_demands_the_next_version_of_the_protocol_and_takes_it_back(som: Som) -> None:
    assert f"{NEWEST} (≤ {NEWEST})" in words(som, "status")
    assert words(som, "param", "set", "protocol_version", str(NEWEST + 1), "--from", "central")
    assert f"{NEWEST} → {NEWEST + 1} (≤ {NEWEST})" in words(som, "status")
    shown = {row["name"]: row for row in som.json("param", "list")["parameters"]}
    assert shown["protocol_version"]["version"] == NEWEST + 1
    assert "milliseconds" not in shown["protocol_version"]
    assert words(som, "param", "set", "protocol_version", str(NEWEST), "--from", "central")
    assert som.chain.ledger.parameters.protocol_version == NEWEST
    refused = som.run("param", "set", "protocol_version", str(NEWEST + 2), "--from", "central")
    assert (refused.exit_code, "FIELD" in refused.output) == (4, True)


def test_the_central_bank_sets_a_number_and_a_table(som: Som, tmp_path: Path) -> None:
    assert words(som, "param", "set", "recovery_delay_ms", "120000", "--from", "central")
    shown = {row["name"]: row for row in som.json("param", "list")["parameters"]}
    assert shown["recovery_delay_ms"]["milliseconds"] == 120_000
    rows = shown["attesters"]["attesters"]
    rows[0]["accounts"] = sorted([*rows[0]["accounts"], digits(BANK)])
    table = tmp_path / "attesters.json"
    table.write_text(json.dumps(rows))
    assert words(som, "param", "set", "attesters", str(table), "--from", "central")
    assert som.chain.ledger.parameters.attesters_of("delivered") == tuple(int(each) for each in rows[0]["accounts"])
    for name in ("tiers", "openers"):  # what is shown is what can be set
        table.write_text(json.dumps(shown[name][name]))
        before = getattr(som.chain.ledger.parameters, name)
        assert words(som, "param", "set", name, str(table), "--from", "central")
        assert getattr(som.chain.ledger.parameters, name) == before
    ends(som, 4, "ROLE", "param", "set", "recovery_delay_ms", "120000", "--from", "bank")
    ends(som, 4, "FIELD", "param", "set", "recovery_delay_ms", "1", "--from", "central")
    ends(som, 2, "no such", "param", "set", "speed", "1", "--from", "central")
    ends(som, 2, "MILLISECONDS", "param", "set", "recovery_delay_ms", "soon", "--from", "central")
    table.write_text("[{}]")
    assert som.run("param", "set", "tiers", str(table), "--from", "central").exit_code == 7


def test_a_change_of_what_was_not_seen_is_refused(som: Som, tmp_path: Path) -> None:
    file = str(tmp_path / "param.json")
    som.json("param", "set", "recovery_delay_ms", "120000", "--from", "central", "--prepare", file)
    assert words(som, "param", "set", "recovery_delay_ms", "180000", "--from", "central")
    ends(som, 4, "STALE", "tx", "submit", file)
    assert som.chain.ledger.parameters.recovery_delay_ms == 180_000


# Audit


def test_the_audit_of_a_stopped_node(tmp_path: Path) -> None:
    with som_lab(tmp_path) as som:
        som.on_chain(lambda chain: chain.act())
        home = som.home / "chain"
        (home / "config.toml").write_text('name = "solo"\n')
        (home / "genesis.json").write_text((som.home / "genesis.json").read_text())
        ends(som, 7, "", "audit", "--home", str(home))  # it runs
        height = som.chain.ledger.height
    found = som.json("audit", "--home", str(home))
    assert (found["height"], found["supplies"]) == (
        height,
        {"SOM": "200000000", "KGST": "200000", "USDKG": "500000000"},
    )


def test_every_kind_of_account_can_be_named() -> None:
    from node.cli.values import kinds_of

    assert kinds_of("all", "") == kinds_of(",".join(kind.name.lower() for kind in Kind), "")
    assert kinds_of("bank, treasury", "") == 1 << Kind.BANK | 1 << Kind.TREASURY
