"""An example of each method's params, for the OpenRPC document; tests/test_rpc_methods.py runs every one.

They are of the small chain that tests/solo_chain.py makes: its keys, times and salts are fixed, so its ids are.
"""

from typing import Any, Final

# A bank pays 1,000.00 som with the reference SALARY-1; executed in block 3.
_ACCOUNT: Final = "0011000000010057"
_BANK: Final = "0011000000000155"
_TX_ID: Final = "465f1e7d49bcefdf90fa8ae372e73ad454eaf2e8eaa962a54a16daea9ba26cb0"
_EVIDENCE_ID: Final = "6ef13459aadd3050c71bb4bffb8a08f3aa161da0f8c2bfb6e000913cf74aec35"
# Alice's hold for her device, the attestation behind USDKG, an authority's order; executed in block 5.
_HOLD: Final = "7135ae950f85dac39dc8cb38f7b35b99"
_ATTESTATION: Final = "87d3595af3abe9dcb9a482fef563c60a"
_AUTHORITY: Final = "0001000000000554"
_RECOVERING: Final = "0011000000010158"
_REF: Final = b"SALARY-1".hex()
_TX: Final = (
    "92c440960107cf000001a0c45501d40391cf00000a012317b09b91960101cf00000a012317b09b9193cf00000a012317d749ce000186a0c4"
    "0853414c4152592d31c2c2919300c420c4aa2919259123e4b6191830e41191c781f5cd483f4d7ecf3f75acaa6f544d31c4402ebee5e5b923"
    "da58afe8eb829df0984f5b07b3378e5eef519597c71bd7ad8ebaf2aaad2a6345e77a36c4d1b421795f3846f5155311a7e5133e3dd56d499d"
    "5e07"
)

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "rpc.discover": {},
    "admin_getStatus": {},
    "admin_setLogLevel": {"level": "debug"},
    "admin_listPeers": {},
    "admin_disconnectPeer": {"name": "observer"},
    "admin_drain": {"on": True},
    "admin_stop": {},
    "admin_getAuditLog": {"limit": 10},
    "chain_getInfo": {},
    "chain_getBlock": {"height": 3, "limit": 10},
    "chain_getBlocks": {"limit": 10},
    "chain_getConsensus": {},
    "chain_getStats": {"blocks": 100},
    "tx_submit": {"tx": _TX, "wait": "final", "timeout_ms": 5_000},
    "tx_submitMany": {"txs": [_TX], "wait": "none"},
    "tx_simulate": {"tx": _TX},
    "tx_get": {"tx_id": _TX_ID, "transaction": True},
    "tx_getByRef": {"account": _BANK, "refs": [_REF]},
    "tx_getProof": {"tx_id": _TX_ID},
    "account_get": {"account": _ACCOUNT, "min_height": 3},
    "account_getHistory": {"account": _ACCOUNT, "order": "desc", "limit": 20},
    "account_getProof": {"account": _ACCOUNT},
    "account_getRecovery": {"account": _RECOVERING},
    "state_getProof": {"key": b"h".hex() + _HOLD},
    "supply_get": {"asset": 1},
    "supply_getHistory": {"asset": 1, "limit": 20},
    "asset_get": {"asset": 2},
    "asset_list": {"limit": 50},
    "asset_getHistory": {"asset": 3, "limit": 10},
    "attestation_get": {"id": _ATTESTATION},
    "attestation_getCurrent": {"schema": "gold", "subject": "USDKG"},
    "attestation_list": {"schema": "gold", "limit": 10},
    "hold_get": {"id": _HOLD},
    "hold_list": {"account": _ACCOUNT, "role": "payer", "limit": 10},
    "order_getCounts": {},
    "order_get": {"authority": _AUTHORITY, "number": "17/26"},
    "order_list": {"authority": _AUTHORITY, "limit": 10},
    "parameter_list": {},
    "sub_subscribe": {"topic": "account", "account": _ACCOUNT},
    "sub_unsubscribe": {"subscription": 1},
    "validator_list": {},
    "validator_getUptime": {"blocks": 100},
    "validator_listCommittees": {"after": 0},
    "validator_getReadiness": {},
    "evidence_list": {"limit": 10},
    "evidence_get": {"id": _EVIDENCE_ID},
    "net_getPeers": {},
}
