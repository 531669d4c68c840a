"""The protocol's version in the ledger: who demands which, what each changes, and that a block is judged by its own."""

import pytest

from node.ledger.attest import Attest
from node.ledger.errors import Code
from node.ledger.operations import Operation
from node.ledger.parameters import DAY_MS, DEFAULT
from node.ledger.pay import Pay
from node.ledger.versions import NEWEST, OLDEST, VERSION_MAX, VERSIONS
from tests.ledger_world import ALICE, AUDITOR, GOLD, GOLD_ISSUER, PARAMETERS, World


def expect(world: World, operation: Operation, code: Code) -> None:
    assert world.run(operation).code == code


@pytest.mark.parametrize("version", VERSIONS)
def test_only_the_version_in_force_or_the_next_one_can_be_demanded(version: int) -> None:
    """Whatever this software knows: all software must execute a block alike."""
    for wanted in (1, version - 1, version, version + 1, version + 2, NEWEST + 1, NEWEST + 2, VERSION_MAX):
        world = World(parameters=DEFAULT._replace(protocol_version=version))
        code = Code.APPLIED if wanted in (version, version + 1) else Code.FIELD
        if wanted:
            expect(world, world.setting("protocol_version", wanted), code=code)


def test_a_demand_can_be_taken_back_and_says_nothing_of_the_block_that_makes_it() -> None:
    world = World(parameters=DEFAULT._replace(protocol_version=1))
    executed = world.block([world.transaction([world.setting("protocol_version", 2)])])
    assert (executed.next_version, world.ledger.version, world.ledger.parameters.protocol_version) == (2, 1, 2)
    executed = world.block([])
    assert (executed.next_version, world.ledger.version) == (None, 1)
    assert world.reopened().version == 1
    expect(world, world.setting("protocol_version", 3), code=Code.FIELD)
    executed = world.block([world.transaction([world.setting("protocol_version", 1)])])
    assert (executed.next_version, world.ledger.parameters.protocol_version) == (1, 1)


def test_the_version_of_a_block_opens_the_way_to_the_one_after_it() -> None:
    world = World(parameters=DEFAULT._replace(protocol_version=1))
    assert world.set("protocol_version", 2).applied
    world.version = 2
    world.block([])
    assert (world.ledger.version, world.reopened().version) == (2, 2)
    expect(world, world.setting("protocol_version", 1), code=Code.FIELD)
    assert world.set("protocol_version", 3).applied
    assert world.set("protocol_version", 2).applied


def test_the_version_of_blocks_never_falls_and_is_a_known_one() -> None:
    world = World()
    assert world.ledger.version == NEWEST
    for version, error in ((NEWEST - 1, AssertionError), (NEWEST + 1, KeyError)):
        with pytest.raises(error):
            world.ledger.begin(1, world.time_ms, version)


def test_old_attestations_have_their_own_code_from_version_2_on() -> None:
    for version, code in ((1, Code.NO_ATTESTATION), (2, Code.ATTESTATION_OLD)):
        world = World(parameters=PARAMETERS._replace(protocol_version=version))
        assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == Code.NO_ATTESTATION  # there is none
        now = world.time_ms
        assert world.run(Attest(AUDITOR, "gold", "USDKG", 1_000, now, 0, b"e" * 32, b"")).applied
        assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).applied
        world.time_ms += DAY_MS
        issue = world.transaction([Pay(GOLD, GOLD_ISSUER, ((ALICE, 1, b""),))])
        assert world.ledger.simulate(issue, world.time_ms).code == code
        assert world.pay(GOLD_ISSUER, ALICE, 1, GOLD).code == code


def test_every_version_has_its_row_and_the_newest_is_demanded_of_new_networks() -> None:
    assert list(VERSIONS) == list(range(OLDEST, NEWEST + 1))
    assert all(rules.version == version for version, rules in VERSIONS.items())
    assert len({rules[1:] for rules in VERSIONS.values()}) == len(VERSIONS)
    assert DEFAULT.protocol_version == NEWEST
