"""Snapshots as other nodes see ours: which there are, and their files in pieces.

One rule: what is asked is bounded before it is read, and whoever may link may ask.
"""

from typing import Final

from consensus.encoding import DecodeError, as_int, as_tuple, decode, encode
from node.snapshot_fetch import LIST, PIECE, PIECE_BYTES, SHOWN_MAX
from node.snapshot_proof import CONTENTS, CONTENTS_BYTES_MAX, FILES_MAX, FIRST, PROOF, PROOF_BYTES_MAX, name_of
from node.storage.snapshot_files import FILE_BYTES_MAX, Shelf

METHODS: Final = (LIST, PIECE)


class Snapshots:
    """Serves a shelf. Reads files: call it in a thread."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._rows: dict[int, tuple[int, bytes, int, int]] = {}  # by height, as they are shown
        self.sent_bytes = 0  # to peers that asked; its owner counts, on the loop

    def heights(self) -> list[int]:
        """Return the heights of those that are whole, ascending."""
        return self._shelf.heights()

    def sizes(self) -> dict[int, int]:
        """Return how many bytes each of them has, by height, ascending."""
        return self._shelf.sizes()

    def serve(self, method: int, payload: bytes) -> bytes:
        """Return the answer to a peer's request. Raise DecodeError for what it should not have asked."""
        if method == LIST:
            if payload:
                raise DecodeError("nothing is said with it")
            heights = self._shelf.heights()[-SHOWN_MAX:]
            self._rows = {height: self._rows.get(height) or self._shown(height) for height in heights}
            return encode(tuple(self._rows.values()))
        if method == PIECE:
            height, number, offset = as_tuple(decode(payload), 3)
            found = self._shelf.read(
                as_int(height, 1), as_int(number, 0, FIRST + FILES_MAX), as_int(offset, 0, FILE_BYTES_MAX), PIECE_BYTES
            )
            return found or b""
        raise DecodeError("unknown method")

    def _shown(self, height: int) -> tuple[int, bytes, int, int]:
        contents = self._shelf.read(height, CONTENTS, 0, CONTENTS_BYTES_MAX) or b""
        proof = self._shelf.read(height, PROOF, 0, PROOF_BYTES_MAX) or b""
        return height, name_of(contents), len(contents), len(proof)
