"""An example of each method's params, for the OpenRPC document; tests/test_rpc_methods.py runs every one.

They are of the small chain that tests/solo_chain.py makes: its keys, times and salts are fixed, so its ids are.
"""

from typing import Any, Final

# A bank pays 1,000.00 som with the reference SALARY-1; executed in block 3.
_ACCOUNT: Final = "0011000000010057"
_BANK: Final = "0011000000000155"
_TX_ID: Final = "c36c1e2efb67bd1b22e41e07a1b83e0bda8c93a7260bbc0886e0d53d7f6c75f9"
_EVIDENCE_ID: Final = "b0bf98cde51f55fdb7384bc95d261c8db41b54bae9f214429274f1d671436343"
# Alice's hold for her device, the attestation behind USDKG, an authority's order; executed in block 5.
_HOLD: Final = "f1d2c1cd20f33c369e7de59d4fb30df2"
_ATTESTATION: Final = "a1177da6dcdb172f41e1846b8620a80d"
_AUTHORITY: Final = "0001000000000554"
_RECOVERING: Final = "0011000000010158"
_REF: Final = b"SALARY-1".hex()
_TX: Final = (
    "92c440960107cf000001a0c45501d40391cf00000a012317b09b91960101cf00000a012317b09b9193cf00000a012317d749ce000186a0c4"
    "0853414c4152592d31c2c2919300c420c4aa2919259123e4b6191830e41191c781f5cd483f4d7ecf3f75acaa6f544d31c44030353557cbc1"
    "1cd5769c32e7c4ee648d1c6544f60fbad6f30c0c897a041638af34c73944e8ba8967448d14a95c36841971344e8b18ccc884d1145ca5840c"
    "aa06"
)

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "rpc.discover": {},
    "admin_getStatus": {},
    "admin_setLogLevel": {"level": "debug"},
    "admin_listPeers": {},
    "admin_disconnectPeer": {"name": "observer"},
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
