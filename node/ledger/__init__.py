"""The ledger: a pure state machine, (state, block) -> (state, receipts). Rules and bytes: docs/ledger.md."""
