"""The archive: the chain in files that anybody can verify without a node, and a home that is made of them.

One rule: an archive has all that its verifier needs, and the verifier believes none of it (node/archive_verify.py, a
program of its own; docs/archive.md has the form). Whoever imports executes every block again, and has the same roots.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from consensus.committee import Committee
from consensus.encoding import DecodeError, as_bytes, as_int, as_str, as_tuple, decode, encode
from consensus.messages import Block, Certificate, Hash, Header, decode_block, decode_certificate
from consensus.verify import certificate_valid
from node.archive_verify import BLOCK, DECREE, END, HEADER, TRAIL
from node.batches import Held, author_signed, decode_batch, decode_payload, decode_transactions
from node.decree import DecreeConflict, DecreeInvalid, SignedDecree, decode_decree, require_stands
from node.epochs import Epochs
from node.executor import FinalBlock, record_of
from node.home import require_followed
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis, canonical_form
from node.ledger.transaction import signatures_valid
from node.storage.archive_files import SegmentWriter, frames, segments
from node.storage.records import StoredBlock
from node.storage.store import Store
from node.terms import begin_height, term_of

NAME: Final = "som-archive"
VERSION: Final = 1
SEGMENT_BYTES: Final = 64 << 20  # after which a segment ends; a day of block time ends it, too
DAY_MS: Final = 24 * 3_600_000
NO_SEGMENT: Final = bytes(32)


class ArchiveError(Exception):
    """The archive cannot be made, or is not what it says it is."""


def export(
    store: Store,
    genesis: Genesis,
    directory: Path,
    first: int,
    last: int,
    segment_bytes: int = SEGMENT_BYTES,
    decrees: Sequence[SignedDecree] = (),
) -> Iterator[int]:
    """Write the heights from ``first`` to ``last``, or to the last certified one below; yield each height.

    ``decrees`` are those of the home. Raises ArchiveError if they are not all here. ``directory`` must hold no segment.
    """
    base, tip = store.base(), store.tip.height
    last = min(last, tip)
    while last >= first and not store.certificate(last):
        last -= 1
    if not base < first <= last:
        raise ArchiveError(f"this node has the heights above {base} up to {tip}")
    if segments(directory):
        raise ArchiveError(f"{directory} has an archive already")
    epochs = Epochs(genesis, store, decrees)
    writer: SegmentWriter | None = None
    number, chained, day = 0, NO_SEGMENT, -1
    for height in range(first, last + 1):
        block = store.block(height)
        assert block is not None, "above its base a store is whole"
        full = writer is not None and (writer.size > segment_bytes or block.timestamp_ms // DAY_MS != day)
        if writer is not None and full and store.certificate(height - 1):
            writer.write(encode((END, height - 1)))
            chained, writer = writer.close(height - 1), None
        if writer is None:
            number, day = number + 1, block.timestamp_ms // DAY_MS
            writer = SegmentWriter(directory, number, height)
            writer.write(_header(store, genesis, number, height, chained))
            if number == 1:
                for frame in _trail(store, epochs, height):
                    writer.write(frame)
        for signed in decrees:
            if signed.decree.base_height == height - 1 >= first - 1:
                writer.write(encode((DECREE, signed.encoded)))
        writer.write(_block(store, epochs, genesis, block))
        yield height
    assert writer is not None
    writer.write(encode((END, last)))
    writer.close(last)


def _header(store: Store, genesis: Genesis, number: int, first: int, chained: bytes) -> bytes:
    before = store.roots(first - 1)
    assert before is not None
    form = canonical_form(genesis) if number == 1 else b""
    return encode((HEADER, NAME, VERSION, genesis.hash, number, first, chained, form, before.root))


def _trail(store: Store, epochs: Epochs, first: int) -> Iterator[bytes]:
    """Yield the last blocks of epochs from which the committee of the first height follows."""
    waiting = [signed for signed in epochs.decrees if signed.decree.base_height < first - 1]
    for epoch in epochs.trail(epochs.after_height(first - 1)):
        while waiting and waiting[0].decree.term <= term_of(epoch):
            yield encode((DECREE, waiting.pop(0).encoded))
        ending = store.certificate(begin_height(epoch, epochs.length))
        assert ending, "the last block of an epoch has a certificate of its own"
        yield encode((TRAIL, epochs.boundary(epoch).encoded, ending, _following(epochs, epoch)))
    for signed in waiting:
        yield encode((DECREE, signed.encoded))


def _following(epochs: Epochs, epoch: int) -> list[tuple[bytes, int]]:
    """Return (key, weight) of an epoch's committee if it is another one than that of the epoch before."""
    return _named_by(epochs, epochs.boundary(epoch).header)


def _named_by(epochs: Epochs, header: Header) -> list[tuple[bytes, int]]:
    if header.next_validators_hash == header.validators_hash:
        return []
    members = epochs.named_by(header)
    assert members is not None
    return [(row.consensus_key, row.weight) for row in members.rows]


def _block(store: Store, epochs: Epochs, genesis: Genesis, stored: StoredBlock) -> bytes:
    height = stored.height
    batches: list[bytes] = []
    receipts: list[bytes] = []
    for name in decode_payload(decode_block(stored.block_bytes).payload):
        data = store.batch(name)
        assert data is not None, "above its base a store is whole"
        batches.append(data)
        for transaction in decode_transactions(genesis.hash, decode_batch(genesis.hash, data)):
            place = store.transaction(transaction.id)
            here = place is not None and (place.height, place.index) == (height, len(receipts))
            receipts.append(place.receipt if place is not None and here else b"")
    roots = store.roots(height)
    assert roots is not None
    following = [] if height % epochs.length else _named_by(epochs, decode_block(stored.block_bytes).header)
    certificate, leaves = store.certificate(height) or b"", store.outcome_leaves(height) or b""
    return encode((BLOCK, stored.block_bytes, certificate, batches, leaves, receipts, roots.state_tree_root, following))


# --- a chain that is made of an archive ---


def restore(
    store: Store,
    genesis: Genesis,
    directory: Path,
    decrees: Sequence[SignedDecree] = (),
    keep_decree: Callable[[int, bytes], None] = lambda _term, _data: None,
) -> Iterator[int]:
    """Execute an archive upon a store that is at height 0 or within it; yield each height. Raises ArchiveError.

    ``decrees`` are followed already; ``keep_decree`` keeps one that the archive brings, by its term.
    Certificates, batches and signatures are verified as those of peers are, and every root is computed again.
    """
    ledger, epochs = Ledger(store, genesis), Epochs(genesis, store, decrees)
    waiting: list[tuple[object, ...]] = []
    try:
        for kind, fields in _frames(genesis, directory):
            if kind == DECREE:
                signed = decode_decree(as_bytes(fields[0]))
                epochs = _with_decree(store, genesis, epochs, signed, keep_decree)
                yield from _execute_decreed(store, ledger, epochs, waiting, signed)
                waiting = []
            if kind != BLOCK:
                continue
            waiting.append(fields)
            if fields[1]:  # certified, and with it those before
                yield from _execute(store, ledger, epochs, waiting)
                waiting = []
    except DecodeError as error:
        raise ArchiveError(f"after height {store.tip.height}: {error}") from None


def _frames(genesis: Genesis, directory: Path) -> Iterator[tuple[int, tuple[object, ...]]]:
    found = segments(directory)
    if not found:
        raise ArchiveError(f"there is no segment of an archive in {directory}")
    for path in found:
        for frame in frames(path):
            kind, *fields = as_tuple(decode(frame), most=9)
            if kind == HEADER and (as_str(fields[0], 64), fields[1], fields[2]) != (NAME, VERSION, genesis.hash):
                raise ArchiveError(f"{path}: of another network or version")
            yield as_int(kind), tuple(fields)


def _with_decree(
    store: Store,
    genesis: Genesis,
    epochs: Epochs,
    signed: SignedDecree,
    keep_decree: Callable[[int, bytes], None],
) -> Epochs:
    """Return the epochs with a decree that is in the archive: one that is followed here, or that stands by itself."""
    decree = signed.decree
    for known in epochs.decrees:
        if known.decree.term == decree.term:
            if known.decree.digest != decree.digest:
                raise ArchiveError(f"another decree of term {decree.term} is followed here")
            return epochs
    before = epochs.decrees[-1].decree if epochs.decrees else None

    def committee(epoch: int) -> Committee | None:
        members = epochs.members(epoch)
        return None if members is None else members.committee

    try:
        require_stands(signed, genesis.hash, epochs.length, before, committee, allow_short=False)
        require_followed(store, (signed,))
    except (DecreeInvalid, DecreeConflict) as error:
        raise ArchiveError(f"decree {decree.digest.hex()}: {error}; `som emergency apply` first?") from None
    keep_decree(decree.term, signed.encoded)
    return Epochs(genesis, store, (*epochs.decrees, signed))


def _execute_decreed(
    store: Store, ledger: Ledger, epochs: Epochs, rows: list[tuple[object, ...]], signed: SignedDecree
) -> Iterator[int]:
    """Execute blocks that a decree makes final, the last of which is its base."""
    blocks = [decode_block(as_bytes(row[0])) for row in rows]
    if blocks and blocks[-1].hash != signed.decree.base_hash:
        raise ArchiveError("a decree of another base than the block before it")
    yield from _execute_final(store, ledger, epochs, list(zip(blocks, rows, strict=True)), None)


def _execute(store: Store, ledger: Ledger, epochs: Epochs, rows: list[tuple[object, ...]]) -> Iterator[int]:
    """Execute blocks that the last one's certificate makes final."""
    genesis = ledger.genesis
    blocks = [decode_block(as_bytes(row[0])) for row in rows]
    certificate = decode_certificate(as_bytes(rows[-1][1]))
    members = epochs.members(certificate.epoch)
    if certificate.hash != blocks[-1].hash or certificate.epoch != blocks[-1].header.epoch:
        raise ArchiveError("a certificate of another block")
    if members is None or not certificate_valid(certificate, members.committee, Hash(genesis.hash)):
        raise ArchiveError(f"height {blocks[-1].header.height} is not final")
    yield from _execute_final(store, ledger, epochs, list(zip(blocks, rows, strict=True)), certificate)


def _execute_final(
    store: Store,
    ledger: Ledger,
    epochs: Epochs,
    rows: list[tuple[Block, tuple[object, ...]]],
    certificate: Certificate | None,
) -> Iterator[int]:
    genesis = ledger.genesis
    for block, row in rows:
        height = block.header.height
        if height <= store.tip.height:
            continue
        if height != store.tip.height + 1 or block.header.parent_hash != store.tip.block_hash:
            raise ArchiveError(f"height {height} does not follow height {store.tip.height} of this chain")
        held = [_held(genesis, as_bytes(data)) for data in as_tuple(row[2])]
        if tuple(each.batch.digest for each in held) != decode_payload(block.payload):
            raise ArchiveError(f"height {height}: other batches than its block names")
        roots = store.roots(block.header.executed_height)
        if roots is not None and roots.root != block.header.state_root:
            raise ArchiveError(f"height {height} names another state than ours: stop, and keep everything")
        transactions = [transaction for each in held for transaction in each.transactions]
        places = [(each.batch.digest, at) for each in held for at in range(len(each.transactions))]
        decreed = epochs.decreed_roster(height)
        executed = ledger.execute(height, block.header.timestamp_ms, block.header.version, transactions, decreed)
        store.commit(record_of(FinalBlock(block, certificate), held, executed, places))
        yield height


def _held(genesis: Genesis, data: bytes) -> Held:
    batch = decode_batch(genesis.hash, data)
    transactions = decode_transactions(genesis.hash, batch)
    if not author_signed(batch) or not all(map(signatures_valid, transactions)):
        raise ArchiveError("a batch with a signature that is not valid")
    return Held(batch, transactions, set(), 0)
