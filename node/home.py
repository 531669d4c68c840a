"""A node's home directory: configuration, genesis, keys with their guard, data. Made by `som init` for `som start`.

    config.toml  genesis.json
    keys/        consensus.json  node.json  guard*     in no backup of data: an old guard forgets what was signed
    decrees/     000001.decree ...  who validates after more validators were lost than may be (docs/emergency.md)
    data/        store/ (LevelDB)  journal/

One rule: starting never creates; what is missing is an error, not an empty chain.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, SecretKey
from consensus.encoding import DecodeError
from consensus.messages import NO_HASH, Block, Hash, Header, decode_block, make_block, payload_hash
from node.batches import EMPTY_PAYLOAD
from node.config import CONFIG_NAME, Config, ConfigError, apply_environment, parse_config
from node.config_text import format_config
from node.decree import DecreeConflict, SignedDecree, decode_decree
from node.ledger.commitment import chain_root
from node.ledger.execute import META_KEY, Meta, genesis_changes, read_meta
from node.ledger.genesis import Genesis, GenesisError, format_genesis, parse_genesis
from node.ledger.validators import Keys, Roster, all_keys, decode_roster, encode_roster, roster_of
from node.signing.home import open_own
from node.signing.remote import RemoteSigner
from node.signing.signer import NoSigner, OwnSigner
from node.storage.decrees import read_decrees
from node.storage.disk import make_ballast
from node.storage.errors import Damaged, StorageError
from node.storage.files import DISK, Disk, write_file
from node.storage.founding import install
from node.storage.guard import Guard
from node.storage.journal import Journal, Record
from node.storage.keystore import read_seed, write_key
from node.storage.records import Roots
from node.storage.store import Store
from node.terms import term_of

BY_BLOCKS: Final = "by-blocks"  # a file of the data directory
GENESIS_BYTES_MAX: Final = 16 * 2**20
CONFIG_BYTES_MAX: Final = 256 * 1024

log = structlog.get_logger("node")


@dataclass(frozen=True, slots=True)
class Opened:
    """All that a node keeps on disk, open and locked. ``records`` are the journal's, to be replayed.

    ``by_blocks`` says that a node at height 0 takes all blocks, and no snapshot. ``decrees`` are by term.
    """

    home: Path
    disk: Disk
    genesis: Genesis
    signer: OwnSigner | RemoteSigner | NoSigner
    node_seed: bytes
    store: Store
    journal: Journal
    records: list[Record]
    data: Path
    by_blocks: bool = False
    decrees: tuple[SignedDecree, ...] = ()


def committee_of(genesis: Genesis, epoch: int) -> Committee:
    """Return the committee of an epoch."""
    members = [Validator(PublicKey(row.consensus_key), row.weight) for row in genesis.validators]
    return Committee(epoch, members, allow_dominant=genesis.kind == "devnet")


def genesis_block(genesis: Genesis, meta: Meta) -> Block:
    """Return block 0: it names the genesis state, and nobody signs it."""
    committee = committee_of(genesis, 0)
    header = Header(
        genesis_hash=Hash(genesis.hash),
        epoch=0,
        view=0,
        height=0,
        parent_view=0,
        parent_hash=NO_HASH,
        proposer=0,
        timestamp_ms=genesis.time_ms,
        validators_hash=Hash(committee.hash),
        next_validators_hash=Hash(committee.hash),
        executed_height=0,
        state_root=Hash(meta.root),
        payload_hash=payload_hash(EMPTY_PAYLOAD),
        version=meta.version,
    )
    return make_block(header, EMPTY_PAYLOAD)


def create_home(
    home: Path, config: Config, genesis: Genesis, consensus_seed: bytes, node_seed: bytes, passphrase: bytes | None
) -> None:
    """Make a home directory for a node that has never run. Raises StorageError if there is one.

    An observer gets no consensus key.
    """
    chain = genesis.hash.hex()[:16]
    write_key(home / config.keys.node, node_seed, "node", chain, passphrase)
    if config.own_key:
        write_key(home / config.keys.consensus, consensus_seed, "consensus", chain, passphrase)
        Guard.create(home / config.keys.guard, SecretKey(consensus_seed).public, genesis.hash)
    create_data(home, config, genesis)
    write_file(home / config.genesis, format_genesis(genesis).encode())
    write_file(home / CONFIG_NAME, format_config(config).encode())  # last: with it the home is whole


def create_data(home: Path, config: Config, genesis: Genesis, by_blocks: bool = False) -> None:
    """Make an empty chain: the store at height 0, an empty journal, and room to be given away when the disk is full.

    ``by_blocks``: it is to have all blocks, so that it takes no snapshot.
    """
    data = home / config.data
    changes = genesis_changes(genesis)
    meta = read_meta(changes[META_KEY], genesis)
    block = genesis_block(genesis, meta)
    Store.create(
        data / "store",
        genesis.hash,
        changes,
        block_hash=block.hash,
        block_bytes=block.encoded,
        timestamp_ms=genesis.time_ms,
        roots=Roots(meta.state_tree_root, meta.outcomes_root, meta.root),
        roster=encode_roster(roster_of(genesis)),
        version=meta.version,
    )
    Journal.create(data / "journal")
    if by_blocks:
        write_file(data / BY_BLOCKS, b"this chain has all blocks from the first one: no snapshot is fetched\n")
    if genesis.kind != "devnet":
        make_ballast(data / "ballast")


def read_config(home: Path) -> Config:
    """Return the configuration with what the environment sets. Raises ConfigError."""
    text = _text(home / CONFIG_NAME, CONFIG_BYTES_MAX)
    try:
        config = parse_config(text)
    except ConfigError as error:
        raise ConfigError(f"{home / CONFIG_NAME}: {error}") from None
    return apply_environment(config)


def read_genesis(path: Path) -> Genesis:
    """Return the genesis in a file. Raises ConfigError."""
    try:
        return parse_genesis(_text(path, GENESIS_BYTES_MAX))
    except GenesisError as error:
        raise ConfigError(f"{path}: {error}") from None


def open_home(home: Path, config: Config, passphrase: bytes | None, resources: ExitStack, disk: Disk = DISK) -> Opened:
    """Open everything; ``resources`` closes it. Raises ConfigError or StorageError."""
    genesis = read_genesis(home / config.genesis)
    devnet = genesis.kind == "devnet"
    chain = genesis.hash.hex()[:16]
    signer = _open_signer(home, config, genesis, passphrase, resources, disk)
    node_seed = read_seed(home / config.keys.node, "node", passphrase, devnet=devnet, chain=chain)
    if install(home / config.data / "store"):
        log.info("store_installed")
    store = Store.open(home / config.data / "store", genesis.hash, disk)
    resources.callback(store.close)
    _require_pair(decode_roster(store.roster_at(store.tip.height)), Keys(signer.public, SecretKey(node_seed).public))
    store.check(identify=_identify, chain_root=chain_root)
    journal, records = Journal.open(home / config.data / "journal", disk)
    resources.callback(journal.close)
    data = home / config.data
    by_blocks = DISK.exists(data / BY_BLOCKS)
    decrees = open_decrees(home, genesis, disk)
    require_followed(store, decrees)
    return Opened(home, disk, genesis, signer, node_seed, store, journal, records, data, by_blocks, decrees)


def open_decrees(home: Path, genesis: Genesis, disk: Disk = DISK) -> tuple[SignedDecree, ...]:
    """Return the decrees that a home follows, by term; they were verified before they came there. Raises Damaged."""
    try:
        found = tuple(decode_decree(data) for data in read_decrees(home, disk))
    except DecodeError as error:
        raise Damaged(f"{home}: a decree: {error}") from None
    for term, signed in enumerate(found, 1):
        if (signed.decree.genesis_hash, signed.decree.term) != (genesis.hash, term):
            raise Damaged(f"{home}: the decree of term {term} is another one")
    return found


def require_followed(store: Store, decrees: Sequence[SignedDecree]) -> None:
    """Raise DecreeConflict if what is final in a store is not what the decrees say."""
    tip = store.tip.height
    for signed in decrees:
        base = signed.decree.base_height
        below, above = store.block(base), store.block(base + 1)
        if tip >= base and below is not None and below.block_hash != signed.decree.base_hash:
            raise DecreeConflict(f"block {base} is final here, and the decree of term {signed.decree.term} has another")
        if above is not None and term_of(decode_block(above.block_bytes).header.epoch) < signed.decree.term:
            raise DecreeConflict(
                f"block {base + 1} is final here, and the decree of term {signed.decree.term} drops it"
            )


def _open_signer(
    home: Path, config: Config, genesis: Genesis, passphrase: bytes | None, resources: ExitStack, disk: Disk
) -> OwnSigner | RemoteSigner | NoSigner:
    if config.own_key:
        keys = config.keys
        return open_own(home, keys.consensus, keys.guard, genesis, passphrase, resources, disk)
    if DISK.exists(home / config.keys.consensus):
        found = f"{config.keys.consensus} is here as well"
        if config.observer:
            raise ConfigError(f"observer is set, and {found}: an observer has no key to vote with")
        raise ConfigError(f"[signer] is set, and {found}: one key, one place")
    if config.observer:
        return NoSigner()
    public = PublicKey(bytes.fromhex(config.signer.public_key))
    return RemoteSigner(str(home / config.signer.socket), public, genesis.hash, os.geteuid())


def _identify(block_bytes: bytes) -> tuple[bytes, bytes]:
    """Return a stored block's hash, recomputed, and its parent's."""
    block = decode_block(block_bytes)
    return block.hash, block.header.parent_hash


def _require_pair(roster: Roster, ours: Keys) -> None:
    """Raise ConfigError if one of our keys is known beside another than ours: two homes were mixed up.

    Keys that nobody knows are no error: the node follows, and may be admitted later.
    """
    for keys in all_keys(roster):
        if (keys.consensus_key == ours.consensus_key) != (keys.node_key == ours.node_key):
            raise ConfigError("the consensus key and the node key are of two validators")


def _text(path: Path, most: int) -> str:
    try:
        return DISK.read(path, most, private=False).decode()
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there: `som init` makes it") from None
    except (StorageError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
