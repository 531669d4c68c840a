"""Make the devnet: genesis, and a home directory for each validator.

One rule: everything secret here is public. Keys are derived from names, so that examples can be pasted and runs
compared; the node refuses such keys on any network whose genesis does not say devnet.

    python -m devnet.generate --output DIR --hosts nbkr,bank-1,bank-2,bank-3 --p2p-port 26600 --rpc-port 26657
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.crypto import SecretKey
from consensus.encoding import digest
from node.config import Config, Disk, Listen, Peer, Protocol, Rpc
from node.home import create_home
from node.ledger.account import SOM, AssetId, Kind, Profile, account_number, format_account, kinds_mask
from node.ledger.assets import RATIO_UNIT, Asset, AssetStatus, Attested, Backing, OnLedger
from node.ledger.genesis import Genesis, GenesisAccount, Validator, format_genesis
from node.ledger.parameters import DAY_MS, DEFAULT, Attesters
from node.storage.files import write_file

NETWORK_NUMBER: Final = 417_001  # ISO 4217 numeric code of the som, and a number
VALIDATORS: Final = ("nbkr", "bank-1", "bank-2", "bank-3")
DISK: Final = Disk(refuse_percent=0, stop_percent=0, stop_bytes=256 * 2**20)  # a developer's disk may be rather full
MAX_SUPPLY: Final = 1_000_000_000_000_00  # tyiyn
GOLD_MAX_AGE_MS: Final = 92 * DAY_MS  # the gold is counted once a quarter
EPOCH_LENGTH: Final = 128  # blocks: half a minute of a busy network, so that a change of validators can be watched
RECOVERY_DELAY_MS: Final = 5_000  # likewise: an owner of money gets a day to stop a false recovery
TREE_DEPTH: Final = 4  # 65,536 buckets: good for a million accounts, and quick to make
WALLETS_FROM: Final = 900_001  # serials of the demo people, out of the way of wallets that are opened, and of a bench's
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
    """A demo account: who it is for, and the names of the keys that may act for it."""

    name: str
    number: int
    kind: Kind
    bank: int = 0
    signers: tuple[str, ...] = ()  # of its own name if there are none
    threshold: int = 1
    category: int = 0
    tier: int = 0

    @property
    def key_names(self) -> tuple[str, ...]:
        return self.signers or (self.name,)


def seed_of(name: str) -> bytes:
    """Return the public seed of a devnet key."""
    return digest(b"som-devnet-key-1", name.encode())


def key_of(name: str) -> SecretKey:
    """Return a devnet key."""
    return SecretKey(seed_of(name))


def bank_account(index: int) -> int:
    """Return the own account of bank 1, 2, ...: serial 0, its customers' wallets have others."""
    return account_number(100 + index, 0)


ISSUER: Final = account_number(1, 1)
CENTRAL_BANK: Final = account_number(1, 2)
TREASURY: Final = account_number(2, 1)
REGISTRAR: Final = account_number(3, 1)
ENFORCER: Final = account_number(4, 1)
GOLD_AUDITOR: Final = account_number(5, 1)
INSPECTOR: Final = account_number(5, 2)
UNIVERSITY: Final = account_number(6, 1)
DISTRIBUTOR: Final = account_number(7, 1)
KGST_ISSUER: Final = account_number(8, 1)
KGST_RESERVE: Final = account_number(8, 2)
USDKG_ISSUER: Final = account_number(9, 1)

KGST: Final = AssetId(2)
USDKG: Final = AssetId(3)


def _board(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-board-{number}" for number in (1, 2, 3))


def demo_accounts() -> tuple[Demo, ...]:
    """Return the accounts of the devnet's genesis."""
    banks = [
        Demo(f"bank-{index}", bank_account(index), Kind.BANK, signers=(f"bank-{index}-treasurer",))
        for index in (1, 2, 3)
    ]
    return (
        Demo("som-issuer", ISSUER, Kind.ISSUER, 0, _board("nbkr"), 2),
        Demo("nbkr", CENTRAL_BANK, Kind.CENTRAL_BANK, 0, _board("nbkr"), 2),
        Demo("treasury", TREASURY, Kind.TREASURY),
        Demo("registrar", REGISTRAR, Kind.REGISTRAR),
        Demo("enforcer", ENFORCER, Kind.ENFORCER),
        Demo("gold-auditor", GOLD_AUDITOR, Kind.AUDITOR),
        Demo("inspector", INSPECTOR, Kind.AUDITOR),
        Demo("university", UNIVERSITY, Kind.AUDITOR),
        Demo("distributor", DISTRIBUTOR, Kind.DISTRIBUTOR),
        Demo("kgst-issuer", KGST_ISSUER, Kind.ISSUER, 0, _board("kgst"), 2),
        Demo("kgst-reserve", KGST_RESERVE, Kind.RESERVE, 0, _board("kgst"), 2),
        Demo("usdkg-issuer", USDKG_ISSUER, Kind.ISSUER, 0, _board("usdkg"), 2),
        *banks,
        _customer("aida", 1, 1, tier=1),
        _customer("bakyt", 2, 2, tier=2),
        _customer("jyldyz", 3, 3, tier=3),
        _customer("market", 3, 9, 3, Kind.MERCHANT, 5411),  # ISO 18245: grocery stores
        _customer("pharmacy", 1, 10, 3, Kind.MERCHANT, 5912),  # drug stores
        _customer("aida-device", 1, 11, 1, Kind.DEVICE),
    )


def _customer(name: str, bank: int, serial: int, tier: int, kind: Kind = Kind.PERSON, category: int = 0) -> Demo:
    number = account_number(100 + bank, WALLETS_FROM + serial)
    return Demo(name, number, kind, bank_account(bank), category=category, tier=tier)


def demo_assets() -> tuple[tuple[int, Asset], ...]:
    """Return som, a stablecoin that som on the ledger backs one to one, and one that attested gold backs."""
    institutions = (Kind.BANK, Kind.TREASURY)
    holders = (*institutions, Kind.DISTRIBUTOR, Kind.MERCHANT, Kind.PERSON)
    return (
        (SOM, _asset("SOM", 2, ISSUER, None, institutions)),
        (KGST, _asset("KGST", 2, KGST_ISSUER, OnLedger(KGST_RESERVE, SOM), holders)),
        (USDKG, _asset("USDKG", 6, USDKG_ISSUER, Attested("gold", RATIO_UNIT, GOLD_MAX_AGE_MS), holders)),
    )


def _asset(code: str, scale: int, issuer: int, backing: Backing, holders: Sequence[Kind]) -> Asset:
    kinds = kinds_mask(holders)
    return Asset(code, scale, issuer, AssetStatus.REGISTERED, MAX_SUPPLY, backing, kinds, kinds, b"")


def demo_attesters() -> tuple[Attesters, ...]:
    """Return whose word counts for what, by schema."""
    return (
        Attesters("certificate", (UNIVERSITY,)),
        Attesters("crypto-reserve", (CENTRAL_BANK,)),
        Attesters("delivered", (INSPECTOR,)),
        Attesters("gold", (GOLD_AUDITOR,)),
        Attesters("som-reserve", (CENTRAL_BANK,)),
    )


def make_genesis(time_ms: int, names: Sequence[str] = VALIDATORS, name: str = "som-devnet") -> Genesis:
    """Return the devnet's genesis."""
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
        parameters=DEFAULT._replace(attesters=demo_attesters(), recovery_delay_ms=RECOVERY_DELAY_MS),
        assets=demo_assets(),
        accounts=tuple(_genesis_account(demo) for demo in demo_accounts()),
    )


def _genesis_account(demo: Demo) -> GenesisAccount:
    keys = tuple(sorted((bytes(key_of(name).public), 1) for name in demo.key_names))
    commitment = digest(b"som-devnet-commitment-1", demo.name.encode())
    profile = Profile(demo.kind, demo.tier, 0, demo.bank, demo.category, keys, demo.threshold, commitment)
    return GenesisAccount(demo.name, demo.number, profile)


def write_network(
    output: Path,
    places: Sequence[Place],
    genesis: Genesis,
    signature_workers: int = 0,
    supported_max: int = 0,
    via: Mapping[tuple[str, str], int] | None = None,
    observers: Sequence[Place] = (),
) -> None:
    """Write a home for each place, the genesis, and accounts.json.

    ``observers`` follow and serve clients, without a key to vote; validators let them link by their node keys.
    ``via`` (who dials, whom) -> the port of a proxy that it dials instead.
    """
    ports = via or {}
    everybody = (*places, *observers)
    for place in everybody:
        peers = tuple(
            Peer(
                other.name,
                other.host,
                ports.get((place.name, other.name), other.p2p_port),
                key_of(f"{other.name}-node").public.hex() if other in observers else "",
            )
            for other in (everybody if place in places else places)
            if other != place
        )
        config = Config(
            name=place.name,
            observer=place in observers,
            signature_workers=signature_workers,
            listen=Listen(place.listen_host, place.p2p_port),
            rpc=Rpc(place.listen_host, place.rpc_port, tuple(sorted({each.host for each in everybody}))),
            disk=DISK,
            protocol=Protocol(supported_max),
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
                "keys": [{"public": key_of(name).public.hex(), "seed": seed_of(name).hex()} for name in demo.key_names],
            }
            for demo in demo_accounts()
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a network whose validators run on hosts of their own, all with the same ports."""
    parser = argparse.ArgumentParser(prog="python -m devnet.generate", description="Make a devnet's home directories.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hosts", default=",".join(VALIDATORS), help="names of the validators, and of their hosts")
    parser.add_argument("--observers", default="", help="names of nodes that only follow and serve, and of their hosts")
    parser.add_argument("--p2p-port", type=int, default=26600)
    parser.add_argument("--rpc-port", type=int, default=26657)
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on")
    given = parser.parse_args(arguments)
    names = given.hosts.split(",")
    watching = given.observers.split(",") if given.observers else []
    places, observers = (
        [Place(name, name, given.listen, given.p2p_port, given.rpc_port) for name in each] for each in (names, watching)
    )
    write_network(given.output, places, make_genesis(time.time_ns() // 1_000_000, names), observers=observers)


if __name__ == "__main__":
    main()
