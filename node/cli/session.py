"""What all commands share: options, output, exit codes, and the way to the node.

One rule: data goes to stdout, words to stderr, and the exit code says which kind of end it was.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from consensus.crypto import SecretKey
from node.cli.amounts import SOM_SCALE, format_units
from node.cli.help_texts import in_language
from node.cli.texts import say
from node.client.client import Client
from node.client.errors import ClientError, NotReachable, OutboxError, ProofInvalid, Refused, RequestFailed
from node.client.outbox import Outbox
from node.client.trust import Trust
from node.config import ConfigError
from node.iso20022.record import RecordDamaged
from node.ledger.account import parse_account
from node.ledger.errors import LANGUAGES, Code, Language
from node.ledger.errors import Refused as LedgerRefused
from node.ledger.errors import text as ledger_text
from node.ledger.genesis import GenesisError
from node.storage.errors import StorageError
from node.storage.keystore import is_bare, read_key

NODE_DEFAULT: Final = "http://127.0.0.1:26657"
TOKEN_FILE_BYTES_MAX: Final = 4_096
WIDTH: Final = 160  # of tables that go to a file or a pipe

T = TypeVar("T")


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    NOT_REACHABLE = 5
    PENDING = 6
    CONFIG = 7


@dataclass(slots=True)
class Session:
    """The options that every command takes, and where output goes."""

    as_json: bool = False
    language: Language = "en"
    nodes: tuple[str, ...] = ()
    outbox_path: Path = field(default_factory=lambda: Path.home() / ".som" / "outbox.sqlite3")
    accounts_path: Path | None = None
    token_path: Path | None = None
    under_order: str | None = None
    reader_account: int | None = None
    reader_path: Path | None = None

    def say(self, name: str) -> str:
        """Return a text in the user's language."""
        return say(name, self.language)

    def words(self, text: str) -> None:
        """Write words, to stderr."""
        click.echo(text, err=True)

    def data(self, value: object, table: Callable[[], Table]) -> None:
        """Write data, to stdout: JSON if asked for, else a table."""
        if self.as_json:
            click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))
            return
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False)
        console.print(table())

    def money(self, units: int, scale: int = SOM_SCALE, code: str = "SOM") -> str:
        """Return an amount as people read it."""
        return f"{format_units(units, scale)} {code}"

    def pairs(self, rows: Sequence[tuple[str, object]]) -> Table:
        """Return a table of names and values."""
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(name, str(value))
        return table

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> Table:
        """Return a table with headings; the columns numbered in ``right`` are aligned right."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if index in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(str(value) for value in row))
        return table

    def urls(self) -> tuple[str, ...]:
        """Return the nodes to ask."""
        return self.nodes or (NODE_DEFAULT,)

    def ask(self, question: Callable[[Client], Awaitable[T]], *, keeps: bool = False, trust: Trust | None = None) -> T:
        """Run a conversation with the nodes; ``keeps`` opens the outbox, for what must not be lost.

        Who breaks it off is told what may be on the wire.
        """
        outbox = Outbox(self.outbox_path if keeps else ":memory:")

        async def talk() -> T:
            async with Client(
                self.urls(),
                outbox=outbox,
                trust=trust,
                language=self.language,
                token=self.token(),
                reader=self.reader(),
                under_order=self.under_order,
            ) as client:
                return await question(client)

        try:
            return asyncio.run(talk())
        except KeyboardInterrupt:
            sent = outbox.under_way()
            if not sent:
                raise
            self.end_pending([row.tx_id for row in sent])
        finally:
            outbox.close()

    def token(self) -> str | None:
        """Return the token to present: the first line of its file. Raises ConfigError."""
        if self.token_path is None:
            return None
        try:
            with self.token_path.open("rb") as file:
                text = file.read(TOKEN_FILE_BYTES_MAX).decode("ascii").split("\n", 1)[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.token_path}: {error}") from None
        if not text or not text.isalnum():
            raise ConfigError(f"{self.token_path}: no token")
        return text

    def reader(self) -> tuple[int, SecretKey] | None:
        """Return the account that asks about itself or its customers, and its key. Raises ConfigError, StorageError."""
        if self.reader_account is None:
            return None
        if self.reader_path is None:
            raise ConfigError("--reader needs --reader-key")
        passphrase = None
        if not is_bare(self.reader_path):
            passphrase = str(click.prompt(self.say("passphrase"), hide_input=True, err=True)).encode()
        return self.reader_account, read_key(self.reader_path, "operator", passphrase, devnet=True)

    def end_pending(self, tx_ids: Sequence[bytes], reasons: Sequence[str] = ()) -> NoReturn:
        """End with what may still apply, how to find out, and why that is not known."""
        lines = [f"  som tx wait {tx_id.hex()}" for tx_id in tx_ids]
        self.end(Exit.PENDING, "\n".join([self.say("still_pending"), *lines, *reasons]))

    def end(self, exit_code: Exit, text: str) -> NoReturn:
        """Say why and end."""
        self.words(text)
        raise click.exceptions.Exit(int(exit_code))


def explain(session: Session, error: Exception) -> tuple[Exit, str] | None:
    """Return the exit code and the words for an error that a user can meet; None for a bug of ours."""
    match error:
        case NotReachable():
            return Exit.NOT_REACHABLE, f"{session.say('not_reachable')}: {error}"
        case Refused():
            return Exit.REFUSED, f"{error.name}: {ledger_text(Code(error.code), session.language)}"
        case LedgerRefused():
            return Exit.REFUSED, f"{error.code.name}: {ledger_text(error.code, session.language)}"
        case RequestFailed(name="invalid_params" | "method_not_found" | "invalid_request"):
            return Exit.USAGE, str(error)
        case RequestFailed() | ProofInvalid():
            return Exit.ERROR, f"{session.say('error')}: {error}"
        case RecordDamaged():
            return Exit.CONFIG, f"{session.say('record_damaged')}: {error}"
        case OutboxError() | ConfigError() | GenesisError() | StorageError() | OSError():
            return Exit.CONFIG, f"{session.say('error')}: {error}"
        case ClientError():
            return Exit.ERROR, f"{session.say('error')}: {error}"
    return None


class _Headed(click.HelpFormatter):
    """Help whose headings are in a language; click looks for its own in the environment's."""

    language: Language = "en"

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{say('usage', self.language)}: ")

    def write_heading(self, heading: str) -> None:
        super().write_heading(say(heading.lower(), self.language))


class Speaking(click.Command):
    """What a command says about itself, in the user's language."""

    def get_help(self, ctx: click.Context) -> str:
        formatter = _Headed(width=ctx.terminal_width, max_width=ctx.max_content_width)
        formatter.language = _session(ctx).language
        self.format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.is_eager = False  # the language, which is, comes before it wherever it stands
            option.help = in_language("Show this message and exit.", _session(ctx).language)
        return option

    def get_short_help_str(self, limit: int = 45) -> str:
        english, self.help = self.help, self._said()[0]
        try:
            return super().get_short_help_str(limit)
        finally:
            self.help = english

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for paragraph in self._said():
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(paragraph)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        language = _session(ctx).language
        english = [(param, param.help) for param in self.get_params(ctx) if isinstance(param, click.Option)]
        try:
            for param, text in english:
                param.help = text and _option_help(text, language)
            super().format_options(ctx, formatter)
        finally:
            for param, text in english:
                param.help = text

    def _said(self) -> list[str]:
        """Return the paragraphs of the help."""
        ctx = click.get_current_context(silent=True)
        language = "en" if ctx is None else _session(ctx).language
        text = inspect.cleandoc(self.help or "")
        return [in_language(" ".join(part.split()), language) for part in text.split("\n\n")]


class SomCommand(Speaking):
    """A command that takes the shared options, and whose errors end as exit codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        session = ctx.find_object(Session)
        assert session is not None
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            explained = explain(session, error)
            if explained is None:
                raise
            session.end(*explained)


class SomGroup(Speaking, click.Group):
    """A group whose members are SomCommands, and which takes the shared options too."""

    command_class = SomCommand
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared_options()


def shared_options() -> list[click.Parameter]:
    """Return --json, --lang, --node, --outbox, --accounts and the rest; each may stand before or after the command."""
    return [
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_set_json, help="Data as JSON."),
        click.Option(
            ["--lang"],
            type=click.Choice(LANGUAGES),
            is_eager=True,
            expose_value=False,
            callback=_set_language,
            envvar="SOM_LANG",
            help="Language of words.",
        ),
        click.Option(
            ["--node"],
            multiple=True,
            metavar="URL",
            expose_value=False,
            callback=_set_nodes,
            envvar="SOM_NODE",
            help=f"A node to ask; several are tried in turn. [default: {NODE_DEFAULT}]",
        ),
        click.Option(
            ["--outbox"],
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_set_outbox,
            envvar="SOM_OUTBOX",
            help="Where sent payments are remembered. [default: ~/.som/outbox.sqlite3]",
        ),
        click.Option(
            ["--accounts"],
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_set_accounts,
            envvar="SOM_ACCOUNTS",
            help="Names and public keys of a devnet. [default: .devnet/accounts.json if it is there]",
        ),
        click.Option(
            ["--token-file"],
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_set_token,
            envvar="SOM_TOKEN_FILE",
            help="The token to present to a node that is not open to everybody.",
        ),
        click.Option(
            ["--reader"],
            metavar="ACCOUNT",
            expose_value=False,
            callback=_set_reader,
            help="The account that asks about itself or its customers, where a node is not open to everybody.",
        ),
        click.Option(
            ["--reader-key"],
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_set_reader_key,
            help="Its key file.",
        ),
        click.Option(
            ["--under-order"],
            metavar="NUMBER",
            expose_value=False,
            callback=_set_under_order,
            help="The order that an enforcer or auditor acts on; the node writes it down.",
        ),
    ]


def _session(ctx: click.Context) -> Session:
    return ctx.ensure_object(Session)


def _option_help(text: str, language: Language) -> str:
    """Return an option's help in a language; a default that it names, which may be words, stands after it."""
    sentence, bracket, default = text.partition(" [default: ")
    words = in_language(default.removesuffix("]"), language)
    return f"{in_language(sentence, language)}{bracket}{words}{']' if bracket else ''}"


def _again(ctx: click.Context, param: click.Parameter) -> bool:
    """Return whether the environment speaks a second time: what was typed before the command's name stands."""
    from_environment = ctx.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT
    return from_environment and ctx.parent is not None


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        _session(ctx).as_json = True


def _set_language(ctx: click.Context, param: click.Parameter, value: Language | None) -> None:
    if value and not _again(ctx, param):
        _session(ctx).language = value


def _set_nodes(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    for url in value:
        if not url.startswith(("http://", "https://")):
            raise click.BadParameter("a URL begins with http:// or https://", ctx=ctx, param=param)
    if value and not _again(ctx, param):
        _session(ctx).nodes = value


def _set_outbox(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None and not _again(ctx, param):
        _session(ctx).outbox_path = value


def _set_token(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None and not _again(ctx, param):
        _session(ctx).token_path = value


def _set_reader(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        try:
            _session(ctx).reader_account = parse_account(value)
        except ValueError:
            raise click.BadParameter(f"{value!r}: {_session(ctx).say('bad_account')}", ctx=ctx, param=param) from None


def _set_reader_key(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        _session(ctx).reader_path = value


def _set_under_order(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        _session(ctx).under_order = value


def _set_accounts(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None and not _again(ctx, param):
        _session(ctx).accounts_path = value
