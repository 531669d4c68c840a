"""Long work beside the event loop, in a thread that leaves the interpreter to others most of the time.

One rule: a slice is shorter than the interpreter's own switch of threads, so that whoever votes never waits for it.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final

SLICE_SECONDS: Final = 0.002
PAUSE_SECONDS: Final = 0.006


def in_slices(work: Iterator[None], stop: threading.Event) -> bool:
    """Do the work, which yields often, with pauses; return False, having left off, once ``stop`` is set."""
    resumed = time.monotonic()
    for _ in work:
        if time.monotonic() - resumed > SLICE_SECONDS:
            if stop.wait(PAUSE_SECONDS):
                return False
            resumed = time.monotonic()
    return True
