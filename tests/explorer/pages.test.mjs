// What pages show of a node that answers from a table: amounts, statements, runs of payments, addresses.
import assert from "node:assert/strict";
import test from "node:test";
import { explorer, plain } from "./page.mjs";
import { makeAccount } from "./som.mjs";

const ACCOUNT = makeAccount(2, 1);
const BEGUN = 1_800_000_000_000;
const LEGS = 1_000; // of each transaction of a run
const ASSETS = [{ asset: 1, code: "SOM", scale: 2 }];
const INFO = {
  name: "test", node: "n", height: 1, genesis_hash: "00", access: "open", validators: 4, block_time_ms: BEGUN,
};

const line = (number, more = {}) => ({
  number, timestamp_ms: BEGUN + number * 1_000, tx_id: String(number), asset: 1, amount: "-100", balance: "0",
  other: null, ref: null, ...more,
});

/** A node: `lines` of the account, oldest first, and `assets` of the register, which may grow; and other methods. */
function node(lines, assets = [...ASSETS], more = {}) {
  return {
    chain_getInfo: () => INFO,
    chain_getConsensus: () => ({ consensus: { votes: [] } }),
    net_getPeers: () => ({ peers: [] }),
    chain_getBlocks: () => ({ blocks: [] }),
    account_get: () => ({
      account: { kind: "BANK", tier: 0, flags: [], bank: null, threshold: 1, keys: [], out_today: "150", holdings: [] },
    }),
    hold_list: () => ({ holds: [], next_cursor: null }),
    account_getHistory: ({ cursor = null, from_number: from, order = "desc", limit }) => {
      const start = from ?? (cursor === null ? (order === "asc" ? 0 : lines.length - 1) : Number(cursor));
      const rest = order === "asc" ? lines.slice(start) : lines.slice(0, start + 1).reverse();
      return { entries: rest.slice(0, limit), next_cursor: rest.length > limit ? String(rest[limit].number) : null };
    },
    asset_list: () => ({ assets: [...assets], next_cursor: null }),
    asset_get: ({ asset }) => {
      const found = assets.find((each) => each.asset === asset);
      if (!found) throw { name: "not_found" };
      return { asset: found };
    },
    tx_get: () => ({
      transaction: { operations: [{ type: "pay", payer: ACCOUNT, legs: Array(LEGS).fill({}) }] },
      receipt: { skipped: [] },
    }),
    ...more,
  };
}

async function opened(methods, options, run) {
  const page = await explorer(methods, options);
  try {
    await run(page);
    assert.deepEqual(page.errors, []);
  } finally {
    page.close();
  }
}

const statement = (page) => plain(page.page.textContent);

// Amounts

test("an asset that was registered while the tab is open is shown with its own code and decimals", async () => {
  const [lines, assets] = [[line(0)], [...ASSETS]];
  await opened(node(lines, assets), {}, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    assert.match(statement(page), /-1\.00 som/);
    assert.match(statement(page), /1\.50 som/); // paid today, in som always
    assets.push({ asset: 4, code: "USDX", scale: 6 });
    lines.push(line(1, { asset: 4, amount: "1000000" }));
    await page.go("#/now");
    await page.go(`#/account/${ACCOUNT}`);
    assert.match(statement(page), /1\.000000 USDX/);
  });
});

test("an amount of an asset that the register does not have is shown in minor units, and never as som", async () => {
  const lines = [line(0, { asset: 9, amount: "1000000" })];
  await opened(node(lines), {}, async (page) => {
    const asks = () => page.count("asset_get") + page.count("asset_list");
    for (let look = 0; look < 5; look += 1) {
      await page.go("#/now");
      await page.go(`#/account/${ACCOUNT}`);
      assert.match(statement(page), /1 000 000 minor units, asset 9/);
      assert.doesNotMatch(statement(page), /10 000\.00/);
    }
    assert.equal(asks(), 1); // no more than once in a while
    await page.wait(31_000);
    await page.go(`#/disbursement/${ACCOUNT}`);
    await page.go(`#/account/${ACCOUNT}`);
    assert.equal(asks(), 2);
  });
});

test("a node that is too busy to say what an asset is is asked again, and no amount is shown meanwhile", async () => {
  let busy = true;
  const methods = node([line(0, { asset: 4, amount: "1000000" })], [...ASSETS, { asset: 4, code: "USDX", scale: 6 }]);
  const { asset_get: get } = methods;
  methods.asset_get = (params) => {
    if (busy) throw { name: "rate_limited", retryable: true };
    return get(params);
  };
  await opened(methods, {}, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    assert.match(statement(page), /Too many questions/);
    busy = false;
    await page.wait(2_000);
    assert.match(statement(page), /1\.000000 USDX/);
  });
});

// Statements

test("without a WebSocket an account's new lines and balances are asked for every two seconds", async () => {
  const lines = [line(0)];
  await opened(node(lines), {}, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    const before = page.count("account_get");
    lines.push(line(1, { amount: "-777" }), line(2, { amount: "-888" }));
    await page.wait(2_000);
    assert.match(statement(page), /-8\.88 som.*-7\.77 som.*-1\.00 som/);
    assert.equal(page.count("account_get"), before + 1);
    await page.wait(10_000);
    assert.equal(page.count("account_get"), before + 1); // nothing new, nothing drawn
    await page.go("#/now");
    const left = page.count("account_getHistory");
    await page.wait(10_000);
    assert.equal(page.count("account_getHistory"), left); // who left the page asks no more
  });
});

test("where lines are told nobody asks, and a line that was not told is fetched with the next", async () => {
  const lines = [line(0)];
  await opened(node(lines), { live: true }, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    await page.wait(4_000);
    const before = page.count("account_getHistory");
    lines.push(line(1, { amount: "-777" }));
    await page.tell("account", { entry: lines[1] });
    await page.wait(10_000);
    assert.equal(page.count("account_getHistory"), before);
    lines.push(line(2, { amount: "-888" }), line(3, { amount: "-999" }));
    await page.tell("account", { entry: lines[3] });
    assert.match(statement(page), /-9\.99 som.*-8\.88 som.*-7\.77 som.*-1\.00 som/);
    await page.tell("account", { entry: lines[3] });
    assert.equal(statement(page).match(/-9\.99 som/g).length, 1);
  });
});

test("what the node does not give when a line is told is there two seconds later", async () => {
  const lines = [line(0)];
  let busy = "";
  const methods = node(lines);
  for (const name of ["account_getHistory", "account_get"]) {
    const { [name]: answer } = methods;
    methods[name] = (params) => {
      if (busy === name) throw { name: "rate_limited", retryable: true };
      return answer(params);
    };
  }
  await opened(methods, { live: true }, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    await page.wait(4_000);
    busy = "account_getHistory";
    lines.push(line(1, { amount: "-777" }), line(2, { amount: "-888" }));
    await page.tell("account", { entry: lines[2] });
    busy = "";
    await page.wait(2_000);
    assert.match(statement(page), /-8\.88 som.*-7\.77 som/);
    busy = "account_get";
    lines.push(line(3));
    await page.tell("account", { entry: lines[3] });
    busy = "";
    const before = page.count("account_get");
    await page.wait(10_000);
    assert.equal(page.count("account_get"), before + 1);
  });
});

test("a line that is told while others are asked for is not lost", async () => {
  const lines = [line(0)];
  const methods = node(lines);
  const { account_getHistory: history } = methods;
  let page;
  methods.account_getHistory = (params) => {
    const answer = history(params);
    if (params.from_number === 1) {
      lines.push(line(3, { amount: "-333" }), line(4, { amount: "-444" }));
      page.tell("account", { entry: lines[4] });
    }
    return answer;
  };
  await opened(methods, { live: true }, async (found) => {
    page = found;
    await page.go(`#/account/${ACCOUNT}/17`);
    lines.push(line(1, { amount: "-111" }), line(2, { amount: "-222" }));
    await page.tell("account", { entry: lines[2] });
    assert.match(statement(page), /-4\.44 som.*-3\.33 som.*-2\.22 som.*-1\.11 som/);
  });
});

test("a line that came before the WebSocket was back is there soon after, told or not", async () => {
  const lines = [line(0)];
  await opened(node(lines), { live: true }, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    await page.wait(4_000);
    await page.cut(3_000);
    lines.push(line(1, { amount: "-777" }));
    await page.wait(2_000);
    assert.match(statement(page), /-7\.77 som/);
    const before = page.count("account_getHistory");
    await page.wait(10_000);
    assert.equal(page.count("account_getHistory"), before);
  });
});

test("who is refused a subscription asks", async () => {
  const lines = [line(0)];
  await opened(node(lines), { live: true, refused: "account" }, async (page) => {
    await page.go(`#/account/${ACCOUNT}`);
    await page.wait(4_000);
    lines.push(line(1, { amount: "-777" }));
    await page.wait(2_000);
    assert.match(statement(page), /-7\.77 som/);
  });
});

test("under an order, where each look is written down, nothing is asked for by the page itself", async () => {
  await opened(node([line(0)]), {}, async (page) => {
    await page.go(`#/account/${ACCOUNT}/17%2F26`);
    assert.match(statement(page), /-1\.00 som/);
    const before = page.asked.filter((each) => each.params.under_order === "17/26").length;
    assert.equal(before, 3); // the account, its holds, its statement
    await page.wait(10_000);
    assert.equal(page.asked.filter((each) => each.params.under_order).length, before);
  });
});

// Runs of payments

const run = (page, name) => page.page.tile(name);

test("a run that is opened late is read to its beginning", async () => {
  const lines = Array.from({ length: 250 }, (_, number) => line(number));
  await opened(node(lines), {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/250000`);
    assert.equal(run(page, "Paid"), "250 000 of 250 000");
    assert.equal(run(page, "Time left"), "complete");
    assert.match(statement(page), /Earlier transactions that are counted, too: 150/);
    assert.doesNotMatch(statement(page), /not counted|only the latest part/);
  });
});

test("what was paid more than an hour before the latest is of another run, and not read", async () => {
  const long_ago = Array.from({ length: 1_000 }, (_, number) => line(number, { timestamp_ms: BEGUN - 3_600_000 }));
  await opened(node([...long_ago, line(1_000, { timestamp_ms: BEGUN })]), {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/2000`);
    assert.equal(run(page, "Paid"), "1 000 of 2 000");
    assert.ok(page.count("account_getHistory") <= 2);
  });
});

test("of more lines than a page reads it says so, and does not say how much time is left", async () => {
  const of = (number) => line(number, { timestamp_ms: BEGUN + number, tx_id: `${number >> 8}` });
  const lines = Array.from({ length: 5_400 }, (_, number) => of(number));
  await opened(node(lines), {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/1000000`);
    assert.match(statement(page), /only the latest part is shown/);
    assert.equal(run(page, "Time left"), "unknown");
  });
});

test("transactions that the node does not give are not counted, said to be missing, and asked for again", async () => {
  const lines = Array.from({ length: 20 }, (_, number) => line(number));
  let busy = true;
  const methods = node(lines);
  const { tx_get: get } = methods;
  methods.tx_get = (params) => {
    if (busy && Number(params.tx_id) % 2) throw { name: "rate_limited", retryable: true };
    return get(params);
  };
  await opened(methods, {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/40000`);
    await page.wait(60_000);
    assert.equal(run(page, "Paid"), "10 000 of 40 000");
    assert.equal(run(page, "Time left"), "unknown");
    assert.match(statement(page), /not counted yet: 10;/);
    const before = page.count("tx_get");
    await page.wait(2_000);
    assert.equal(page.count("tx_get"), before + 5); // one question of five a turn, while nothing comes
    busy = false;
    await page.wait(4_000);
    assert.equal(run(page, "Paid"), "20 000 of 40 000");
    assert.doesNotMatch(statement(page), /not counted/);
    assert.notEqual(run(page, "Time left"), "unknown");
  });
});

test("a payment that was told while the node was busy is counted as soon as the node gives it", async () => {
  const lines = [line(0)];
  let busy = false;
  const methods = node(lines);
  const { tx_get: get } = methods;
  methods.tx_get = (params) => {
    if (busy) throw { name: "overloaded", retryable: true };
    return get(params);
  };
  await opened(methods, { live: true }, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/4000`);
    busy = true;
    lines.push(line(1));
    await page.tell("account", { entry: lines[1] });
    assert.match(statement(page), /not counted yet: 1;/);
    busy = false;
    await page.wait(2_000);
    assert.equal(run(page, "Paid"), "2 000 of 4 000");
  });
});

test("without a WebSocket a run goes on as the page asks", async () => {
  const lines = [line(0)];
  await opened(node(lines), {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}/4000`);
    lines.push(line(1), line(2));
    await page.wait(4_000);
    assert.equal(run(page, "Paid"), "3 000 of 4 000");
  });
});

test("a transaction that pays in several operations is one, with all that it pays", async () => {
  const lines = [line(0, { tx_id: "a" }), line(1, { tx_id: "a", amount: "-200" })];
  const legs = Array(10).fill({});
  const operations = [{ type: "pay", payer: ACCOUNT, legs }, { type: "pay", payer: ACCOUNT, legs }];
  const methods = node(lines, ASSETS, { tx_get: () => ({ transaction: { operations }, receipt: null }) });
  await opened(methods, {}, async (page) => {
    await page.go(`#/disbursement/${ACCOUNT}`);
    assert.equal(run(page, "Paid"), "20");
    assert.equal(run(page, "Amount"), "3.00 som");
  });
});

test("a run whose node does not answer at first is asked for again", async () => {
  let gone = true;
  const methods = node([line(0)]);
  const { account_getHistory: history } = methods;
  methods.account_getHistory = (params) => {
    if (gone) throw { name: "syncing", retryable: true };
    return history(params);
  };
  for (const name of ["account", "disbursement"]) {
    gone = true;
    await opened(methods, {}, async (page) => {
      await page.go(`#/${name}/${ACCOUNT}`);
      assert.match(statement(page), /behind the network/);
      gone = false;
      await page.wait(2_000);
      assert.match(statement(page), /-1\.00 som/);
    });
  }
});

// Addresses and forms

test("an address that names no page, or is none, is said to be so", async () => {
  await opened(node([]), {}, async (page) => {
    for (const hash of ["#/account/%", "#/%E0%A4%A", "#/toString", "#/__proto__", "#/constructor/1", "#/nowhere"]) {
      await page.go(hash);
      assert.equal(page.page.querySelector("h1").textContent, "No such page", hash);
      assert.match(statement(page), /The address names no page/);
    }
    for (const hash of ["", "#", "#/", "#/now"]) {
      await page.go(hash);
      assert.equal(page.page.querySelector("h1").textContent, "Now", hash);
    }
  });
});

test("a tab that is opened with an address that is none stands", async () => {
  for (const hash of ["#/account/%", "#lab=%", "#lab=http://evil.example/"]) {
    await opened(node([]), { hash }, async (page) => {
      assert.equal(page.page.querySelector("h1").textContent, "No such page", hash);
      await page.go("#/now");
      assert.equal(page.page.querySelector("h1").textContent, "Now");
    });
  }
});

test("who gives an account without a reference is told that the reference is missing", async () => {
  await opened(node([]), {}, async (page) => {
    await page.go("#/payment");
    await page.submit({ "Payer's account": ACCOUNT, Reference: "" });
    assert.match(statement(page), /The reference is missing/);
    assert.doesNotMatch(statement(page), /Not an account number/);
    await page.submit({ "Payer's account": "12", Reference: "pension" });
    assert.match(statement(page), /Not an account number/);
    assert.equal(page.count("tx_getByRef"), 0);
  });
});
