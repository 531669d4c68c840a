"""node/config.py: what a node may set, and that no slip of the pen passes."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import (
    CONFIG_NAME,
    Config,
    ConfigError,
    Keys,
    Listen,
    Log,
    Mempool,
    Peer,
    Rpc,
    apply_environment,
    parse_config,
    variables,
)
from node.config_text import format_config, reference, sections
from node.home import read_config

ROOT: Final = Path(__file__).parents[1]
NAME = 'name = "nbkr"\n'
PEER = '[[peers]]\nname = "a"\nhost = "h"\nport = 1\n'
KEY = f'node_key = "{"0a" * 32}"\n'
texts = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() or "\n" in text or "\x7f" in text)
ports = st.integers(0, 65_535)


@given(
    texts,
    ports,
    st.lists(texts, max_size=3),
    st.lists(st.tuples(texts, texts, ports), max_size=3, unique_by=lambda peer: peer[0]),
    st.integers(0, 64),
)
def test_a_configuration_comes_back_as_it_was_written(
    text: str, port: int, hosts: list[str], peers: list[tuple[str, str, int]], workers: int
) -> None:
    config = Config(
        name=text,
        genesis=text,
        data=text,
        signature_workers=workers,
        keys=Keys(text, text, text),
        listen=Listen(text, port),
        rpc=Rpc(f"{text}2", port, tuple(hosts)),
        mempool=Mempool(100 + port, 1_000_000 + port),
        log=Log("debug", "json"),
        peers=tuple(Peer(*peer) for peer in peers),
    )
    assert parse_config(format_config(config)) == config


@given(st.text())
def test_whatever_text_is_given_only_a_configuration_error_escapes(text: str) -> None:
    for given_text in (text, NAME + text):
        try:
            parse_config(given_text)
        except ConfigError:
            pass


def test_a_name_is_all_that_must_be_set() -> None:
    config = parse_config(NAME)
    assert config == Config("nbkr")
    assert config.rpc.host == config.listen.host == "127.0.0.1"  # nothing is open to others unless somebody says so
    with pytest.raises(ConfigError, match="name"):
        parse_config("")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[rpc]\nprot = 1\n", r"^there is no setting rpc\.prot; is rpc\.port meant\?$"),
        ("timeout = 5\n", "^there is no setting timeout; there are name, observer, genesis, "),
        (PEER + "nodekey = 1\n", r"there is no setting peers\[0\]\.nodekey; is peers\[0\]\.node_key meant"),
        ("[rpc]\nport = 65536\n", r"^rpc\.port: Expected `int` <= 65535 \(found 65536\)$"),
        ("rpc = 5\n", "^rpc: Expected"),
        ('genesis = ""\n', "^genesis: Expected"),
        ("name = ''\n", "^name: Expected"),
        ("[disk]\nstop_percent = 11\n", "stop_percent is above disk.refuse_percent"),
        ("[rpc]\nport = -1\n", r"rpc\.port"),
        ("[rpc]\nhost = ''\n", r"^rpc\.host: Expected"),
        ("[listen]\nhost = ''\n", r"^listen\.host: Expected"),
        ("[listen]\nport = 26657\n", r"^\[listen\] and \[rpc\] have the same port$"),
        ('[rpc]\nport = "1"\n', r"rpc\.port"),
        ("[listen]\nport = 1.5\n", r"listen\.port"),
        ("signature_workers = 65\n", "signature_workers"),
        ("signature_workers = true\n", "signature_workers"),
        ("[mempool]\ntransactions_max = 0\n", r"mempool\.transactions_max"),
        ("[mempool]\nbytes_max = 10\n", r"mempool\.bytes_max"),
        ("[ledger]\naccounts_in_memory = 999\n", r"ledger\.accounts_in_memory"),
        ("[ledger]\naccounts_in_memory = 50000001\n", r"ledger\.accounts_in_memory"),
        ('[log]\nlevel = "loud"\n', r"log\.level"),
        ('[log]\nformat = "xml"\n', r"log\.format"),
        ('[[peers]]\nname = "a"\nhost = "h"\n', "port"),
        ('[[peers]]\nname = "a"\nhost = "h"\nport = 1\n' * 2, "a peer is named twice"),
        (PEER + f'node_key = "{"0" * 63}"\n', "node_key"),
        (PEER + f'node_key = "{"A" * 64}"\n', "node_key"),
        (PEER + KEY + PEER.replace('"a"', '"b"') + KEY, "a peer's key stands twice"),
        ("".join(PEER.replace('"a"', f'"{number}"') for number in range(65)), "more than 64 peers"),
        ("name = \n", "line"),
    ],
)
def test_a_wrong_setting_is_named(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        parse_config((NAME if not text.startswith("name") else "") + text)


def test_a_value_that_may_be_a_key_in_the_wrong_place_is_not_shown() -> None:
    secret = "0f" * 31
    with pytest.raises(ConfigError, match=r"^signer\.public_key: ") as error:
        parse_config(f'{NAME}[signer]\npublic_key = "{secret}"\n')
    assert secret not in str(error.value)


def test_an_error_says_in_which_file(tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text(NAME + "[rpc]\nprot = 1\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(tmp_path))}/config\.toml: there is no setting"):
        read_config(tmp_path)


def test_a_container_sets_addresses_and_the_log_level() -> None:
    environment = {
        "SOM_RPC_HOST": "0.0.0.0",
        "SOM_RPC_PORT": "1",
        "SOM_LISTEN_HOST": "::",
        "SOM_LISTEN_PORT": "2",
        "SOM_LOG_LEVEL": "debug",
        "SOM_MEMPOOL": "ignored",
    }
    config = apply_environment(parse_config(NAME), environment)
    assert (config.rpc.host, config.rpc.port) == ("0.0.0.0", 1)
    assert (config.listen.host, config.listen.port) == ("::", 2)
    assert config.log.level == "debug"
    assert apply_environment(config, {}) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOM_RPC_PORT", "none"),
        ("SOM_RPC_PORT", ""),
        ("SOM_RPC_HOST", ""),
        ("SOM_LISTEN_HOST", ""),
        ("SOM_LISTEN_PORT", "70000"),
        ("SOM_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_environment_is_refused(name: str, value: str) -> None:
    """An empty variable too: an empty host would be every address of the machine."""
    with pytest.raises(ConfigError, match=f"^environment: {name}: "):
        apply_environment(parse_config(NAME), {name: value})


def test_an_environment_that_does_not_fit_the_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="the same port"):
        apply_environment(parse_config(NAME), {"SOM_LISTEN_PORT": "26657"})


def test_a_configuration_cannot_be_changed_under_the_node() -> None:
    config = parse_config(NAME)
    with pytest.raises(AttributeError):
        config.name = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(config, name="other").name == "other"


# --- what is written about settings ---


def test_the_reference_in_docs_is_the_one_that_the_types_give() -> None:
    """After a change of a setting: python -m node.config_text > docs/configuration.md"""
    assert (ROOT / "docs" / "configuration.md").read_text() == reference()


def test_the_reference_has_every_setting_with_its_default_and_a_sentence() -> None:
    listed = dict(re.findall(r"^\| `([a-z_.\[\]]+)` \| [^|]+ \| ([^|]+) \|", reference(), flags=re.MULTILINE))
    expected = dict(defaults(Config))
    assert listed.keys() == expected.keys()
    for name, default in expected.items():
        if default is msgspec.NODEFAULT:
            assert listed[name] == "required", name
            continue
        value = tomllib.loads(f"value = {listed[name][1:-1]}")["value"]
        assert value == (list(default) if isinstance(default, tuple) else default), name
    for section in sections():
        assert section.about.endswith("."), section.name
        for setting in section.settings:
            assert len(setting.what) > 10, setting.name
            assert setting.what.endswith("."), setting.name
            assert setting.bounds or setting.kind != "integer", f"{setting.name} has no bounds"


def test_the_reference_names_every_variable_with_what_it_sets() -> None:
    listed = dict(re.findall(r"^\| `(SOM_[A-Z_]+)` \| `([a-z.]+)` \|$", reference(), flags=re.MULTILINE))
    assert listed == {variable: f"{section}.{name}" for variable, section, name in variables()}
    assert len(listed) == 5


def test_a_configuration_file_shows_every_setting_below_what_it_is_for() -> None:
    text = format_config(Config("x", peers=(Peer("y", "z", 1), Peer("v", "w", 2))))
    shown = tomllib.loads(text)
    for name, _ in defaults(Config):
        value: Any = shown
        for part in name.split("."):
            value = value["peers"][0] if part == "peers[]" else value[part]
    said = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    for section in sections():
        for setting in section.settings:
            assert setting.what.removesuffix(".") in said, setting.name
    assert all(len(line) <= 120 for line in text.splitlines())


def defaults(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(struct):
        if isinstance(field.default, msgspec.Struct):
            yield from defaults(type(field.default), f"{prefix}{field.name}.")
        elif field.name == "peers":
            yield from defaults(Peer, "peers[].")
        else:
            yield f"{prefix}{field.name}", field.default
