"""One validator: joins consensus and network to the ledger."""
