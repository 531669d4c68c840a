"""A run as words and as a hash: messages in a few words for a reader, and every input and effect as bytes.

One rule: what is folded into the hash is what happened, in the order in which it did; so two runs with one hash are one
run.
"""

from typing import assert_never

from consensus.events import (
    Broadcast,
    BuildBlock,
    CheckBlock,
    Effect,
    EpochEnded,
    Evidence,
    FetchBlock,
    Finalize,
    Halt,
    Persist,
    ProposalRefused,
    Send,
    SetTimer,
    SignVote,
)
from consensus.messages import Certificate, Kind, Message, Proposal, Vote
from tests.simulation.judge import show


def mark(effect: Effect) -> bytes:
    """Return what an effect is and says; of one that sends the message is folded when it goes out."""
    match effect:
        case Persist():
            return b"persist " + effect.record
        case SignVote():
            return b"sign %d %d %d " % (effect.kind, effect.epoch, effect.view) + effect.hash
        case Send():
            return b"send %d" % effect.peer
        case Broadcast():
            return b"broadcast"
        case SetTimer():
            return b"timer %d" % effect.at_ms
        case BuildBlock():
            return b"build %d %d " % (effect.view, effect.waiting) + effect.parent.hash
        case CheckBlock():
            return b"check %d " % effect.view + effect.block.hash + effect.parent.hash
        case FetchBlock():
            return b"fetch %s " % str(effect.holders).encode() + effect.hash
        case Finalize():
            return b"finalize " + b"".join(block.hash for block in effect.blocks)
        case Evidence():
            return b"evidence " + effect.first.signature + effect.second.signature
        case ProposalRefused():
            return b"refused " + effect.vote.signature + effect.parent.hash
        case EpochEnded():
            return b"end " + effect.block.hash
        case Halt():
            return b"halt " + effect.reason.encode()
        case _:
            assert_never(effect)


def describe(message: Message) -> str:
    """Return a message in a few words."""
    match message:
        case Vote():
            return show(message)
        case Certificate():
            name = f" {message.hash.hex()[:6]}" if message.kind is not Kind.NULLIFY else ""
            return f"certificate {message.kind.name} e{message.epoch} v{message.view}{name}"
        case Proposal():
            proofs = ", ".join(f"{c.kind.name} v{c.view}" for c in message.justification)
            return f"proposal {show(message.vote)} on v{message.parent_view} [{proofs}]"
        case _:
            return str(message)
