"""status, version, rpc, completion, genesis: looking at a network."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec
from click.shell_completion import get_completion_class

from node.build import VERSION
from node.cli.founding import read_founding
from node.cli.session import Session, SomCommand, SomGroup
from node.cli.show import format_time
from node.client.client import Client
from node.config import ConfigError
from node.home import read_genesis
from node.ledger.genesis import format_genesis
from node.rpc import types
from node.rpc.methods import METHODS
from node.rpc.registry import Method
from node.storage.files import write_file

PROGRAM: Final = "som"
SHELLS: Final = ("bash", "zsh", "fish")
COMPLETION_VARIABLE: Final = "_SOM_COMPLETE"  # as click derives it from the program's name


@click.command(cls=SomCommand)
@click.pass_obj
def status(session: Session) -> None:
    """Where the network stands, as one node sees it: height, leader, who has voted, what is issued."""

    async def question(
        client: Client,
    ) -> tuple[types.GetInfoResult, types.GetConsensusResult, types.GetSupplyResult]:
        return await client.info(), await client.consensus(), await client.supply()

    info, consensus, supply = session.ask(question)
    say = session.say
    votes = ", ".join(f"{vote.name} {'✓' if vote.name in consensus.voted else '·'}" for vote in consensus.votes)
    session.data(
        {"info": info, "consensus": consensus, "supply": supply},
        lambda: session.pairs(
            [
                (say("network"), f"{info.name} ({info.kind}, {info.network})"),
                (say("genesis"), info.genesis_hash),
                (say("height"), info.height),
                (say("block"), info.block_hash),
                (say("block_time"), format_time(info.block_time_ms)),
                (say("protocol_version"), _protocol_version(info)),
                (say("view"), f"{info.epoch}/{info.view}, {say('leader').lower()} {info.leader}"),
                (say("voted"), votes),
                (say("awaited"), ", ".join(consensus.awaited) or "-"),
                (say("peers"), info.peers_connected),
                (say("waiting"), info.mempool_transactions),
                (say("supply"), session.money(int(supply.supply), supply.scale, supply.code)),
                (say("ready"), say("yes") if info.ready else f"{say('no')}: {'; '.join(info.reasons)}"),
            ]
        ),
    )


def _protocol_version(info: types.GetInfoResult) -> str:
    """Return what is in force and what comes, as far as this node knows it."""
    now, after = info.protocol_version, info.protocol_version_next
    return f"{now}{'' if after == now else f' → {after}'} (≤ {info.protocol_version_supported_max})"


@click.command(cls=SomCommand)
@click.pass_obj
def version(session: Session) -> None:
    """The version of this program."""
    session.data({"version": VERSION}, lambda: session.pairs([("som", VERSION)]))


@click.command(cls=SomCommand)
@click.argument("method")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@click.pass_obj
def rpc(session: Session, method: str, params: tuple[str, ...]) -> None:
    """Call any RPC method: som rpc account_get account=0011000000010057"""
    given = _params(METHODS.get(method), params)

    async def question(client: Client) -> msgspec.Raw:
        return await client.raw(method, given)

    value = msgspec.json.decode(session.ask(question))
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=0 if session.as_json else 2).decode())


@click.command(cls=SomCommand)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands in a shell: eval "$(som completion bash)"

    To keep it: som completion bash > ~/.local/share/bash-completion/completions/som; for zsh a file _som in a folder of
    $fpath; for fish ~/.config/fish/completions/som.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, COMPLETION_VARIABLE).source())


@click.group(cls=SomGroup)
def genesis() -> None:
    """The file that a network starts from."""


@genesis.command("hash")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def genesis_hash(session: Session, file: Path) -> None:
    """The hash of a genesis file: what all validators compare before the start."""
    found = read_genesis(file)
    session.data(
        {"genesis_hash": found.hash.hex()}, lambda: session.pairs([(session.say("genesis"), found.hash.hex())])
    )


@genesis.command("validate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def genesis_validate(session: Session, file: Path) -> None:
    """Check a genesis file; what is wrong is named by its path."""
    found = read_genesis(file)
    names = [row.name for row in found.validators]
    session.data(
        {"genesis_hash": found.hash.hex(), "name": found.name, "kind": found.kind, "validators": names},
        lambda: session.pairs(
            [
                (session.say("valid"), found.name),
                (session.say("kind"), found.kind),
                (session.say("genesis"), found.hash.hex()),
                (session.say("validators"), ", ".join(names)),
            ]
        ),
    )


@genesis.command("make")
@click.argument("description", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The genesis file.")
@click.pass_obj
def genesis_make(session: Session, description: Path, out: Path) -> None:
    """Make the genesis of a new network from what its founders wrote down (docs/pilot.toml is the model)."""
    if out.exists():
        raise ConfigError(f"{out} exists")
    made = read_founding(description)
    write_file(out, format_genesis(made).encode())
    session.data(
        {"genesis_hash": made.hash.hex(), "file": str(out)},
        lambda: session.pairs([(session.say("created"), out), (session.say("genesis"), made.hash.hex())]),
    )


COMMANDS = (status, version, rpc, completion, genesis)


def _params(method: Method | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return params: texts are read as the method's types say, or as JSON where the method is not known here."""
    given: dict[str, Any] = {}
    fields = {} if method is None else {field.name: field for field in msgspec.structs.fields(method.params)}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r}: NAME=VALUE")
        given[name] = _value(text, fields.get(name))
    return given


def _value(text: str, field: msgspec.structs.FieldInfo | None) -> Any:
    listed = text.startswith("[")
    try:
        if field is None or listed:
            return msgspec.json.decode(text)
        return msgspec.to_builtins(msgspec.convert(text, field.type, strict=False))
    except msgspec.MsgspecError:
        return [text] if field is not None and "tuple" in str(field.type) else text
