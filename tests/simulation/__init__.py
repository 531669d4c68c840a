"""A whole network of validators in one thread, under one seed: the real core, codec and ledger on simulated time,
links and disks, with liars among them and a judge over them. docs/simulator.md says how to use it."""
