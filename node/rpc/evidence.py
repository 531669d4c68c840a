"""The methods about evidence: (ports, params) -> result.

One rule: what is told is what the proof says; the node has verified it before it stored it.
"""

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError
from consensus.events import Evidence
from consensus.messages import NO_HASH, Vote
from node.epochs import Epochs
from node.evidence import InvalidBatch, Network, Proof, decode_proof, epoch_of, kind_of
from node.ledger.genesis import Validator as Row
from node.rpc import evidence_types as types
from node.rpc.errors import NOT_FOUND, SYNCING, RpcError
from node.rpc.ports import Ports
from node.rpc.registry import RETRY_AFTER_MS
from node.storage.store import Snapshot


async def list_evidence(ports: Ports, params: types.ListEvidenceParams) -> types.ListEvidenceResult:
    """Proofs of misbehaviour that this node has verified, found by itself or by others."""
    after = bytes.fromhex(params.after) if params.after else b""
    with ports.store.snapshot() as store:
        rows = store.evidence(after, params.limit + 1)
        views = [_view(ports, store, name, encoded) for name, encoded in rows[: params.limit]]
        return types.ListEvidenceResult(
            at_height=store.tip.height,
            evidence=tuple(view for view in views if view is not None),
            more=len(rows) > params.limit,
        )


async def get_evidence(ports: Ports, params: types.GetEvidenceParams) -> types.GetEvidenceResult:
    """One proof of misbehaviour, with its bytes."""
    name = bytes.fromhex(params.id)
    with ports.store.snapshot() as store:
        encoded = store.evidence_at(name)
        view = None if encoded is None else _view(ports, store, name, encoded)
        if encoded is None or view is None:
            raise RpcError(NOT_FOUND, path="id")
        return types.GetEvidenceResult(at_height=store.tip.height, evidence=view, proof=encoded.hex())


def _view(ports: Ports, store: Snapshot, name: bytes, encoded: bytes) -> types.EvidenceView | None:
    """Return what a piece says; None for one that an older version stored and that says nothing to us."""
    network = ports.network
    try:
        proof = decode_proof(encoded, network.genesis_hash)
    except DecodeError:
        return None
    epochs = ports.epochs(store)
    known = Network(network.genesis_hash, network.epoch_length, lambda _: None, epochs.term_above)
    epoch = epoch_of(proof, known)
    return view_of(proof, name, len(encoded), epoch, _rows(epochs, epoch))


def view_of(proof: Proof, name: bytes, size: int, epoch: int, rows: tuple[Row, ...]) -> types.EvidenceView:
    """Return what a proof says; ``rows`` are the committee of its epoch, in committee order."""
    votes, batch, transaction = _votes(proof), None, None
    if isinstance(proof, InvalidBatch):
        batch, transaction = proof.batch.digest.hex(), proof.index
        accused = next(row for row in rows if row.consensus_key == proof.batch.author)
    else:
        accused = rows[votes[0].signer]
    committee = Committee(epoch, [Validator(PublicKey(row.consensus_key), row.weight) for row in rows], True)
    return types.EvidenceView(
        id=name.hex(),
        kind=kind_of(proof).name.lower(),  # type: ignore[arg-type]
        validator=accused.name,
        consensus_key=accused.consensus_key.hex(),
        epoch=epoch,
        view=votes[0].view if votes else None,
        leads=bool(votes) and committee.leader(votes[0].view) == votes[0].signer,
        votes=tuple(_vote_view(vote) for vote in votes),
        batch=batch,
        transaction=transaction,
        size=size,
    )


def _votes(proof: Proof) -> tuple[Vote, ...]:
    if isinstance(proof, InvalidBatch):
        return ()
    return (proof.first, proof.second) if isinstance(proof, Evidence) else (proof.vote,)


def _vote_view(vote: Vote) -> types.SignedVote:
    named = None if vote.hash == NO_HASH else vote.hash.hex()
    return types.SignedVote(kind=vote.kind.name, block_hash=named)  # type: ignore[arg-type]


def _rows(epochs: Epochs, epoch: int) -> tuple[Row, ...]:
    """Return the committee of an epoch. Raises RpcError (syncing) in the moment before the epoch's start is stored."""
    found = epochs.members(epoch)
    if found is None:
        raise RpcError(SYNCING, path="epoch", actual=str(epoch), retry_after_ms=RETRY_AFTER_MS)
    return found.rows
