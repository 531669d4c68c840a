"""What a snapshot says of itself, and why it is to be believed: two files, checked with nothing but the genesis.

    contents  the nodes that cover the state tree, with their hashes; the files, each with its hash and what it holds
    proof     the headers from the snapshot's block up to a final one, the roots between, who validated since genesis

One rule: a quorum stands behind every byte that is taken, through hashes. Of names and node keys of validators who are
long gone only their giver does; nothing but what is shown of old blocks depends on them (docs/storage.md, section 9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Final

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey
from consensus.encoding import DecodeError, as_bytes, as_int, as_tuple, decode, encode
from consensus.messages import (
    HASH_BYTES,
    VERSION_MAX,
    Block,
    Hash,
    Header,
    decode_block,
    decode_certificate,
    decode_header,
    encode_header,
    header_hash,
)
from node.client.errors import ProofInvalid
from node.client.trust import Trust
from node.decree import Decree, SignedDecree, decode_decree
from node.epochs import Epochs
from node.ledger.commitment import DEPTH_MAX, chain_root
from node.ledger.execute import Meta
from node.ledger.genesis import Genesis
from node.ledger.snapshot import Node, folded, placed
from node.ledger.validators import decode_roster, encode_roster, members, roster_of
from node.storage.snapshot_files import FILE_BYTES_MAX
from node.storage.store import Store
from node.terms import TERMS_MAX, begin_height, term_of

CONTENTS_BYTES_MAX: Final = 8 << 20  # 35 bytes a node of the tree: a state of 50 GB
PROOF_BYTES_MAX: Final = 8 << 20  # some thousands of changes of the committee
NODES_MAX: Final = 200_000
FILES_MAX: Final = 200_000
HEADERS_MAX: Final = 2_048  # from the snapshot's block to a certified one: catching up stores a certificate per 1,024.
# Further up there is no proof, and the next snapshot has one: it is better to have a short one than to load a long one.
LINKS_MAX: Final = 10_000
TRAIL_MAX: Final = 20_000
CONTENTS, PROOF, FIRST = 0, 1, 2  # numbers of the files; those of the contents follow

Link = tuple[bytes, bytes]  # state tree root, outcomes root


class Kind(IntEnum):
    """What a file holds, in the order in which files come."""

    STATE = 0  # rows of ``count`` nodes of the tree
    IDS = 1  # transaction ids of ``count`` minutes, or parts of them
    REFS = 2  # `once` references, in the same way
    BLOCKS = 3  # ``count`` blocks, ascending to the snapshot's own


@dataclass(frozen=True, slots=True)
class File:
    """A file of the contents. ``count`` is how many things it holds."""

    kind: Kind
    name: bytes  # SHA-256
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What the snapshot of a height is. All honest nodes make the same one."""

    genesis_hash: bytes
    height: int
    depth: int
    nodes: tuple[Node, ...]
    hashes: tuple[bytes, ...]  # of the nodes
    files: tuple[File, ...]

    @property
    def state_tree_root(self) -> bytes:
        """What the nodes lead up to."""
        return folded(tuple(zip(self.nodes, self.hashes, strict=True)), self.depth)


@dataclass(frozen=True, slots=True)
class Boundary:
    """A last block of an epoch, with its finalization."""

    block: Block
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """What the proof of a snapshot has proven."""

    header: Header  # of the snapshot's block
    meta: Meta
    trail: tuple[Boundary, ...]
    rosters: tuple[tuple[int, bytes], ...]  # height, roster; that of genesis first, that of the state last
    versions: tuple[tuple[int, int], ...]  # height, protocol version that is demanded after it, likewise
    decrees: tuple[SignedDecree, ...] = ()  # below the snapshot, by term


def encode_contents(contents: Contents) -> bytes:
    """Return the file."""
    nodes = [(node.level, value) for node, value in zip(contents.nodes, contents.hashes, strict=True)]
    files = [(int(file.kind), file.name, file.size, file.count) for file in contents.files]
    return encode((1, contents.genesis_hash, contents.height, contents.depth, nodes, files))


def decode_contents(data: bytes) -> Contents:
    """Return what a file says that may come from a stranger. Raises DecodeError."""
    if len(data) > CONTENTS_BYTES_MAX:
        raise DecodeError("contents that are too long")
    version, genesis_hash, height, depth, nodes, files = as_tuple(decode(data), 6)
    as_int(version, 1, 1)
    depth = as_int(depth, 1, DEPTH_MAX)
    pairs = [as_tuple(each, 2) for each in as_tuple(nodes, most=NODES_MAX)]
    found = tuple(_as_file(each) for each in as_tuple(files, most=FILES_MAX))
    if any(after.kind < before.kind for before, after in pairwise(found)):
        raise DecodeError("files in another order")
    contents = Contents(
        as_bytes(genesis_hash, HASH_BYTES),
        as_int(height, 1),
        depth,
        tuple(placed([as_int(level, 0, depth) for level, _ in pairs], depth)),
        tuple(as_bytes(value, HASH_BYTES) for _, value in pairs),
        found,
    )
    if sum(file.count for file in found if file.kind is Kind.STATE) != len(pairs):
        raise DecodeError("files of another number of nodes")
    return contents


def _as_file(value: object) -> File:
    kind, name, size, count = as_tuple(value, 4)
    return File(
        Kind(as_int(kind, 0, len(Kind) - 1)),
        as_bytes(name, HASH_BYTES),
        as_int(size, 1, FILE_BYTES_MAX),
        as_int(count, 1),
    )


# --- the proof ---


def make_proof(store: Store, epochs: Epochs, height: int) -> bytes | None:
    """Return the proof of the snapshot of a height; None until a final header near it certifies its root."""
    certifying = _first_certifying(store, height)
    found = None if certifying is None else store.certificate_from(certifying)
    if found is None:
        return None
    certified, certificate = found
    if certified - height >= HEADERS_MAX:
        return None  # nobody would take it
    headers = [_header(store, each) for each in range(height, certified + 1)]
    executed = next(header.executed_height for header in headers if header.executed_height >= height)
    trail = []
    for epoch in epochs.trail(headers[-1].epoch):
        ending = store.certificate(begin_height(epoch, epochs.length))
        assert ending, "the last block of an epoch has a certificate of its own"
        trail.append((epochs.boundary(epoch).encoded, ending))
    rosters = [(each, store.roster_at(each)) for each in store.roster_heights(0) if each <= height]
    before = store.roots(height - 1)
    assert before is not None
    links = [_link(store, each) for each in range(height, executed + 1)]
    versions = [row for row in store.versions() if row[0] <= height]
    headers_encoded = [encode_header(each) for each in headers]
    fields = (headers_encoded, certificate, before.root, links, trail, rosters, versions)
    decrees = [signed.encoded for signed in epochs.decrees if signed.decree.base_height < height]
    return encode((2, *fields, decrees) if decrees else (1, *fields))


def verify_proof(genesis: Genesis, contents: Contents, data: bytes, followed: Sequence[SignedDecree] = ()) -> Proven:
    """Return what the proof proves of the contents. Raises ProofInvalid or DecodeError.

    ``followed`` are the decrees that this node follows already: those of the proof go on from them.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise DecodeError("a proof that is too long")
    version, *rest = as_tuple(decode(data), most=9) or (None,)
    decree_rows = as_tuple(rest.pop(), most=TERMS_MAX) if as_int(version, 1, 2) == 2 and rest else ()
    header_rows, certificate, before, link_rows, trail_rows, roster_rows, version_rows = as_tuple(tuple(rest), 7)
    decrees = [decode_decree(as_bytes(each)) for each in decree_rows]
    if contents.genesis_hash != genesis.hash or contents.depth != genesis.tree_depth:
        raise ProofInvalid("a snapshot of another network")
    headers = [decode_header(as_bytes(each)) for each in as_tuple(header_rows, most=HEADERS_MAX)]
    rosters = _as_rosters(genesis, contents.height, roster_rows)
    versions = _as_versions(genesis, contents.height, version_rows)
    trail = [_as_boundary(each) for each in as_tuple(trail_rows, most=TRAIL_MAX)]
    accepted = [signed.decree.digest for signed in followed]
    if [signed.decree.digest for signed in decrees[: len(followed)]] != accepted[: len(decrees)]:
        raise ProofInvalid("another decree than is followed here")
    trust = _followed(Trust.of(genesis, accepted), trail, rosters, decrees)
    if not headers or headers[0].height != contents.height:
        raise ProofInvalid("the headers do not begin at the snapshot")
    for parent, child in pairwise(headers):
        if child.parent_hash != header_hash(parent) or child.height != parent.height + 1:
            raise ProofInvalid("the headers do not follow each other")
    trust.require_final(headers[-1], decode_certificate(as_bytes(certificate)))
    links = [_as_link(each) for each in as_tuple(link_rows, most=LINKS_MAX)]
    meta = _proven_meta(genesis, headers, as_bytes(before, HASH_BYTES), links)
    if meta.state_tree_root != contents.state_tree_root:
        raise ProofInvalid("the contents are not the state of the height")
    _require_settled(trust, headers[0], trail, rosters[-1][0], versions[-1][0])
    return Proven(headers[0], meta, tuple(trail), rosters, versions, tuple(decrees))


def _proven_meta(genesis: Genesis, headers: Sequence[Header], before: bytes, links: Sequence[Link]) -> Meta:
    header = headers[0]
    height = header.height
    certifying = next((each for each in headers if each.executed_height >= height), None)
    if certifying is None or len(links) != certifying.executed_height - height + 1:
        raise ProofInvalid("the links do not reach the height that a header certifies")
    roots = [before]
    for at, (state_tree_root, outcomes_root) in enumerate(links, height):
        roots.append(chain_root(roots[-1], at, state_tree_root, outcomes_root))
    if roots[-1] != certifying.state_root:
        raise ProofInvalid("the links do not lead to the root that the header certifies")
    return Meta(genesis.hash, height, header.timestamp_ms, roots[1], before, *links[0], header.version)


def _followed(
    trust: Trust, trail: Sequence[Boundary], rosters: Sequence[tuple[int, bytes]], decrees: Sequence[SignedDecree]
) -> Trust:
    """Return what is trusted after these last blocks of epochs, each verified by the committee of its own epoch."""
    waiting = list(decrees)
    for boundary in trail:
        header = boundary.block.header
        while waiting and waiting[0].decree.term <= term_of(header.epoch):
            trust = trust.decreed(waiting.pop(0))
        certificate = decode_certificate(boundary.certificate)
        if header.height == 0 or header.height % trust.epoch_length:
            raise ProofInvalid("not the last block of an epoch")
        if header.next_validators_hash == header.validators_hash:
            trust.require_final(header, certificate)
            continue
        begun = _begun(trust, header)
        if begun is not None and header.executed_height <= begun.base_height:
            rows = members(begun.roster)
        else:
            roster = next(row for height, row in reversed(rosters) if height <= header.executed_height)
            rows = members(decode_roster(roster))
        try:
            committee = Committee(
                header.epoch + 1,
                [Validator(PublicKey(row.consensus_key), row.weight) for row in rows],
                allow_dominant=True,
            )
        except ValueError as error:
            raise ProofInvalid(f"a committee: {error}") from None
        trust = trust.followed(header, certificate, committee)
    for signed in waiting:
        trust = trust.decreed(signed)
    return trust


def _begun(trust: Trust, header: Header) -> Decree | None:
    """Return the decree that began the term of a header."""
    term = term_of(header.epoch)
    return trust.decrees[term - 1] if 0 < term <= len(trust.decrees) else None


def _require_settled(
    trust: Trust, header: Header, trail: Sequence[Boundary], roster_changed: int, version_changed: int
) -> None:
    """Raise ProofInvalid unless the committee of the next block is that of the state's own roster, seat by seat."""
    height, begun = header.height, _begun(trust, header)
    ended = {0: 0, height: header.executed_height}
    ended |= {each.block.header.height: each.block.header.executed_height for each in trail}
    begins = height // trust.epoch_length * trust.epoch_length
    if begun is not None and begins <= begun.base_height:
        return  # a decree names it, and is signed
    executed = ended.get(begins)
    if executed is None:
        raise ProofInvalid("the last block of the epoch before is missing")
    counted = executed if begun is None or executed > begun.base_height else begun.base_height + 1
    if roster_changed > counted or version_changed > executed:
        raise ProofInvalid("roster or version have changed since the committee was named")


def _as_rosters(genesis: Genesis, height: int, value: object) -> tuple[tuple[int, bytes], ...]:
    rows = [as_tuple(each, 2) for each in as_tuple(value, most=TRAIL_MAX)]
    rosters = tuple((as_int(at, 0, height), as_bytes(roster)) for at, roster in rows)
    if not rosters or rosters[0] != (0, encode_roster(roster_of(genesis))):
        raise ProofInvalid("the rosters do not begin at genesis")
    if any(after <= before for (before, _), (after, _) in pairwise(rosters)):
        raise DecodeError("rosters do not ascend")
    return rosters


def _as_versions(genesis: Genesis, height: int, value: object) -> tuple[tuple[int, int], ...]:
    rows = [as_tuple(each, 2) for each in as_tuple(value, most=TRAIL_MAX)]
    versions = tuple((as_int(at, 0, height), as_int(version, 1, VERSION_MAX)) for at, version in rows)
    if not versions or versions[0] != (0, genesis.parameters.protocol_version):
        raise ProofInvalid("the versions do not begin at genesis")
    if any(after <= before for (before, _), (after, _) in pairwise(versions)):
        raise DecodeError("versions do not ascend")
    return versions


def _as_boundary(value: object) -> Boundary:
    block, certificate = as_tuple(value, 2)
    return Boundary(decode_block(as_bytes(block)), as_bytes(certificate))


def _as_link(value: object) -> Link:
    state_tree_root, outcomes_root = as_tuple(value, 2)
    return as_bytes(state_tree_root, HASH_BYTES), as_bytes(outcomes_root, HASH_BYTES)


def _first_certifying(store: Store, height: int) -> int | None:
    for each in range(height + 1, min(store.tip.height, height + HEADERS_MAX) + 1):
        if _header(store, each).executed_height >= height:
            return each
    return None


def _header(store: Store, height: int) -> Header:
    stored = store.block(height)
    assert stored is not None, "a snapshot is proven by recent blocks"
    return decode_block(stored.block_bytes).header


def _link(store: Store, height: int) -> Link:
    roots = store.roots(height)
    assert roots is not None
    return roots.state_tree_root, roots.outcomes_root


def require_linked(blocks: Sequence[Block], parent: Hash | None) -> Hash:
    """Return the hash of the last of blocks that follow each other, the first upon ``parent``. Raises DecodeError."""
    for block in blocks:
        if parent is not None and block.header.parent_hash != parent:
            raise DecodeError("blocks that do not follow each other")
        parent = block.hash
    assert parent is not None
    return parent


def name_of(data: bytes) -> bytes:
    """Return by what a file is known."""
    return sha256(data).digest()
