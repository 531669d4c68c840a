"""evidence: who has been proven to lie, and the proof in a file that anybody can check.

One rule: `verify` asks no node. It needs the genesis, and believes only what signatures show from there on.
"""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from consensus.encoding import DecodeError
from node.cli.session import Session, SomCommand, SomGroup
from node.client.client import Client
from node.client.errors import ProofInvalid
from node.client.trust import Trust
from node.config import ConfigError
from node.evidence import EVIDENCE_BYTES_MAX, Charge, Network, decode_proof, evidence_id, verify_proof
from node.home import read_genesis
from node.ledger.genesis import Genesis
from node.rpc import evidence_types as types
from node.rpc.validator_types import CommitteeChange
from node.storage.files import write_file

FILE_BYTES_MAX: Final = 2 * EVIDENCE_BYTES_MAX + 64 * 2**20  # the proof in hex, and all changes of the committee
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


class EvidenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Evidence for one who knows only the genesis: the proof, and the changes of the committee up to its epoch."""

    genesis_hash: str
    proof: str
    changes: tuple[CommitteeChange, ...]


@click.group(cls=SomGroup)
def evidence() -> None:
    """Proofs that a validator signed what an honest one never signs."""


@evidence.command("list", cls=SomCommand)
@click.pass_obj
def list_evidence(session: Session) -> None:
    """All evidence that a node holds."""
    found = session.ask(_all)
    columns = [session.say(name) for name in ("validator", "epoch", "view", "kind", "id")]
    session.data(
        {"evidence": found},
        lambda: session.rows(
            columns,
            [(row.validator, row.epoch, "-" if row.view is None else row.view, row.kind, row.id) for row in found],
            right=(1, 2),
        ),
    )


@evidence.command(cls=SomCommand)
@click.argument("id")
@click.option("--out", type=_FILE, help="Also write a file for `som evidence verify`; there must be none.")
@click.pass_obj
def show(session: Session, /, id: str, out: Path | None) -> None:
    """One piece of evidence: who, when, what was signed."""

    async def question(client: Client) -> tuple[types.GetEvidenceResult, EvidenceFile]:
        found = msgspec.convert(await _raw(client, "evidence_get", {"id": id}), types.GetEvidenceResult)
        info = await client.info()
        return found, EvidenceFile(info.genesis_hash, found.proof, await _changes(client, found.evidence.epoch))

    found, written = session.ask(question)
    if out is not None:
        if out.exists():
            raise ConfigError(f"{out} exists")
        write_file(out, msgspec.json.format(msgspec.json.encode(written), indent=1) + b"\n")
    row, say = found.evidence, session.say
    rows: list[tuple[str, object]] = [
        (say("id"), row.id),
        (say("kind"), row.kind),
        (say("validator"), row.validator),
        (say("key"), row.consensus_key),
        (say("epoch"), row.epoch),
    ]
    if row.view is not None:
        rows.append((say("view"), f"{row.view}{', ' + say('leader').lower() if row.leads else ''}"))
    rows += [(vote.kind, vote.block_hash or "-") for vote in row.votes]
    if row.batch is not None:
        rows += [("batch", row.batch), (say("transaction"), row.transaction)]
    session.data(found, lambda: session.pairs(rows))
    if out is not None:
        session.words(f"{say('written')}: {out}")


@evidence.command()
@click.argument("file", type=_FILE)
@click.option("--genesis", "genesis_file", type=_FILE, required=True, help="The network's genesis, from your own copy.")
@click.pass_obj
def verify(session: Session, file: Path, genesis_file: Path) -> None:
    """Check a file of evidence, offline: exit code 0 only if it convicts somebody."""
    genesis = read_genesis(genesis_file)
    name, charge = _verified(_read(file), genesis)
    names = {row.consensus_key: row.name for row in genesis.validators}
    key = charge.validator.hex()
    shown = {
        "id": name.hex(),
        "kind": charge.kind.name.lower(),
        "validator": names.get(charge.validator, key),
        "consensus_key": key,
        "epoch": charge.epoch,
    }
    session.data(shown, lambda: session.pairs([(session.say(_WORDS.get(name, name)), shown[name]) for name in shown]))
    session.words(session.say("verified"))


_WORDS: Final = {"consensus_key": "key"}


def _verified(file: EvidenceFile, genesis: Genesis) -> tuple[bytes, Charge]:
    """Return the id of what a file proves, and whom it convicts. Raises ProofInvalid."""
    trust = Trust.of(genesis)
    if file.genesis_hash != genesis.hash.hex():
        raise ProofInvalid("evidence of another network")
    for change in file.changes:
        trust = trust.after(change)
    try:
        encoded = bytes.fromhex(file.proof)
        proof = decode_proof(encoded, genesis.hash)
    except (DecodeError, ValueError) as error:
        raise ProofInvalid(f"no evidence: {error}") from None
    charge = verify_proof(proof, Network(genesis.hash, genesis.epoch_length, trust.committee_of, trust.term_above))
    if charge is None:
        raise ProofInvalid("it convicts nobody")
    return evidence_id(encoded), charge


def _read(path: Path) -> EvidenceFile:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is too large")
    try:
        return msgspec.json.decode(path.read_bytes(), type=EvidenceFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no file of evidence: {error}") from None


async def _all(client: Client) -> list[types.EvidenceView]:
    found: list[types.EvidenceView] = []
    while True:
        params = {"after": found[-1].id} if found else {}
        page = msgspec.convert(await _raw(client, "evidence_list", params), types.ListEvidenceResult)
        found += page.evidence
        if not page.more or not page.evidence:
            return found


async def _changes(client: Client, epoch: int) -> tuple[CommitteeChange, ...]:
    """Return the changes of the committee up to an epoch."""
    found: list[CommitteeChange] = []
    while True:
        page = await client.committees(found[-1].epoch if found else 0)
        found += (change for change in page.changes if change.epoch <= epoch)
        if not page.more or not page.changes or page.changes[-1].epoch > epoch:
            return tuple(found)


async def _raw(client: Client, method: str, params: dict[str, Any]) -> Any:
    return msgspec.json.decode(await client.raw(method, params))
