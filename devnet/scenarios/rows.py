"""The table of scenarios: one for each system that the digital som must serve."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from devnet.scenarios.government import budget, pensions, vouchers
from devnet.scenarios.law import orders
from devnet.scenarios.money import issue, tiers
from devnet.scenarios.register import certificate, register, reserve
from devnet.scenarios.stablecoins import kgst, usdkg
from devnet.scenarios.stage import Stage
from devnet.scenarios.trade import delivery, swap
from devnet.scenarios.wallets import offline, recovery
from node.cli.texts import Words


class Scenario(NamedTuple):
    """A story by its short name. The first line of ``run``'s docstring says what it shows."""

    name: str
    title: Words
    run: Callable[[Stage], Awaitable[None]]


SCENARIOS: Final = (
    Scenario(
        "issue",
        Words(
            "Санарип сом: чыгаруу жана кайтаруу, кол коюучулардын көпчүлүгү менен",
            "Цифровой сом: выпуск и погашение, m подписей из n",
            "Digital som, issued and redeemed by m of n",
        ),
        issue,
    ),
    Scenario(
        "tiers",
        Words("Эки баскычтуу бөлүштүрүү", "Двухуровневое распределение", "Two-tier distribution"),
        tiers,
    ),
    Scenario(
        "pensions",
        Words(
            "Пенсия төлөө: жабык капчыктар калгандарды токтотпойт",
            "Выплата пенсий: закрытые кошельки не мешают остальным",
            "A pension run with closed wallets in it",
        ),
        pensions,
    ),
    Scenario(
        "vouchers",
        Words("Максаттуу жөлөкпул", "Целевое пособие", "Purpose-bound benefit"),
        vouchers,
    ),
    Scenario(
        "budget",
        Words("Шарттуу бюджет акчасы", "Бюджетные деньги с условием", "Conditional budget money"),
        budget,
    ),
    Scenario(
        "kgst",
        Words("KGST: резервдеги сомго каршы", "KGST: против сомов в резерве", "KGST, against som in reserve"),
        kgst,
    ),
    Scenario(
        "usdkg",
        Words(
            "USDKG: ырасталган алтынга каршы", "USDKG: против подтверждённого золота", "USDKG, against attested gold"
        ),
        usdkg,
    ),
    Scenario(
        "register",
        Words(
            "Санарип активдердин мамлекеттик реестри",
            "Государственный реестр цифровых активов",
            "The State Register of Digital Assets",
        ),
        register,
    ),
    Scenario(
        "reserve",
        Words("Улуттук криптокор", "Национальный криптовалютный резерв", "The national crypto reserve"),
        reserve,
    ),
    Scenario(
        "orders",
        Words(
            "Бөгөт, камак, өндүрүп алуу",
            "Заморозка, арест, взыскание",
            "A freeze, an arrest, a seizure",
        ),
        orders,
    ),
    Scenario(
        "recovery",
        Words(
            "Жоголгон ачкычты калыбына келтирүү",
            "Восстановление утерянного ключа",
            "A lost key, recovered through the bank",
        ),
        recovery,
    ),
    Scenario(
        "delivery",
        Words("Төлөмгө каршы жеткирүү", "Поставка против платежа", "Delivery versus payment"),
        delivery,
    ),
    Scenario(
        "swap",
        Words("Хеш-кулпу менен алмашуу", "Обмен под хеш-замком", "A hash-locked swap"),
        swap,
    ),
    Scenario(
        "offline",
        Words("Тармаксыз капчык", "Кошелёк без сети", "A purse that pays offline"),
        offline,
    ),
    Scenario(
        "certificate",
        Words("Университеттин күбөлүгү", "Сертификат университета", "A certificate of a university course"),
        certificate,
    ),
)


def find_scenario(row: str) -> Scenario | None:
    """Return the scenario of a name or of its number in the table, from 1."""
    for number, scenario in enumerate(SCENARIOS, 1):
        if row in (scenario.name, str(number)):
            return scenario
    return None


def page() -> str:
    """Return docs/scenarios.md."""
    rows = (
        f"| {number} | `{scenario.name}` | {scenario.title.en} | {scenario.title.ky} | {scenario.title.ru} | "
        f"{(scenario.run.__doc__ or '').strip().splitlines()[0]} |"
        for number, scenario in enumerate(SCENARIOS, 1)
    )
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


_HEAD: Final = """# Scenarios: what the ledger is for, as stories that run

Each row is one system that the digital som must serve, played on four validators over JSON-RPC by the demo actors of a
devnet: the National Bank, banks, the Treasury, a registrar, an enforcer, auditors, people, merchants, a device.

    som scenario                       the list
    som scenario kgst --lang ky        starts four validators of its own, plays row 6 in Kyrgyz, and stops them
    som scenario all                   plays all rows, one after the other
    som scenario 6 --node URL          plays on a devnet that runs already (make devnet)

`✓` is a transaction that a block applied, `✗` one that was refused with the code that follows, `=` a fact that was read
back from the chain. Nothing is only told: what turns out otherwise ends the story, and the exit code is 1. A test plays
all rows on one network (`tests/test_scenarios.py`). Stories open accounts of their own, so they can be played again and
beside each other; but `issue`, `kgst`, `usdkg` and `reserve` look at what there is one of: one run at a time.

| # | Name | Title | Аталышы | Название | What it shows |
|---|---|---|---|---|---|
"""
_TAIL: Final = """
Times are real: a voucher ends, an attestation grows old, a purse expires and a recovery waits while the story does. A
devnet's genesis sets the delay of a recovery to five seconds; a network for money sets a day (`recovery_delay_ms`).

What a purse without secure hardware cannot do: keep its owner from signing two receipts for the same money. The ledger
pays no more than was put on it; the loss of a second receipt is the merchant's who took it, with the device's signature
as the proof. Hence small amounts and near ends.

`python -m devnet.scenarios` prints this page.
"""
