"""Mutants of the links between validators: who a peer is, frames, the outbox, requests, the mesh."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

CALLS: Final = "network/calls.py"
CONNECTION: Final = "network/connection.py"
HANDSHAKE: Final = "network/handshake.py"
IDENTITY: Final = "network/identity.py"
LIMITS: Final = "network/limits.py"
MESH: Final = "network/mesh.py"
NAMES: Final = "network/names.py"
OUTBOX: Final = "network/outbox.py"
PEER: Final = "network/peer.py"
WIRE: Final = "network/wire.py"

IN_IDENTITY: Final = suite("network_identity")
IN_WIRE: Final = suite("network_wire")
IN_OUTBOX: Final = suite("network_outbox")
IN_REQUESTS: Final = suite("network_requests")
IN_MESH: Final = suite("network_mesh")
IN_HOSTILE: Final = suite("network_hostile")

OF_IDENTITY: Final = (
    one(
        *("a peer may issue the certificates of another", "links: identity", IDENTITY),
        *("x509.BasicConstraints(ca=True, path_length=0)", "x509.BasicConstraints(ca=True, path_length=None)"),
        IN_IDENTITY,
    ),
    one(
        *("the leaf's signature is OpenSSL's affair alone", "links: identity", IDENTITY),
        *("if not verify(peer, leaf.tbs_certificate_bytes, leaf.signature):", "if False:"),
        IN_IDENTITY,
    ),
    one(
        *("OpenSSL is not asked who it is", "links: identity", IDENTITY),
        *("context.verify_mode = ssl.CERT_REQUIRED", "context.verify_mode = ssl.CERT_OPTIONAL"),
        IN_HOSTILE,
    ),
    one(
        *("a leaf of another chain is one of ours", "links: identity", IDENTITY),
        *(
            "if len(peer) != ID_BYTES or not is_ours or signed_with",
            "if len(peer) != ID_BYTES or signed_with",
        ),
        IN_IDENTITY,
    ),
    one(
        *("TLS 1.2 will do", "links: identity", IDENTITY),
        *("context.minimum_version = ssl.TLSVersion.TLSv1_3", "context.minimum_version = ssl.TLSVersion.TLSv1_2"),
        IN_IDENTITY,
    ),
    one(
        *("any protocol over our TLS is ours", "links: identity", IDENTITY),
        *(" or tls.selected_alpn_protocol() != ALPN:", ":"),
        *(IN_IDENTITY, IN_HOSTILE),
    ),
    one(
        *("a session is resumed under an older allowlist", "links: identity", IDENTITY),
        *("server.num_tickets = 0 ", "server.num_tickets = 2 "),
        IN_IDENTITY,
    ),
    one(
        *("a clock a day behind parts the network", "links: identity", IDENTITY),
        *("LEAF_BACKDATED: Final = timedelta(days=1)", "LEAF_BACKDATED: Final = timedelta(0)"),
        IN_IDENTITY,
    ),
    one(
        *("whoever answers there is the peer", "links: identity", CONNECTION),
        *("if proven != peer:", "if False:"),
        *(IN_MESH, IN_HOSTILE),
    ),
    one(
        *("HELLO may name another than TLS has proven", "links: identity", HANDSHAKE),
        *("if theirs.node != connection.peer:", "if False:"),
        IN_MESH,
    ),
    one(
        *("another chain is not refused", "links: identity", HANDSHAKE),
        *("if theirs.genesis_hash != ours.genesis_hash:", "if False:"),
        IN_MESH,
    ),
)

OF_FRAMES: Final = (
    one(
        *("a payload may be as long as the largest frame", "links: frames", WIRE),
        *(
            '    if length > most:\n        raise Violation("oversize", f"frame type',
            '    if False:\n        raise Violation("oversize", f"frame type',
        ),
        IN_WIRE,
    ),
    one(
        *("a type that nobody knows is a message", "links: frames", WIRE),
        *("    if most < 0:", "    if False:"),
        IN_WIRE,
    ),
    one(
        *("a bundle of any number of frames", "links: frames", WIRE),
        *("if len(frames) == BUNDLE_FRAMES_MAX:\n            raise", "if False:\n            raise"),
        IN_WIRE,
    ),
    one(
        *("a bundle of any length", "links: frames", WIRE),
        *("if len(data) > BUNDLE_BYTES_MAX:", "if False:"),
        IN_WIRE,
    ),
    one(
        *("a frame in a bundle ends where the bundle ends", "links: frames", WIRE),
        *("if length > end - at:", "if False:"),
        IN_WIRE,
    ),
    one(
        *("an empty bundle is nothing", "links: frames", WIRE),
        *("    if not frames:\n        raise", "    if False:\n        raise"),
        IN_WIRE,
    ),
    one(
        *("a HELLO of any length", "links: frames", WIRE),
        *("if len(data) > HELLO_BYTES_MAX:", "if False:"),
        IN_WIRE,
    ),
    one(
        *("WELCOME may have contents", "links: frames", WIRE),
        *("return len(data) == 1 and data[0] == WELCOME", "return data[:1] == bytes((WELCOME,))"),
        IN_WIRE,
    ),
)

OF_THE_OUTBOX: Final = (
    one(
        *("an outbox without bounds", "links: outbox", OUTBOX),
        *("if lane.size + cost > lane.spec.bytes_max:\n            if", "if False:\n            if"),
        IN_OUTBOX,
    ),
    one(
        *("empty frames are free", "links: outbox", OUTBOX),
        *("cost = len(frame) + FRAME_OVERHEAD_BYTES", "cost = len(frame)"),
        IN_OUTBOX,
    ),
    one(
        *("a full outbox drops what is new", "links: outbox", OUTBOX),
        *('if lane.spec.on_full != "drop_oldest":', "if True:"),
        IN_OUTBOX,
    ),
    one(
        *("a gap where there may be none", "links: outbox", OUTBOX),
        *('if lane.spec.on_full == "drop_new" else "overflow"', 'if lane.spec.on_full else "overflow"'),
        *(IN_OUTBOX, IN_HOSTILE),
    ),
    one(
        *("what is urgent starves the rest", "links: outbox", OUTBOX),
        *("if len(waiting) > 1 and self._taken % TURN_EVERY == 0:", "if False:"),
        IN_OUTBOX,
    ),
    one(
        *("priority counts for nothing", "links: outbox", OUTBOX),
        *("for spec in sorted(specs, key=lambda spec: spec.priority)]", "for spec in specs]"),
        IN_OUTBOX,
    ),
    one(
        *("a bundle longer than a peer reads", "links: outbox", OUTBOX),
        *("if need > room or len(lane.frames[0])", "if len(lane.frames[0])"),
        IN_OUTBOX,
    ),
    one(
        *("large frames are bundled", "links: outbox", OUTBOX),
        *("need > room or len(lane.frames[0]) > BUNDLED_FRAME_BYTES_MAX or", "need > room or"),
        IN_OUTBOX,
    ),
    one(
        *("what is dropped is not counted", "links: outbox", OUTBOX),
        *("        self.dropped += 1", "        pass"),
        IN_OUTBOX,
    ),
)

OF_REQUESTS: Final = (
    one(
        *("requests of ours without number", "links: requests", CALLS),
        *("if len(self._pending) >= self._limits.requests_pending_max:", "if False:"),
        IN_REQUESTS,
    ),
    one(
        *("a peer's requests are served all at once", "links: requests", CALLS),
        *("is_crowded = self._serving >= self._limits.requests_served_max", "is_crowded = False"),
        IN_REQUESTS,
    ),
    one(
        *("a peer asks as often as it likes", "links: requests", CALLS),
        *(" or not self._rate.take(1, now):", ":"),
        IN_REQUESTS,
    ),
    one(
        *("the narrow lane has requests", "links: requests", CALLS),
        *("if is_crowded or now < self._narrow_until or", "if is_crowded or"),
        *(IN_REQUESTS, IN_HOSTILE),
    ),
    one(
        *("an answer that nobody asked for passes", "links: requests", CALLS),
        *("if not 1 <= number <= self._last_request:", "if False:"),
        *(IN_REQUESTS, IN_HOSTILE),
    ),
    one(
        *("who waits for a peer that has gone waits on", "links: requests", CALLS),
        *('answer.set_result("disconnected")', "pass"),
        IN_REQUESTS,
    ),
    one(
        *("a place is not given back", "links: requests", CALLS),
        *("            self._serving -= 1", "            pass"),
        IN_REQUESTS,
    ),
    one(
        *("we work on a request for as long as the peer likes", "links: requests", CALLS),
        *("min(request.deadline_ms / 1_000, self._limits.request_seconds_max)", "request.deadline_ms / 1_000"),
        IN_REQUESTS,
    ),
    one(
        *("a late answer is taken for nothing", "links: requests", CALLS),
        *("self._counters.responses_late += 1", "pass"),
        IN_REQUESTS,
    ),
    one(
        *("bytes that cannot be read cost nothing", "links: requests", CALLS),
        *(
            "points = error.points if isinstance(error, PeerError) else UNREAD_POINTS",
            "points = getattr(error, 'points', 0)",
        ),
        *(IN_REQUESTS, IN_HOSTILE),
    ),
)

OF_LINKS: Final = (
    one(
        *("a silent peer is a peer", "links: life", PEER),
        *('self.end(CloseCode.TIMEOUT, "silent")', "pass"),
        *(IN_MESH, IN_HOSTILE),
    ),
    one(
        *("a peer that takes no bytes is waited for", "links: life", PEER),
        *("async with asyncio.timeout(self._rules.limits.write_seconds):", "async with asyncio.timeout(None):"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("bytes are read as fast as they come", "links: rates", PEER),
        *(
            "return max(self._bytes.force(len(data), now), self._messages.force(len(frames), now))",
            "return self._messages.force(len(frames), now)",
        ),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a bundle is one message", "links: rates", PEER),
        *("self._messages.force(len(frames), now))", "self._messages.force(1, now))"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a channel takes any number of messages", "links: rates", PEER),
        *(
            "return self._messages.take(1, now) and self._bytes.take(length, now)",
            "return self._bytes.take(length, now)",
        ),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a channel takes any number of bytes", "links: rates", PEER),
        *("return self._messages.take(1, now) and self._bytes.take(length, now)", "return self._messages.take(1, now)"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a burst is a flood", "links: rates", PEER),
        *("now - inlet.blamed_at >= OVER_RATE_SECONDS", "True"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("the narrow lane is as broad as any", "links: misbehaviour", PEER),
        *("if self.is_narrow(now) and not self._narrow.take(1, now):", "if False:"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a violation costs a link and no points", "links: misbehaviour", PEER),
        *('self._rules.penalize(self.peer, POINTS[violation.kind], f"{violation} [{sample}]")', "pass"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("the second frame need not be WELCOME", "links: life", HANDSHAKE),
        *("if not is_welcome(await _receive(connection)):", "if not await _receive(connection):"),
        *(IN_HOSTILE, IN_MESH),
    ),
)

OF_WHAT_COMES: Final = (
    one(
        *("fragments count as nothing", "links: rates", CONNECTION),
        *("if self._came <= self.allowed:", "if True:"),
        IN_HOSTILE,
    ),
    one(
        *("whole messages are held against a link for ever", "links: rates", CONNECTION),
        *("self._tap.allowed += length + HEADER_BYTES", "pass"),
        IN_HOSTILE,
    ),
    one(
        *("names are looked up in the threads that commit", "links: dialling", CONNECTION),
        *("use_dns_cache=False, resolver=self._resolver)", "use_dns_cache=False)"),
        IN_MESH,
    ),
    one(
        *("a roster's misspelt host ends the node", "links: dialling", NAMES),
        *("except UnicodeError as error:", "except ZeroDivisionError as error:"),
        IN_MESH,
    ),
)

OF_THE_MESH: Final = (
    one(
        *("two links with one peer", "links: one of them", MESH),
        *('            raise Refused(CloseCode.DUPLICATE, "we have a link")', "            pass"),
        IN_MESH,
    ),
    one(
        *("who restarts waits until its old link is dead", "links: one of them", MESH),
        *("if link is None or link.hello.nonce != hello.nonce:", "if link is None:"),
        IN_MESH,
    ),
    one(
        *("who lost its end waits for ours to end", "links: one of them", MESH),
        *("link.since < self.limits.stale_seconds", "link.since < float('inf')"),
        IN_MESH,
    ),
    one(
        *("an old link goes on beside the new", "links: one of them", MESH),
        *('old.end(CloseCode.REPLACED, "a newer connection")', "pass"),
        IN_MESH,
    ),
    one(
        *("a link that never began holds its connection", "links: life", MESH),
        *("task.add_done_callback(lambda _: connection.abort())", "pass"),
        IN_MESH,
    ),
    one(
        *("who is no longer a peer keeps its link", "links: allowlist", MESH),
        *('link.end(CloseCode.REMOVED, "no longer a peer")', "pass"),
        IN_MESH,
    ),
    one(
        *("contexts keep the old allowlist", "links: allowlist", MESH),
        *(
            "            self._start_dialling(slot)\n        self._contexts = None",
            "            self._start_dialling(slot)",
        ),
        IN_MESH,
    ),
    one(
        *("contexts are never renewed", "links: allowlist", MESH),
        *(" or now - self._contexts_made_at > self.limits.context_seconds:", ":"),
        *(IN_MESH, IN_HOSTILE),
    ),
    one(
        *("no back-off between dials", "links: dialling", MESH),
        *(
            "return max(blocked, head_start + slot.backoff * random.uniform(0.5, 1.0))",
            "return max(blocked, head_start)",
        ),
        *(IN_MESH, IN_HOSTILE),
    ),
    one(
        *("the back-off grows without an end", "links: dialling", MESH),
        *(
            "min(max(2 * slot.backoff, limits.backoff_seconds_min), limits.backoff_seconds_max)",
            "max(2 * slot.backoff, limits.backoff_seconds_min)",
        ),
        *(IN_MESH, IN_HOSTILE),
    ),
    one(
        *("a back-off outlives a good link", "links: dialling", MESH),
        *("            slot.backoff = 0.0", "            pass"),
        IN_MESH,
    ),
    one(
        *("who misbehaves is let in at once", "links: misbehaviour", MESH),
        *("slot.blocked_until = now + slot.blocked_seconds", "pass"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("who misbehaves again waits no longer", "links: misbehaviour", MESH),
        *("longer = 2 * slot.blocked_seconds if again else 0.0", "longer = 0.0"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a peer may be kept out for good", "links: misbehaviour", MESH),
        *(
            "min(max(longer, self.limits.block_seconds_min), self.limits.block_seconds_max)",
            "max(longer, self.limits.block_seconds_min)",
        ),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a burst is many misbehaviours", "links: misbehaviour", MESH),
        *("if slot is None or now < slot.blocked_until:", "if slot is None:"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a peer shakes hands as often as it likes", "links: strangers", MESH),
        *("elif slot.shaking >= HANDSHAKES_PER_PEER_MAX:", "elif False:"),
        IN_HOSTILE,
    ),
    one(
        *("any number of strangers at once", "links: strangers", CONNECTION),
        *("is_full = len(self._arrivals) >= self._limits.handshakes_max", "is_full = False"),
        IN_HOSTILE,
    ),
    one(
        *("one address takes all places", "links: strangers", CONNECTION),
        *("is_crowding = visitor.arriving >= self._limits.handshakes_per_ip_max", "is_crowding = False"),
        IN_HOSTILE,
    ),
    one(
        *("one address comes as often as it likes", "links: strangers", CONNECTION),
        *(" or not visitor.bucket.take(1, now) else visitor", " else visitor"),
        IN_HOSTILE,
    ),
    one(
        *("a stranger may take its time", "links: strangers", CONNECTION),
        *(
            "            async with asyncio.timeout(self._limits.handshake_seconds):",
            "            async with asyncio.timeout(None):",
        ),
        IN_HOSTILE,
    ),
    one(
        *("every address is remembered", "links: strangers", CONNECTION),
        *("if len(self._visitors) > VISITORS_MAX:", "if False:"),
        IN_HOSTILE,
    ),
    one(
        *("a redirect leads us away", "links: dialling", CONNECTION),
        *("    if response.status != 101:", "    if False:"),
        *(IN_HOSTILE, IN_MESH),
    ),
    one(
        *("a score is for ever", "links: misbehaviour", LIMITS),
        *("return self._points * exp2(-max(0.0, now - self._at) / SCORE_HALVES_SECONDS)", "return self._points"),
        *(IN_OUTBOX, IN_MESH, IN_HOSTILE),
    ),
    one(
        *("a bucket fills without an end", "links: rates", LIMITS),
        *("self._tokens = min(self._burst, self._tokens + max(", "self._tokens = (self._tokens + max("),
        *(IN_OUTBOX, IN_HOSTILE),
    ),
    one(
        *("a clock that goes back empties a bucket", "links: rates", LIMITS),
        *("max(0.0, now - self._at) * self._rate", "(now - self._at) * self._rate"),
        *(IN_OUTBOX, IN_HOSTILE),
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (
    *OF_IDENTITY,
    *OF_FRAMES,
    *OF_THE_OUTBOX,
    *OF_REQUESTS,
    *OF_LINKS,
    *OF_WHAT_COMES,
    *OF_THE_MESH,
)
