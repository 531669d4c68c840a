"""devnet: four validators on this computer, started, broken, repaired, paid from and loaded.

One rule: what acts on a devnet that runs asks its control, whose address stands in a file; a node is told nothing.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.cli.amounts import parse_som
from node.cli.payments import TIMEOUT, show_settled
from node.cli.session import Exit, Session, SomCommand, SomGroup
from node.cli.signing import account_of
from node.client.client import Client, Settled
from node.ledger.account import format_account

if TYPE_CHECKING:
    from devnet.load import Loaded
    from devnet.remote import Member, Remote, Standing

CONTROL: Final = Path(".devnet/control")  # as devnet.local writes it
DELAY_MS_MAX: Final = 5_000.0  # as devnet.wan takes
LOAD_RATE: Final = 50.0
LOAD_RATE_MAX: Final = 1_000.0  # as devnet.load takes
LOAD_SECONDS: Final = 10.0
LOAD_SECONDS_MAX: Final = 3_600.0
# HTTP status of the control's answer -> how the command ends; all others are errors.
_ENDS: Final = {400: Exit.USAGE, 409: Exit.REFUSED, 502: Exit.NOT_REACHABLE, 503: Exit.NOT_REACHABLE}


class ControlCommand(SomCommand):
    """A command about a devnet that runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--control"],
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                default=CONTROL,
                show_default=True,
                help="Where the devnet wrote how it is asked.",
            )
        )


def _complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the validators of the devnet that runs."""
    from devnet.remote import NoDevnet, NotDone, Remote

    try:
        members = Remote(ctx.params.get("control") or CONTROL).standing().members
    except (NoDevnet, NotDone):
        return []
    return [member.name for member in members if member.name.startswith(incomplete)]


_NAMES = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=_complete_name)


@click.group(cls=SomGroup)
def devnet() -> None:
    """Four validators on this computer, with keys that everybody knows."""


@devnet.command("up")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".devnet/local"),
    show_default=True,
    help="Of the validators that are started; made anew.",
)
@click.option(
    "--delay-ms",
    type=click.FloatRange(0, DELAY_MS_MAX),
    metavar="MS",
    help="How long a byte is on its way from one validator to another.",
)
def up(directory: Path, delay_ms: float | None) -> None:
    """Start the devnet and keep it running until Ctrl-C or `som devnet down`."""
    from devnet.local import main as run_devnet

    delay = [] if delay_ms is None else ["--delay-ms", str(delay_ms)]
    sys.exit(run_devnet(["--directory", str(directory), *delay]))


@devnet.command("init")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A directory for all of it.",
)
@click.option("--hosts", default="nbkr,bank-1,bank-2,bank-3", show_default=True, help="Names of validators and hosts.")
@click.option("--observers", default="", help="Names of nodes that only follow and serve, and of their hosts.")
@click.option("--p2p-port", type=click.IntRange(1, 65_535), default=26_600, show_default=True, help="For validators.")
@click.option("--rpc-port", type=click.IntRange(1, 65_535), default=26_657, show_default=True, help="For clients.")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where they listen.")
def devnet_init(output: Path, hosts: str, observers: str, p2p_port: int, rpc_port: int, listen: str) -> None:
    """Make the home directories of a devnet whose validators run on hosts of their own, and its genesis."""
    from devnet.generate import main as generate

    named = ["--output", str(output), "--hosts", hosts, "--observers", observers, "--listen", listen]
    generate([*named, "--p2p-port", str(p2p_port), "--rpc-port", str(rpc_port)])


@devnet.command("status", cls=ControlCommand)
@click.pass_obj
def status(session: Session, control: Path) -> None:
    """Who runs, who is cut off, and where each answers."""
    with _speaking(session, control) as remote:
        _show(session, remote.standing())


@devnet.command("kill", cls=ControlCommand)
@_NAMES
@click.pass_obj
def kill(session: Session, control: Path, names: tuple[str, ...]) -> None:
    """Kill validators as a power cut would. They stay dead until `som devnet restart`."""
    _act_on(session, control, "kill", names)


@devnet.command("restart", cls=ControlCommand)
@_NAMES
@click.pass_obj
def restart(session: Session, control: Path, names: tuple[str, ...]) -> None:
    """Start validators again; one that runs is killed first. They fetch what they missed by themselves."""
    _act_on(session, control, "restart", names)


@devnet.command("partition", cls=ControlCommand)
@_NAMES
@click.pass_obj
def partition(session: Session, control: Path, names: tuple[str, ...]) -> None:
    """Cut all links between these validators and all others. Clients reach them as before."""
    _act_on(session, control, "partition", names)


@devnet.command("heal", cls=ControlCommand)
@click.argument("names", metavar="NAME...", nargs=-1, shell_complete=_complete_name)
@click.pass_obj
def heal(session: Session, control: Path, names: tuple[str, ...]) -> None:
    """Mend the links of these validators, or of all that are cut off."""
    with _speaking(session, control) as remote:
        cut = [member.name for member in remote.standing().members if member.cut]
    _act_on(session, control, "heal", names or cut)


@devnet.command("faucet", cls=ControlCommand)
@click.argument("account")
@click.argument("amount")
@click.pass_obj
def faucet(session: Session, control: Path, account: str, amount: str, timeout_seconds: float) -> None:
    """Let a bank of the devnet pay AMOUNT som to ACCOUNT, up to 100,000."""
    number = account_of(session, account)
    try:
        tyiyn = parse_som(amount)
    except ValueError:
        raise click.BadParameter(f"{amount!r}: {session.say('bad_amount')}", param_hint="AMOUNT") from None
    with _speaking(session, control) as remote:
        tx_id = bytes.fromhex(str(remote.act("faucet", account=format_account(number), amount=str(tyiyn))["tx_id"]))
        session.nodes = remote.standing().urls

    async def question(client: Client) -> Settled:
        return await client.wait(tx_id, timeout_seconds)

    show_settled(session, [session.ask(question)])


faucet.params.append(TIMEOUT)


@devnet.command("load", cls=ControlCommand)
@click.option(
    "--rate",
    type=click.FloatRange(0, LOAD_RATE_MAX, min_open=True),
    default=LOAD_RATE,
    show_default=True,
    help="Transactions a second.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, LOAD_SECONDS_MAX, min_open=True),
    default=LOAD_SECONDS,
    show_default=True,
    help="For how long.",
)
@click.pass_obj
def load(session: Session, control: Path, rate: float, seconds: float) -> None:
    """Let the banks pay each other a tyiyn again and again, and show how soon that was final."""
    from devnet.load import load as put_load

    with _speaking(session, control) as remote:
        urls = remote.standing().ready_urls
    if not urls:
        session.end(Exit.NOT_REACHABLE, session.say("not_reachable"))
    loaded = asyncio.run(put_load(urls, rate, seconds))
    session.data(loaded, lambda: session.pairs(_figures(session, loaded)))
    if not loaded.whole:
        session.end(Exit.PARTIAL if loaded.accepted else Exit.ERROR, session.say("load_not_whole"))


@devnet.command("reset", cls=ControlCommand)
@click.pass_obj
def reset(session: Session, control: Path) -> None:
    """Begin anew: another genesis, a new chain with the first money, old addresses. What was is gone."""
    with _speaking(session, control) as remote:
        remote.act("reset")
        _show(session, remote.standing())


@devnet.command("down", cls=ControlCommand)
@click.pass_obj
def down(session: Session, control: Path) -> None:
    """Stop the devnet that runs, and return when all of it has ended."""
    with _speaking(session, control) as remote:
        remote.end()
    session.words(session.say("devnet_ended"))


# --- the devnet that runs ---


@contextmanager
def _speaking(session: Session, control: Path) -> "Iterator[Remote]":
    """Yield the devnet; end with a word and a code if it is not there or does not do what it is asked."""
    from devnet.remote import NoDevnet, NotDone, Remote

    try:
        yield Remote(control)
    except NoDevnet as error:
        session.end(Exit.NOT_REACHABLE, f"{session.say('no_devnet')} ({error})")
    except NotDone as error:
        session.end(_ENDS.get(error.status, Exit.ERROR), f"{session.say('error')}: {error}")


def _act_on(session: Session, control: Path, act: str, names: Sequence[str]) -> None:
    """Do it to each of them, or to none if one is no validator; then show how the devnet stands."""
    with _speaking(session, control) as remote:
        known = [member.name for member in remote.standing().members]
        strangers = [name for name in names if name not in known]
        if strangers:
            raise click.BadParameter(f"{', '.join(strangers)}: {', '.join(known)}", param_hint="NAME")
        for name in names:
            remote.act(act, name=name)
        _show(session, remote.standing())


def _show(session: Session, standing: "Standing") -> None:
    members = standing.members
    rows = [(member.name, session.say(_state(member)), member.url) for member in members]
    columns = session.say("validator"), session.say("status"), "RPC"
    session.data({"validators": members}, lambda: session.rows(columns, rows))


def _state(member: "Member") -> str:
    if not member.running:
        return "dead"
    if member.cut:
        return "cut_off"
    return "runs_now" if member.ready else "not_ready"


def _figures(session: Session, loaded: "Loaded") -> list[tuple[str, object]]:
    def counted(counts: dict[str, int]) -> str:
        return ", ".join(f"{name}: {number}" for name, number in sorted(counts.items()))

    say, latency = session.say, loaded.latency
    shown = [(f"p{name}, {say('ms')}", value) for name, value in (("50", latency.p50_ms), ("99", latency.p99_ms))]
    kinds = [("refused", loaded.refused), ("not_final", loaded.not_final), ("not_answered", loaded.not_answered)]
    return [
        (say("sent"), loaded.sent),
        (say("accepted"), f"{loaded.accepted} ({loaded.accepted / loaded.seconds:.1f} {say('a_second')})"),
        *((name, f"{value:.0f}") for name, value in shown if value is not None),
        *((say(name), counted(counts)) for name, counts in kinds if counts),
    ]
