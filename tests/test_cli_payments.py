"""`som` against a real chain: what it shows, what it pays, and how it ends."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.cli.amounts import format_units, parse_som
from node.cli.texts import TEXTS
from node.client.errors import NotReachable
from node.client.transport import Transport
from node.ledger.account import account_number
from node.ledger.errors import Code
from node.ledger.errors import text as ledger_text
from tests.cli_lab import Som, seed, som_lab
from tests.solo_chain import ALICE, BOB, NOBODY, digits


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def ids(som: Som, *arguments: str) -> str:
    found: str = som.json(*arguments)["tx_id"]
    return found


# Paying


def test_pay_pays_and_says_the_final_state(som: Som) -> None:
    result = som.run("pay", "--from", "alice", "--to", digits(BOB), "12.34")
    assert result.exit_code == 0, result.output
    assert "applied" in result.stdout
    assert "12.34 SOM" in result.stderr
    assert som.balance(BOB) == 1_234


def test_data_goes_to_stdout_and_words_to_stderr(som: Som) -> None:
    result = som.run("--json", "pay", "--from", "alice", "--to", "bob", "1")
    value = json.loads(result.stdout)
    assert (value["status"], value["final"], value["code"], value["name"]) == ("applied", True, 0, "APPLIED")
    assert result.stderr


@pytest.mark.parametrize("amount", ["1.234", "0", "0.00", "-1", "1,5", "1e3", "", "abc", "01", "١", "1 000"])
def test_an_amount_that_is_not_som_with_two_decimals_is_a_usage_error(som: Som, amount: str) -> None:
    result = som.run("pay", "--from", "alice", "--to", "bob", "--", amount)
    assert result.exit_code == 2
    assert som.balance(BOB) == 0


@pytest.mark.parametrize("number", ["0011000000010058", "11", "nobody-known"])
def test_an_account_that_does_not_check_is_a_usage_error(som: Som, number: str) -> None:
    assert som.run("pay", "--from", "alice", "--to", number, "1").exit_code == 2


def test_a_refusal_of_the_ledger_ends_with_4_and_its_name(som: Som) -> None:
    result = som.run("pay", "--from", "alice", "--to", "bob", "100000000")
    assert result.exit_code == 4
    assert "INSUFFICIENT" in result.stderr
    assert som.run("pay", "--from", "alice", "--to", digits(NOBODY), "1").exit_code == 4


def test_no_node_ends_with_5(som: Som) -> None:
    dead = "http://127.0.0.1:1"
    assert som.run("status", url=dead).exit_code == 5
    assert som.run("pay", "--from", "alice", "--to", "bob", "1", "--timeout", "0", url=dead).exit_code == 5


def test_a_time_out_ends_with_6_and_the_line_that_finds_out(som: Som) -> None:
    som.chain.hold = True
    result = som.run("--json", "pay", "--from", "alice", "--to", "bob", "1", "--timeout", "0.1")
    assert result.exit_code == 6
    value = json.loads(result.stdout)
    assert (value["status"], value["final"]) == ("pending", False)
    line = f"som tx wait {value['tx_id']}"
    assert line in result.stderr
    som.on_chain(lambda chain: chain.release())
    assert som.run(*line.split()[1:]).exit_code == 0
    assert som.balance(BOB) == 100


def test_what_may_be_on_the_wire_ends_with_6_and_the_line_though_no_reply_came(
    som: Som, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Transport.call

    async def deaf(self: Transport, method: str, *more: Any, **named: Any) -> Any:
        found = await call(self, method, *more, **named)
        if method == "tx_submitMany":
            raise NotReachable("the line is cut")
        return found

    monkeypatch.setattr(Transport, "call", deaf)
    result = som.run("--json", "pay", "--from", "alice", "--to", "bob", "1", "--timeout", "0.3")
    monkeypatch.undo()
    assert result.exit_code == 6, result.output
    line = f"som tx wait {json.loads(result.stdout)['tx_id']}"
    assert line in result.stderr
    assert "the line is cut" in result.stderr
    assert som.run(*line.split()[1:]).exit_code == 0
    assert som.balance(BOB) == 100


def test_who_breaks_off_a_payment_is_told_what_is_on_the_wire(som: Som) -> None:
    som.chain.hold = True

    def break_off() -> None:
        while not som.chain.waiting:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    breaking = threading.Thread(target=break_off)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of pytest-xdist ignores it
    try:
        breaking.start()
        result = som.run("pay", "--from", "alice", "--to", "bob", "1", "--timeout", "600")
        breaking.join()
    finally:
        signal.signal(signal.SIGINT, before)
    (tx_id,) = som.chain.waiting
    assert (result.exit_code, f"som tx wait {tx_id.hex()}" in result.stderr) == (6, True)
    som.on_chain(lambda chain: chain.release())
    assert som.run("tx", "wait", tx_id.hex()).exit_code == 0
    assert som.balance(BOB) == 100


def test_a_node_of_another_network_is_not_asked_what_became_of_a_payment(som: Som, tmp_path: Path) -> None:
    som.chain.hold = True
    paying = ("pay", "--from", "alice", "--to", "bob", "1", "--once", "invoice 42", "--timeout", "0.1")
    assert som.run(*paying).exit_code == 6
    (tx_id,) = (each.hex() for each in som.chain.waiting)
    with som_lab(tmp_path / "other", demo=True) as other:
        told = som.run("tx", "wait", tx_id, url=other.url)
        assert (told.exit_code, tx_id in told.stderr) == (7, True)
        assert som.run(*paying, url=other.url).exit_code == 7
    som.on_chain(lambda chain: chain.release())
    assert som.run(*paying).exit_code == 0
    assert som.balance(BOB) == 100


def test_a_missing_key_ends_with_7(som: Som) -> None:
    (som.home / "accounts.json").write_text('{"accounts": []}')
    assert som.run("pay", "--from", digits(ALICE), "--to", digits(BOB), "1").exit_code == 7


def test_under_one_purpose_nothing_is_paid_twice(som: Som) -> None:
    for _ in range(3):
        assert som.run("pay", "--from", "alice", "--to", "bob", "1", "--once", "invoice 42").exit_code == 0
    assert som.balance(BOB) == 100


def test_under_one_reference_nothing_is_paid_twice(som: Som) -> None:
    assert som.run("pay", "--from", "alice", "--to", "bob", "1", "--ref", "INV-42").exit_code == 0
    again = som.run("pay", "--from", "alice", "--to", "bob", "1", "--ref", "INV-42")
    assert again.exit_code == 4
    assert "DUPLICATE_REF" in again.stderr
    assert som.balance(BOB) == 100


@pytest.mark.parametrize("option", ["--ref", "--once"])
def test_bytes_that_are_not_utf_8_are_a_usage_error(som: Som, option: str) -> None:
    ended = som.run("pay", "--from", "alice", "--to", "bob", "1", option, "\udcff")
    assert (ended.exit_code, TEXTS["not_utf8"].en in ended.stderr) == (2, True)
    assert som.chain.submissions == 0


def test_issue_and_redeem_change_what_is_issued(som: Som) -> None:
    before = int(som.json("rpc", "supply_get")["supply"])
    assert som.run("issue", "--from", "issuer", "--to", "treasury", "10").exit_code == 0
    assert int(som.json("rpc", "supply_get")["supply"]) == before + 1_000
    assert som.run("redeem", "--from", "treasury", "--to", "issuer", "4").exit_code == 0
    assert int(som.json("rpc", "supply_get")["supply"]) == before + 600
    assert som.run("issue", "--from", "issuer", "--to", "alice", "1").exit_code == 4


def test_a_key_file_signs_with_its_passphrase(som: Som) -> None:
    phrase = som.home / "phrase"
    phrase.write_text("correct horse battery\n")
    file = str(som.home / "keys" / "alice.json")
    made = som.json("key", "import", file, "--passphrase-file", str(phrase), typed=seed("alice").hex())
    assert made["use"] == "operator"
    (som.home / "accounts.json").write_text('{"accounts": []}')
    paying = ("pay", "--from", digits(ALICE), "--to", digits(BOB), "1", "--key", file)
    assert som.run(*paying, "--passphrase-file", str(phrase)).exit_code == 0
    assert som.run(*paying, typed="correct horse battery\n").exit_code == 0
    assert som.run(*paying, typed="wrong horse battery\n").exit_code == 7
    assert som.balance(BOB) == 200


# Looking


def test_status_says_where_the_network_is(som: Som) -> None:
    result = som.run("status")
    assert result.exit_code == 0
    for part in ("solo", "2 000 000.00 SOM", som.chain.genesis.hash.hex()):
        assert part in result.stdout
    value = som.json("status")
    assert value["info"]["height"] == som.chain.store.tip.height


def test_an_account_is_shown_and_verified_from_the_genesis(som: Som) -> None:
    result = som.run("account", "show", "alice", "--genesis", str(som.home / "genesis.json"))
    assert result.exit_code == 0, result.output
    assert "proof is verified" in result.stderr
    value = som.json("account", "show", digits(ALICE), "--genesis", str(som.home / "genesis.json"))
    assert value["proven"]["balance"] == value["account"]["holdings"][0]["balance"] == "100000"


def test_an_account_that_is_not_there_ends_with_1(som: Som) -> None:
    result = som.run("account", "show", digits(NOBODY))
    assert result.exit_code == 1
    assert "not_found" in result.stderr


def test_a_statement_goes_on_at_its_cursor(som: Som) -> None:
    som.on_chain(lambda chain: chain.execute([chain.pay("bank", ALICE, amount) for amount in (1, 2, 3)]))
    first = som.json("account", "history", "alice", "--limit", "3")
    second = som.json("account", "history", "alice", "--limit", "3", "--cursor", first["next_cursor"])
    assert [entry["number"] for entry in (*first["entries"], *second["entries"])] == [3, 2, 1, 0]
    shown = som.run("account", "history", "alice", "--limit", "3")
    assert f"--cursor {first['next_cursor']}" in shown.stderr


def test_an_account_number_is_made_with_its_check_digits(som: Som) -> None:
    assert som.json("account", "new", "--participant", "11", "--serial", "7")["account"] == digits(
        account_number(11, 7)
    )


def test_a_bank_opens_a_wallet_that_is_then_paid(som: Som) -> None:
    number = digits(account_number(11, 7))
    owner = som.json("key", "new", str(som.home / "keys" / "owner.json"), "--devnet")["public"]
    secret = som.home / "secret"
    secret.write_bytes(b"s" * 32)
    opened = som.run(
        "account", "open", number, "--by", "bank", "--owner", owner, "--secret-file", str(secret),
        "--identity", "12345678901234",
    )  # fmt: skip
    assert opened.exit_code == 0, opened.output
    assert som.run("pay", "--from", "alice", "--to", number, "1").exit_code == 0
    view = som.json("account", "show", number)["account"]
    assert (view["kind"], view["keys"][0]["key"], view["holdings"][0]["balance"]) == ("person", owner, "100")
    again = som.run("account", "open", number, "--by", "bank", "--owner", owner, "--commitment", "ab" * 32)
    assert again.exit_code == 4
    assert "EXISTS" in again.stderr


def test_a_short_secret_is_refused_because_it_could_be_guessed(som: Som) -> None:
    secret = som.home / "secret"
    secret.write_bytes(b"short")
    opened = som.run(
        "account", "open", digits(account_number(11, 7)), "--by", "bank", "--owner", "ab" * 32,
        "--secret-file", str(secret), "--identity", "12345678901234",
    )  # fmt: skip
    assert opened.exit_code == 7


def test_a_transaction_is_shown_decoded_and_sent_again_without_harm(som: Som) -> None:
    tx_id = ids(som, "pay", "--from", "alice", "--to", "bob", "1", "--ref", "LUNCH")
    shown = som.run("tx", "get", tx_id, "--genesis", str(som.home / "genesis.json"))
    assert shown.exit_code == 0, shown.output
    assert "LUNCH" in shown.stdout
    assert "proof is verified" in shown.stderr
    raw = som.json("tx", "get", tx_id)["transaction"]["raw"]
    decoded = som.json("tx", "decode", raw)
    assert (decoded["tx_id"], decoded["signatures_valid"]) == (tx_id, True)
    file = som.home / "tx.bin"
    file.write_bytes(bytes.fromhex(raw))
    assert ids(som, "tx", "submit", str(file)) == ids(som, "tx", "submit", raw) == tx_id
    assert som.balance(BOB) == 100


def test_a_forged_signature_is_seen(som: Som) -> None:
    tx_id = ids(som, "pay", "--from", "alice", "--to", "bob", "1")
    raw = som.json("tx", "get", tx_id)["transaction"]["raw"]
    forged = raw[:-1] + ("0" if raw[-1] != "0" else "1")
    assert som.run("tx", "decode", forged).exit_code == 4


@pytest.mark.parametrize("text", ["xyz", "AB", "ab", "00" * 33])
def test_an_id_of_another_form_is_a_usage_error(som: Som, text: str) -> None:
    assert som.run("tx", "get", text).exit_code == 2


def test_any_method_can_be_called_with_typed_params(som: Som) -> None:
    block = som.json("rpc", "chain_getBlock", "height=3", "limit=1")
    assert (block["height"], len(block["transactions"])) == (3, 1)
    assert som.json("rpc", "account_get", f"account={digits(ALICE)}")["account"]["account"] == digits(ALICE)
    assert som.json("rpc", "tx_getByRef", f"account={digits(ALICE)}", f"refs={b'x'.hex()}")["payments"] == []
    assert som.run("rpc", "account_get", "acount=1").exit_code == 2
    assert som.run("rpc", "no_such_method").exit_code == 2
    assert som.run("rpc", "chain_getBlock", "height").exit_code == 2


# Languages


@pytest.mark.parametrize(("language", "word"), [("ky", "Бийиктик"), ("ru", "Высота"), ("en", "Height")])
def test_words_are_in_the_language_asked_for(som: Som, language: str, word: str) -> None:
    assert word in som.run("status", "--lang", language).stdout
    assert word in som.run("--lang", language, "status").stdout


def test_the_ledgers_refusal_is_told_in_kyrgyz(som: Som) -> None:
    result = som.run("--lang", "ky", "pay", "--from", "alice", "--to", "bob", "100000000")
    assert f"INSUFFICIENT: {ledger_text(Code.INSUFFICIENT, 'ky')}" in result.stderr


def test_every_text_has_all_languages() -> None:
    for name, words in TEXTS.items():
        assert all(words), name
        assert len(set(words)) > 1, name


# Amounts


@pytest.mark.parametrize(
    ("text", "tyiyn"), [("1", 100), ("0.01", 1), ("1250.5", 125_050), ("92233720368547758.07", 2**63 - 1)]
)
def test_som_are_read_exactly(text: str, tyiyn: int) -> None:
    assert parse_som(text) == tyiyn


@pytest.mark.parametrize("text", ["92233720368547758.08", "100000000000000000", "1.", ".5", "+1", "1.001", "1\n"])
def test_what_can_not_be_exact_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_som(text)


def test_amounts_are_written_in_groups() -> None:
    assert format_units(-123_456_789) == "-1 234 567.89"
    assert (format_units(5), format_units(7, 0), format_units(0)) == ("0.05", "7", "0.00")
