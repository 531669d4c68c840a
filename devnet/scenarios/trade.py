"""Two parties who do not trust each other: both deliver in one transaction, or a secret binds one to the other."""

import secrets
from hashlib import sha256
from typing import Final

from devnet.generate import bank_account
from devnet.scenarios.register import new_asset, registration
from devnet.scenarios.stage import Stage, Unexpected, hold_id, pay, som
from node.cli.texts import Words
from node.ledger.account import SOM, Kind
from node.ledger.errors import Code
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.settle import SettleHold

PRICE: Final = 9_500_00
BONDS: Final = 10
HOUR_MS: Final = 3_600_000


async def delivery(stage: Stage) -> None:
    """Bonds against som in one transaction that both sign: both parts happen, or none."""
    seller, buyer, asset = await _traders(stage)
    trade = pay(seller, buyer, BONDS, asset), pay(buyer, seller, PRICE)
    await stage.refused(
        Words(
            "Айда {count} облигация сатмакчы, бирок Бакыт кол койгон жок",
            "Аида хочет продать {count} облигаций, но Бакыт не подписал",
            "Aida wants to sell {count} bonds, but Bakyt has not signed",
        ),
        Code.NOT_SIGNED,
        *trade,
        keys={buyer: ()},
        count=BONDS,
    )
    await stage.refused(
        Words(
            "Экөө тең кол койду, бирок Бакыттын {amount} сому жок",
            "Подписали оба, но у Бакыта нет {amount} сом",
            "Both have signed, but Bakyt does not have {amount} som",
        ),
        Code.INSUFFICIENT,
        trade[0],
        pay(buyer, seller, 2 * PRICE),
        amount=som(2 * PRICE),
    )
    stage.fact(
        Words("Облигациялар Айдада калды", "Облигации остались у Аиды", "The bonds are Aida's still"),
        (await stage.balance(seller, asset), await stage.balance(buyer, asset)),
        ((BONDS, 0), (0, 0)),
    )
    await stage.applied(
        Words(
            "Бир транзакция: {count} облигация Бакытка, {amount} сом Айдага",
            "Одна транзакция: {count} облигаций Бакыту, {amount} сом Аиде",
            "One transaction: {count} bonds to Bakyt, {amount} som to Aida",
        ),
        *trade,
        count=BONDS,
        amount=som(PRICE),
    )
    stage.fact(
        Words(
            "Бакытта {count} облигация, Айдада {amount} сом",
            "У Бакыта {count} облигаций, у Аиды {amount} сом",
            "Bakyt has {count} bonds, Aida {amount} som",
        ),
        (await stage.balance(buyer, asset), await stage.balance(seller)),
        ((BONDS, 0), (PRICE, 0)),
        count=BONDS,
        amount=som(PRICE),
    )


async def swap(stage: Stage) -> None:
    """Two promises under one hash: whoever takes one shows the secret that opens the other."""
    seller, buyer, asset = await _traders(stage)
    secret = secrets.token_bytes(32)
    locked = Condition(sha256(secret).digest(), (), 0, "", "", False)
    now = await stage.now_ms()
    tx_id = await stage.applied(
        Words(
            "Айда сыр ойлоп таап, {count} облигацияны анын хеши менен Бакытка кулпулайт, 2 саатка",
            "Аида придумывает секрет и запирает его хешем {count} облигаций для Бакыта, на 2 часа",
            "Aida makes a secret and locks {count} bonds for Bakyt under its hash, for 2 hours",
        ),
        MakeHold(asset, seller, ((0, BONDS, b""),), buyer, now + 2 * HOUR_MS, locked),
        count=BONDS,
    )
    bonds = hold_id(tx_id)
    seen = await stage.hold(bonds)
    condition = None if seen is None or seen.condition is None else seen.condition.hash
    stage.fact(
        Words(
            "Бакыт ал хешти реестрден окуйт", "Бакыт читает этот хеш в реестре", "Bakyt reads the hash on the ledger"
        ),
        condition,
        locked.hash.hex(),
    )
    tx_id = await stage.applied(
        Words(
            "Бакыт ошол эле хеш менен {amount} сомду Айдага кулпулайт, 1 саатка",
            "Бакыт запирает тем же хешем {amount} сом для Аиды, на 1 час",
            "Bakyt locks {amount} som for Aida under the same hash, for 1 hour",
        ),
        MakeHold(SOM, buyer, ((0, PRICE, b""),), seller, now + HOUR_MS, locked),
        amount=som(PRICE),
    )
    money = hold_id(tx_id)
    await stage.refused(
        Words("Бакыт сырды божомолдойт", "Бакыт пытается угадать секрет", "Bakyt guesses at the secret"),
        Code.SECRET,
        SettleHold(buyer, bonds, BONDS, 0, b"guess", False),
    )
    shown = await stage.applied(
        Words(
            "Айда сырды көрсөтүп {amount} сомду алат",
            "Аида предъявляет секрет и получает {amount} сом",
            "Aida shows the secret and takes the {amount} som",
        ),
        SettleHold(seller, money, PRICE, 0, secret, False),
        amount=som(PRICE),
    )
    found = (await stage.client.transaction(shown, transaction=True)).transaction
    if found is None or not found.operations[0].secret:
        raise Unexpected("the secret is not to be read")
    read = bytes.fromhex(found.operations[0].secret)
    await stage.applied(
        Words(
            "Эми сыр реестрде ачык: Бакыт аны окуп, {count} облигацияны алат",
            "Теперь секрет виден в реестре: Бакыт читает его и получает {count} облигаций",
            "Now the secret is on the ledger: Bakyt reads it and takes the {count} bonds",
        ),
        SettleHold(buyer, bonds, BONDS, 0, read, False),
        count=BONDS,
    )
    stage.fact(
        Words(
            "Бакытта {count} облигация, Айдада {amount} сом",
            "У Бакыта {count} облигаций, у Аиды {amount} сом",
            "Bakyt has {count} bonds, Aida {amount} som",
        ),
        (await stage.balance(buyer, asset), await stage.balance(seller)),
        ((BONDS, 0), (PRICE, 0)),
        count=BONDS,
        amount=som(PRICE),
    )
    await _abandoned(stage, locked)


async def _abandoned(stage: Stage, locked: Condition) -> None:
    payer, other = await stage.open_wallet(1, som=PRICE), await stage.open_wallet(2)
    end = await stage.soon_ms()
    await stage.applied(
        Words(
            "Башка алмашуу: бири {amount} сомду кулпулады, экинчиси келген жок",
            "Другой обмен: один запер {amount} сом, второй не пришёл",
            "Another swap: one has locked {amount} som, the other never comes",
        ),
        MakeHold(
            SOM, payer, ((0, PRICE, b""),), other, end, locked._replace(hash=sha256(secrets.token_bytes(32)).digest())
        ),
        amount=som(PRICE),
    )
    await stage.passed(end)
    stage.fact(
        Words(
            "Мөөнөтү өттү: {amount} сом кайра бош",
            "Срок прошёл: {amount} сом снова свободны",
            "The time is over: the {amount} som are free again",
        ),
        await stage.balance(payer),
        (PRICE, 0),
        amount=som(PRICE),
    )


async def _traders(stage: Stage) -> tuple[int, int, int]:
    """Return a seller who has bonds, a buyer who has som, and the bonds' asset."""
    seller = await stage.open_wallet(1)
    buyer = await stage.open_wallet(2, som=PRICE)
    issuer = await stage.open_institution(Kind.ISSUER)
    asset = new_asset()
    await stage.do(registration(asset, issuer))
    await stage.do(pay(issuer, bank_account(1), BONDS, asset))
    await stage.do(pay(bank_account(1), seller, BONDS, asset))
    return seller, buyer, asset
