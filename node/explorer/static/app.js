/** The frame: language, theme, token, state of the network, and the page that the address names. */

import { readAddress } from "./address.js";
import { rememberAssets } from "./assets.js";
import { LANGUAGES, chooseLanguage, loadWords, remember, remembered } from "./i18n.js";
import { Live } from "./live.js";
import { Rpc, formatDuration, formatInteger, formatMoney } from "./som/som.js";
import { button, field, form, h, light, loading, problem, replace } from "./ui.js";
import { takeLab } from "./control.js";
import account from "./pages/account.js";
import block from "./pages/block.js";
import consensus from "./pages/consensus.js";
import disbursement from "./pages/disbursement.js";
import governance from "./pages/governance.js";
import lab from "./pages/lab.js";
import network from "./pages/network.js";
import now from "./pages/now.js";
import payment from "./pages/payment.js";
import register from "./pages/register.js";
import supply from "./pages/supply.js";
import validators from "./pages/validators.js";

const PAGES = { now, validators, consensus, payment, disbursement, supply, register, account, network, governance, lab };
const HIDDEN = { block, missing: ({ body }) => replace(body) };
const TOKEN = "som-token"; // in sessionStorage: it goes when the tab does
const THEME = "som-theme";
const THEMES = ["auto", "light", "dark"];
const DRAW_MS = 400; // at the most so often, however fast blocks come

const language = chooseLanguage(location.search, remembered(), navigator.languages ?? []);
const element = (id) => document.getElementById(id);

async function main() {
  document.documentElement.lang = language;
  showTheme(localStorage.getItem(THEME) ?? "auto");
  if (takeLab(location.hash)) history.replaceState(null, "", "#/lab");
  const t = await loadWords(language);
  const rpc = new Rpc({ url: location.origin, token: sessionStorage.getItem(TOKEN) ?? "", language });
  const live = new Live(rpc);
  const shell = { t, rpc, live, language, assets: rememberAssets(rpc, t) };
  drawFrame(shell);
  replace(element("page"), loading(t));
  await live.start();
  let access = "";
  const draw = () => {
    drawState(shell);
    const now = `${live.info?.access} ${live.refused}`;
    if (now !== access) drawAccess(shell); // seldom: somebody may be typing there
    access = now;
  };
  live.on(paced(draw));
  draw();
  let leave = () => {};
  const go = () => {
    leave();
    leave = show(shell);
  };
  addEventListener("hashchange", () => {
    go();
    element("page").querySelector("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  go();
  document.body.dataset.ready = "true";
}

// --- pages ---

/** Shows the page that the hash names; returns how to leave it. */
function show(shell) {
  const { name: key, args } = readAddress(location.hash, { ...PAGES, ...HIDDEN });
  const page = PAGES[key] ?? HIDDEN[key];
  const { t } = shell;
  const left = new AbortController();
  const title = h("h1", { tabindex: "-1" }, t(`page.${key}`));
  const body = h("div", { class: "body" }, loading(t));
  document.title = `${t(`page.${key}`)} · ${t("title")}`;
  for (const link of element("pages").querySelectorAll("a")) {
    if (link.dataset.page === key) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  element("page").dataset.page = key;
  replace(element("page"), title, h("p", { class: "lead" }, t(`lead.${key}`)), body);
  const context = {
    ...shell,
    args,
    body,
    signal: left.signal,
    som: (units) => formatMoney(units, shell.language),
    money: (units, { scale, code }) => formatMoney(units, shell.language, { scale, code }),
    number: formatInteger,
    onLeave: (stop) => left.signal.addEventListener("abort", stop),
    onLive: (draw) => {
      const stop = shell.live.on(paced(() => left.signal.aborted || draw()));
      left.signal.addEventListener("abort", stop);
      draw();
    },
    every: (ms, ask) => {
      const timer = setInterval(() => document.hidden || ask(), ms);
      left.signal.addEventListener("abort", () => clearInterval(timer));
      return ask();
    },
  };
  Promise.resolve(page(context)).catch((error) => {
    if (left.signal.aborted) return;
    replace(body, problem(error, t));
  });
  return () => left.abort();
}

/** Runs `draw` soon, and not more often than a person can read. */
function paced(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      draw();
    }, DRAW_MS);
  };
}

// --- the frame ---

function drawFrame({ t }) {
  element("title").textContent = t("title");
  element("skip").textContent = t("skip");
  element("skip").addEventListener("click", (event) => {
    event.preventDefault();
    element("page").focus();
  });
  element("pages").setAttribute("aria-label", t("pages"));
  const links = Object.keys(PAGES).map((key) => h("li", {}, h("a", { href: `#/${key}`, "data-page": key }, t(`page.${key}`))));
  replace(element("pages"), h("ul", {}, links));
  const languages = LANGUAGES.map((name) => {
    const attributes = { lang: name, hreflang: name, href: `?lang=${name}`, "aria-current": name === language ? "true" : null };
    const names = { ky: "Кыргызча", ru: "Русский", en: "English" };
    return h("a", { ...attributes, onclick: (event) => speak(event, name) }, names[name]);
  });
  const theme = button("", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    localStorage.setItem(THEME, next);
    showTheme(next);
    theme.textContent = t(`theme.${next}`);
  }, { id: "theme" });
  theme.textContent = t(`theme.${document.documentElement.dataset.theme}`);
  replace(element("tools"), h("nav", { class: "languages", "aria-label": t("language") }, languages), theme);
  element("foot").textContent = t("foot");
}

function speak(event, name) {
  event.preventDefault();
  remember(name);
  const address = new URL(location.href);
  address.searchParams.set("lang", name);
  location.assign(address);
  if (address.href === location.href) location.reload();
}

function showTheme(theme) {
  document.documentElement.dataset.theme = THEMES.includes(theme) ? theme : "auto";
}

/** The state of the network, large, for who looks from across the room. */
function drawState({ live, t, language: spoken }) {
  const { kind, names, spare, ahead, age } = live.verdict;
  const looks = { running: "good", away: "warn", behind: "warn", stalled: "bad", unreachable: "bad", refused: "bad" };
  const values = { names: names.join(", "), count: ahead ? formatInteger(ahead) : "", age: formatDuration(age, spoken) };
  const named = kind === "stalled" && !names.length ? "stalled_alone" : kind === "behind" && !ahead ? "behind_some" : kind;
  const state = element("state");
  state.className = `state ${looks[kind]}`;
  const more = spare > 0 && (kind === "running" || kind === "away") ? t("state.spare", { count: spare }) : kind === "away" || kind === "running" ? t("state.no_spare") : "";
  replace(
    state,
    h("strong", {}, light(looks[kind], t(`state.${named}`, values))),
    h("span", {}, more),
    h("span", { class: "height" }, live.info ? `${t("height")} ${formatInteger(live.info.height)}` : ""),
    h("span", { class: "mode" }, t(`mode.${live.mode}`)),
  );
}

/** Which network this is; and where a token is asked for, its field. */
function drawAccess({ live, rpc, t }) {
  const { info } = live;
  element("network").textContent = info ? `${info.name} · ${info.node}` : "";
  if (info?.access !== "tokens" && !live.refused) return;
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", maxlength: 64, pattern: "[0-9a-f]{64}" });
  const has = sessionStorage.getItem(TOKEN) !== null;
  const keep = (value) => {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
    rpc.close();
    location.reload();
  };
  replace(
    element("access"),
    form(
      () => keep(input.value.trim()),
      has ? (live.refused ? light("bad", t("token.refused")) : light("good", t("token.kept"))) : field(t("token"), input, t("token.hint")),
      has ? button(t("token.forget"), () => keep("")) : h("button", {}, t("token.use")),
    ),
  );
}

main().catch((error) => {
  console.error(error);
  element("page").textContent = String(error);
});
