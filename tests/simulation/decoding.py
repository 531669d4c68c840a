"""Bytes to messages, once for all who receive them.

One rule: decoding is a pure function and messages cannot change, so nobody can tell; what is invalid is decoded anew.
"""

from functools import lru_cache
from typing import Final

import consensus.verify
from consensus.messages import Message, decode_message

DECODED_MAX: Final = 2_048  # what is on its way at one time, and a little more

decode_once = lru_cache(maxsize=DECODED_MAX)(decode_message)

_decoded: dict[bytes, Message] = {}


class Verifier(consensus.verify.Verifier):
    """Checks what peers send; only the decoding is shared by all of a process."""

    def _decode(self, data: bytes) -> Message:
        message = _decoded.get(data)
        if message is None:
            if len(_decoded) >= DECODED_MAX:
                _decoded.clear()
            message = _decoded[data] = super()._decode(data)
        return message
