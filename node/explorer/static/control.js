/** The one who starts and kills a devnet's validators: a server of `make devnet` on this machine, never the node. */

const STORED = "som-lab";
const ADDRESS = /^http:\/\/(127\.0\.0\.1|localhost):[0-9]{1,5}\/[0-9a-f]{64}$/;

/** Keeps the address that `#lab=` hands over, for this tab. Returns whether there was one. */
export function takeLab(hash) {
  const address = new URLSearchParams(hash.replace(/^#/, "")).get("lab") ?? "";
  if (!ADDRESS.test(address)) return false;
  sessionStorage.setItem(STORED, address);
  return true;
}

/** Whether an address was handed over. */
export const hasLab = () => ADDRESS.test(sessionStorage.getItem(STORED) ?? "");

/** Asks, or lets do: act "status" is a question, all others change something. */
export async function control(act, params = {}, signal = undefined) {
  const query = new URLSearchParams(params);
  const method = act === "status" ? "GET" : "POST";
  const response = await fetch(`${sessionStorage.getItem(STORED)}/${act}?${query}`, { method, signal, cache: "no-store" });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}
