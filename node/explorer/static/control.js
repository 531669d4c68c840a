/** The one who starts and kills a devnet's validators: a server of `make devnet` on this machine, never the node. */

const STORED = "som-lab";
const ADDRESS = /^http:\/\/(127\.0\.0\.1|localhost):[0-9]{1,5}\/[0-9a-f]{64}$/;

/** Keeps the address that `#lab=` hands over, for this tab. Returns whether there was one. */
export function takeLab(hash) {
  const found = /^#lab=(.+)$/.exec(hash);
  if (!found || !ADDRESS.test(decodeURIComponent(found[1]))) return false;
  sessionStorage.setItem(STORED, decodeURIComponent(found[1]));
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
