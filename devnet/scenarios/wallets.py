"""What a wallet needs beyond a payment: new keys for lost ones, and a purse that pays without a network."""

import secrets
from typing import Final

from consensus.crypto import SecretKey
from devnet.generate import bank_account
from devnet.scenarios.stage import Stage, hold_id, pay, som
from node.cli.receipts import format_receipt, parse_receipt
from node.cli.texts import Words
from node.ledger.account import SOM, Kind
from node.ledger.errors import Code
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.recovery import CancelRecovery, FinishRecovery, RecoverAccount
from node.ledger.settle import SettleHold
from node.ledger.transaction import Transaction, make_transaction
from node.rpc.ledger_types import GetRecoveryResult

SAVED: Final = 5_000_00
PURSE: Final = 1_000_00
SPENT: Final = 700_00
NO_CONDITION: Final = Condition(b"", (), 0, "", "", False)
RECEIPT_MS: Final = 72 * 3_600_000  # a device's transaction may wait so long


async def recovery(stage: Stage) -> None:
    """An owner lost the key: the bank gives a new one after a delay, in which the owner can stop a false recovery."""
    aida = await stage.open_wallet(1, som=SAVED)
    bakyt = await stage.open_wallet(1, som=SAVED)
    new, thief = SecretKey(secrets.token_bytes(32)), SecretKey(secrets.token_bytes(32))
    bank = bank_account(1)
    recover = _recover(bank, aida, new)
    await stage.refused(
        Words(
            "Айданын телефону жоголду. 1-банк жаңы ачкычты күтпөй эле бермекчи",
            "Аида потеряла телефон. Банк 1 хочет дать новый ключ сразу, без ожидания",
            "Aida lost her phone. Bank 1 wants to give her a new key at once",
        ),
        Code.TOO_EARLY,
        recover,
        FinishRecovery(bank, aida),
    )
    await stage.refused(
        Words(
            "2-банк башканын кардарын калыбына келтирүүгө аракет кылат",
            "Банк 2 пытается восстановить чужого клиента",
            "Bank 2 tries to recover another bank's customer",
        ),
        Code.ROLE,
        _recover(bank_account(2), aida, thief),
    )
    await stage.applied(
        Words(
            "1-банк калыбына келтирүүнү баштайт: эски ачкыч эми төлөй албайт, жаңысы азырынча",
            "Банк 1 начинает восстановление: старым ключом уже не заплатить, новым ещё нельзя",
            "Bank 1 begins the recovery: the old key cannot pay any more, the new one not yet",
        ),
        recover,
    )
    await stage.refused(
        Words(
            "Телефонду тапкан адам төлөөгө аракет кылат",
            "Нашедший телефон пытается заплатить",
            "The finder of the phone tries to pay",
        ),
        Code.RECOVERING,
        pay(aida, bakyt, 100_00),
    )
    await stage.applied(
        Words(
            "Айдага 10.00 сом келет: кирим ачык",
            "Аиде приходит 10.00 сом: зачисления идут",
            "10.00 som come in for Aida",
        ),
        pay(bakyt, aida, 10_00),
    )
    await _false_recovery(stage, bakyt, thief)
    opened = (await stage.read("account_getRecovery", GetRecoveryResult, account=f"{aida:016d}")).recovery
    await stage.passed((opened and opened.ready_ms) or 0)
    await stage.applied(
        Words(
            "Мөөнөтү өттү: жаңы ачкыч күчүнө кирди",
            "Срок прошёл: новый ключ вступил в силу",
            "The delay is over: the new key is in force",
        ),
        FinishRecovery(bank, aida),
    )
    await stage.refused(
        Words("Эски ачкыч менен төлөө", "Платёж старым ключом", "A payment by the old key"),
        Code.NOT_SIGNED,
        pay(aida, bakyt, 100_00),
    )
    stage.give_key(aida, new)
    await stage.applied(
        Words(
            "Айда жаңы ачкыч менен 100.00 сом төлөйт",
            "Аида платит 100.00 сом новым ключом",
            "Aida pays 100.00 som by the new key",
        ),
        pay(aida, bakyt, 100_00),
    )
    stage.fact(
        Words(
            "Айданын акчасы өзүндө: {amount} сом, номери да ошол эле",
            "Деньги у Аиды на месте: {amount} сом, номер счёта прежний",
            "Aida's money is there: {amount} som, under the same number",
        ),
        await stage.balance(aida),
        (SAVED - 90_00, 0),
        amount=som(SAVED - 90_00),
    )


async def _false_recovery(stage: Stage, owner: int, thief: SecretKey) -> None:
    bank = bank_account(1)
    await stage.applied(
        Words(
            "Алдамчы банкты ишендирди: Бакыттын эсеби боюнча да калыбына келтирүү башталды",
            "Мошенник убедил банк: восстановление начато и для счёта Бакыта",
            "A fraudster has persuaded the bank: a recovery of Bakyt's account is begun too",
        ),
        _recover(bank, owner, thief),
    )
    await stage.applied(
        Words(
            "Бакыт эски ачкычы менен аны токтотот",
            "Бакыт останавливает его своим прежним ключом",
            "Bakyt stops it by his key",
        ),
        CancelRecovery(owner),
    )
    await stage.refused(
        Words(
            "Банк аны баары бир бүтүрмөкчү",
            "Банк всё же пытается его завершить",
            "The bank tries to finish it all the same",
        ),
        Code.NO_RECOVERY,
        FinishRecovery(bank, owner),
    )
    await stage.refused(
        Words(
            "Банк кайра баштамакчы: 30 күндө экинчи макулдук керек",
            "Банк пробует ещё раз: в течение 30 дней нужно второе согласие",
            "The bank tries again: for 30 days a second authority must approve",
        ),
        Code.SECOND_APPROVAL,
        _recover(bank, owner, thief),
    )


def _recover(bank: int, number: int, key: SecretKey) -> RecoverAccount:
    return RecoverAccount(bank, number, ((bytes(key.public), 1),), 1)


async def offline(stage: Stage) -> None:
    """A device without a network signs for more than it has: the ledger pays no more than was put on it."""
    aida = await stage.open_wallet(1, som=SAVED)
    device = await stage.open_wallet(1, kind=Kind.DEVICE)
    baker = await stage.open_wallet(2, 3, kind=Kind.MERCHANT, category=5462)
    grocer = await stage.open_wallet(3, 3, kind=Kind.MERCHANT, category=5411)
    end = await stage.soon_ms()
    tx_id = await stage.applied(
        Words(
            "Айда түзмөгүнө {amount} сом салат; мөөнөтү кыска",
            "Аида кладёт на устройство {amount} сом; срок короткий",
            "Aida puts {amount} som on her device; the end is near",
        ),
        MakeHold(SOM, aida, ((device, PURSE, b"purse"),), 0, end, NO_CONDITION),
        amount=som(PURSE),
    )
    purse = hold_id(tx_id)
    first = await _receipt(
        stage,
        Words(
            "Тоодо тармак жок. Түзмөк наабайчыга {amount} сомдук чекке кол коёт: {chars} белги, QR код болот",
            "В горах нет сети. Устройство подписывает пекарю чек на {amount} сом: {chars} знаков, их покажет QR-код",
            "There is no network in the mountains. The device signs a receipt of {amount} som for a baker: {chars} "
            "characters, shown as a QR code",
        ),
        SettleHold(device, purse, SPENT, baker, b"", False),
    )
    second = await _receipt(
        stage,
        Words(
            "Бузулган түзмөк ошол эле акчаны дагы сарптайт: бакалейщикке {amount} сомдук чек, {chars} белги",
            "Взломанное устройство тратит те же деньги ещё раз: чек бакалейщику на {amount} сом, {chars} знаков",
            "The device, tampered with, spends the same money again: a receipt of {amount} som for a grocer, {chars} "
            "characters",
        ),
        SettleHold(device, purse, SPENT, grocer, b"", False),
    )
    await _settled(stage, first, second, baker)
    await stage.passed(end)
    stage.fact(
        Words(
            "Мөөнөт өттү: түзмөктө калган {left} сом Айдада кайра бош. Эки чекке {purse} сомдон ашык төлөнбөйт; "
            "зыян экинчи чекти алган адамда, далили — түзмөктүн колу",
            "Срок прошёл: оставшиеся {left} сом снова свободны у Аиды. По двум чекам не могло уйти больше {purse} сом; "
            "убыток у принявшего второй чек, и подпись устройства это доказывает",
            "The end has come: the {left} som that were left are free for Aida. Both receipts could not take more than "
            "{purse} som; who took the second one has the loss, and the device's signature to prove it",
        ),
        (await stage.balance(aida), await stage.balance(baker), await stage.balance(grocer)),
        ((SAVED - SPENT, 0), (SPENT, 0), (0, 0)),
        left=som(PURSE - SPENT),
        purse=som(PURSE),
    )


async def _receipt(stage: Stage, words: Words, operation: SettleHold) -> Transaction:
    """Sign without a network, as the device does; return what the merchant reads from the text, with no network too."""
    network = await stage.network()
    made = make_transaction(
        network.network,
        network.hash,
        await stage.now_ms() + RECEIPT_MS,
        secrets.randbits(64),
        [operation.by],
        [operation],
        [(0, key) for key in stage.keys_of(operation.by)],
    )
    text = format_receipt(made, network.hash)
    read = parse_receipt(text, network)
    stage.fact(words, read, made, amount=som(operation.amount), chars=len(text))
    return made


async def _settled(stage: Stage, first: Transaction, second: Transaction, baker: int) -> None:
    await stage.settled(
        Words(
            "Тармак бар жерде наабайчы чекти реестрге жөнөтөт: {amount} сом",
            "Там, где есть сеть, пекарь отправляет чек: {amount} сом",
            "Where there is a network, the baker sends the receipt: {amount} som",
        ),
        Code.APPLIED,
        first,
        amount=som(SPENT),
    )
    await stage.settled(
        Words(
            "Бакалейщик өз чегин жөнөтөт, бирок түзмөктө {left} сом гана калган",
            "Бакалейщик отправляет свой, но на устройстве осталось лишь {left} сом",
            "The grocer sends the other one, but the device has only {left} som left",
        ),
        Code.EXCEEDS_HOLD,
        second,
        left=som(PURSE - SPENT),
    )
    again = await stage.client.submit(first)
    stage.fact(
        Words(
            "Наабайчы өз чегин экинчи жолу жөнөтөт: жыйынтык ошол эле, акча бир эле жолу түшкөн",
            "Пекарь отправляет свой чек ещё раз: итог тот же, деньги пришли однажды",
            "The baker sends his receipt once more: the same result, the money came once",
        ),
        (again.tx_id, again.code, await stage.balance(baker)),
        (first.id, 0, (SPENT, 0)),
    )
