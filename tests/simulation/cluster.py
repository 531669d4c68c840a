"""One run: a storm, then calm for a quorum, then calm for all, and a while of it; the judge looks on.

One rule: a run is a function of its seed. It ends with a Result or with a Failure that says how to see it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from structlog.testing import capture_logs

from consensus.committee import Committee
from consensus.committee import Validator as Member
from consensus.messages import NO_HASH, Block, Hash, Header, make_block, payload_hash
from node.ledger.genesis import Validator as Row
from node.ledger.state import ACCOUNTS_IN_MEMORY
from node.ledger.validators import Keys
from node.ledger.versions import NEWEST
from tests.simulation import keys
from tests.simulation.application import encode_payload
from tests.simulation.bounds import narrowed
from tests.simulation.campaign import Failure
from tests.simulation.chaos import Chaos
from tests.simulation.disk import Disk
from tests.simulation.judge import Judge, Violation
from tests.simulation.keys import Signer
from tests.simulation.liars import Mouth, filter_of, twin_filters
from tests.simulation.loop import Loop, Runaway
from tests.simulation.members import Members, Rows, as_members, node_key
from tests.simulation.money import Clients, Money, genesis_rows, make_genesis
from tests.simulation.network import Network
from tests.simulation.plan import Plan, draw
from tests.simulation.puppets import PUPPETS, Puppet
from tests.simulation.sources import SOURCES
from tests.simulation.succession import Registrar
from tests.simulation.upgrades import OLD, draw_upgrade
from tests.simulation.validator import EPOCH_MS, Settings, Temper, Trap, Validator

GENESIS_HASH: Final = Hash(sha256(b"som-simulated-network").digest())
TRAPS: Final = ("effect", "unsynced", "synced", "broadcast", "broadcast", "sign", "finalize", "file", "file")
JUMPS_MS: Final = (10_000, 60_000, 3_600_000)
ANNOUNCE_MS: Final = 700  # between two statements of those who are admitted and wait
TWINS_APART_MS: Final = 150  # between the clocks of twins, so that both do not make the same block
LINK_MS: Final = 3  # until a link's end notices that the other is gone, or back
MASKING_SIZE: Final = 4  # fewer validators need everybody for a quorum: what one misses costs a view
PACE_AGAIN_MS: Final = 2_500  # until timers are what they were before the storm
PACE_SLACK: Final = 2
SLACK: Final = 3  # the bound of consensus.md, section 12, is for perfect timers; ours wait for queues and disks


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    seed: int
    heights: int
    events: int
    virtual_ms: int
    digest: str
    committees: int = 1  # different ones that began an epoch
    version: int = NEWEST  # of the protocol, at the end
    old: int = 0  # nodes that began with older software


def run(seed: int, trace: bool = False) -> Result:
    """Run one seed. Raises Failure."""
    plan = draw(seed)
    keys.use(plan.real_signatures)
    cluster = Cluster(plan, trace)
    try:
        with narrowed(plan.bounds), capture_logs():  # journal and guard report each torn tail
            return cluster.run()
    except Violation as violation:
        raise Failure(seed, cluster.loop.now_ms, violation.invariant, str(violation)) from violation
    except Runaway as runaway:
        raise Failure(seed, cluster.loop.now_ms, "bounded", f"bounded: {runaway}") from runaway
    finally:
        keys.use(True)


class Cluster:
    """All that a plan names, and the story of its run."""

    def __init__(self, plan: Plan, trace: bool) -> None:
        self.plan = plan
        self.loop = Loop(plan.seed, trace, plan.events_max)
        self._random = self.loop.random("cluster")
        self._signers = _make_signers(plan)
        self._made: dict[tuple[int, Rows], Members] = {}
        self._size = len(plan.weights)  # of the first committee: nodes 0, 1, ... in the order of its seats
        self._nodes = self._size + plan.observers
        rows = tuple(
            Row(f"v{node:02}", bytes(self._signers[node].public), node_key(node), weight)
            for node, weight in enumerate(plan.weights)
        )
        self.rows: dict[int, Rows] = {0: rows}  # of epochs that have begun somewhere
        assert self._members(0, rows).nodes == tuple(range(self._size))
        liars = frozenset(index for index, _ in plan.liars)
        self._honest = frozenset(range(self._nodes)) - liars
        self._upgrade = draw_upgrade(self.loop.random("upgrade"), plan)
        self._money = make_genesis(EPOCH_MS - 1_000_000, rows, NEWEST if self._upgrade is None else OLD)
        self._before = Money(genesis_rows(self._money), self._money).executed()
        self._genesis = _genesis(self._committee(0), self._before.root, self._before.version)
        self._clients = Clients(self.loop.random("clients"), self._money)
        self.judge = Judge(
            GENESIS_HASH,
            [signer.public for signer in self._signers[: self._size]],
            plan.weights,
            self._honest,
            keys.quick_verify if not plan.real_signatures else keys.real_verify,
            self._genesis,
        )
        self._registrar = Registrar(self.loop.random("registrar"), self._keys(), *plan.registry)
        self._network = self._make_network()
        self._settings = Settings(
            GENESIS_HASH,
            self._members,
            self.rows.setdefault,
            self._nodes,
            plan.epoch_heights,
            plan.timing,
            plan.pace_ms,
            plan.timing.idle_ms or plan.pace_ms,
            plan.rotate_bytes,
        )
        self.validators = [self._make_validator(index) for index in sorted(self._honest)]
        self._others = [one for index, family in plan.liars for one in self._make_liar(index, family)]
        self._stormy = True

    # --- making ---

    def _keys(self) -> list[Keys]:
        return [Keys(bytes(signer.public), node_key(node)) for node, signer in enumerate(self._signers)]

    def _make_committee(self, epoch: int, members: list[Member]) -> Committee:
        return Committee(epoch, members)

    def _members(self, epoch: int, rows: Rows) -> Members:
        if (epoch, rows) not in self._made:
            self._made[epoch, rows] = Members(self._make_committee(epoch, as_members(rows)), rows)
        return self._made[epoch, rows]

    def _committee(self, epoch: int) -> Committee:
        """The committee of an epoch; of one that has not begun the newest that we know."""
        return self._members_of(epoch).committee

    def _members_of(self, epoch: int) -> Members:
        return self._members(epoch, self.rows[min(epoch, max(self.rows))])

    def _make_network(self) -> Network:
        return Network(self.loop, self.plan.weather, self._nodes, self._current_leader)

    def _make_validator(
        self, index: int, name: str = "", kind: type[Validator] = Validator, honest: bool = True
    ) -> Validator:
        plan, name = self.plan, name or f"n{index}"
        random = self.loop.random(f"temper {name}")
        temper = Temper(
            skew_ms=random.randint(-plan.skew_ms, plan.skew_ms),
            drift=random.randint(-plan.drift, plan.drift),
            boot_ms=random.randint(0, 10**9),
            sync_ms=plan.sync_ms,
            execute_ms=random.randint(0, plan.execute_ms),
        )
        disk = Disk(self._genesis, self._before, lambda: genesis_rows(self._money))
        accounts_in_memory = random.choice((1, 3, ACCOUNTS_IN_MEMORY))
        made = kind(
            self.loop,
            self._network,
            self.judge,
            self._settings,
            temper,
            index,
            name,
            self._signers[index],
            disk,
            lambda rows: Money(rows, self._money, accounts_in_memory),
            honest,
        )
        made.restart_after = self._restart_after
        made.reachable = self._reachable
        made.on_power = self._on_power
        made.on_unusable = self._on_unusable
        return made

    def _make_liar(self, index: int, family: str) -> list[Validator]:
        hearers = self._nodes if self.plan.appoint_ms else self._size
        mouth = Mouth(
            self.loop,
            self._network,
            self.judge,
            GENESIS_HASH,
            index,
            self._members_of,
            hearers,
            self._signers[index],
        )
        match family:
            case "silent":
                return []
            case "chaos":
                rate = self._random.choice((0.3, 0.7, 1.0))
                end = self.plan.epoch_heights
                self._network.attach(
                    Chaos(mouth, self._members_of, self._genesis, lambda epoch: (epoch + 1) * end, rate)
                )
                return []
            case "twins":
                twins = [self._make_validator(index, f"n{index}{twin}", honest=False) for twin in ("a", "b")]
                twins[1].jump_ms = TWINS_APART_MS + min(self.plan.skew_ms, TWINS_APART_MS)
                for twin, outgoing in zip(twins, twin_filters(self.loop.random(f"filter {index}")), strict=True):
                    twin.outgoing = outgoing
                return twins
            case _ if family in PUPPETS or family in SOURCES:
                puppet = self._make_validator(index, kind=(PUPPETS | SOURCES)[family], honest=False)
                assert isinstance(puppet, Puppet)
                puppet.mouth = mouth
                return [puppet]
            case _:
                liar = self._make_validator(index, honest=False)
                random = self.loop.random(f"filter {index}")
                liar.outgoing = filter_of(family, random, self._members_of, self.plan.timing)
                return [liar]

    # --- the story ---

    def storm(self, until_ms: int) -> None:
        """Play the storm up to a time, or to the height at which it ends."""
        for validator in [*self.validators, *self._others]:
            self.loop.at(self._random.randint(0, self.plan.timing.view_ms), validator.ensure_up)
        self._plan_breaks()
        for node, guard_too in self.plan.wiped:
            self.loop.at(self._random.randint(1, self.plan.storm_ms), self._wipe, node, guard_too)
        for node, guard_too in self.plan.damaged:
            self.loop.at(self._random.randint(1, self.plan.storm_ms), self._damage, node, guard_too)
        self.loop.after(1, self._work)
        self._plan_upgrade()
        if self.plan.appoint_ms:
            self.loop.after(self.plan.appoint_ms, self._appoint)
            self.loop.after(ANNOUNCE_MS, self._announce)
        self.loop.run(until_ms, lambda: self.judge.final_height >= self.plan.heights)

    def run(self) -> Result:
        """Storm, calm for a quorum, calm for all, and on at the pace of a network that had no storm."""
        self.storm(self.plan.storm_ms)
        self._stormy = False
        for one in self.validators:
            one.check_bounds()
            one.upgrade()
        self._calm_for_a_quorum()
        self._calm_for_all()
        self._demand_pace()
        self._demand_equality()
        loop, committees = self.loop, len(set(self.rows.values()))
        version = max(one.disk.block(one.disk.height).header.version for one in self.validators)
        old = 0 if self._upgrade is None else len(self._upgrade.until_ms)
        heights, digest = self.judge.final_height, loop.digest()
        return Result(self.plan.seed, heights, loop.events, loop.now_ms, digest, committees, version, old)

    def _calm_for_a_quorum(self) -> None:
        chosen = self._draw_quorum()
        if self.loop.tracing:
            self.loop.trace(f"calm for {sorted(one.index for one in chosen)}")
        self._network.heal(frozenset(one.index for one in chosen))
        for one in self.validators:
            one.mend()
            if one in chosen:
                one.wake()
            elif self._random.random() < 0.5:
                one.restart_after = _never
                one.crash("left out of the quorum")
        before = self.judge.final_height
        left_out = self.plan.faulty if self.plan.appoint_ms else range(self._size)
        bad = len({*left_out} - {one.index for one in chosen}) + len(self.plan.wiped) + len(self.plan.damaged)
        self._demand(chosen, before + 1, before + self.plan.calm_heights, bad)

    def _calm_for_all(self) -> None:
        if self.loop.tracing:
            self.loop.trace("calm for all")
        self._network.heal(frozenset(range(self._nodes)))
        for one in self.validators:
            one.wake()
        before, bad = self.judge.final_height, len(self.plan.liars) + len(self.plan.wiped) + len(self.plan.damaged)
        self._demand(self.validators, before + 1, before + self.plan.calm_heights, bad)
        self.judge.inclusion()

    def _demand_pace(self) -> None:
        """What the storm left in timers, queues and journals wears off: heights take what they take without one."""
        plan, calm = self.plan, self.plan.weather
        if not plan.pace_heights:
            return
        bad = min(len(plan.faulty), self._size - 1)
        timeouts = max(0.5, bad / (self._size - bad)) if bad else 0.0  # at most so many for a height
        if self._size < MASKING_SIZE:
            timeouts += (self._size - 1) * calm.calm_loss  # who does not get the proposal
        height_ms = plan.timing.idle_ms + plan.pace_ms + 4 * calm.calm_ms + 2 * plan.sync_ms + plan.execute_ms
        height_ms += plan.skew_ms  # whose clock is behind waits with its vote until a block's time has come
        bound_ms = int(plan.pace_heights * (height_ms + timeouts * plan.timing.view_ms)) + PACE_AGAIN_MS
        goal = self.judge.final_height + plan.pace_heights
        self._reach(self.validators, goal, PACE_SLACK * bound_ms, "pace")

    def _demand_equality(self) -> None:
        """All honest validators have one chain, and those of one height the same rows, byte by byte."""
        one, *others = sorted(self.validators, key=lambda each: each.disk.height, reverse=True)
        for other in others:
            height = other.disk.height
            if [stored.block.hash for stored in other.disk.heights] != [
                stored.block.hash for stored in one.disk.heights[:height]
            ]:
                raise Violation("agreement", f"{one.name} and {other.name} have two chains")
            if height == one.disk.height and other.disk.rows.rows() != one.disk.rows.rows():
                raise Violation("execution", f"{one.name} and {other.name} have other rows at height {height}")

    def _demand(self, chosen: list[Validator], first: int, then: int, bad_leaders: int) -> None:
        """Everybody in ``chosen`` reaches height ``first`` within the bound, and ``then`` in as much time for each."""
        bound_ms = self._bound_ms(chosen, bad_leaders)
        for goal, times in ((first, 1), (then, then - first)):
            self._reach(chosen, goal, bound_ms * times, "liveness")

    def _reach(self, chosen: list[Validator], goal: int, within_ms: int, invariant: str) -> None:
        """Go on until everybody in ``chosen`` has a height; it is a violation if that takes longer."""
        if not self.loop.run(self.loop.now_ms + within_ms, lambda: all(one.disk.height >= goal for one in chosen)):
            heights = {one.name: one.disk.height for one in chosen}
            raise Violation(invariant, f"height {goal} is not final in {within_ms} ms: {heights}")

    def _bound_ms(self, chosen: list[Validator], bad_leaders: int) -> int:
        timing, calm_ms = self.plan.timing, self.plan.weather.calm_ms
        view_ms = max(timing.view_ms_max, timing.view_ms) + timing.idle_ms
        behind = max(one.disk.height for one in self.validators) - min(one.disk.height for one in chosen)
        rounds = (bad_leaders + 3) * (view_ms + calm_ms + timing.share_ms + 2 * self.plan.sync_ms) + 4 * timing.retry_ms
        return SLACK * (rounds + self.plan.skew_ms * 2) + behind * (6 * calm_ms + self.plan.execute_ms + 50) + 5_000

    def _draw_quorum(self) -> list[Validator]:
        if self.plan.appoint_ms:  # what is a quorum may change any moment, but without the absent it is one in each
            return [one for one in self.validators if one.index not in self.plan.absent]
        lost = (*self.plan.wiped, *self.plan.damaged)
        mute = [node for node, guard_too in lost if guard_too]  # perhaps for the rest of the run
        weights = {node: 0 if node in mute else weight for node, weight in enumerate(self.plan.weights)}
        order = self._random.sample(self.validators, len(self.validators))
        chosen: list[Validator] = []
        while 3 * sum(weights.get(one.index, 0) for one in chosen) <= 2 * sum(self.plan.weights):
            chosen.append(order.pop())
        return chosen

    # --- what happens to them ---

    def _work(self) -> None:
        random = self._random
        delay_ms = self.plan.work_ms if self._stormy else min(self.plan.work_ms, self.plan.timing.view_ms)
        self.loop.after(random.randint(1, 2 * delay_ms), self._work)
        self._submit(self._clients.transactions(self._clock_ms()))

    def _submit(self, transactions: tuple[bytes, ...]) -> None:
        nodes = self._members_of(max(self.rows)).nodes
        seated = [one for one in self.validators if one.index in nodes] or self.validators
        self._random.choice(seated).submit(transactions)

    def _clock_ms(self) -> int:
        return EPOCH_MS + self.loop.now_ms

    def _appoint(self) -> None:
        """The central bank appoints other validators, as long as the storm lasts."""
        informed = [one for one in self.validators if one.up]
        if self._stormy and informed:
            ledger = max(informed, key=lambda one: one.disk.height).app.ledger
            listed = self._registrar.next_list(ledger.roster())
            if listed is not None:
                self._submit((self._clients.appoint(listed, ledger.roster(), self._clock_ms()),))
            self.loop.after(self._random.randint(1, 2 * self.plan.appoint_ms), self._appoint)

    def _announce(self) -> None:
        """Whoever is admitted, and has executed the chain, says so; a liar copies what another has executed."""
        informed = {one.index: one for one in self.validators if one.up}
        if informed:
            source = max(informed.values(), key=lambda one: one.disk.height)
            informed |= {index: source for index, _ in self.plan.liars}
        for index, one in informed.items():
            readiness = one.app.ledger.awaited(index)
            if readiness is not None:
                self._submit((self._clients.ready(readiness, index, self._signers[index], self._clock_ms()),))
        self.loop.after(ANNOUNCE_MS, self._announce)

    def _plan_upgrade(self) -> None:
        if self._upgrade is None:
            return
        self.loop.at(self._upgrade.demand_ms, self._demand_version)
        for node, at_ms in self._upgrade.until_ms:
            for one in self.validators:
                if one.index == node:
                    one.newest = OLD
                    self.loop.at(at_ms, one.upgrade)

    def _demand_version(self) -> None:
        """The central bank demands the newest version, until somebody has executed that."""
        demanded = max(one.disk.executed(one.disk.height).version for one in self.validators)
        if self._stormy and demanded < NEWEST:
            self._submit((self._clients.demand(NEWEST, OLD, self._clock_ms()),))
            self.loop.after(self.plan.timing.view_ms, self._demand_version)

    def _plan_breaks(self) -> None:
        breaks = self.plan.breaks
        for mean_ms, action in (
            (breaks.crash_ms, self._crash_one),
            (breaks.blackout_ms, self._crash_all),
            (breaks.sleep_ms, self._put_to_sleep),
            (breaks.flap_ms, self._flap),
            (breaks.full_ms, self._fill_disk),
            (breaks.jump_ms, self._jump_clock),
            (breaks.unread_ms, self._hide_disk),
        ):
            if mean_ms:
                self.loop.after(self._random.randint(1, 2 * mean_ms), self._break, mean_ms, action)

    def _break(self, mean_ms: int, action: object) -> None:
        assert callable(action)
        if self._stormy:
            action()
            self.loop.after(self._random.randint(1, 2 * mean_ms), self._break, mean_ms, action)

    def _crash_one(self) -> None:
        victim = self._random.choice(self.validators)
        if self._random.random() < 0.2:
            victim.crash("at random", power=self._random.random() < 0.5)
        elif len(victim.traps) < 3:
            victim.set_trap(Trap(self._random.choice(TRAPS), self._random.randint(1, 12)))

    def _crash_all(self) -> None:
        for victim in self.validators:
            victim.crash("everybody")

    def _put_to_sleep(self) -> None:
        self._random.choice(self.validators).sleep(self._random.randint(10, 3 * self.plan.timing.view_ms))

    def _fill_disk(self) -> None:
        victim = self._random.choice(self.validators)
        victim.disk.files.full = True
        self.loop.after(self._random.randint(1, 4 * self.plan.timing.view_ms), self._make_room, victim)

    def _make_room(self, victim: Validator) -> None:
        victim.disk.files.full = False
        if self._stormy:
            victim.ensure_up()

    def _hide_disk(self) -> None:
        """A machine starts again, and its disk cannot be read."""
        victim = self._random.choice(self.validators)
        victim.disk.files.unreadable = True
        victim.crash("unreadable")
        self.loop.after(self._random.randint(1, 4 * self.plan.timing.view_ms), self._show_disk, victim)

    def _show_disk(self, victim: Validator) -> None:
        victim.disk.files.unreadable = False
        if self._stormy:
            victim.ensure_up()

    def _jump_clock(self) -> None:
        jumping = [one for one in self.validators if one.index in self.plan.jumping]
        if jumping:
            self._random.choice(jumping).jump_ms = self._random.choice((-1, 1)) * self._random.choice(JUMPS_MS)

    def _wipe(self, node: int, guard_too: bool) -> None:
        """A machine loses its data. Who loses the guard too signs nothing in any epoch that may have begun."""
        if self._stormy:
            self._begin_anew(self._validator(node), guard_too)

    def _begin_anew(self, victim: Validator, guard_too: bool) -> None:
        epoch = max(self.judge.highest_view, default=0) + 1
        victim.wipe(epoch if guard_too else None)
        self.loop.after(self._random.randint(1, self.plan.breaks.down_ms), victim.ensure_up)

    def _damage(self, node: int, guard_too: bool) -> None:
        """Bytes change on a disk. The node finds that out when it starts, or they were of no use any more."""
        if self._stormy:
            victim = self._validator(node)
            victim.damage(guard_too)
            self.loop.after(self._random.randint(1, self.plan.breaks.down_ms), victim.ensure_up)

    def _on_unusable(self, victim: Validator, guard_too: bool) -> None:
        """A node has stopped for what it read. Its operator throws that away, in calm at once: som resync, or R43."""
        if self._stormy:
            delay_ms = self._random.randint(1, self.plan.breaks.down_ms)
            self.loop.after(delay_ms, self._throw_away, victim, guard_too)
        else:
            self._begin_anew(victim, guard_too)
            victim.ensure_up()

    def _throw_away(self, victim: Validator, guard_too: bool) -> None:
        if not victim.up and (victim.disk.guard_damaged if guard_too else victim.disk.records.damaged):
            self._begin_anew(victim, guard_too)

    def _validator(self, node: int) -> Validator:
        return next(one for one in self.validators if one.index == node)

    def _flap(self) -> None:
        one, other = self._random.choice(self.validators), self._random.randrange(self._nodes)
        if one.index != other:
            one.link(other, False)
            self.loop.after(self._random.randint(1, self.plan.timing.view_ms), one.link, other, True)

    def _on_power(self, index: int, up: bool) -> None:
        for one in [*self.validators, *self._others]:
            if one.index != index:
                self.loop.after(LINK_MS, one.link, index, up)

    def _reachable(self) -> list[int]:
        down = {one.index for one in self.validators if not one.up}
        return [index for index in range(self._nodes) if index not in down]

    def _restart_after(self) -> int | None:
        if self._random.random() < 0.3:
            return 0
        return self._random.randint(1, self.plan.breaks.down_ms)

    def _current_leader(self) -> int:
        epoch = max(self.judge.highest_view, default=0)
        committee = self._committee(epoch)
        return self._members_of(epoch).nodes[committee.leader(self.judge.highest_view.get(epoch, 1))]


def _never() -> None:
    return None


def _make_signers(plan: Plan) -> list[Signer]:
    seeds: Iterable[bytes] = (sha256(b"som-simulated-seed %d" % index).digest() for index in range(len(plan.weights)))
    first = sorted((keys.make_key(plan.real_signatures, seed) for seed in seeds), key=lambda signer: signer.public)
    others = (sha256(b"som-simulated-outsider %d" % index).digest() for index in range(plan.observers))
    return first + [keys.make_key(plan.real_signatures, seed) for seed in others]


def _genesis(committee: Committee, state_root: Hash, version: int) -> Block:
    payload = encode_payload([])
    header = Header(
        genesis_hash=GENESIS_HASH,
        epoch=0,
        view=0,
        height=0,
        parent_view=0,
        parent_hash=NO_HASH,
        proposer=0,
        timestamp_ms=EPOCH_MS - 1_000_000,
        validators_hash=Hash(committee.hash),
        next_validators_hash=Hash(committee.hash),
        executed_height=0,
        state_root=state_root,
        payload_hash=payload_hash(payload),
        version=version,
    )
    return make_block(header, payload)
