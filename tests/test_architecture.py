"""The rules of docs/architecture.md on who may import whom and on determinism, held over the source of every file.

Each rule is tried on the code that is there, and on planted code that breaks it: a rule that finds nothing anywhere
protects nothing.
"""

from typing import Final

import pytest

from tests.architecture.determinism import nondeterminism
from tests.architecture.files import (
    LINES_MAX,
    asserts_with_effects,
    bare_excepts,
    files_opened_outside_storage,
    files_too_long,
    optimized_runs,
)
from tests.architecture.groups import awaits_behind_groups
from tests.architecture.imports import (
    foreign_imports_of_pure_rooms,
    import_cycles,
    imports,
    imports_beyond_the_room,
    imports_from_above,
    libraries_outside_their_owner,
    relative_imports,
)
from tests.architecture.modules import ROOMS, ROOT, Module, Rule, parse, read_rooms
from tests.architecture.sets import set_iteration


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    return read_rooms()


# The rules, on the code that is there


def test_the_rules_see_the_code(modules: tuple[Module, ...]) -> None:
    names = {module.name for module in modules}
    assert {
        "consensus.encoding",
        "consensus.crypto",
        "network.wire",
        "node.ledger.transaction",
        "node.storage",
    } <= names
    assert any(name == "hashlib" for module in modules for name, _ in imports(module))


def test_pure_rooms_import_no_clock_chance_environment_or_io(modules: tuple[Module, ...]) -> None:
    assert foreign_imports_of_pure_rooms(modules) == []


def test_a_room_imports_only_what_lies_below_it(modules: tuple[Module, ...]) -> None:
    assert imports_beyond_the_room(modules) == []


def test_no_part_imports_the_composition_root_the_devnet_or_the_tests(modules: tuple[Module, ...]) -> None:
    assert imports_from_above(modules) == []


def test_each_guarded_library_has_one_owner(modules: tuple[Module, ...]) -> None:
    assert libraries_outside_their_owner(modules) == []


def test_imports_are_absolute(modules: tuple[Module, ...]) -> None:
    assert relative_imports(modules) == []


def test_there_are_no_import_cycles(modules: tuple[Module, ...]) -> None:
    assert import_cycles(modules) == []


def test_pure_rooms_compute_the_same_everywhere(modules: tuple[Module, ...]) -> None:
    assert nondeterminism(modules) == []


def test_pure_rooms_never_see_the_order_of_a_set(modules: tuple[Module, ...]) -> None:
    assert set_iteration(modules) == []


def test_no_except_hides_every_error(modules: tuple[Module, ...]) -> None:
    assert bare_excepts(modules) == []


def test_an_assert_changes_nothing(modules: tuple[Module, ...]) -> None:
    assert asserts_with_effects(modules) == []


def test_only_storage_and_the_commands_touch_files(modules: tuple[Module, ...]) -> None:
    assert files_opened_outside_storage(modules) == []


def test_behind_a_group_of_tasks_only_tasks_of_their_own_are_awaited(modules: tuple[Module, ...]) -> None:
    assert awaits_behind_groups(modules) == []


def test_a_file_has_one_subject(modules: tuple[Module, ...]) -> None:
    assert files_too_long(modules) == []


def test_every_folder_with_code_is_a_package_that_gets_shipped() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


RUNNERS: Final = ("Makefile", ".ci/run", "devnet/Dockerfile", "devnet/compose.yaml", ".pre-commit-config.yaml")


@pytest.mark.parametrize("path", RUNNERS)
def test_nothing_runs_with_assertions_off(path: str) -> None:
    assert optimized_runs((ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    "line", ["python -O -m node", "exec python3.11 -OO x.py", "ENV PYTHONOPTIMIZE=1", "python -uO x"]
)
def test_assertions_off_would_be_seen(line: str) -> None:
    assert optimized_runs(line) == [line]


# The rules, on planted code

Planted = tuple[Rule, str, str]

GROUP: Final = "async def f():\n try:\n  async with asyncio.TaskGroup(): await g()\n %s"
LOOPED: Final = (
    "async def f():\n while x:\n  try:\n   async with asyncio.TaskGroup(): g()\n  except OSError: pass\n  %s"
)
BROKEN: Final[list[Planted]] = [
    (foreign_imports_of_pure_rooms, "consensus.core", "import time"),
    (foreign_imports_of_pure_rooms, "consensus.core", "from asyncio import sleep"),
    (foreign_imports_of_pure_rooms, "consensus.core", "def f():\n    import random"),
    (foreign_imports_of_pure_rooms, "consensus.core", "import json"),
    (foreign_imports_of_pure_rooms, "node.ledger.state", "import os.path"),
    (foreign_imports_of_pure_rooms, "node.ledger.state", "import structlog"),
    (imports_beyond_the_room, "consensus.core", "import node.config"),
    (imports_beyond_the_room, "network.mesh", "from consensus.messages import Vote"),
    (imports_beyond_the_room, "network.mesh", "from consensus import messages"),
    (imports_beyond_the_room, "node.ledger.pay", "from node.storage.store import Store"),
    (imports_beyond_the_room, "node.ledger.pay", "from consensus.messages import Block"),
    (imports_beyond_the_room, "node.storage.store", "import network.mesh"),
    (imports_from_above, "node.mempool", "from node.node import Node"),
    (imports_from_above, "network.mesh", "import tests.simulation"),
    (imports_from_above, "node.rpc.server", "from devnet import generate"),
    (libraries_outside_their_owner, "network.identity", "from nacl.bindings import crypto_sign"),
    (libraries_outside_their_owner, "node.sync", "import plyvel"),
    (libraries_outside_their_owner, "node.rpc.methods", "from aiohttp import web"),
    (relative_imports, "node.sync", "from . import config"),
    (relative_imports, "node.ledger.pay", "from ..config import x"),
    (nondeterminism, "consensus.core", "x = 0.5"),
    (nondeterminism, "consensus.core", "x = a / b"),
    (nondeterminism, "consensus.core", "x /= 2"),
    (nondeterminism, "consensus.core", "x = float(3)"),
    (nondeterminism, "node.ledger.state", "key = hash(name)"),
    (nondeterminism, "node.ledger.state", "key = id(name)"),
    (nondeterminism, "node.ledger.state", "key = sha256(repr(x).encode())"),
    (nondeterminism, "node.ledger.state", "keys = map(hash, names)"),
    (nondeterminism, "node.ledger.state", "def f(hash: bytes) -> int:\n    return hash(1)"),
    (nondeterminism, "node.ledger.state", "keys = sorted(names, key=id)"),
    (nondeterminism, "node.ledger.state", "data = open('x')"),
    (nondeterminism, "node.ledger.state", "async def f(): pass"),
    (nondeterminism, "node.ledger.state", "def f():\n    global x\n    x = 1"),
    (set_iteration, "consensus.core", "for x in {1, 2}: pass"),
    (set_iteration, "consensus.core", "x = next(iter({1, 2}))"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    return lambda: [*zip(s, s)]"),
    (set_iteration, "consensus.core", "for x in set(y): pass"),
    (set_iteration, "consensus.core", "for x in {a for a in b}: pass"),
    (set_iteration, "consensus.core", "def f(s: set[int]) -> list[int]:\n    return [x for x in s]"),
    (set_iteration, "consensus.core", "def f(s: frozenset[int] | None):\n    for x in s: yield x"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    return tuple(s)"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    return (*s,)"),
    (set_iteration, "consensus.core", "def f(a, b):\n    return [x for x in a.keys() - b]"),
    (set_iteration, "consensus.core", "def f(a):\n    s = set(a)\n    t = s | a\n    return list(t)"),
    (set_iteration, "consensus.core", "def f(a):\n    s = set(a)\n    return s.pop()"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    return max(s, key=len)"),
    (set_iteration, "consensus.core", "def f(s: set[bytes]):\n    return b''.join(s)"),
    (set_iteration, "consensus.core", "def f(s: set[bytes]):\n    return encode(list(s))"),
    (set_iteration, "consensus.core", "def f(s: set[bytes]):\n    yield from s"),
    (set_iteration, "node.ledger.x", "class A:\n    s: set[int]\n    def f(self):\n        return list(self.s)"),
    (
        set_iteration,
        "node.ledger.x",
        "class A:\n  def f(self):\n    self.v: dict[int, set[int]] = {}\n    return list(self.v[1])",
    ),
    (bare_excepts, "node.sync", "try: pass\nexcept: pass"),
    (asserts_with_effects, "node.sync", "assert queue.pop()"),
    (asserts_with_effects, "node.sync", "assert (n := f())"),
    (asserts_with_effects, "node.sync", "assert next(numbers) == 1"),
    (files_opened_outside_storage, "node.sync", "open('x')"),
    (files_opened_outside_storage, "node.sync", "path.open('rb')"),
    (files_opened_outside_storage, "node.sync", "Path('x').open()"),
    (files_opened_outside_storage, "node.rpc.server", "text = (root / 'x').read_text()"),
    (files_opened_outside_storage, "network.identity", "os.unlink(path)"),
    (files_opened_outside_storage, "network.identity", "tempfile.mkdtemp()"),
    (files_too_long, "node.sync", "x = 1\n" * (LINES_MAX + 1)),
    (awaits_behind_groups, "network.x", GROUP % "finally: await h()"),
    (awaits_behind_groups, "network.x", GROUP % "except* OSError: pass" + "\n await h()"),
    (awaits_behind_groups, "network.x", LOOPED % "async with asyncio.timeout(1): y()"),
]

SOUND: Final[list[Planted]] = [
    (foreign_imports_of_pure_rooms, "consensus.core", "from dataclasses import dataclass\nimport consensus.tally"),
    (foreign_imports_of_pure_rooms, "consensus.crypto", "from nacl.bindings import crypto_sign"),
    (foreign_imports_of_pure_rooms, "network.mesh", "import asyncio"),
    (imports_beyond_the_room, "network.mesh", "from consensus.crypto import verify\nimport network.wire"),
    (imports_beyond_the_room, "node.driver", "import consensus.core, network.mesh"),
    (imports_from_above, "node.cli.main", "from node.node import Node\nimport devnet.local"),
    (libraries_outside_their_owner, "node.storage.store", "import plyvel"),
    (relative_imports, "node.sync", "from node import config"),
    (nondeterminism, "consensus.core", "x = a // b\ndef f(id: int) -> bytes: ..."),
    (nondeterminism, "consensus.core", "def f(hash: bytes) -> bytes:\n    return digest(TAG, hash)"),
    (nondeterminism, "network.mesh", "x = 0.5 / hash(y)"),
    (set_iteration, "consensus.core", "def f(s: set[int]) -> list[int]:\n    return [x for x in sorted(s)]"),
    (set_iteration, "consensus.core", "def f(s: set[int], w):\n    return sum(w[x] for x in s) + len(s)"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    return 3 in s and {x + 1 for x in s}"),
    (set_iteration, "consensus.core", "def f(s: set[int]):\n    pass\ndef g(s: list[int]):\n    return tuple(s)"),
    (set_iteration, "consensus.core", "def f(d: dict[int, int]):\n    return list(d.keys()) + list(d)"),
    (set_iteration, "consensus.core", "def f(d: dict[int, set[int]]):\n    return [len(s) for s in d.values()]"),
    (bare_excepts, "node.sync", "try: pass\nexcept ValueError: pass"),
    (asserts_with_effects, "node.sync", "assert len(queue) > 0 and queue[-1].kind == 1"),
    (files_opened_outside_storage, "node.storage.store", "open('x')"),
    (files_opened_outside_storage, "node.ledger.account", "account = accounts.open(number)"),
    (files_too_long, "node.sync", "x = 1\n" * LINES_MAX),
    (awaits_behind_groups, "network.x", "async def f():\n async with asyncio.TaskGroup(): await g()\n await h()"),
    (awaits_behind_groups, "network.x", GROUP % "except* OSError: pass\n finally: await asyncio.create_task(h())"),
    (awaits_behind_groups, "network.x", LOOPED % "z()"),
]


def label(planted: Planted) -> str:
    return f"{planted[0].__name__}: {planted[2][:40]}"


# Modules that planted code may name.
BACKGROUND: Final = {"consensus": "", "consensus.messages": "", "node.config": "", "devnet.generate": ""}


@pytest.mark.parametrize("planted", BROKEN, ids=label)
def test_broken_code_is_found(planted: Planted) -> None:
    rule, name, source = planted
    assert len(rule(parse(BACKGROUND | {name: source}))) == 1


@pytest.mark.parametrize("planted", SOUND, ids=label)
def test_sound_code_is_left_alone(planted: Planted) -> None:
    rule, name, source = planted
    assert rule(parse(BACKGROUND | {name: source})) == []


def test_import_cycles_are_found() -> None:
    cycle = {"node.a": "import node.b", "node.b": "from node.c import x", "node.c": "from node import a", "node": ""}
    assert import_cycles(parse(cycle)) == ["node.a -> node.b -> node.c"]
    assert import_cycles(parse({**cycle, "node.c": "import consensus.core"})) == []
