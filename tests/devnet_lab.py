"""Devnets as a user starts them: the programs as processes, their words in a file, commands pasted into a shell."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PATIENCE_SECONDS: Final = 90.0  # a test fails after so long; none waits for it


def until(holds: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until ``holds()`` is true; ``what`` says what is there instead."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what()}"
        time.sleep(0.05)


def environment(folder: Path) -> dict[str, str]:
    """Return what a user's shell has whose home is ``folder``: `som` of this source on the path, no settings."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    som = programs / "som"
    som.write_text(f'#!/bin/sh\nexec {sys.executable} -m node.cli "$@"\n')
    som.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOM_")}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "HOME": str(folder), "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def paste(commands: Sequence[str], folder: Path, **variables: str) -> str:
    """Run commands in one shell, as pasted; the first that fails fails the test. Return what they wrote."""
    done = subprocess.run(
        ["bash", "-c", "\n".join(("set -e", *commands))],
        cwd=folder,
        env={**environment(folder), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@dataclass(frozen=True, slots=True)
class Program:
    """A program under way, as started in a terminal: it leads a process group."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until it has written ``text``; fail at once if it ends without."""

        def holds() -> bool:
            ended = self.process.poll()
            if text in self.said:
                return True
            assert ended is None, f"ended with {ended}:\n{self.said}"
            return False

        until(holds, lambda: f"{text!r} in\n{self.said}")

    def ends(self) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def interrupt(self) -> int:
        """Press Ctrl-C, which goes to all processes of the terminal; return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ends()

    def pids(self) -> list[int]:
        """Return the validators that its table names."""
        return [int(pid) for pid in re.findall(r"http://[\d.:]+ +(\d+) ", self.said)]


@contextmanager
def program(folder: Path, *arguments: str | Path) -> Iterator[Program]:
    """Run a Python module or text with ``folder`` as its place; at the end nothing of it is left."""
    output = folder / "output.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Program(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def lab_address(devnet: Program) -> str:
    """Return the explorer's address that a devnet prints, with the way to who kills and restarts."""
    found = re.search(r"http://\S+/explorer/#lab=\S+", devnet.said)
    assert found is not None, devnet.said
    return found.group()


def runs(pid: int) -> bool:
    """Return whether a process is there and not merely unburied."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
