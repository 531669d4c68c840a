"""node/config.py: what a node may set, and that no slip of the pen passes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import (
    Config,
    ConfigError,
    Keys,
    Listen,
    Log,
    Mempool,
    Peer,
    Rpc,
    apply_environment,
    format_config,
    parse_config,
)

NAME = 'name = "nbkr"\n'
PEER = '[[peers]]\nname = "a"\nhost = "h"\nport = 1\n'
KEY = f'node_key = "{"0a" * 32}"\n'
texts = st.text(max_size=20).filter(lambda text: text.isprintable() or "\n" in text or "\x7f" in text)
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
        rpc=Rpc(text, port, tuple(hosts)),
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
        ("[rpc]\nprot = 1\n", "prot"),
        ("timeout = 5\n", "timeout"),
        ("[rpc]\nport = 65536\n", r"rpc\.port"),
        ("[rpc]\nport = -1\n", r"rpc\.port"),
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
    [("SOM_RPC_PORT", "none"), ("SOM_RPC_PORT", ""), ("SOM_LISTEN_PORT", "70000"), ("SOM_LOG_LEVEL", "loud")],
)
def test_a_wrong_environment_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError):
        apply_environment(parse_config(NAME), {name: value})


def test_a_configuration_cannot_be_changed_under_the_node() -> None:
    config = parse_config(NAME)
    with pytest.raises(AttributeError):
        config.name = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(config, name="other").name == "other"
