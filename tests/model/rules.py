"""The rules that the model follows, and every way in which a planted fault departs from them."""

from dataclasses import dataclass
from typing import Final

AGREEMENT: Final = "two finalized blocks conflict"
ONE_NOTARIZATION: Final = "two blocks are notarized in one view"
EXCLUSION: Final = "a view is both finalized and nullified"
DESCENT: Final = "a notarization above a finalization does not descend from it"
FOUNDATION: Final = "a block is finalized that is not notarized in its view"
TRAP: Final = "honest validators alone cannot leave their view"
NO_PARENT: Final = "the next honest leader finds no parent it can prove"
FORK: Final = "the next honest leader can build beside a finalized block"

SAFETY: Final = (AGREEMENT, ONE_NOTARIZATION, EXCLUSION, DESCENT, FOUNDATION)
PROGRESS: Final = (TRAP, NO_PARENT, FORK)


@dataclass(frozen=True)
class Rules:
    """The protocol for four equal validators, one of them a liar (R1); each flag is a rule that is not kept."""

    validators: int = 4
    liars: int = 1
    quorum: int = 3  # votes, of equal weight
    variants: int = 2  # blocks that a lying leader proposes on one parent
    end_height: int | None = None  # on a parent of this height that block is proposed again (R46)

    second_notarize: bool = False  # against R6: more than one NOTARIZE in a view
    notarize_after_nullify: bool = False  # against R6
    nullify_after_notarize_forbidden: bool = False  # against R7, which calls it normal
    nullify_after_finalize: bool = False  # against R7
    finalize_after_nullify: bool = False  # against R7
    second_finalize: bool = False  # against R7
    finalize_unseen: bool = False  # against R25: FINALIZE for a proposal without its notarization
    notarization_not_durable: bool = False  # against R8: a FINALIZE whose notarization a crash has lost
    hashes_mixed: bool = False  # against R3, R22: NOTARIZE votes for several blocks are added up
    gaps_unproven: bool = False  # against R16: skipped views need no nullification
    parent_unproven: bool = False  # against R15, R18: any block proposed in the parent view is a parent
    view_unproven: bool = False  # against R4: a view is entered without a certificate of the one before

    @property
    def honest(self) -> int:
        """Count the honest validators."""
        return self.validators - self.liars

    @property
    def needed(self) -> int:
        """Count the honest votes in a certificate, to which the liars add theirs at any time."""
        return max(0, self.quorum - self.liars)


@dataclass(frozen=True)
class Mutant:
    """A planted fault in the rules, and all that it breaks in runs of so many views and at most 13 steps."""

    why: str
    views: int
    breaks: frozenset[str]
    rules: Rules


PROTOCOL: Final = Rules()
STEPS: Final = 13  # enough for every mutant's shortest way to two finalized blocks that conflict

_FORKS: Final = frozenset({AGREEMENT, DESCENT, FORK})

MUTANTS: Final[dict[str, Mutant]] = {
    "quorum-2f": Mutant(
        "two votes of four make a certificate",
        1,
        _FORKS | {ONE_NOTARIZATION, EXCLUSION},
        Rules(quorum=2),
    ),
    "two-liars": Mutant(
        "two of four lie, and the two honest ones are no quorum",
        1,
        frozenset({AGREEMENT, DESCENT, ONE_NOTARIZATION, EXCLUSION, TRAP}),
        Rules(liars=2),
    ),
    "second-notarize": Mutant(
        "a validator notarizes twice in a view",
        2,
        _FORKS | {ONE_NOTARIZATION},
        Rules(second_notarize=True),
    ),
    "finalize-after-nullify": Mutant(
        "a validator finalizes in a view that it nullified",
        2,
        _FORKS | {EXCLUSION},
        Rules(finalize_after_nullify=True),
    ),
    "nullify-after-finalize": Mutant(
        "a validator nullifies a view in which it finalized",
        2,
        _FORKS | {EXCLUSION},
        Rules(nullify_after_finalize=True),
    ),
    "amnesia": Mutant(
        "a restart forgets all promises",
        1,
        _FORKS | {ONE_NOTARIZATION, EXCLUSION},
        Rules(second_notarize=True, finalize_after_nullify=True, nullify_after_finalize=True, second_finalize=True),
    ),
    "gaps-unproven": Mutant(
        "a parent is accepted though views above it are not nullified",
        2,
        _FORKS,
        Rules(gaps_unproven=True),
    ),
    "parent-unproven": Mutant(
        "a parent is accepted that was proposed in its view and not certified",
        2,
        _FORKS,
        Rules(parent_unproven=True),
    ),
    "hashes-mixed": Mutant(
        "votes for different blocks are added up to one certificate",
        2,
        _FORKS | {ONE_NOTARIZATION},
        Rules(hashes_mixed=True),
    ),
    "finalize-unseen": Mutant(
        "a proposal is finalized without its notarization",
        2,
        _FORKS | {FOUNDATION, TRAP},
        Rules(finalize_unseen=True),
    ),
    "notarization-lost": Mutant(
        "a crash leaves a FINALIZE whose notarization was not durable",
        2,
        frozenset({TRAP}),
        Rules(notarization_not_durable=True),
    ),
    "no-way-back": Mutant(
        "who has notarized may not nullify, so votes that are split stay split",
        2,
        frozenset({TRAP}),
        Rules(nullify_after_notarize_forbidden=True),
    ),
    "view-unproven": Mutant(
        "a view is entered without a certificate of the one before",
        2,
        frozenset({NO_PARENT}),
        Rules(view_unproven=True),
    ),
    "unanimity": Mutant(
        "a certificate takes all four, so one silent liar stops everything",
        1,
        frozenset({TRAP}),
        Rules(quorum=4),
    ),
    # Two departures that cost nothing; the protocol forbids them for the sake of one simple rule.
    "notarize-after-nullify": Mutant(
        "NULLIFY, then NOTARIZE in one view", 3, frozenset(), Rules(notarize_after_nullify=True)
    ),
    "second-finalize": Mutant(
        "a second FINALIZE in a view: there is no second notarization for it",
        3,
        frozenset(),
        Rules(second_finalize=True),
    ),
}
