"""Mutants of consensus: the rules of voting, proposing, committing, recovering and repeating."""

from typing import Final

from tests.mutants.mutant import Edit, Mutant, Storms, one, suite

CORE: Final = "consensus/core.py"
ROUNDS: Final = "consensus/rounds.py"
TALLY: Final = "consensus/tally.py"
PROPOSALS: Final = "consensus/proposals.py"
PLACE: Final = "consensus/place.py"
COMMITTEE: Final = "consensus/committee.py"
CHAIN: Final = "consensus/chain.py"
PEERS: Final = "consensus/peers.py"
TIMING: Final = "consensus/timing.py"
MESSAGES: Final = "consensus/messages.py"
JUDGE: Final = "tests/simulation/judge.py"

STORMS: Final = Storms()
RARE: Final = Storms(250)
STEPS: Final = suite(
    *("consensus_promises", "consensus_tally", "consensus_committee", "consensus_certificates", "consensus_proposals"),
    *("consensus_recovery", "consensus_views", "consensus_epochs", "consensus_help", "consensus_verify"),
    *("consensus_evidence", "consensus_messages", "consensus_scenarios"),
)

# The judge does not look at the disk, so that the consequence itself must show.
_BLIND: Final = Edit(JUDGE, 'promise = ("vote", int(vote.kind)', 'return\n        promise = ("vote", int(vote.kind)')
_PERSISTED: Final = "for record in (*before, Intent(kind, self.epoch, view, block_hash)):"
_VOTE_LOST: Final = Edit(CORE, _PERSISTED, "for record in before:")
_BLOCK_LOST: Final = Edit(CORE, _PERSISTED, _PERSISTED.replace("*before", "*before[1:]"))
_CERTIFICATE_LOST: Final = Edit(CORE, "self._persist(certificate)", "pass")
_SIGN: Final = "self._effects.append(SignVote(kind, self.epoch, view, block_hash))"
_SKIPPED: Final = Edit(PROPOSALS, "if rounds.certificate(Kind.NULLIFY, skipped) is None:", "if False:")


def _kept_unless(kind: str) -> str:
    return f"for record in (*before, *([] if kind is Kind.{kind} else [Intent(kind, self.epoch, view, block_hash)])):"


QUORUMS: Final = (
    one(
        *("quorum one too small", "R1", COMMITTEE),
        *("assert self.quorum == 2 * self.total // 3 + 1", "self.quorum -= 1"),
        *(STORMS, STEPS),
    ),
    one(
        *("quorum one too large", "R1", COMMITTEE),
        *("assert self.quorum == 2 * self.total // 3 + 1", "self.quorum += 1"),
        *(STORMS, STEPS),
    ),
    one(
        *("a validator may outweigh all tolerance", "R1", COMMITTEE),
        *("if not allow_dominant and self.faulty_max and", "if False and"),
        STEPS,
    ),
    Mutant(
        "duplicate votes counted",
        "R22",
        (
            Edit(TALLY, "if vote.signer in votes:\n            return None", "pass"),
            Edit(TALLY, "return first.hash != vote.hash and (vote.kind", "return True or (vote.kind"),
        ),
        (STORMS, STEPS),
    ),
    one(
        *("votes for different blocks summed", "R22", TALLY),
        *("statement = (vote.kind, vote.hash)", "statement = (vote.kind, Hash(b''))"),
        *(STORMS, STEPS),
    ),
    one(
        *("members counted instead of weights", "R22", TALLY),
        *("self._committee.validators[vote.signer].weight\n        self._weights", "1\n        self._weights"),
        *(STORMS, STEPS),
    ),
    one(
        *("a certificate takes votes of another block along", "R22", TALLY),
        *("if votes[signer].hash == last.hash and weight", "if weight"),
        *(STORMS, STEPS),
    ),
)

PROMISES: Final = (
    one(
        *("finalize after nullify", "R7", ROUNDS),
        *("if mine.finalized is not None or mine.nullified:", "if mine.finalized is not None:"),
        *(STORMS, STEPS),
    ),
    one(
        *("nullify after finalize", "R7", ROUNDS),
        *("if mine.nullified or mine.finalized is not None:", "if mine.nullified:"),
        *(STORMS, STEPS),
    ),
    one(
        *("notarize after nullify", "R6", ROUNDS),
        *("if mine.notarized is not None or mine.nullified:", "if mine.notarized is not None:"),
        STEPS,
    ),
    Mutant(
        "notarize every proposal of a view",
        "R6",
        (
            Edit(ROUNDS, "if mine.notarized is not None or mine.nullified:", "if mine.nullified:"),
            Edit(CORE, "round.notarized is None and not round.nullified:", "round.notarized != proposal.vote.hash:"),
            Edit(
                CORE,
                "if round.proposal is None:\n            round.proposal = proposal",
                "if True:\n            round.proposal, round.verdict = proposal, Verdict.PENDING",
            ),
        ),
        (STORMS, STEPS),
    ),
    one(
        *("promises below the floor", "R5", ROUNDS),
        *("if self.closed or view <= self.finalized_view:\n            return False\n        mine", "mine"),
        STEPS,
    ),
    one(*("an observer votes", "R5", CORE), *("if self.me is None or self.halted or not", "if not"), STEPS),
    Mutant("vote not persisted", "R8", (_VOTE_LOST,), (STORMS, STEPS)),
    Mutant("vote not persisted, judge blind", "R8", (_VOTE_LOST, _BLIND), (STORMS,)),
    *(
        Mutant(
            f"{kind} not persisted, judge blind",
            "R8",
            (Edit(CORE, _PERSISTED, _kept_unless(kind)), _BLIND),
            (STORMS, STEPS),
        )
        for kind in ("NOTARIZE", "NULLIFY", "FINALIZE")
    ),
    Mutant("block not persisted", "R8", (_BLOCK_LOST,), (STORMS, STEPS)),
    Mutant("block not persisted, judge blind", "R8", (_BLOCK_LOST, _BLIND), (STORMS,)),
    Mutant("certificate not persisted", "R8", (_CERTIFICATE_LOST,), (STORMS, STEPS)),
    Mutant(
        "votes and certificates not persisted, judge blind",
        "R8",
        (_VOTE_LOST, _CERTIFICATE_LOST, _BLIND),
        (STORMS,),
    ),
    Mutant(
        "signed before persisted",
        "R8",
        (
            Edit(CORE, _PERSISTED, f"{_SIGN}\n        {_PERSISTED}"),
            Edit(CORE, f"{_SIGN}\n        return True", "return True"),
        ),
        (STORMS, STEPS),
    ),
)

PROPOSING: Final = (
    one(*("parent hash not compared", "R18"), PLACE, "and header.parent_hash == parent.hash", "", STORMS, STEPS),
    Mutant("view skipped without nullification", "R16", (_SKIPPED,), (STORMS, STEPS)),
    Mutant(
        "parent below the finalized view, skipped views unchecked",
        "R14",
        (_SKIPPED, Edit(PROPOSALS, "if parent_view < rounds.finalized_view:  # R14", "if False:")),
        (STORMS, STEPS),
    ),
    one(
        *("parent below the finalized view", "R14", PROPOSALS),
        *("if parent_view < rounds.finalized_view:  # R14", "if False:"),
        STEPS,
    ),
    one(
        *("timestamp may stand still", "R18", PLACE),
        *("header.timestamp_ms > before.timestamp_ms", "header.timestamp_ms >= before.timestamp_ms"),
        STEPS,
    ),
    one(
        *("executed height as high as the block", "R18", PLACE),
        *("header.executed_height < header.height", "header.executed_height <= header.height"),
        STEPS,
    ),
    Mutant(
        "proposals of anyone accepted",
        "R13",
        (
            Edit(
                "consensus/verify.py",
                "vote.signer == sender == self._committee.leader(vote.view)",
                "vote.signer == sender",
            ),
            Edit(PLACE, "and header.proposer == self.committee.leader(header.view)", ""),
        ),
        (STORMS, STEPS),
    ),
    one(
        *("a leader builds again after a restart", "R11", CORE),
        *("if round.building_on is not None or round.notarized is not None or round.nullified:", "if False:"),
        *(STORMS, STEPS),
    ),
    one(
        *("a verdict counts for any proposal", "R19", CORE),
        *("if round is None or proposal is None or proposal.vote.hash != event.hash:", "if proposal is None:"),
        STEPS,
    ),
    one(
        *("votes far ahead are kept", "R21", ROUNDS),
        *("if vote.view > self.certified_view + 1 + VIEW_WINDOW:\n            return False\n        found", "found"),
        STEPS,
    ),
)

COMMITTING: Final = (
    Mutant(
        "commit on notarization",
        "R24",
        (
            Edit(
                ROUNDS,
                "if certificate.kind is Kind.FINALIZE:\n            self.raise_floor",
                "if certificate.kind is not Kind.NULLIFY:\n            self.raise_floor",
            ),
            Edit(ROUNDS, "assert certificate.kind is Kind.FINALIZE", "pass"),
            Edit(
                CORE,
                "self._finalize_notarized(certificate)\n            case",
                "self._unsettled = True\n            case",
            ),
        ),
        (STORMS, STEPS),
    ),
    Mutant(
        "epoch ends on a notarized boundary",
        "R47",
        (
            Edit(ROUNDS, "assert certificate.kind is Kind.FINALIZE", "pass"),
            Edit(
                CORE,
                "self._finalize_notarized(certificate)\n            case",
                "self._finalize_notarized(certificate)\n"
                "                last = self._chain.get(certificate.hash)\n"
                "                if last is not None and last.header.height == self.end_height:\n"
                "                    self._rounds.raise_floor(certificate)\n"
                "                    self._unsettled = True\n            case",
            ),
        ),
        (STORMS, STEPS),
    ),
    one(
        *("a fork of the final chain is not seen", "R28", CHAIN),
        *("block.header.height <= self.committed.header.height + 1 and tip != self.committed.hash:", "False:"),
        STEPS,
    ),
    one(
        *("a disputed block does not halt", "R28", CORE),
        *("if round.refused == certificate.hash:  # R28", "if False:"),
        STEPS,
    ),
    one(
        *("synchronized blocks need not be linked", "R40", CHAIN),
        *("return new if follows and linked else ()", "return new if follows else ()"),
        STEPS,
    ),
    one(
        *("synchronized blocks need not continue our chain", "R40", CORE),
        *("if new[0].header.parent_hash != self.committed.hash:  # R28", "if False:"),
        STEPS,
    ),
    Mutant(
        "block beyond the epoch accepted",
        "R46",
        (
            Edit(
                PLACE,
                "header.executed_height < header.height <= self.end_height",
                "header.executed_height < header.height",
            ),
            Edit(
                PROPOSALS,
                "if parent.header.height == place.end_height:  # R46",
                "if parent.header.height == place.end_height and proposal.block is None:",
            ),
        ),
        (RARE, STEPS),
    ),
)

RECOVERING: Final = (
    one(
        *("rotation forgets our votes", "R44", ROUNDS),
        *("records.extend(self.intents(view))", "pass"),
        *(STORMS, STEPS),
    ),
    one(
        *("rotation forgets certificates", "R44", ROUNDS),
        "records.extend(certificate for certificate in mine.tally.certificates if certificate is not None)",
        *("pass", STORMS, STEPS),
    ),
    one(
        *("rotation forgets the finalization", "R44", ROUNDS),
        *("[] if self.finalization is None else [self.finalization]", "[]"),
        *(STORMS, STEPS),
    ),
    one(
        *("floor forgotten at a restart", "R42", CORE),
        *("self._rounds.raise_floor(floor)  # R42", "pass"),
        *(RARE, STEPS),
    ),
    one(
        *("promises below the floor replayed", "R42", ROUNDS),
        *("if record.epoch != self._epoch or record.view <= self.finalized_view:", "if record.epoch != self._epoch:"),
        *(STORMS, STEPS),
    ),
    one(
        *("promises of another epoch replayed", "R42", ROUNDS),
        "if record.epoch != self._epoch or record.view <= self.finalized_view:",
        "if record.view <= self.finalized_view:",
        *(STORMS, STEPS),
    ),
    one(
        *("a journal that contradicts itself is believed", "R41", ROUNDS),
        *("assert mine.finalized is None or not mine.nullified,", "assert True,"),
        STEPS,
    ),
    one(
        *("no retry after a restart", "R41", CORE),
        *("self._deadlines.retry_at = self._now + self._timing.retry_ms\n        for", "for"),
        *(STORMS, STEPS),
    ),
    one(
        *("own votes forgotten in the count after a restart", "R41", CORE),
        "self._effects += [SignVote(kind, self.epoch, view, named) for kind, named in round.promised()]",
        *("pass", STORMS, STEPS),
    ),
)

REPEATING: Final = (
    one(
        *("no retransmission", "R37", PEERS),
        "return [Broadcast(message) for message in ([status] if waiting else [*messages, status])]",
        *("return []", STORMS, STEPS),
    ),
    one(
        *("views that are nullified are told in full at every retry", "R37", ROUNDS),
        *("proven = kind is Kind.NULLIFY and mine", "proven = False and mine"),
        STEPS,
    ),
    one(
        *("a NULLIFY is sent once", "R37", ROUNDS),
        *("NULLIFY and mine.tally.certificates[kind] is not None", "NULLIFY"),
        *(STORMS, STEPS),
    ),
    one(
        *("missing blocks not fetched", "R39", CHAIN),
        *("self.wanted[missing.hash] = Wanted(missing.view, holders)", "return []"),
        *(STORMS, STEPS),
    ),
    one(
        *("no back-off", "R30", TIMING),
        *("grown, base = _POWERS[min(steps, _STEPS_MAX)]", "grown, base = 1, 1"),
        *(STORMS, STEPS),
    ),
    one(
        *("timers stay as long as trouble has made them", "R30", TIMING),
        *("max(0, view - finalized_view - ", "max(0, view - finalized_view // 2 - "),
        *(STORMS, STEPS),
    ),
    one(
        *("waiting never capped", "R30", TIMING),
        "return min(wait_ms * grown // base, wait_ms * self.view_ms_max // self.view_ms)",
        *("return wait_ms * grown // base", STORMS, STEPS),
    ),
    one(
        *("deadlines of an earlier view stay", "R9", CORE),
        *("self._deadlines.enter(self._now, steps, self._idle(), waits)", "pass"),
        *(STORMS, STEPS),
    ),
    one(
        *("a later view's certificate is not followed", "R4", CORE),
        "if self._rounds.certified_view >= self.view:",
        "if not self.view or self._rounds.certified_view == self.view:",
        *(STORMS, STEPS),
    ),
    Mutant(
        "no certificate is sent unasked",
        "R34",
        (
            Edit(PEERS, "messages: list[Message] = [] if final is None else [final]", "messages: list[Message] = []"),
            Edit(
                PEERS,
                "if entry is not None and entry is not final:\n            messages",
                "if False:\n            messages",
            ),
            Edit(PEERS, "if not helpful or not self._may_answer(peer, now_ms):", "if True:"),
            Edit(PEERS, "return [] if entry is None else [Send(peer, entry) for peer in behind]", "return []"),
            Edit(PROPOSALS, "carried, rounds.justification(parent_view, vote.view), rounds", "carried, (), rounds"),
        ),
        (STORMS, STEPS),
    ),
    one(
        *("certificates not shared on entering a view", "R34", PEERS),
        *("return [] if entry is None else [Send(peer, entry) for peer in behind]", "return []"),
        STEPS,
    ),
    one(
        *("who is stuck is not helped", "R35", PEERS),
        *("if not helpful or not self._may_answer(peer, now_ms):", "if True:"),
        STEPS,
    ),
    one(
        *("a proposal travels without its proof", "R11", PROPOSALS),
        *("carried, rounds.justification(parent_view, vote.view), rounds", "carried, (), rounds"),
        STEPS,
    ),
    one(
        *("answers to one peer are unbounded", "R36", PEERS),
        *("granted = min(len(found), CERTIFICATES_ASKED_MAX,", "granted = max(len(found), "),
        STEPS,
    ),
    one(
        *("a silent leader is skipped without a quorum", "R31", PEERS),
        *("return self._committee.weight(active) >= self._committee.quorum", "return True"),
        STEPS,
    ),
    one(
        *("one offence makes evidence again and again", "R45", TALLY),
        *("self._accused.add((vote.kind, vote.signer))", "pass"),
        STEPS,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*QUORUMS, *PROMISES, *PROPOSING, *COMMITTING, *RECOVERING, *REPEATING)
