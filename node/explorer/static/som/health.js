/** What state the network is in, as far as one node can tell. Pure: facts in, a verdict out. */

export const STALL_MS = 15_000; // as /readyz: an idle network makes a block every five seconds

/** How many validators more may fail, the heaviest first, while the connected ones are still a quorum. */
export function mayFail(votes, quorum) {
  const weights = votes.filter((vote) => vote.connected).map((vote) => vote.weight).sort((a, b) => b - a);
  let left = weights.reduce((sum, weight) => sum + weight, 0);
  if (left < quorum) return -1;
  let count = 0;
  for (const weight of weights) {
    left -= weight;
    if (left < quorum) break;
    count += 1;
  }
  return count;
}

/** {kind, names, spare, ahead, age}: kind is refused, unreachable, behind, stalled, away or running. */
export function judge({ refused, reachable, info, consensus, peers }) {
  if (refused) return { kind: "refused", names: [], spare: 0, ahead: 0, age: 0 };
  if (!reachable || !info) return { kind: "unreachable", names: [], spare: 0, ahead: 0, age: 0 };
  const votes = consensus?.votes ?? [];
  const spare = consensus ? mayFail(votes, consensus.quorum_weight) : 0;
  const away = votes.filter((vote) => !vote.connected).map((vote) => vote.name);
  const age = Math.max(0, info.now_ms - info.block_time_ms);
  const highest = Math.max(0, ...(peers ?? []).filter((peer) => peer.connected).map((peer) => peer.height ?? 0));
  const ahead = Math.max(0, highest - info.height);
  if (info.syncing) return { kind: "behind", names: away, spare, ahead, age };
  if (age > STALL_MS || spare < 0) {
    const awaited = away.length ? away : (consensus?.awaited ?? []);
    return { kind: "stalled", names: awaited, spare, ahead, age };
  }
  return { kind: away.length ? "away" : "running", names: away, spare, ahead, age };
}
