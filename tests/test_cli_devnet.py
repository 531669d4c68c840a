"""`som devnet`: what it does to a devnet that runs, and what it says where none does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from devnet.generate import VALIDATORS
from devnet.money import PERSON_TYIYN
from node.cli import devnets, main
from tests.devnet_lab import program, until

ACTS: Final = (
    ("status",),
    ("kill", "bank-2"),
    ("restart", "bank-2"),
    ("partition", "bank-2"),
    ("heal",),
    ("faucet", "0011000000010057", "1"),
    ("load",),
    ("reset",),
    ("down",),
)

PID_MAX: Final = 2**22  # the kernel gives lower ones


def run(*arguments: str | Path, **environment: str) -> Result:
    clean = {"SOM_LANG": "", "SOM_NODE": "", "SOM_ACCOUNTS": "", **environment}
    return CliRunner(env=clean).invoke(main, ["devnet", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act[0])
def test_where_no_devnet_runs_every_act_says_so(tmp_path: Path, act: tuple[str, ...]) -> None:
    ended = run(*act, "--control", tmp_path / "control")
    assert ended.exit_code == 5
    assert "No devnet runs here" in ended.stderr
    assert ended.stdout == ""
    assert "Здесь не работает" in run(*act, "--control", tmp_path / "control", "--lang", "ru").stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"http://evil.example/1\n", b"http://127.0.0.1:1/\n", b"http://127.0.0.1:x/\n", b"x" * 999],
)
def test_a_file_that_leads_to_no_devnet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control").write_bytes(content)
    ended = run("status", "--control", tmp_path / "control")
    assert ended.exit_code == 5
    assert str(tmp_path / "control") in ended.stderr


@contextmanager
def answering(status: int, body: bytes, asked: list[str] | None = None) -> Iterator[str]:
    """Be a server that answers everything like this; ``asked`` gets the paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret\n"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, b"", 5, "no devnet"),
        (200, b"[]", 5, "no devnet"),
        (200, b'{"pid": 1}', 5, "no devnet"),
        (200, b'{"pid": "x", "validators": []}', 5, "no devnet"),
        (200, b'{"pid": 1, "validators": [{"name": "nbkr"}]}', 5, "no devnet"),
        (200, b'{"pid": 1, "validators": [{"name": "a", "url": "x", "running": true, "cut": false}]}', 5, "no devnet"),
        (200, b"9" * 100_000, 5, "no devnet"),
        (400, b'{"error": "an amount"}', 2, "an amount"),
        (403, b'{"error": "not for you"}', 1, "not for you"),
        (409, b'{"error": "FUNDS"}', 4, "FUNDS"),
        (502, b'{"error": "nobody"}', 5, "nobody"),
        (503, b'{"error": "starting"}', 5, "starting"),
        (500, b"\xff", 1, "500"),
    ],
)
def test_the_exit_code_says_what_the_devnet_answered(
    tmp_path: Path, status: int, body: bytes, code: int, said: str
) -> None:
    with answering(status, body) as address:
        (tmp_path / "control").write_text(address)
        ended = run("status", "--control", tmp_path / "control", http_proxy="http://127.0.0.1:1")
    assert ended.exit_code == code
    assert said in ended.stderr
    assert "Traceback" not in ended.output


def test_a_devnet_that_lives_where_its_process_is_not_seen_is_told_to_end(tmp_path: Path) -> None:
    asked: list[str] = []
    with answering(200, json.dumps({"pid": PID_MAX, "validators": []}).encode(), asked) as address:
        (tmp_path / "control").write_text(address)
        assert run("down", "--control", tmp_path / "control").exit_code == 0
    assert [path.partition("?")[0].rpartition("/")[2] for path in asked] == ["status", "down"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("kill",),
        ("restart",),
        ("partition",),
        ("faucet", "0011000000010058", "1"),
        ("faucet", "0011000000010057", "1.234"),
        ("load", "--rate", "0"),
        ("load", "--seconds", "99999"),
        ("up", "--delay-ms", "-1"),
        ("init",),
    ],
)
def test_what_is_typed_wrongly_is_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_commands_limits_are_those_of_what_they_call() -> None:
    from devnet.load import RATE_MAX, SECONDS_MAX
    from devnet.local import CONTROL
    from devnet.wan import DELAY_MS_MAX

    assert (devnets.LOAD_RATE_MAX, devnets.LOAD_SECONDS_MAX) == (RATE_MAX, SECONDS_MAX)
    assert devnets.DELAY_MS_MAX == DELAY_MS_MAX
    assert devnets.CONTROL == CONTROL


def test_a_shell_is_offered_the_validators_of_the_devnet_that_runs(tmp_path: Path) -> None:
    def offered(typed: str) -> list[str]:
        words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_SOM_COMPLETE": "bash_complete"}
        return CliRunner(env=words).invoke(main, [], prog_name="som", catch_exceptions=False).stdout.split()

    rows = [{"name": name, "url": "http://127.0.0.1:1", "running": False, "cut": False} for name in VALIDATORS]
    with answering(200, json.dumps({"pid": 1, "validators": rows}).encode()) as address:
        (tmp_path / "control").write_text(address)
        typed = f"som devnet kill --control {tmp_path / 'control'}"
        assert offered(f"{typed} ba") == [f"plain,{name}" for name in VALIDATORS if name.startswith("ba")]
    assert offered(f"{typed} ba") == []


def test_init_makes_homes_and_a_genesis(tmp_path: Path) -> None:
    assert run("init", "--output", tmp_path / "net", "--hosts", "a,b", "--observers", "c").exit_code == 0
    assert {path.name for path in (tmp_path / "net").iterdir()} == {"a", "b", "c", "genesis.json", "accounts.json"}


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(400)  # four validators start twice
def test_a_devnet_is_broken_repaired_paid_from_loaded_reset_and_stopped(tmp_path: Path) -> None:
    with program(tmp_path, "-m", "node.cli", "devnet", "up", "--directory", tmp_path / "net") as devnet:
        devnet.says("Ctrl-C stops it.")
        accounts = str(tmp_path / ".devnet" / "accounts.json")
        control = tmp_path / ".devnet" / "control"

        def som(*arguments: str, code: int = 0) -> dict[str, Any]:
            ended = run(*arguments, "--control", control, "--json", SOM_ACCOUNTS=accounts)
            assert ended.exit_code == code, ended.output
            found: dict[str, Any] = json.loads(ended.stdout) if ended.stdout else {}
            return found

        def state(said: dict[str, Any]) -> dict[str, tuple[bool, bool]]:
            return {row["name"]: (row["running"], row["cut"]) for row in said["validators"]}

        def all_ready() -> bool:
            return all(row["ready"] for row in som("status")["validators"])

        well = dict.fromkeys(VALIDATORS, (True, False))
        assert state(som("status")) == well
        assert state(som("kill", "bank-1", "bank-2")) == well | dict.fromkeys(("bank-1", "bank-2"), (False, False))
        assert state(som("restart", "bank-1", "bank-2")) == well
        assert state(som("partition", "bank-3")) == well | {"bank-3": (True, True)}
        som("kill", "nbkr", "bank-9", code=2)
        assert state(som("status"))["nbkr"] == (True, False)  # for a stranger's name nobody is killed
        assert state(som("heal")) == well
        paid = som("faucet", "aida", "12.50")
        assert (paid["status"], paid["final"]) == ("applied", True)
        som("faucet", "aida", "100000.01", code=2)
        until(all_ready, lambda: str(som("status")))
        loaded = som("load", "--rate", "20", "--seconds", "2")
        assert (loaded["sent"], loaded["accepted"], loaded["refused"]) == (40, 40, {})
        assert loaded["latency"]["p50_ms"] > 0

        genesis = (tmp_path / "net" / "genesis.json").read_bytes()
        until(all_ready, lambda: str(som("status")))
        before = som("status")
        assert som("reset") == before  # the same validators at the same addresses
        assert (tmp_path / "net" / "genesis.json").read_bytes() != genesis
        shown = run("status", "--control", control, "--lang", "ru").stdout
        assert shown.count("работает") == len(VALIDATORS)
        assert som("faucet", "aida", "1")["status"] == "applied"
        asked = ["account", "show", "aida", "--json", "--node", before["validators"][0]["url"], "--accounts", accounts]
        shown = CliRunner().invoke(main, asked, catch_exceptions=False).stdout
        assert json.loads(shown)["account"]["holdings"][0]["balance"] == str(
            PERSON_TYIYN + 100
        )  # what was paid before is gone

        assert run("down", "--control", control).exit_code == 0
        assert devnet.ends() == 0, devnet.said
        assert "Stopped." in devnet.said
        assert "Traceback" not in devnet.said
        until(lambda: not control.exists(), lambda: "the address of a devnet that ended")
