"""Make the devnet: genesis, and a home directory for each validator.

One rule: everything secret here is public. Keys are derived from names, so that examples can be pasted and runs
compared; the node refuses such keys on any network whose genesis does not say devnet.

    python -m devnet.generate --output DIR --hosts nbkr,bank-1,bank-2,bank-3 --p2p-port 26600 --rpc-port 26657
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.crypto import SecretKey
from consensus.encoding import digest
from node.config import Config, Disk, Listen, Peer, Rpc
from node.home import create_home
from node.ledger.account import SOM, Kind, Profile, account_number, format_account, kinds_mask
from node.ledger.assets import Asset, AssetStatus
from node.ledger.genesis import Genesis, GenesisAccount, Validator, format_genesis
from node.ledger.parameters import DEFAULT
from node.storage.files import write_file

NETWORK_NUMBER: Final = 417_001  # ISO 4217 numeric code of the som, and a number
VALIDATORS: Final = ("nbkr", "bank-1", "bank-2", "bank-3")
DISK: Final = Disk(refuse_percent=0, stop_percent=0, stop_bytes=256 * 2**20)  # a developer's disk may be rather full
MAX_SUPPLY: Final = 1_000_000_000_000_00  # tyiyn
EPOCH_LENGTH: Final = 128  # blocks: half a minute of a busy network, so that a change of validators can be watched
TREE_DEPTH: Final = 4  # 65,536 buckets: good for a million accounts, and quick to make
WALLETS_FROM: Final = 900_001  # serials of the demo people, out of the way of opened wallets
WARNING: Final = "These keys are public. The node refuses them on any network that is not a devnet."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a validator runs and is found."""

    name: str
    host: str  # as the others reach it
    listen_host: str
    p2p_port: int
    rpc_port: int


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo account: who it is for, and the keys that may act for it."""

    name: str
    number: int
    kind: Kind
    bank: int
    keys: tuple[SecretKey, ...]
    threshold: int
    category: int = 0
    tier: int = 0


def seed_of(name: str) -> bytes:
    """Return the public seed of a devnet key."""
    return digest(b"som-devnet-key-1", name.encode())


def key_of(name: str) -> SecretKey:
    """Return a devnet key."""
    return SecretKey(seed_of(name))


def bank_account(index: int) -> int:
    """Return the own account of bank 1, 2, ...; its customers' wallets have the serials from 1 on."""
    return account_number(100 + index, 0)


ISSUER: Final = account_number(1, 1)
CENTRAL_BANK: Final = account_number(1, 2)
TREASURY: Final = account_number(2, 1)


def demo_accounts() -> tuple[Demo, ...]:
    """Return the accounts of the devnet's genesis."""
    board = tuple(key_of(f"nbkr-board-{number}") for number in (1, 2, 3))
    banks = [
        Demo(f"bank-{index}", bank_account(index), Kind.BANK, 0, (key_of(f"bank-{index}-treasurer"),), 1)
        for index in (1, 2, 3)
    ]
    people = [
        _person("aida", 1, 1),
        _person("bakyt", 2, 2),
        _person("jyldyz", 3, 3),
    ]
    market = Demo(
        "market", account_number(103, WALLETS_FROM + 9), Kind.MERCHANT, bank_account(3), (key_of("market"),), 1, 5411, 3
    )
    return (
        Demo("som-issuer", ISSUER, Kind.ISSUER, 0, board, 2),
        Demo("nbkr", CENTRAL_BANK, Kind.CENTRAL_BANK, 0, board, 2),
        Demo("treasury", TREASURY, Kind.TREASURY, 0, (key_of("treasury"),), 1),
        *banks,
        *people,
        market,
    )


def _person(name: str, bank: int, tier: int) -> Demo:
    number = account_number(100 + bank, WALLETS_FROM + bank)
    return Demo(name, number, Kind.PERSON, bank_account(bank), (key_of(name),), 1, 0, tier)


def make_genesis(time_ms: int, names: Sequence[str] = VALIDATORS, name: str = "som-devnet") -> Genesis:
    """Return the devnet's genesis."""
    institutions = kinds_mask((Kind.BANK, Kind.TREASURY))
    som = Asset("SOM", 2, ISSUER, AssetStatus.REGISTERED, MAX_SUPPLY, None, institutions, institutions, b"")
    return Genesis(
        network=NETWORK_NUMBER,
        name=name,
        kind="devnet",
        time_ms=time_ms,
        tree_depth=TREE_DEPTH,
        epoch_length=EPOCH_LENGTH,
        validators=tuple(
            Validator(each, key_of(f"{each}-consensus").public, key_of(f"{each}-node").public, 1) for each in names
        ),
        parameters=DEFAULT,
        assets=((SOM, som),),
        accounts=tuple(_genesis_account(demo) for demo in demo_accounts()),
    )


def _genesis_account(demo: Demo) -> GenesisAccount:
    keys = tuple(sorted((bytes(key.public), 1) for key in demo.keys))
    commitment = digest(b"som-devnet-commitment-1", demo.name.encode())
    profile = Profile(demo.kind, demo.tier, 0, demo.bank, demo.category, keys, demo.threshold, commitment)
    return GenesisAccount(demo.name, demo.number, profile)


def write_network(output: Path, places: Sequence[Place], genesis: Genesis, signature_workers: int = 0) -> None:
    """Write a home for each place, the genesis, and accounts.json."""
    for place in places:
        peers = tuple(Peer(other.name, other.host, other.p2p_port) for other in places if other != place)
        config = Config(
            name=place.name,
            signature_workers=signature_workers,
            listen=Listen(place.listen_host, place.p2p_port),
            rpc=Rpc(place.listen_host, place.rpc_port, tuple(sorted({each.host for each in places}))),
            disk=DISK,
            peers=peers,
        )
        seeds = seed_of(f"{place.name}-consensus"), seed_of(f"{place.name}-node")
        create_home(output / place.name, config, genesis, *seeds, passphrase=None)
    write_file(output / "genesis.json", format_genesis(genesis).encode())
    write_file(output / "accounts.json", json.dumps(describe(places, genesis), indent=2).encode() + b"\n")


def describe(places: Sequence[Place], genesis: Genesis) -> dict[str, object]:
    """Return what accounts.json says: networks, nodes, accounts with their public seeds."""
    return {
        "warning": WARNING,
        "network": genesis.network,
        "name": genesis.name,
        "genesis_hash": genesis.hash.hex(),
        "validators": [{"name": place.name, "rpc": f"http://{place.host}:{place.rpc_port}"} for place in places],
        "accounts": [
            {
                "name": demo.name,
                "kind": demo.kind.name.lower(),
                "number": format_account(demo.number),
                "threshold": demo.threshold,
                "keys": [{"public": key.public.hex(), "seed": seed.hex()} for key, seed in _keys_and_seeds(demo)],
            }
            for demo in demo_accounts()
        ],
    }


def _keys_and_seeds(demo: Demo) -> list[tuple[SecretKey, bytes]]:
    names = [f"nbkr-board-{number}" for number in (1, 2, 3)] + [demo.name, f"{demo.name}-treasurer"]
    seeds = {key_of(name).public: seed_of(name) for name in names}
    return [(key, seeds[key.public]) for key in demo.keys]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a network whose validators run on hosts of their own, all with the same ports."""
    parser = argparse.ArgumentParser(prog="python -m devnet.generate", description="Make a devnet's home directories.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hosts", default=",".join(VALIDATORS), help="names of the validators, and of their hosts")
    parser.add_argument("--p2p-port", type=int, default=26600)
    parser.add_argument("--rpc-port", type=int, default=26657)
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on")
    given = parser.parse_args(arguments)
    names = given.hosts.split(",")
    places = [Place(name, name, given.listen, given.p2p_port, given.rpc_port) for name in names]
    write_network(given.output, places, make_genesis(time.time_ns() // 1_000_000, names))


if __name__ == "__main__":
    main()
