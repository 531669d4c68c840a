"""What a home must hold. Starting never creates: what is missing or another's is an error that says so."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.crypto import SecretKey
from devnet.generate import Place, make_genesis, write_network
from devnet.processes import LOOPBACK
from node.config import Config, ConfigError, Listen
from node.home import (
    Opened,
    committee_of,
    create_home,
    genesis_block,
    open_home,
    read_config,
    read_genesis,
)
from node.ledger.execute import META_KEY, genesis_changes, read_meta
from node.ledger.genesis import format_genesis
from node.storage.errors import (
    AlreadyInitialised,
    Damaged,
    GuardError,
    InUse,
    KeyFileError,
    NotInitialised,
    StorageError,
    WrongNetwork,
)
from node.storage.records import BlockRecord, Roots
from node.storage.store import Store
from tests.node_parts import START_MS, block_zero, child, genesis

NAMES = ("nbkr", "bank-1")


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    """Return a directory with the homes of two validators."""
    made = replace(make_genesis(START_MS, NAMES), tree_depth=1)
    write_network(tmp_path, [Place(name, LOOPBACK, LOOPBACK, 1, 2) for name in NAMES], made)
    return tmp_path


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(home: Path, resources: ExitStack) -> Opened:
    return open_home(home, read_config(home), None, resources)


def test_a_home_opens_at_height_zero(homes: Path, resources: ExitStack) -> None:
    home = opened(homes / "nbkr", resources)
    assert home.store.tip.height == 0
    assert home.records == []
    block = home.store.block(0)
    assert block is not None
    assert block.block_hash == home.store.tip.block_hash


def test_all_validators_have_the_same_block_zero(homes: Path, resources: ExitStack) -> None:
    tips = {opened(homes / name, resources).store.tip for name in NAMES}
    assert len(tips) == 1


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("config.toml", ConfigError, r"config\.toml is not there: `som init` makes it"),
        ("genesis.json", ConfigError, r"genesis\.json is not there"),
        ("keys/consensus.json", StorageError, "consensus.json"),
        ("keys/node.json", StorageError, "node.json"),
        ("keys/guard", GuardError, "the guard is missing"),
        ("data/store", NotInitialised, "there is no store"),
        ("data/journal", NotInitialised, "there is no journal"),
        ("data", NotInitialised, "there is no store"),
        ("data/store/CURRENT", Damaged, "CURRENT"),
    ],
)
def test_what_is_missing_is_an_error_and_not_an_empty_chain(
    homes: Path, resources: ExitStack, what: str, error: type[Exception], says: str
) -> None:
    path = homes / "nbkr" / what
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(error, match=says):
        opened(homes / "nbkr", resources)
    assert not path.exists()


def test_an_emptied_store_is_not_a_new_one(homes: Path, resources: ExitStack) -> None:
    store = homes / "nbkr" / "data" / "store"
    shutil.rmtree(store)
    store.mkdir()
    with pytest.raises(NotInitialised):
        opened(homes / "nbkr", resources)
    assert list(store.iterdir()) == []


def test_a_second_process_on_the_same_home_is_refused(homes: Path, resources: ExitStack) -> None:
    opened(homes / "nbkr", resources)
    with ExitStack() as second, pytest.raises(InUse, match="held by another process"):
        opened(homes / "nbkr", second)


def test_a_home_can_be_opened_again_when_it_was_closed(homes: Path) -> None:
    for _ in range(2):
        with ExitStack() as resources:
            opened(homes / "nbkr", resources)


def test_a_failed_start_lets_go_of_everything(homes: Path) -> None:
    journal, aside = homes / "nbkr" / "data" / "journal", homes / "aside"
    shutil.move(journal, aside)
    with ExitStack() as resources, pytest.raises(NotInitialised):
        opened(homes / "nbkr", resources)
    shutil.move(aside, journal)
    with ExitStack() as resources:
        opened(homes / "nbkr", resources)


@pytest.mark.parametrize("files", [("node.json",), ("consensus.json", "guard")])
def test_keys_of_two_validators_are_refused(homes: Path, resources: ExitStack, files: tuple[str, ...]) -> None:
    for file in files:
        shutil.copy(homes / "bank-1" / "keys" / file, homes / "nbkr" / "keys" / file)
    with pytest.raises(ConfigError, match="are of two validators"):
        opened(homes / "nbkr", resources)


def test_keys_that_nobody_knows_are_those_of_a_node_that_follows(tmp_path: Path, resources: ExitStack) -> None:
    config = Config(name="bank-9", listen=Listen(LOOPBACK, 1))
    create_home(tmp_path / "bank-9", config, genesis(), b"1" * 32, b"2" * 32, None)
    home = opened(tmp_path / "bank-9", resources)
    assert home.signer.public == SecretKey(b"1" * 32).public
    assert home.store.tip.height == 0


def test_the_keys_may_not_change_places(homes: Path, resources: ExitStack) -> None:
    keys = homes / "nbkr" / "keys"
    shutil.copy(keys / "node.json", keys / "consensus.json")
    with pytest.raises(KeyFileError, match="not for consensus"):
        opened(homes / "nbkr", resources)


def test_a_key_that_others_can_read_is_refused(homes: Path, resources: ExitStack) -> None:
    (homes / "nbkr" / "keys" / "consensus.json").chmod(0o644)
    with pytest.raises(StorageError, match="0600"):
        opened(homes / "nbkr", resources)


def test_the_guard_of_another_key_is_refused(homes: Path, resources: ExitStack) -> None:
    shutil.copy(homes / "bank-1" / "keys" / "guard", homes / "nbkr" / "keys" / "guard")
    with pytest.raises(GuardError):
        opened(homes / "nbkr", resources)


def _other_genesis(homes: Path) -> None:
    other = replace(make_genesis(START_MS, NAMES), tree_depth=1, time_ms=START_MS + 1)
    (homes / "nbkr" / "genesis.json").write_text(format_genesis(other))


def test_another_genesis_is_refused(homes: Path, resources: ExitStack) -> None:
    _other_genesis(homes)
    with pytest.raises((KeyFileError, GuardError), match="network"):
        opened(homes / "nbkr", resources)


def test_the_store_of_another_genesis_is_refused(homes: Path, resources: ExitStack) -> None:
    other = replace(make_genesis(START_MS, NAMES, "other"), tree_depth=1)
    write_network(homes / "other", [Place(name, LOOPBACK, LOOPBACK, 1, 2) for name in NAMES], other)
    shutil.rmtree(homes / "nbkr" / "data" / "store")
    shutil.copytree(homes / "other" / "nbkr" / "data" / "store", homes / "nbkr" / "data" / "store")
    with pytest.raises(WrongNetwork):
        opened(homes / "nbkr", resources)


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff{")


def _halve(path: Path) -> None:
    data = path.read_bytes()
    at = data.find(b" = ", len(data) // 3)  # a configuration that ends behind a line is one: end within
    path.write_bytes(data[: at + 2 if at > 0 else len(data) // 3])


@pytest.mark.parametrize("spoil", [_garbage, _halve])
@pytest.mark.parametrize("file", ["config.toml", "genesis.json", "keys/consensus.json", "keys/node.json", "keys/guard"])
def test_a_damaged_file_is_an_error_that_says_so(
    homes: Path, resources: ExitStack, file: str, spoil: Callable[[Path], None]
) -> None:
    spoil(homes / "nbkr" / file)
    with pytest.raises((ConfigError, StorageError)):
        opened(homes / "nbkr", resources)


def test_a_home_is_made_once(homes: Path) -> None:
    config = Config(name="nbkr", listen=Listen(LOOPBACK, 1))
    before = (homes / "nbkr" / "keys" / "consensus.json").read_bytes()
    with pytest.raises(AlreadyInitialised):
        create_home(homes / "nbkr", config, genesis(), b"1" * 32, b"2" * 32, None)
    assert (homes / "nbkr" / "keys" / "consensus.json").read_bytes() == before


def test_a_home_that_was_not_made_to_the_end_does_not_start(homes: Path, resources: ExitStack) -> None:
    (homes / "nbkr" / "config.toml").unlink()  # what is written last
    with pytest.raises(ConfigError):
        opened(homes / "nbkr", resources)


def test_a_stored_block_that_is_not_what_its_hash_says_is_found_at_the_start(homes: Path, resources: ExitStack) -> None:
    """LevelDB's and our own checksums cover what was written, whoever wrote it; the chain covers what it means."""
    path = homes / "nbkr" / "data" / "store"
    made = read_genesis(homes / "nbkr" / "genesis.json")
    zero = genesis_block(made, read_meta(genesis_changes(made)[META_KEY], made))
    store = Store.open(path, made.hash)
    one, two = child(zero), child(child(zero))
    store.commit(BlockRecord(1, one.hash, zero.hash, two.encoded, 0, b"", Roots(*[bytes(32)] * 3)))
    store.close()
    with pytest.raises(Damaged, match="block 1"):
        opened(homes / "nbkr", resources)


def test_the_committee_is_sorted_whatever_the_order_in_the_genesis() -> None:
    rows = genesis().validators
    shuffled = replace(genesis(), validators=tuple(reversed(rows)))
    assert committee_of(shuffled, 0).hash == committee_of(genesis(), 0).hash
    assert block_zero().header.validators_hash == committee_of(genesis(), 0).hash
