"""Mutants of the ledger: who may pay what, once, and what must add up."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

PAY: Final = "node/ledger/pay.py"
EXECUTE: Final = "node/ledger/execute.py"
STATE: Final = "node/ledger/state.py"
READS: Final = "node/storage/reads.py"
RECENT: Final = "node/ledger/recent.py"
ACCOUNT: Final = "node/ledger/account.py"
ACCOUNT_OPS: Final = "node/ledger/account_ops.py"
ASSETS: Final = "node/ledger/assets.py"
INVARIANTS: Final = "node/ledger/invariants.py"
TRANSACTION: Final = "node/ledger/transaction.py"
TREE: Final = "node/ledger/tree.py"
STEP: Final = "node/ledger/step.py"
PARAM: Final = "node/ledger/param.py"
TRANSFER: Final = "node/ledger/transfer.py"

IN_PAY: Final = suite("ledger_pay", "ledger_transaction", "ledger_invariants", "ledger_execute", "ledger_model")
IN_ACCOUNTS: Final = suite("ledger_accounts", "ledger_transaction", "ledger_execute")
IN_PARAM: Final = suite("ledger_param", "ledger_model")
IN_EXECUTE: Final = suite("ledger_execute", "ledger_pay")
IN_SIZE: Final = suite("ledger_size", "ledger_commitment", "ledger_execute")
IN_INVARIANTS: Final = suite("ledger_invariants", "ledger_execute", "ledger_commitment", "ledger_pay")

MONEY: Final = (
    one(
        *("no balance check", "pay: available money only", TRANSFER),
        *("[(balance - held, Code.INSUFFICIENT)]", "[(2**62, Code.INSUFFICIENT)]"),
        IN_PAY,
    ),
    one(
        *("held money may be paid", "pay: available money only", TRANSFER),
        *("[(balance - held, Code.INSUFFICIENT)]", "[(balance, Code.INSUFFICIENT)]"),
        IN_PAY,
    ),
    one(
        *("one tyiyn more than there is", "pay: available money only", TRANSFER),
        *("[(balance - held, Code.INSUFFICIENT)]", "[(balance - held + 1, Code.INSUFFICIENT)]"),
        IN_PAY,
    ),
    one(
        *("one tyiyn less than there is", "pay: available money only", PAY),
        *("if total > run.headroom:", "if total >= run.headroom:"),
        IN_PAY,
    ),
    one(
        *("legs are checked one by one, not in sum", "pay: available money only", PAY),
        *("total = run.total + amount", "total = amount"),
        IN_PAY,
    ),
    one(*("the payer is not debited", "invariant 1", PAY), "balance -= run.total", "pass", IN_PAY),
    one(
        *("a payee gets one tyiyn too much", "invariant 1", PAY),
        *("balance += amount", "balance += amount + 1"),
        IN_PAY,
    ),
    one(
        *("who pays itself makes money", "pay: another account", PAY),
        *("if payee is run.payer:", "if False:"),
        IN_PAY,
    ),
    one(
        *("an amount of nothing", "pay: 1 to 2**63 - 1", PAY),
        *("if not 1 <= amount <= AMOUNT_MAX:", "if not 0 <= amount <= AMOUNT_MAX:"),
        IN_PAY,
    ),
    one(
        *("an amount above the bound", "pay: 1 to 2**63 - 1", PAY),
        *("if not 1 <= amount <= AMOUNT_MAX:", "if not 1 <= amount <= AMOUNT_MAX + 1:"),
        IN_PAY,
    ),
    one(
        *("a boolean is an amount", "pay: exact types", PAY),
        *("or type(amount) is not int or", "or not isinstance(amount, int) or"),
        IN_PAY,
    ),
    one(
        *("supply above its maximum", "pay: issue within the maximum", TRANSFER),
        *("[(asset.max_supply - supply, Code.MAX_SUPPLY)]", "[(2**62, Code.MAX_SUPPLY)]"),
        IN_PAY,
    ),
    one(
        *("unbacked money issued", "pay: backed", TRANSFER),
        *("state.assets[reserve_asset]) - supply, Code.UNBACKED)", "state.assets[reserve_asset]), Code.UNBACKED)"),
        IN_PAY,
    ),
    one(
        *("a reserve is paid away", "pay: backed", TRANSFER),
        *("(balance - _floor(step.state, backed, number), Code.RESERVE_FLOOR)", "(balance, Code.RESERVE_FLOOR)"),
        IN_PAY,
    ),
    one(
        *("a reserve rounded down", "assets: rounding", ASSETS),
        *("return -(-supply * reserve_unit // unit)", "return supply * reserve_unit // unit"),
        IN_PAY,
    ),
    one(
        *("supply rounded up", "assets: rounding", ASSETS),
        *("return reserve * unit // reserve_unit", "return -(-reserve * unit // reserve_unit)"),
        IN_PAY,
    ),
)

LIMITS: Final = (
    one(
        *("limit of a transaction off by one", "tiers", TRANSFER),
        *("(tier.out_per_transaction - step.spent", "(tier.out_per_transaction + 1 - step.spent"),
        IN_PAY,
    ),
    one(
        *("limit of a transaction counts each pay alone", "tiers", TRANSFER),
        *("tier.out_per_transaction - step.spent.get(payer.number, 0)", "tier.out_per_transaction"),
        IN_PAY,
    ),
    one(
        *("limit of a day off by one", "tiers", TRANSFER),
        *("(tier.out_per_day - out_today, Code.LIMIT_DAY)", "(tier.out_per_day - out_today + 1, Code.LIMIT_DAY)"),
        IN_PAY,
    ),
    one(
        *("yesterday counts today", "tiers", TRANSFER),
        *("out_today = payer.out_today if payer.day == step.day else 0", "out_today = payer.out_today"),
        IN_PAY,
    ),
    one(
        *("each pay begins a new day", "tiers", TRANSFER),
        *("(payer.out_today if payer.day == step.day else 0)", "0"),
        IN_PAY,
    ),
    one(
        *("limit of a balance off by one", "tiers", PAY),
        *("payee.balance(SOM) + amount > balance_max", "payee.balance(SOM) + amount > 1 + balance_max"),
        IN_PAY,
    ),
    one(
        *("a blocked payer pays", "flags", TRANSFER),
        *("CANNOT_PAY: Final = OUT_BLOCKED | CLOSED", "CANNOT_PAY: Final = CLOSED"),
        IN_PAY,
    ),
    one(
        *("a closed account receives", "flags", TRANSFER),
        *("CANNOT_RECEIVE: Final = IN_BLOCKED | CLOSED", "CANNOT_RECEIVE: Final = IN_BLOCKED"),
        IN_PAY,
    ),
    one(
        *("many legs in any order", "pay: legs ascend", PAY),
        *("if ascending and to <= before:", "if ascending and to < before:"),
        IN_PAY,
    ),
)

ONCE: Final = (
    one(
        *("a transaction is executed twice", "invariant 6", EXECUTE),
        *("if self._seen.known(transaction.id, transaction.expires_ms):", "if False:"),
        IN_EXECUTE,
    ),
    one(
        *("a transaction twice in one block", "invariant 6", RECENT),
        *("if transaction_id in self._fresh:\n            return True", "pass"),
        IN_EXECUTE,
    ),
    one(
        *("every block looks for dead rows", "what is gone is not looked for", RECENT),
        *("        if taken < room:\n            self._left = 0\n        elif", "        if"),
        suite("ledger_finishing"),
    ),
    one(
        *("minutes that die later keep their rows", "dead rows are removed", RECENT),
        *("self._left += count", "pass"),
        suite("ledger_finishing"),
    ),
    one(
        *("dead rows count as removed before they are", "dead rows are removed", RECENT),
        *("self._left -= taken", "self._left = 0"),
        suite("ledger_finishing"),
    ),
    one(
        *("ids of the last block are forgotten", "invariant 6", RECENT),
        *("self._ids[minute].add(transaction_id)", "pass"),
        IN_EXECUTE,
    ),
    one(
        *("once is not remembered", "pay: once", PAY),
        *("step.once.remember(pay.payer, ref, until_ms, step.transaction_id)", "pass"),
        IN_EXECUTE,
    ),
    one(
        *("once is not looked up", "pay: once", PAY),
        *("if run.pay.once and (original", "if False and (original"),
        IN_EXECUTE,
    ),
    one(
        *("a failed pay leaves its ref behind", "all or nothing", EXECUTE),
        *(
            "state.undo()\n            once.undo(mark)\n            return Receipt",
            "state.undo()\n            return Receipt",
        ),
        IN_EXECUTE,
    ),
    one(
        *("a failed transaction is not undone", "all or nothing", EXECUTE),
        *(
            "state.undo()\n            once.undo(mark)\n            return Receipt",
            "once.undo(mark)\n            return Receipt",
        ),
        IN_EXECUTE,
    ),
    one(
        *("undo leaves statement entries", "all or nothing", STATE),
        *("del self.entries[self._mark :]", "pass"),
        IN_EXECUTE,
    ),
    one(
        *("undo leaves holdings", "all or nothing", STATE),
        *(
            "                account.head,\n                account.holdings,\n            ) = fields",
            "                account.head,\n                _,\n            ) = fields",
        ),
        IN_EXECUTE,
    ),
    one(
        *("undo leaves new accounts", "all or nothing", STATE),
        *("if saved is None:\n                del self._accounts[number]", "if saved is None:"),
        IN_EXECUTE,
    ),
    one(
        *("simulate changes the state", "simulate changes nothing", EXECUTE),
        *("if not keep:", "if False:"),
        IN_EXECUTE,
    ),
    one(
        *("an expiry a moment late", "envelope", EXECUTE),
        *("if transaction.expires_ms <= time_ms:", "if transaction.expires_ms < time_ms:"),
        IN_EXECUTE,
    ),
    one(
        *("an expiry may be far", "envelope", EXECUTE),
        *("if transaction.expires_ms > time_ms + parameters.window_ms(account.profile.kind):", "if False:"),
        IN_EXECUTE,
    ),
    one(
        *("a transaction of another network", "envelope", EXECUTE),
        *("if transaction.network != self._genesis.network:", "if False:"),
        IN_EXECUTE,
    ),
    one(
        *("readers see the open block", "readers see finished blocks", STATE),
        *("if number in self._before:", "if False:"),
        IN_EXECUTE,
    ),
)

AUTHORITY: Final = (
    one(
        *("signatures need not reach the threshold", "envelope", EXECUTE),
        *("return max(missing) <= 0", "return True"),
        IN_ACCOUNTS,
    ),
    one(
        *("one account's signatures speak for all", "envelope", EXECUTE),
        *("return max(missing) <= 0", "return min(missing) <= 0"),
        IN_ACCOUNTS,
    ),
    one(
        *("a foreign key is no matter", "envelope", EXECUTE),
        *("else:\n            return False\n    return max", "else:\n            pass\n    return max"),
        IN_ACCOUNTS,
    ),
    one(
        *("who acts need not be listed", "envelope", TRANSACTION),
        *("if actor not in accounts:", "if False:"),
        IN_ACCOUNTS,
    ),
    one(
        *("one signature counts twice", "envelope", TRANSACTION),
        *("if signer <= before:", "if signer < before:"),
        IN_ACCOUNTS,
    ),
    one(
        *("a bank opens accounts of another", "accounts: their bank", ACCOUNT_OPS),
        "if by.kind != Kind.CENTRAL_BANK and participant_of(operation.number) != participant_of(by.number):",
        "if False:",
        IN_ACCOUNTS,
    ),
    one(
        *("anyone opens accounts", "accounts: their bank", ACCOUNT_OPS),
        *("if not state.parameters.may_open(by.kind, operation.kind):", "if False:"),
        IN_ACCOUNTS,
    ),
    one(
        *("an account is opened over another", "accounts: their bank", ACCOUNT_OPS),
        *("if state.account(operation.number) is not None:", "if False:"),
        IN_ACCOUNTS,
    ),
    one(
        *("any bank sets any account", "accounts: their bank", ACCOUNT_OPS),
        *("if operation.by != account.profile.bank and by.kind != Kind.CENTRAL_BANK:", "if False:"),
        IN_ACCOUNTS,
    ),
    one(
        *("an account with money is closed", "accounts: close", ACCOUNT_OPS),
        *("if account.holdings or _is_named", "if _is_named"),
        IN_ACCOUNTS,
    ),
    one(
        *("keys may fall short of their threshold", "accounts: keys", ACCOUNT),
        *("and 1 <= threshold <= sum(weights)", "and 1 <= threshold"),
        IN_ACCOUNTS,
    ),
    one(
        *("check digits are not checked", "accounts: numbers", ACCOUNT),
        *("and number // 100 % 97 == number % 100", ""),
        IN_ACCOUNTS,
    ),
)

SUMS: Final = (
    one(
        *("deltas need not sum to zero", "invariant 1", INVARIANTS),
        *("all(delta == 0 for delta in deltas.values())", "True"),
        IN_INVARIANTS,
    ),
    one(
        *("balances below zero", "invariant 2", INVARIANTS),
        *("_require(0 <= held <= balance,", "_require(True,"),
        IN_INVARIANTS,
    ),
    one(
        *("an issuer's balance above zero", "invariant 2", INVARIANTS),
        *("_require(balance <= 0 and held == 0,", "_require(True,"),
        IN_INVARIANTS,
    ),
    one(
        *("held money from nowhere", "invariant 3", INVARIANTS),
        *("not any(promised.values())", "True"),
        IN_INVARIANTS,
    ),
    one(
        *("supply may rise above its maximum", "invariant 4", INVARIANTS),
        *("_require(supply <= asset.max_supply,", "_require(True,"),
        IN_INVARIANTS,
    ),
    one(
        *("a reserve may be below what it backs", "invariant 5", INVARIANTS),
        *("_require(kept >= needed,", "_require(True,"),
        IN_INVARIANTS,
    ),
    one(
        *("an id may be executed twice", "invariant 6", RECENT),
        *('raise InvariantViolation("an id is executed twice")', "pass"),
        IN_INVARIANTS,
    ),
    one(
        *("entries need not match lengths", "statements", INVARIANTS),
        *("_require(entries == len(state.entries),", "_require(True,"),
        IN_INVARIANTS,
    ),
    one(
        *("the audit does not add up", "invariant 1", INVARIANTS),
        *("all(total == 0 for total in totals.values())", "True"),
        IN_INVARIANTS,
    ),
    one(
        *("an entry does not enter the head", "statements", STEP),
        *("account.head = next_head(account.head, entry)", "pass"),
        IN_INVARIANTS,
    ),
    one(
        *("a state of another root opens", "the state has its root", EXECUTE),
        *("if self._tree.root != self._meta.state_tree_root:", "if False:"),
        IN_INVARIANTS,
    ),
    one(
        *("a bucket of the tree in the order of arrival", "commitment: one tree", TREE),
        *("if found >= head:", "if found == head:"),
        IN_INVARIANTS,
    ),
    one(
        *("neighbours of two buckets are put into one", "commitment: one tree", TREE),
        *("NEIGHBOURS: Final = 100 * ACCOUNTS_PER_BUCKET", "NEIGHBOURS: Final = 200 * ACCOUNTS_PER_BUCKET"),
        IN_SIZE,
    ),
    one(
        *("rows that come together do not replace those that are there", "commitment: one tree", TREE),
        *("{**_split(bucket), **entries}", "{**entries, **_split(bucket)}"),
        IN_SIZE,
    ),
    one(
        *("rows that come together lie in the order of arrival", "commitment: one tree", TREE),
        *("for head in sorted(entries)", "for head in entries"),
        IN_SIZE,
    ),
    one(
        *("a bulk pay reads anew whom the block has paid before", "memory changes no result", STATE),
        *("if number not in accounts]", "if number]"),
        IN_SIZE,
    ),
    one(
        *("a bulk pay keeps whom a trial has read", "memory is bounded", STATE),
        *(
            "accounts[number] = own_account(number, record)\n                self._loaded.append(number)",
            "accounts[number] = own_account(number, record)",
        ),
        IN_SIZE,
    ),
    one(
        *(
            "a bulk pay is given the next row for one that is absent",
            "memory changes no result",
            "node/storage/reads.py",
        ),
        *("if row == key else None", "if row >= key else None"),
        suite("storage_store"),
    ),
    one(
        *("assets in the order of arrival", "unsorted iteration", EXECUTE),
        *(
            "return dict(sorted(self._state.finished_assets.items()))",
            "return dict(reversed(self._state.finished_assets.items()))",
        ),
        IN_INVARIANTS,
    ),
    one(
        *("the root does not chain", "commitment: the chain of roots", EXECUTE),
        *(
            "root = chain_root(self.root, block.height, tree_root, outcomes)",
            "root = chain_root(EMPTY, block.height, tree_root, outcomes)",
        ),
        IN_INVARIANTS,
    ),
)

CHANGES: Final = (
    one(
        *("a change based on another roster is taken", "param: no change is lost", PARAM),
        *("if operation.based_on != record_hash(_record(state, operation.key)):", "if False:"),
        IN_PARAM,
    ),
    one(
        *("what a list is based on leaves out who waits", "param: no change is lost", PARAM),
        "return encode_roster(state.roster) if key",
        "return encode_roster(tuple([seat._replace(next=None) for seat in state.roster])) if key",
        IN_PARAM,
    ),
    one(
        *("a list may be based on the roster of the block before", "param: no change is lost", PARAM),
        *("return encode_roster(state.roster) if key", "return encode_roster(state.finished_roster) if key"),
        IN_PARAM,
    ),
    one(
        *("a change may be based on the parameters of the block before", "param: no change is lost", PARAM),
        *("encode(getattr(state.next_parameters, key))", "encode(getattr(state.parameters, key))"),
        IN_PARAM,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*MONEY, *LIMITS, *ONCE, *AUTHORITY, *SUMS, *CHANGES)
