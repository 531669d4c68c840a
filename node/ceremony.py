"""The steps of an emergency ceremony, each on one home whose node stands still: report, plan, sign, apply.

One rule: a step that binds this validator is durable in its guard before anything of it leaves. What a step is not sure
of it refuses; what a person alone can know it takes from a person, by name (docs/emergency.md).
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from consensus.committee import Committee
from consensus.crypto import PublicKey, SecretKey
from consensus.messages import Block, Certificate, Header, Kind, decode_block, decode_certificate, header_hash
from consensus.records import decode_record
from node.batches import BatchDigest, decode_batch, decode_payload
from node.config import Config, ConfigError
from node.decree import (
    Authority,
    Decree,
    DecreeConflict,
    DecreeInvalid,
    DecreeShort,
    DecreeUnknown,
    Member,
    SignedDecree,
    Standing,
    central_bank,
    could_go_on,
    decode_decree,
    merged,
    require_stands,
    standing_of,
)
from node.driver import BATCH_RECORD, CONSENSUS_RECORD
from node.emergency import Base, Report, Share, choose_base, made_report, require_reports, share_of, without_stale
from node.epochs import Epochs
from node.home import open_decrees, read_config, read_genesis, require_followed
from node.ledger.account import decode_account
from node.ledger.genesis import Genesis
from node.ledger.state import account_key
from node.ledger.validators import Roster, decode_roster
from node.signing.home import open_own, open_signer
from node.signing.signer import OwnSigner
from node.storage.decrees import keep_decree
from node.storage.guard import Spoken
from node.storage.journal import Journal
from node.storage.store import Store
from node.terms import first_epoch


@dataclass(frozen=True, slots=True)
class Chain:
    """A home's chain, open; its node stands still."""

    home: Path
    config: Config
    genesis: Genesis
    store: Store
    epochs: Epochs

    @property
    def next_term(self) -> int:
        """The term that the next decree begins."""
        return len(self.epochs.decrees) + 1

    @property
    def before(self) -> SignedDecree | None:
        """The newest decree that this home follows."""
        return self.epochs.decrees[-1] if self.epochs.decrees else None

    def known(self, epoch: int) -> Committee | None:
        """Return the committee of an epoch, as far as it follows from what is here."""
        members = self.epochs.members(epoch)
        return None if members is None else members.committee

    def header(self, height: int) -> Header | None:
        """Return the header of a final block."""
        stored = self.store.block(height) if height <= self.store.tip.height else None
        return None if stored is None else decode_block(stored.block_bytes).header

    def roster(self) -> Roster:
        """Return the seats after the stored tip."""
        return decode_roster(self.store.roster_at(self.store.tip.height))

    def authority(self, account: int) -> Authority | None:
        """Return the central bank's authority that an account is, after the stored tip; None if it is none."""
        record = self.store.get(account_key(account))
        return None if record is None else central_bank(decode_account(account, record))

    def standing(self, signed: SignedDecree) -> Standing:
        """Return how much weight has signed a decree. Raises DecreeInvalid."""
        return standing_of(signed, self.genesis.hash, self.epochs.length, self._before(signed), self.known)

    def require_stands(self, signed: SignedDecree, allow_short: bool) -> None:
        """Raise DecreeInvalid unless a decree stands."""
        before = self._before(signed)
        require_stands(signed, self.genesis.hash, self.epochs.length, before, self.known, allow_short)

    def _before(self, signed: SignedDecree) -> Decree | None:
        term = signed.decree.term
        return self.epochs.decrees[term - 2].decree if 2 <= term <= len(self.epochs.decrees) + 1 else None


def open_chain(home: Path, resources: ExitStack) -> Chain:
    """Open the chain of a home whose node stands still. Raises ConfigError, StorageError."""
    config = read_config(home)
    genesis = read_genesis(home / config.genesis)
    store = Store.open(home / config.data / "store", genesis.hash)
    resources.callback(store.close)
    return Chain(home, config, genesis, store, Epochs(genesis, store, open_decrees(home, genesis)))


def open_consensus_key(
    chain: Chain, signer_home: Path | None, passphrase: bytes | None, resources: ExitStack
) -> OwnSigner:
    """Open the consensus key and its guard: in a node's home, or in its signer's. Raises ConfigError, StorageError."""
    if chain.config.observer:
        raise ConfigError(f"{chain.home}: an observer has no key to vote with")
    if signer_home is not None:
        return open_signer(signer_home, chain.genesis, passphrase, resources)
    if chain.config.signer.socket:
        raise ConfigError(f"{chain.home}: its key is with the signer at {chain.config.signer.socket}: name its home")
    keys = chain.config.keys
    return open_own(chain.home, keys.consensus, keys.guard, chain.genesis, passphrase, resources)


# --- report ---


def report(chain: Chain, signer: OwnSigner, resources: ExitStack, now_ms: int) -> Report:
    """Close the guard for the next decree, and return what this home holds, signed. Raises GuardRefused. R64"""
    epoch = first_epoch(chain.next_term)
    spoken = signer.close_below(epoch)  # first: whatever happens then, nothing of the term before is signed
    made = _made(chain, signer.public, spoken, resources, now_ms)
    return replace(made, signature=signer.sign_report(epoch, made.statement))


def report_of_observer(chain: Chain, node_key: SecretKey, resources: ExitStack, now_ms: int) -> Report:
    """Return what an observer holds, signed by its node key: of no weight, and perhaps it has what the lost had."""
    made = _made(chain, node_key.public, Spoken((0, 0), False), resources, now_ms)
    return replace(made, signature=node_key.sign(made.statement))


def _made(chain: Chain, public: PublicKey, spoken: Spoken, resources: ExitStack, now_ms: int) -> Report:
    consensus, batches = _journal(chain, resources)
    here = {*batches}

    def whole(block: Block) -> bool:
        return all(name in here or chain.store.batch(name) is not None for name in decode_payload(block.payload))

    stored, certificate = chain.store.block(chain.store.tip.height), chain.store.tip.certificate
    assert stored is not None, "the tip is there"
    tip = decode_block(stored.block_bytes), decode_certificate(certificate) if certificate else None
    return made_report(chain.genesis.hash, chain.next_term, public, spoken, tip, consensus, whole, now_ms)


def _journal(chain: Chain, resources: ExitStack) -> tuple[list[bytes], list[BatchDigest]]:
    """Return the journal's records of consensus, and the digests of its batches."""
    journal, records = Journal.open(chain.home / chain.config.data / "journal")
    resources.callback(journal.close)
    consensus = [payload for kind, payload in records if kind == CONSENSUS_RECORD]
    batches = [decode_batch(chain.genesis.hash, payload).digest for kind, payload in records if kind == BATCH_RECORD]
    return consensus, batches


# --- plan ---


@dataclass(frozen=True, slots=True)
class Plan:
    """A decree that nobody has signed yet, and what is certain of it."""

    signed: SignedDecree
    base: Base
    shares: tuple[Share, ...]  # of each committee that could go on

    @property
    def certain(self) -> bool:
        """Whether no acknowledged payment is lost, and nobody can go on as before."""
        return not self.base.lost and all(share.certain and share.blocked for share in self.shares)


def plan(chain: Chain, reports: Sequence[Report], account: int, roster: Roster, reason: str, now_ms: int) -> Plan:
    """Return the decree that the reports lead to. Raises ReportInvalid, DecreeInvalid, DecodeError."""
    require_reports(reports, chain.genesis.hash, chain.next_term, chain.known)
    sound = without_stale(reports, chain.known)
    base = choose_base(sound, chain.header)
    authority = chain.authority(account)
    if authority is None:
        raise DecreeInvalid("the account is none of the central bank")
    header, certificate = base.header, base.certificate
    begun = chain.before is not None and chain.before.decree.base_hash == header_hash(header)
    if begun and chain.before is not None:
        certificate = chain.before.certificate
    decree = Decree(
        chain.genesis.hash,
        chain.next_term,
        header.height,
        header_hash(header),
        authority,
        tuple(sorted(roster, key=lambda seat: seat.name)),
        reason,
        now_ms,
    )
    signed = SignedDecree(decree, header, certificate, () if begun else _following(chain, header))
    chain.standing(decode_decree(signed.encoded))  # whatever is wrong with it is said now
    before = None if chain.before is None else chain.before.decree
    committees = could_go_on(signed, chain.epochs.length, before, chain.known)
    return Plan(signed, base, tuple(share_of(committee, sound) for committee in committees))


def _following(chain: Chain, header: Header) -> tuple[Member, ...]:
    if header.height == 0 or header.height % chain.epochs.length:
        return ()
    named = chain.epochs.named_by(header)
    if named is None:
        raise DecreeUnknown("the committee that the base names is not known here yet")
    return tuple((row.consensus_key, row.weight) for row in named.rows)


# --- sign ---


def sign_as_bank(signed: SignedDecree, keys: Sequence[SecretKey]) -> SignedDecree:
    """Return a decree with the signatures of these keys too. Raises DecreeInvalid for a key that is not the bank's."""
    known = dict(signed.decree.authority.keys)
    if any(key.public not in known for key in keys):
        raise DecreeInvalid("a key that is not the central bank's")
    made = tuple(sorted((bytes(key.public), bytes(key.sign(signed.decree.digest))) for key in keys))
    return merged(signed, replace(signed, bank=made))


def sign_as_validator(
    chain: Chain, signer: OwnSigner, signed: SignedDecree, may_lose: bool, resources: ExitStack
) -> SignedDecree:
    """Return a decree with this validator's signature too, having looked whether it leaves out anything that is here.

    Raises DecreeInvalid, DecreeConflict; GuardRefused if the guard is not closed, or has signed another decree. R64
    """
    chain.standing(signed)
    if signed.decree.term != chain.next_term:
        raise DecreeInvalid(f"a decree of term {signed.decree.term}; the next one is {chain.next_term}")
    if chain.authority(signed.decree.authority.account) != signed.decree.authority:
        raise DecreeInvalid("the account named is not the central bank's, or has other keys")
    _require_nothing_lost(chain, signed, may_lose, resources)
    signature = signer.sign_decree(first_epoch(signed.decree.term), signed.decree.digest)
    return merged(signed, replace(signed, validators=((bytes(signer.public), bytes(signature)),)))


def _require_nothing_lost(chain: Chain, signed: SignedDecree, may_lose: bool, resources: ExitStack) -> None:
    """Raise unless the base is above all that is final here and, unless it may be lost, all that is certified here."""
    require_followed(chain.store, (signed,))
    if chain.store.tip.height > signed.decree.base_height:
        raise DecreeConflict(f"block {chain.store.tip.height} is final here, above the decree's base")
    consensus, _ = _journal(chain, resources)
    facts = [decode_record(record) for record in consensus]
    certified = [fact for fact in facts if isinstance(fact, Certificate) and fact.kind is not Kind.NULLIFY]
    base = signed.certificate
    at = (base.epoch, base.view) if base is not None else (signed.header.epoch, signed.header.view)
    above = [fact for fact in certified if (fact.epoch, fact.view) > at and fact.hash != signed.decree.base_hash]
    if above and not may_lose:
        last = max(above, key=lambda fact: (fact.epoch, fact.view))
        raise DecreeInvalid(f"a block certified in view {last.view} of epoch {last.epoch} is above the decree's base")


# --- apply ---


def apply(chain: Chain, signer: OwnSigner | None, signed: SignedDecree, accepted: bytes | None) -> bool:
    """Have a home follow a decree from its next start on; return whether it did not before.

    ``accepted`` is the digest that a person knows the decree by: it takes the place of what is not known here, or of
    signatures of validators who are lost. ``signer`` is None for an observer.
    Raises DecreeInvalid, DecreeConflict; GuardRefused if its key has signed another decree. R64
    """
    decree = signed.decree
    if accepted is not None and accepted != decree.digest:
        raise DecreeInvalid(f"this is decree {decree.digest.hex()}")
    known = chain.epochs.decrees[decree.term - 1] if decree.term < chain.next_term else None
    if known is not None:
        if known.decree.digest != decree.digest:
            raise DecreeConflict(f"another decree of term {decree.term} is followed here: {known.decree.digest.hex()}")
        return False
    if decree.term != chain.next_term:
        raise DecreeInvalid(f"a decree of term {decree.term}; the next one is {chain.next_term}")
    try:
        chain.require_stands(signed, allow_short=accepted is not None)
    except (DecreeShort, DecreeUnknown):
        if accepted is None:
            raise
    require_followed(chain.store, (signed,))
    if signer is not None:
        epoch = first_epoch(decree.term)
        signer.close_below(epoch)
        signer.guard.remember_decree(epoch, decree.digest)
    keep_decree(chain.home, decree.term, signed.encoded)
    return True
