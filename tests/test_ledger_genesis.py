"""Genesis: one meaning, one hash; a wrong value is named by its path."""

import json
from typing import Any

import pytest

from node.ledger.account import Kind, format_account
from node.ledger.execute import genesis_changes
from node.ledger.genesis import Genesis, GenesisError, format_genesis, parse_genesis
from node.ledger.parameters import DEFAULT
from tests.ledger_world import ALICE, BANK, GOLD, KGST, NOBODY, TREASURY, make_genesis


def as_json(genesis: Genesis | None = None) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(format_genesis(genesis or make_genesis()))
    return value


def test_the_text_reads_back_as_the_same_genesis() -> None:
    genesis = make_genesis()
    again = parse_genesis(format_genesis(genesis))
    assert again == genesis
    assert again.hash == genesis.hash
    assert format_genesis(again) == format_genesis(genesis)


def test_the_hash_covers_the_meaning_and_not_the_text() -> None:
    genesis, value = make_genesis(), as_json()
    for name in ("accounts", "assets", "validators"):
        value[name].reverse()
    for table in ("tiers", "openers", "attesters"):
        value["parameters"][table].reverse()
    value["parameters"]["attesters"][1]["accounts"].reverse()
    shuffled = dict(reversed(list(value.items())))
    assert parse_genesis(json.dumps(shuffled)).hash == genesis.hash


PLACE_OF = {row.number: place for place, row in enumerate(make_genesis().accounts)}
NUMBER = format_account(BANK)
ATTESTERS = ("parameters", "attesters")
GOLD_BACKING = ("assets", [number for number, _ in make_genesis().assets].index(GOLD), "backing")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*path, index))]
    return [path]


def changed(path: tuple[Any, ...], new: Any) -> str:
    value = as_json()
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return json.dumps(value)


def test_every_single_value_is_in_the_hash_or_refused() -> None:
    genesis, value = make_genesis(), as_json()
    for path in leaves(value):
        inner: Any = value
        for step in path:
            inner = inner[step]
        if isinstance(inner, int):
            new: Any = inner + 1
        elif inner is None:
            new = "0000000000000101"
        elif inner.isdigit() and len(inner) != 16:
            new = str(int(inner) + 1)
        else:
            new = inner[:-1] + ("0" if inner[-1:] != "0" else "1")
        try:
            other = parse_genesis(changed(path, new))
        except GenesisError:
            continue
        assert other.hash != genesis.hash, path


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("network",), 0, "network: expected 1..4294967295, got 0"),
        (("network",), True, "network: expected an integer"),
        (("network",), "1", "network: expected an integer"),
        (("kind",), "test", "kind: expected one of devnet, pilot, production"),
        (("tree_depth",), 7, "tree_depth: expected 1..6, got 7"),
        (("colour",), 1, "genesis: unknown field 'colour'"),
        (("validators", 1, "weight"), 0, "validators[1].weight: expected 1..4294967295, got 0"),
        (("validators", 1, "node_key"), "AB" * 32, "validators[1].node_key: expected 64 lower-case hex digits"),
        (("validators", 1, "consensus_key"), "00" * 32, "validators: " + "00" * 32 + " stands twice"),
        (("validators", 1, "node_key"), "00" * 32, "validators: " + "00" * 32 + " stands twice"),
        (("validators",), [0] * 32, "validators: expected 31 rows at the most, got 32"),
        (("validators", 1, "name"), "v0", "validators: v0 stands twice"),
        (("validators",), {}, "validators: expected a list"),
        (("parameters", "tiers", 1, "number"), 1, "parameters.tiers: a row stands twice"),
        (("parameters", "tiers", 1, "out_per_day"), 5, "parameters.tiers[1].out_per_day: expected an amount"),
        (
            ("parameters", "tiers", 1, "out_per_day"),
            "05",
            "parameters.tiers[1].out_per_day: expected 0..92233720368547",
        ),
        (("parameters", "openers", 0, "kinds", 3), "king", "parameters.openers[0].kinds[3]: expected one of"),
        (("parameters", "window_person_ms"), 1, "parameters.window_person_ms: expected 60000..604800000, got 1"),
        (("assets", 0, "issuer"), "0000000000000000", "assets[0].issuer: the check digits of the account number"),
        (("assets", 0, "issuer"), format_account(TREASURY), "assets[id=1].issuer: expected an account of kind issuer"),
        (("assets", 0, "max_supply"), "0", "assets[0].max_supply: expected more than 0"),
        (("assets", 1, "id"), 1, "assets: 1 stands twice"),
        (("assets", 1, "code"), "SOM", "assets: SOM stands twice"),
        (("assets", 1, "backing", "asset"), KGST, "assets[id=2].backing.asset: expected another asset"),
        (("assets", 1, "backing", "asset"), 99, "assets[id=2].backing.asset: expected another asset"),
        (("assets", 1, "backing", "reserve"), "0101000000000103", "assets[id=2].backing.reserve: expected an account"),
        (("accounts", 0, "keys"), [], "accounts[0].keys: expected keys, none twice, whose weights reach"),
        (("accounts", 0, "threshold"), 9, "accounts[0].keys: expected keys, none twice, whose weights reach"),
        (("accounts", 0, "name"), "", "accounts[0].name: expected a printable string of 1..64 characters"),
        (("accounts", 1, "name"), "central bank", "accounts: central bank stands twice"),
        (("accounts", 0, "bank"), format_account(NOBODY), "accounts[number=0001000000000049].bank: no such account"),
        (("accounts", PLACE_OF[ALICE], "tier"), 9, "accounts[number=0101000000000103].tier: no such tier"),
        (("assets", 0, "code"), "som", "assets[0].code: expected an asset's code"),
        (("assets", 0, "code"), "", "assets[0].code: expected an asset's code"),
        ((*GOLD_BACKING, "schema"), "Gold", "assets[2].backing.schema: expected a schema's name"),
        ((*GOLD_BACKING, "schema"), "silver", "assets[id=3].backing.schema: nobody attests it"),
        ((*GOLD_BACKING, "ratio_bp"), 100_001, "assets[2].backing.ratio_bp: expected 1..100000, got 100001"),
        ((*GOLD_BACKING, "max_age_ms"), 0, "assets[2].backing.max_age_ms: expected 1.."),
        ((*ATTESTERS, 0, "schema"), "", "parameters.attesters[0].schema: expected a schema's name"),
        ((*ATTESTERS, 0, "schema"), "gold", "parameters.attesters: a row stands twice"),
        ((*ATTESTERS, 1, "accounts"), [NUMBER, NUMBER], "parameters.attesters[1].accounts: a row stands twice"),
        ((*ATTESTERS, 1, "accounts"), ["1"], "parameters.attesters[1].accounts[0]: an account number has 16 digits"),
        (
            (*ATTESTERS, 1, "accounts"),
            [format_account(NOBODY)],
            "parameters.attesters[schema=delivered].accounts: no such account",
        ),
        ((*ATTESTERS, 1, "accounts"), [NUMBER] * 65, "parameters.attesters[1].accounts: expected 64 rows at the most"),
        (("parameters", "recovery_delay_ms"), 999, "parameters.recovery_delay_ms: expected 1000..2592000000"),
        (("parameters", "hold_max_ms"), 316_224_000_001, "parameters.hold_max_ms: expected 60000..316224000000, got"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(GenesisError) as error:
        parse_genesis(changed(path, value))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nul",
        "[" * 100_000,
        '{"network": 1.5}',
        '{"network": NaN}',
        '{"network": 1, "network": 1}',
        '{"network": 1e999}',
    ],
)
def test_what_is_no_genesis_is_refused(text: str) -> None:
    with pytest.raises(GenesisError):
        parse_genesis(text)


def test_a_missing_field_is_named() -> None:
    value = as_json()
    del value["accounts"][3]["keys"]
    with pytest.raises(GenesisError, match=r"^accounts\[3\]: missing field 'keys'$"):
        parse_genesis(json.dumps(value))


def test_a_schema_may_have_no_attesters_for_now() -> None:
    assert parse_genesis(changed((*ATTESTERS, 1, "accounts"), [])).parameters.attesters_of("delivered") == ()


def test_nobody_has_money_at_the_start() -> None:
    genesis = make_genesis()
    assert all(row.account().holdings == () for row in genesis.accounts)
    assert genesis_changes(genesis) == genesis_changes(parse_genesis(format_genesis(genesis)))


def test_rows_are_sorted_so_that_all_nodes_see_one_order() -> None:
    genesis = make_genesis()
    assert [row.number for row in genesis.accounts] == sorted(row.number for row in genesis.accounts)
    keys = [row.consensus_key for row in genesis.validators]
    assert keys == sorted(keys)


def test_the_default_parameters_know_their_tables() -> None:
    assert DEFAULT.tier(2) is not None
    assert DEFAULT.tier(200) is None
    assert DEFAULT.may_open(Kind.BANK, Kind.PERSON)
    assert not DEFAULT.may_open(Kind.BANK, Kind.BANK)
    assert not DEFAULT.may_open(Kind.PERSON, Kind.PERSON)
    assert (DEFAULT.window_ms(Kind.PERSON), DEFAULT.window_ms(Kind.BANK)) == (600_000, 259_200_000)
    assert ALICE // 10**12 == 101
