"""What the ledger is for, as stories that run: one for each system that the digital som must serve.

One rule: whatever a story tells has been seen on the network that it plays on. A story that turns out otherwise stops.
"""
