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


def test_who_was_misled_and_then_restarts_goes_on_with_what_was_certified() -> None:
    """R25, R41: its own vote is on disk, the certificate of the other block is not (C13, A8)."""
    network = cluster()
    world = network.world
    liar = world.committee.leader(1)
    good, bad = world.block(1), world.block(1, payload=b"y")
    victim, *rest = [index for index in range(4) if index != liar]
    journals: dict[int, list[Record]] = {index: [good, intent(NOTARIZE, 1, good.hash)] for index in (liar, *rest)}
    journals[victim] = [bad, intent(NOTARIZE, 1, bad.hash)]
    journals[rest[0]] += [
        world.certificate(NOTARIZE, 1, good.hash, sorted([liar, *rest])),
        intent(FINALIZE, 1, good.hash),
    ]
    with_journals(network, journals)
    go_on(network, 3)
    assert network.final[1] == good.hash


@pytest.mark.parametrize("finalizer", [None, 0, 1, 2])
def test_all_restart_with_a_notarization_and_a_nullification_of_one_view(finalizer: int | None) -> None:
    """R10, R41: whoever leads may build on the block or pass it over, and all agree which (C8, C19)."""
    network = cluster()
    world = network.world
    block = world.block(1)
    notarizers = [0, 1, 2]
    nullifiers = [index for index in range(4) if index != finalizer][-3:]
    both = [
        world.certificate(NOTARIZE, 1, block.hash, notarizers),
        world.certificate(NULLIFY, 1, signers=nullifiers),
    ]
    journals: dict[int, list[Record]] = {index: [*both] for index in range(4)}
    for index in notarizers:
        journals[index] += [block, intent(NOTARIZE, 1, block.hash)]
    for index in nullifiers:
        journals[index].append(intent(NULLIFY, 1))
    if finalizer is not None:
        journals[finalizer].append(intent(FINALIZE, 1, block.hash))
    with_journals(network, journals)
    go_on(network, 3)


def test_a_leader_that_dies_right_after_its_proposal_leaves_nobody_waiting() -> None:
    """R29, R36: what it alone was asked for is asked of others too (C21)."""
    network = cluster()
    leader = network.world.committee.leader(1)
    network.boot()
    network.run(1_000, lambda: any(isinstance(message, Proposal) for _, _, message in network.sent))
    network.nodes[leader].crash()
    go_on(network, 4, *(index for index in range(4) if index != leader))


def test_a_leader_that_died_between_its_block_and_its_vote_may_make_another() -> None:
    """R8, R11: a block without a promise binds to nothing."""
    network = cluster()
    leader = network.world.committee.leader(1)
    with_journals(network, {leader: [network.world.block(1, payload=b"never voted for")]})
    go_on(network, 2)
    assert network.final[1] != network.world.block(1, payload=b"never voted for").hash


def test_a_validator_that_missed_the_last_finalization_before_a_pause_gets_it() -> None:
    """R32, R35: nothing new is made, and its peers are no longer in that view (A5)."""
    network = cluster(timing=Timing(), pace_ms=60_000)  # nobody makes a second block for a minute
    network.pace_ms = 20
    deaf = 3
    network.lose = lambda _, receiver, message: (
        receiver == deaf and isinstance(message, Vote) and message.kind is FINALIZE
    )
    network.boot()
    network.run(5_000, lambda: min(network.heights()[:3]) >= 1)
    assert network.heights()[deaf] == 0
    network.pace_ms = 60_000
    network.lose = lambda *_: False
    network.run(network.now + 4_000, lambda: network.heights()[deaf] >= 1)
    assert network.heights()[deaf] >= 1
    assert_disciplined(network)


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


def all_end(network: Cluster) -> None:
    network.run(network.now + BOUND_MS, lambda: all(node.core.ended for node in network.nodes))
    assert all(node.core.ended for node in network.nodes)
    assert len({node.stored[-1].hash for node in network.nodes}) == 1
    assert_disciplined(network)


@pytest.mark.parametrize("heard", [(), (0,), (1,), (2,), (3,)])
def test_a_leader_that_restarts_after_signing_a_re_proposal_sends_the_same(heard: tuple[int, ...]) -> None:
    """R41, R46: nobody, or one, had its proposal; the parent view comes from its journal (C26)."""
    network = cluster(end_height=1)
    leader = network.world.committee.leader(2)
    network.lose = lambda sender, receiver, message: (
        (isinstance(message, Vote) and message.kind is FINALIZE) or (sender == leader and receiver not in heard)
    )
    network.boot()
    promised = intent(NOTARIZE, 2)
    network.run(
        BOUND_MS,
        lambda: any(
            isinstance(fact, Intent) and (fact.kind, fact.view) == (promised.kind, 2)
            for fact in facts(network.nodes[leader].journal)
        ),
    )
    network.run(network.now + 1)  # the vote is signed
    network.nodes[leader].crash()
    network.lose = lambda *_: False
    network.nodes[leader].boot()
    all_end(network)
    proposals = [m for s, _, m in network.sent if s == leader and isinstance(m, Proposal) and m.vote.view == 2]
    assert len(proposals) > 3, "in both lives"
    assert {(proposal.vote.hash, proposal.parent_view, proposal.block) for proposal in proposals} == {
        (network.final[1], 1, None)
    }


@pytest.mark.parametrize("first_holder", range(4))
def test_of_two_competing_last_blocks_all_end_with_one(first_holder: int) -> None:
    """R10, R46: one was notarized and nullified, the other notarized beside it by those who had not seen that."""
    network = cluster(end_height=1)
    world = network.world
    one = world.block(1, end=1)
    other = world.block(2, world.root, 0, payload=b"y", end=1)
    rest = [index for index in range(4) if index != first_holder]
    nullified = world.certificate(NULLIFY, 1, signers=rest)
    journals: dict[int, list[Record]] = {index: [one, intent(NOTARIZE, 1, one.hash)] for index in range(4)}
    journals[first_holder] += [
        world.certificate(NOTARIZE, 1, one.hash, sorted([first_holder, *rest[:2]])),
        intent(FINALIZE, 1, one.hash),
    ]
    for index in rest:
        journals[index] += [intent(NULLIFY, 1), nullified, other, intent(NOTARIZE, 2, other.hash)]
    journals[rest[0]] += [world.certificate(NOTARIZE, 2, other.hash, rest), intent(FINALIZE, 2, other.hash)]
    with_journals(network, journals)
    all_end(network)
    assert network.final[1] in (one.hash, other.hash)


@pytest.mark.parametrize("removed", range(4))
def test_one_that_has_ended_is_enough_for_who_comes_late(removed: int) -> None:
    """R39, R47: all others have left for the next epoch; a removed validator has nowhere to go, and helps."""
    network = cluster(end_height=3)
    late = (removed + 1) % 4
    network.boot(*(index for index in range(4) if index != late))
    network.run(BOUND_MS, lambda: all(node.core.ended for node in network.nodes if node.index != late))
    for node in network.nodes:
        if node.index not in (late, removed):
            node.crash()
    network.boot(late)
    network.run(network.now + BOUND_MS, lambda: network.nodes[late].core.ended)
    assert network.nodes[late].core.ended


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
