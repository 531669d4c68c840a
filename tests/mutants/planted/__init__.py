"""The list of all mutants, by the room that they are planted in."""

from typing import Final

from tests.mutants.mutant import Killer, Mutant
from tests.mutants.planted import (
    access,
    agreement,
    banks,
    clients,
    durability,
    emergency,
    history,
    indexer,
    intake,
    judge,
    ledger,
    ledger_rules,
    links,
    signing,
    verification,
    versions,
)

ROOMS: Final[tuple[tuple[str, tuple[Mutant, ...]], ...]] = (
    ("Agreement", agreement.MUTANTS),
    ("Verification", verification.MUTANTS),
    ("Durability", durability.MUTANTS),
    ("Signing: the signer, the suspension, the fence", signing.MUTANTS),
    ("Intake: mempool, batches, payloads, synchronization, RPC", intake.MUTANTS),
    ("Links between validators", links.MUTANTS),
    ("Access: who may ask what, events, tokens, the audit log", access.MUTANTS),
    ("Ledger", ledger.MUTANTS),
    ("Ledger: holds, attestations, register, orders, recoveries", ledger_rules.MUTANTS),
    ("Bank files and national QR codes", banks.MUTANTS),
    ("The client library and the command line", clients.MUTANTS),
    ("The indexer", indexer.MUTANTS),
    ("Versions of the protocol and the wire", versions.MUTANTS),
    ("Snapshots, pruning, the archive", history.MUTANTS),
    ("Decrees, after too many validators are lost", emergency.MUTANTS),
    ("The judge of the simulator", judge.MUTANTS),
)
MUTANTS: Final = tuple(mutant for _, room in ROOMS for mutant in room)


def _every_killer() -> tuple[Killer, ...]:
    """Return all killers, each once, so that the sound code can be put before them."""
    return tuple(dict.fromkeys(killer for mutant in MUTANTS for killer in mutant.killers))


SOUND: Final = Mutant("sound", "nothing", (), _every_killer(), "nothing is planted: whoever kills this one is wrong")
