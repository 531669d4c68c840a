"""Transactions at the edges of what their fields can hold, and beyond: each gets a receipt or is refused; no exception.

The asserts in the ledger are about the caller (a block is open, heights follow one another), but for three that no
transaction can reach: ``create`` comes after EXISTS was ruled out, a leg's payee is there once ``_refusal`` is APPLIED,
and ``backed_by`` holds only assets with a reserve on the ledger.
"""

from random import Random
from typing import Final

import pytest

from consensus.encoding import decode, encode
from node.ledger.account_ops import CloseAccount
from node.ledger.errors import Code, Refused
from node.ledger.pay import Pay
from node.ledger.transaction import decode_transaction
from tests.hostile import transactions
from tests.hostile.values import opened, twist
from tests.ledger_world import ALICE, BANK, BOB, World

QUICK_SEEDS: Final = (0, 1, 2, 3)
CODES: Final = 12  # different receipts that a seed gives at least


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_every_transaction_gets_a_receipt(seed: int) -> None:
    codes = transactions.run(seed)
    assert codes[Code.APPLIED] > 0
    assert len(codes) >= CODES, f"{sorted(codes)}: what is always refused for one reason tests little"


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_no_bytes_are_worse_than_refused(seed: int) -> None:
    """Whole transactions changed field by field, their envelopes too: Refused, or a transaction."""
    random = Random(1_000 + seed)
    world = World()
    good = world.transaction([Pay(1, ALICE, ((BOB, 1, b""),)), CloseAccount(BANK, ALICE)]).raw
    taken = 0
    for _ in range(400):
        body, signatures = opened(decode(good))
        if random.random() < 0.8:
            body = encode(twist(random, opened(decode(body))))
        try:
            decode_transaction(encode(twist(random, [body, signatures])), world.genesis.hash)
            taken += 1
        except Refused:
            pass
    assert 0 < taken < 400
