"""Load on local validators, measured: python -m devnet.bench; docs/performance.md says how to read it."""
