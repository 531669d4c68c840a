"""The watch over free disk space."""

import pytest

from node.disk_watch import DiskWatch
from node.storage.disk import Room, RoomLimits
from node.storage.errors import DiskFull

LIMITS = RoomLimits(refuse_percent=10, stop_percent=5, stop_bytes=100)


def watch(*free: int) -> DiskWatch:
    looks = iter(free)
    return DiskWatch(lambda: (next(looks), 10_000), LIMITS)


def test_transactions_are_refused_while_little_is_free_and_taken_again_when_there_is_room() -> None:
    disk = watch(5_000, 999, 5_000)
    disk.look()
    assert disk.accepts()
    disk.look()
    assert disk.room is Room.NO_TRANSACTIONS
    assert not disk.accepts()
    disk.look()
    assert disk.accepts()


@pytest.mark.parametrize("free", [499, 99])
def test_the_node_ends_while_it_still_can(free: int) -> None:
    disk = watch(5_000, free)
    disk.look()
    with pytest.raises(DiskFull):
        disk.look()


async def test_the_first_look_is_before_anything_is_written() -> None:
    with pytest.raises(DiskFull):
        await watch(10).run()
