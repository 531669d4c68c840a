"""Mutants of who may ask what, of events, tokens, the audit log, pages, the log, and who breaks a devnet."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

ACCESS: Final = "node/rpc/access.py"
EVENTS: Final = "node/rpc/events.py"
DISPATCH: Final = "node/rpc/dispatch.py"
TOKENS: Final = "node/tokens.py"
AUDIT: Final = "node/audit_log.py"
PAGES: Final = "node/explorer/pages.py"
CONTROL: Final = "devnet/control.py"
LOG: Final = "node/log.py"

IN_ACCESS: Final = suite("rpc_access")
IN_EVENTS: Final = suite("rpc_websocket")
IN_TOKENS: Final = suite("node_tokens")
IN_AUDIT: Final = suite("node_audit_log")
IN_PAGES: Final = suite("explorer")
IN_CONTROL: Final = suite("devnet_control")
IN_LOG: Final = suite("node_log")

OF_ACCESS: Final = (
    one(
        *("a bank is told about the customers of all banks", "access: its own customers", ACCESS),
        *("return account is not None and account.bank == party", "return account is not None"),
        IN_ACCESS,
    ),
    one(
        *("a proof of ownership never ends", "access: proofs", ACCESS),
        *(
            "if not now_ms < auth.expires_ms <= now_ms + AUTH_MS_MAX:",
            "if not auth.expires_ms <= now_ms + AUTH_MS_MAX:",
        ),
        IN_ACCESS,
    ),
    one(
        *("a proof of ownership holds for a year", "access: proofs", ACCESS),
        *("if not now_ms < auth.expires_ms <= now_ms + AUTH_MS_MAX:", "if not now_ms < auth.expires_ms:"),
        IN_ACCESS,
    ),
    one(
        *("a signature is not checked", "access: proofs", ACCESS),
        *("if not known or not verify(key, statement, bytes.fromhex(auth.signature)):", "if not known:"),
        IN_ACCESS,
    ),
    one(
        *("any key signs for any account", "access: proofs", ACCESS),
        *("if not known or not verify(", "if not verify("),
        IN_ACCESS,
    ),
    one(
        *("a dry run wants one of its accounts", "access: dry runs", ACCESS),
        *("return Subjects(transaction.accounts, all=True)", "return Subjects(transaction.accounts)"),
        IN_ACCESS,
    ),
    one(
        *("an enforcer needs no order", "access: orders", ACCESS),
        *('(caller.has("orders") and under_order is not None)', 'caller.has("orders")'),
        IN_ACCESS,
    ),
    one(
        *("a read under an order is not written down", "access: orders", ACCESS),
        'await ports.record(caller.name, method, {**_told(params), "accounts": named}, True)',
        "pass",
        IN_ACCESS,
    ),
    one(
        *("rows of orders are public", "access: rows", ACCESS),
        *("return Subjects(())  # orders, and whatever", "return NOBODY  # orders, and whatever"),
        IN_ACCESS,
    ),
    one(
        *("an open node lets everybody administer it", "access: the operator", ACCESS),
        *(
            "    if scope in (Scope.ADMIN, Scope.AUDIT):\n",
            "    if not ports.open_access and scope in (Scope.ADMIN, Scope.AUDIT):\n",
        ),
        IN_ACCESS,
    ),
    one(
        *("a refused call of the operator's is not written down", "access: the operator", ACCESS),
        *("    if allowed or caller.grant is not None:", "    if allowed:"),
        IN_ACCESS,
    ),
    one(
        *("an auditor administers", "access: the operator", ACCESS),
        *('(("audit",) if scope is Scope.AUDIT else ())', '("audit",)'),
        IN_ACCESS,
    ),
    one(
        *("a participant has a budget for each of its tokens", "access: quotas", DISPATCH),
        *('(f"{party} in all", grant.participant_calls, cost),', ""),
        IN_ACCESS,
    ),
    one(
        *("a thousand transactions count as one", "access: quotas", DISPATCH),
        *("return len(txs) if isinstance(txs, list) else 0", "return 1 if isinstance(txs, list) else 0"),
        IN_ACCESS,
    ),
)

OF_EVENTS: Final = (
    one(
        *("a cursor tells its own block again", "events: no double", EVENTS),
        *(
            '(self, self.number, "blocks", store, (height + 1, 0), block=summary)',
            '(self, self.number, "blocks", store, (height, 0), block=summary)',
        ),
        IN_EVENTS,
    ),
    one(
        *("a full look at the store ends its block", "events: no gap", EVENTS),
        *("if len(page) == EVENTS_AT_ONCE else (height + 1, 0)", "if not page else (height + 1, 0)"),
        IN_EVENTS,
    ),
    one(
        *("a cursor fits every account", "events: cursors", EVENTS),
        *(
            'return ("sub account", self.ports.network.genesis_hash, self.account)',
            'return ("sub account", self.ports.network.genesis_hash)',
        ),
        IN_EVENTS,
    ),
)

OF_TOKENS: Final = (
    one(
        *("a token never ends", "tokens: expiry", TOKENS),
        *("if found is None or found.expires_ms <= now_ms:", "if found is None:"),
        IN_TOKENS,
    ),
    one(
        *("a token is good a moment longer", "tokens: expiry", TOKENS),
        *("found.expires_ms <= now_ms", "found.expires_ms < now_ms"),
        IN_TOKENS,
    ),
    one(
        *("an unreadable file leaves the old tokens", "tokens: fails closed", TOKENS),
        *("            self._tokens = ()\n", "            pass\n"),
        IN_TOKENS,
    ),
    one(
        *("an overlap makes a token hold longer", "tokens: rotation", TOKENS),
        *("expires_ms=min(token.expires_ms, overlap_until_ms)", "expires_ms=overlap_until_ms"),
        IN_TOKENS,
    ),
)

OF_THE_AUDIT_LOG: Final = (
    one(
        *("an entry left out is not seen", "audit log: a chain", AUDIT),
        *("if before is not None and (entry.number, entry.before) != (before.number + 1, before.hash):", "if False:"),
        IN_AUDIT,
    ),
    one(
        *("whether a call was allowed is not signed", "audit log: all is signed", AUDIT),
        *(
            "encode((number, time_ms, caller, method, pairs, allowed))",
            "encode((number, time_ms, caller, method, pairs))",
        ),
        IN_AUDIT,
    ),
    one(
        *("a signature of the log is not checked", "audit log: all is signed", AUDIT),
        *(
            "if own.hex() != entry.hash or not verify(public, own, bytes.fromhex(entry.signature)):",
            "if own.hex() != entry.hash:",
        ),
        IN_AUDIT,
    ),
    one(
        *("an entry is told and not synced", "audit log: durable first", AUDIT),
        *("            self._disk.sync(self._descriptor)\n", ""),
        IN_AUDIT,
    ),
    one(
        *("the log grows without bound", "audit log: bounds", AUDIT),
        *("            self._disk.remove(path)\n", "            pass\n"),
        IN_AUDIT,
    ),
)

OF_PAGES: Final = (
    one(
        *("every network's page may speak with the whole machine", "pages: only a devnet's", PAGES),
        *('more=LOOPBACK if devnet else ""', "more=LOOPBACK"),
        IN_PAGES,
    ),
    one(
        *("a page may be put into another's frame", "pages: nobody's frame", PAGES),
        *("frame-ancestors 'none'", ""),
        IN_PAGES,
    ),
    one(
        *("a devnet obeys without its secret", "control: the address is a secret", CONTROL),
        *('secrets.compare_digest(request.match_info["secret"].encode(), self._secret.encode())', "True"),
        IN_CONTROL,
    ),
    one(
        *("a devnet obeys pages of other places", "control: its own pages", CONTROL),
        *("and (origin is None or origin in self._pages())", "and True"),
        IN_CONTROL,
    ),
    one(
        *("a devnet obeys whoever names another host", "control: its own name", CONTROL),
        *('and request.headers.get("Host") == f"{LOOPBACK}:{self._port}"', "and True"),
        IN_CONTROL,
    ),
)

OF_THE_LOG: Final = (
    one(
        *("what is no HTTP is quoted in the log", "log: nothing of a stranger's", LOG),
        *("if isinstance(error, HttpProcessingError | ConnectionResetError):", "if False:"),
        IN_LOG,
    ),
    one(
        *("libraries write beside the log", "log: one form", LOG),
        *("logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)", "pass"),
        IN_LOG,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*OF_ACCESS, *OF_EVENTS, *OF_TOKENS, *OF_THE_AUDIT_LOG, *OF_PAGES, *OF_THE_LOG)
