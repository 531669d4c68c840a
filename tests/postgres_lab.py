"""A PostgreSQL server of a test's own: the distribution's, in a cluster of its own, on a Unix socket, killed at will.

python -m tests.postgres_lab    says where its programs are; installs them first if that is ours to do
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

INSTALL: Final = ("apt-get", "install", "--yes", "--no-install-recommends", "postgresql")
WHERE: Final = Path("/usr/lib/postgresql")  # Debian's: a folder for each version
PATIENCE_SECONDS: Final = 60.0
SETTINGS: Final = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "lc_messages": "C",
    "log_min_messages": "warning",
}


def programs() -> Path | None:
    """Return the folder of the newest server's programs, if there is one."""
    found = sorted(WHERE.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def install() -> Path | None:
    """Return the folder, after installing the package if it is missing and we are root on a Debian."""
    if programs() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], check=False, stdout=subprocess.DEVNULL)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(INSTALL, check=False, stdout=subprocess.DEVNULL, env=environment)
    return programs()


def needed() -> pytest.MarkDecorator:
    """Return the mark that leaves a test out where there is no server, with the reason."""
    return pytest.mark.skipif(programs() is None, reason=f"NO POSTGRESQL, NOTHING TESTED: {' '.join(INSTALL)}")


class Cluster:
    """A server and its data. Killed, it keeps what was committed."""

    def __init__(self, folder: Path, bin_folder: Path, durable: bool) -> None:
        self._folder = folder
        self._bin = bin_folder
        self._user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        self._count = 0
        self._settings = SETTINGS if durable else {**SETTINGS, "fsync": "off", "full_page_writes": "off"}
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(folder, self._user)
        command = [
            bin_folder / "initdb",
            "--auth=trust",
            "--username=som",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "data",
        ]
        self._run(list(map(str, command)))

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://som@/{database}?host={self._folder}"

    def create(self, like: str = "template1") -> str:
        """Make a database, a copy of ``like``, which nobody may use meanwhile; return its name."""
        self._count += 1
        name = f"index_{self._count}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
        return name

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        arguments = [str(self._bin / "postgres"), "-D", "data", "-k", str(self._folder), *settings]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                cwd=self._folder,
                user=self._user,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._folder / "log.txt").read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """End all of its processes at once, as a machine does that loses its power: nobody writes anything more."""
        if self._process is not None:
            children = [int(pid) for pid in _children(self._process.pid)]
            for pid in (self._process.pid, *children):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._process.wait()
            self._process = None

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self._folder, user=self._user, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def cluster(durable: bool = True) -> Iterator[Cluster]:
    """Run a server in a folder that its user can reach and whose path fits a socket's.

    Not ``durable``: it waits for no disk, for tests in which nothing dies.
    """
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="som-pg-"))
    try:
        made = Cluster(folder, found, durable)
        try:
            made.start()
            yield made
        finally:
            made.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    where = install()
    print(where or f"no PostgreSQL: {' '.join(INSTALL)}")
    sys.exit(0 if where else 1)
