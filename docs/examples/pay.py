"""Open a wallet at a bank of a devnet, and pay from it: python docs/examples/pay.py GENESIS"""

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

from consensus.crypto import SecretKey
from node.client.outbox import Outbox
from node.client.sync import SyncClient
from node.client.trust import Trust
from node.home import read_genesis
from node.ledger.account import SOM, Kind, account_number, parse_account
from node.ledger.account_ops import OpenAccount
from node.ledger.pay import Pay

demo = {row["name"]: row for row in json.loads(Path(".devnet/accounts.json").read_text())["accounts"]}
bank, bank_key = parse_account(demo["bank-1"]["number"]), SecretKey(bytes.fromhex(demo["bank-1"]["keys"][0]["seed"]))
wallet, shop = account_number(101, 777), parse_account(demo["market"]["number"])
key = SecretKey(sha256(b"anybody can guess this").digest())  # yours: 32 random bytes, in a key file (som key new)
opening = OpenAccount(bank, wallet, Kind.PERSON, 1, 0, ((key.public, 1),), 1, sha256(b"who it is").digest())
trust = Trust.of(read_genesis(Path(sys.argv[1])))

with SyncClient(os.environ["SOM_NODE"].split(), outbox=Outbox("wallet.sqlite3"), trust=trust) as client:
    client.execute([bank], [opening], [(0, bank_key)], key="open the wallet")
    client.execute([bank], [Pay(SOM, bank, ((wallet, 100_00, b"WAGE-1"),), once=True)], [(0, bank_key)], key="WAGE-1")
    paid = client.execute([wallet], [Pay(SOM, wallet, ((shop, 12_50, b"BREAD"),), once=True)], [(0, key)], key="BREAD")
    proven = client.prove_transaction(paid.tx_id)
    print(f"{paid.state.value} in block {proven.height}, which block {proven.certified_by} proves")
