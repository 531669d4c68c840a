"""Mutants of what keeps a key from signing twice: the signer, its socket, the suspension, the fence."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

SIGNER: Final = "node/signing/signer.py"
SERVER: Final = "node/signing/server.py"
FENCE: Final = "node/fence.py"
VOTING: Final = "node/voting.py"

IN_SIGNER: Final = suite("signing_signer")
IN_SERVER: Final = suite("signing_server")
IN_FENCE: Final = suite("node_fence", only="not copies and not data and not silences and not follows")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("what the guard refuses is signed", "signer: past the guard", SIGNER),
        *("return Declined(str(error))", "return Signed(self.key.sign(self._statement(vote)))"),
        IN_SIGNER,
    ),
    one(
        *("a suspended key signs", "signer: suspended is silent", SIGNER),
        *("if self._suspension.foreign is not None:\n            return", "if False:\n            return"),
        IN_SIGNER,
    ),
    one(
        *("a suspension is forgotten at a restart", "signer: suspended is silent", "node/storage/suspension.py"),
        *("self._disk.close(write_whole(self._disk, self.path, (text,)))", "pass"),
        IN_SIGNER,
    ),
    one(
        *("a foreign vote is no alarm", "signer: foreign votes suspend", SIGNER),
        *("if self.guard.remembers(seen.kind, seen.epoch, seen.view, statement):", "if True:"),
        IN_SIGNER,
    ),
    one(
        *("anybody can suspend a key", "signer: foreign votes suspend", SIGNER),
        *("if not verify(self.public, statement, seen.signature):", "if False:"),
        IN_SIGNER,
    ),
    one(
        *("a batch of another author is signed", "signer: own batches only", SIGNER),
        *("if batch.author != self.public:", "if False:"),
        IN_SIGNER,
    ),
    one(
        *("two nodes have one signer", "signer: one link", SERVER),
        *("if self._linked:", "if False:"),
        IN_SERVER,
    ),
    one(
        *("a node of another network is served", "signer: one network", SERVER),
        *("if genesis_hash != self._genesis_hash:", "if False:"),
        IN_SERVER,
    ),
    one(
        *("the fence falls at the first finalization", "fence: it listens", FENCE),
        *("if not self._left:", "if True:"),
        IN_FENCE,
    ),
    one(
        *("the fence counts what was known", "fence: it listens", FENCE),
        *("if self._left and at > self._above:", "if self._left:"),
        IN_FENCE,
    ),
    one(
        *("the fence believes as many as may lie", "fence: more than can lie", FENCE),
        *("if weight > faulty_max:", "if weight >= faulty_max:"),
        IN_FENCE,
    ),
    one(
        *("who forgot speaks when nothing moves", "fence: it listens", FENCE),
        *("if self.wall is Wall.AWAY and", "if self.up and"),
        IN_FENCE,
    ),
    one(
        *("a validator speaks behind its fence", "fence: nothing is signed", VOTING),
        *("if not self.fence.up and not self._barred(effect):", "if not self._barred(effect):"),
        suite("node_voting"),
    ),
    one(
        *("what nobody signed is given up", "voting: promises are signed later", VOTING),
        *(
            "case Away() | Suspended() | Known():\n                pass",
            "case _:\n                del self._waiting[effect]",
        ),
        suite("node_voting"),
    ),
    one(
        *("what a finalization overtook is asked for ever", "voting: bounds", VOTING),
        *("if (vote.epoch, vote.view) > floor}", "if True}"),
        suite("node_voting"),
    ),
    one(
        *("votes of ours in certificates are not looked at", "voting: foreign votes are seen", VOTING),
        *("if signer == me and self._own.get(subject) != certificate.hash:", "if False:"),
        suite("node_voting"),
    ),
    one(
        *("a guard that is based anew forbids nothing", "R43", "node/storage/guard.py"),
        *("guard._watermark = watermark", "pass"),
        IN_FENCE,
    ),
    one(
        *("a released key may speak in the epoch of the foreign vote", "R43", "node/cli/signer.py"),
        *("guard.rebase(epoch, 0)  # first: whatever happens then, nothing below is signed", "pass"),
        IN_FENCE,
    ),
    one(
        *("anything typed confirms", "a key leaves only confirmed", "node/cli/signing.py"),
        *("if str(typed).strip().lower() != digits:", "if False:"),
        suite("cli_nodes", only="first_digits"),
    ),
    one(
        *("an observer gets a consensus key", "an observer has no key to vote with", "node/config.py"),
        *("return not self.observer and not self.signer.socket", "return not self.signer.socket"),
        suite("cli_nodes", only="observer"),
    ),
    one(
        *("a consensus key beside an observer is overlooked", "an observer has no key to vote with", "node/home.py"),
        "if DISK.exists(home / config.keys.consensus):",
        "if config.signer.socket and DISK.exists(home / config.keys.consensus):",
        suite("cli_nodes", only="observer"),
    ),
    one(
        *("a new guard for a key that may have signed", "guard: nothing is signed without it", "node/cli/nodes.py"),
        *('if not unused.exists() or unused.read_text() != key_header(key)["pub"]:', "if False:"),
        suite("cli_nodes", only="guard"),
    ),
    one(
        *("a guard is based in a term that is over", "R62", "node/cli/signer.py"),
        *("_term(session, home, papers, term)) + 1", "0) + 1"),
        suite("node_fence", only="term"),
    ),
)
