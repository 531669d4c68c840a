"""An example of each method's params, for the OpenRPC document; tests/test_rpc_methods.py runs every one.

They are of the small chain that tests/solo_chain.py makes: its keys, times and salts are fixed, so its ids are.
"""

from typing import Any, Final

# A bank pays 1,000.00 som with the reference SALARY-1; executed in block 3.
_ACCOUNT: Final = "0011000000010057"
_BANK: Final = "0011000000000155"
_TX_ID: Final = "e923ff9924caed2896de54842c07c5d4572161a057bc7c39fa91e075105655f6"
_EVIDENCE_ID: Final = "f9cd8dd97f34eb2d729d84108b4221c89f2bcac9a6614e66527e516ac7e7b2a7"
_REF: Final = b"SALARY-1".hex()
_TX: Final = (
    "92c440960107cf000001a0c45501d40391cf00000a012317b09b91960101cf00000a012317b09b9193cf00000a012317d749ce000186a0c4"
    "0853414c4152592d31c2c2919300c420c4aa2919259123e4b6191830e41191c781f5cd483f4d7ecf3f75acaa6f544d31c4409e887a08b2e2"
    "9c6d0b6ef8944827fab1b0bbefb1e8396cb7ddb1c9b17b68dd11ebe17be6aac5a5c34e0acc5fafa2884d60af76d352e5d23417a9b54f83a5"
    "250b"
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
