"""Mutants between a client's or a peer's bytes and a block: mempool, batches, payloads, synchronization, RPC."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

MEMPOOL: Final = "node/mempool.py"
BATCHES: Final = "node/batches.py"
DISSEMINATION: Final = "node/dissemination.py"
PAYLOADS: Final = "node/payloads.py"
SYNC: Final = "node/sync.py"
DESCENT: Final = "node/sync_descent.py"
VIEWS: Final = "node/rpc/views.py"
OPERATION_VIEWS: Final = "node/rpc/operation_views.py"
JSONRPC: Final = "node/rpc/jsonrpc.py"

IN_MEMPOOL: Final = suite("node_mempool")
IN_BATCHES: Final = suite("node_batches")
IN_DISSEMINATION: Final = suite("node_dissemination")
IN_PAYLOADS: Final = suite("node_payloads")
IN_SYNC: Final = suite("node_sync")
IN_RPC: Final = suite("rpc_jsonrpc", "rpc_methods")

OF_THE_MEMPOOL: Final = (
    one(
        *("the number of transactions is unbounded", "mempool: bounds", MEMPOOL),
        *("if len(self._waiting) >= _part(self._transactions_max, share):", "if False:"),
        IN_MEMPOOL,
    ),
    one(
        *("one transaction too many", "mempool: bounds", MEMPOOL),
        *("if len(self._waiting) >= _part(", "if len(self._waiting) > _part("),
        IN_MEMPOOL,
    ),
    one(
        *("the bytes of transactions are unbounded", "mempool: bounds", MEMPOOL),
        *("if self.bytes + size > _part(self._bytes_max, share):", "if False:"),
        IN_MEMPOOL,
    ),
    one(
        *("the last tenth is for anyone", "mempool: room for the state", MEMPOOL),
        *("share = 0 if privileged else RESERVED_SHARE", "share = 0"),
        IN_MEMPOOL,
    ),
    one(
        *("whoever comes waits, however long", "mempool: bounds", MEMPOOL),
        *("return self.bytes > self._executed_lately(now)", "return False"),
        IN_MEMPOOL,
    ),
    one(
        *("one that waits long closes the door", "mempool: bounds", MEMPOOL),
        *("self.bytes < QUEUE_BYTES_MIN or ", "not self.bytes or "),
        IN_MEMPOOL,
    ),
    one(
        *("what was executed long ago makes room", "mempool: bounds", MEMPOOL),
        *("self._executed[0][0] <= now - QUEUE_SECONDS_MAX", "False"),
        IN_MEMPOOL,
    ),
    one(
        *("nobody waits a second in an idle node", "mempool: bounds", MEMPOOL),
        *(" or now - next(iter(self._waiting.values())).since < QUEUE_GRACE_SECONDS", ""),
        IN_MEMPOOL,
    ),
    one(
        *("what others executed makes room here", "mempool: bounds", MEMPOOL),
        *("self._executed_bytes += before - self.bytes", "self._executed_bytes += before"),
        IN_MEMPOOL,
    ),
    one(
        *("who came last is asked how long he waits", "mempool: bounds", MEMPOOL),
        *("next(iter(self._waiting.values())).since", "next(reversed(self._waiting.values())).since"),
        IN_MEMPOOL,
    ),
    one(
        *("the state waits its turn at a long queue", "mempool: room for the state", MEMPOOL),
        *("        if privileged:\n            return None\n", ""),
        IN_MEMPOOL,
    ),
    one(
        *("a large call is checked at one go", "checks: batches of validators first", "node/checks.py"),
        *("job.checks[done : done + SLICE_CHECKS]", "job.checks[done:]"),
        suite("node_checks"),
    ),
    one(
        *("what is refused stays", "mempool: bounds", DISSEMINATION),
        *("            self._mempool.forget((transaction.id,))\n", ""),
        IN_DISSEMINATION,
    ),
    one(
        *("what has no room is judged all the same", "mempool: refusals are cheap", DISSEMINATION),
        "        refusal = self._mempool.admit(transaction, now)\n",
        "        try:\n"
        "            self._ledger.admit(transaction, self._now_ms())\n"
        "        except Refused as refused:\n"
        "            return refused\n"
        "        refusal = self._mempool.admit(transaction, now)\n",
        IN_DISSEMINATION,
    ),
    one(
        *("what has no room is taken all the same", "mempool: bounds", DISSEMINATION),
        *("        if refusal is not None:\n            return refusal\n        try:", "        try:"),
        IN_DISSEMINATION,
    ),
    one(
        *("one payer takes all the room", "mempool: quotas", MEMPOOL),
        *("if self._payers.get(payer, 0) >= PAYER_TRANSACTIONS_MAX:", "if False:"),
        IN_MEMPOOL,
    ),
    one(
        *("one bank takes all the room", "mempool: quotas", MEMPOOL),
        *("if self._banks.get(bank, 0) >= self._transactions_max // BANK_SHARE:", "if False:"),
        IN_MEMPOOL,
    ),
    one(
        *("quotas are not given back", "mempool: quotas", MEMPOOL),
        *("_count(self._payers, waiting.payer, -1)", "pass"),
        IN_MEMPOOL,
    ),
    one(
        *("expired transactions stay", "mempool: expiry", MEMPOOL),
        *("self.forget(gone)", "pass"),
        IN_MEMPOOL,
    ),
    one(
        *("a transaction expires a moment late", "mempool: expiry", MEMPOOL),
        *("self._expiries[0][0] <= block_time_ms", "self._expiries[0][0] < block_time_ms"),
        IN_MEMPOOL,
    ),
    one(
        *("ids of what is gone pile up", "mempool: bounds", MEMPOOL),
        *("self._drop_stale()", "pass"),
        IN_MEMPOOL,
    ),
    one(
        *("unchecked transactions enter batches", "mempool: stages", MEMPOOL),
        "Stage.CHECKING, payer, bank, kind in URGENT_KINDS, now)",
        "Stage.READY, payer, bank, False, now)\n        self._ready.append(transaction.id)",
        IN_MEMPOOL,
    ),
)

OF_BATCHES: Final = (
    one(
        *("batches of one author are unbounded", "batches: bounds", BATCHES),
        *("self._author_batches.get(author, 0) + batches <= AUTHOR_BATCHES_MAX", "True"),
        *(IN_BATCHES, IN_DISSEMINATION),
    ),
    one(
        *("bytes of one author are unbounded", "batches: bounds", BATCHES),
        *("and self._author_bytes.get(author, 0) + payload_bytes <= AUTHOR_BYTES_MAX", ""),
        *(IN_BATCHES, IN_DISSEMINATION),
    ),
    one(
        *("room of an author is not given back", "batches: bounds", BATCHES),
        *("self._author_batches[held.batch.author] -= 1", "pass"),
        *(IN_BATCHES, IN_DISSEMINATION),
    ),
    one(
        *("invented acknowledgements are unbounded", "batches: bounds", BATCHES),
        *("if len(early) > AUTHOR_BATCHES_MAX * len(self._members):", "if False:"),
        IN_BATCHES,
    ),
    one(
        *("a batch is included before a quorum holds it", "batches: held by a quorum", BATCHES),
        "held.holders_weight >= self._members.committee.quorum\n            and self",
        "self",
        IN_BATCHES,
    ),
    one(
        *("an acknowledgement counts each time it comes", "batches: held by a quorum", BATCHES),
        *("if holder in held.holders:", "if False:"),
        IN_BATCHES,
    ),
    one(
        *("holders counted instead of weights", "batches: held by a quorum", BATCHES),
        *("held.holders_weight += self._members.weight(holder)", "held.holders_weight += 1"),
        IN_BATCHES,
    ),
    one(
        *("a final batch is included again", "batches: once in a chain", BATCHES),
        *("self._final[name] = height\n            self._open.pop(name, None)", "self._final[name] = height"),
        IN_BATCHES,
    ),
    one(
        *("a batch that comes after its final block is included again", "batches: once in a chain", BATCHES),
        *("if batch.digest not in self._final:\n", "if True:\n"),
        IN_BATCHES,
    ),
    one(
        *("a batch that is gone is still included", "batches: once in a chain", BATCHES),
        *("self._open.pop(name, None)\n        held =", "held ="),
        IN_BATCHES,
    ),
    one(
        *("a batch outlives its life by a height", "batches: a life of 1,024 heights", BATCHES),
        "if not held.batch.base_height < height <= held.batch.base_height + BATCH_LIFE_HEIGHTS:",
        "if not held.batch.base_height < height <= held.batch.base_height + BATCH_LIFE_HEIGHTS + 1:",
        IN_BATCHES,
    ),
    one(
        *("final batches are forgotten a height early", "batches: once in a chain", BATCHES),
        *("<= height - BATCH_LIFE_HEIGHTS:", "<= height - BATCH_LIFE_HEIGHTS + 1:"),
        IN_BATCHES,
    ),
    one(
        *("a payload may name a batch twice", "batches: once in a chain", BATCHES),
        *("if len(frozenset(digests)) != len(digests):", "if False:"),
        *(IN_BATCHES, IN_PAYLOADS),
    ),
    one(
        *("a block holds any number of transactions", "batches: bounds of a block", BATCHES),
        *("if transactions > BLOCK_TRANSACTIONS_MAX or payload_bytes > BLOCK_BYTES_MAX:", "if False:"),
        IN_BATCHES,
    ),
    one(
        *("an empty batch is a batch", "batches: form", BATCHES),
        *("if not transactions:\n        raise", "if False:\n        raise"),
        IN_BATCHES,
    ),
)

OF_DISSEMINATION: Final = (
    one(
        *("a batch may come from another than its author", "batches: from their author", DISSEMINATION),
        *("if self._members.peer_of(message.author) != sender:", "if False:"),
        IN_DISSEMINATION,
    ),
    one(
        *("a fetched batch may be unsigned", "batches: verified before held", DISSEMINATION),
        *("return wanted and author_signed(batch) and await", "return wanted and await"),
        IN_DISSEMINATION,
    ),
    one(
        *("a batch with a bad transaction is held", "batches: verified before held", DISSEMINATION),
        *("bad = None if all(good) else good.index(False)", "bad = None"),
        IN_DISSEMINATION,
    ),
    one(
        *("who relays a batch is blamed for its author", "batches: blame the author", DISSEMINATION),
        "return wanted and author_signed(batch) and await",
        "if not author_signed(batch):\n"
        "            self._links.blame(self._members.peer_of(batch.author), 100, 'unsigned')\n"
        "        return wanted and author_signed(batch) and await",
        IN_DISSEMINATION,
    ),
    one(
        *("a batch is acknowledged before it is in the journal", "batches: kept, then acknowledged", DISSEMINATION),
        *("self._keep(batch)\n        self._pool.add(batch, transactions)", "self._pool.add(batch, transactions)"),
        IN_DISSEMINATION,
    ),
    one(
        *("who sends bad batches is heard on", "batches: blame the author", DISSEMINATION),
        *("self._ignored.add(batch.author)", "pass"),
        IN_DISSEMINATION,
    ),
    one(
        *("batches that wait for checks are unbounded", "batches: bounds", DISSEMINATION),
        *("or len(arrived) >= self._author_max", ""),
        IN_DISSEMINATION,
    ),
    one(
        *("a batch from far ahead is taken", "batches: bounds", DISSEMINATION),
        *("or batch.base_height > height + AHEAD_HEIGHTS", ""),
        IN_DISSEMINATION,
    ),
    one(
        *("a wrong signature of a client is admitted", "mempool: checked before batched", DISSEMINATION),
        *(
            "for transaction, true in zip(transactions, valid, strict=True) if true)",
            "for transaction, true in zip(transactions, valid, strict=True) if true or True)",
        ),
        IN_DISSEMINATION,
    ),
    one(
        *("each acknowledgement is a frame", "batches: acknowledged together", DISSEMINATION),
        *("await asyncio.sleep(ACKNOWLEDGE_SECONDS)", "pass"),
        IN_DISSEMINATION,
    ),
    one(
        *("nobody hears that a quorum holds a batch", "batches: held by a quorum", DISSEMINATION),
        *("if any(work):\n", "if False:\n"),
        IN_DISSEMINATION,
    ),
    one(
        *("lost batches are not sent again", "batches: repeated until acknowledged", DISSEMINATION),
        *("self._send_to_who_lacks(held)\n\n", "pass\n\n"),
        IN_DISSEMINATION,
    ),
    one(
        *("a queue of checks without an end", "bounds", DISSEMINATION),
        *("if self._checks.queued(Lane.CLIENTS) >= QUEUED_CHECKS_MAX:", "if False:"),
        IN_DISSEMINATION,
    ),
)

OF_PAYLOADS: Final = (
    one(
        *("a wrong state root gets votes", "X2", PAYLOADS),
        *("if root is not None and root != header.state_root:", "if False:"),
        IN_PAYLOADS,
    ),
    one(
        *("a root that is not executed here gets votes", "X2", PAYLOADS),
        *("if root is None or named is None or header", "if named is None or header"),
        IN_PAYLOADS,
    ),
    one(
        *("a block from the future gets votes", "X9", PAYLOADS),
        *("or header.timestamp_ms > now_ms + CLOCK_AHEAD_MS_MAX:", ":"),
        IN_PAYLOADS,
    ),
    one(
        *("a block gets votes without its batches", "R8", PAYLOADS),
        *("return Verdict.VALID if len(here) == len(held) else Verdict.UNKNOWN", "return Verdict.VALID"),
        IN_PAYLOADS,
    ),
    one(
        *("a batch of an ancestor comes again", "batches: once in a chain", PAYLOADS),
        *(
            "if any(name in named or self.pool.is_final(name) for name in names):",
            "if any(self.pool.is_final(name) for name in names):",
        ),
        IN_PAYLOADS,
    ),
    one(
        *("a batch of a final block comes again", "batches: once in a chain", PAYLOADS),
        *(
            "if any(name in named or self.pool.is_final(name) for name in names):",
            "if any(name in named for name in names):",
        ),
        IN_PAYLOADS,
    ),
    one(
        *("a block far above its root carries batches", "X3", PAYLOADS),
        *("if block.header.height - block.header.executed_height > LAG_MAX:", "if False:"),
        IN_PAYLOADS,
    ),
    one(
        *("any committee may follow", "R46", PAYLOADS),
        *("if named is not None and named != header.next_validators_hash:", "if False:"),
        IN_PAYLOADS,
    ),
    one(
        *("voters do not bound a block's transactions", "batches: bounds of a block", PAYLOADS),
        *("if sum(len(each.transactions) for each in here) > BLOCK_TRANSACTIONS_MAX:", "if False:"),
        IN_PAYLOADS,
    ),
)

OF_SYNC: Final = (
    one(
        *("another block than asked for is taken", "sync: what was asked for", SYNC),
        *("if block.hash != block_hash:", "if False:"),
        IN_SYNC,
    ),
    one(
        *("other batches than asked for are taken", "sync: what was asked for", SYNC),
        *("if any(batch.digest not in names for batch in batches):", "if False:"),
        IN_SYNC,
    ),
    one(
        *("a range need not be linked", "R40", SYNC),
        *("if offset and block.header.parent_hash != blocks[offset - 1].hash:", "if False:"),
        IN_SYNC,
    ),
    one(
        *("a range may begin anywhere", "R40", SYNC),
        *("if block.header.height != low + offset:", "if False:"),
        IN_SYNC,
    ),
    one(
        *("any certificate ends a range", "R40", SYNC),
        *("is not Kind.FINALIZE or (blocks and certificate.hash != blocks[-1].hash):", "is not Kind.FINALIZE:"),
        IN_SYNC,
    ),
    one(
        *("a certificate that finalizes more than a range holds is not told", "R40", SYNC),
        *(
            "if high >= low + RANGE_BLOCKS_HARD_MAX:",
            "if high >= low + RANGE_BLOCKS_HARD_MAX and not (certificate := b''):",
        ),
        IN_SYNC,
    ),
    one(
        *("what a certificate finalizes is fetched without an end", "sync: bounds", DESCENT),
        *(" or not committed < height <= committed + DESCENT_BLOCKS_MAX:", ":"),
        suite("node_sync", only="cannot_show"),
    ),
    one(
        *("a certificate far up takes us away from a lower one", "R40", DESCENT),
        *("if not committed < top <= height:", "if True:"),
        suite("node_sync", only="lower_one"),
    ),
    one(
        *("who shows a certificate is the only one who is asked", "R40", DESCENT),
        *("best = min(peers, key=lambda peer: waits[peer] + self._peers[peer][1])", "best = peers[0]"),
        suite("node_sync", only="answers_soon"),
    ),
    one(
        *("blocks are asked for faster than a peer answers", "sync: bounds", DESCENT),
        *("began + GAP_SECONDS", "began"),
        suite("node_sync", only="than_it_serves"),
    ),
    one(
        *("a block that does not come ends what has come", "R40", DESCENT),
        *("self._stop(self._doubt)\n        elif", "self._end(self._doubt)\n        elif"),
        suite("node_sync", only="shows_the_certificate_again"),
    ),
    one(
        *("ranges wait for what a certificate finalizes", "R40", SYNC),
        "self._descent.show(peer, certificate, block)\n",
        "self._descent.show(peer, certificate, block)\n"
        "                while self._descent.shown_by:\n"
        "                    await asyncio.sleep(0.01)\n",
        suite("node_sync", only="holds_up_no_range"),
    ),
    one(
        *("who answers late is asked as often as the others", "sync: who is slow comes last", SYNC),
        *("if self._now() - began >= DEADLINE_SECONDS / 2:", "if self._now() - began >= DEADLINE_SECONDS:"),
        suite("node_sync", only="half_the_deadline"),
    ),
    one(
        *("who shows a certificate is asked for ranges on and on", "R40", SYNC),
        *("zip((peer for peer in able if peer not in self._descent.shown_by)", "zip(able"),
        suite("node_sync", only="than_it_serves"),
    ),
    one(
        *("who shows a certificate is doubted while we fetch", "R40", SYNC),
        *("< start and peer not in self._descent.shown_by:", "< start:"),
        suite("node_sync", only="than_it_serves"),
    ),
    one(
        *("a claimed height is believed for ever", "sync: a claim is a hint", SYNC),
        *("                self._doubt(peer)\n        return rose", "                pass\n        return rose"),
        IN_SYNC,
    ),
    one(
        *("the end of an epoch is waited for", "R53", SYNC),
        *(
            "min(self._committed_height() + BEHIND_HEIGHTS, self._epoch_end())",
            "self._committed_height() + BEHIND_HEIGHTS",
        ),
        IN_SYNC,
    ),
    one(
        *("a liar's height keeps us from asking what comes next", "sync: a claim is a hint", SYNC),
        *("await self._probe_if_quiet()  # a liar", "pass  # a liar"),
        IN_SYNC,
    ),
    one(
        *("a range of any size is asked of us", "sync: bounds", SYNC),
        *("bytes_max=RANGE_BYTES_MAX)", "bytes_max=RANGE_BYTES_MAX << 20)"),
        IN_SYNC,
    ),
    one(
        *("we ask on while much waits for execution", "sync: bounds", SYNC),
        *("not self.held() and self._executing() <= EXECUTING_MAX and", "not self.held() and"),
        IN_SYNC,
    ),
)

OF_RPC: Final = (
    one(
        *("an amount leaves as a float", "RPC: money is a string", OPERATION_VIEWS),
        *("to=format_account(to), amount=str(amount)", "to=format_account(to), amount=str(float(amount))"),
        IN_RPC,
    ),
    one(
        *("an entry's amount leaves as a number", "RPC: money is a string", VIEWS),
        *("amount=str(entry.amount)", "amount=entry.amount"),
        IN_RPC,
    ),
    one(
        *("fractions are parsed", "RPC: no floats", JSONRPC),
        *("parse_float=_no_fraction", "parse_float=float"),
        IN_RPC,
    ),
    one(
        *("integers that JavaScript rounds are parsed", "RPC: exact integers", JSONRPC),
        *("parse_int=_integer", "parse_int=int"),
        IN_RPC,
    ),
    one(
        *("duplicate names are parsed", "RPC: one meaning", JSONRPC),
        *("object_pairs_hook=_object", "object_pairs_hook=dict"),
        IN_RPC,
    ),
    one(
        *("calls in one body are unbounded", "RPC: bounds", JSONRPC),
        *("if len(value) > BATCH_MAX:", "if False:"),
        IN_RPC,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (
    *OF_THE_MEMPOOL,
    *OF_BATCHES,
    *OF_DISSEMINATION,
    *OF_PAYLOADS,
    *OF_SYNC,
    *OF_RPC,
)
