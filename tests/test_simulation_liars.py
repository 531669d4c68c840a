"""Each liar really lies: a storm proves nothing if the one who should break the rules keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from consensus.encoding import DecodeError
from consensus.messages import Kind, Message, Proposal, Status, Vote, decode_message
from node.ledger.param import Listed
from tests.simulation import keys
from tests.simulation.cluster import Cluster
from tests.simulation.liars import FAMILIES
from tests.simulation.plan import Plan, draw
from tests.simulation.twins import TIMING, WEATHER

LIAR = 3
NEWCOMER = 4
STORM_MS = 6_000
PATIENCE_MS = 200_000


@dataclass
class Heard:
    """What a liar put on the wire, and what the honest found invalid of it."""

    honest_views: int = 0
    messages: list[tuple[int, Message]] = field(default_factory=list)  # when, what
    channels: dict[str, list[bytes]] = field(default_factory=dict)
    invalid: int = 0

    def votes(self, kind: Kind) -> set[tuple[int, int, bytes]]:
        said = [message.vote if isinstance(message, Proposal) else message for _, message in self.messages]
        return {(v.epoch, v.view, v.hash) for v in said if isinstance(v, Vote) and v.kind is kind and v.signer == LIAR}

    def proposals(self) -> list[Proposal]:
        return [message for _, message in self.messages if isinstance(message, Proposal)]

    def views(self, kind: Kind) -> set[int]:
        return {view for _, view, _ in self.votes(kind)}


def plan_with(family: str) -> Plan:
    """Four validators on good links, nothing breaks, one lies."""
    return replace(
        draw(1),
        weights=(1, 1, 1, 1),
        liars=((LIAR, family),),
        timing=TIMING,
        weather=WEATHER,
        real_signatures=False,
        epoch_heights=1_000,
        work_ms=100,
        pace_ms=10,
        skew_ms=20,
        execute_ms=0,
        sync_ms=0,
    )


def listen(family: str) -> Heard:
    """Let a liar speak for some seconds."""
    keys.use(False)
    try:
        cluster = Cluster(plan_with(family), False)
        heard = Heard()
        send, invalid = cluster._network.send, cluster.judge.invalid

        def on_send(sender: int, receiver: int, channel: str, data: bytes) -> None:
            if sender == LIAR:
                heard.channels.setdefault(channel, []).append(data)
                if channel == "consensus":
                    try:
                        heard.messages.append((cluster.loop.now_ms, decode_message(data)))
                    except DecodeError:
                        heard.invalid += 1
            send(sender, receiver, channel, data)

        def on_invalid(sender: int, receiver: int, error: Exception) -> None:
            heard.invalid += sender == LIAR
            invalid(sender, receiver, error)

        cluster._network.send = on_send  # type: ignore[method-assign]
        cluster.judge.invalid = on_invalid  # type: ignore[method-assign]
        for one in [*cluster.validators, *cluster._others]:
            one.ensure_up()
        cluster.loop.after(1, cluster._work)
        cluster.loop.run(STORM_MS, lambda: False)
        assert cluster.judge.final_height > 3, "the honest go on"
        heard.honest_views = max(one.core.view for one in cluster.validators)
        return heard
    finally:
        keys.use(True)


LIES: dict[str, Callable[[Heard], bool]] = {
    "silent": lambda heard: not heard.messages,
    "mute-leader": lambda heard: not heard.proposals() and bool(heard.votes(Kind.FINALIZE)),
    "withhold-votes": lambda heard: len(heard.channels["consensus"]) > len(heard.messages) // 2,
    "withhold-blocks": lambda heard: bool(heard.proposals()),
    "stale": lambda heard: bool(heard.messages),
    "slow-leader": lambda heard: bool(heard.proposals()) and bool(heard.views(Kind.NULLIFY)),
    "twins": lambda heard: any(
        len({named for _, view, named in heard.votes(Kind.NOTARIZE) if view == led}) > 1
        for led in heard.views(Kind.NOTARIZE)
    ),
    "chaos": lambda heard: bool(heard.views(Kind.NULLIFY) & heard.views(Kind.FINALIZE)),
    "replayer": lambda heard: heard.invalid > 0,
    "forger": lambda heard: heard.invalid > 0,
    "nullify-only": lambda heard: len(heard.views(Kind.NULLIFY)) > 5 and not heard.views(Kind.NOTARIZE),
    "revoker": lambda heard: bool(heard.views(Kind.NULLIFY) & heard.views(Kind.NOTARIZE)),
    "wrong-epoch": lambda heard: any(epoch for epoch, _, _ in heard.votes(Kind.NOTARIZE)),
    "impersonator": lambda heard: heard.invalid > 0,
    "flooder": lambda heard: max(heard.views(Kind.NULLIFY), default=0) > 1_000,
    "false-source": lambda heard: any(
        isinstance(message, Status) and message.finalized_height > 10**5 for _, message in heard.messages
    ),
    "withhold-batches": lambda heard: len(heard.channels["batch"]) > 0,
}


def test_every_family_is_listened_to() -> None:
    assert set(LIES) == set(FAMILIES)


@pytest.mark.parametrize("family", sorted(LIES))
def test_a_liar_lies(family: str) -> None:
    assert LIES[family](listen(family))


@pytest.mark.parametrize("family", ["chaos", "nullify-only", "wrong-epoch"])
def test_a_liar_that_comes_later_lies_from_the_seat_that_it_gets(family: str) -> None:
    keys.use(False)
    try:
        changing = replace(plan_with(family), liars=((NEWCOMER, family),), observers=1, appoint_ms=100, readmits=True)
        cluster = Cluster(replace(changing, epoch_heights=5), False)
        # In the place of the first, so that the others' seats move too.
        listed = tuple(
            Listed(f"v{place:02}", 1, "", *cluster._keys()[node]) for place, node in enumerate((NEWCOMER, 1, 2, 3))
        )
        cluster._registrar.next_list = lambda _: listed  # type: ignore[method-assign,assignment]
        said: list[Vote] = []
        sent = cluster.judge.sent

        def on_sent(sender: int, honest: bool, message: Message) -> None:
            if sender == NEWCOMER and isinstance(message, Vote):
                said.append(message)
            sent(sender, honest, message)

        cluster.judge.sent = on_sent  # type: ignore[method-assign]
        for one in [*cluster.validators, *cluster._others]:
            one.ensure_up()
        for action in (cluster._work, cluster._appoint, cluster._announce):
            cluster.loop.after(1, action)
        cluster.loop.run(PATIENCE_MS, lambda: _seated_epochs(cluster) >= 3)
        epoch = next(epoch for epoch in sorted(cluster.rows) if cluster._members_of(epoch).seat(NEWCOMER) is not None)
        members = cluster._members_of(epoch)
        votes = [vote for vote in said if vote.epoch == epoch]
        assert {vote.signer for vote in votes} == {members.seat(NEWCOMER)}
        assert all(cluster.judge._genuine(vote) for vote in votes)
        assert members.nodes != tuple(range(4))
    finally:
        keys.use(True)


def _seated_epochs(cluster: Cluster) -> int:
    return sum(cluster._members_of(epoch).seat(NEWCOMER) is not None for epoch in cluster.rows)
