"""Print the OpenRPC document: python -m node.rpc > docs/openrpc.json"""

import sys

import msgspec

from node.rpc.methods import DOCUMENT

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(DOCUMENT), indent=1) + b"\n")
