"""A fault planted on purpose, and who has to notice it.

One rule: a mutant is a change of a line or two in the source, in a place that occurs once; nothing of the tree is
changed, because the source is changed on its way into a process of its own.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """In ``file`` (a path from the root) the text ``old``, which occurs there once, becomes ``new``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Storms:
    """Seeds 0, 1, 2 ... of the simulator, so many at the most; a violation of an invariant kills."""

    seeds: int = 60


@dataclass(frozen=True, slots=True)
class Suite:
    """Test files of tests/, named without test_ and .py, in order; the first test that fails kills.

    ``only`` leaves out tests without this word in their names.
    """

    files: tuple[str, ...]
    only: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, from the root."""
        return tuple(f"tests/test_{name}.py" for name in self.files)


Killer = Storms | Suite


def suite(*files: str, only: str = "") -> Suite:
    """Return the killer that runs these test files."""
    return Suite(files, only)


@dataclass(frozen=True, slots=True)
class Mutant:
    """``breaks`` is the rule that it breaks. The ``killers`` are tried in order until one of them notices.

    ``equivalent`` is the argument why none can: nothing that the code promises has changed.
    """

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    killers: tuple[Killer, ...]
    equivalent: str = ""


def one(name: str, breaks: str, file: str, old: str, new: str, *killers: Killer, equivalent: str = "") -> Mutant:
    """Return a mutant of one edit."""
    return Mutant(name, breaks, (Edit(file, old, new),), killers, equivalent)


def source_of(file: str) -> str:
    """Return the source as it stands in the tree."""
    return (ROOT / file).read_text(encoding="utf-8")


def mutated(edits: Iterable[Edit]) -> dict[str, str]:
    """Return the sources of the files that the edits change, changed. Raises ValueError if one has not one place."""
    sources: dict[str, str] = {}
    for edit in edits:
        source = sources.get(edit.file) or source_of(edit.file)
        if source.count(edit.old) != 1:
            raise ValueError(f"{edit.file} has the text {source.count(edit.old)} times: {edit.old}")
        sources[edit.file] = source.replace(edit.old, edit.new)
    return sources


def plant(edits: Iterable[Edit]) -> None:
    """Change the source of modules that this process has not imported yet."""
    modules = {_module_name(file): (file, source) for file, source in mutated(edits).items()}
    late = sorted(name for name in modules if name in sys.modules)
    if late:
        raise ValueError(f"imported already: {late}")
    sys.meta_path.insert(0, _Finder(modules))


def _module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Finder(MetaPathFinder):
    """Finds the mutated modules, and no others."""

    def __init__(self, modules: dict[str, tuple[str, str]]) -> None:
        self._modules = modules

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._modules:
            return None
        file, source = self._modules[fullname]
        return spec_from_file_location(fullname, ROOT / file, loader=_Loader(fullname, str(ROOT / file), source))


class _Loader(SourceFileLoader):
    """Compiles the mutated source; neither reads nor writes a cache."""

    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)
