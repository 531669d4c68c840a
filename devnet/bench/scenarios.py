"""What the bench can run: one row a scenario.

One rule: a scenario differs from `usual` in as few fields as its question needs, so that two rows can be compared.
"""

from dataclasses import dataclass
from typing import Final, Literal

Fault = Literal["none", "dead", "slow", "lying"]
Draw = Literal["uniform", "zipf", "merchant"]
PayloadName = Literal["pays", "pays of 100", "pays of 1,000", "holds"]


@dataclass(frozen=True, slots=True)
class Load:
    """One stage: a closed loop, or an open loop at ``rate`` transactions a second or a ``share`` of saturation."""

    name: str
    share: float | None = None
    rate: float | None = None

    @property
    def closed(self) -> bool:
        """A new request goes out when an old one is final."""
        return self.share is None and self.rate is None


@dataclass(frozen=True, slots=True)
class Payload:
    """What a transaction holds, and how many are sent at once."""

    legs: int  # payments in a transaction
    batch: int  # transactions in a call
    in_flight: int  # transactions that are not final, in a closed loop


@dataclass(frozen=True, slots=True)
class Scenario:
    """A network, a load, and what is wrong or far away. Seconds are those of a measured window."""

    name: str
    question: str
    validators: int = 4
    accounts: int = 10_000
    draw: Draw = "uniform"  # of payees
    payload: PayloadName = "pays"
    batch: int | None = None  # None: the payload's
    in_flight: int | None = None
    loads: tuple[Load, ...] = (Load("saturation"), Load("half", 0.5))
    seconds: float = 20.0
    fault: Fault = "none"
    delay_ms: float = 0.0  # one way
    jitter_ms: float = 0.0
    signature_workers: int = 0
    profile: bool = False


PAYLOADS: Final[dict[PayloadName, Payload]] = {
    "pays": Payload(1, 100, 2_500),
    "pays of 100": Payload(100, 10, 200),
    "pays of 1,000": Payload(1_000, 4, 48),
    "holds": Payload(1, 100, 2_500),  # half of them make a hold, half settle it
}
SATURATION: Final = Load("saturation")
USUAL: Final = (SATURATION, Load("quarter", 0.25), Load("half", 0.5), Load("double", 2.0))
# A latency curve needs many samples, so calls of ten: each call gives one. At saturation the queue never ends.
CURVE: Final = (SATURATION, *(Load(f"{percent} %", percent / 100) for percent in (10, 25, 40, 50, 60, 70, 80, 90)))
ONE_LOAD: Final = (SATURATION,)
# A country's state is opened once and kept; the windows are longer, since caches fill slowly.
ACCOUNTS: Final = ((10**3, "1e3"), (10**5, "1e5"), (10**6, "1e6"), (7 * 10**6, "7e6"))
VALIDATORS: Final = (4, 7, 10, 16, 31)
WORKERS: Final = ((0, "its main process"), (1, "a process beside it"), (2, "two processes beside it"))
DELAYS_MS: Final = (10, 80)


def _all() -> tuple[Scenario, ...]:
    return (
        Scenario("usual", "what four validators do with single payments", loads=USUAL),
        Scenario("latency", "how long a client waits, at rates up to saturation", batch=10, loads=CURVE),
        *(
            Scenario(f"validators-{count}", f"{count} validators that share these cores", validators=count)
            for count in VALIDATORS
        ),
        *(
            Scenario(f"accounts-{name}", f"a state of {count:,} accounts", accounts=count, seconds=30.0)
            for count, name in ACCOUNTS
        ),
        *(
            Scenario(
                f"alone-{count}",
                f"one validator, whose signatures are checked in {ways}",
                validators=1,
                signature_workers=count,
            )
            for count, ways in WORKERS
        ),
        Scenario("zipf", "few accounts are paid by most", draw="zipf"),
        Scenario("merchant", "one merchant gets half of all payments", draw="merchant"),
        Scenario("pays-100", "pays of 100 legs", payload="pays of 100"),
        Scenario("pays-1000", "pays of 1,000 legs", payload="pays of 1,000"),
        Scenario("holds", "holds that are settled: two transactions a payment", payload="holds"),
        Scenario("dead", "one validator was killed", fault="dead"),
        Scenario("slow", "one validator has a quarter of its time", fault="slow"),
        Scenario("lying", "one validator lies: proposals for one alone, batches with false signatures", fault="lying"),
        *(
            Scenario(
                f"wan-{delay_ms}",
                f"{delay_ms} ms between any two validators",
                delay_ms=delay_ms,
                jitter_ms=delay_ms / 10,
                loads=(SATURATION, Load("quarter", 0.25), Load("half", 0.5)),
            )
            for delay_ms in DELAYS_MS
        ),
        Scenario("profile", "which part takes the CPU time", loads=(SATURATION, Load("half", 0.5)), profile=True),
    )


SCENARIOS: Final = {scenario.name: scenario for scenario in _all()}
