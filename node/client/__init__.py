"""The client library: makes, signs and settles transactions, and believes only what it can verify.

One rule: what was sent once is sent again as the same bytes, or not at all, until its fate is known.
"""
