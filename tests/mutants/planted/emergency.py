"""Mutants of decrees: when one stands, what a closed guard signs, which base is chosen, what follows from it."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

DECREE: Final = "node/decree.py"
GUARD: Final = "node/storage/guard.py"
EMERGENCY: Final = "node/emergency.py"
CEREMONY: Final = "node/ceremony.py"
EPOCHS: Final = "node/epochs.py"
ADOPTION: Final = "node/adoption.py"
FOLLOWING: Final = "node/following.py"
TRUST: Final = "node/client/trust.py"

IN_DECREES: Final = suite("decree")
IN_GUARD: Final = suite("storage_guard", only="closed")
IN_GUARD_DECREES: Final = suite("storage_guard", only="decree")
IN_BASES: Final = suite("emergency")
IN_CEREMONY: Final = suite("cli_emergency")
IN_TERMS: Final = suite("node_terms")
IN_ADOPTION: Final = suite("node_adoption")
IN_FOLLOWING: Final = suite("node_following")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("the central bank's threshold is not asked for", "R63", DECREE),
        *("    if not standing.bank_signed:\n", "    if False:\n"),
        IN_DECREES,
    ),
    one(
        *("validators who are left need not sign", "R63", DECREE),
        *("    if not standing.blocked and not allow_short:\n", "    if False:\n"),
        IN_DECREES,
    ),
    one(
        *("those who may be faulty are enough to block", "R63", DECREE),
        *("committee.faulty_max + 1) for committee in committees", "committee.faulty_max) for committee in committees"),
        IN_DECREES,
    ),
    one(
        *("a base needs no quorum's signatures", "R63", DECREE),
        *(" or not certificate_valid(certificate, committee, Hash(genesis_hash)):", ":"),
        IN_DECREES,
    ),
    one(
        *("the header of a decree need not be its base's", "R63", DECREE),
        *("if header_hash(header) != decree.base_hash or header.height != decree.base_height:", "if False:"),
        IN_DECREES,
    ),
    one(
        *("the committee of a base that is only notarized is not blocked", "R63", DECREE),
        *("return [following] if final else [_known(known, header.epoch), following]", "return [following]"),
        IN_DECREES,
    ),
    one(
        *("the committee that a base names is whoever is shown", "R63", DECREE),
        *("    if following.hash != header.next_validators_hash:\n", "    if False:\n"),
        IN_DECREES,
    ),
    one(
        *("a decree of a stranger's keys", "R63", DECREE),
        *("        if key not in keys:\n", "        if False:\n"),
        IN_DECREES,
    ),
    one(
        *("a closed guard signs on below", "R64", GUARD),
        *("if record.kind in (Kind.REBASE, Kind.CLOSE):", "if record.kind is Kind.REBASE:"),
        IN_GUARD,
    ),
    one(
        *("an open guard signs a decree", "R64", GUARD),
        *("        if said.closed is None:\n", "        if False:\n"),
        IN_GUARD_DECREES,
    ),
    one(
        *("a guard signs two decrees of a term", "R64", GUARD),
        *(
            "    if before is not None:\n        raise GuardRefused(",
            "    if before is not None and kind is not Kind.DECREE:\n        raise GuardRefused(",
        ),
        IN_GUARD_DECREES,
    ),
    one(
        *("a guard that spoke in the term is closed below it", "R64", GUARD),
        *("if at <= max(self.newest, self._watermark):", "if False:"),
        suite("storage_guard", only="spoke_in_the_term"),
    ),
    one(
        *("the base is the lowest certified block", "R62", EMERGENCY),
        *("for at in sorted(certified, reverse=True):", "for at in sorted(certified):"),
        IN_BASES,
    ),
    one(
        *("only what is known to be final is a base", "R62", EMERGENCY),
        *(
            "        for certificate in report.certificates:\n            at =",
            "        for certificate in [c for c in report.certificates if c.kind is Kind.FINALIZE]:\n            at =",
        ),
        IN_BASES,
    ),
    one(
        *("a base may stand on blocks that nobody has", "R62", EMERGENCY),
        *("if header is None or not _reaches(header, held, tips, below):", "if header is None:"),
        IN_BASES,
    ),
    one(
        *("a home that has lost its data knows everything", "R62: what is certain", EMERGENCY),
        *("return not self.spoken.based and self.spoken.newest <= self.known", "return True"),
        IN_BASES,
    ),
    one(
        *("an old copy of a home knows everything", "R62: what is certain", EMERGENCY),
        *("signed[key] = max(signed.get(key, (0, 0)), at)", "pass"),
        IN_BASES,
    ),
    one(
        *("as many as may be faulty make it certain", "R62: what is certain", EMERGENCY),
        *("return self.whole > self.committee.faulty_max", "return self.whole >= self.committee.faulty_max"),
        IN_BASES,
    ),
    one(
        *("the signature of a report is not checked", "reports", EMERGENCY),
        *("if not verify(report.public, report.statement, report.signature):", "if False:"),
        IN_BASES,
    ),
    one(
        *("a report comes before the guard is closed", "R64", CEREMONY),
        *("spoken = signer.close_below(epoch)  # first", "spoken = Spoken((0, 0), False)  # first"),
        suite("cli_emergency", only="data_is_lost"),
    ),
    one(
        *("a validator signs a decree that leaves out what it has", "R64", CEREMONY),
        *("    _require_nothing_lost(chain, signed, may_lose, resources)\n", ""),
        IN_CEREMONY,
    ),
    one(
        *("who applies a decree may follow another one later", "R64", CEREMONY),
        *("        signer.guard.remember_decree(epoch, decree.digest)\n", ""),
        suite("cli_emergency", only="may_lose"),
    ),
    one(
        *("the lost validate again from the next epoch on", "R65", EPOCHS),
        *(
            "return max(header.executed_height, self._begun_above(self.term_above(header.height - 1)))",
            "return header.executed_height",
        ),
        IN_TERMS,
    ),
    one(
        *("the state keeps the roster of the lost", "R65", "node/ledger/execute.py"),
        *("            self._state.roster = decreed\n", "            pass\n"),
        IN_TERMS,
    ),
    one(
        *("the block above a base is of the term before", "R62", EPOCHS),
        *("if signed.decree.base_height <= height)", "if signed.decree.base_height < height)"),
        IN_TERMS,
    ),
    one(
        *("a store beside the base follows the decree", "R63", "node/home.py"),
        *("if tip >= base and below is not None and below.block_hash != signed.decree.base_hash:", "if False:"),
        IN_TERMS,
    ),
    one(
        *("a short decree of a peer is followed", "R63", ADOPTION),
        *("allow_short=False,", "allow_short=True,"),
        IN_ADOPTION,
    ),
    one(
        *("a second decree of a peer is passed over", "R63", ADOPTION),
        *('raise DecreeConflict(f"two decrees', 'raise DecreeInvalid(f"two decrees'),
        IN_ADOPTION,
    ),
    one(
        *("a validator votes on in a term that a decree has ended", "R64", FOLLOWING),
        *(
            "return members.place(peer, key) if self.decree(members.epoch) is None else None",
            "return members.place(peer, key)",
        ),
        IN_ADOPTION,
    ),
    one(
        *("a final block that a decree leaves out is taken", "R63", FOLLOWING),
        *("header.height >= decree.base_height and block.hash != decree.base_hash:", "False:"),
        IN_ADOPTION,
    ),
    one(
        *("a base beside the final chain is followed", "R63", FOLLOWING),
        *("if path and path[0].header.parent_hash != core.committed.hash:", "if False:"),
        IN_ADOPTION,
    ),
    one(
        *("a base is followed only from near", "R65", FOLLOWING),
        *("if decree.base_height - low > DESCENT_BLOCKS_MAX:", "if decree.base_height - low > 1_024:"),
        IN_FOLLOWING,
    ),
    one(
        *("a base is followed from however far", "R65", FOLLOWING),
        *("if decree.base_height - low > DESCENT_BLOCKS_MAX:", "if False:"),
        IN_FOLLOWING,
    ),
    one(
        *("one block on the way a while", "R65", FOLLOWING),
        *("if name != self._asked or now_ms", "if self._asked is None or now_ms"),
        IN_FOLLOWING,
    ),
    one(
        *("a report tells of few blocks", "reports", EMERGENCY),
        *("HEADERS_MAX: Final = DESCENT_BLOCKS_MAX + 1", "HEADERS_MAX: Final = 2_048"),
        IN_FOLLOWING,
    ),
    one(
        *("a client follows the second of two decrees", "R63: clients", TRUST),
        *("if known is not None:\n            raise ProofInvalid(", "if False:\n            raise ProofInvalid("),
        IN_DECREES,
    ),
    one(
        *("a client takes what a decree has left out for final", "R63: clients", TRUST),
        *("if self.term_above(header.height - 1) > term_of(header.epoch):", "if False:"),
        IN_DECREES,
    ),
    one(
        *("a client takes a base below what is final", "R63: clients", TRUST),
        *("if epoch_above(decree.base_height, self.epoch_length, decree.term - 1) < self.epoch:", "if False:"),
        IN_DECREES,
    ),
)
