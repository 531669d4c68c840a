"""Before a decree: what each validator that is left has, signed by its key, and which block the chain goes on from.

    a home whose guard is closed -> report -> all reports together -> the base, and what is certain of it

One rule: the base is the block of the highest view that a quorum certified, as far as anybody who is left knows. A
block that is final has the FINALIZE votes of a quorum; if those who are left weigh more than may be faulty, one of them
cast one, and holds the notarization (docs/protocol.md, R8). What was notarized in a later view stands above it (R16).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Final

from consensus.committee import Committee
from consensus.crypto import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, Signature, verify
from consensus.encoding import DecodeError, as_bool, as_bytes, as_int, as_tuple, decode, digest, encode
from consensus.messages import (
    HASH_BYTES,
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    decode_certificate,
    decode_header,
    encode_certificate,
    encode_header,
    header_hash,
)
from consensus.records import Intent, decode_record
from consensus.verify import certificate_valid
from node.decree import TIME_MAX_MS
from node.storage.guard import Spoken, View
from node.sync_descent import DESCENT_BLOCKS_MAX
from node.terms import TERMS_MAX

REPORT_TAG: Final = b"som-emergency-report-1"
REPORT_BYTES_MAX: Final = 32 << 20
CERTIFICATES_MAX: Final = 1_024  # the newest; a view has one that counts here, and few are open at once
HEADERS_MAX: Final = DESCENT_BLOCKS_MAX + 1  # of the stored tip and what nobody finalized above it: 15 MB
REPORTS_MAX: Final = 128  # of validators and of observers
_FORM: Final = 1


class ReportInvalid(Exception):
    """A report that cannot be one, or reports that cannot be of one chain."""


@dataclass(frozen=True)
class Report:
    """What a home holds, its guard being closed. ``certificates`` notarize or finalize; ``blocks`` are whole here.

    ``spoken`` is up to where the key had spoken by its guard, ``known`` up to where store and journal tell of it.
    """

    genesis_hash: bytes
    term: int  # that is to begin
    public: PublicKey
    spoken: Spoken
    known: View
    tip_height: int
    certificates: tuple[Certificate, ...]
    blocks: tuple[Header, ...]  # the stored tip, and those above it that are here with their batches
    time_ms: int
    signature: Signature

    @property
    def whole(self) -> bool:
        """Whether the home holds all that its key has ever promised."""
        return not self.spoken.based and self.spoken.newest <= self.known

    @cached_property
    def statement(self) -> bytes:
        """The 32 bytes that are signed."""
        return digest(REPORT_TAG, self._body)

    @cached_property
    def encoded(self) -> bytes:
        """The form of files."""
        return encode((_FORM, self._body, self.signature))

    @cached_property
    def _body(self) -> bytes:
        spoken = (*self.spoken.newest, self.spoken.based)
        certificates = [encode_certificate(each) for each in self.certificates]
        blocks = [encode_header(header) for header in self.blocks]
        names = (self.genesis_hash, self.term, self.public)
        return encode((_FORM, *names, spoken, self.known, self.tip_height, certificates, blocks, self.time_ms))


def decode_report(data: bytes) -> Report:
    """Return the report in a file. Raises DecodeError. Its signature is not checked here."""
    if len(data) > REPORT_BYTES_MAX:
        raise DecodeError(f"a report has at most {REPORT_BYTES_MAX} bytes")
    form, body, signature = as_tuple(decode(data), 3)
    as_int(form, _FORM, _FORM)
    form, genesis_hash, term, public, spoken, known, tip, certificates, blocks, time_ms = as_tuple(
        decode(as_bytes(body)), 10
    )
    as_int(form, _FORM, _FORM)
    spoken_epoch, spoken_view, based = as_tuple(spoken, 3)
    epoch, view = as_tuple(known, 2)
    return Report(
        as_bytes(genesis_hash, HASH_BYTES),
        as_int(term, 1, TERMS_MAX),
        PublicKey(as_bytes(public, PUBLIC_KEY_BYTES)),
        Spoken((as_int(spoken_epoch), as_int(spoken_view)), as_bool(based)),
        (as_int(epoch), as_int(view)),
        as_int(tip),
        tuple(decode_certificate(as_bytes(each)) for each in as_tuple(certificates, most=CERTIFICATES_MAX)),
        tuple(decode_header(as_bytes(each)) for each in as_tuple(blocks, most=HEADERS_MAX)),
        as_int(time_ms, 0, TIME_MAX_MS),
        Signature(as_bytes(signature, SIGNATURE_BYTES)),
    )


def made_report(
    genesis_hash: bytes,
    term: int,
    public: PublicKey,
    spoken: Spoken,
    tip: tuple[Block, Certificate | None],
    consensus_records: Sequence[bytes],
    whole: Callable[[Block], bool],
    time_ms: int,
) -> Report:
    """Return the report of a home, not signed yet. ``tip`` is its last stored block, with its finalization.

    ``consensus_records`` are the journal's; ``whole`` says of a block whether all that its payload names is here.
    """
    stored, own = tip
    header = stored.header
    facts = [decode_record(record) for record in consensus_records]
    certificates = [
        fact
        for fact in facts
        if isinstance(fact, Certificate) and fact.kind is not Kind.NULLIFY and fact.epoch >= header.epoch
    ]
    if own is not None:
        certificates.append(own)
    newest = {(each.epoch, each.view, each.kind): each for each in certificates}
    views = [(fact.epoch, fact.view) for fact in (*facts, own) if isinstance(fact, Intent | Certificate)]
    above = {
        fact.hash: fact.header
        for fact in facts
        if isinstance(fact, Block) and fact.header.height > header.height and whole(fact)
    }
    blocks = [header, *sorted(above.values(), key=lambda header: header.height)]
    return Report(
        genesis_hash,
        term,
        public,
        spoken,
        max(views, default=(0, 0)),
        header.height,
        tuple(newest[key] for key in islice(sorted(newest, reverse=True), CERTIFICATES_MAX)),
        tuple(blocks[:HEADERS_MAX]),
        time_ms,
        Signature(bytes(SIGNATURE_BYTES)),
    )


# --- the base ---


@dataclass(frozen=True, slots=True)
class Share:
    """A committee that could go on, and what of it has reported: all, and those whose home holds all they promised."""

    committee: Committee
    closed: int
    whole: int

    @property
    def blocked(self) -> bool:
        """Whether it can not go on any more."""
        return self.closed > self.committee.faulty_max

    @property
    def certain(self) -> bool:
        """Whether one who reported has cast FINALIZE for whatever is final. R62"""
        return self.whole > self.committee.faulty_max


@dataclass(frozen=True, slots=True)
class Base:
    """Where the chain goes on. ``lost`` are certified blocks above it that nobody holds any more: perhaps payments."""

    header: Header
    certificate: Certificate | None
    lost: tuple[Certificate, ...]


def require_reports(
    reports: Sequence[Report], genesis_hash: bytes, term: int, known: Callable[[int], Committee | None]
) -> None:
    """Raise ReportInvalid unless each is what its key says of this network, for this term, and none is stale."""
    if not 0 < len(reports) <= REPORTS_MAX:
        raise ReportInvalid(f"1 to {REPORTS_MAX} reports")
    keys = [report.public for report in reports]
    if len({*keys}) != len(keys):
        raise ReportInvalid("two reports of one validator")
    for report in reports:
        name = report.public.hex()[:16]
        if report.genesis_hash != genesis_hash:
            raise ReportInvalid(f"{name}: a report of another network")
        if report.term != term:
            raise ReportInvalid(f"{name}: a report for term {report.term}, not {term}")
        if not verify(report.public, report.statement, report.signature):
            raise ReportInvalid(f"{name}: the signature does not hold")
        for certificate in report.certificates:
            committee = known(certificate.epoch)
            if committee is None:
                raise ReportInvalid(f"{name}: the committee of epoch {certificate.epoch} is not known here yet")
            if certificate.kind is Kind.NULLIFY or not certificate_valid(certificate, committee, Hash(genesis_hash)):
                raise ReportInvalid(f"{name}: a certificate that no quorum signed")


def without_stale(reports: Sequence[Report], known: Callable[[int], Committee | None]) -> list[Report]:
    """Return the reports; one whose key signed what it does not know of is whole no more: its home is an old copy."""
    signed: dict[bytes, View] = {}
    for report in reports:
        for certificate in report.certificates:
            committee = known(certificate.epoch)
            assert committee is not None
            for index, _ in certificate.signatures:
                key, at = committee.validators[index].public_key, (certificate.epoch, certificate.view)
                signed[key] = max(signed.get(key, (0, 0)), at)
    return [
        replace(
            report, spoken=replace(report.spoken, newest=max(report.spoken.newest, signed.get(report.public, (0, 0))))
        )
        for report in reports
    ]


def share_of(committee: Committee, reports: Sequence[Report]) -> Share:
    """Return what of a committee has reported."""
    places = [(report, committee.index(report.public)) for report in reports]
    closed = committee.weight(index for _, index in places if index is not None)
    whole = committee.weight(index for report, index in places if index is not None and report.whole)
    return Share(committee, closed, whole)


def choose_base(reports: Sequence[Report], below: Callable[[int], Header | None]) -> Base:
    """Return the base: of all blocks that a quorum certified, that of the highest view which somebody holds whole. R62

    ``below`` gives the header of a final block of the planner's own chain. Raises ReportInvalid if something final is
    not on the way down from the base: then more was faulty than may be.
    """
    held = {header_hash(header): header for report in reports for header in report.blocks}
    tips = {report.blocks[0].height: report.blocks[0] for report in reports if report.blocks}
    certified: dict[tuple[int, int], Certificate] = {}
    for report in reports:
        for certificate in report.certificates:
            at = (certificate.epoch, certificate.view)
            if at in certified and certified[at].hash != certificate.hash:
                raise ReportInvalid(f"two blocks are certified in view {at[1]} of epoch {at[0]}")
            if at not in certified or certificate.kind is Kind.FINALIZE:
                certified[at] = certificate
    lost: list[Certificate] = []
    for at in sorted(certified, reverse=True):
        certificate = certified[at]
        header = held.get(certificate.hash)
        if header is None or not _reaches(header, held, tips, below):
            lost.append(certificate)
            continue
        _require_above_all(header, held, certified.values(), below)
        _require_highest(header, below)
        return Base(header, certificate, tuple(lost))
    # Nothing above the stored tips is certified and here: the highest tip, which a decree or genesis made final.
    highest = max(tips, default=None)
    if highest is None:
        raise ReportInvalid("no report holds a block")
    _require_highest(tips[highest], below)
    return Base(tips[highest], None, tuple(lost))


def _require_highest(header: Header, below: Callable[[int], Header | None]) -> None:
    if below(header.height + 1) is not None:
        raise ReportInvalid(f"block {header.height + 1}, final here, is above the base: have this home report too")


def _reaches(
    header: Header, held: dict[Hash, Header], tips: dict[int, Header], below: Callable[[int], Header | None]
) -> bool:
    """Return whether all blocks down to what somebody has stored are held."""
    while header_hash(header) not in {header_hash(tip) for tip in tips.values()}:
        own = below(header.height)
        if own is not None:
            return header_hash(own) == header_hash(header)
        parent = held.get(header.parent_hash)
        if parent is None:
            return False
        header = parent
    return True


def _require_above_all(
    header: Header, held: dict[Hash, Header], certified: Iterable[Certificate], below: Callable[[int], Header | None]
) -> None:
    path = {header_hash(header)}
    low = header
    while (parent := held.get(low.parent_hash)) is not None and parent.height == low.height - 1:
        path.add(header_hash(parent))
        low = parent
    for certificate in certified:
        final = held.get(certificate.hash)
        if certificate.kind is not Kind.FINALIZE or final is None or final.height > header.height:
            continue
        if final.height >= low.height and certificate.hash not in path:
            raise ReportInvalid(f"the final block of height {final.height} is not below the base")
    for height in range(low.height, header.height + 1):
        own = below(height)
        if own is not None and header_hash(own) not in path:
            raise ReportInvalid(f"block {height}, final here, is not below the base")
