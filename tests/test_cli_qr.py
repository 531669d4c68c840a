"""`som qr`: codes are drawn, read and paid, and what a code fixes is not changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.qr.link import Kind, Link, format_link
from tests.cli_lab import Som, prompt_left_open, som_lab
from tests.solo_chain import ALICE, BOB, SHOP, SoloChain, digits
from tests.test_qr import REAL


@pytest.fixture
def som(tmp_path: Path) -> Iterator[Som]:
    with som_lab(tmp_path) as found:
        yield found


def drawn(som: Som, *more: str) -> str:
    value = som.json("qr", "draw", "--to", digits(SHOP), "--name", "Нан дүкөнү", *more)
    link: str = value["link"]
    return link


def later(som: Som) -> None:
    async def pass_window(chain: SoloChain) -> None:
        chain.now_ms += 11 * 60_000
        await chain.add_block(())
        await chain.add_block(())

    som.on_chain(pass_window)


def test_a_static_code_is_paid_with_the_payers_amount(som: Som) -> None:
    link = drawn(som)
    assert som.json("qr", "read", link)["account"] == digits(SHOP)
    before = som.balance(SHOP)
    for amount in ("10", "20.50"):
        som.json("qr", "pay", link, "--from", "alice", "--amount", amount)
    assert som.balance(SHOP) == before + 30_50
    asked = som.run("qr", "pay", link, "--from", "alice")
    assert (asked.exit_code, "--amount" in asked.output) == (2, True)


def test_an_amount_that_is_fixed_is_paid_as_it_is(som: Som) -> None:
    link, before = drawn(som, "--amount", "12.50"), som.balance(SHOP)
    other = som.run("qr", "pay", link, "--from", "alice", "--amount", "1", "--lang", "ru")
    assert (other.exit_code, "12.50" in other.output) == (2, True)
    som.json("qr", "pay", link, "--from", "alice", "--amount", "12.50")
    som.json("qr", "pay", link, "--from", "alice")
    assert som.balance(SHOP) == before + 25_00


def test_an_editable_amount_may_be_another(som: Som) -> None:
    link, before = drawn(som, "--amount", "12.50", "--editable"), som.balance(SHOP)
    som.json("qr", "pay", link, "--from", "alice", "--amount", "15")
    assert som.balance(SHOP) == before + 15_00


def test_a_dynamic_code_is_paid_once_and_leaves_its_reference(som: Som) -> None:
    link, before = drawn(som, "--amount", "5", "--invoice", "INV-7"), som.balance(SHOP)
    som.json("qr", "pay", link, "--from", "alice")
    again = som.run("qr", "pay", link, "--from", "alice")
    assert again.exit_code == 4, again.output
    later(som)  # the ledger's own memory of references has ended
    assert som.run("qr", "pay", link, "--from", "alice").exit_code == 4
    assert som.balance(SHOP) == before + 5_00
    assert som.json("account", "history", digits(SHOP))["entries"][0]["ref"] == b"INV-7".hex()


def test_a_code_that_is_paid_elsewhere_while_the_passphrase_is_typed_is_not_paid_again(
    som: Som, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, before = drawn(som, "--amount", "5", "--invoice", "INV-7"), som.balance(SHOP)

    async def elsewhere(chain: SoloChain) -> None:
        await chain.execute([chain.pay("alice", SHOP, 5_00, b"INV-7", once=True)])

    file = prompt_left_open(som, monkeypatch, elsewhere)
    assert som.run("qr", "pay", link, "--from", "alice", "--key", file).exit_code == 4
    assert som.balance(SHOP) == before + 5_00


@pytest.mark.parametrize("name", REAL)
def test_a_code_of_another_provider_is_read_and_not_paid(som: Som, name: str) -> None:
    read = som.json("qr", "read", REAL[name])
    assert (read["account"], read["payee"] is not None) == (None, True)
    result = som.run("qr", "pay", REAL[name], "--from", "alice", "--amount", "1", "--lang", "en")
    assert (result.exit_code, "another provider" in result.output) == (4, True)
    assert som.chain.submissions == 0


def test_a_number_of_another_provider_that_looks_like_an_account_is_none(som: Som) -> None:
    link = format_link(Link(Kind.STATIC, "qr.bank.kg", "Shop", "5411", payee=digits(SHOP), amount=1_00))
    assert som.json("qr", "read", link)["account"] is None
    assert som.run("qr", "pay", link, "--from", "alice").exit_code == 4
    assert som.chain.submissions == 0


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_a_damaged_code_is_refused_in_every_language(som: Som, language: str) -> None:
    result = som.run("qr", "read", drawn(som)[:-1] + "x", "--lang", language)
    assert (result.exit_code, "CHECKSUM" in result.output) == (4, True)


def test_a_code_is_drawn_as_a_picture(som: Som) -> None:
    for kind, magic in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        path = som.home / f"code.{kind}"
        drawn(som, "--out", str(path))
        assert path.read_bytes().startswith(magic)
    assert som.run("qr", "draw", "--to", "alice", "--name", "A", "--out", "code.gif").exit_code == 2


def test_a_link_comes_through_a_pipe(som: Som) -> None:
    result = som.run("qr", "read", "-", "--json", typed=drawn(som, "--amount", "7") + "\n")
    assert (result.exit_code, '"amount": "700"' in result.stdout) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--name", "x" * 26),
        ("--name", "x", "--category", "12"),
        ("--name", "x", "--amount", "1.005"),
        ("--name", "x", "--invoice", "I"),
        ("--name", "x", "--amount", "1", "--invoice", "ы" * 20),
        ("--name", "x", "--amount", "999999999999.99"),
    ],
)
def test_what_makes_no_code_is_a_usage_error(som: Som, wrong: tuple[str, ...]) -> None:
    assert som.run("qr", "draw", "--to", digits(ALICE), *wrong).exit_code == 2


def test_one_invoice_number_of_two_shops_is_not_taken_for_one_payment(som: Som) -> None:
    links = [
        som.json("qr", "draw", "--to", digits(payee), "--name", "N", "--amount", "1", "--invoice", "1")["link"]
        for payee in (SHOP, BOB)
    ]
    som.json("qr", "pay", links[0], "--from", "alice")
    soon = som.run("qr", "pay", links[1], "--from", "alice")  # the ledger's own rule: one reference a payer and window
    assert (soon.exit_code, "DUPLICATE_REF" in soon.output) == (4, True)
    later(som)
    before = som.balance(BOB)
    som.json("qr", "pay", links[1], "--from", "alice")
    assert som.balance(BOB) == before + 1_00
