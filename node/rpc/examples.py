"""An example of each method's params, for the OpenRPC document; tests/test_rpc_methods.py runs every one.

They are of the small chain that tests/solo_chain.py makes: its keys, times and salts are fixed, so its ids are.
"""

from typing import Any, Final

# A bank pays 1,000.00 som with the reference SALARY-1; executed in block 3.
_ACCOUNT: Final = "0011000000010057"
_BANK: Final = "0011000000000155"
_TX_ID: Final = "b244c45cdd6024724e32639bbd07e06970897459d9735fb5b6aa191da47bc2f6"
_EVIDENCE_ID: Final = "d47b17310957465ec0b77286542db6e3ec6a4984ee30f9cef31b12aa0e7ecdf9"
_REF: Final = b"SALARY-1".hex()
_TX: Final = (
    "92c440960107cf000001a0c45501d40391cf00000a012317b09b91960101cf00000a012317b09b9193cf00000a012317d749ce000186a0c4"
    "0853414c4152592d31c2c2919300c420c4aa2919259123e4b6191830e41191c781f5cd483f4d7ecf3f75acaa6f544d31c44007bb99ce6871"
    "c2c47b03f28a49868d38b653e6a330b085455227258fe8b4c87ef6f69905957539c67b5a9086680aec9c5517bacc1c85acb45fb28a7b0d01"
    "700b"
)

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "rpc.discover": {},
    "chain_getInfo": {},
    "chain_getBlock": {"height": 3, "limit": 10},
    "chain_getConsensus": {},
    "tx_submit": {"tx": _TX, "wait": "final", "timeout_ms": 5_000},
    "tx_submitMany": {"txs": [_TX], "wait": "none"},
    "tx_get": {"tx_id": _TX_ID, "transaction": True},
    "tx_getByRef": {"account": _BANK, "refs": [_REF]},
    "tx_getProof": {"tx_id": _TX_ID},
    "account_get": {"account": _ACCOUNT, "min_height": 3},
    "account_getHistory": {"account": _ACCOUNT, "order": "desc", "limit": 20},
    "account_getProof": {"account": _ACCOUNT},
    "supply_get": {"asset": 1},
    "asset_list": {"limit": 50},
    "validator_list": {},
    "validator_listCommittees": {"after": 0},
    "validator_getReadiness": {},
    "evidence_list": {"limit": 10},
    "evidence_get": {"id": _EVIDENCE_ID},
    "net_getPeers": {},
}
