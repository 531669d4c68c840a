"""The whole ledger a second time, from docs/ledger.md alone, in plain dicts; and random blocks for both."""
