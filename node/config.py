"""One validator's own settings: a TOML file in its home directory. What all must agree on stands in the genesis.

Unknown names are refused, so that a misspelt setting is no silent default. Protocol timeouts are not here: they differ
between nodes only by accident, and the network then stalls for no visible reason.
"""

import os
from typing import Annotated, Final, Literal

import msgspec

from node.ledger.state import ACCOUNTS_IN_MEMORY
from node.log import Level

CONFIG_NAME: Final = "config.toml"
PEERS_MAX: Final = 64  # the chain itself names the others

_CONTROL: Final = frozenset(map(chr, (*range(0x20), 0x7F)))  # what a TOML string may not hold as it is

_Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
_Percent = Annotated[int, msgspec.Meta(ge=0, le=50)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=64)]


class ConfigError(Exception):
    """The configuration can not be used; the text says where and why."""


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths, relative to the home directory. The guard stands beside the key and is in no backup of data."""

    consensus: str = "keys/consensus.json"
    node: str = "keys/node.json"
    guard: str = "keys/guard"


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signer process that has the consensus key and the guard instead of us: where it listens, and its public key.

    Without ``socket`` both are files of this home.
    """

    socket: str = ""
    public_key: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen for validators."""

    host: str = "127.0.0.1"
    port: _Port = 26600


class Rpc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we serve clients. ``allowed_hosts`` are accepted in the Host header beside loopback names.

    ``access``: open tells everybody about everybody; tokens wants a reason (node/rpc/access.py); auto is open on a
    devnet and tokens elsewhere. ``tokens_file`` and ``admin_socket`` stand in the home directory.
    """

    host: str = "127.0.0.1"
    port: _Port = 26657
    allowed_hosts: tuple[str, ...] = ()
    access: Literal["auto", "open", "tokens"] = "auto"
    tokens_file: str = "tokens.json"
    admin_socket: str = "admin.sock"


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a validator listens, by the name of its seat in the roster.

    ``node_key`` (hex) lets that key link whatever the roster is, as far as we know it: for a node that was away long.
    """

    name: str
    host: str
    port: _Port
    node_key: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""


class Mempool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of what waits for a block here."""

    transactions_max: Annotated[int, msgspec.Meta(ge=100, le=1_000_000)] = 50_000
    bytes_max: Annotated[int, msgspec.Meta(ge=1_000_000, le=4_000_000_000)] = 64_000_000


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many accounts stay decoded in memory; others are read from the store when they are paid or pay."""

    accounts_in_memory: Annotated[int, msgspec.Meta(ge=1_000, le=50_000_000)] = ACCOUNTS_IN_MEMORY


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Free space below which clients are turned away, and below which the node ends while it still can, cleanly."""

    refuse_percent: _Percent = 10
    stop_percent: _Percent = 5
    stop_bytes: Annotated[int, msgspec.Meta(ge=0)] = 2 << 30


class Prune(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the chain is kept: so many blocks and so many days, whichever is more. Both 0: all of it."""

    keep_blocks: Annotated[int, msgspec.Meta(ge=0)] = 0
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_600)] = 0


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Snapshots of the state, for nodes that join: made ``every`` so many heights (0: never), the newest ``keep`` kept.

    A node with fewer blocks than ``fetch_behind`` that is so many behind fetches one instead of all blocks (0: never).
    """

    every: Annotated[int, msgspec.Meta(ge=0)] = 16_384
    keep: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    fetch_behind: Annotated[int, msgspec.Meta(ge=0)] = 2_000


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``supported_max`` holds this node back at a protocol version that is not this software's newest; 0: it does not.

    For staged roll-outs and for tests: the node then stands still before an epoch of a later version.
    """

    supported_max: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Form and level of the log on standard error."""

    level: Level = "info"
    format: Annotated[str, msgspec.Meta(pattern="^(text|json)$")] = "text"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that one node may set."""

    name: str
    genesis: str = "genesis.json"
    data: str = "data"
    signature_workers: _Count = 0
    keys: Keys = Keys()
    signer: Signer = Signer()
    listen: Listen = Listen()
    rpc: Rpc = Rpc()
    mempool: Mempool = Mempool()
    ledger: Ledger = Ledger()
    disk: Disk = Disk()
    snapshot: Snapshot = Snapshot()
    prune: Prune = Prune()
    protocol: Protocol = Protocol()
    log: Log = Log()
    peers: tuple[Peer, ...] = ()


def parse_config(text: str) -> Config:
    """Return the configuration that the TOML ``text`` describes; raise ConfigError that names the setting."""
    try:
        config = msgspec.toml.decode(text.encode(), type=Config)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    names = [peer.name for peer in config.peers]
    if len(set(names)) != len(names):
        raise ConfigError("a peer is named twice")
    keys = [peer.node_key for peer in config.peers if peer.node_key]
    if len(set(keys)) != len(keys):
        raise ConfigError("a peer's key stands twice")
    if bool(config.signer.socket) != bool(config.signer.public_key):
        raise ConfigError("[signer] needs both socket and public_key, or neither")
    if len(config.peers) > PEERS_MAX:
        raise ConfigError(f"more than {PEERS_MAX} peers")
    return config


def format_config(config: Config) -> str:
    """Return the TOML text of a configuration, with a line on what each part is for."""
    lines = [
        "# This node's own settings; what all nodes agree on stands in the genesis file. `som config check` reads it.",
        f"name = {quote(config.name)}",
        f"genesis = {quote(config.genesis)}",
        f"data = {quote(config.data)}",
        "# Processes that check signatures; 0 checks in the main process, best where nodes outnumber cores.",
        f"signature_workers = {config.signature_workers}",
        "",
        "[keys]",
        *(f"{field} = {quote(getattr(config.keys, field))}" for field in config.keys.__struct_fields__),
        "",
        "# A signer process has the consensus key and the guard (`som signer`); empty: they are files of this home.",
        "[signer]",
        *(f"{field} = {quote(getattr(config.signer, field))}" for field in config.signer.__struct_fields__),
        "",
        "[listen]",
        f"host = {quote(config.listen.host)}",
        f"port = {config.listen.port}",
        "",
        "[rpc]",
        f"host = {quote(config.rpc.host)}",
        f"port = {config.rpc.port}",
        f"allowed_hosts = [{', '.join(quote(host) for host in config.rpc.allowed_hosts)}]",
        f"access = {quote(config.rpc.access)}",
        f"tokens_file = {quote(config.rpc.tokens_file)}",
        f"admin_socket = {quote(config.rpc.admin_socket)}",
        "",
        "[mempool]",
        f"transactions_max = {config.mempool.transactions_max}",
        f"bytes_max = {config.mempool.bytes_max}",
        "",
        "# Accounts kept decoded, 0.8 kB each; the others are read from the store.",
        "[ledger]",
        f"accounts_in_memory = {config.ledger.accounts_in_memory}",
        "",
        "[disk]",
        f"refuse_percent = {config.disk.refuse_percent}",
        f"stop_percent = {config.disk.stop_percent}",
        f"stop_bytes = {config.disk.stop_bytes}",
        "",
        "# State for nodes that join: made every so many heights; fetched by a new node that is so many behind.",
        "[snapshot]",
        *(f"{field} = {getattr(config.snapshot, field)}" for field in config.snapshot.__struct_fields__),
        "",
        "# How much of the chain is kept, whichever is more; both 0 keep all of it.",
        "[prune]",
        *(f"{field} = {getattr(config.prune, field)}" for field in config.prune.__struct_fields__),
        "",
        "[protocol]",
        f"supported_max = {config.protocol.supported_max}",
        "",
        "[log]",
        f"level = {quote(config.log.level)}",
        f"format = {quote(config.log.format)}",
    ]
    for peer in config.peers:
        lines += ["", "[[peers]]", f"name = {quote(peer.name)}", f"host = {quote(peer.host)}", f"port = {peer.port}"]
        lines += [f"node_key = {quote(peer.node_key)}"]
    return "\n".join(lines) + "\n"


def apply_environment(config: Config, environment: dict[str, str] | None = None) -> Config:
    """Return ``config`` with the few settings that a container gives through its environment."""
    given = dict(os.environ) if environment is None else environment
    try:
        rpc = msgspec.structs.replace(
            config.rpc,
            host=given.get("SOM_RPC_HOST", config.rpc.host),
            port=int(given.get("SOM_RPC_PORT", config.rpc.port)),
        )
        listen = msgspec.structs.replace(
            config.listen,
            host=given.get("SOM_LISTEN_HOST", config.listen.host),
            port=int(given.get("SOM_LISTEN_PORT", config.listen.port)),
        )
    except ValueError as error:
        raise ConfigError(f"environment: {error}") from None
    log = msgspec.structs.replace(config.log, level=given.get("SOM_LOG_LEVEL", config.log.level))
    return parse_config(format_config(msgspec.structs.replace(config, rpc=rpc, listen=listen, log=log)))


def quote(text: str) -> str:
    """Return a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(char):04x}" if char in _CONTROL else char for char in escaped) + '"'
