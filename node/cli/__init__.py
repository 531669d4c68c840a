"""`som`, the command line. One rule: it can do nothing that the RPC, the key files and the home directory cannot."""

from node.cli.main import main

__all__ = ["main"]
