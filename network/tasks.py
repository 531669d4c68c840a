"""Starting a task from outside its group, which may be shutting down at that moment."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def start(tasks: asyncio.TaskGroup, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Start ``coroutine`` in ``tasks``. Return None, and never run it, if the group is shutting down or finished.

    Members of a group need not ask: they are cancelled before they could. Whoever else adds to it (a connection that
    arrives, a peer that is added) must not turn a shutdown into an error.
    """
    try:
        return tasks.create_task(coroutine)
    except RuntimeError:  # all that create_task raises
        coroutine.close()
        return None
