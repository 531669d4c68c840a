"""emergency report, plan, show, sign, merge, apply: the way on after more validators are lost than may be.

One rule: what cannot be taken back is asked for by name and confirmed by typing the first digits of what it binds; what
may lose a payment says so, and is done only where that is demanded (docs/emergency.md).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from consensus.crypto import PUBLIC_KEY_BYTES, SecretKey
from consensus.encoding import DecodeError
from node.ceremony import (
    Chain,
    Plan,
    apply,
    open_chain,
    open_consensus_key,
    plan,
    report,
    report_of_observer,
    sign_as_bank,
    sign_as_validator,
)
from node.cli.nodes import HomeCommand
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.cli.signing import account_of, confirm, open_key, passphrase_of, read_passphrase
from node.cli.validators import CENTRAL_BANK
from node.config import ConfigError
from node.decree import (
    DECREE_BYTES_MAX,
    REASON_CHARACTERS_MAX,
    DecreeConflict,
    DecreeInvalid,
    DecreeUnknown,
    SignedDecree,
    decode_decree,
    merged,
)
from node.emergency import REPORT_BYTES_MAX, ReportInvalid, decode_report
from node.home import read_genesis
from node.ledger.account import format_account
from node.ledger.genesis import NAME_CHARS_MAX, VALIDATOR_WEIGHT_MAX
from node.ledger.validators import Keys, Seat, as_address, as_name
from node.signing.home import read_signer_config
from node.signing.signer import OwnSigner
from node.storage.files import DISK, write_file
from node.storage.keystore import read_key

SEAT_BYTES_MAX: Final = 4_096
_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_DECREE = click.argument("decree_file", metavar="DECREE", type=_FILE)
_OUT = click.option("--out", type=_FILE, required=True, help="Write it to this file.")
_SIGNER = click.option("--signer-home", type=_DIRECTORY, help="Where key and guard are, if a signer process has them.")
_PASSPHRASE = click.option(
    "--passphrase-file", type=_FILE, help="Read the key's passphrase, or the device's PIN, here instead of asking."
)
_MAY_LOSE = click.option(
    "--may-lose", is_flag=True, help="Go on although acknowledged payments may be lost: nobody is left who could know."
)


@click.group(cls=SomGroup)
def emergency() -> None:
    """After more validators are lost for good than may be: a decree of the central bank and of those who are left."""


@emergency.command("report", cls=HomeCommand)
@_OUT
@_SIGNER
@_PASSPHRASE
@click.pass_obj
def write_report(
    session: Session, home: Path, out: Path, signer_home: Path | None, passphrase_file: Path | None
) -> None:
    """Say, signed, what this validator has, after closing its guard: it never again votes as before. No way back.

    The node and its signer must not run. Done again, it says the same. An observer, which has no guard, reports too: it
    may have what the lost had.
    """
    with _explained(session), ExitStack() as resources:
        chain = open_chain(home, resources)
        if chain.config.observer:
            made = report_of_observer(chain, _node_key(session, chain, passphrase_file), resources, _now_ms())
        else:
            signer = _key(session, chain, signer_home, passphrase_file, resources)
            confirm(session, "close_guard", signer.public)
            made = report(chain, signer, resources, _now_ms())
    write_file(out, made.encoded)
    say = session.say
    rows = [
        (say("file"), out),
        (say("key"), made.public.hex()),
        (say("height"), made.tip_height),
        (say("term"), made.term),
        (say("report_whole"), say("yes" if made.whole else "no")),
    ]
    value = {"consensus_key": made.public.hex(), "height": made.tip_height, "term": made.term, "whole": made.whole}
    session.data(value, lambda: session.pairs(rows))


@emergency.command("plan", cls=HomeCommand)
@click.argument("reports", metavar="REPORT...", type=_FILE, nargs=-1, required=True)
@CENTRAL_BANK
@click.option("--admit", type=_FILE, multiple=True, help="A new validator, as `som init --json` shows it.")
@click.option("--without", multiple=True, metavar="NAME", help="One who reports, and is not to validate any more.")
@click.option("--reason", required=True, help="Why, for everybody to read.")
@_MAY_LOSE
@_OUT
@click.pass_obj
def make_plan(session: Session, /, home: Path, reports: Sequence[Path], bank: str, out: Path, **given: Any) -> None:
    """Choose from all reports the block that the chain goes on from, and write the decree for everybody to sign.

    HOME is a validator that is left, or an observer; its node must not run. Who reports and has a seat keeps it.
    """
    if len(given["reason"]) > REASON_CHARACTERS_MAX:
        raise click.BadParameter(given["reason"][:32], param_hint="--reason")
    admitted = [_seat(path) for path in given["admit"]]
    account = account_of(session, bank)
    with _explained(session), ExitStack() as resources:
        found = [decode_report(_bytes(path, REPORT_BYTES_MAX)) for path in reports]
        chain = open_chain(home, resources)
        left = {each.public for each in found}
        kept = [
            seat._replace(next=None)
            for seat in chain.roster()
            if seat.current is not None and seat.current.consensus_key in left and seat.name not in given["without"]
        ]
        seats = (*(seat for seat in kept if seat.name not in {each.name for each in admitted}), *admitted)
        made = plan(chain, found, account, seats, given["reason"], _now_ms())
        standing = _standing(chain, made.signed)
    for words in _warnings(session, made):
        session.words(words)
    if not made.certain and not given["may_lose"]:
        session.end(Exit.ERROR, session.say("plan_uncertain"))
    write_file(out, made.signed.encoded)
    _show(session, made.signed, standing)


@emergency.command("show", cls=SomCommand)
@_DECREE
@click.option("--home", type=_DIRECTORY, help="A home whose chain says how far it is signed; its node must not run.")
@click.pass_obj
def show(session: Session, decree_file: Path, home: Path | None) -> None:
    """Show a decree: the block, the validators, the reason, who has signed."""
    with _explained(session), ExitStack() as resources:
        signed = _decree(decree_file)
        standing = None if home is None else _standing(open_chain(home, resources), signed)
    _show(session, signed, standing)


@emergency.command("sign", cls=SomCommand)
@_DECREE
@click.option("--key", "keys", type=_FILE, multiple=True, help="A key file of the central bank.")
@click.option("--genesis", "genesis_file", type=_FILE, help="With --key: the network's genesis.")
@click.option("--home", type=_DIRECTORY, help="Or: the home of a validator that has reported; its node must not run.")
@_SIGNER
@_MAY_LOSE
@_PASSPHRASE
@_OUT
@click.pass_obj
def sign(session: Session, /, decree_file: Path, out: Path, **given: Any) -> None:
    """Sign a decree: as the central bank with its keys, or as a validator that is left, with its home.

    A validator looks first whether the decree leaves out anything that it has, and signs one decree of a term only.
    """
    home, keys = given["home"], given["keys"]
    if (home is None) == (not keys) or (keys and given["genesis_file"] is None):
        raise click.UsageError("--key FILE --genesis FILE | --home HOME")
    with _explained(session), ExitStack() as resources:
        signed = _decree(decree_file)
        if keys:
            genesis = read_genesis(given["genesis_file"])
            if genesis.hash != signed.decree.genesis_hash:
                raise DecreeInvalid("a decree of another network")
            _show(session, signed, None)
            confirm(session, "sign_decree", signed.decree.digest)
            devnet = genesis.kind == "devnet"
            opened = [open_key(session, path, "operator", given["passphrase_file"], devnet) for path in keys]
            signed = sign_as_bank(signed, opened)
        else:
            chain = open_chain(home, resources)
            _show(session, signed, _standing(chain, signed))
            confirm(session, "sign_decree", signed.decree.digest)
            signer = _key(session, chain, given["signer_home"], given["passphrase_file"], resources)
            signed = sign_as_validator(chain, signer, signed, given["may_lose"], resources)
    write_file(out, signed.encoded)


@emergency.command("merge", cls=SomCommand)
@click.argument("files", metavar="DECREE...", type=_FILE, nargs=-1, required=True)
@_OUT
@click.pass_obj
def merge(session: Session, files: Sequence[Path], out: Path) -> None:
    """Put the signatures of several copies of one decree into one file."""
    with _explained(session):
        first, *others = [_decree(path) for path in files]
        for other in others:
            first = merged(first, other)
    write_file(out, first.encoded)
    _show(session, first, None)


@emergency.command("apply", cls=HomeCommand)
@_DECREE
@click.option("--digest", metavar="HEX", help="The decree as the central bank has made it known: for a new home.")
@_SIGNER
@_PASSPHRASE
@click.pass_obj
def apply_decree(session: Session, /, home: Path, decree_file: Path, digest: str | None, **given: Any) -> None:
    """Have this home follow a decree from its next start on. The node must not run.

    A home that has the chain checks all signatures. One that has not, and one of a decree that too few validators could
    sign, needs --digest: what the central bank has published.
    """
    accepted = None if digest is None else _hex(digest, "--digest")
    with _explained(session), ExitStack() as resources:
        signed = _decree(decree_file)
        chain = open_chain(home, resources)
        signer = None
        if not chain.config.observer:
            signer = _key(session, chain, given["signer_home"], given["passphrase_file"], resources)
        fresh = apply(chain, signer, signed, accepted)
    decree = signed.decree
    value = {"digest": decree.digest.hex(), "term": decree.term, "base_height": decree.base_height, "applied": fresh}
    say = session.say
    rows = [(say("follows_decree"), decree.digest.hex()), (say("term"), decree.term), (say("base"), decree.base_height)]
    session.data(value, lambda: session.pairs(rows))


# --- steps ---


@contextmanager
def _explained(session: Session) -> Iterator[None]:
    try:
        yield
    except (DecodeError, DecreeInvalid, DecreeConflict, ReportInvalid) as error:
        session.end(Exit.ERROR, f"{session.say('error')}: {error}")


def _key(
    session: Session, chain: Chain, signer_home: Path | None, passphrase_file: Path | None, resources: ExitStack
) -> OwnSigner:
    """Open the consensus key of a home or of its signer's, asking for the passphrase or PIN if it needs one."""
    if signer_home is not None:
        config = read_signer_config(signer_home)
        if config.hsm is not None:
            secret: bytes | None = read_passphrase(session, passphrase_file, again=False)
        else:
            secret = passphrase_of(session, signer_home / config.key, passphrase_file)
    elif chain.config.signer.socket:
        secret = None  # refused: its key is elsewhere
    else:
        secret = passphrase_of(session, chain.home / chain.config.keys.consensus, passphrase_file)
    return open_consensus_key(chain, signer_home, secret, resources)


def _node_key(session: Session, chain: Chain, passphrase_file: Path | None) -> SecretKey:
    path, genesis = chain.home / chain.config.keys.node, chain.genesis
    secret = passphrase_of(session, path, passphrase_file)
    return read_key(path, "node", secret, devnet=genesis.kind == "devnet", chain=genesis.hash.hex()[:16])


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a decree is signed, as words and as data."""

    bank: tuple[int, int]
    validators: tuple[tuple[int, int], ...]


def _standing(chain: Chain, signed: SignedDecree) -> _Standing | None:
    """Return how far a decree is signed; None where the chain does not know the committee yet."""
    try:
        found = chain.standing(signed)
    except DecreeUnknown:
        return None
    return _Standing((found.bank, found.bank_threshold), found.validators)


def _show(session: Session, signed: SignedDecree, standing: _Standing | None) -> None:
    decree, say = signed.decree, session.say
    seats = [seat for seat in decree.roster if seat.current is not None]
    value = {
        "digest": decree.digest.hex(),
        "genesis_hash": decree.genesis_hash.hex(),
        "term": decree.term,
        "base_height": decree.base_height,
        "base_hash": decree.base_hash.hex(),
        "account": format_account(decree.authority.account),
        "validators": [
            {"name": seat.name, "weight": seat.weight, "address": seat.address, "consensus_key": _consensus_key(seat)}
            for seat in seats
        ],
        "reason": decree.reason,
        "time_ms": decree.time_ms,
        "signed_by_bank": [key.hex() for key, _ in signed.bank],
        "signed_by_validators": [key.hex() for key, _ in signed.validators],
        "standing": None if standing is None else {"bank": standing.bank, "validators": standing.validators},
    }
    rows: list[tuple[str, object]] = [
        (say("decree"), decree.digest.hex()),
        (say("genesis"), decree.genesis_hash.hex()),
        (say("term"), decree.term),
        (say("base"), f"{decree.base_height}  {decree.base_hash.hex()}"),
        (say("reason"), decree.reason),
        *((say("validator"), f"{seat.name}  {seat.weight}  {seat.address or '-'}") for seat in seats),
        (say("signed_by_bank"), _share(len(signed.bank), None if standing is None else standing.bank)),
    ]
    shares = (None,) if standing is None else standing.validators
    rows += [(say("signed_by_validators"), _share(len(signed.validators), share)) for share in shares]
    session.data(value, lambda: session.pairs(rows))


def _share(count: int, share: tuple[int, int] | None) -> str:
    return str(count) if share is None else f"{count}  ({share[0]} / {share[1]})"


def _warnings(session: Session, made: Plan) -> Iterator[str]:
    """Yield what is not certain, in words."""
    say = session.say
    for share in made.shares:
        needed = share.committee.faulty_max + 1
        yield f"{say('reported_weight')} {share.closed} / {needed}; {say('whole_weight')} {share.whole} / {needed}"
        if not share.blocked:
            yield say("not_blocked")
        if not share.certain:
            yield say("not_certain")
    for lost in made.base.lost:
        yield f"{say('lost_block')} {say('epoch')} {lost.epoch}, {say('view')} {lost.view}, {lost.hash.hex()}"


class _SeatFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new validator, as `som init --json` shows it; the address may be added."""

    name: str
    consensus_key: str
    node_key: str
    weight: int = 1
    address: str = ""


def _seat(path: Path) -> Seat:
    try:
        found = msgspec.json.decode(_bytes(path, SEAT_BYTES_MAX), type=_SeatFile)
        if not 1 <= found.weight <= VALIDATOR_WEIGHT_MAX or len(found.name) > NAME_CHARS_MAX:
            raise ValueError("name or weight")
        keys = Keys(_hex(found.consensus_key, "consensus_key"), _hex(found.node_key, "node_key"))
        return Seat(as_name(found.name), found.weight, as_address(found.address), keys, None)
    except (ValueError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _consensus_key(seat: Seat) -> str:
    return "" if seat.current is None else seat.current.consensus_key.hex()


def _hex(text: str, option: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != PUBLIC_KEY_BYTES or text != found.hex():
        raise click.BadParameter(text[:80], param_hint=option)
    return found


def _decree(path: Path) -> SignedDecree:
    return decode_decree(_bytes(path, DECREE_BYTES_MAX))


def _bytes(path: Path, most: int) -> bytes:
    try:
        return DISK.read(path, most, private=False)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
