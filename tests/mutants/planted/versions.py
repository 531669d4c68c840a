"""Mutants of how rules change: which version is demanded, which is in force, who stands still, what shadow compares."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

VERSIONS: Final = "node/ledger/versions.py"
PARAM: Final = "node/ledger/param.py"
TRANSFER: Final = "node/ledger/transfer.py"
EXECUTE: Final = "node/ledger/execute.py"
STATE: Final = "node/ledger/state.py"
PLACE: Final = "consensus/place.py"
EPOCHS: Final = "node/epochs.py"
PAYLOADS: Final = "node/payloads.py"
DRIVER: Final = "node/driver.py"
NODE: Final = "node/node.py"
DISSEMINATION: Final = "node/dissemination.py"
SHADOW: Final = "node/shadow.py"
WIRE: Final = "network/wire.py"

IN_LEDGER: Final = suite("ledger_versions", "ledger_model")
STANDING: Final = suite("node_upgrades")
COMPARED: Final = suite("shadow")
IN_WIRE: Final = suite("network_wire")

DEMANDED: Final = (
    one(
        *("any version can be demanded", "R60: the next one, or none", PARAM),
        *("if operation.key == VERSION and not may_follow(version, changed.protocol_version):", "if False:"),
        IN_LEDGER,
    ),
    one(
        *("a demand cannot be taken back", "R60: the version in force", VERSIONS),
        *("return wanted in (version, version + 1)", "return wanted == version + 1"),
        IN_LEDGER,
    ),
    one(
        *("a demand is refused by who does not know it", "R60: software is of no interest", VERSIONS),
        *("return wanted in (version, version + 1)", "return wanted in (version, version + 1) and wanted in VERSIONS"),
        IN_LEDGER,
    ),
    one(
        *("version 1 judges as version 2 does", "versions: each by its own rules", TRANSFER),
        *("if there and step.rules.names_old_attestations else", "if there else"),
        IN_LEDGER,
    ),
    one(
        *("an attestation that is not there is called old", "versions: ATTESTATION_OLD", TRANSFER),
        *("if there and step.rules.names_old_attestations else", "if step.rules.names_old_attestations else"),
        IN_LEDGER,
    ),
    one(
        *("the version of blocks may fall", "versions: never lower", EXECUTE),
        *('assert version >= self.version, "the protocol version fell"', "pass"),
        IN_LEDGER,
    ),
    one(
        *("a block does not tell of its demand", "R60: what epochs read", STATE),
        *("return None if version == self.parameters.protocol_version else version", "return None"),
        *(IN_LEDGER, STANDING),
    ),
)

IN_FORCE: Final = (
    one(
        *("a version within an epoch may rise", "R18: one version in an epoch", PLACE),
        *("(header.epoch > before.epoch and header.version > before.version)", "header.version > before.version"),
        suite("consensus_proposals"),
    ),
    one(
        *("a version may fall", "R18: never lower", PLACE),
        "(header.epoch > before.epoch and header.version > before.version)",
        "header.epoch > before.epoch",
        suite("consensus_proposals"),
    ),
    one(
        *("a demand that was taken back too late lets the version fall", "R60", EPOCHS),
        "return max(boundary.version, self._store.version_at(boundary.executed_height))",
        "return self._store.version_at(boundary.executed_height)",
        STANDING,
    ),
    one(
        *("the version is that of the newest state", "R60: as the committee", EPOCHS),
        "return max(boundary.version, self._store.version_at(boundary.executed_height))",
        "return max(boundary.version, self._store.version_at(self._store.tip.height))",
        STANDING,
    ),
    one(
        *("a block of any version is valid", "R60", PAYLOADS),
        *("if header.version != self.version():  # R60", "if False:"),
        suite("node_payloads"),
    ),
    one(
        *("a final block of another version is executed", "R60: a quorum or we are wrong", DRIVER),
        *("if block.header.version != self.members.version:", "if False:"),
        STANDING,
    ),
)

STANDSTILL: Final = (
    one(
        *("an epoch of an unknown version begins", "R61", DRIVER),
        *("if members.version not in self._supported:", "if False:"),
        STANDING,
    ),
    one(
        *("bytes of the future are a fault", "R61: nobody's fault", DRIVER),
        *("if self.unknown_version is None:  # else perhaps it is we who cannot read it. R61", "if True:"),
        STANDING,
    ),
    one(
        *("a restart begins what it does not know", "R61: at the start too", EPOCHS),
        *("if members.version in supported:", "if True:"),
        STANDING,
    ),
    one(
        *("who stands still judges evidence of later epochs", "R61", NODE),
        "return None if members is None or members.version not in self.supported else members.committee",
        "return None if members is None else members.committee",
        STANDING,
    ),
    one(
        *("who stands still judges batches", "R61", DISSEMINATION),
        "        if self._stands_still:\n            return\n",
        "",
        STANDING,
    ),
    one(
        *("who stands still takes transactions", "R61", DISSEMINATION),
        *("return not self._stands_still and self._members", "return self._members"),
        STANDING,
    ),
)

COMPARISONS: Final = (
    one(
        *("blind to receipts", "shadow: receipts", SHADOW),
        *("            if theirs != mine:\n", "            if False:\n"),
        COMPARED,
    ),
    one(
        *("blind to roots", "shadow: roots", SHADOW),
        *("        if stored != ours:\n", "        if False:\n"),
        COMPARED,
    ),
    one(
        *("blind to blocks that are missing", "shadow: the whole chain", SHADOW),
        *("            if stored.height != low:\n", "            if False:\n"),
        COMPARED,
    ),
    one(
        *("blind to the certificate of another block", "shadow: signatures", SHADOW),
        *("if not named or not certificate_valid(", "if not certificate_valid("),
        COMPARED,
    ),
    one(
        *("blind to the epoch of a block", "shadow: epochs", SHADOW),
        *("        if epoch != self._epochs.after_height(height - 1):\n", "        if False:\n"),
        COMPARED,
    ),
)

LINKS: Final = (
    one(
        *("a link of a version that one end does not speak", "wire: a common version", WIRE),
        *("return newest if newest in ours and newest in theirs else None", "return newest"),
        IN_WIRE,
    ),
    one(
        *("a link of the oldest common version", "wire: the newest that both speak", WIRE),
        *("newest = min(ours[-1], theirs[-1])", "newest = max(ours[0], theirs[0])"),
        IN_WIRE,
    ),
    one(
        *("HELLO of newer software is malformed", "wire: fields behind ours", WIRE),
        *("known = fields[:HELLO_FIELDS] if theirs[-1] > ours[-1] else fields", "known = fields"),
        IN_WIRE,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*DEMANDED, *IN_FORCE, *STANDSTILL, *COMPARISONS, *LINKS)
