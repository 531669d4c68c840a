"""The node's face to wallets, banks and pages: JSON-RPC 2.0 over HTTP.

One rule: a reply says what is so at one height, and never more than this node has executed and synced.
"""
