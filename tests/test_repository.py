"""The files around the code: locks, links, and what runs before a merge."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parent.parent
LOCKS: Final = ("run.txt", "hsm.txt", "dev.txt", "build.txt", "schemas.txt")
PICTURE_BYTES_MAX: Final = 300_000
PAGES: Final = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))


def lock(name: str) -> str:
    return (ROOT / "requirements" / name).read_text()


def locked(name: str) -> dict[str, str]:
    """Return the version of each package in a lock."""
    return dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock(name), flags=re.MULTILINE))


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def package(requirement: str) -> str:
    return re.split(r"[<>=; ]", requirement)[0]


def test_every_dependency_is_locked(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    run = {package(requirement) for requirement in (*project["dependencies"], *extras["uvloop"])}
    assert run <= set(locked("run.txt"))
    assert {*map(package, (*extras["dev"], *extras["hsm"]))} <= set(locked("dev.txt"))
    assert run | {*map(package, extras["hsm"])} <= set(locked("hsm.txt"))
    assert {*map(package, pyproject["build-system"]["requires"])} == set(locked("build.txt"))
    assert set(pyproject["dependency-groups"]["schemas"]) == {f"{n}=={v}" for n, v in locked("schemas.txt").items()}


def test_developers_test_the_versions_that_validators_run() -> None:
    run, dev, build = locked("run.txt"), locked("dev.txt"), locked("build.txt")
    assert {name: dev.get(name) for name in (*run, *build)} == run | build
    assert locked("hsm.txt").items() <= dev.items()
    assert run.items() <= locked("hsm.txt").items()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", lock(name), flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked(name)) > 0
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_no_folder(name: str) -> None:
    options = [line for line in lock(name).splitlines() if line.startswith("-")]
    assert options == []
    assert re.search(r"://|file:|^\s*(/|\./)", lock(name), flags=re.MULTILINE) is None


@pytest.mark.parametrize(("binding", "machine"), [("plyvel", "x86_64"), ("plyvel-ci", "aarch64")])
def test_each_machine_gets_its_own_binding_of_leveldb(binding: str, machine: str) -> None:
    for name in ("run.txt", "dev.txt"):
        assert re.search(rf"^{binding}==\S+ ; platform_machine == '{machine}' and", lock(name), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_pictures_are_shown_and_small() -> None:
    shown = {name for page in PAGES for name in re.findall(r"screenshots/([\w-]+\.png)", page.read_text())}
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "screenshots").iterdir()}
    assert set(pictures) == shown
    assert max(pictures.values()) < PICTURE_BYTES_MAX


def test_what_runs_before_a_merge_can_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(["make", "-C", str(ROOT)], check=True, capture_output=True, text=True).stdout
    assert [target for target in phony[1].split() if f"  {target} " not in shown] == []
