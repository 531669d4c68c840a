"""National QR codes: links that Kyrgyz payment apps draw and read. A pure codec; docs/qr.md has the rules.

One rule: bytes from a stranger become a link or QrRefused with a code, and nothing else.
"""
