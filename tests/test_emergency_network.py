"""Real networks that lost half of their validators for good: a decree brings them back, and no payment is lost."""

import asyncio
from contextlib import suppress
from pathlib import Path

from node.terms import TERM_EPOCHS
from tests.committee_lab import Committees
from tests.emergency_lab import Lives, applied, ceremony, lose, seat
from tests.node_lab import Lab, make_lab


async def paid_until_two_are_lost(lab: Lab) -> Committees:
    """Run a network that pays, and destroy two of its four validators under load; the others then stop."""
    await lab.start(*lab.names)
    await lab.linked()
    await lab.fund()
    change = Committees(lab)
    change.paying = asyncio.create_task(change.pay())
    await change.payments(20)
    await lab.stop(*lab.names[2:])
    lose(lab, *lab.names[2:])
    change.paying.cancel()
    with suppress(asyncio.CancelledError):
        await change.paying
    await lab.stop(*lab.names[:2])
    return change


async def test_with_two_of_four_lost_for_good_a_decree_brings_the_chain_back_and_no_payment_is_lost(
    tmp_path: Path,
) -> None:
    lab = make_lab(tmp_path, epoch_length=10)
    lives = Lives(lab)
    try:
        change = await paid_until_two_are_lost(lab)
        left, fresh = lab.names[:2], ("fresh-1", "fresh-2")
        peers = [seat(name) for name in left]
        addresses = {name: change.add_home(name) for name in fresh}
        signed = ceremony(lab, left, [*peers, *(seat(name, address=addresses[name]) for name in fresh)])
        for name in left:
            assert applied(lab, name, signed)
        for name in fresh:
            assert applied(lab, name, signed, signed.decree.digest)
        await lives.start(*left, *fresh)
        base = signed.decree.base_height
        await lives.until(
            lambda: all(lab.nodes[name].store.tip.height >= base + 25 for name in (*left, *fresh)), "the chain goes on"
        )
        assert all(lab.nodes[name].driver.core.epoch > TERM_EPOCHS for name in (*left, *fresh))
        assert all(lab.nodes[name].store.transaction(each.id) for each in change.paid for name in (*left, *fresh))
        lab.same_chain()
    finally:
        await lab.stop(*lab.running)
