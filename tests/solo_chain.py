"""A real chain of one validator, in this process: real store, ledger, batches, certificates and RPC server.

What is submitted is executed at once, in a block of its own, followed by an empty block that certifies it. Keys, times
and salts are fixed, so that ids are the same in every run; the clock is a number that tests move.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from consensus.committee import Committee, Validator
from consensus.crypto import PublicKey, SecretKey, Signature
from consensus.events import Evidence
from consensus.evidence import make_evidence
from consensus.messages import (
    Block,
    Certificate,
    Hash,
    Header,
    Kind,
    Vote,
    encode_certificate,
    encode_header,
    make_block,
    payload_hash,
    vote_statement,
)
from node.batches import Batch, encode_payload, make_batch
from node.config import Config
from node.epochs import Epochs
from node.evidence import encode_proof, evidence_id
from node.home import create_data
from node.ledger.account import Kind as AccountKind
from node.ledger.account import Profile, account_number, format_account, kinds_mask
from node.ledger.account_ops import OpenAccount
from node.ledger.asset import SetAssetStatus
from node.ledger.assets import Asset, AssetStatus, Attested, OnLedger
from node.ledger.attest import Attest
from node.ledger.errors import Code, Refused
from node.ledger.execute import Ledger
from node.ledger.genesis import Genesis, GenesisAccount
from node.ledger.genesis import Validator as GenesisValidator
from node.ledger.hold import MakeHold
from node.ledger.holds import Condition
from node.ledger.operations import Operation
from node.ledger.order import Arrest
from node.ledger.parameters import DAY_MS, DEFAULT, MINUTE_MS, Attesters
from node.ledger.pay import Pay
from node.ledger.receipt import Receipt
from node.ledger.recovery import RecoverAccount
from node.ledger.transaction import Transaction, decode_transaction, make_transaction, signatures_valid
from node.ledger.versions import NEWEST
from node.log import Level
from node.outcomes import Outcomes
from node.references import references
from node.rpc.errors import OVERLOADED
from node.rpc.ports import (
    Admin,
    AuditEntry,
    CommitteeInfo,
    Grant,
    Link,
    NetworkInfo,
    NodeStatus,
    Outcome,
    PeerInfo,
    Ports,
    Readiness,
    Submitted,
    ValidatorInfo,
)
from node.rpc.server import RpcServer, ServerLimits
from node.storage.records import BlockRecord, Placed, Roots
from node.storage.sockets import listen_locally
from node.storage.store import Store

START_MS: Final = 1_790_000_000_000
BLOCK_MS: Final = 250
NETWORK: Final = 7
LIFETIME_MS: Final = 5 * 60_000

ISSUER: Final = account_number(1, 1)
TREASURY: Final = account_number(2, 1)
CENTRAL: Final = account_number(1, 2)
REGISTRAR: Final = account_number(1, 3)
AUDITOR: Final = account_number(1, 4)
ENFORCER: Final = account_number(1, 5)
KGST_ISSUER: Final = account_number(1, 6)
RESERVE: Final = account_number(1, 7)
GOLD_ISSUER: Final = account_number(1, 8)
SPARE_ISSUER: Final = account_number(1, 9)  # of no asset
BANK: Final = account_number(11, 1)
OTHER_BANK: Final = account_number(12, 1)
SHOP: Final = account_number(11, 102)
DEVICE: Final = account_number(11, 103)  # Alice's purse
ALICE: Final = account_number(11, 100)
BOB: Final = account_number(11, 101)
NOBODY: Final = account_number(11, 999)


NUMBERS: Final = {
    "issuer": ISSUER,
    "treasury": TREASURY,
    "bank": BANK,
    "alice": ALICE,
    "bob": BOB,
    "central": CENTRAL,
    "registrar": REGISTRAR,
    "auditor": AUDITOR,
    "enforcer": ENFORCER,
    "kgst-issuer": KGST_ISSUER,
    "reserve": RESERVE,
    "gold-issuer": GOLD_ISSUER,
    "spare-issuer": SPARE_ISSUER,
    "other-bank": OTHER_BANK,
    "shop": SHOP,
    "device": DEVICE,
}


def key(name: str) -> SecretKey:
    """Return the key of a person of this chain."""
    return SecretKey(sha256(b"solo " + name.encode()).digest())


def solo_genesis() -> Genesis:
    """Return the genesis: one validator, the central bank's issuer, the Treasury, a bank with two customers."""
    money = kinds_mask((AccountKind.BANK, AccountKind.TREASURY))
    registered, anybody = int(AssetStatus.REGISTERED), kinds_mask(AccountKind)
    assets = (
        (1, Asset("SOM", 2, ISSUER, registered, 10**15, None, money, money, b"")),
        (2, Asset("KGST", 2, KGST_ISSUER, registered, 10**15, OnLedger(RESERVE, 1), anybody, anybody, b"")),
        (3, Asset("USDKG", 6, GOLD_ISSUER, registered, 10**15, Attested("gold", 10_000, DAY_MS), money, money, b"")),
    )
    people = [
        ("issuer", ISSUER, AccountKind.ISSUER, 0, 0),
        ("treasury", TREASURY, AccountKind.TREASURY, 0, 0),
        ("bank", BANK, AccountKind.BANK, 0, 0),
        ("alice", ALICE, AccountKind.PERSON, 2, BANK),
        ("bob", BOB, AccountKind.PERSON, 2, BANK),
        ("central", CENTRAL, AccountKind.CENTRAL_BANK, 0, 0),
        ("registrar", REGISTRAR, AccountKind.REGISTRAR, 0, 0),
        ("auditor", AUDITOR, AccountKind.AUDITOR, 0, 0),
        ("enforcer", ENFORCER, AccountKind.ENFORCER, 0, 0),
        ("kgst-issuer", KGST_ISSUER, AccountKind.ISSUER, 0, 0),
        ("reserve", RESERVE, AccountKind.RESERVE, 0, 0),
        ("gold-issuer", GOLD_ISSUER, AccountKind.ISSUER, 0, 0),
        ("spare-issuer", SPARE_ISSUER, AccountKind.ISSUER, 0, 0),
        ("other-bank", OTHER_BANK, AccountKind.BANK, 0, 0),
        ("shop", SHOP, AccountKind.MERCHANT, 2, BANK),
        ("device", DEVICE, AccountKind.DEVICE, 1, BANK),
    ]
    return Genesis(
        network=NETWORK,
        name="solo",
        kind="devnet",
        time_ms=START_MS,
        tree_depth=2,
        epoch_length=10**6,
        validators=(GenesisValidator("solo", key("consensus").public, key("node").public, 1),),
        parameters=DEFAULT._replace(
            attesters=(Attesters("delivered", (AUDITOR,)), Attesters("gold", (AUDITOR,))), recovery_delay_ms=MINUTE_MS
        ),
        assets=assets,
        accounts=tuple(_account(*person) for person in people),
    )


def _account(name: str, number: int, kind: AccountKind, tier: int, bank: int) -> GenesisAccount:
    category = 5_411 if kind == AccountKind.MERCHANT else 0
    profile = Profile(int(kind), tier, 0, bank, category, ((key(name).public, 1),), 1, sha256(name.encode()).digest())
    return GenesisAccount(name, number, profile)


class SoloChain:
    """The chain. ``held`` transactions wait until ``release``; otherwise a submission is executed at once."""

    def __init__(self, path: Path, genesis: Genesis | None = None) -> None:
        self.genesis = genesis or solo_genesis()
        create_data(path, Config("solo"), self.genesis)
        self.store = Store.open(path / "data" / "store", self.genesis.hash)
        self.evidence = self._accuse()
        self.ledger = Ledger(self.store, self.genesis)
        self.committee = Committee(0, [Validator(key("consensus").public, 1)])
        self.now_ms = START_MS
        self.hold = False
        self.full = False
        self.readiness: Readiness | tuple[str, ...] = Readiness("solo", key("node").public, 16, bytes(32), bytes(64))
        self.ready = True
        self.open_access = True
        self.tokens: dict[str, Grant] = {}
        self.recorded: list[tuple[str, str, dict[str, str], bool]] = []  # what the audit log would have
        self.log_level: Level = "info"
        self.stopped = False
        self.draining = False
        self.certifying = True  # whether an empty block follows each block with transactions
        self.waiting: dict[bytes, Transaction] = {}
        self.waited = asyncio.Event()  # set when a caller waits for a final result
        self.reaching = asyncio.Event()  # set when a caller waits for a height
        self.left = asyncio.Event()  # set when one no longer does
        self.came = asyncio.Event()  # set when something is submitted
        self.submissions = 0  # transactions that came in at the door
        self.outcomes = Outcomes(self._executed, 0)
        self._salt = 0
        self._sequence = 0

    def _accuse(self) -> Evidence:
        """Store evidence that the one validator voted twice."""
        votes = []
        for fill in (b"1", b"2"):
            statement = vote_statement(self.genesis.hash, Kind.NOTARIZE, 0, 7, fill * 32)
            votes.append(Vote(Kind.NOTARIZE, 0, 7, Hash(fill * 32), 0, Signature(key("consensus").sign(statement))))
        evidence = make_evidence(*votes)
        encoded = encode_proof(evidence)
        self.store.put_evidence(evidence_id(encoded), encoded)
        return evidence

    def close(self) -> None:
        self.store.close()

    # --- transactions ---

    def sign(
        self, accounts: Sequence[int], operations: Sequence[Operation], *names: str, expires_ms: int | None = None
    ) -> Transaction:
        """Return a transaction, signed by ``names`` for the accounts in the same order."""
        self._salt += 1
        signers = [(index, key(name)) for index, name in enumerate(names)]
        expires = self.now_ms + LIFETIME_MS if expires_ms is None else expires_ms
        return make_transaction(NETWORK, self.genesis.hash, expires, self._salt, accounts, operations, signers)

    def pay(self, payer: str, to: int, amount: int, ref: bytes = b"", once: bool = False) -> Transaction:
        """Return a signed pay of one leg."""
        number = NUMBERS[payer]
        return self.sign([number], [Pay(1, number, ((to, amount, ref),), once=once)], payer)

    def open_wallet(self, serial: int) -> Transaction:
        """Return the bank's opening of a person's account."""
        number = account_number(11, serial)
        commitment = sha256(b"wallet %d" % serial).digest()
        operation = OpenAccount(BANK, number, int(AccountKind.PERSON), 1, 0, ((key("alice").public, 1),), 1, commitment)
        return self.sign([BANK], [operation], "bank")

    async def fund(self) -> None:
        """Issue money: 1,000,000 som to the Treasury and to the bank, 1,000 som to Alice."""
        await self.execute([self.pay("issuer", TREASURY, 10**8), self.pay("issuer", BANK, 10**8)])
        await self.execute([self.pay("bank", ALICE, 10**5, b"SALARY-1")])

    async def act(self) -> None:
        """Use the rest of the ledger: KGST with its reserve, gold, a hold of Alice, an arrest, a lost key, a status."""
        basis = sha256(b"basis").digest()
        later_ms = self.now_ms + DAY_MS
        terms = Condition(b"", (5_411,), 0, "", "", True)
        say = Attest(AUDITOR, "gold", "USDKG", 10**9, self.now_ms, 0, basis, b"")
        receipts = await self.add_block(
            [
                self.pay("bank", RESERVE, 3_000_00),
                self.sign([KGST_ISSUER], [Pay(2, KGST_ISSUER, ((ALICE, 2_000_00, b""),))], "kgst-issuer"),
                self.sign([AUDITOR], [say], "auditor"),
                self.sign([GOLD_ISSUER], [Pay(3, GOLD_ISSUER, ((BANK, 5 * 10**8, b""),))], "gold-issuer"),
                self.sign([ALICE], [MakeHold(1, ALICE, ((DEVICE, 200_00, b"PURSE"),), 0, later_ms, terms)], "alice"),
                self.sign(
                    [ENFORCER, CENTRAL], [Arrest(ENFORCER, "17/26", BANK, basis, 1, 500_00)], "enforcer", "central"
                ),
                self.sign([BANK], [RecoverAccount(BANK, BOB, ((key("bob's new").public, 1),), 1)], "bank"),
                self.sign([REGISTRAR], [SetAssetStatus(REGISTRAR, 3, int(AssetStatus.SUSPENDED), basis)], "registrar"),
            ]
        )
        assert all(receipt.applied for receipt in receipts), receipts
        await self.add_block(())

    # --- blocks ---

    async def execute(self, transactions: Sequence[Transaction]) -> None:
        """Execute a block of these, and an empty one that certifies it."""
        await self.add_block(transactions)
        if self.certifying:
            await self.add_block(())

    async def add_block(self, transactions: Sequence[Transaction], certified: bool = True) -> tuple[Receipt, ...]:
        """Execute one block, store it, and tell who waits; return the receipts."""
        self.now_ms += BLOCK_MS
        batches = [self._batch(transactions)] if transactions else []
        block = self._block(batches)
        executed = self.ledger.execute(
            block.header.height, block.header.timestamp_ms, block.header.version, transactions
        )
        placed = [
            Placed(receipt.transaction_id, position, batches[0].digest, position, receipt.encoded)
            for position, receipt in enumerate(executed.receipts)
            if receipt.consumed
        ]
        paid = [
            row
            for transaction, receipt in zip(transactions, executed.receipts, strict=True)
            for row in references(transaction, receipt)
        ]
        self.store.commit(
            BlockRecord(
                height=block.header.height,
                block_hash=block.hash,
                parent_hash=block.header.parent_hash,
                block_bytes=block.encoded,
                timestamp_ms=block.header.timestamp_ms,
                certificate=encode_certificate(self.certificate(block)) if certified else b"",
                roots=Roots(
                    executed.state_tree_root, executed.outcomes_root, executed.root, encode_header(block.header)
                ),
                transactions=placed,
                outcome_leaves=b"".join(executed.outcomes),
                batches={batch.digest: batch.encoded for batch in batches},
                changes=executed.changes,
                entries=executed.entries,
                references=paid,
            )
        )
        for transaction in transactions:
            self.waiting.pop(transaction.id, None)
        self.outcomes.ended([transaction.id for transaction in transactions], Outcome.EXECUTED)
        gone = [tx.id for tx in self.waiting.values() if tx.expires_ms <= block.header.timestamp_ms]
        for tx_id in gone:
            del self.waiting[tx_id]
        self.outcomes.ended(gone, Outcome.EXPIRED)
        self.outcomes.stored(block.header.height)
        return executed.receipts

    async def release(self) -> None:
        """Execute what was held back."""
        self.hold = False
        await self.execute(list(self.waiting.values()))

    def certificate(self, block: Block) -> Certificate:
        """Return the validator's word that the block is final."""
        header = block.header
        statement = vote_statement(self.genesis.hash, Kind.FINALIZE, header.epoch, header.view, block.hash)
        signature = Signature(key("consensus").sign(statement))
        return Certificate(Kind.FINALIZE, header.epoch, header.view, block.hash, ((0, signature),))

    def _batch(self, transactions: Sequence[Transaction]) -> Batch:
        self._sequence += 1
        raws = [transaction.raw for transaction in transactions]
        return make_batch(self.genesis.hash, key("consensus"), self._sequence, self.store.tip.height, raws)

    def _block(self, batches: Sequence[Batch]) -> Block:
        tip = self.store.tip
        payload = encode_payload([batch.digest for batch in batches])
        return make_block(
            Header(
                genesis_hash=Hash(self.genesis.hash),
                epoch=0,
                view=tip.height + 1,
                height=tip.height + 1,
                parent_view=tip.height,
                parent_hash=Hash(tip.block_hash),
                proposer=0,
                timestamp_ms=self.now_ms,
                validators_hash=Hash(self.committee.hash),
                next_validators_hash=Hash(bytes(32)),
                executed_height=tip.height,
                state_root=Hash(tip.root),
                payload_hash=payload_hash(payload),
                version=self.ledger.version,
            ),
            payload,
        )

    # --- what the RPC asks ---

    async def tell_readiness(self) -> Readiness | tuple[str, ...]:
        return self.readiness

    def ports(self) -> Ports:
        member = ValidatorInfo("solo", key("consensus").public, key("node").public, 1, 0)
        return Ports(
            network=NetworkInfo("solo", "devnet", self.genesis.network, self.genesis.hash, self.genesis.epoch_length),
            committee=lambda: CommitteeInfo(self.committee, (member,)),
            epochs=partial(Epochs, self.genesis),
            store=self.store,
            ledger=self.ledger,
            submit=self.submit,
            outcome=self.outcome,
            reached=self.reached,
            pending=lambda tx_id: tx_id in self.waiting,
            status=self.status,
            peers=self.peers,
            readiness=self.tell_readiness,
            now_ms=lambda: self.now_ms,
            open_access=self.open_access,
            grant_of=self.tokens.get,
            record=self.record,
            admin=Admin(
                started_ms=START_MS,
                log_level=lambda: self.log_level,
                set_log_level=partial(setattr, self, "log_level"),
                links=self.links,
                disconnect=lambda name: name == "observer",
                drain=partial(setattr, self, "draining"),
                stop=partial(setattr, self, "stopped", True),
                audit_log=self.audited,
                numbers=lambda: {"height": self.store.tip.height},
                missing=tuple,
            ),
        )

    async def record(self, caller: str, method: str, params: dict[str, str], allowed: bool) -> None:
        """Remember what a node writes down."""
        self.recorded.append((caller, method, params, allowed))

    def audited(self, after: int, limit: int) -> list[AuditEntry]:
        """Return it as a node would, without hashes."""
        entries = [
            AuditEntry(number, self.now_ms, *told, "00" * 32, "00" * 32, "00" * 64)
            for number, told in enumerate(self.recorded, 1)
        ]
        return [entry for entry in entries if entry.number > after][:limit]

    def links(self) -> list[Link]:
        observer = PublicKey(key("observer").public)
        return [Link("observer", observer, "127.0.0.1:1", False, True, None, None, None, 0, False, 0, "refused")]

    async def submit(self, raws: Sequence[bytes]) -> list[Submitted]:
        """Take transactions as a node does, and execute what was taken in one block."""
        self.submissions += len(raws)
        self.came.set()
        answers: list[Submitted] = []
        fresh: dict[bytes, Transaction] = {}
        for raw in raws:
            answer = self._admitted(raw, fresh)
            answers.append(answer)
        self.waiting |= fresh
        if fresh and not self.hold:
            await self.execute(list(fresh.values()))
        return answers

    def _admitted(self, raw: bytes, fresh: dict[bytes, Transaction]) -> Submitted:
        if self.full:
            return Submitted(None, OVERLOADED.code, retry_after_ms=1_500)
        try:
            transaction = decode_transaction(raw, self.genesis.hash)
            if self._executed(transaction.id) or transaction.id in self.waiting or transaction.id in fresh:
                return Submitted(transaction.id, 0, duplicate=True)
            if not signatures_valid(transaction):
                raise Refused(Code.SIGNATURE)
            self.ledger.admit(transaction, self.now_ms)
        except Refused as refused:
            return Submitted(None, int(refused.code))
        fresh[transaction.id] = transaction
        return Submitted(transaction.id, 0)

    async def outcome(self, tx_id: bytes, seconds: float) -> Outcome:
        """Wait as a node does. What waits is registered before anything else runs."""
        self.waited.set()
        try:
            return await self.outcomes.outcome(tx_id, seconds)
        finally:
            self.left.set()

    async def reached(self, height: int, seconds: float) -> bool:
        """Wait as a node does."""
        self.reaching.set()
        return await self.outcomes.reached(height, seconds)

    def _executed(self, tx_id: bytes) -> bool:
        return self.store.transaction(tx_id) is not None

    def status(self) -> NodeStatus:
        height = self.store.tip.height
        stored = self.store.block(height)
        assert stored is not None
        return NodeStatus(
            name="solo",
            height=height,
            finalized_height=height,
            epoch=0,
            view=height + 1,
            leader="solo",
            syncing=False,
            last_block_ms=stored.timestamp_ms,
            peers_connected=0,
            mempool_transactions=len(self.waiting),
            ready=self.ready,
            reasons=() if self.ready else ("no block for 15 seconds",),
            notarized=("solo",),
            nullified=(),
            finalized=(),
            version=self.ledger.version,
            next_version=self.ledger.parameters.protocol_version,
            supported_max=NEWEST,
        )

    def peers(self) -> list[PeerInfo]:
        return [PeerInfo("observer", PublicKey(key("observer").public), False, None, None)]


@asynccontextmanager
async def solo_chain(
    path: Path, funded: bool = True, acting: bool = False, genesis: Genesis | None = None
) -> AsyncIterator[SoloChain]:
    """Give a chain with money in it; ``acting``: with everything else that the ledger has, too.

    With a ``genesis`` of your own, whose one validator is ``solo``, say ``funded=False``: its people are others.
    """
    chain = SoloChain(path, genesis)
    try:
        if funded:
            await chain.fund()
        if acting:
            await chain.act()
        yield chain
    finally:
        chain.close()


@asynccontextmanager
async def serving(
    chain: SoloChain, limits: ServerLimits | None = None, allowed_hosts: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Serve the chain on a free port; give the URL."""
    async with running(chain, limits, allowed_hosts) as server:
        yield f"http://127.0.0.1:{server.port}"


@asynccontextmanager
async def running(
    chain: SoloChain,
    limits: ServerLimits | None = None,
    allowed_hosts: Sequence[str] = (),
    socket_path: Path | None = None,
) -> AsyncIterator[RpcServer]:
    """Serve the chain on a free port, and at a Unix socket; give the server."""
    server = RpcServer(chain.ports(), lambda: b"som_up 1\n", limits=limits, allowed_hosts=allowed_hosts)
    local = None if socket_path is None else listen_locally(socket_path)
    await server.start("127.0.0.1", 0, local=local)
    try:
        yield server
    finally:
        await server.stop()


def digits(number: int) -> str:
    """Return an account number as the RPC writes it."""
    return format_account(number)
