"""Mutants of what is checked before it is believed: statements, signatures, certificates, encodings."""

from typing import Final

from tests.mutants.mutant import Mutant, Storms, one, suite

VERIFY: Final = "consensus/verify.py"
MESSAGES: Final = "consensus/messages.py"
ENCODING: Final = "consensus/encoding.py"
EVIDENCE: Final = "consensus/evidence.py"
CRYPTO: Final = "consensus/crypto.py"
TRANSACTION: Final = "node/ledger/transaction.py"
BATCHES: Final = "node/batches.py"
SYNC: Final = "node/sync.py"

STORMS: Final = Storms()
CHECKS: Final = suite("consensus_verify", "consensus_messages", "consensus_evidence", "consensus_proposals")

STATEMENTS: Final = (
    one(
        *("genesis hash missing in what a vote signs", "R2", MESSAGES),
        "encode((genesis_hash, int(kind), epoch, view, block_hash))",
        "encode((int(kind), epoch, view, block_hash))",
        *(STORMS, CHECKS),
    ),
    one(
        *("kind missing in what a vote signs", "R2", MESSAGES),
        "encode((genesis_hash, int(kind), epoch, view, block_hash))",
        "encode((genesis_hash, epoch, view, block_hash))",
        *(STORMS, CHECKS),
    ),
    one(
        *("epoch missing in what a vote signs", "R2", MESSAGES),
        "encode((genesis_hash, int(kind), epoch, view, block_hash))",
        "encode((genesis_hash, int(kind), view, block_hash))",
        *(STORMS, CHECKS),
    ),
    one(
        *("view missing in what a vote signs", "R2", MESSAGES),
        "encode((genesis_hash, int(kind), epoch, view, block_hash))",
        "encode((genesis_hash, int(kind), epoch, block_hash))",
        *(STORMS, CHECKS),
    ),
    one(
        *("genesis hash missing in what a transaction signs", "ledger: the id", TRANSACTION),
        *('return digest(b"som-tx-1", genesis_hash, body)', 'return digest(b"som-tx-1", body)'),
        suite("ledger_transaction"),
    ),
    one(
        *("genesis hash missing in what a batch signs", "batches: the digest", BATCHES),
        *('digest(b"som-batch-1", genesis_hash, body)', 'digest(b"som-batch-1", body)'),
        suite("node_batches", "node_dissemination"),
    ),
    one(
        *("a nullification may name a block", "R2", MESSAGES),
        *("if (named == NO_HASH) != (what is Kind.NULLIFY):", "if False:"),
        CHECKS,
    ),
    one(
        *("a block need not carry its header's payload", "R2", MESSAGES),
        *("if payload_hash(payload) != header.payload_hash:", "if False:"),
        *(CHECKS,),
    ),
)

SIGNATURES: Final = (
    one(
        *("signature of a vote not checked", "R21", VERIFY),
        *('self._require(self._signed(vote), "vote")', "pass"),
        *(STORMS, CHECKS),
    ),
    one(
        *("signature of a proposal not checked", "R13", VERIFY),
        *('self._require(self._signed(vote), "proposal")', "pass"),
        *(STORMS, CHECKS),
    ),
    one(
        *("signatures of a certificate not checked", "R3", VERIFY),
        *("return all(check(keys[signer]", "return True or all(check(keys[signer]"),
        *(STORMS, CHECKS),
    ),
    one(
        *("one good signature makes a certificate", "R3", VERIFY),
        *("return all(check(keys[signer]", "return any(check(keys[signer]"),
        *(STORMS, CHECKS),
    ),
    one(
        *("certificates in a proposal not checked", "R13", VERIFY),
        *('self._require(self.verify_certificate(certificate), "certificate in a proposal")', "pass"),
        *(STORMS, CHECKS),
    ),
    one(
        *("a bad signature is remembered as good", "R3", VERIFY),
        "return False\n        self._remember(checked)",
        "self._remember(checked)\n            return False\n        self._remember(checked)",
        *(STORMS, CHECKS),
    ),
    one(
        *("remembered signatures are unbounded", "R49", VERIFY),
        *("if len(self._seen) > SEEN_MAX:", "if False:"),
        CHECKS,
    ),
    one(
        *("signatures of evidence not checked", "R45", EVIDENCE),
        *("return verify(committee.validators[vote.signer].public_key, statement, vote.signature)", "return True"),
        CHECKS,
    ),
    one(
        *("signatures of a transaction not checked", "ledger: signatures", "node/checks.py"),
        *("return [verify(public, message, signature) for", "return [True for"),
        suite("node_checks", "node_dissemination"),
    ),
    one(
        *("one good signature makes a transaction", "ledger: signatures", "node/checks.py"),
        *("return [all(tuple(", "return [any(tuple("),
        suite("node_checks"),
    ),
    one(
        *("signature of a batch not checked", "batches: their author's", BATCHES),
        *("return verify(batch.author, batch.digest, batch.signature)", "return True"),
        suite("node_batches", "node_dissemination"),
    ),
    one(
        *("certificate of synchronized blocks not checked", "R40", SYNC),
        *("if valid is False:", "valid = True\n        if False:"),
        suite("node_sync"),
    ),
    one(
        *("the library's verdict is ignored", "R2", CRYPTO),
        *(
            "except (CryptoError, ValueError):\n        return False\n    return True",
            "except CryptoError:\n        return True\n    return True",
        ),
        suite("consensus_crypto"),
    ),
)

CERTIFICATES: Final = (
    one(
        *("weight of a certificate not checked", "R3", VERIFY),
        *("if committee.weight(signers) < committee.quorum:", "if False:"),
        *(STORMS, CHECKS),
    ),
    one(
        *("certificate of another epoch accepted", "R3", VERIFY),
        *("if certificate.epoch != committee.epoch or any(", "if any("),
        *(STORMS, CHECKS),
    ),
    one(
        *("messages of another epoch are checked as ours", "R48", VERIFY),
        *("return message.epoch == self._committee.epoch and wants(message)", "return wants(message)"),
        *(STORMS, CHECKS),
    ),
    one(
        *("signers of a certificate in any order", "R3", VERIFY),
        *(
            "any(before >= after for before, after in pairwise(signers))",
            "any(before == after for before, after in pairwise(signers))",
        ),
        CHECKS,
    ),
    one(
        *("signers outside the committee", "R3", VERIFY),
        *(
            "any(not 0 <= signer < len(committee) for signer in signers)",
            "any(not 0 <= signer <= len(committee) for signer in signers)",
        ),
        CHECKS,
    ),
    one(
        *("a vote may be relayed", "R21", VERIFY),
        *('self._require(vote.signer == sender, "relayed vote")  # R21', "pass"),
        *(STORMS, CHECKS),
    ),
    one(
        *("a proposal may carry another block than its vote names", "R13", VERIFY),
        *('self._require(proposal.block.hash == vote.hash, "proposal of another block")', "pass"),
        CHECKS,
    ),
    one(
        *("a proposal may rest on a view above its own", "R13", VERIFY),
        *('self._require(proposal.parent_view < vote.view, "proposal before its parent")', "pass"),
        CHECKS,
    ),
    one(
        *("any certificate passes as a proposal's finalization", "R13", VERIFY),
        *('self._require(finalization.kind is Kind.FINALIZE, "finalization of another kind")', "pass"),
        CHECKS,
    ),
    one(
        *("messages of any size are decoded", "R2", VERIFY),
        *("if len(data) > BYTES_MAX.get(data[1] if len(data) > 1 else -1, 0):", "if False:"),
        CHECKS,
    ),
)

ENCODINGS: Final = (
    one(
        *("canonical form not demanded", "one value, one encoding", ENCODING),
        *("if _pack(value) != data:", "if False:"),
        suite("consensus_encoding", "consensus_messages"),
    ),
    one(
        *("floats are values", "one value, one encoding", ENCODING),
        *("if _FLOAT in data and _holds_float(value):", "if False:"),
        suite("consensus_encoding"),
    ),
    one(
        *("a boolean is an integer", "shapes are exact", ENCODING),
        *("if type(value) is not int:", "if not isinstance(value, int):"),
        suite("consensus_encoding"),
    ),
    one(
        *("extensions of no bytes are values", "one value, one encoding", ENCODING),
        *("            ext_hook=_refuse_extension,", "           "),
        suite("consensus_encoding"),
    ),
    one(
        *("maps are values", "one value, one encoding", ENCODING),
        *('raise DecodeError("maps are not values")', "return _"),
        suite("consensus_encoding"),
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*STATEMENTS, *SIGNATURES, *CERTIFICATES, *ENCODINGS)
