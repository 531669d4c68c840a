"""A devnet that runs, as a command sees it from another process: asked by its control, loaded by its RPC.

One rule: whoever reads the file with the address may act; without that file nothing is tried.
"""

import json
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

CALL_SECONDS: Final = 30.0
READY_SECONDS: Final = 2.0
RESET_SECONDS: Final = 180.0  # four validators stop, and four start on a machine that has other work
END_SECONDS: Final = 60.0  # of the devnet's process after it was told
ADDRESS_BYTES_MAX: Final = 256
REPLY_BYTES_MAX: Final = 64 * 1024


class NoDevnet(Exception):
    """No devnet runs, or it does not answer."""


class NotDone(Exception):
    """The devnet does not do what was asked; ``status`` is the HTTP status of its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Member:
    """A validator of the devnet."""

    name: str
    url: str
    running: bool
    cut: bool
    ready: bool  # it has caught up and its last block is fresh


@dataclass(frozen=True, slots=True)
class Standing:
    """How the devnet stands. ``pid``: of the process whose end is the end of all of it."""

    pid: int
    members: tuple[Member, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where those that run answer, ready or not."""
        return tuple(member.url for member in self.members if member.running)

    @property
    def ready_urls(self) -> tuple[str, ...]:
        """Where those that are ready answer."""
        return tuple(member.url for member in self.members if member.ready)


class Remote:
    """The devnet whose control's address stands in ``file``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opener = build_opener(ProxyHandler({}))  # it is on this machine: no proxy knows it

    def standing(self) -> Standing:
        """Return how it stands. Raises NoDevnet, NotDone."""
        said = self._ask("GET", "status", {}, CALL_SECONDS)
        try:
            return Standing(int(said["pid"]), tuple(self._member(row) for row in said["validators"]))
        except (KeyError, TypeError, ValueError):
            raise NoDevnet(f"{self._file}: what answers there is no devnet") from None

    def act(self, name: str, /, **parameters: str) -> dict[str, Any]:
        """Let it do something; return its answer. Raises NoDevnet, NotDone."""
        return self._ask("POST", name, parameters, RESET_SECONDS if name == "reset" else CALL_SECONDS)

    def end(self) -> None:
        """End it, and return when all of it has ended. Raises NoDevnet, NotDone."""
        pid = self.standing().pid
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:  # it answers, so it lives where we cannot see it: another container
            self.act("down")
            return
        try:
            self.act("down")
            ended, _, _ = select.select([process], [], [], END_SECONDS)
        finally:
            os.close(process)
        if not ended:
            raise NotDone(0, f"process {pid} has not ended after {END_SECONDS:.0f} s")

    def _member(self, row: Mapping[str, Any]) -> Member:
        url, running = str(row["url"]), bool(row["running"])
        return Member(str(row["name"]), url, running, bool(row["cut"]), running and self._is_ready(url))

    def _is_ready(self, url: str) -> bool:
        try:
            with self._opener.open(f"{url}/readyz", timeout=READY_SECONDS):
                return True
        except (OSError, HTTPException):
            return False

    def _ask(self, method: str, path: str, parameters: Mapping[str, str], seconds: float) -> dict[str, Any]:
        request = Request(f"{self._address()}/{path}?{urlencode(parameters)}", method=method)
        try:
            with self._opener.open(request, timeout=seconds) as reply:
                return _said(reply.read(REPLY_BYTES_MAX))
        except HTTPError as error:
            with error:
                raise NotDone(error.code, str(_said(error.read(REPLY_BYTES_MAX)).get("error", error))) from None
        except (OSError, HTTPException) as error:
            raise NoDevnet(f"{self._file}: {getattr(error, 'reason', error)}") from None

    def _address(self) -> str:
        try:
            with self._file.open("rb") as file:
                address = file.read(ADDRESS_BYTES_MAX).decode("ascii").strip()
        except FileNotFoundError:
            raise NoDevnet(f"{self._file}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise NoDevnet(f"{self._file}: {error}") from None
        if not address.startswith("http://127.0.0.1:"):
            raise NoDevnet(f"{self._file}: no address of a devnet")
        return address


def _said(reply: bytes) -> dict[str, Any]:
    try:
        value = json.loads(reply)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
