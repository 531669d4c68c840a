"""The build of the wheel. All that it is stands in pyproject.toml, but for one choice:

    SOM_NATIVE=1 pip install .      with the modules that a payment spends its time in compiled by mypyc

One rule: the source is the same, and runs without this; a compiled node gives the same bytes (docs/performance.md).
"""

import os
from typing import Final

from setuptools import setup

NATIVE: Final = "SOM_NATIVE"
LEDGER: Final = (
    *(
        "account",
        "admission",
        "assets",
        "checkpoints",
        "commitment",
        "execute",
        "invariants",
        "operations",
        "parameters",
    ),
    *("pay", "receipt", "recent", "records", "state", "statement", "step", "transaction", "transfer", "tree"),
)
MODULES: Final = (
    *("consensus/encoding.py", "node/batches.py", "node/checks.py", "node/executor.py", "node/mempool.py"),
    *("node/references.py", "node/storage/reads.py", "node/storage/records.py", "node/storage/schema.py"),
    "node/storage/store.py",
    *(f"node/ledger/{name}.py" for name in LEDGER),
)

if __name__ == "__main__":
    extensions = []
    if os.environ.get(NATIVE, "0") not in ("", "0"):
        from mypyc.build import mypycify

        extensions = mypycify(list(MODULES), opt_level="3", debug_level="0", group_name="som_native")
    setup(ext_modules=extensions)
