"""Mutants of the simulator: a judge that is blind, and who else is not what it seems, is noticed by the tests of it."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

JUDGE: Final = "tests/simulation/judge.py"
SUCCESSION: Final = "tests/simulation/succession.py"
LIARS: Final = "tests/simulation/liars.py"

BREACHES: Final = suite("simulation_judge")


def _blind(name: str, invariant: str, sees: str, blind: str = "if False:") -> Mutant:
    return one(name, f"judge: {invariant}", JUDGE, sees, blind, BREACHES)


VOTES: Final = (
    _blind(
        "a quorum of two thirds is enough",
        *("certificate", "> 2 * sum(weights)", ">= 2 * sum(weights)"),
    ),
    _blind(
        "members are counted, not weights",
        *("certificate", "3 * sum(weights[signer] for signer in signers", "3 * sum(1 for signer in signers"),
    ),
    _blind(
        "blind to votes with a bad signature", "discipline", "if self._node(vote) != signer or not self._genuine(vote):"
    ),
    _blind(
        "blind to what a vote's signature is over",
        *("discipline", "return vote.signer < len(keys) and self._verify(", "return True or self._verify("),
    ),
    _blind("blind to two votes of one kind in a view", "discipline", "if earlier != vote.hash:"),
    _blind(
        "blind to FINALIZE and NULLIFY in a view",
        *("discipline", "if Kind.FINALIZE in signed and Kind.NULLIFY in signed:"),
    ),
    _blind(
        "blind to promises of an earlier life",
        "discipline",
        "signed = self._discipline.setdefault((signer, vote.epoch, vote.view), {})",
        "signed: dict[Kind, bytes] = {}",
    ),
    _blind(
        "blind to FINALIZE without a notarization",
        *("justified", "if vote.kind is Kind.FINALIZE and vote.hash not in", "if False and vote.hash not in"),
    ),
    _blind(
        "blind to votes that were sent and not signed",
        "discipline",
        "elif self._node(vote) != sender or",
        "elif False and",
    ),
    _blind(
        "blind to certificates that are sent",
        "certificate",
        "if honest:\n            for",
        "if False:\n            for",
    ),
    _blind(
        "does not count what liars send",
        "exclusion",
        "if self._node(vote) not in self._honest and self._genuine(vote):",
    ),
    _blind(
        "counts the votes that liars forge",
        "exclusion",
        "if self._node(vote) not in self._honest and self._genuine(vote):",
        "if True:",
    ),
    _blind(
        "does not count the proposals of liars",
        "exclusion",
        "elif not honest:\n                    self._liar_signed(message.vote)",
        "elif False:\n                    pass",
    ),
    _blind(
        "blind to two notarized blocks of a view",
        *("exclusion", "if kind is not Kind.NULLIFY and len(self._reached[kind][place]) > 1:"),
    ),
    _blind(
        "blind to a view both finalized and nullified",
        *("exclusion", "if place in self._reached[Kind.FINALIZE] and place in self._reached[Kind.NULLIFY]:"),
    ),
)

BLOCKS: Final = (
    _blind(
        "blind to parents that are not notarized",
        "justified",
        "elif not self._certified(vote.epoch,",
        "elif False and (vote.epoch,",
    ),
    _blind("blind to skipped views", "justified", "if (vote.epoch, view) not in self._reached[Kind.NULLIFY]:"),
    _blind(
        "sees only the first skipped view",
        "justified",
        "for view in range(parent_view + 1, vote.view):",
        "for view in range(parent_view + 1, min(parent_view + 2, vote.view)):",
    ),
    _blind("blind to a block's epoch", "justified", "header.epoch != vote.epoch\n            or ", ""),
    _blind(
        "blind to a block's leader", "justified", "or header.proposer != self.leader(header.epoch, header.view)\n", "\n"
    ),
    _blind(
        "blind to the heights of an epoch",
        "justified",
        "or not self._ends.get(header.epoch - 1, 0) < header.height <= self._ends[header.epoch]\n",
        "\n",
    ),
    _blind("blind to a block's height", "justified", "or header.height != parent.height + 1\n", "\n"),
    _blind("blind to a middle block proposed again", "justified", "if header.height != self._ends.get(epoch):"),
    _blind(
        "blind to the wrong first block of an epoch",
        "justified",
        "return self._roots.get(epoch) == block_hash",
        "return True",
    ),
    _blind(
        "blind to a notarization beside a finalization",
        "descent",
        "if final is not None and view > final[0] and not self._descends(block_hash, final[1]):",
    ),
    _blind("blind to two finalized chains", "descent", "if not self._descends(high[1], low[1]):"),
    _blind(
        "blind to an earlier notarization beside a finalization", "descent", "if not self._descends(other, block_hash):"
    ),
    _blind("any block descends from any", "descent", "return block_hash == ancestor", "return True"),
)

DISKS: Final = (
    _blind("blind to promises that are not on disk", "durable", "if promise not in facts:"),
    _blind("blind to blocks that are not on disk", "durable", 'if ("block", vote.hash) not in facts:'),
    _blind("blind to batches that are not on disk", "batches", "if not again and not all(", "if False and not all("),
    _blind(
        "blind to notarizations that are not on disk",
        "durable",
        'if ("certificate", int(Kind.NOTARIZE), vote.epoch, vote.view, vote.hash) not in facts:',
    ),
    _blind(
        "blind to what a rotation loses",
        *("durable", 'if fact[0] in ("vote", "certificate") and', "if False and"),
    ),
    _blind(
        "blind to certificates that a rotation loses", "durable", 'in ("vote", "certificate") and', 'in ("vote",) and'
    ),
)

CHAINS: Final = (
    _blind(
        "blind to certificates without a quorum",
        "certificate",
        "or not self._is_quorum(certificate.epoch, set(signers)):",
        "or False:",
    ),
    _blind("blind to a signer who counts twice", "certificate", "if len(set(signers)) != len(signers) or", "if"),
    _blind(
        "blind to what a certificate names",
        "certificate",
        "if (certificate.hash == NOTHING) != (certificate.kind is Kind.NULLIFY):",
    ),
    _blind(
        "blind to forged signatures in a certificate",
        "certificate",
        "if signer >= len(keys) or not self._verify(keys[signer], statement, signature):",
    ),
    _blind(
        "any certificate finalizes",
        "certificate",
        "if certificate.kind is not Kind.FINALIZE or not blocks or certificate.hash != blocks[-1].hash:",
    ),
    _blind(
        "a certificate of any block finalizes", "certificate", "or certificate.hash != blocks[-1].hash:", "or False:"
    ),
    _blind("blind to gaps in a chain", "chain", "if header.height != height or header.parent_hash != parent:"),
    _blind(
        "blind to a wrong parent",
        "chain",
        "if header.height != height or header.parent_hash != parent:",
        "if header.height != height:",
    ),
    _blind(
        "blind to a final block of another leader",
        *("chain", "if header.proposer != self.leader(header.epoch, header.view):"),
    ),
    _blind(
        "blind to final blocks outside of their epoch",
        "chain",
        "if height > self._ends.get(header.epoch, height) or height <=",
        "if False and height <=",
    ),
    _blind("blind to two final blocks of a height", "agreement", "elif agreed != block.hash:", "elif False:"),
    _blind("blind to a final block under another hash", "chain", "if self._hash_of(block) != block.hash:"),
    _blind("blind to a batch that comes twice", "batches", "if ref in refs:"),
    _blind("looks for a batch in the parent only", "batches", "for _ in range(64):", "for _ in range(1):"),
    _blind(
        "blind to epochs that start differently",
        "agreement",
        "if self._roots.setdefault(epoch, root.hash) != root.hash:",
    ),
    _blind(
        "blind to epochs that end differently",
        "agreement",
        "if self._ends.setdefault(epoch, end_height) != end_height:",
    ),
    _blind("blind to two states of a height", "execution", "if agreed != executed:"),
    _blind("blind to money from nowhere", "execution", "if executed.total != 0 or", "if"),
    _blind("blind to balances below zero", "execution", "or executed.least < 0 or", "or"),
    _blind("blind to evidence that proves nothing", "evidence", "if not same or not (opposed or double) or", "if"),
    _blind(
        "blind to evidence with forged votes",
        "evidence",
        "or not self._genuine(first) or not self._genuine(second):",
        ":",
    ),
    _blind("blind to evidence against the honest", "evidence", "if self._node(first) in self._honest:"),
    _blind("blind to honest messages found invalid", "well-behaved", "if sender in self._honest:"),
)

SEATS: Final = (
    _blind(
        "blind to what liars signed before their epoch began",
        *("exclusion", "for vote in self._early.pop(epoch, ()):", "for vote in ():"),
    ),
    _blind(
        "takes a refused block's seat for a node",
        *(
            "evidence",
            "if self._node(vote) in self._honest or not self._genuine(vote):",
            "if vote.signer in self._honest or not self._genuine(vote):",
        ),
    ),
    one(
        *("only those who are ready at once are looked at", "succession: the faulty stay below a third", SUCCESSION),
        *("(at_once, [*draft.values()], self._worst(seated, draft, faulty))", "(at_once, [*draft.values()])"),
        suite("simulation", only="registrar"),
    ),
    one(
        *("a liar votes from the seat that it had at first", "liars: their seats", LIARS),
        *("return self._members(epoch).place(self.index)", "return self._members(0).place(self.index)"),
        suite("simulation_liars", only="comes_later"),
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*VOTES, *BLOCKS, *DISKS, *CHAINS, *SEATS)
