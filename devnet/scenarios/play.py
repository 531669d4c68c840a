"""Play scenarios on a devnet: one that runs already, or four validators that are started for it and stopped again."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from devnet.money import issue
from devnet.processes import LocalNetwork
from devnet.scenarios.rows import Scenario
from devnet.scenarios.stage import SOON_MS, Line, Stage, Unexpected
from node.client.client import Client

Hear = Callable[[Scenario, Line | None], None]  # None: the scenario begins


async def play(scenarios: Sequence[Scenario], urls: Sequence[str], directory: Path, hear: Hear) -> None:
    """Play one after the other on the devnet at ``urls``, or without any on one of our own in ``directory``.

    Raise Unexpected, DevnetError, DevnetRefused or ClientError.
    """
    async with _client(urls, directory) as client:
        await set_up(client)
        for scenario in scenarios:
            hear(scenario, None)
            await play_one(scenario, client, hear)


async def set_up(client: Client) -> None:
    """Give a devnet its first money, unless it has it. Raise Unexpected if it is no devnet."""
    info = await client.info()
    if info.kind != "devnet":
        raise Unexpected(f"{info.name} is no devnet: the actors' keys are public")
    await issue(client)


async def play_one(scenario: Scenario, client: Client, hear: Hear, soon_ms: int = SOON_MS) -> None:
    """Play a scenario on a devnet that has its first money."""
    await scenario.run(Stage(client, lambda line: hear(scenario, line), soon_ms))


@asynccontextmanager
async def _client(urls: Sequence[str], directory: Path) -> AsyncIterator[Client]:
    if urls:
        async with Client(urls) as client:
            yield client
    else:
        async with LocalNetwork(directory) as network, Client(network.urls()) as client:
            yield client
