"""A model of the protocol's rules, written from docs/protocol.md and from no code; docs/model.md explains it."""
