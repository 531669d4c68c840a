"""Random transactions as bytes: random operations, some that rest on each other, and who signs them until when."""

from consensus.encoding import encode
from tests.ledger_model import faults
from tests.ledger_model.operations import AMOUNT_MAX, BANKER, BASIS, LEGS_MAX, Operation, Operations, actors
from tests.ledger_model.state import BANK, DISTRIBUTOR, MINUTE, PERSON, SOM, Asset, State, h
from tests.ledger_world import CENTRAL, NETWORK, NOBODY


class Generator(Operations):
    """Draws transactions for one chain."""

    def __init__(self, seed: int, state: State) -> None:
        super().__init__(seed, state)
        self.salt = 0
        self.sent: list[bytes] = []

    # --- operations that rest on those before them in the same transaction ---

    def script(self) -> list[Operation]:
        return self.of(
            self.deposit,
            self.newcomer,
            self.order_and_lift,
            self.attested_issue,
            self.pass_on,
            self.regret,
            self.in_two,
        )()

    def deposit(self) -> list[Operation]:
        """Fill a reserve and issue what it backs."""
        assets: dict[int, Asset] = self.state.tables["s"]
        number = self.pick([number for number, asset in assets.items() if asset.backing[0] == 1], SOM)
        asset = assets[number]
        if number == SOM:
            return [self.pay()]
        _, reserve, other = asset.backing
        count = self.random.randint(1, 10_000)
        worth = -(-count * 10 ** assets[other].scale // 10**asset.scale)
        owner, to = self.owner(other), self.payee(asset.issuer, number)
        paid = self.mostly(worth, max(1, worth - 1))
        return [
            (1, other, owner, ((reserve, paid, b"in"),), False, False),
            (1, number, asset.issuer, ((to, max(1, self._issue_room(asset, number)) + count, b"out"),), False, False),
        ]

    def newcomer(self) -> list[Operation]:
        """Open an account and pay to it, or register an asset and issue it."""
        if self.odds(0.5):
            opened = self.open()
            return [opened, (1, SOM, self.owner(SOM), ((opened[3], 10, b"first"),), False, False)]
        made = self.register()
        return [made, (1, made[3], made[6], ((self.one(), 10, b"first"),), False, False)]

    def order_and_lift(self) -> list[Operation]:
        order = self.of(self.freeze, self.arrest)()
        return [order, (7, order[1] + 1, order[2], order[3], BASIS)]

    def attested_issue(self) -> list[Operation]:
        word = self.attest()
        assets: dict[int, Asset] = self.state.tables["s"]
        number = next((number for number, asset in assets.items() if asset.code == word[4]), SOM)
        issuer = assets[number].issuer
        issue = (1, number, issuer, ((self.payee(issuer, number), 1, b"backed"),), False, False)
        return [word, issue] if issuer in self.accounts else [word]

    def pass_on(self) -> list[Operation]:
        """Pay all that somebody has to another, who pays it on."""
        asset = self.asset() or SOM
        first = self.owner(asset)
        second = self.pick(self.alive(BANK, PERSON, DISTRIBUTOR), BANKER)
        amount = max(1, min(self.state.available(first, asset), AMOUNT_MAX))
        after = min(self.state.available(second, asset) + amount + self.of(0, 0, 1), AMOUNT_MAX)
        return [
            (1, asset, first, ((second, amount, b"on"),), False, False),
            (1, asset, second, ((self.payee(second, asset), max(1, after), b"and on"),), False, False),
        ]

    def in_two(self) -> list[Operation]:
        """Pay as much as a transaction may, or one more, in two parts."""
        payer = self.pick([each for each in self.alive(PERSON) if self.state.available(each, SOM) > 10**6], BANKER)
        account = self.accounts[payer]
        most = self.state.tier(account)[0] if account.limited else 10
        first = self.random.randrange(1, max(2, most))
        return [
            (1, SOM, payer, ((self.pick(self.alive(BANK), BANKER), amount, b"part"),), False, False)
            for amount in (first, max(1, most - first + self.of(0, 1)))
        ]

    def regret(self) -> list[Operation]:
        """Begin a recovery that the owner cancels, or that the bank would finish too early."""
        begun = self.recover()
        number = begun[3] if begun[3] in self.accounts else BANKER
        return [begun, self.of((4, 6, number), (4, 3, number, *self.keys(number)), (4, 5, begun[2], begun[3]))]

    # --- transactions ---

    def transaction(self) -> tuple[bytes, int]:
        """Return bytes, and the code by which they are refused for their shape, or 0."""
        if self.sent and self.odds(0.02):
            return self.random.choice(self.sent[-40:]), 0
        self.approved = False
        self.salt += 1
        operations = [self.operation() for _ in range(self.of(1, 1, 1, 1, 1, 1, 1, 2, 2, 4))]
        if self.odds(0.12):
            operations = self.script()
        if sum(len(each[3]) for each in operations if each[0] <= 2) > LEGS_MAX:
            del operations[1:]
        code = 0
        if self.odds(0.02):
            place = self.random.randrange(len(operations))
            operations[place], code = faults.draw(self.random, operations[place])
        accounts = list(dict.fromkeys(actor for operation in operations for actor in actors(operation)))
        if self.approved:
            accounts = list(dict.fromkeys((*accounts, CENTRAL)))
        raw = self.sign(accounts[:16], [each for each in operations if set(actors(each)) <= set(accounts[:16])])
        if not code:
            self.sent.append(raw)
            self.sent = self.sent[-400:]
        return raw, code

    def sign(self, accounts: list[int], operations: list[Operation]) -> bytes:
        network = NETWORK if self.odds(0.99) else 1
        if self.odds(0.005) and NOBODY not in accounts:
            accounts = [*accounts[:15], NOBODY]
        body = encode((1, network, self.expiry(accounts), self.salt, tuple(accounts), tuple(operations)))
        signatures = sorted(pair for index, number in enumerate(accounts) for pair in self.signatures(index, number))
        signatures = signatures[:32] or [(0, bytes(32))]
        return encode((body, tuple((index, key, bytes(64)) for index, key in signatures)))

    def signatures(self, index: int, number: int) -> list[tuple[int, bytes]]:
        account = self.accounts.get(number)
        if account is None:
            return [(index, bytes(32))]
        keys = list(account.keys)
        self.random.shuffle(keys)
        needed = keys if self.odds(0.1) else keys[: account.threshold]
        found = [(index, key) for key, _ in needed]
        if self.odds(0.004):
            return [*found, (index, h(b"foreign"))]
        return found if self.odds(0.99) else found[1:]

    def expiry(self, accounts: list[int]) -> int:
        state = self.state
        windows = [state.window(account) for account in map(self.accounts.get, accounts) if account]
        window = min(windows, default=MINUTE)
        if self.odds(0.96):
            return int(state.time + self.random.randint(1, window))
        return int(state.time + self.of(0, -1, 1, window, window, window + 1))
