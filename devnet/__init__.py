"""A network on one machine: processes or containers, load, faults, and the demo."""
