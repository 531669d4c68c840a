"""Why a root is final: the header that certifies it, the certificate above, and the roots between (types.Anchor).

One rule: an anchor is made of what is on disk, and holds everything that a client needs besides the genesis.
"""

from typing import Final

from consensus.messages import Header, decode_block, encode_header
from node.rpc.errors import PROOF_UNAVAILABLE, PRUNED, RpcError
from node.rpc.ports import Ports
from node.rpc.types import Anchor, RootLink
from node.storage.store import Store

WAIT_SECONDS: Final = 5.0  # for the block that certifies the newest state: two views as a rule
RETRY_AFTER_MS: Final = 1_000
HEADERS_MAX: Final = 2_048  # between the certifying header and a certificate; catching up stores one for 1,024 blocks
LINKS_MAX: Final = 10_000  # between a height and what certifies it; empty blocks may lag without bound in an outage


async def wait_for_anchor(ports: Ports, height: int) -> Anchor:
    """Return the anchor of ``height`` as soon as a final block certifies it. Raises RpcError (proof_unavailable)."""
    while True:
        anchor = find_anchor(ports.store, height)
        if anchor is not None:
            return anchor
        if not await ports.reached(ports.store.tip.height + 1, WAIT_SECONDS):
            raise RpcError(
                PROOF_UNAVAILABLE, expected=f"a final block that certifies {height}", retry_after_ms=RETRY_AFTER_MS
            )


def certified_height(store: Store) -> int | None:
    """Return the highest height whose root a stored final block certifies; None if there is none."""
    return header_at(store, store.tip.height).executed_height if store.tip.height else None


def find_anchor(store: Store, height: int) -> Anchor | None:
    """Return the anchor of ``height``, or None if no stored block certifies it yet. Raises RpcError (pruned)."""
    certifying = _first_certifying(store, height)
    if certifying is None:
        return None
    found = store.certificate_from(certifying)
    if found is None:
        return None
    certified, certificate = found
    header = header_at(store, certifying)
    if certified - certifying >= HEADERS_MAX or header.executed_height - height >= LINKS_MAX:
        return None
    return Anchor(
        height=height,
        root_before=_root(store, height - 1).hex(),
        links=tuple(_link(store, between) for between in range(height, header.executed_height + 1)),
        headers=tuple(encode_header(header_at(store, above)).hex() for above in range(certifying, certified + 1)),
        certificate=certificate.hex(),
    )


def header_at(store: Store, height: int) -> Header:
    """Return the header of the block at ``height``. Raises RpcError (pruned)."""
    block = store.block(height)
    if block is None:
        raise RpcError(PRUNED, path="height", actual=str(height))
    return decode_block(block.block_bytes).header


def _first_certifying(store: Store, height: int) -> int | None:
    """Return the lowest block that certifies ``height`` or more. Certified heights never fall from block to block."""
    low, high = height + 1, store.tip.height
    if low > high or header_at(store, high).executed_height < height:
        return None
    while low < high:
        middle = (low + high) // 2
        if header_at(store, middle).executed_height >= height:
            high = middle
        else:
            low = middle + 1
    return low


def _root(store: Store, height: int) -> bytes:
    if height < 0:
        return bytes(32)
    roots = store.roots(height)
    if roots is None:
        raise RpcError(PRUNED, path="height", actual=str(height))
    return roots.root


def _link(store: Store, height: int) -> RootLink:
    roots = store.roots(height)
    if roots is None:
        raise RpcError(PRUNED, path="height", actual=str(height))
    return RootLink(state_tree_root=roots.state_tree_root.hex(), outcomes_root=roots.outcomes_root.hex())
