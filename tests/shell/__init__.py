"""Whole nodes on virtual time: docs/simulator.md, "The shell". Run: python -m tests.shell --seeds 20."""
