"""Signing under the consensus key: what may be asked, who answers, in this process or in another."""
