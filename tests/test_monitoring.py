"""devnet/monitoring against the program: an alert of a metric that nobody publishes is silent for ever."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import yaml

from node.cli.stalls import RUNBOOK

ROOT: Final = Path(__file__).parents[1]
MONITORING: Final = ROOT / "devnet" / "monitoring"
PAGES: Final = {path.stem: path.read_text() for path in (ROOT / "docs" / "runbook").glob("*.md")}
DASHBOARDS: Final = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
# docs/operations.md lists the node's metrics and no other: tests/test_operations.py asks a node.
LISTED: Final = set(re.findall(r"`(som_[a-z_]+)`", (ROOT / "docs" / "operations.md").read_text()))
OF_THE_PROCESS: Final = {"process_resident_memory_bytes", "process_cpu_seconds_total"}  # the same test asks for these
METRIC: Final = re.compile(r"\b(?:som|process)_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.decode((MONITORING / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def unknown(expression: str) -> list[str]:
    """Return the metrics of an expression that no node publishes."""
    bases = [re.sub(r"_(bucket|count|sum)$", "", name) for name in METRIC.findall(expression)]
    return [name for name in bases if name not in LISTED | OF_THE_PROCESS]


def test_each_alert_is_of_metrics_that_a_node_has() -> None:
    for rule in rules():
        assert unknown(rule["expr"]) == [], rule["alert"]
        assert METRIC.findall(rule["expr"]) or rule["alert"] == "node-down"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert unknown("rate(som_nothing_total[1m])") == ["som_nothing_total"]


def test_an_alert_of_what_happened_is_not_told_to_wait() -> None:
    """What `increase` sees is gone from it after its window: with a `for` as long the alert would never come."""
    events = [rule for rule in rules() if "increase(" in rule["expr"]]
    assert len(events) >= 3
    assert [rule["alert"] for rule in events if rule["for"] != "0s"] == []


def test_a_node_that_catches_up_does_not_say_that_the_chain_stands() -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "chain-stands-still")
    assert rule["expr"].endswith(" and som_syncing == 0")


def test_node_down_asks_for_the_job_that_the_page_and_the_settings_name() -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "node-down")
    (job,) = yaml.decode((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert rule["expr"] == f'up{{job="{job["job_name"]}"}} == 0'
    assert f"`job_name: {job['job_name']}`" in (ROOT / "docs" / "operations.md").read_text()


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) >= 15
    assert set(names) == PAGES.keys()
    assert [rule["annotations"]["runbook"] for rule in rules()] == [f"docs/runbook/{name}.md" for name in names]
    assert set(RUNBOOK.values()) <= PAGES.keys()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_says_in_three_languages_what_it_is_about_and_what_to_do(name: str) -> None:
    text = PAGES[name]
    assert text.startswith(f"# {name}\n")
    said = [re.search(rf"^- \*\*{language}\*\*: (.+)$", text, flags=re.MULTILINE) for language in ("ky", "ru", "en")]
    assert len({found[1] for found in said if found}) == 3
    assert "## What it means" in text
    assert re.search(r"^1\. ", text.split("## What to do")[1], flags=re.MULTILINE)
    assert set(METRIC.findall(text)) <= LISTED | OF_THE_PROCESS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_shows_metrics_that_a_node_has(path: Path) -> None:
    board = json.loads(path.read_text())
    assert len(board["panels"]) >= 12
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert METRIC.findall(target["expr"]), panel["title"]
            assert unknown(target["expr"]) == [], panel["title"]
    uids = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
    (source,) = yaml.decode((MONITORING / "grafana" / "datasource.yml").read_text())["datasources"]
    assert uids == {source["uid"]}


def test_there_is_a_dashboard_of_the_network_and_one_of_a_node() -> None:
    assert [path.stem for path in DASHBOARDS] == ["network", "node"]
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == 2


def test_prometheus_scrapes_every_node_of_the_compose_file_and_reads_the_rules() -> None:
    compose = yaml.decode((ROOT / "devnet" / "compose.yaml").read_text())
    nodes = {
        name for name, service in compose["services"].items() if service.get("command") == ["start", "--home", "/data"]
    }
    config = yaml.decode((MONITORING / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert {target.split(":")[0] for target in job["static_configs"][0]["targets"]} == nodes
    assert "observer" in nodes
    assert all((MONITORING / name).exists() for name in config["rule_files"])
    for service in ("prometheus", "grafana"):
        assert compose["services"][service]["profiles"] == ["monitoring"]
        for mount in compose["services"][service]["volumes"]:
            assert (ROOT / "devnet" / mount.split(":")[0]).exists(), mount
    # What compose v1 and v2 both understand; docker itself is asked by tests/test_docker.py.
    used = {name for service in compose["services"].values() for name in service.get("networks", ())}
    assert used == compose["networks"].keys()
    mounted = {mount.split(":")[0] for s in compose["services"].values() for mount in s.get("volumes", ())}
    assert {name for name in mounted if not name.startswith(".")} == compose["volumes"].keys()
