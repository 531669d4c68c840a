import resource
import threading
from pathlib import Path

import pytest

from node.storage.disk import Room, bytes_in, make_ballast, room
from node.storage.errors import StorageFailed

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "total", "expected"),
    [
        (20 * GIB, 100 * GIB, Room.ENOUGH),
        (20 * GIB - 1, 100 * GIB, Room.ALARM),
        (10 * GIB, 100 * GIB, Room.ALARM),
        (10 * GIB - 1, 100 * GIB, Room.NO_TRANSACTIONS),
        (5 * GIB, 100 * GIB, Room.NO_TRANSACTIONS),
        (5 * GIB - 1, 100 * GIB, Room.STOP),
        (2 * GIB, 4 * GIB, Room.ENOUGH),
        (2 * GIB - 1, 4 * GIB, Room.STOP),
        (0, 1, Room.STOP),
    ],
)
def test_what_is_still_done_at_this_much_free_space(free: int, total: int, expected: Room) -> None:
    assert room(free, total) is expected


def test_the_bytes_in_a_directory_are_counted_while_its_files_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(1_000))
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            for number in range(50):
                (tmp_path / str(number)).touch()
            for number in range(50):
                (tmp_path / str(number)).unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert {bytes_in(tmp_path) for _ in range(2_000)} == {1_000}
    finally:
        over.set()
        thread.join()


def test_there_are_no_bytes_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert bytes_in(tmp_path / "none") == 0


def test_the_ballast_takes_its_room_for_real_and_once(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    make_ballast(path, 1 << 20)
    assert path.stat().st_size == 1 << 20
    assert path.stat().st_blocks * 512 >= 1 << 20
    make_ballast(path, 2 << 20)
    assert path.stat().st_size == 1 << 20


def test_a_ballast_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(StorageFailed):
            make_ballast(tmp_path / "ballast", 2 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "ballast").exists()
