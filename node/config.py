"""One validator's own settings: a TOML file in its home directory. What all must agree on stands in the genesis.

One rule: all that there is to say of a setting stands beside its type. node/config_text.py writes it into the files
that `som init` makes, and into docs/configuration.md.

Unknown names are refused, so that a misspelt setting is no silent default. Protocol timeouts are not here: they differ
between nodes only by accident, and the network then stalls for no visible reason.
"""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

import msgspec

from node.ledger.state import ACCOUNTS_IN_MEMORY
from node.log import Level

CONFIG_NAME: Final = "config.toml"
PEERS_MAX: Final = 64  # the chain itself names the others
NAME_CHARS_MAX: Final = 64  # of a validator, as in the genesis
PATH_CHARS_MAX: Final = 1_024
SHOWN_CHARS_MAX: Final = 20  # of a value that is wrong


class ConfigError(Exception):
    """The configuration can not be used; the text says where and why."""


def says(what: str, when: str = "", *, unit: str = "", variable: str = "", **bounds: Any) -> msgspec.Meta:
    """Return what a setting does, when to change it, and its bounds.

    ``variable`` of the environment sets it in a container.
    """
    return msgspec.Meta(description=what, extra={"when": when, "unit": unit, "variable": variable}, **bounds)


def _path(what: str, when: str = "") -> msgspec.Meta:
    return says(what, when, min_length=1, max_length=PATH_CHARS_MAX)


_HEX_OR_NOTHING: Final = "^([0-9a-f]{64})?$"
_PORT: Final = {"ge": 0, "le": 65_535}


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Key files of this home, and the guard. The guard stands beside the key that it guards, and is in no backup."""

    consensus: Annotated[str, _path("The key that votes.")] = "keys/consensus.json"
    node: Annotated[str, _path("The key of the links to other validators (TLS).")] = "keys/node.json"
    guard: Annotated[
        str,
        _path("What the consensus key has signed. An old copy forgets, and the key could sign twice."),
    ] = "keys/guard"


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signer process (`som signer`) that has the consensus key and the guard. Without one they are files here."""

    socket: Annotated[
        str,
        says(
            "The Unix socket at which the signer listens; empty: there is none.",
            "Set both as `som signer init` shows them, with the node stopped.",
            max_length=PATH_CHARS_MAX,
        ),
    ] = ""
    public_key: Annotated[str, says("The public half of the signer's key, in hex.", pattern=_HEX_OR_NOTHING)] = ""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen for validators."""

    host: Annotated[
        str,
        says(
            "The address on this machine at which validators reach us.",
            '"0.0.0.0" or one address, where others are on other machines.',
            variable="SOM_LISTEN_HOST",
            min_length=1,  # an empty one is every address of the machine
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        says(
            "Its TCP port; 0: any that is free. Only validators need to reach it.", variable="SOM_LISTEN_PORT", **_PORT
        ),
    ] = 26600


class Rpc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where we serve clients, and whom (docs/rpc.md)."""

    host: Annotated[
        str,
        says(
            "The address on this machine at which clients reach us.",
            "Hardly ever: a proxy with TLS on the same machine reaches loopback.",
            variable="SOM_RPC_HOST",
            min_length=1,
        ),
    ] = "127.0.0.1"
    port: Annotated[int, says("Its TCP port; 0: any that is free.", variable="SOM_RPC_PORT", **_PORT)] = 26657
    allowed_hosts: Annotated[
        tuple[str, ...],
        says(
            "Names that are accepted in the Host header beside those of loopback.",
            "Add the name under which a proxy or other machines ask.",
        ),
    ] = ()
    access: Annotated[
        Literal["auto", "open", "tokens"],
        says(
            "Who may ask about accounts and orders. open: everybody who reaches the RPC, and the log says so. "
            "tokens: the owner, its bank, or who names an order (docs/rpc.md, section 10). "
            "auto: open on a devnet, tokens elsewhere.",
            "open only where everybody who can reach the RPC may know everything.",
        ),
    ] = "auto"
    tokens_file: Annotated[
        str, _path("Hashes of tokens, mode 0600. `som token` writes it, and a change counts at once.")
    ] = "tokens.json"
    admin_socket: Annotated[str, _path("The Unix socket, mode 0600, by which `som admin` speaks with the node.")] = (
        "admin.sock"
    )


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another validator, or an observer of ours: one entry each. The roster of the chain names validators as well."""

    name: Annotated[str, says("The name of its seat in the roster.", min_length=1, max_length=NAME_CHARS_MAX)]
    host: Annotated[str, says("Where it listens.")]
    port: Annotated[int, says("Its TCP port.", **_PORT)]
    node_key: Annotated[
        str,
        says(
            "Its node key in hex, which may then link whatever roster we know.",
            "For an observer, which no roster names, and for a node that was away while all keys changed.",
            pattern=_HEX_OR_NOTHING,
        ),
    ] = ""


class Mempool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of what waits for a block here. Beyond them a client is told `overloaded`, and when to come again.

    So it is, whatever the bounds, while more than 192 KiB wait and the oldest of it has waited for 3 seconds.
    """

    transactions_max: Annotated[
        int,
        says(
            "Transactions that may wait here.",
            "Raise it if clients send in bursts that the network works off within their patience.",
            unit="transactions",
            ge=100,
            le=1_000_000,
        ),
    ] = 50_000
    bytes_max: Annotated[
        int,
        says("And their bytes, in memory.", "With transactions_max.", unit="bytes", ge=1_000_000, le=4_000_000_000),
    ] = 64_000_000


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state in memory. It changes no result, only how fast there is one."""

    accounts_in_memory: Annotated[
        int,
        says(
            "Accounts that stay decoded, 0.8 kB each; others are read from the store when they pay or are paid.",
            "Raise it with the memory of the machine if more accounts than that are busy (docs/performance.md).",
            unit="accounts",
            ge=1_000,
            le=50_000_000,
        ),
    ] = ACCOUNTS_IN_MEMORY


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Free space below which less is done, so that the node can still end cleanly."""

    refuse_percent: Annotated[
        int,
        says(
            "Free disk below which new transactions are turned away; the node votes on.",
            "On a disk that others fill as well.",
            unit="percent",
            ge=0,
            le=50,
        ),
    ] = 10
    stop_percent: Annotated[
        int, says("Free disk below which the node ends; not above refuse_percent.", unit="percent", ge=0, le=50)
    ] = 5
    stop_bytes: Annotated[
        int, says("The same, in bytes: whichever comes first.", "Lower it on a small disk.", unit="bytes", ge=0)
    ] = 2 << 30


class Prune(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the chain is kept. Two nodes of a network keep everything (docs/operations.md, section 6)."""

    keep_blocks: Annotated[
        int,
        says(
            "Blocks that are kept, with their receipts, entries and references; 0 says nothing.",
            "To bound the disk of a node that need not answer about the past.",
            unit="blocks",
            ge=0,
        ),
    ] = 0
    keep_days: Annotated[
        int,
        says(
            "Days that are kept. Of both what is more, and at least 4,096 blocks and 7 days; both 0 keep everything.",
            "Likewise.",
            unit="days",
            ge=0,
            le=36_600,
        ),
    ] = 0


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Snapshots of the state, from which other nodes begin instead of by all blocks."""

    every: Annotated[
        int,
        says(
            "A snapshot is made at each height that is a multiple of it; 0: none is made.",
            "0 on a node whose disk is slow or small, while others make them.",
            unit="heights",
            ge=0,
        ),
    ] = 16_384
    keep: Annotated[
        int,
        says("The newest that are kept. Each takes as much disk as the state.", unit="snapshots", ge=1, le=8),
    ] = 2
    fetch_behind: Annotated[
        int,
        says(
            "A node with fewer blocks than this that is so far behind fetches a snapshot, not all blocks; 0: never.",
            "0 before the first start of a node that is to keep everything.",
            unit="heights",
            ge=0,
        ),
    ] = 2_000


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions of the protocol in which this node takes part (docs/operations.md, section 7)."""

    supported_max: Annotated[
        int,
        says(
            "The newest version in which this node takes part: it stands still before an epoch of a later one. "
            "0: the newest that the software knows.",
            "To hold a node back in a staged roll-out, and for tests.",
            ge=0,
            le=65_535,
        ),
    ] = 0


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log, on standard error."""

    level: Annotated[
        Level,
        says(
            "The least level that is written.",
            "debug while something is looked for; `som admin log-level` does it without a restart.",
            variable="SOM_LOG_LEVEL",
        ),
    ] = "info"
    format: Annotated[
        Literal["text", "json"],
        says("text for people, or json: one object a line.", "json if a program reads it."),
    ] = "text"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths start at the home directory."""

    name: Annotated[
        str,
        says("This validator's name in the genesis; any for an observer.", min_length=1, max_length=NAME_CHARS_MAX),
    ]
    observer: Annotated[
        bool,
        says(
            "true: there is no consensus key here; it follows, verifies, serves clients and votes on nothing.",
            "Never: `som init --observer` makes such a home, and a validator is made with keys of its own.",
        ),
    ] = False
    genesis: Annotated[str, _path("The genesis file: what all nodes of the network agree on.")] = "genesis.json"
    data: Annotated[str, _path("The directory of store, journal and snapshots.", "To put it on a disk of its own.")] = (
        "data"
    )
    signature_workers: Annotated[
        int,
        says(
            "Processes that check signatures of transactions; 0: in the main one, best where nodes outnumber cores.",
            "One less than the cores of a machine that runs one validator.",
            unit="processes",
            ge=0,
            le=64,
        ),
    ] = 0
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

    @property
    def own_key(self) -> bool:
        """Whether the consensus key and its guard are files of this home."""
        return not self.observer and not self.signer.socket


def parse_config(text: str) -> Config:
    """Return the configuration that the TOML ``text`` describes; raise ConfigError that names the setting."""
    try:
        raw = msgspec.toml.decode(text.encode())
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    _require_known(raw, Config, "")
    try:
        return _consistent(msgspec.convert(raw, Config))
    except msgspec.ValidationError as error:
        raise ConfigError(_located(str(error), raw)) from None


def apply_environment(config: Config, environment: dict[str, str] | None = None) -> Config:
    """Return ``config`` with the few settings that a container gives through its environment."""
    given = dict(os.environ) if environment is None else environment
    for variable, section, name in variables():
        if variable in given:
            config = _replaced(config, section, name, given[variable], variable)
    return _consistent(config)


def variables() -> Iterator[tuple[str, str, str]]:
    """Yield the variables of the environment, each with the section and the name of what it sets."""
    for section in msgspec.structs.fields(Config):
        if isinstance(section.default, msgspec.Struct):
            for field in msgspec.structs.fields(section.default):
                variable = _extra(field.type).get("variable")
                if variable:
                    yield variable, section.name, field.name


def _extra(kind: Any) -> dict[str, Any]:
    return next((each.extra or {} for each in getattr(kind, "__metadata__", ()) if isinstance(each, msgspec.Meta)), {})


def _replaced(config: Config, section: str, name: str, text: str, variable: str) -> Config:
    part = getattr(config, section)
    kinds = {field.name: field.type for field in msgspec.structs.fields(part)}
    try:
        value = msgspec.convert(text, kinds[name], strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"environment: {variable}: {error}") from None
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(part, **{name: value})})


def _require_known(raw: dict[str, Any], struct: type[msgspec.Struct], prefix: str) -> None:
    """Raise ConfigError that names a setting which does not exist, and the one that may be meant."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name, value in raw.items():
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            meant = f"; is {prefix}{near[0]} meant?" if near else f"; there are {', '.join(fields)}"
            raise ConfigError(f"there is no setting {prefix}{name}{meant}")
        default = fields[name].default
        if isinstance(default, msgspec.Struct) and isinstance(value, dict):
            _require_known(value, type(default), f"{name}.")
        elif fields[name].type == tuple[Peer, ...] and isinstance(value, list):
            for number, peer in enumerate(value):
                if isinstance(peer, dict):
                    _require_known(peer, Peer, f"{name}[{number}].")


def _located(message: str, raw: Any) -> str:
    """Return what is wrong, behind the name of the setting and before the value that stands there."""
    what, at, path = message.partition(" - at `$.")
    if not at:
        return message
    name, value = path.rstrip("`"), raw
    for part in name.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, dict) else None
    return f"{name}: {what}" + (f" (found {value!r})" if _plain(value) else "")


def _plain(value: Any) -> bool:
    """Return whether a value may be shown: what is long may be a key that stands in the wrong place."""
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= SHOWN_CHARS_MAX)


def _consistent(config: Config) -> Config:
    """Return the configuration if its settings fit each other."""
    names = [peer.name for peer in config.peers]
    if len(set(names)) != len(names):
        raise ConfigError("a peer is named twice")
    keys = [peer.node_key for peer in config.peers if peer.node_key]
    if len(set(keys)) != len(keys):
        raise ConfigError("a peer's key stands twice")
    if config.listen.port and (config.listen.host, config.listen.port) == (config.rpc.host, config.rpc.port):
        raise ConfigError("[listen] and [rpc] have the same port")
    if bool(config.signer.socket) != bool(config.signer.public_key):
        raise ConfigError("[signer] needs both socket and public_key, or neither")
    if config.observer and config.signer.socket:
        raise ConfigError("an observer has no signer")
    if config.disk.stop_percent > config.disk.refuse_percent:
        raise ConfigError("disk.stop_percent is above disk.refuse_percent: it would end before it turns clients away")
    if len(config.peers) > PEERS_MAX:
        raise ConfigError(f"more than {PEERS_MAX} peers")
    return config
