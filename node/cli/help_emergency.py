"""What `som emergency ... --help` says, in Kyrgyz and in Russian.

One rule: as in help_texts.py, which puts all of it together: the English text is the key.
"""

from typing import Final

from node.cli.texts import Translated

HELP_OF_EMERGENCIES: Final[dict[str, Translated]] = {
    "After more validators are lost for good than may be: a decree of the central bank and of those "
    "who are left.": Translated(
        "Валидаторлор чектен ашык биротоло жоголгондо: Улуттук банктын жана калгандардын буйругу.",
        "Когда навсегда утрачено больше валидаторов, чем допустимо: указ Национального банка и оставшихся.",
    ),
    "Say, signed, what this validator has, after closing its guard: it never again votes as before. "
    "No way back.": Translated(
        "Бул валидаторда эмне бар экенин кол коюп билдирүү; ага чейин кароолу жабылат: ал мурдагыдай эч "
        "качан добуш бербейт. Артка жол жок.",
        "Доложить с подписью, что есть у валидатора, закрыв его стража: как прежде он больше не "
        "голосует. Пути назад нет.",
    ),
    "Choose from all reports the block that the chain goes on from, and write the decree for "
    "everybody to sign.": Translated(
        "Бардык билдирүүлөрдөн чынжыр улана турган блокту тандап, кол коюлуучу буйрукту жазуу.",
        "Выбрать по всем докладам блок, с которого цепочка продолжится, и записать указ на подпись.",
    ),
    "Show a decree: the block, the validators, the reason, who has signed.": Translated(
        "Буйрукту көрсөтүү: блок, валидаторлор, себеби, ким кол койгон.",
        "Показать указ: блок, валидаторов, причину, кто подписал.",
    ),
    "Sign a decree: as the central bank with its keys, or as a validator that is left, with its home.": Translated(
        "Буйрукка кол коюу: Улуттук банк — ачкычтары менен, калган валидатор — өз папкасы менен.",
        "Подписать указ: Национальный банк — ключами, оставшийся валидатор — своей папкой.",
    ),
    "Put the signatures of several copies of one decree into one file.": Translated(
        "Бир буйруктун бир нече көчүрмөсүндөгү колдорду бир файлга чогултуу.",
        "Собрать подписи из нескольких копий одного указа в один файл.",
    ),
    "Have this home follow a decree from its next start on. The node must not run.": Translated(
        "Бул папка кийинки ишке киргизүүдөн баштап буйрукка баш ийет. Түйүн токтотулган болушу керек.",
        "Со следующего запуска эта папка следует указу. Узел должен быть остановлен.",
    ),
    "Write it to this file.": Translated(
        "Ушул файлга жазуу.",
        "Записать в этот файл.",
    ),
    "Where key and guard are, if a signer process has them.": Translated(
        "Ачкыч менен кароол кол коюучу процессте болсо — анын папкасы.",
        "Где ключ и страж, если они у подписывающего процесса.",
    ),
    "Go on although acknowledged payments may be lost: nobody is left who could know.": Translated(
        "Ырасталган төлөмдөр жоголушу мүмкүн болсо да улантуу: билген эч ким калган эмес.",
        "Продолжить, хотя подтверждённые платежи могут пропасть: не осталось никого, кто мог бы знать.",
    ),
    "A new validator, as `som init --json` shows it.": Translated(
        "Жаңы валидатор: `som init --json` көрсөткөндөй.",
        "Новый валидатор, как его показывает `som init --json`.",
    ),
    "One who reports, and is not to validate any more.": Translated(
        "Билдирүү берген, бирок мындан ары валидатор болбой турган.",
        "Доложивший, который больше не будет валидатором.",
    ),
    "Why, for everybody to read.": Translated(
        "Себеби, баары окуй турган.",
        "Почему — чтобы прочёл каждый.",
    ),
    "A home whose chain says how far it is signed; its node must not run.": Translated(
        "Чынжыры кол жетиштүүлүгүн көрсөтө турган папка; түйүнү токтотулган.",
        "Папка, по цепочке которой видно, хватает ли подписей; узел остановлен.",
    ),
    "A key file of the central bank.": Translated(
        "Улуттук банктын ачкыч файлы.",
        "Файл ключа Национального банка.",
    ),
    "With --key: the network's genesis.": Translated(
        "--key менен: тармактын генезиси.",
        "С --key: генезис сети.",
    ),
    "Or: the home of a validator that has reported; its node must not run.": Translated(
        "Же: билдирүү берген валидатордун папкасы; түйүнү токтотулган.",
        "Или: папка доложившего валидатора; его узел остановлен.",
    ),
    "The decree as the central bank has made it known: for a new home.": Translated(
        "Улуттук банк жарыялаган буйрук: жаңы папка үчүн.",
        "Указ, как его объявил Национальный банк: для новой папки.",
    ),
    "The node and its signer must not run. Done again, it says the same. An observer, which has no "
    "guard, reports too: it may have what the lost had.": Translated(
        "Түйүн жана анын кол коюучусу токтотулган болушу керек. Кайталанса, ошол эле билдирилет. Кароолу жок "
        "байкоочу да билдирет: жоголгондордо болгон нерсе анда болушу мүмкүн.",
        "Узел и его подписывающий процесс должны быть остановлены. При повторе доклад тот же. Наблюдатель "
        "без стража тоже докладывает: у него может быть то, что было у утраченных.",
    ),
    "HOME is a validator that is left, or an observer; its node must not run. Who reports and has a seat "
    "keeps it.": Translated(
        "HOME — калган валидатор же байкоочу; түйүнү токтотулган болушу керек. Билдирүү берген валидатор "
        "ордун сактайт.",
        "HOME — оставшийся валидатор или наблюдатель; его узел остановлен. Доложивший сохраняет своё место.",
    ),
    "A validator looks first whether the decree leaves out anything that it has, and signs one decree of "
    "a term only.": Translated(
        "Валидатор адегенде буйрук анда бар нерсени калтырып кетпегенин текшерет жана бир мезгилде бир эле "
        "буйрукка кол коёт.",
        "Валидатор сперва проверяет, не пропускает ли указ то, что у него есть, и за срок подписывает лишь один указ.",
    ),
    "A home that has the chain checks all signatures. One that has not, and one of a decree that too few "
    "validators could sign, needs --digest: what the central bank has published.": Translated(
        "Чынжыры бар папка бардык колдорду текшерет. Чынжыры жок болсо же буйрукка аз валидатор кол койсо, "
        "--digest керек: Улуттук банк жарыялаганы.",
        "Папка с цепочкой проверяет все подписи. Без неё, или если указ смогли подписать слишком немногие, "
        "нужен --digest: то, что опубликовал Национальный банк.",
    ),
    "Read the key's passphrase, or the device's PIN, here instead of asking.": Translated(
        "Ачкычтын сырсөзүн же түзмөктүн PIN-кодун сурабай, ушул файлдан окуу.",
        "Прочесть парольную фразу ключа или PIN устройства из этого файла, не спрашивая.",
    ),
}
