"""Agreement on a chain of blocks, whatever they carry. Pure: no clock, no randomness, no I/O."""
