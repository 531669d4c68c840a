"""What a client shows where an answer is about somebody: the proof of a key whose accounts it may read, or an order.

One rule: a proof is of one account and one group of methods, holds for minutes, and is signed here, where the key is.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from consensus.crypto import SecretKey
from node.rpc.auth import namespace_of, sign_auth
from node.rpc.types import Auth

PROOF_MS: Final = 4 * 60_000  # of a proof; the node takes 10 minutes
# What takes ``auth`` and ``under_order``: what is about somebody.
PERSONAL_METHODS: Final = frozenset(
    (
        "account_get",
        "account_getHistory",
        "account_getProof",
        "account_getRecovery",
        "hold_get",
        "hold_list",
        "order_get",
        "order_list",
        "state_getProof",
        "sub_subscribe",
        "tx_get",
        "tx_getByRef",
        "tx_simulate",
    )
)

Moment = Callable[[], Awaitable[tuple[bytes, int]]]  # the genesis hash, and the node's time in Unix ms


class Access:
    """Adds to params what entitles to the answer."""

    def __init__(self, reader: tuple[int, SecretKey] | None, under_order: str | None, moment: Moment) -> None:
        """Take an account with a key of it, and the number of an order; both may be missing."""
        self._reader = reader
        self._under_order = under_order
        self._moment = moment
        self._proofs: dict[str, Auth] = {}  # by namespace

    async def entitled(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return params with what entitles us to the answer, for a method that is about somebody."""
        if method not in PERSONAL_METHODS:
            return params
        given = dict(params)
        if self._under_order is not None:
            given.setdefault("under_order", self._under_order)
        if self._reader is not None:
            given.setdefault("auth", msgspec.to_builtins(await self._proof(namespace_of(method), *self._reader)))
        return given

    async def _proof(self, namespace: str, account: int, key: SecretKey) -> Auth:
        genesis_hash, now_ms = await self._moment()
        known = self._proofs.get(namespace)
        if known is None or known.expires_ms - now_ms < PROOF_MS // 2:
            known = sign_auth(genesis_hash, account, now_ms + PROOF_MS, namespace, key)
            self._proofs[namespace] = known
        return known
