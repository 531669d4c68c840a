"""Bank files (ISO 20022) as a face of the ledger: pain.001 in, pain.002 and camt out (docs/bank-files.md).

One rule: a file is read whole and checked whole before anything is planned, and what the chain does not need (names,
addresses, remittance text) is read past and kept nowhere. The package opens no file and no connection.
"""
