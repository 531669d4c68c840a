"""Mutants of the client library and of what the command line says about itself."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

CLIENT: Final = "node/client/client.py"
OUTBOX: Final = "node/client/outbox.py"
SUBSCRIPTIONS: Final = "node/client/subscriptions.py"
HELP_TEXTS: Final = "node/cli/help_texts.py"
SESSION: Final = "node/cli/session.py"
HISTORY: Final = "node/client/history.py"
CONTROL: Final = "devnet/control.py"
REMOTE: Final = "devnet/remote.py"

IN_PAYMENTS: Final = suite("client_payments")
IN_SUBSCRIPTIONS: Final = suite("client_subscriptions", only="another_node")
IN_HELP: Final = suite("cli_help")
IN_HISTORY: Final = suite("client_subscriptions")
IN_CONTROL: Final = suite("devnet_control")
IN_DEVNET: Final = suite("cli_devnet", only="exit_code")

MUTANTS: Final[tuple[Mutant, ...]] = (
    one(
        *("a purpose that is known is signed again", "client: one purpose, one payment", CLIENT),
        *("if known is not None and known.state not in REPLACEABLE:", "if False:"),
        IN_PAYMENTS,
    ),
    one(
        *("what is pending may be signed anew", "client: one purpose, one payment", OUTBOX),
        *("REPLACEABLE: Final = (", "REPLACEABLE: Final = (State.PENDING, "),
        IN_PAYMENTS,
    ),
    one(
        *("a refusal after a send settles", "client: what a node's word decides", CLIENT),
        *("if not refused.retryable and sent_before == 0 and", "if not refused.retryable and"),
        IN_PAYMENTS,
    ),
    one(
        *("the node's clock says what has expired", "client: what a node's word decides", CLIENT),
        *("elif found.block_time_ms >= row.expires_ms:", "else:"),
        IN_PAYMENTS,
    ),
    one(
        *("an attempt is not counted before it is made", "client: the outbox first", OUTBOX),
        *("SET sends = sends + 1", "SET sends = sends + 0"),
        IN_PAYMENTS,
    ),
    one(
        *("what is settled may be settled otherwise", "client: the outbox first", OUTBOX),
        *("WHERE tx_id = ? AND state = 'pending'", "WHERE tx_id = ?"),
        IN_PAYMENTS,
    ),
    one(
        *("a node of another network is sent what was signed for ours", "client: what a node's word decides", CLIENT),
        *("if await self._network_of(url) != waiting[0].genesis_hash:", "if False:"),
        IN_PAYMENTS,
    ),
    one(
        *("only the first node is asked", "client: resending", CLIENT),
        *("url = urls[attempt % len(urls)]", "url = urls[0]"),
        IN_PAYMENTS,
    ),
    one(
        *("a read may go back in time", "client: reads", CLIENT),
        *('{**params, "min_height": self._seen_height}', "{**params}"),
        IN_PAYMENTS,
    ),
    one(
        *("a connection that breaks is begun again where the first one began", "client: events", SUBSCRIPTIONS),
        *("self._cursor = event.cursor\n", "pass\n"),
        IN_SUBSCRIPTIONS,
    ),
    one(
        *("help is English whatever is chosen", "command line: help", HELP_TEXTS),
        *('if found is None or language == "en":', "if True:"),
        IN_HELP,
    ),
    one(
        *("a language that is chosen after --help is not heard", "command line: help", SESSION),
        *("option.is_eager = False", "option.is_eager = True"),
        IN_HELP,
    ),
    one(
        *("what is booked before a subscription begins is not told", "client: each entry, when it is booked", HISTORY),
        *("account=account, begun=bell.set)", "account=account)"),
        IN_HISTORY,
    ),
    one(
        *("an entry that is told is not read", "client: each entry, when it is booked", HISTORY),
        *(
            "            async for _ in events:\n                bell.set()",
            "            async for _ in events:\n                pass",
        ),
        IN_HISTORY,
    ),
    one(
        *("the end of a subscription is not noticed", "client: each entry, when it is booked", HISTORY),
        *("        listening.result()", "        pass"),
        IN_HISTORY,
    ),
    one(
        *("a reset is answered before the new network stands", "devnet: what it says is so", CONTROL),
        *("        await self._stands.wait()", "        await asyncio.sleep(0)"),
        IN_CONTROL,
    ),
    one(
        *("a devnet is ended twice", "devnet: what it says is so", CONTROL),
        *("        if self._wishes.full():", "        if False:"),
        IN_CONTROL,
    ),
    one(
        *("a proxy is asked for the devnet of this machine", "devnet: who is asked", REMOTE),
        *("build_opener(ProxyHandler({}))", "build_opener(ProxyHandler())"),
        IN_DEVNET,
    ),
)
