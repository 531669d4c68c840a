"""What this machine and the processes on it say: CPU, memory, disk, and what one signature check costs here and now.

One rule: ratios of figures from one run are worth more than the figures.
"""

import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from consensus.crypto import SecretKey, verify
from devnet.processes import worker_pool
from node.build import is_native

TICKS: Final = os.sysconf("SC_CLK_TCK")
VERIFY_SECONDS: Final = 1.5  # in which processes start, too
VERIFY_ROUNDS_MIN: Final = 9
VERIFY_CHECKS: Final = 200  # a round: about 15 ms
METRICS_SECONDS: Final = 10.0
EXECUTED: Final = "som_transactions_executed_total"
SENT: Final = "som_network_sent_bytes_total"
HEIGHT: Final = "som_height"
NULLIFIED: Final = "som_views_nullified_total"
FINALITY: Final = "som_block_finality_seconds_sum"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    load_average: float  # of the last minute, before the run: above 0.5 others were at work


@dataclass(frozen=True, slots=True)
class Reading:
    """One validator at one moment; what grows is counted since its start."""

    executed: int
    height: int
    nullified: int
    finality_seconds: float  # of all its blocks together, from proposal to store
    cpu_seconds: float
    rss_bytes: int
    written_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Moment:
    """All validators, ourselves and the machine at one moment."""

    at: float  # monotonic seconds
    readings: Mapping[str, Reading]
    other_cpu_seconds: float  # of what is part of the run beside these
    own_cpu_seconds: float
    busy_cpu_seconds: float  # of all processes on the machine


def machine() -> Machine:
    """Return what is known of this machine."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return Machine(
        cpu=models[0] if models else platform.machine(),
        cores=cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version() + (", compiled by mypyc" if is_native() else ""),
        load_average=round(os.getloadavg()[0], 2),
    )


def cores() -> int:
    """Return how many cores we and our children may use."""
    return len(os.sched_getaffinity(0))


def verify_us() -> float:
    """Return the CPU time of one check with the node's own verifier while all cores check, as the bound has it.

    A core whose sibling thread rests is faster by a third on some machines; validators at work never have that.
    """
    workers, until = cores(), time.monotonic() + VERIFY_SECONDS
    with worker_pool(workers) as pool:
        return statistics.mean(pool.map(_check_us, [until] * workers))


def _check_us(until: float) -> float:
    """Return the median of rounds of checks until a time on the monotonic clock, which all processes share.

    Keys, messages and signatures all differ, as a validator meets them: the same one again and again takes 4 % less.
    """
    keys = [SecretKey(sha256(b"%d" % number).digest()) for number in range(VERIFY_CHECKS)]
    signed = [(key.public, key.public, key.sign(key.public)) for key in keys]
    rounds: list[float] = []
    while time.monotonic() < until or len(rounds) < VERIFY_ROUNDS_MIN:
        began = time.thread_time()
        for public, message, signature in signed:
            verify(public, message, signature)
        rounds.append((time.thread_time() - began) / VERIFY_CHECKS * 1e6)
    return statistics.median(rounds)


def look(at: float, pids: Mapping[str, int], urls: Mapping[str, str], others: Iterable[int]) -> Moment:
    """Read everything. Takes some milliseconds of each validator; call it in a thread. ``others`` are process ids."""
    readings = {name: _reading(pid, urls[name]) for name, pid in pids.items()}
    return Moment(at, readings, sum(map(cpu_seconds, others)), time.process_time(), _busy_seconds())


def _reading(pid: int, url: str) -> Reading:
    metrics = scrape(url)
    status = dict(line.split(":", 1) for line in _lines(f"/proc/{pid}/status"))
    io = dict(line.split(":", 1) for line in _lines(f"/proc/{pid}/io"))
    return Reading(
        executed=int(metrics.get(EXECUTED, 0)),
        height=int(metrics.get(HEIGHT, 0)),
        nullified=int(metrics.get(NULLIFIED, 0)),
        finality_seconds=metrics.get(FINALITY, 0.0),
        cpu_seconds=sum(map(cpu_seconds, family(pid))),
        rss_bytes=int(status["VmRSS"].split()[0]) * 1024,
        written_bytes=int(io["write_bytes"]),
        sent_bytes=int(metrics.get(SENT, 0)),
    )


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started: a validator's workers are of its cost."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS


def scrape(url: str) -> dict[str, float]:
    """Return a validator's metrics, summed over their labels."""
    with urlopen(f"{url}/metrics", timeout=METRICS_SECONDS) as reply:
        text: str = reply.read().decode()
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _busy_seconds() -> float:
    user, nice, system, _, _, irq, softirq = (int(field) for field in _lines("/proc/stat")[0].split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
