"""The whole chain from whichever node answers, block by block, as it becomes certain.

One rule: what is yielded is verified (chain.py), and comes once and in order.
"""

import contextlib
from collections.abc import AsyncGenerator

from node.client.chain import ChainBlock, ChainCheck, ChainPlace
from node.client.client import Client
from node.client.errors import ProofInvalid
from node.client.trust import CommitteeUnknown


async def follow_chain(
    client: Client, place: ChainPlace | None = None, *, from_cursor: str | None = None
) -> AsyncGenerator[ChainBlock, None]:
    """Yield every block after ``place`` (the genesis if None) whole, verified from the genesis, for ever.

    A block comes once a later final one names the root after it: then its transactions, their receipts and the root
    are certain. ``from_cursor`` is that of the block at ``place``; without it the height is asked for.
    Raises as ``Client.subscribe``; RequestFailed (pruned) if the node has not kept that height.
    """
    check = ChainCheck(client.trust, place)
    if from_cursor is not None:
        events = client.subscribe("executed", from_cursor=from_cursor)
    else:
        events = client.subscribe("executed", from_height=check.height + 1)
    async with contextlib.aclosing(events):
        async for event in events:
            if event.executed is None:
                raise ProofInvalid("an event without a block")
            try:
                blocks = check.add(event.executed, event.cursor, event.at_height)
            except CommitteeUnknown:
                check.trust = await client.learn(check.trust)
                blocks = check.certified()
            for block in blocks:
                yield block
