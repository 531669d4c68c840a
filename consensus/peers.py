"""The other validators: where we guess they are, what they get from us, and what we ask of them.

One rule: a guess decides only whom we send something and whom we do not wait for, never what we vote; and nothing here
promises anything, it only says again what was said.
"""

from typing import Final

from consensus.committee import Committee
from consensus.events import Broadcast, Effect, PeerHeard, Send
from consensus.messages import (
    CERTIFICATES_ASKED_MAX,
    CertificateRequest,
    Message,
    Status,
)
from consensus.rounds import Rounds
from consensus.timing import Timing

ANSWERS_MAX: Final = 4 * CERTIFICATES_ASKED_MAX  # certificates to one peer between two retries: it cannot drain us

_LONG_AGO: Final = -(2**62)


class Peers:
    """Hints by validator index, and the messages that they call for."""

    __slots__ = (
        "_answered",
        "_asked",
        "_committee",
        "_heard_at",
        "_helped_at",
        "_me",
        "_retried",
        "_retries",
        "_rounds",
        "_timing",
        "views",
    )

    def __init__(self, committee: Committee, me: int | None, rounds: Rounds, timing: Timing) -> None:
        self._committee = committee
        self._me = me
        self._rounds = rounds
        self._timing = timing
        self.views = [0] * len(committee)
        self._heard_at = [_LONG_AGO] * len(committee)
        self._helped_at = [_LONG_AGO] * len(committee)
        self._answered = [0] * len(committee)
        self._asked: dict[tuple[int, int], None] = {}
        self._retried: tuple[int, int] | None = None
        self._retries = 0

    def others(self) -> list[int]:
        """Return all validators but ourselves."""
        return [peer for peer in range(len(self._committee)) if peer != self._me]

    def some(self, first: int) -> list[int]:
        """Return ``first`` and two others, other ones after each retry."""
        others = [peer for peer in self.others() if peer != first]
        start = 2 * self._retries % max(1, len(others))
        return [first, *(others[start:] + others[:start])[:2]]

    # --- whom we hear ---

    def start(self, now_ms: int) -> None:
        """Count everybody as heard: nobody is skipped because we were not there. R31."""
        self._heard_at = [now_ms] * len(self._committee)

    def heard(self, peer: int, view: int, now_ms: int) -> None:
        """Note that ``peer`` spoke, and that it is in ``view`` or beyond."""
        self._heard_at[peer] = now_ms
        if view > self.views[peer]:
            self.views[peer] = view

    def gone(self, peer: int) -> None:
        """Note that ``peer`` cannot be heard: its link is down. R31."""
        self._heard_at[peer] = _LONG_AGO

    def silent(self, peer: int, now_ms: int) -> bool:
        """Return whether ``peer`` is inactive while a quorum is active. Without a quorum nobody is. R31."""
        since = now_ms - self._timing.skip_ms
        if peer == self._me or self._heard_at[peer] >= since:
            return False
        active = [i for i, at in enumerate(self._heard_at) if at >= since or i == self._me]
        return self._committee.weight(active) >= self._committee.quorum

    # --- what they get ---

    def share(self, view: int) -> list[Effect]:
        """Return to those who have not left the view before ``view`` why they can. R34."""
        entry = self._rounds.entry(view)
        behind = [peer for peer in self.others() if self.views[peer] < view]
        return [] if entry is None else [Send(peer, entry) for peer in behind]

    def help(self, peer: int, view: int, mine: Status, now_ms: int) -> list[Effect]:
        """Return to a peer that gives up ``view``, which we have left, what brings it where we are. R35."""
        return self._help(peer, view <= mine.finalized_view, view < mine.view, mine, now_ms)

    def hint(self, heard: PeerHeard, mine: Status, now_ms: int) -> list[Effect]:
        """Note where a peer is; if it cannot leave a view that we have left, help it. R35, R47, R48."""
        if heard.epoch != mine.epoch:
            return self._other_epoch(heard.peer, heard.epoch, mine, now_ms)
        self.heard(heard.peer, heard.view, now_ms)
        if heard.stuck and self._rounds.closed:
            return self._help(heard.peer, True, False, mine, now_ms)
        return self.help(heard.peer, heard.view, mine, now_ms) if heard.stuck else []

    def compare(self, peer: int, theirs: Status, mine: Status, now_ms: int) -> list[Effect]:
        """Help a peer that is behind; tell one that is ahead, or only lacks blocks, where we are. R35, R48."""
        if theirs.epoch != mine.epoch:
            return self._other_epoch(peer, theirs.epoch, mine, now_ms)
        self.heard(peer, theirs.view, now_ms)
        if theirs.view < mine.view or theirs.finalized_view < mine.finalized_view:
            unfinal = min(theirs.view, theirs.finalized_view + 1) <= mine.finalized_view
            return self._help(peer, unfinal, theirs.view < mine.view, mine, now_ms)
        same = Status(mine.epoch, mine.view, mine.finalized_view, max(mine.finalized_height, theirs.finalized_height))
        return [] if theirs == same else self._say_where(peer, mine, now_ms)

    def _help(self, peer: int, unfinal: bool, behind: bool, mine: Status, now_ms: int) -> list[Effect]:
        final, entry = self._rounds.finalization, self._rounds.entry(mine.view)
        helpful = [final] if final is not None and unfinal else []
        if entry is not None and entry is not final and behind:
            helpful.append(entry)
        if not helpful or not self._may_answer(peer, now_ms):
            return []
        return [Send(peer, certificate) for certificate in helpful]

    def _other_epoch(self, peer: int, epoch: int, mine: Status, now_ms: int) -> list[Effect]:
        """Tell a peer in a later epoch where we are; it sends what ends ours. R48."""
        return self._say_where(peer, mine, now_ms) if epoch > mine.epoch else []

    def _say_where(self, peer: int, mine: Status, now_ms: int) -> list[Effect]:
        if self._rounds.closed or self._me is None or not self._may_answer(peer, now_ms):
            return []
        return [Send(peer, mine)]

    def _may_answer(self, peer: int, now_ms: int) -> bool:
        """Return whether ``peer`` may have an answer that it did not ask for, and note that it gets one. R35."""
        if now_ms - self._helped_at[peer] < self._timing.retry_ms // 4:
            return False
        self._helped_at[peer] = now_ms
        return True

    def answer(self, peer: int, low: int, high: int) -> list[Effect]:
        """Return to a peer what we hold of the views that it asks for. R36."""
        final = self._rounds.finalization
        found = [final] if final is not None and low <= self._rounds.finalized_view else []
        found += self._rounds.both_certificates(low, high)
        granted = min(len(found), CERTIFICATES_ASKED_MAX, ANSWERS_MAX - self._answered[peer])
        self._answered[peer] += granted
        return [Send(peer, certificate) for certificate in found[:granted]]

    def ask(self, low: int, high: int, peers: list[int]) -> list[Effect]:
        """Return a request for certificates, once for each range until the next retry. R36."""
        if (low, high) in self._asked:
            return []
        self._asked[low, high] = None
        return [Send(peer, CertificateRequest(self._committee.epoch, low, high)) for peer in peers if peer != self._me]

    # --- saying it again ---

    def retry(self, view: int) -> bool:
        """Let everything be asked and answered again; return whether nothing has changed since the last time. R37."""
        position = (view, self._rounds.finalized_view)
        stuck, self._retried = position == self._retried, position
        self._retries += 1
        self._asked.clear()
        self._answered = [0] * len(self._committee)
        return stuck

    def again(self, status: Status, waiting: bool) -> list[Effect]:
        """Return all that others may have missed; who only waits for the leader of an idle view says where. R37."""
        final, entry = self._rounds.finalization, self._rounds.entry(status.view)
        messages: list[Message] = [] if final is None else [final]
        if entry is not None and entry is not final:
            messages.append(entry)
        messages += self._rounds.own_messages(status.view)
        return [Broadcast(message) for message in ([status] if waiting else [*messages, status])]

    def greet(self, peer: int, status: Status) -> list[Effect]:
        """Return to a peer whose link came up where we are and what we promised. R38."""
        return [Send(peer, message) for message in (status, *self._rounds.own_messages(status.view))]
