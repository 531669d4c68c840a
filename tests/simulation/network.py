"""Links between validators, and the weather on them: delay, loss, duplicates, partitions.

One rule: before the storm ends anything may happen to a message but a change of its bytes; after it, links between
healed validators deliver within a bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import Protocol

from tests.simulation.loop import Loop


class Endpoint(Protocol):
    """Someone who receives: a validator, one of two twins, or a liar."""

    index: int

    def deliver(self, sender: int, channel: str, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Weather:
    """What a seed draws for its links. Times in ms, shares in 0..1."""

    low_ms: int
    high_ms: int  # delays are log-uniform between these
    near_timeout: float  # the share of messages that arrive around one of ``timeouts_ms``
    timeouts_ms: tuple[int, ...]
    loss: float
    duplicate: float
    partition_ms: int  # a partition's mean length; 0 for none
    calm_low_ms: int  # after the storm delays are between these
    calm_ms: int
    calm_loss: float  # loss after the storm, which retransmission must outlive


Shape = Callable[[int, int], bool]  # (from, to) -> blocked


class Network:
    """All links. Validators are known by index; twins share one."""

    def __init__(self, loop: Loop, weather: Weather, validators: int, leader: Callable[[], int]) -> None:
        self._loop = loop
        self._weather = weather
        self._size = validators
        self._leader = leader  # of the highest view that anyone is in
        self._random = loop.random("network")
        self._delays = log(weather.low_ms), log(weather.high_ms)
        self._endpoints: list[list[Endpoint]] = [[] for _ in range(validators)]
        self._blocked: Shape = _open
        self._healed: frozenset[int] = frozenset()
        self._twin_choice: dict[tuple[int, int], int] = {}
        self._slow = {  # links differ: some are three times slower than others
            (a, b): exp(self._random.uniform(-0.5, 0.5)) for a in range(validators) for b in range(validators)
        }
        if weather.partition_ms:
            self._change_partition()

    def attach(self, endpoint: Endpoint) -> None:
        """Connect an endpoint under its index."""
        self._endpoints[endpoint.index].append(endpoint)

    def heal(self, healed: frozenset[int]) -> None:
        """Between these validators the storm is over."""
        self._healed = healed

    def send(self, sender: int, receiver: int, channel: str, data: bytes) -> None:
        """Put a message on its way."""
        random, weather = self._random, self._weather
        if sender in self._healed and receiver in self._healed:
            if weather.calm_loss and random.random() < weather.calm_loss:
                return
            self._schedule(sender, receiver, channel, data, random.randint(weather.calm_low_ms, weather.calm_ms))
            return
        if self._blocked(sender, receiver) or random.random() < weather.loss:
            return
        self._schedule(sender, receiver, channel, data, self._delay_ms(sender, receiver))
        if weather.duplicate and random.random() < weather.duplicate:
            self._schedule(sender, receiver, channel, data, self._delay_ms(sender, receiver))

    def _schedule(self, sender: int, receiver: int, channel: str, data: bytes, delay_ms: int) -> None:
        self._loop.after(delay_ms, self._arrive, sender, receiver, channel, data)

    def _arrive(self, sender: int, receiver: int, channel: str, data: bytes) -> None:
        endpoints = self._endpoints[receiver]
        if len(endpoints) < 2:
            for endpoint in endpoints:
                endpoint.deliver(sender, channel, data)
            return
        for twin in self._heard_by(sender, receiver):
            endpoints[twin].deliver(sender, channel, data)

    def _heard_by(self, sender: int, receiver: int) -> tuple[int, ...]:
        # Which twin hears whom holds for a while, then changes; mostly both do, or one of them would soon lag for ever.
        if self._random.random() < 0.02 or (sender, receiver) not in self._twin_choice:
            self._twin_choice[sender, receiver] = self._random.choice((0, 1, 2, 2, 2))
        choice = self._twin_choice[sender, receiver]
        return (0, 1) if choice == 2 else (choice,)

    def _delay_ms(self, sender: int, receiver: int) -> int:
        random, weather = self._random, self._weather
        if random.random() < weather.near_timeout:
            return int(random.choice(weather.timeouts_ms) * random.uniform(0.7, 1.3))
        delay = exp(random.uniform(*self._delays))
        return max(1, int(delay * self._slow[sender, receiver]))

    def _change_partition(self) -> None:
        self._blocked = self._draw_partition()
        self._loop.after(int(self._weather.partition_ms * self._random.uniform(0.2, 1.8)), self._change_partition)

    def _draw_partition(self) -> Shape:
        random, size = self._random, self._size
        everyone = range(size)
        match random.choice(("none", "none", "halves", "isolate", "leader", "one-way", "ring", "pairs", "views")):
            case "halves":
                side = frozenset(random.sample(everyone, size // 2))
                return lambda a, b: (a in side) != (b in side)
            case "isolate":
                alone = random.randrange(size)
                return lambda a, b: alone in (a, b)
            case "leader":
                leader = self._leader()
                return lambda a, b: leader in (a, b)
            case "one-way":
                deaf = frozenset(random.sample(everyone, random.randint(1, max(1, size // 2))))
                return lambda a, b: b in deaf and a not in deaf
            case "ring":
                return lambda a, b: (a - b) % size not in (1, size - 1)
            case "pairs":
                cut = frozenset((a, b) for a in everyone for b in everyone if random.random() < 0.3)
                return lambda a, b: (a, b) in cut
            case "views":
                return self._draw_recipients()
            case _:
                return _open

    def _draw_recipients(self) -> Shape:
        """Let each sender be heard by a part of the others, another one under each leader."""
        heard: dict[tuple[int, int], frozenset[int]] = {}
        share = self._random.uniform(0.3, 0.9)

        def blocked(sender: int, receiver: int) -> bool:
            now = (self._leader(), sender)
            if now not in heard:
                heard[now] = frozenset(node for node in range(self._size) if self._random.random() < share)
            return receiver not in heard[now]

        return blocked


def _open(_: int, __: int) -> bool:
    return False


def draw_weather(random: Random, timeouts_ms: tuple[int, ...]) -> Weather:
    """Draw a seed's weather, from a calm local network to a storm."""
    low = int(exp(random.uniform(log(1), log(50))))
    # Sometimes even calm links are as slow as a view, and its timers must grow.
    slow = max(timeouts_ms) if random.random() < 0.1 else None
    high = int(exp(random.uniform(log(low + 1), log(2000))))
    return Weather(
        low_ms=low,
        high_ms=max(low + 1, high),
        near_timeout=random.choice((0.0, 0.1, 0.25, 0.4)),
        timeouts_ms=timeouts_ms,
        loss=random.choice((0.0, 0.0, 0.02, 0.1, 0.3)),
        duplicate=random.choice((0.0, 0.0, 0.1, 0.3)),
        partition_ms=random.choice((0, 0, 500, 2000, 6000)),
        calm_low_ms=1 if slow is None else slow * 6 // 10,
        calm_ms=random.choice((5, 20, 60)) if slow is None else slow,
        calm_loss=random.choice((0.0, 0.0, 0.0, 0.0, 0.03)),
    )
