"""Mutants: faults planted on purpose, to see who notices. docs/mutants.md is what came out."""
