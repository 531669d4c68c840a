"""The signer as a process behind its socket: who may ask, what garbage does, and that no kill makes it sign twice."""

import asyncio
import os
import random
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consensus.crypto import PublicKey, verify
from consensus.events import SignVote
from consensus.messages import NO_HASH, Hash, Kind, vote_statement
from node.signing.remote import RemoteSigner
from node.signing.requests import (
    REQUEST_BYTES_MAX,
    Answer,
    Away,
    Declined,
    Memory,
    SignBatch,
    Signed,
    encode_hello,
    encode_request,
)
from node.storage.guard import Guard
from tests.node_parts import eventually
from tests.signer_lab import GENESIS, KEY, PATIENCE_SECONDS, Gone, Link, SignerProcess, linked, make_signer, private

pytestmark = pytest.mark.processes

A, B = Hash(b"a" * 32), Hash(b"b" * 32)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignerProcess]:
    """Give a signer that no test ends; each takes views of its own."""
    directory = tmp_path_factory.mktemp("signer")
    with SignerProcess(make_signer(directory / "home"), private(directory / "run") / "socket") as process:
        yield process
    assert process.process.returncode == 0
    assert "Traceback" not in process.log.read_text()


def notarize(view: int, block: Hash = A) -> SignVote:
    return SignVote(Kind.NOTARIZE, 0, view, block)


def test_what_it_signs_verifies_and_what_contradicts_keeps_the_link(signer: SignerProcess) -> None:
    link = linked(signer.path)
    assert isinstance(link.memory, Memory)
    assert link.memory.public == KEY.public
    for view in range(1, 20):
        answer = link.ask(notarize(view))
        assert isinstance(answer, Signed)
        assert verify(KEY.public, vote_statement(GENESIS.hash, Kind.NOTARIZE, 0, view, A), answer.signature)
        assert isinstance(link.ask(notarize(view, B)), Declined)
        assert link.ask(notarize(view)) == answer
    link.close()


def test_the_socket_is_for_its_own_user_alone(signer: SignerProcess) -> None:
    assert stat.S_IMODE(signer.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(signer.path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_process_of_another_user_is_not_heard_even_if_it_reaches_the_socket(signer: SignerProcess) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # it opens the socket as root, and connects as nobody
        said = b"?"
        try:
            os.close(reading)
            directory = os.open(signer.path.parent, os.O_PATH)
            os.fchdir(directory)
            signer.path.chmod(0o666)
            signer.path.parent.chmod(0o711)
            link = socket.socket(socket.AF_UNIX)
            os.setuid(65534)
            link.connect(signer.path.name)
            link.sendall(len(encode_hello(GENESIS.hash)).to_bytes(4, "big") + encode_hello(GENESIS.hash))
            said = b"heard" if link.recv(1) else b"closed"
        except OSError as error:
            said = type(error).__name__.encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    said = os.read(reading, 100)
    os.close(reading)
    signer.path.chmod(0o600)
    signer.path.parent.chmod(0o700)
    assert said in (b"closed", b"ConnectionResetError", b"BrokenPipeError"), said
    assert "user 65534" in signer.log.read_text()


def test_a_second_node_is_turned_away_until_the_first_has_gone(signer: SignerProcess) -> None:
    first = linked(signer.path)
    second = Link(signer.path)
    assert second.memory == "another node has this signer"
    with pytest.raises(Gone):
        second.ask(notarize(100))
    second.close()
    assert isinstance(first.ask(notarize(101)), Signed), "the first one has noticed nothing"
    first.close()
    linked(signer.path).close()


def test_a_node_of_another_network_is_turned_away(signer: SignerProcess) -> None:
    link = Link(signer.path, bytes(32))
    assert "another network" in str(link.memory)
    link.close()


def raw(path: Path, data: bytes, close: bool = False) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(PATIENCE_SECONDS)
    link.connect(str(path))
    link.sendall(data)
    if close:
        link.close()
    return link


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


HELLO = framed(encode_hello(GENESIS.hash))
HOSTILE: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("half a length", b"\0\0"),
    ("no length", bytes(4)),
    ("a huge length", b"\xff" * 4),
    ("one more than allowed", (REQUEST_BYTES_MAX + 1).to_bytes(4, "big")),
    ("garbage for a hello", framed(b"hello")),
    ("a cut hello", HELLO[:-1]),
    ("a hello and garbage", HELLO + framed(b"\xc1")),
    ("a hello and a huge length", HELLO + b"\xff" * 4),
    ("a hello and a cut request", HELLO + framed(encode_request(1, notarize(1)))[:-1]),
    ("a hello and an unknown kind", HELLO + framed(b"\x93\x01\x09\xc0")),
    ("a request before the hello", framed(encode_request(1, notarize(1)))),
    ("two hellos", HELLO + HELLO),
]


@pytest.mark.parametrize(("what", "data"), HOSTILE, ids=[what for what, _ in HOSTILE])
def test_garbage_ends_its_own_link_and_nothing_else(signer: SignerProcess, what: str, data: bytes) -> None:
    raw(signer.path, data, close=True)
    link = linked(signer.path)
    assert isinstance(link.ask(notarize(200)), Signed), what
    link.close()


def test_drawn_garbage_never_ends_it(signer: SignerProcess) -> None:
    draw = random.Random(7)
    good = [encode_request(n, notarize(300)) for n in range(4)] + [encode_request(9, SignBatch(b"x" * 500))]
    for _ in range(60):
        data = bytearray(HELLO + b"".join(framed(each) for each in draw.sample(good, 3)))
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        raw(signer.path, bytes(data[: draw.randint(1, len(data))]), close=True)
    link = linked(signer.path)
    assert isinstance(link.ask(notarize(301)), Signed)
    link.close()


def test_a_frame_that_does_not_end_holds_the_only_place_for_seconds_not_for_ever(signer: SignerProcess) -> None:
    slow = raw(signer.path, HELLO + b"\0")  # then nothing
    began = time.monotonic()
    link = linked(signer.path)
    assert time.monotonic() - began < 30
    link.close()
    slow.close()


def send_for_ever(link: socket.socket, data: bytes) -> None:
    while True:
        link.sendall(data)


def test_a_node_that_does_not_read_its_answers_is_dropped(signer: SignerProcess) -> None:
    link = linked(signer.path)
    link.socket.settimeout(0.2)
    request = framed(encode_request(1, notarize(400)))
    with pytest.raises((ConnectionError, TimeoutError)):
        send_for_ever(link.socket, request * 64)
    link.close()
    linked(signer.path).close()


def test_a_second_signer_of_one_home_or_one_socket_does_not_start(signer: SignerProcess, tmp_path: Path) -> None:
    for home, path in (
        (signer.log.parent, private(tmp_path / "run") / "socket"),
        (make_signer(tmp_path / "other", name="bank-1"), signer.path),
    ):
        second = SignerProcess(home, path)
        assert second.process.wait(PATIENCE_SECONDS) == 7
        assert "held by another process" in second.log.read_text()


def test_a_directory_that_others_can_enter_is_no_place_for_the_socket(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    (tmp_path / "run").chmod(0o755)
    process = SignerProcess(make_signer(tmp_path / "home"), tmp_path / "run" / "socket")
    assert process.process.wait(PATIENCE_SECONDS) == 7


# --- it never signs twice, whenever it is killed ---


@pytest.mark.slow
def test_a_signer_that_is_killed_at_any_moment_never_signs_twice(tmp_path: Path) -> None:
    """Kill it at drawn moments while votes stream; then ask for the opposite of everything."""
    home, path = make_signer(tmp_path / "home"), private(tmp_path / "run") / "socket"
    draw = random.Random(11)
    signed: dict[tuple[int, int], Hash] = {}
    view = 0
    for _ in range(5):
        process = SignerProcess(home, path).ready()
        link = linked(path)
        timer = threading.Timer(draw.uniform(0.0, 0.15), process.kill)
        timer.start()
        try:
            while True:
                view += 1
                for kind, block in ((Kind.NOTARIZE, draw.choice((A, B))), (Kind.FINALIZE, draw.choice((A, B)))):
                    signed[kind, view] = NO_HASH  # under way: perhaps it left
                    answer = link.ask(SignVote(kind, 0, view, block))
                    assert isinstance(answer, Signed)
                    signed[kind, view] = block
        except Gone:
            pass
        timer.join()
        link.close()
    with SignerProcess(home, path):
        link = linked(path)
        asked = 0
        for (number, each), named in signed.items():
            if each <= view - 1_000:
                continue  # below the watermark, all the same
            other = B if named == A else A
            answers = [link.ask(SignVote(Kind(number), 0, each, other))]
            if named != NO_HASH:
                assert isinstance(answers[0], Declined), (number, each)
                answers.append(link.ask(SignVote(Kind(number), 0, each, named)))
                assert isinstance(answers[1], Signed), "and what it had signed it signs again"
                asked += 1
        assert asked > 10
        link.close()


# --- the node's side ---


@pytest.fixture
def fleeting(tmp_path: Path) -> tuple[Path, Path]:
    """Give a signer's home and its socket, for tests that start and end it."""
    return make_signer(tmp_path / "home"), private(tmp_path / "run") / "socket"


def remote(path: Path, public: bytes = KEY.public, genesis_hash: bytes = GENESIS.hash) -> RemoteSigner:
    return RemoteSigner(str(path), PublicKey(public), genesis_hash, os.geteuid())


async def test_a_link_comes_back_for_ever_and_says_so(fleeting: tuple[Path, Path]) -> None:
    home, path = fleeting
    node, changes, answers = remote(path), [], list[Answer]()
    node.on_change(lambda: changes.append(node.memory))
    running = asyncio.create_task(node.run())
    node.ask(notarize(1), answers.append)
    assert answers == [Away()], "at once: nobody waits for who is not there"
    for life in (1, 2):
        process = SignerProcess(home, path)
        await eventually(lambda: node.memory)
        node.ask(notarize(life), answers.append)
        await eventually(lambda life=life: len(answers) == 1 + life)  # type: ignore[misc]
        process.kill()
        await eventually(lambda: node.memory is None)
    assert all(isinstance(answer, Signed) for answer in answers[1:])
    assert [memory and memory.newest for memory in changes] == [(0, 0), None, (0, 1), None]
    running.cancel()


async def test_a_signer_that_stands_still_is_left_and_what_was_asked_is_answered_away(
    fleeting: tuple[Path, Path],
) -> None:
    home, path = fleeting
    process = SignerProcess(home, path)
    node, answers = remote(path), list[Answer]()
    running = asyncio.create_task(node.run())
    await eventually(lambda: node.memory)
    process.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    node.ask(notarize(1), answers.append)
    assert answers == []
    await eventually(lambda: answers)
    assert answers == [Away()]
    assert node.memory is None
    assert node.late == 1
    assert time.monotonic() - began < 20
    process.process.send_signal(signal.SIGCONT)
    await eventually(lambda: node.memory)
    node.ask(notarize(1), answers.append)
    await eventually(lambda: len(answers) == 2)
    assert isinstance(answers[1], Signed), "the same vote: the guard had it"
    running.cancel()
    process.stop()


@pytest.mark.parametrize("wrong", ["key", "network"])
async def test_a_signer_with_another_key_or_network_is_not_ours(fleeting: tuple[Path, Path], wrong: str) -> None:
    home, path = fleeting
    with SignerProcess(home, path):
        node = remote(path, public=bytes(32)) if wrong == "key" else remote(path, genesis_hash=bytes(32))
        running = asyncio.create_task(node.run())
        await eventually(lambda: node._complaint)
        assert wrong in node._complaint
        assert node.memory is None
        running.cancel()


async def test_who_answers_nonsense_is_left(tmp_path: Path) -> None:
    path = private(tmp_path / "run") / "socket"
    draw = random.Random(3)

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(draw.randbytes(draw.randint(0, 60)) if draw.random() < 0.7 else b"\xff" * 8)
        writer.close()

    server = await asyncio.start_unix_server(lie, path)
    node = remote(path)
    running = asyncio.create_task(node.run())
    await eventually(lambda: node._complaint)
    await asyncio.sleep(0)
    assert not running.done()
    assert node.memory is None
    running.cancel()
    server.close()


def test_a_lost_guard_starts_nothing(tmp_path: Path) -> None:
    home = make_signer(tmp_path / "home")
    (home / "keys" / "guard").unlink()
    process = SignerProcess(home, private(tmp_path / "run") / "socket")
    assert process.process.wait(PATIENCE_SECONDS) == 7
    assert "the guard is missing" in process.log.read_text()


def test_its_memory_is_closed_to_core_files(signer: SignerProcess) -> None:
    limits = Path(f"/proc/{signer.process.pid}/limits").read_text()
    assert [line.split()[-3:-1] for line in limits.splitlines() if line.startswith("Max core file")] == [["0", "0"]]


def test_a_welcome_says_what_the_guard_remembers(fleeting: tuple[Path, Path]) -> None:
    home, path = fleeting
    guard = Guard.open(home / "keys" / "guard", KEY.public, GENESIS.hash)
    guard.rebase(3, 0)
    guard.close()
    with SignerProcess(home, path):
        link = linked(path)
        assert link.memory == Memory(KEY.public, (3, 0), True, "")
        assert isinstance(link.ask(notarize(1)), Declined)
        link.close()
