#!/usr/bin/env python3
"""Verify an archive of the chain, offline and alone: no node, no network, none of the other files of the project.

    python3 archive_verify.py GENESIS_HASH DIRECTORY [DIGEST of a decree that too few validators could sign ...]

It needs Python 3.11 or later with PyNaCl and msgpack, and the genesis hash (64 hex digits), which the founders compared
by telephone and `som genesis hash` prints. It shares no code with the node on purpose: it is written from
docs/archive.md, docs/protocol.md and docs/ledger.md, and it is short enough to be read by whoever must rely on it.

One rule: what is not hashed into something that a quorum signed is not believed. Verified are: the chain of segments;
who validated, from genesis on; every header, its place and its finality; every payload, batch and transaction with all
signatures; every receipt that is in the archive, and the chain of state roots that later headers name.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgpack
from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

FRAME_BYTES_MAX: Final = 64 << 20
HEADER, TRAIL, BLOCK, END, DECREE = range(5)  # frames
TERM_EPOCHS: Final = 10**12  # epochs between the first ones of two terms
FINALIZE: Final = 2  # a kind of vote
ENVELOPE_CODES: Final = range(100, 200)  # of what was refused before it was executed
ROOTS_KEPT: Final = 20_000  # heights within which a header names a state, but for long outages

Fields = dict[str, Any]
Rows = tuple[tuple[bytes, int], ...]  # key, weight


class Invalid(Exception):
    """The archive is not what it says it is."""


def require(holds: object, what: str) -> None:
    """Raise Invalid unless it holds."""
    if not holds:
        raise Invalid(what)


def digest(tag: bytes, *parts: bytes) -> bytes:
    """Return SHA-256 over a tag and parts."""
    return hashlib.sha256(b"".join((tag, *parts))).digest()


def packed(value: object) -> bytes:
    """Return canonical MessagePack."""
    return msgpack.packb(value, use_bin_type=True)  # type: ignore[no-any-return]


def no_extension(code: int, data: bytes) -> object:
    """Raise Invalid: one of no bytes passes max_ext_len."""
    raise Invalid("an extension is no value")


def unpacked(data: bytes) -> Any:
    """Return what canonical MessagePack says."""
    value = msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=True, max_ext_len=0, ext_hook=no_extension)
    require(packed(value) == data, "bytes that are not canonical")
    return value


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether an Ed25519 signature is valid."""
    try:
        crypto_sign_open(signature + message, public)
    except (CryptoError, ValueError, TypeError):
        return False
    return True


def frames(path: str) -> Iterator[tuple[Any, bytes]]:
    """Yield the frames of a segment and, last, None with the SHA-256 of the file."""
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while length := file.read(4):
            size = int.from_bytes(length, "big")
            require(len(length) == 4 and size <= FRAME_BYTES_MAX, "a frame that is cut or too long")
            data = file.read(size)
            require(len(data) == size, "a frame that is cut")
            whole.update(length + data)
            yield unpacked(data), b""
    yield None, whole.digest()


class Committee:
    """Those who validate: (key, weight), as they are ordered in a committee."""

    def __init__(self, rows: Iterable[tuple[bytes, int]]) -> None:
        self.rows = sorted((bytes(key), weight) for key, weight in rows)
        require(self.rows and all(type(weight) is int and weight > 0 for _, weight in self.rows), "no committee")
        require(len({key for key, _ in self.rows}) == len(self.rows), "a validator stands twice")
        self.hash = digest(b"som-committee-1", packed(self.rows))
        self.total = sum(weight for _, weight in self.rows)
        self.quorum = self.total - (self.total - 1) // 3

    def require_final(self, genesis_hash: bytes, header: Fields, block_hash: bytes, certificate: bytes) -> None:
        """Raise Invalid unless a quorum of these finalized the block."""
        kind, epoch, view, named, signatures = unpacked(certificate)
        require(header["validators_hash"] == self.hash, "a header of another committee")
        require((kind, epoch, named) == (FINALIZE, header["epoch"], block_hash), "a certificate of something else")
        self.require_quorum(b"som-vote-1" + packed((genesis_hash, kind, epoch, view, named)), signatures)

    def require_quorum(self, statement: bytes, signatures: Any) -> None:
        """Raise Invalid unless a quorum of these signed."""
        weight, last = 0, -1
        for signer, signature in signatures:
            require(last < signer < len(self.rows), "signers that do not ascend")
            require(signed(self.rows[signer][0], statement, signature), "a signature of a validator that is not valid")
            weight, last = weight + self.rows[signer][1], signer
        require(weight >= self.quorum, "less than a quorum")


FIELDS = (
    "version genesis_hash epoch view height parent_view parent_hash proposer timestamp_ms validators_hash "
    "next_validators_hash executed_height state_root payload_hash"
).split()


def opened_block(data: bytes) -> tuple[Fields, bytes, bytes]:
    """Return (header, hash, payload) of a block's bytes."""
    fields, payload = unpacked(data)
    require(len(fields) == len(FIELDS), "a header of a form that this program does not know")
    header = dict(zip(FIELDS, fields, strict=True))
    require(digest(b"som-payload-1", payload) == header["payload_hash"], "a payload that is not the header's")
    return header, digest(b"som-block-1", packed(fields)), payload


def outcome_leaf(tx_id: bytes, receipt: bytes) -> bytes:
    """Return the leaf of a transaction's receipt."""
    return digest(b"som-outcome-1", tx_id, receipt)


def never_executed(tx_id: bytes, leaf: bytes) -> bool:
    """Return whether a leaf is of a receipt without an operation: a code, and nothing that it did."""
    return any(outcome_leaf(tx_id, packed((code, None, None, (), None))) == leaf for code in ENVELOPE_CODES)


def outcomes_root(leaves: list[bytes]) -> bytes:
    """Return the root over a block's outcomes (docs/ledger.md, section 7)."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [digest(b"som-outcome-node-1", *level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return digest(b"som-outcomes-1", len(leaves).to_bytes(4, "big"), level[0] if level else bytes(32))


class Verifier:
    """Takes the segments of an archive one after the other."""

    def __init__(self, genesis_hash: bytes, accepted: frozenset[bytes] = frozenset()) -> None:
        self.genesis_hash = genesis_hash
        self.accepted = accepted  # digests of decrees that too few validators were left to sign
        self.term = 0
        self.unended = 0  # the last block of an epoch that only a decree can make final
        self.number = 0
        self.chained = bytes(32)
        self.epoch_length = 0
        self.committee = self.before = Committee([(bytes(32), 1)])  # nobody, until the genesis says who
        self.first = self.height = self.certified = 0
        self.proven = 0  # the height whose state a later header names: of those above, receipts and state are hearsay
        self.parent: bytes | None = None  # the hash of the last block
        self.time = 0
        self.roots: dict[int, bytes] = {}
        self.transactions = self.signatures = 0

    def segment(self, path: str) -> None:
        """Verify the next one. Raises Invalid."""
        ended = False
        for at, (frame, whole) in enumerate(frames(path)):
            if frame is None:
                require(ended, "a segment without an end")
                self.chained = whole
                return
            require(not ended, "something behind the end of a segment")
            kind, *rest = frame
            require((kind == HEADER) == (at == 0), "a segment begins with its header, and has one")
            if kind == HEADER:
                self.begin(*rest)
            elif kind == TRAIL:
                require(self.number == 1 and self.parent is None, "committees stand at the beginning")
                self.followed(*rest)
            elif kind == DECREE:
                self.decreed(*rest)
            elif kind == BLOCK:
                self.block(*rest)
            else:
                require(kind == END and rest == [self.height], "a segment that ends elsewhere")
                require(self.certified == self.height, "the last blocks of a segment are not certified")
                ended = True

    def begin(
        self,
        name: str,
        version: int,
        genesis_hash: bytes,
        number: int,
        first: int,
        chained: bytes,
        genesis: bytes,
        root_before: bytes,
    ) -> None:
        """Take a segment's header."""
        require((name, version) == ("som-archive", 1), "not an archive, or of another version")
        require(genesis_hash == self.genesis_hash, "an archive of another network")
        require(number == self.number + 1 and chained == self.chained, "a segment is missing, changed or out of order")
        self.number = number
        if number > 1:
            require(first == self.height + 1, "a segment that does not go on where the last one ended")
            return
        require(digest(b"som-genesis-1", genesis) == genesis_hash, "a genesis that does not have the hash")
        fields = unpacked(genesis)
        self.epoch_length = fields[5]
        self.committee = self.before = Committee((key, weight) for _, key, _, weight in fields[6])
        self.first, self.height, self.certified = first, first - 1, first - 1
        self.roots = {first - 1: root_before}

    def followed(self, data: bytes, certificate: bytes, rows: Rows) -> None:
        """Take the last block of an epoch before the archive begins."""
        header, block_hash, _ = opened_block(data)
        require(header["genesis_hash"] == self.genesis_hash, "a header of another network")
        require(term_of(header["epoch"]) == self.term, "a last block of another term")
        ends = (header["epoch"] % TERM_EPOCHS + 1) * self.epoch_length
        require(header["height"] == ends, "not the last block of an epoch")
        self.committee.require_final(self.genesis_hash, header, block_hash, certificate)
        self.next_committee(header, rows)

    def decreed(self, data: bytes) -> None:
        """Take a decree: who validates above its base, after more were lost than may be (docs/emergency.md)."""
        _, decree, head, certificate, following, bank, left = unpacked(data)
        _, genesis_hash, term, height, base, (_, keys, threshold), roster, _, _ = unpacked(decree)
        header, name = dict(zip(FIELDS, unpacked(head), strict=True)), digest(b"som-decree-1", decree)
        require((genesis_hash, term) == (self.genesis_hash, self.term + 1), "a decree of another network or term")
        require((digest(b"som-block-1", head), header["height"]) == (base, height), "a decree with another base")
        require(self.parent in (None, base), "a decree whose base is not the block before")
        kind, of_base = FINALIZE, self.committee
        if height:
            kind, epoch, view, named, signatures = unpacked(certificate)
            require((epoch, named) == (header["epoch"], base) and kind in (0, FINALIZE), "a base without a certificate")
            of_base = self.before if header["validators_hash"] == self.before.hash else self.committee
            require(header["validators_hash"] == of_base.hash, "a base of another committee")
            of_base.require_quorum(b"som-vote-1" + packed((genesis_hash, kind, epoch, view, named)), signatures)
        weights = dict(keys)
        require(all(signed(key, name, seal) for key, seal in (*bank, *left)), "a signature of a decree is not valid")
        require(sum({key: weights[key] for key, _ in bank}.values()) >= threshold, "less than the bank's threshold")
        blocked = [self.committee]
        if height and header["next_validators_hash"] != bytes(32):
            blocked = [Committee(following)]
            require(blocked[0].hash == header["next_validators_hash"], "the base names other validators")
            blocked += [] if kind == FINALIZE else [of_base]
        if term_of(header["epoch"]) != self.term:  # nothing is final since the decree before
            blocked = [self.committee]
        signers = {key for key, _ in left}
        enough = all(sum(w for key, w in each.rows if key in signers) > each.total - each.quorum for each in blocked)
        require(enough or name in self.accepted, f"too few validators signed decree {name.hex()}")
        self.before = of_base
        self.committee = Committee((current[0], weight) for _, weight, _, current, _ in unpacked(roster))
        self.term, self.certified, self.unended = term, max(self.certified, height), 0

    def next_committee(self, header: Fields, rows: Rows) -> None:
        """Take the committee that the last block of an epoch names."""
        if header["next_validators_hash"] != header["validators_hash"]:
            following = Committee(rows)
            require(
                following.hash == header["next_validators_hash"], "the last block of an epoch names other validators"
            )
            self.before, self.committee = self.committee, following

    def block(
        self,
        data: bytes,
        certificate: bytes,
        batches: tuple[bytes, ...],
        leaves: bytes,
        receipts: tuple[bytes, ...],
        tree_root: bytes,
        rows: Rows,
    ) -> None:
        """Take the next block."""
        header, block_hash, payload = opened_block(data)
        height = self.height + 1
        require(header["genesis_hash"] == self.genesis_hash, "a header of another network")
        require(header["height"] == height, "a height is missing or stands twice")
        require(not self.unended, "the last block of an epoch without a certificate")
        epoch = self.term * TERM_EPOCHS + (height - 1) // self.epoch_length
        require(header["epoch"] == epoch, "a height in another epoch than it belongs to")
        require(self.parent in (None, header["parent_hash"]), "a block that does not follow the one before")
        require(header["timestamp_ms"] > self.time or height == self.first, "a block that is older than its parent")
        require(header["validators_hash"] == self.committee.hash, "a header of another committee")
        ids = self.batches(payload, batches)
        self.outcomes(height, ids, leaves, receipts, tree_root)
        executed = header["executed_height"]
        require(executed < height, "a header that names its own root")
        require(self.roots.get(executed) in (None, header["state_root"]), "a header that names another state")
        require(
            executed in self.roots or executed < self.first - 1 or height - executed > ROOTS_KEPT, "a root is missing"
        )
        if executed in self.roots:
            self.proven = executed
        if certificate:
            self.committee.require_final(self.genesis_hash, header, block_hash, certificate)
            self.certified = height
        self.height, self.parent, self.time = height, block_hash, header["timestamp_ms"]
        if height % self.epoch_length == 0:
            self.unended = 0 if certificate else height  # a decree must follow
            self.before = self.committee
            self.next_committee(header, rows)

    def batches(self, payload: bytes, batches: tuple[bytes, ...]) -> list[bytes]:
        """Verify the batches that the payload names, and all transactions; return their ids."""
        names = unpacked(payload)
        require(len(names) == len(batches) == len(set(names)), "other batches than the payload names")
        ids = []
        for name, data in zip(names, batches, strict=True):
            signature, body = data[:64], data[64:]
            require(digest(b"som-batch-1", self.genesis_hash, body) == name, "a batch that the payload does not name")
            author, _, _, transactions = unpacked(body)
            require(signed(author, name, signature), "a batch that its author did not sign")
            for raw in transactions:
                content, signatures = unpacked(raw)
                tx_id = digest(b"som-tx-1", self.genesis_hash, content)
                require(signatures, "a transaction that nobody signed")
                for _, public, sealed in signatures:
                    require(signed(public, tx_id, sealed), "a signature of a transaction that is not valid")
                self.signatures += len(signatures)
                ids.append(tx_id)
        self.transactions += len(ids)
        return ids

    def outcomes(
        self, height: int, ids: list[bytes], leaves: bytes, receipts: tuple[bytes, ...], tree_root: bytes
    ) -> None:
        """Verify receipts against their leaves, and go on with the chain of roots."""
        parts = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
        require(len(parts) == len(ids) == len(receipts), "other outcomes than transactions")
        for tx_id, leaf, receipt in zip(ids, parts, receipts, strict=True):
            if receipt:
                require(outcome_leaf(tx_id, receipt) == leaf, "a receipt that is not the outcome")
            else:
                require(never_executed(tx_id, leaf), "the receipt of what was executed is left out")
        before = self.roots[height - 1]
        self.roots[height] = digest(b"som-root-1", before, height.to_bytes(8, "big"), tree_root, outcomes_root(parts))
        self.roots.pop(height - ROOTS_KEPT, None)


def term_of(epoch: int) -> int:
    """Return how many decrees there were before an epoch."""
    return epoch // TERM_EPOCHS


def verify(genesis_hash: bytes, directory: str, accepted: frozenset[bytes] = frozenset()) -> Verifier:
    """Return the verifier after all segments of a directory. Raises Invalid or OSError."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".archive"))
    require(names, "there is no segment of an archive")
    verifier = Verifier(genesis_hash, accepted)
    for name in names:
        try:
            verifier.segment(os.path.join(directory, name))
        except Invalid as error:
            raise Invalid(f"{name}, after height {verifier.height}: {error}") from None
        except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException) as error:
            raise Invalid(f"{name}, after height {verifier.height}: not of the form ({error})") from None
    return verifier


def main(arguments: list[str]) -> int:
    """Say whether an archive is valid; return the exit code."""
    if len(arguments) < 2 or len(arguments[0]) != 64:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        done = verify(bytes.fromhex(arguments[0]), arguments[1], frozenset(map(bytes.fromhex, arguments[2:])))
    except (Invalid, OSError, ValueError) as error:
        print(f"NOT VALID: {error}", file=sys.stderr)
        return 1
    assert done.parent is not None
    print(
        f"valid: heights {done.first} to {done.height}, {done.number} segments, {done.transactions} transactions, "
        f"{done.signatures} signatures\nlast block {done.parent.hex()}\n"
        f"receipts and state up to height {done.proven}, root {done.roots[done.proven].hex()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
