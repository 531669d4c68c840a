"""What must be true of the validators' disks once a load is over.

One rule: nothing is taken from the validators' words. They are stopped; each store is opened, its state tree built
anew, every account read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from devnet.money import BANK_TYIYN, TREASURY_TYIYN
from node.ledger.account import SOM
from node.ledger.errors import InvariantViolation
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis
from node.storage.errors import StorageError
from node.storage.store import Store

ISSUED_TYIYN = TREASURY_TYIYN + 3 * BANK_TYIYN


def faults(homes: Mapping[str, Path], genesis: Genesis, stopped: Callable[[], bool] = bool) -> list[str]:
    """Return what is wrong: a broken store or invariant, a supply that is not what was issued, roots that differ.

    ``stopped`` is asked before each store whether anybody still wants to know.
    """
    found: list[str] = []
    roots: dict[str, dict[int, bytes]] = {}
    for name, home in homes.items():
        if stopped():
            break
        try:
            store = Store.open(home / "data" / "store", genesis.hash)
        except StorageError as error:
            found.append(f"{name}: {error}")
            continue
        try:
            supply = Ledger(store, genesis).audit()[SOM]
            if supply != ISSUED_TYIYN:
                found.append(f"{name}: a supply of {supply} tyiyn, {ISSUED_TYIYN} were issued")
            roots[name] = {
                height: row.root for height in range(store.tip.height + 1) if (row := store.roots(height)) is not None
            }
        except (StorageError, InvariantViolation) as error:
            found.append(f"{name}: {error}")
        finally:
            store.close()
    return found + _differences(roots)


def _differences(roots: Mapping[str, Mapping[int, bytes]]) -> list[str]:
    common = min((max(heights) for heights in roots.values()), default=0)
    return [
        f"height {height}: the roots of {', '.join(sorted(roots))} differ"
        for height in range(common + 1)
        if len({heights.get(height) for heights in roots.values()}) > 1
    ]
