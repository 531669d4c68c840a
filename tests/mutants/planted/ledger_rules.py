"""Mutants of the ledger's other operations: promises, attestations, the register, orders, recoveries, their rows."""

from typing import Final

from tests.mutants.mutant import Mutant, one, suite

HOLD: Final = "node/ledger/hold.py"
HOLDS: Final = "node/ledger/holds.py"
SETTLE: Final = "node/ledger/settle.py"
TRANSFER: Final = "node/ledger/transfer.py"
ADMISSION: Final = "node/ledger/admission.py"
EXECUTE: Final = "node/ledger/execute.py"
ASSET: Final = "node/ledger/asset.py"
ATTEST: Final = "node/ledger/attest.py"
ATTESTATIONS: Final = "node/ledger/attestations.py"
ORDER: Final = "node/ledger/order.py"
ORDERS: Final = "node/ledger/orders.py"
RECOVERY: Final = "node/ledger/recovery.py"
ACCOUNT_OPS: Final = "node/ledger/account_ops.py"
PARAM: Final = "node/ledger/param.py"
PARAMETERS: Final = "node/ledger/parameters.py"
RECORDS: Final = "node/ledger/records.py"
STATE: Final = "node/ledger/state.py"
INVARIANTS: Final = "node/ledger/invariants.py"

IN_HOLD: Final = suite("ledger_hold", "ledger_settle", "ledger_order")
IN_SETTLE: Final = suite("ledger_settle", "ledger_hold", "ledger_model")
IN_ATTEST: Final = suite("ledger_attest", "ledger_settle")
IN_ASSET: Final = suite("ledger_asset", "ledger_pay")
IN_ORDER: Final = suite("ledger_order", "ledger_model")
IN_RECOVERY: Final = suite("ledger_recovery", "ledger_order", "ledger_accounts")
IN_PARAM: Final = suite("ledger_param", "ledger_model")
AT_THE_DOOR: Final = suite("ledger_execute", "ledger_hold", "ledger_order", only="admission")
IN_RECORDS: Final = suite("ledger_records", "ledger_asset")
IN_AUDIT: Final = suite("ledger_invariants", "ledger_hold", "ledger_order", "ledger_recovery", "ledger_attest")

PROMISES: Final = (
    one(
        *("a hold that anybody may take", "hold: somebody is named", HOLD),
        *("if not (hold.to and hold.condition.hash):", "if not (hold.to or hold.condition.hash):"),
        IN_HOLD,
    ),
    one(
        *("a promise that has ended before it is made", "hold: the end lies ahead", HOLD),
        *("if not step.time_ms < operation.until_ms <= latest_ms", "if not operation.until_ms <= latest_ms"),
        IN_HOLD,
    ),
    one(
        *("a promise for ever", "hold: the end is bounded", HOLD),
        *("if not step.time_ms < operation.until_ms <= latest_ms", "if not step.time_ms < operation.until_ms"),
        IN_HOLD,
    ),
    one(
        *("an issuer promises what is not issued", "hold: not by the issuer", HOLD),
        *("if payer.number == asset.issuer:", "if False:"),
        IN_HOLD,
    ),
    one(
        *("a suspended asset is promised", "hold: registered assets", HOLD),
        *("if refusal := STATUS_REFUSALS[asset.status]:", "if (refusal := STATUS_REFUSALS[asset.status]) and False:"),
        IN_HOLD,
    ),
    one(
        *("the legs of a hold are checked one by one", "hold: available money only", HOLD),
        *("total += amount", "total = amount"),
        IN_HOLD,
    ),
    one(
        *("a promise counts against no limit", "hold: the limits of the day", HOLD),
        *("count_out(step, number, payer, total)", "pass"),
        IN_HOLD,
    ),
    one(
        *("a settler who does not exist", "hold: accounts that are there", HOLD),
        *("_require_there(state, by, index)", "pass"),
        IN_HOLD,
    ),
    one(
        *("the oldest holds come first", "hold: the newest block first", HOLDS),
        *('(_U64_MAX - hold.height).to_bytes(8, "big")', 'hold.height.to_bytes(8, "big")'),
        IN_HOLD,
    ),
    one(
        *("a hold that ends now stays a block longer", "holds that end", HOLDS),
        *('(time_ms + 1).to_bytes(8, "big")', 'time_ms.to_bytes(8, "big")'),
        IN_HOLD,
    ),
    one(
        *("one hold too many ends in a block", "holds that end: at most 1,000", HOLDS),
        *("ENDED_MAX: Final = 1_000", "ENDED_MAX: Final = 1_001"),
        IN_HOLD,
    ),
    one(
        *("ended holds pile up behind new ones", "holds that end: more in a block with new ones", HOLDS),
        *("room = ENDED_MAX + ENDED_FACTOR * state.holds_made", "room = ENDED_MAX"),
        suite("ledger_finishing", "ledger_hold"),
    ),
    one(
        *("every block looks for holds that end", "what is gone is not looked for", HOLDS),
        *("if time_ms < self._first_ms:", "if False:"),
        suite("ledger_finishing"),
    ),
    one(
        *("a hold that ends first is overlooked", "holds that end", HOLDS),
        *("state.first_end_ms = min(state.first_end_ms, hold.until_ms)", "pass"),
        suite("ledger_finishing"),
    ),
    one(
        *("holds of the block that looked are overlooked", "holds that end", HOLDS),
        *("min(_first_end_ms(self._reader, end), state.first_end_ms)", "_first_end_ms(self._reader, end)"),
        suite("ledger_finishing"),
    ),
    one(
        *("a voided hold takes a place among the thousand", "holds that end: at most 1,000", HOLDS),
        *("return False\n        reduce_hold", "return True\n        reduce_hold"),
        IN_HOLD,
    ),
    one(
        *("holds beyond a slice are never released", "holds that end", HOLDS),
        *(r'self._from = keys[-1] + b"\0"', "self._from = end"),
        IN_HOLD,
    ),
    one(
        *("the indexes of a hold stay when it goes", "hold: rows and indexes", HOLDS),
        *("put(key, None)", "pass"),
        IN_HOLD,
    ),
    one(
        *("who is to be paid from a hold is closed", "close: named by no hold", HOLDS),
        *("for table in (BY_SETTLER, BY_PAYEE):", "for table in (BY_SETTLER,):"),
        IN_HOLD,
    ),
)

SETTLEMENTS: Final = (
    one(
        *("anybody settles", "settle: by whom the hold names", SETTLE),
        *("if hold.by not in (0, operation.by):", "if False:"),
        IN_SETTLE,
    ),
    one(
        *("a promise is kept a moment too long", "settle: before the end", SETTLE),
        *("if step.time_ms >= hold.until_ms:", "if step.time_ms > hold.until_ms:"),
        IN_SETTLE,
    ),
    one(
        *("a payment of tomorrow is not made then", "settle: from its time on", SETTLE),
        *("if step.time_ms < condition.not_before_ms:", "if step.time_ms <= condition.not_before_ms:"),
        IN_SETTLE,
    ),
    one(
        *("any secret opens a hold", "settle: the secret", SETTLE),
        *("return sha256(secret).digest() == hash_ if hash_ else not secret", "return bool(hash_) or not secret"),
        IN_SETTLE,
    ),
    one(
        *("a secret that nobody asked for", "settle: the secret", SETTLE),
        *("if hash_ else not secret", "if hash_ else True"),
        IN_SETTLE,
    ),
    one(
        *("a settler pays whom he likes", "settle: the payee of the hold", SETTLE),
        *("or (hold.to and operation.to not in (0, hold.to))", ""),
        IN_SETTLE,
    ),
    one(
        *("the hold of a frozen payer pays", "settle: flags of the payer", SETTLE),
        *("    require_can_pay(payer)\n", "    pass\n"),
        IN_SETTLE,
    ),
    one(
        *("a blocked payee is paid from a hold", "settle: flags of the payee", SETTLE),
        *("if payee.flags & CANNOT_RECEIVE:", "if False:"),
        IN_SETTLE,
    ),
    one(
        *("a voucher for food buys anything", "settle: the purpose", SETTLE),
        *("if condition.categories and not _fits(payee, condition):", "if False:"),
        IN_SETTLE,
    ),
    one(
        *("a suspended asset is not redeemed from a hold", "settle: a holder can always redeem", SETTLE),
        *("refusal = redeem_refusal(asset, payer) if redeems else", "refusal ="),
        IN_SETTLE,
    ),
    one(
        *("a reserve keeps its promise out of what it backs", "settle: backed", SETTLE),
        *("if amount > floor_cap(state, hold.asset, payer):", "if False:"),
        IN_SETTLE,
    ),
    one(
        *("a payee of a settlement has no limit", "settle: the tier of the payee", SETTLE),
        *("payee.balance(SOM) + amount > balance_max", "payee.balance(SOM) > balance_max"),
        IN_SETTLE,
    ),
    one(
        *("a hold that is closed keeps the rest", "settle: close releases", SETTLE),
        *("hold.left if operation.close else amount", "amount"),
        IN_SETTLE,
    ),
    one(
        *("a payer takes its word back", "settle: who voids", SETTLE),
        *("if by != hold.payer or not (condition.revocable or time_ms >= hold.until_ms):", "if by != hold.payer:"),
        IN_SETTLE,
    ),
    one(
        *("a payee cannot give up what it was promised", "settle: who voids", SETTLE),
        *("if by in (hold.by, hold.to):", "if by == hold.by:"),
        IN_SETTLE,
    ),
    one(
        *("who is being recovered pays", "flags", TRANSFER),
        *("if flags & RECOVERING:", "if False:"),
        suite("ledger_recovery", "ledger_settle"),
    ),
)

ATTESTED: Final = (
    one(
        *("anybody attests", "attest: whom the schema lists", ATTEST),
        *("if by not in attesters:", "if False:"),
        IN_ATTEST,
    ),
    one(
        *("an attestation replaces what it has not seen", "attest: names what is current", ATTEST),
        *('if (b"" if found is None else found[0]) != operation.revokes:', "if False:"),
        IN_ATTEST,
    ),
    one(
        *("what will be is attested", "attest: times", ATTEST),
        *("too_late = operation.as_of_ms > step.time_ms", "too_late = False"),
        IN_ATTEST,
    ),
    one(
        *("older news replaces newer", "attest: times", ATTEST),
        *("operation.as_of_ms < before.as_of_ms", "False"),
        IN_ATTEST,
    ),
    one(
        *("what is revoked is revoked again", "attest: revoke what is current", ATTEST),
        *("if attestation.revoked_by:", "if False:"),
        IN_ATTEST,
    ),
    one(
        *("an attestation never ends", "attest: until", ATTESTATIONS),
        *("return found[1] if found is not None and _runs(found[1], time_ms) else None", "return found and found[1]"),
        IN_ATTEST,
    ),
    one(
        *("gold may be as old as it likes", "backing: the greatest age", ATTESTATIONS),
        *("or time_ms - attestation.as_of_ms > backing.max_age_ms", ""),
        IN_ATTEST,
    ),
    one(
        *("the ratio of a backing is forgotten", "backing: the ratio", ATTESTATIONS),
        *("attestation.value * RATIO_UNIT // backing.ratio_bp", "attestation.value"),
        IN_ATTEST,
    ),
    one(
        *("each issue may use all that is attested", "pay: backed", TRANSFER),
        *("else (backed - supply, Code.UNBACKED))", "else (backed, Code.UNBACKED))"),
        IN_ATTEST,
    ),
    one(
        *("supply may rise above what is attested", "invariant 4", INVARIANTS),
        *("_require(backed is not None and supply <= backed,", "_require(True,"),
        IN_AUDIT,
    ),
    one(
        *("a block that issues and hears of less stops the node", "invariant 4", ATTESTATIONS),
        *("if before is not None:\n        counted", "if False:\n        counted"),
        IN_ATTEST,
    ),
)

REGISTER: Final = (
    one(
        *("two assets of one code", "asset: codes are their own", ASSET),
        *("or operation.code in codes", ""),
        IN_ASSET,
    ),
    one(
        *("two assets of one issuer", "asset: an issuer of its own", ASSET),
        *("if any(asset.issuer == number for asset in state.assets.values()):", "if False:"),
        IN_ASSET,
    ),
    one(
        *("an issuer brings money along", "asset: an issuer without money", ASSET),
        *("if issuer.holdings:", "if False:"),
        IN_ASSET,
    ),
    one(
        *("a reserve backs two assets", "asset: a reserve of its own", ASSET),
        *("if reserve in state.backed_by:", "if False:"),
        IN_ASSET,
    ),
    one(
        *("a revoked asset comes back", "asset: revoked for ever", ASSET),
        *(
            "if asset.status == AssetStatus.REVOKED or asset.status == operation.status:",
            "if asset.status == operation.status:",
        ),
        IN_ASSET,
    ),
    one(
        *("a registrar suspends som", "asset: som is the central bank's", ASSET),
        *("(Kind.CENTRAL_BANK if asset == SOM else Kind.REGISTRAR)", "Kind.REGISTRAR"),
        IN_ASSET,
    ),
    one(
        *("a change of status overwrites the one before", "asset: the history", ASSET),
        *("change_key(asset, changes_so_far(records, asset))", "change_key(asset, 0)"),
        IN_ASSET,
    ),
)

AUTHORITIES: Final = (
    one(
        *("anybody gives orders", "order: an enforcer", ORDER),
        *("if account.profile.kind != Kind.ENFORCER or account.flags & CLOSED:", "if account.flags & CLOSED:"),
        IN_ORDER,
    ),
    one(
        *("an enforcer seizes alone", "order: a second approval", ORDER),
        *("if not step.central_bank_signed():", "if False:"),
        IN_ORDER,
    ),
    one(
        *("an issuer is frozen", "order: who is immune", ORDER),
        *("if IMMUNE_KINDS >> target.profile.kind & 1:", "if False:"),
        IN_ORDER,
    ),
    one(
        *("an order is written over another", "order: numbers are used once", ORDER),
        *("if find_order(step.state.records, operation.by, operation.number) is not None:", "if False:"),
        IN_ORDER,
    ),
    one(
        *("a freeze is released like an arrest", "order: lifted by its own act", ORDER),
        *("if order is None or order.act != act or", "if order is None or"),
        IN_ORDER,
    ),
    one(
        *("an order is lifted twice", "order: lifted once", ORDER),
        *("or not order.stands:", ":"),
        IN_ORDER,
    ),
    one(
        *("the last freeze alone counts", "order: every freeze that stands", ORDERS),
        *("flags |= order.flags", "flags = order.flags"),
        IN_ORDER,
    ),
    one(
        *("what is held is arrested", "order: free money", ORDER),
        *("target.available(operation.asset)", "target.balance(operation.asset)"),
        IN_ORDER,
    ),
    one(
        *("a seizure breaks holds while money is free", "order: free money first", ORDER),
        *("operation.amount - target.available(number)", "operation.amount"),
        IN_ORDER,
    ),
    one(
        *("a seizure breaks arrests like holds", "order: arrests last", ORDER),
        *("if hold.order:", "if False:"),
        IN_ORDER,
    ),
    one(
        *("a seizure looks at any number of holds", "order: bounded work", ORDER),
        *("if seen == SEIZED_HOLDS_MAX:", "if False:"),
        IN_ORDER,
    ),
    one(
        *("seized money goes to a person", "order: to the state or a bank", ORDER),
        *("if to.number == asset.issuer or to.limited:", "if to.number == asset.issuer:"),
        IN_ORDER,
    ),
    one(
        *("who has money arrested closes the account", "close: under no order", ACCOUNT_OPS),
        *("or next(standing(state.records, account.number), None) is not None:", ":"),
        IN_ORDER,
    ),
    one(
        *("an enforcer closes and its orders stay for ever", "close: enforcers stay", ACCOUNT_OPS),
        *("or _STAYS >> account.profile.kind & 1:", ":"),
        IN_ORDER,
    ),
)

RECOVERIES: Final = (
    one(
        *("new keys at once", "recovered: the delay", RECOVERY),
        *("if step.time_ms < recovery.ready_ms:", "if False:"),
        IN_RECOVERY,
    ),
    one(
        *("a delay of one moment more", "recovered: the delay", RECOVERY),
        *("if step.time_ms < recovery.ready_ms:", "if step.time_ms <= recovery.ready_ms:"),
        IN_RECOVERY,
    ),
    one(
        *("any bank recovers any account", "recover: the account's bank", RECOVERY),
        *("if actor.kind != Kind.CENTRAL_BANK or not", "if not"),
        IN_RECOVERY,
    ),
    one(
        *("the central bank recovers a bank's customer", "recover: the account's bank", RECOVERY),
        *("or not (bank is None or bank.flags & CLOSED):", ":"),
        IN_RECOVERY,
    ),
    one(
        *("a bank begins again and again", "recover: a second approval", RECOVERY),
        *("and not step.central_bank_signed():", "and False:"),
        IN_RECOVERY,
    ),
    one(
        *("the owner's objection is forgotten", "recover: a second approval", RECOVERY),
        *("_write(step.state, account, Recovery((), 0, 0, step.time_ms))", "_write(step.state, account, None)"),
        IN_RECOVERY,
    ),
    one(
        *("a blocked account moves", "move: under no order", RECOVERY),
        *("if account.flags & BLOCKED:", "if False:"),
        IN_RECOVERY,
    ),
    one(
        *("who is being recovered changes the keys", "keys: not while recovering", ACCOUNT_OPS),
        *(
            "if account.flags & RECOVERING:\n        raise Refused(Code.RECOVERING)\n    step.state",
            "if False:\n        raise Refused(Code.RECOVERING)\n    step.state",
        ),
        IN_RECOVERY,
    ),
)

DOOR: Final = (
    one(
        *("a partial pay is turned away for one bad leg", "admission: what a block would refuse", ADMISSION),
        *("if pay.partial:", "if False:"),
        AT_THE_DOOR,
    ),
    one(
        *("a hold that has ended is not voided", "admission: what a block would refuse", ADMISSION),
        *("if not settle.amount:", "if False:"),
        AT_THE_DOOR,
    ),
    one(
        *("later operations are judged before those that they rest on", "admission: the first alone", EXECUTE),
        *("if index == 0:", "if True:"),
        AT_THE_DOOR,
    ),
    one(
        *("junk orders reach blocks", "admission: roles", ADMISSION),
        *("require_enforcer(_there(state, operation.by))", "pass"),
        IN_ORDER,
    ),
)

PARAMETERS_SET: Final = (
    one(
        *("a parameter judges the rest of its block", "param: from the next block on", PARAM),
        *(
            "state.next_parameters = _changed_parameters(",
            "state.parameters = state.next_parameters = _changed_parameters(",
        ),
        IN_PARAM,
    ),
    one(
        *("a tier is taken away", "param: tiers stay", PARAM),
        *("if any(changed.tier(tier.number) is None for tier in parameters.tiers):", "if False:"),
        IN_PARAM,
    ),
    one(
        *("a device has as little time as a person", "windows", PARAMETERS),
        *(
            "_SOON: Final = kinds_mask((Kind.MERCHANT, Kind.PERSON))",
            "_SOON: Final = kinds_mask((Kind.MERCHANT, Kind.PERSON, Kind.DEVICE))",
        ),
        suite("ledger_settle"),
    ),
    one(
        *("a validator counts before it is ready", "param: who proves ready counts", PARAM),
        *("row.address, current, None if row.keys == current else row.keys)", "row.address, row.keys, None)"),
        IN_PARAM,
    ),
    one(
        *("a proof of readiness by any key", "param: ready", PARAM),
        *("if not verify(seat.next.consensus_key, statement, operation.signature):", "if False:"),
        IN_PARAM,
    ),
    one(
        *("a proof of readiness at any height", "param: ready", PARAM),
        *("if checkpoints.root(operation.height) != operation.root:", "if False:"),
        IN_PARAM,
    ),
)

ROWS: Final = (
    one(
        *("undo leaves new rows", "all or nothing", RECORDS),
        *("del self._fresh[key]", "pass"),
        IN_RECORDS,
    ),
    one(
        *("undo leaves changed rows", "all or nothing", RECORDS),
        *("self._fresh[key] = row  # type: ignore[assignment]", "pass"),
        IN_RECORDS,
    ),
    one(
        *("a scan does not see what the block has added at its end", "rows: as the transaction sees them", RECORDS),
        *("for key in keys[at:end]:", "for key in ():"),
        IN_RECORDS,
    ),
    one(
        *("undo leaves assets", "all or nothing", STATE),
        *("if assets is not self.assets:", "if False:"),
        IN_ASSET,
    ),
)

WATCHED: Final = (
    one(
        *("flags without a freeze pass", "invariant 8", INVARIANTS),
        *("_require(account.flags & BLOCKED == standing_flags(state.records, account.number), _FREEZES)", "pass"),
        IN_AUDIT,
    ),
    one(
        *("flags without a recovery pass", "invariant 8", INVARIANTS),
        "_require(bool(account.flags & RECOVERING) == (recovery is not None and recovery.open), _RECOVERY)",
        "pass",
        IN_AUDIT,
    ),
    one(
        *("the audit does not add up holds", "invariant 3", INVARIANTS),
        *(
            "_require(held == promised.pop((account.number, asset), 0),",
            "_require(promised.pop((account.number, asset), 0) >= 0,",
        ),
        IN_AUDIT,
    ),
    one(
        *("a hold of no account passes the audit", "invariant 3", INVARIANTS),
        *("_require(not promised,", "_require(True,"),
        IN_AUDIT,
    ),
    one(
        *("an order of no account passes the audit", "invariant 8", INVARIANTS),
        *("_require(not blocked and not recovering,", "_require(not recovering,"),
        IN_AUDIT,
    ),
    one(
        *("a hold that is in no index passes the audit", "hold: rows and indexes", HOLDS),
        *('if any(rows.get(each) != b"" for each in keys):', "if False:"),
        IN_AUDIT,
    ),
    one(
        *("an index of no hold passes the audit", "hold: rows and indexes", HOLDS),
        *("if indexed != sum(", "if False and indexed != sum("),
        IN_AUDIT,
    ),
    one(
        *("two attestations of a subject pass the audit", "attest: one is current", ATTESTATIONS),
        *("if CURRENT + subject in standing:", "if False:"),
        IN_AUDIT,
    ),
    one(
        *("a status that is not of the history passes the audit", "asset: the history", INVARIANTS),
        *("audit_register(reader, state.assets)", "pass"),
        suite("ledger_asset"),
    ),
    one(
        *("an index of no order passes the audit", "order: rows and index", ORDERS),
        *("if index != dict(rows.scan(BY_TARGET, after(BY_TARGET))):", "if False:"),
        IN_AUDIT,
    ),
)

MUTANTS: Final[tuple[Mutant, ...]] = (
    *PROMISES,
    *SETTLEMENTS,
    *ATTESTED,
    *REGISTER,
    *AUTHORITIES,
    *RECOVERIES,
    *DOOR,
    *PARAMETERS_SET,
    *ROWS,
    *WATCHED,
)
