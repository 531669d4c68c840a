/** What the page knows of the chain, kept fresh: told over the WebSocket, asked for where there is none.
 *
 * One rule: there is one copy of it, and pages draw what is here. Nobody else polls for the chain.
 */

import { RpcError, judge } from "./som/som.js";

const POLL_MS = 2_000;
export const BLOCKS_KEPT = 120;
const RECENT = 30; // blocks of a poll: more than a busy network makes between two

export class Live {
  constructor(rpc) {
    this._rpc = rpc;
    this._listeners = new Set();
    this.info = null;
    this.consensus = null;
    this.peers = [];
    this.blocks = []; // the latest, oldest first
    this.reachable = false;
    this.refused = false; // the node does not know our token, and tells us nothing
    this.started = false;
    this.mode = "connecting"; // live, polling
  }

  /** Begins; resolves when there is something to draw, or nobody answers. */
  async start() {
    this._rpc.onState((state) => {
      this.mode = state === "live" ? "live" : state === "connecting" && !this.started ? "connecting" : "polling";
      this._tell();
    });
    await this._poll(BLOCKS_KEPT);
    this.started = true;
    this._rpc.subscribe("blocks", {}, ({ block }) => {
      this._merge([block]);
      if (this.info) this.info = { ...this.info, height: Math.max(this.info.height, block.height), block_time_ms: block.timestamp_ms };
      this._tell();
    });
    this._rpc.subscribe("consensus", {}, ({ consensus }) => {
      this.consensus = consensus;
      this._tell();
    });
    const again = async () => {
      if (!document.hidden) await this._poll(this.mode === "live" ? 0 : RECENT);
      setTimeout(again, POLL_MS);
    };
    setTimeout(again, POLL_MS);
  }

  /** The state of the network: see judge. */
  get verdict() {
    return judge(this);
  }

  /** Names of the validators of this epoch, in the committee's order. */
  get names() {
    return (this.consensus?.votes ?? []).map((vote) => vote.name);
  }

  /** Hears of every change. Returns how to stop that. */
  on(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  async _poll(blocks) {
    const calls = [["chain_getInfo"], ["chain_getConsensus"], ["net_getPeers"]];
    if (blocks) calls.push(["chain_getBlocks", { limit: blocks }]);
    try {
      const [info, consensus, peers, page] = await this._rpc.batch(calls);
      this.refused = info instanceof RpcError && info.name === "unauthorized";
      this.reachable = !(info instanceof Error);
      // A devnet was reset: nothing on this page is of the network that answers now.
      if (this.reachable && this.info && this.info.genesis_hash !== info.genesis_hash) location.reload();
      if (this.reachable) this.info = info;
      if (!(consensus instanceof Error)) this.consensus = consensus;
      if (!(peers instanceof Error)) this.peers = peers.peers;
      if (page && !(page instanceof Error)) this._merge(page.blocks);
    } catch {
      this.reachable = false;
    }
    this._tell();
  }

  _merge(blocks) {
    const known = new Map(this.blocks.map((block) => [block.height, block]));
    for (const block of blocks) known.set(block.height, block);
    this.blocks = [...known.values()].sort((a, b) => a.height - b.height).slice(-BLOCKS_KEPT);
  }

  _tell() {
    for (const listener of this._listeners) listener();
  }
}
