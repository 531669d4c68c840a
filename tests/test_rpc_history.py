"""What has been: blocks, rates, supply and uptime, each against what the chain of the test did."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.messages import Header, make_block
from tests.rpc_lab import Lab, rpc_lab
from tests.solo_chain import BOB, TREASURY


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with rpc_lab(tmp_path) as found:
        yield found


async def test_blocks_are_listed_both_ways_without_a_gap(lab: Lab) -> None:
    for _ in range(5):
        await lab.chain.add_block(())
    tip = lab.chain.store.tip.height
    for order, expected in (("asc", list(range(tip + 1))), ("desc", list(range(tip, -1, -1)))):
        heights: list[int] = []
        page = await lab.call("chain_getBlocks", order=order, limit=4)
        heights += [block["height"] for block in page["blocks"]]
        while page["next_cursor"]:
            page = await lab.call("chain_getBlocks", order=order, limit=4, cursor=page["next_cursor"])
            heights += [block["height"] for block in page["blocks"]]
        assert heights == expected
    one = (await lab.call("chain_getBlocks", start=3, limit=1))["blocks"][0]
    whole = await lab.call("chain_getBlock", height=3)
    for name in ("height", "block_hash", "timestamp_ms", "transaction_count", "header", "signers"):
        assert one[name] == whole[name]


async def test_a_start_above_the_tip_is_not_found_and_a_foreign_cursor_is_refused(lab: Lab) -> None:
    assert (await lab.error("chain_getBlocks", start=10**6))["data"]["name"] == "not_found"
    page = await lab.call("chain_getBlocks", order="asc", limit=1)
    assert (await lab.error("chain_getBlocks", order="desc", cursor=page["next_cursor"]))["data"]["path"] == "cursor"


async def test_the_stats_are_those_of_the_blocks_looked_at(lab: Lab) -> None:
    before = await lab.call("chain_getStats")
    await lab.chain.execute([lab.chain.pay("alice", BOB, 1), lab.chain.pay("alice", BOB, 1)])
    found = await lab.call("chain_getStats")
    assert found["blocks"] == before["blocks"] + 2
    assert found["transactions"] == before["transactions"] + 2
    assert found["empty_blocks"] == before["empty_blocks"] + 1
    assert found["transactions_per_block_max"] == 2
    last = await lab.call("chain_getStats", blocks=1)
    assert (last["first_height"], last["blocks"], last["transactions"]) == (found["last_height"], 1, 0)
    assert last["duration_ms"] == last["interval_p50_ms"] == last["interval_p99_ms"] > 0


async def test_every_issue_and_redemption_is_in_the_history_of_the_supply(lab: Lab) -> None:
    chain = lab.chain
    before = int((await lab.call("supply_get"))["supply"])
    await chain.execute([chain.pay("issuer", TREASURY, 700)])
    await chain.execute([chain.pay("issuer", TREASURY, 50)])
    newest, older, *_ = (await lab.call("supply_getHistory"))["changes"]
    assert (newest["change"], newest["supply"]) == ("50", str(before + 750))
    assert (older["change"], older["supply"]) == ("700", str(before + 700))
    first = await lab.call("supply_getHistory", order="asc", limit=1)
    seen = first["changes"]
    while first["next_cursor"]:
        first = await lab.call("supply_getHistory", order="asc", limit=1, cursor=first["next_cursor"])
        seen += first["changes"]
    assert sum(int(change["change"]) for change in seen) == before + 750
    assert seen == (await lab.call("supply_getHistory", order="asc"))["changes"]


async def test_uptime_counts_certificates_leaders_and_views_without_a_block(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await lab.call("validator_getUptime"))["validators"]
    tip = lab.chain.store.tip.height
    assert before == [{"name": "solo", "signed": tip, "certificates": tip, "led": tip, "passed": 0}]
    later = 5  # views that went by

    def late(header: Header, payload: bytes) -> object:
        return make_block(replace(header, view=header.view + later), payload)

    monkeypatch.setattr("tests.solo_chain.make_block", late)
    await lab.chain.add_block((), certified=False)
    (found,) = (await lab.call("validator_getUptime"))["validators"]
    assert found == {"name": "solo", "signed": tip, "certificates": tip, "led": tip + 1, "passed": later}
    assert (await lab.call("chain_getStats", blocks=1))["views_passed"] == later
