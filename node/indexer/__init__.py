"""The indexer: the chain as rows of a PostgreSQL database. A program beside the node, which never needs it."""
