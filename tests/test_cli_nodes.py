"""`som` for operators: keys, a home directory in two steps, configuration, genesis."""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from consensus.events import SignVote
from consensus.messages import Hash, Kind
from node.cli import main
from node.config import ConfigError, parse_config
from node.home import open_home, read_config
from node.ledger.genesis import Validator, format_genesis, parse_genesis
from node.signing.requests import Answer, Declined, SignBatch, SignReadiness
from node.storage.store import Store
from tests.solo_chain import solo_genesis


def som(*arguments: str | Path, typed: str | None = None, **environment: str) -> Result:
    """Run a command; exceptions that it does not explain fail the test."""
    runner = CliRunner(env={"SOM_NODE": "http://127.0.0.1:1", **environment})
    return runner.invoke(main, [str(argument) for argument in arguments], input=typed, catch_exceptions=False)


def founded(home: Path, **changes: str) -> Path:
    """Make keys for a validator and a genesis that names them; return the genesis file."""
    made = som("init", "--home", home, "--name", "solo", "--devnet", "--json")
    assert made.exit_code == 0, made.output
    keys = {**json.loads(made.stdout), **changes}
    row = Validator("solo", bytes.fromhex(keys["consensus_key"]), bytes.fromhex(keys["node_key"]), 1)
    path = home.parent / "genesis.json"
    path.write_text(format_genesis(replace(solo_genesis(), validators=(row,))))
    return path


def test_a_home_is_made_in_two_steps_and_the_chain_stands_at_genesis(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    genesis = parse_genesis(genesis_file.read_text())
    done = som(
        "init", "--home", home, "--name", "solo", "--genesis", genesis_file, "--rpc", "127.0.0.1:7777",
        "--peer", "other=10.0.0.1:26600",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    config = parse_config((home / "config.toml").read_text())
    assert (config.name, config.rpc.port, config.peers[0].host) == ("solo", 7_777, "10.0.0.1")
    store = Store.open(home / config.data / "store", genesis.hash)
    assert store.tip.height == 0
    store.close()


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file).exit_code == 0
    before = (home / "keys" / "consensus.json").read_bytes()
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file).exit_code == 7
    assert (home / "keys" / "consensus.json").read_bytes() == before


def test_no_guard_is_made_for_a_key_that_may_have_signed(tmp_path: Path) -> None:
    """Its guard is lost, with its data or without, or the key came from its backup alone: a new guard knows nothing."""
    home = tmp_path / "home"
    genesis_file = founded(home)
    made = ("init", "--home", home, "--name", "solo", "--genesis", genesis_file)
    assert (home / "keys" / "consensus.unused").is_file(), "made here, and in no genesis yet"
    assert som(*made).exit_code == 0
    assert not (home / "keys" / "consensus.unused").exists()
    (home / "keys" / "guard").unlink()
    for lost in ("keys/guard.lock", "data", "genesis.json", "config.toml"):
        path = home / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        refused = som(*made)
        assert (refused.exit_code, "could sign twice" in refused.stderr) == (7, True), lost
        assert not (home / "keys" / "guard").exists()
    said = {som(*made, "--lang", language).stderr for language in ("ky", "ru", "en")}
    assert len(said) == 3
    # Nor does a key take the place of another one that was made here.
    other = tmp_path / "other"
    assert som("init", "--home", other, "--name", "solo", "--devnet").exit_code == 0
    shutil.copy(home / "keys" / "consensus.json", other / "keys" / "consensus.json")
    shutil.copy(home / "keys" / "node.json", other / "keys" / "node.json")
    assert som("init", "--home", other, "--name", "solo", "--genesis", genesis_file).exit_code == 7


def test_the_public_halves_are_shown_again_without_a_genesis(tmp_path: Path) -> None:
    home, genesis_file = tmp_path / "home", founded(tmp_path / "founding")
    joins = ("init", "--home", home, "--name", "new", "--devnet", "--json")
    first = som(*joins, "--joins", "--genesis", genesis_file)
    assert som(*joins, "--joins", "--genesis", genesis_file).exit_code == 7
    assert som(*joins).stdout == first.stdout


def test_keys_that_the_genesis_does_not_name_make_no_chain(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home, consensus_key="ab" * 32)
    refused = som("init", "--home", home, "--name", "solo", "--genesis", genesis_file)
    assert refused.exit_code == 7
    assert "consensus_key" in refused.stderr
    assert not (home / "config.toml").exists()
    assert not (home / "data").exists()
    assert som("init", "--home", home, "--name", "stranger", "--genesis", genesis_file).exit_code == 7


def test_a_network_that_is_no_devnet_needs_a_passphrase(tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    made = som("init", "--home", tmp_path / "home", "--name", "solo", "--passphrase-file", phrase)
    assert made.exit_code == 0, made.output
    content = json.loads((tmp_path / "home" / "keys" / "consensus.json").read_text())
    assert "seed" not in content


def test_a_home_that_is_not_there_does_not_start(tmp_path: Path) -> None:
    for command in ("start", "config check", "config show"):
        result = som(*command.split(), "--home", tmp_path / "nowhere")
        assert result.exit_code == 7
        assert "som init" in result.stderr


def test_config_check_says_what_is_wrong(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    peer = "stranger=10.0.0.1:26600"
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file, "--peer", peer).exit_code == 0
    checked = som("config", "check", "--home", home, "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["not_in_genesis"]) == (0, ["stranger"]), "admitted later?"
    assert "stranger ∉ solo" in checked.stderr
    config = home / "config.toml"
    config.write_text(config.read_text().replace("stranger", "solo"))
    assert som("config", "check", "--home", home).stderr == ""
    config.write_text(config.read_text().replace('name = "solo"', 'name = "stranger"', 1))
    assert som("config", "check", "--home", home).exit_code == 7, "the genesis has this node key under another name"
    config.write_text(config.read_text().replace('name = "stranger"', 'name = "solo"', 1))
    config.write_text(config.read_text() + "\nsurprise = 1\n")
    assert som("config", "check", "--home", home).exit_code == 7


def test_config_show_prints_what_is_in_force(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file).exit_code == 0
    shown = som("config", "show", "--home", home)
    assert parse_config(shown.stdout).name == "solo"
    assert json.loads(som("config", "show", "--home", home, "--json").stdout)["rpc"]["port"] == 26_657


@pytest.mark.parametrize("address", ["127.0.0.1", "host:port", "host:70000", ""])
def test_an_address_that_is_none_is_a_usage_error(tmp_path: Path, address: str) -> None:
    assert som("init", "--home", tmp_path / "h", "--name", "x", "--devnet", "--listen", address).exit_code == 2


# A signer


def test_a_node_with_a_signer_gets_neither_its_key_nor_a_guard(tmp_path: Path) -> None:
    genesis_file, signer, home = founded(tmp_path / "founding"), tmp_path / "signer", tmp_path / "home"
    made = som("signer", "init", "--home", signer, "--genesis", genesis_file, "--devnet", "--json")
    assert made.exit_code == 0, made.output
    public = json.loads(made.stdout)["consensus_key"]
    assert som("signer", "init", "--home", signer, "--genesis", genesis_file, "--devnet").exit_code == 7
    options = ("init", "--home", home, "--name", "new", "--joins", "--genesis", genesis_file, "--devnet", "--json")
    assert som(*options, "--signer", "/run/socket").exit_code == 7, "without the public key"
    done = som(*options, "--signer", "/run/socket", "--consensus-key", public)
    assert json.loads(done.stdout)["consensus_key"] == public
    assert sorted(path.name for path in (home / "keys").iterdir()) == ["node.json"]
    assert som("signer", "status", "--home", home).exit_code == 7, "its key is elsewhere"
    told = json.loads(som("signer", "status", "--home", signer, "--json").stdout)
    assert (told["consensus_key"], told["newest"], told["suspended"], told["runs"]) == (public, [0, 0], None, False)
    before = (home / "data" / "store").stat().st_ino
    assert som("resync", "--home", home).exit_code == 0
    assert (home / "data" / "store").stat().st_ino != before


def observed(tmp_path: Path) -> Path:
    """Make an observer's home."""
    genesis_file, home = founded(tmp_path / "founding"), tmp_path / "home"
    options = ("init", "--home", home, "--name", "watch-1", "--observer", "--genesis", genesis_file, "--devnet")
    made = som(*options, "--peer", "solo=10.0.0.1:26600", "--json")
    assert made.exit_code == 0, made.output
    shown = json.loads(made.stdout)
    assert shown.keys() == {"name", "node_key"}
    assert som(*options).exit_code == 7, "it is made once"
    return home


def test_an_observer_has_no_key_to_vote_with_and_signs_nothing(tmp_path: Path) -> None:
    home = observed(tmp_path)
    assert sorted(path.name for path in (home / "keys").iterdir()) == ["node.json"]
    config = parse_config((home / "config.toml").read_text())
    with ExitStack() as resources:
        signer = open_home(home, config, None, resources).signer
        answers: list[Answer] = []
        vote = SignVote(Kind.NOTARIZE, 0, 1, Hash(bytes(32)))
        for request in (vote, SignBatch(b""), SignReadiness("solo", bytes(32), 1, bytes(32))):
            signer.ask(request, answers.append)
        assert [type(answer) for answer in answers] == [Declined] * 3
        assert signer.memory is not None
        assert not signer.memory.suspended


def test_an_observers_home_is_checked_and_resynchronized_and_has_no_key_to_release(tmp_path: Path) -> None:
    home = observed(tmp_path)
    assert som("config", "check", "--home", home).exit_code == 0
    checks = json.loads(som("doctor", "--home", home, "--offline", "--json").stdout)
    found = {check["name"]: check["level"] for check in checks}
    assert (found["keys"], found["permissions"]) == ("ok", "ok")
    assert som("resync", "--home", home).exit_code == 0
    assert (home / "data.1").is_dir()
    for command in ("status", "release"):
        refused = som("signer", command, "--home", home)
        assert (refused.exit_code, "an observer has no consensus key" in refused.stderr) == (7, True)


def test_a_key_beside_an_observer_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file).exit_code == 0
    text = (home / "config.toml").read_text()
    (home / "config.toml").write_text(text.replace("observer = false", "observer = true"))
    with ExitStack() as resources, pytest.raises(ConfigError, match="an observer has no key to vote with"):
        open_home(home, read_config(home), None, resources)
    checked = json.loads(som("doctor", "--home", home, "--offline", "--json").stdout)
    assert {check["name"]: check["level"] for check in checked}["keys"] == "fail", "a validator's node key"


def test_an_observer_neither_joins_nor_has_a_signer(tmp_path: Path) -> None:
    options = ("init", "--home", tmp_path / "h", "--name", "x", "--observer", "--devnet")
    assert som(*options, "--joins").exit_code == 2
    assert som(*options, "--signer", "/run/socket", "--consensus-key", "ab" * 32).exit_code == 2
    assert not (tmp_path / "h").exists()


def test_two_places_of_one_key_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    genesis_file = founded(home)
    assert som("init", "--home", home, "--name", "solo", "--genesis", genesis_file).exit_code == 0
    text = (home / "config.toml").read_text()
    told = text.replace('socket = ""', 'socket = "/run/socket"').replace(
        'public_key = ""', f'public_key = "{"ab" * 32}"'
    )
    (home / "config.toml").write_text(told)
    config = parse_config(told)
    with ExitStack() as resources, pytest.raises(ConfigError, match="one key, one place"):
        open_home(home, config, None, resources)


# Keys


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "a.json"
    first = som("key", "new", file, "--devnet", "--json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert som("key", "new", file, "--devnet").exit_code == 7
    listed = json.loads(som("key", "list", file.parent, "--json").stdout)["keys"]
    assert listed == [{"file": str(file), "use": "operator", "public": json.loads(first.stdout)["public"]}]


def test_a_key_is_exported_and_imported_as_the_same_key(tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    first, second = tmp_path / "k" / "a.json", tmp_path / "k" / "b.json"
    made = som("key", "new", first, "--passphrase-file", phrase, "--json")
    exported = som("key", "export", first, "--passphrase-file", phrase, "--json")
    again = som("key", "import", second, "--devnet", "--json", typed=json.loads(exported.stdout)["seed"])
    assert json.loads(again.stdout)["public"] == json.loads(made.stdout)["public"]


def test_a_seed_is_shown_only_for_its_passphrase(tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    file = tmp_path / "k" / "a.json"
    assert som("key", "new", file, "--passphrase-file", phrase).exit_code == 0
    phrase.write_text("wrong horse battery\n")
    refused = som("key", "export", file, "--passphrase-file", phrase)
    assert (refused.exit_code, refused.stdout) == (7, "")


def test_a_passphrase_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "k" / "a.json"
    made = som("key", "new", file, typed="correct horse battery\ncorrect horse battery\n")
    assert made.exit_code == 0, made.output
    assert "horse" not in made.output


@pytest.mark.parametrize("seed", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_seed_of_another_form_is_refused(tmp_path: Path, seed: str) -> None:
    assert som("key", "import", tmp_path / "k.json", "--devnet", typed=seed).exit_code == 7


def test_a_consensus_key_is_shown_only_to_who_types_its_first_digits(tmp_path: Path) -> None:
    file = tmp_path / "k" / "a.json"
    public = json.loads(som("key", "new", file, "--use", "consensus", "--devnet", "--json").stdout)["public"]
    for typed in ("", "yes\n", f"{'0' * 8}\n"):
        assert json.loads(file.read_text())["seed"] not in som("key", "export", file, "--json", typed=typed).output
    shown = som("key", "export", file, "--json", typed=f"{public[:8]}\n")
    assert json.loads(shown.stdout) == {"seed": json.loads(file.read_text())["seed"]}
    asked = {som("key", "export", file, "--lang", lang, typed="no\n").stderr for lang in ("ky", "ru", "en")}
    assert len(asked) == 3, "each in its own words"


def test_a_passphrase_is_changed_and_the_key_stays(tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "k" / "a.json"
    old.write_text("correct horse battery\n")
    new.write_text("another horse battery\n")
    made = som("key", "new", file, "--chain", "ab" * 8, "--passphrase-file", old, "--json")
    before = som("key", "export", file, "--passphrase-file", old, "--json").stdout
    assert som("key", "passwd", file, "--passphrase-file", new, "--new-passphrase-file", old).exit_code == 7
    changed = som("key", "passwd", file, "--passphrase-file", old, "--new-passphrase-file", new, "--json")
    assert json.loads(changed.stdout)["public"] == json.loads(made.stdout)["public"]
    assert json.loads(file.read_text())["chain"] == "ab" * 8
    assert som("key", "export", file, "--passphrase-file", old).exit_code == 7
    assert som("key", "export", file, "--passphrase-file", new, "--json").stdout == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_devnets_key_has_no_passphrase_to_change(tmp_path: Path) -> None:
    file = tmp_path / "k" / "a.json"
    assert som("key", "new", file, "--devnet").exit_code == 0
    assert som("key", "passwd", file).exit_code == 7


def test_a_passphrase_comes_through_a_descriptor(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery\n")
    os.close(writing)
    file = tmp_path / "k" / "a.json"
    assert som("key", "new", file, "--passphrase-file", f"/dev/fd/{reading}").exit_code == 0
    os.close(reading)
    assert som("key", "export", file, typed="correct horse battery\n").exit_code == 0


def test_no_command_takes_a_secret_as_an_argument_or_from_the_environment() -> None:
    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    secret = [option for option in options(main) if re.search("seed|passphrase|secret|pin$", option.name or "")]
    assert secret
    assert all(isinstance(option.type, click.Path) and option.envvar is None for option in secret)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert som("key", "export", tmp_path / "x.json").exit_code == 7
    assert json.loads(som("key", "list", tmp_path, "--json").stdout) == {"keys": []}


# Genesis and the rest


def test_a_genesis_is_hashed_and_validated(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(format_genesis(solo_genesis()))
    assert json.loads(som("genesis", "hash", path, "--json").stdout) == {"genesis_hash": solo_genesis().hash.hex()}
    assert "solo" in som("genesis", "validate", path).stdout
    path.write_text(path.read_text().replace('"weight": 1', '"weight": "1"', 1))
    refused = som("genesis", "validate", path)
    assert refused.exit_code == 7
    assert "weight" in refused.stderr


def test_the_version_is_told() -> None:
    assert som("version").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["pay"], ["--node", "ftp://x", "status"], ["--lang", "fr", "status"]]
)
def test_a_wrong_command_is_a_usage_error(arguments: list[str]) -> None:
    assert som(*arguments).exit_code == 2


def test_every_command_explains_itself() -> None:
    for name in main.list_commands(None):  # type: ignore[arg-type]
        result = som(name, "--help")
        assert result.exit_code == 0, name
        assert len(result.stdout) > 80, name


def test_what_is_typed_wins_over_the_environment() -> None:
    result = som("--node", "http://127.0.0.1:2", "status", SOM_NODE="http://127.0.0.1:1")
    assert result.exit_code == 5
    assert "127.0.0.1:2" in result.stderr
