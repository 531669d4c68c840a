"""Carries out calls, whatever brought them: counted, let in or refused, observed.

One rule: HTTP, WebSocket and the local socket go through this one door, so that no limit holds on one road only.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from node.rpc.access import Caller
from node.rpc.errors import FORBIDDEN, METHOD_NOT_FOUND, RATE_LIMITED, UNAUTHORIZED, RpcError
from node.rpc.jsonrpc import Request
from node.rpc.limiter import Limiter
from node.rpc.methods import METHODS
from node.rpc.ports import Ports
from node.rpc.registry import Run, call_method

Observe = Callable[[str, str, float], None]  # method, error name or "ok", seconds

DENIALS: Final = (UNAUTHORIZED, FORBIDDEN, RATE_LIMITED)


class Dispatcher:
    """The door. ``denied`` counts refusals by their name."""

    def __init__(self, ports: Ports, calls_per_second: int, calls_burst: int, observe: Observe) -> None:
        """Take the rate of one address, and who hears of each call."""
        self._ports = ports
        self._observe = observe
        self._limiter = Limiter(calls_per_second, calls_burst)
        self.denied: Counter[str] = Counter({fault.name: 0 for fault in DENIALS})

    async def call(self, called: Request, caller: Caller, own: Mapping[str, Run] | None = None) -> msgspec.Raw:
        """Return the result as JSON; ``own`` are methods that the caller's connection carries out. Raises RpcError."""
        method = METHODS.get(called.method)
        name = "unknown" if method is None else called.method
        outcome = "ok"
        started = time.perf_counter()
        try:
            self._count(called, caller, int(started * 1_000), method.cost if method else 1)
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, actual=called.method)
            return await call_method(method, self._ports, called.params, caller, (own or {}).get(name))
        except RpcError as error:
            outcome = error.fault.name
            if error.fault in DENIALS:
                self.denied[outcome] += 1
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            outcome = "internal_error"
            raise
        finally:
            self._observe(name, outcome, time.perf_counter() - started)

    def admit(self, address: str, cost: int) -> None:
        """Count what is asked for without a call: a page. Raises RpcError (rate_limited)."""
        wait_ms = self._limiter.wait_ms(address, int(time.perf_counter() * 1_000), cost)
        if wait_ms:
            self.denied[RATE_LIMITED.name] += 1
            raise RpcError(RATE_LIMITED, retry_after_ms=wait_ms)

    def _count(self, called: Request, caller: Caller, now_ms: int, cost: int) -> None:
        """Raise RpcError (rate_limited) if the address, the token or its participant has used up its second."""
        grant = caller.grant
        if caller.local:
            return
        waits = [self._limiter.wait_ms(caller.address, now_ms, cost)]
        if grant is not None:
            count = _transactions(called.method, called.params)
            party = f"participant {grant.participant}" if grant.participant else f"token {grant.name}"
            for bucket, rate, each in (
                (f"token {grant.name}", grant.calls, cost),
                (f"{party} in all", grant.participant_calls, cost),
                (f"token {grant.name} pays", grant.transactions, count),
                (f"{party} in all pays", grant.participant_transactions, count),
            ):
                if rate and each:
                    waits.append(self._limiter.wait_ms(bucket, now_ms, each, rate))
        if any(waits):
            raise RpcError(RATE_LIMITED, retry_after_ms=max(waits))


def _transactions(method: str, params: dict[str, Any]) -> int:
    """Return how many transactions a call brings, as far as it can be told before it is checked."""
    if method == "tx_submit":
        return 1
    txs = params.get("txs") if method == "tx_submitMany" else None
    return len(txs) if isinstance(txs, list) else 0
