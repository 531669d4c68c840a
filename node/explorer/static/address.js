/** What an address says behind its #: a page, and what the page is about. */

/** Reads `#/name/argument/...`: `now` where no page is named, `missing` where the name is none of `pages`. */
export function readAddress(hash, pages) {
  let parts;
  try {
    parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return { name: "missing", args: [] }; // a % that is followed by no two digits
  }
  const [name, ...args] = parts;
  return { name: name === "" ? "now" : Object.hasOwn(pages, name) ? name : "missing", args };
}
