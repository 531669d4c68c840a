"""What is written about settings: the file that `som init` makes, and docs/configuration.md.

    python -m node.config_text > docs/configuration.md

One rule: nothing is said here that the types of node/config.py do not say.
"""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from node.config import CONFIG_NAME, Config, Peer

COMMENT_COLUMNS: Final = 110
HEAD: Final = "This node's own settings; what all agree on stands in the genesis file. `som config check` reads both."
INTRODUCTION: Final = f"""# Configuration

Every setting of a node: the file `{CONFIG_NAME}` in its home directory (TOML). This page is written from the types in
`node/config.py` by `python -m node.config_text > docs/configuration.md`, and so are the comments of the file that
`som init` makes. `som config show` prints what is in force, `som config check` says what is wrong. A name that is not
here is refused. A change counts from the next start. What all nodes must agree on, protocol timeouts among it, is in
the genesis or the program and can not be set. How a node is run: [operations.md](operations.md)."""

_CONTROL: Final = frozenset(map(chr, (*range(0x20), 0x7F)))  # what a TOML string may not hold as it is


class Setting(NamedTuple):
    """One setting, as its type describes it."""

    name: str
    kind: str
    default: Any  # msgspec.NODEFAULT: it must be set
    bounds: str
    unit: str
    what: str
    when: str
    variable: str


class Section(NamedTuple):
    """Settings under one heading of the file; ``name`` is empty for those above all headings."""

    name: str
    about: str
    settings: tuple[Setting, ...]
    repeated: bool = False


def sections() -> Iterator[Section]:
    """Yield all that there is to set, in the order of the file."""
    fields = msgspec.structs.fields(Config)
    parts = [(field.name, type(field.default)) for field in fields if isinstance(field.default, msgspec.Struct)]
    named = {name for name, _ in parts} | {"peers"}
    yield Section("", _about(Config), tuple(each for each in _settings(Config) if each.name not in named))
    for name, struct in parts:
        yield Section(name, _about(struct), tuple(_settings(struct)))
    yield Section("peers", _about(Peer), tuple(_settings(Peer)), repeated=True)


def format_config(config: Config) -> str:
    """Return the TOML text of a configuration, with what each setting is for."""
    lines = _comment(HEAD)
    for section in sections():
        if section.repeated:
            lines += ["", *_comment(section.about)]
            lines += ["# [[peers]]", '# name = "..."'] if not config.peers else []
            for number, peer in enumerate(config.peers):
                lines += ["[[peers]]" if number == 0 else "\n[[peers]]", *_values(section, peer, commented=number == 0)]
        elif section.name:
            part = getattr(config, section.name)
            lines += ["", *_comment(section.about), f"[{section.name}]", *_values(section, part, commented=True)]
        else:
            lines += ["", *_comment(section.about), *_values(section, config, commented=True)]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return docs/configuration.md."""
    lines = [INTRODUCTION]
    for section in sections():
        lines += ["", f"## {_heading(section)}", "", section.about, ""]
        lines += ["| Setting | Type | Default | Meaning | Change it |", "|---|---|---|---|---|"]
        lines += [_row(section, setting) for setting in section.settings]
    found = [(each.variable, section, each) for section in sections() for each in section.settings if each.variable]
    lines += ["", "## From the environment", "", "For containers; each is stronger than the file.", ""]
    lines += ["| Variable | Setting |", "|---|---|"]
    lines += [f"| `{variable}` | `{full_name(section, setting)}` |" for variable, section, setting in found]
    return "\n".join(lines) + "\n"


def full_name(section: Section, setting: Setting) -> str:
    """Return the name under which other pages and errors speak of a setting."""
    prefix = f"{section.name}[]." if section.repeated else f"{section.name}." if section.name else ""
    return prefix + setting.name


def quote(text: str) -> str:
    """Return a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(char):04x}" if char in _CONTROL else char for char in escaped) + '"'


def _heading(section: Section) -> str:
    if section.repeated:
        return f"[[{section.name}]]"
    return f"[{section.name}]" if section.name else "Above all sections"


def _about(struct: type[msgspec.Struct]) -> str:
    return " ".join((struct.__doc__ or "").split())


def _settings(struct: type[msgspec.Struct]) -> Iterator[Setting]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        kind = field.type
        schema: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        if isinstance(kind, inspect.Metadata):
            schema, extra, kind = kind.extra_json_schema or {}, kind.extra or {}, kind.type
        yield Setting(
            field.name,
            _kind(kind),
            field.default,
            _bounds(kind),
            extra.get("unit", ""),
            schema.get("description", ""),
            extra.get("when", ""),
            extra.get("variable", ""),
        )


def _kind(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType():
            return "integer"
        case inspect.BoolType():
            return "boolean"
        case inspect.StrType() | inspect.LiteralType():
            return "string"
        case inspect.VarTupleType(item_type=item):
            return f"list of {_kind(item)}s"
        case _:
            return "table"


def _bounds(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType(ge=int(low), le=int(high)):
            return f"{low:,} to {high:,}"
        case inspect.IntType(ge=int(low)):
            return f"{low:,} or more"
        case inspect.StrType(pattern=str()):
            return "64 hex digits, or empty"
        case inspect.StrType(min_length=int(low), max_length=int(high)):
            return f"{low:,} to {high:,} characters"
        case inspect.StrType(max_length=int(high)):
            return f"up to {high:,} characters"
        case inspect.LiteralType(values=values):
            return ", ".join(str(value) for value in values)
        case _:
            return ""


def _values(section: Section, part: msgspec.Struct, commented: bool) -> Iterator[str]:
    for setting in section.settings:
        if commented:
            bounds = f" ({_limits(setting)})" if setting.bounds and setting.kind == "integer" else ""
            yield from _comment(setting.what.removesuffix(".") + bounds + ".")
        yield f"{setting.name} = {_value(getattr(part, setting.name))}"


def _limits(setting: Setting) -> str:
    return " ".join(part for part in (setting.bounds, setting.unit) if part)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, COMMENT_COLUMNS)]


def _value(value: Any) -> str:
    match value:
        case str():
            return quote(value)
        case bool():
            return "true" if value else "false"
        case tuple():
            return f"[{', '.join(_value(item) for item in value)}]"
        case _:
            return str(value)


def _row(section: Section, setting: Setting) -> str:
    default = "required" if setting.default is msgspec.NODEFAULT else f"`{_value(setting.default)}`"
    kind = f"{setting.kind}: {_limits(setting)}" if _limits(setting) else setting.kind
    return f"| `{full_name(section, setting)}` | {kind} | {default} | {setting.what} | {setting.when} |"


if __name__ == "__main__":
    print(reference(), end="")
