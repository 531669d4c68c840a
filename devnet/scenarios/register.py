"""Public registers: the State Register of Digital Assets, the national crypto reserve, certificates of study."""

import secrets
from typing import Final

from consensus.crypto import SecretKey
from devnet.generate import CENTRAL_BANK, REGISTRAR, UNIVERSITY, bank_account
from devnet.scenarios.stage import Stage, document, hold_id, new_number, pay, units
from node.cli.texts import Words
from node.ledger.account import ASSET_MAX, Kind, kinds_mask
from node.ledger.asset import RegisterAsset, SetAssetStatus
from node.ledger.assets import AssetStatus
from node.ledger.attest import Attest, RevokeAttestation
from node.ledger.errors import Code
from node.rpc.ledger_types import GetAssetHistoryResult, GetAttestationResult, ListAttestationsResult

ASSET_MIN: Final = 1_000  # of the assets that stories register, out of the way of others
SUPPLY_MAX: Final = 10**15
HOLDERS: Final = kinds_mask((Kind.BANK, Kind.MERCHANT, Kind.PERSON))
ISSUED: Final = 5_000
RESERVE: Final = (("BNB", 12_500 * 10**8, 8), ("BTC", 40 * 10**8, 8), ("XAU", 1_750_000, 0))  # gold in grams
SCHEMA: Final = "crypto-reserve"


def new_asset() -> int:
    """Return a number under which, as good as certainly, no asset is registered."""
    return ASSET_MIN + secrets.randbelow(ASSET_MAX - ASSET_MIN + 1)


def registration(asset: int, issuer: int, by: int = REGISTRAR) -> RegisterAsset:
    """Return the entry of an unbacked asset without decimals."""
    basis = document(f"registration of asset {asset}")
    return RegisterAsset(by, asset, f"BOND{asset}", 0, issuer, SUPPLY_MAX, None, HOLDERS, HOLDERS, basis)


async def register(stage: Stage) -> None:
    """An asset is registered, suspended, let move again and revoked; each step has its basis and stays to be read."""
    bank, other = bank_account(1), bank_account(2)
    issuer = await stage.open_institution(Kind.ISSUER)
    asset = new_asset()
    code = f"BOND{asset}"
    await stage.refused(
        Words(
            "Эмитент активин өзү каттоого аракет кылат",
            "Эмитент пытается зарегистрировать актив сам",
            "An issuer tries to register its asset itself",
        ),
        Code.ROLE,
        registration(asset, issuer, by=issuer),
    )
    await stage.refused(
        Words("Катталганга чейин чыгаруу", "Выпуск до регистрации", "An issue before registration"),
        Code.NO_ASSET,
        pay(issuer, bank, ISSUED, asset),
    )
    await stage.applied(
        Words(
            "Каттоочу {code} активин Мамлекеттик реестрге киргизет",
            "Регистратор вносит актив {code} в Государственный реестр",
            "The registrar enters the asset {code} in the State Register",
        ),
        registration(asset, issuer),
        code=code,
    )
    await stage.applied(
        Words("Эмитент {count} {code} чыгарат", "Эмитент выпускает {count} {code}", "The issuer issues {count} {code}"),
        pay(issuer, bank, ISSUED, asset),
        count=ISSUED,
        code=code,
    )
    await stage.applied(
        Words("Каттоочу жүгүртүүнү токтотот", "Регистратор приостанавливает обращение", "The registrar suspends it"),
        _status(asset, AssetStatus.SUSPENDED),
    )
    await stage.refused(
        Words(
            "1-банк 2-банкка төлөөгө аракет кылат", "Банк 1 пытается заплатить банку 2", "Bank 1 tries to pay bank 2"
        ),
        Code.ASSET_SUSPENDED,
        pay(bank, other, 100, asset),
    )
    await stage.applied(
        Words(
            "Эмитентке кайтаруу дайыма мүмкүн: 1 000 {code}",
            "Погасить у эмитента можно всегда: 1 000 {code}",
            "Redeeming is always possible: 1 000 {code}",
        ),
        pay(bank, issuer, 1_000, asset),
        code=code,
    )
    await stage.applied(
        Words(
            "Каттоочу кайра уруксат берет", "Регистратор снова разрешает обращение", "The registrar lets it move again"
        ),
        _status(asset, AssetStatus.REGISTERED),
    )
    await stage.applied(
        Words("1-банк 2-банкка 100 төлөйт", "Банк 1 платит банку 2 100", "Bank 1 pays bank 2 100"),
        pay(bank, other, 100, asset),
    )
    await stage.applied(
        Words("Каттоо кайтарылып алынат", "Регистрация отозвана", "The registration is revoked"),
        _status(asset, AssetStatus.REVOKED),
    )
    await stage.refused(
        Words(
            "Каттоочу аны кайра каттоого аракет кылат: кайтарып алуу — түпкүлүктүү",
            "Регистратор пытается вернуть регистрацию: отзыв окончателен",
            "The registrar tries to take that back: a revocation is final",
        ),
        Code.STATUS,
        _status(asset, AssetStatus.REGISTERED),
    )
    await stage.applied(
        Words("2-банк баары бир 100 кайтара алат", "Банк 2 всё равно погашает 100", "Bank 2 redeems 100 all the same"),
        pay(other, issuer, 100, asset),
    )
    history = await stage.read("asset_getHistory", GetAssetHistoryResult, asset=asset, order="asc")
    stage.fact(
        Words(
            "Реестрде баары көрүнөт: катталган, токтотулган, катталган, кайтарылган; ар биринде негиздин хеши",
            "В реестре видно всё: зарегистрирован, приостановлен, зарегистрирован, отозван; у каждого хеш основания",
            "The register shows it all: registered, suspended, registered, revoked; each with the hash of its basis",
        ),
        [(change.status, len(change.basis)) for change in history.changes],
        [("registered", 64), ("suspended", 64), ("registered", 64), ("revoked", 64)],
    )


def _status(asset: int, status: AssetStatus) -> SetAssetStatus:
    return SetAssetStatus(REGISTRAR, asset, status, document(f"decision on asset {asset}: {status.name}"))


async def reserve(stage: Stage) -> None:
    """The National Bank attests what the crypto reserve has, and everybody can read it and what was said before."""
    for subject, amount, scale in RESERVE:
        known = await stage.attested(SCHEMA, subject)
        revokes = b"" if known is None else bytes.fromhex(known.id)
        now = await stage.now_ms()
        evidence = document(f"statement of the reserve in {subject}, {now}")
        await stage.applied(
            Words(
                "Улуттук банк ырастайт: резервде {amount} {subject}",
                "Национальный банк подтверждает: в резерве {amount} {subject}",
                "The National Bank attests: the reserve has {amount} {subject}",
            ),
            Attest(CENTRAL_BANK, SCHEMA, subject, amount, now, 0, evidence, revokes),
            amount=units(amount, scale),
            subject=subject,
        )
    await stage.refused(
        Words(
            "1-банк резерв жөнүндө айтууга аракет кылат",
            "Банк 1 пытается высказаться о резерве",
            "Bank 1 tries to speak of the reserve",
        ),
        Code.ROLE,
        Attest(bank_account(1), SCHEMA, "BNB", 1, await stage.now_ms(), 0, document("a rumour"), b""),
    )
    before = await stage.attested(SCHEMA, "BNB")
    bought = RESERVE[0][1] + 500 * 10**8
    now = await stage.now_ms()
    replaces = b"" if before is None else bytes.fromhex(before.id)
    said = Attest(
        CENTRAL_BANK, SCHEMA, "BNB", bought, now, 0, document(f"statement after the purchase, {now}"), replaces
    )
    await stage.applied(
        Words(
            "500 BNB сатып алынгандан кийин: {amount} BNB. Жаңы ырастоо эскисин алмаштырат",
            "После покупки 500 BNB: {amount} BNB. Новое подтверждение заменяет прежнее",
            "After a purchase of 500 BNB: {amount} BNB. The new attestation replaces the last",
        ),
        said,
        amount=units(bought, 8),
    )
    await stage.refused(
        Words(
            "Экинчи адам ошол эле эски ырастоону алмаштырмакчы: бири-бирин билбей өчүрө албайт",
            "Второй заменяет то же прежнее подтверждение: стереть чужое слово не глядя нельзя",
            "Another would replace the same old one: nobody undoes another's word unseen",
        ),
        Code.NO_ATTESTATION,
        said._replace(value=1),
    )
    listed = await stage.read("attestation_list", ListAttestationsResult, schema=SCHEMA)
    shown = {each.subject: int(each.value) for each in listed.attestations}
    stage.fact(
        Words(
            "Ар ким көрөт: {bnb} BNB, {btc} BTC, {gold} грамм алтын, документтердин хештери менен",
            "Видно каждому: {bnb} BNB, {btc} BTC, {gold} граммов золота, с хешами документов",
            "For all to see: {bnb} BNB, {btc} BTC, {gold} grams of gold, with the hashes of the documents",
        ),
        {subject: shown.get(subject) for subject, _, _ in RESERVE},
        {"BNB": bought, "BTC": RESERVE[1][1], "XAU": RESERVE[2][1]},
        bnb=units(bought, 8),
        btc=units(RESERVE[1][1], 8),
        gold=units(RESERVE[2][1], 0),
    )
    old = await stage.read("attestation_get", GetAttestationResult, id=replaces.hex())
    stage.fact(
        Words(
            "Мурунку ырастоо да калат: кайтарылган, бирок өчүрүлгөн эмес",
            "Прежнее подтверждение тоже осталось: отозвано, но не стёрто",
            "The one before stays too: revoked, not erased",
        ),
        (int(old.attestation.value), old.attestation.current),
        (RESERVE[0][1], False),
    )


async def certificate(stage: Stage) -> None:
    """A university attests a certificate; who is shown the document can check it, and a forgery shows."""
    number = new_number("course")
    genuine = f"{number}: Distributed ledgers, 72 hours, excellent; {SecretKey(secrets.token_bytes(32)).public.hex()}"
    now = await stage.now_ms()
    student = await stage.open_wallet(1)
    said = Attest(UNIVERSITY, "certificate", number, 72, now, 0, document(genuine), b"")
    await stage.refused(
        Words(
            "Студент күбөлүктү өзүнө өзү берүүгө аракет кылат",
            "Студент пытается выдать сертификат сам себе",
            "A student tries to give a certificate to himself",
        ),
        Code.ROLE,
        said._replace(by=student),
    )
    tx_id = await stage.applied(
        Words(
            "Университет {number} күбөлүгүн ырастайт: 72 саат. Реестрде хеш гана, аты-жөнү жок",
            "Университет подтверждает сертификат {number}: 72 часа. В реестре только хеш, без имени",
            "The university attests certificate {number}: 72 hours. The ledger has its hash, no name",
        ),
        said,
        number=number,
    )
    current = await stage.attested("certificate", number)
    stage.fact(
        Words(
            "Жумуш берүүчү документтин хешин салыштырат: дал келет",
            "Работодатель сверяет хеш документа: совпадает",
            "An employer compares the hash of the document: it is the same",
        ),
        (current and current.evidence, current and current.valid),
        (document(genuine).hex(), True),
    )
    forged = genuine.replace("72 hours", "720 hours")
    stage.fact(
        Words(
            "Оңдолгон документтики («720 саат») дал келбейт",
            "У подправленного («720 часов») не совпадает",
            "That of a doctored one (“720 hours”) is another",
        ),
        current is not None and document(forged).hex() == current.evidence,
        False,
    )
    await stage.applied(
        Words(
            "Университет жаңылыш берилген күбөлүктү кайтарып алат",
            "Университет отзывает сертификат, выданный по ошибке",
            "The university revokes the certificate, which was given by mistake",
        ),
        RevokeAttestation(UNIVERSITY, hold_id(tx_id)),
    )
    stage.fact(
        Words("Эми ал күчүндө эмес", "Теперь он недействителен", "Now it is not valid"),
        await stage.attested("certificate", number),
        None,
    )
