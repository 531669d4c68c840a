"""Directed stories of a few cores over a scripted network: the ones that stopped real networks."""

from itertools import product
from typing import Final

import pytest

from consensus.core import Timing
from consensus.encoding import digest
from consensus.messages import Certificate, Hash, Kind, Message, Proposal, Status, Vote, encode_message
from consensus.records import Intent, Record, encode_record
from tests.consensus_lab import EPOCH, FINALIZE, NOTARIZE, NULLIFY, Cluster, World, facts

BOUND_MS: Final = 30_000  # far above what the liveness argument allows four validators


def cluster(n: int = 4, **how: object) -> Cluster:
    return Cluster(World(n), **how)  # type: ignore[arg-type]


def votes_sent(cluster: Cluster) -> set[tuple[int, Kind, int, Hash]]:
    """All votes on the wire: signer, kind, view, hash."""
    found = set()
    for _, _, message in cluster.sent:
        vote = message.vote if isinstance(message, Proposal) else message
        if isinstance(vote, Vote):
            found.add((vote.signer, vote.kind, vote.view, vote.hash))
    return found


def assert_disciplined(cluster: Cluster, *faulty: int) -> None:
    """R6, R7 over all lives: what was ever sent."""
    first: dict[tuple[int, Kind, int], Hash] = {}
    for signer, kind, view, named in sorted(votes_sent(cluster)):
        if signer in faulty:
            continue
        assert first.setdefault((signer, kind, view), named) == named
        opposite = {NULLIFY: FINALIZE, FINALIZE: NULLIFY}.get(kind)
        assert opposite is None or (signer, opposite, view) not in first


def go_on(cluster: Cluster, more: int = 2, *alive: int) -> None:
    """Every living node commits that many more blocks within the bound."""
    wanted = [node for node in cluster.nodes if node.index in (alive or range(len(cluster.nodes)))]
    target = max(cluster.heights()) + more
    cluster.run(cluster.now + BOUND_MS, lambda: all(node.stored[-1].header.height >= target for node in wanted))
    assert all(node.stored[-1].header.height >= target for node in wanted), cluster.heights()
    assert_disciplined(cluster)


def with_journals(cluster: Cluster, journals: dict[int, list[Record]]) -> Cluster:
    """Boot everybody from these pasts."""
    for index, records in journals.items():
        cluster.nodes[index].journal = [encode_record(record) for record in records]
    cluster.boot()
    return cluster


def intent(kind: Kind, view: int, named: Hash | None = None) -> Intent:
    return Intent(kind, EPOCH, view, named or Hash(bytes(32)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_a_quiet_network_makes_blocks_with_two_messages_to_each_peer(n: int) -> None:
    """R34: 2(n - 1) for each block and validator, and no certificate outside of proposals."""
    quiet = cluster(n)
    quiet.boot()
    quiet.run(1_000)
    height = min(quiet.heights())
    assert height >= 20
    assert not [m for _, _, m in quiet.sent if isinstance(m, Certificate)]
    votes = [m for _, _, m in quiet.sent if isinstance(m, Vote | Proposal)]
    assert len(votes) <= 2 * (n - 1) * n * (height + 2)
    assert {node.core.counters.views_nullified for node in quiet.nodes} == {0}
    assert_disciplined(quiet)


def test_an_idle_network_beats_slowly_and_sends_no_certificates() -> None:
    """R32, R37: heartbeats of the builder's pace, statuses in between."""
    idle = cluster(timing=Timing(), pace_ms=4_000)
    idle.boot()
    idle.run(60_000)
    assert 12 <= min(idle.heights()) <= 15
    assert not [m for _, _, m in idle.sent if isinstance(m, Certificate)]
    assert {node.core.counters.views_nullified for node in idle.nodes} == {0}


@pytest.mark.parametrize("dead", range(4))
def test_one_validator_in_four_may_be_dead(dead: int) -> None:
    """R29, R31: its views are given up, later at once."""
    three = cluster()
    alive = [index for index in range(4) if index != dead]
    three.boot(*alive)
    go_on(three, 3, *alive)
    three.run(three.now + 17_000)
    skipped = sum(three.nodes[index].core.counters.leaders_skipped for index in alive)
    assert skipped > 0
    assert len({three.nodes[index].core.committed.hash for index in alive}) <= 2


def test_weight_and_not_number_keeps_the_network_alive() -> None:
    """R1, R22: of weight 7 the two light ones may be dead."""
    weighted = Cluster(World(4, weights=[1, 1, 3, 2]))
    weighted.boot(2, 3)
    go_on(weighted, 2, 2, 3)
    stuck = Cluster(World(4, weights=[1, 1, 3, 2]))
    stuck.boot(0, 1, 3)
    stuck.run(10_000)
    assert max(stuck.heights()) == 0


def test_who_was_away_catches_up() -> None:
    """R34 to R40"""
    away = cluster()
    away.boot(0, 1, 2)
    go_on(away, 5, 0, 1, 2)
    away.boot(3)
    go_on(away, 3)


@pytest.mark.parametrize("lost", [Proposal, Vote, Certificate, Status])
def test_a_time_without_one_kind_of_message_is_survived(lost: type) -> None:
    """R37: everything that matters is said again."""
    network = cluster()
    network.boot()
    network.run(200)
    network.lose = lambda _sender, _receiver, message: isinstance(message, lost)
    network.run(6_000)
    network.lose = lambda *_: False
    go_on(network, 3)


@pytest.mark.parametrize("halves", [((0, 1), (2, 3)), ((0, 3), (1, 2)), ((0,), (1, 2, 3))])
def test_a_partition_heals(halves: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """R36, R37"""
    network = cluster()
    network.boot()
    network.run(300)
    side = {index: number for number, half in enumerate(halves) for index in half}
    network.lose = lambda sender, receiver, _: side[sender] != side[receiver]
    network.run(network.now + 20_000)
    network.lose = lambda *_: False
    go_on(network, 3)


def test_all_crash_after_nullify_without_a_message_delivered() -> None:
    """R41, R37: each has its own vote on disk and must count it again."""
    network = cluster()
    network.lose = lambda *_: True
    network.boot()
    network.run(2_600)
    for node in network.nodes:
        assert any(isinstance(f, Intent) and f.kind is NULLIFY for f in facts(node.journal))
        node.crash()
    network.lose = lambda *_: False
    network.boot()
    go_on(network, 2)


@pytest.mark.parametrize("holder", range(4))
def test_the_sole_holder_of_a_notarization_finalized_and_then_all_restarted(holder: int) -> None:
    """R8, R25: the others may have nullified; the holder can only prove why it cannot."""
    network = cluster()
    world = network.world
    block = world.block(1)
    signers = [index for index in range(4) if index != (holder + 1) % 4]
    journals: dict[int, list[Record]] = {index: [block, intent(NOTARIZE, 1, block.hash)] for index in signers}
    journals[holder if holder in signers else signers[0]] += [
        world.certificate(NOTARIZE, 1, block.hash, signers),
        intent(FINALIZE, 1, block.hash),
    ]
    for index in signers:
        if not any(isinstance(record, Certificate) for record in journals[index]):
            journals[index].append(intent(NULLIFY, 1))
    with_journals(network, journals)
    go_on(network, 2)


HELP: Final = ("nothing", "share and help", "justification", "requests")


@pytest.mark.parametrize(("holder", "without"), list(product(range(4), HELP)))
def test_one_holds_the_notarization_and_the_others_the_nullification(holder: int, without: str) -> None:
    """R10, R13, R16, R36: in every order of leaders, and with each kind of help switched off."""
    network = cluster()
    world = network.world
    block = world.block(1)
    others = [index for index in range(4) if index != holder]
    voted: list[Record] = [block, intent(NOTARIZE, 1, block.hash)]
    nullified: list[Record] = [intent(NULLIFY, 1), world.certificate(NULLIFY, 1, signers=others)]
    notarized: list[Record] = [
        world.certificate(NOTARIZE, 1, block.hash, sorted([holder, *others[:2]])),
        intent(FINALIZE, 1, block.hash),
    ]
    journals = {index: voted + (notarized if index == holder else nullified) for index in range(4)}

    def lose(_sender: int, _receiver: int, message: Message) -> bool:
        if without == "share and help":
            return isinstance(message, Certificate) and network.now < 3_000
        if without == "requests":
            return not isinstance(message, Vote | Proposal | Certificate | Status)
        return False

    network.lose = lose
    if without == "justification":
        network.rewrite = unproven
    with_journals(network, journals)
    go_on(network, 3)


def unproven(message: Message) -> Message:
    """Let no proposal carry proof: it must be asked for."""
    if isinstance(message, Proposal):
        return Proposal(message.parent_view, message.vote, message.block, (), None)
    return message


def test_an_equivocating_leader_misleads_one_and_all_go_on() -> None:
    """R25, R39, R45: the misled one finalizes the certified block and fetches it, and the certificate convicts."""
    network = cluster()
    world = network.world
    liar = world.committee.leader(1)
    good, bad = world.block(1), world.block(1, payload=b"y")
    victim, *rest = [index for index in range(4) if index != liar]
    network.liars = frozenset([liar])
    network.boot(victim, *rest)
    for index in (victim, *rest):
        told = encode_message(world.proposal(bad if index == victim else good))
        network.nodes[index].receive(liar, told)
    go_on(network, 3, victim, *rest)
    assert network.final[1] == good.hash
    ((accuser, evidence),) = network.evidence
    assert accuser == victim
    assert {evidence.first.hash, evidence.second.hash} == {good.hash, bad.hash}


def test_a_block_that_its_leader_told_to_too_few_is_fetched() -> None:
    """R39: notarized by those who have it, final for all."""
    network = cluster()
    leader = network.world.committee.leader(1)
    deaf = (leader + 1) % 4
    network.lose = lambda _sender, receiver, message: receiver == deaf and isinstance(message, Proposal)
    network.boot()
    network.run(3_000)
    assert network.nodes[deaf].stored[-1].header.height > 10
    assert_disciplined(network)


@pytest.mark.parametrize("crash_at", range(0, 400, 7))
def test_a_crash_at_any_moment_breaks_no_promise(crash_at: int) -> None:
    """R6 to R8, R41: one node dies and comes back, and then all do."""
    network = cluster()
    network.boot()
    network.run(crash_at)
    victim = network.nodes[crash_at % 4]
    victim.crash()
    network.run(crash_at + 40)
    victim.boot()
    network.run(crash_at + 100)
    for node in network.nodes:
        node.crash()
    network.boot()
    go_on(network, 2)


@pytest.mark.parametrize("ending", [3, 5])
def test_an_epoch_ends_on_all_and_nothing_follows(ending: int) -> None:
    """R46, R47"""
    network = cluster(end_height=ending)
    network.boot()
    network.run(10_000)
    assert network.heights() == [ending] * 4
    assert len({node.ended.block.hash for node in network.nodes if node.ended}) == 1
    assert all(node.core.ended for node in network.nodes)
    count = len(network.sent)
    network.run(60_000)
    assert len(network.sent) == count, "silence"


@pytest.mark.parametrize("knowing", range(4))
def test_the_end_of_an_epoch_known_to_one_alone_spreads(knowing: int) -> None:
    """R47: it does not speak first, but whoever is stuck asks."""
    network = cluster(end_height=2)
    network.lose = lambda _, receiver, message: (
        receiver != knowing and isinstance(message, Vote) and message.kind is FINALIZE
    )
    network.boot()
    network.run(10_000, lambda: network.nodes[knowing].core.ended)
    assert [node.core.ended for node in network.nodes].count(True) == 1
    network.run(network.now + BOUND_MS, lambda: all(node.core.ended for node in network.nodes))
    assert all(node.core.ended for node in network.nodes)
    assert_disciplined(network)


@pytest.mark.parametrize("crash_at", range(20, 160, 11))
def test_crashes_around_the_end_of_an_epoch_are_survived(crash_at: int) -> None:
    """R41, R46, R47"""
    network = cluster(end_height=3)
    network.boot()
    network.run(crash_at)
    for node in network.nodes:
        node.crash()
    network.boot()
    network.run(crash_at + BOUND_MS, lambda: all(node.core.ended for node in network.nodes))
    assert all(node.core.ended for node in network.nodes)
    assert_disciplined(network)


def test_timers_shorter_than_the_delay_grow_until_blocks_are_final() -> None:
    """R30: without back-off this never ends."""
    hasty = cluster(timing=Timing(leader_ms=8, view_ms=12, retry_ms=20, share_ms=4, skip_ms=2_000, idle_ms=0))
    hasty.boot()
    hasty.run(60_000, lambda: min(hasty.heights()) >= 2)
    assert min(hasty.heights()) >= 2
    assert_disciplined(hasty)


def test_the_same_inputs_give_the_same_effects() -> None:
    """R50"""
    runs = []
    for _ in range(2):
        network = cluster(5)
        network.lose = lambda sender, receiver, message: (sender + receiver + hash_of(message)) % 5 == 0
        network.boot()
        network.run(4_000)
        runs.append(network.sent)
    assert runs[0] == runs[1]
    assert len(runs[0]) > 100


def hash_of(message: Message) -> int:

    return digest(b"lose", encode_message(message))[0]
