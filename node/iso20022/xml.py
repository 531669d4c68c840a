"""Write XML as it comes: lines of indented elements in UTF-8.

One rule: what is written takes no memory, and text is escaped here and nowhere else.
"""

from collections.abc import Callable
from typing import BinaryIO, Final
from xml.sax.saxutils import escape

from node.iso20022.fields import CURRENCY, format_som
from node.ledger.account import format_account

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'


class Element:
    """Closes what it opened, also in a ``with`` of several."""

    __slots__ = ("_name", "_writer")

    def __init__(self, writer: "XmlWriter", name: str) -> None:
        self._writer = writer
        self._name = name

    def __enter__(self) -> None:
        self._writer.open(self._name)

    def __exit__(self, *_: object) -> None:
        self._writer.close(self._name)


class XmlWriter:
    """Lines of indented XML in UTF-8, written as they come: a report of any length takes no memory."""

    __slots__ = ("_depth", "_write")

    def __init__(self, out: BinaryIO, depth: int = 0) -> None:
        """``depth``: where a part of a document is written that stands inside others."""
        self._write: Callable[[bytes], int] = out.write
        self._depth = depth

    def element(self, name: str) -> Element:
        """Return a context: the element is open within it."""
        return Element(self, name)

    def open(self, name: str, attributes: str = "") -> None:
        """Write a start tag."""
        self.line(f"<{name}{attributes}>")
        self._depth += 1

    def close(self, name: str) -> None:
        """Write an end tag."""
        self._depth -= 1
        self.line(f"</{name}>")

    def leaf(self, name: str, content: str, attributes: str = "") -> None:
        """Write an element with text."""
        self.line(f"<{name}{attributes}>{escape(content)}</{name}>")

    def line(self, line: str) -> None:
        """Write one line as it is."""
        self._write(f"{'  ' * self._depth}{line}\n".encode())

    def money(self, name: str, tyiyn: int) -> None:
        """Write an amount of som."""
        self.leaf(name, format_som(tyiyn), f' Ccy="{CURRENCY}"')

    def account(self, name: str, number: int) -> None:
        """Write an account by its number."""
        with self.element(name), self.element("Id"), self.element("Othr"):
            self.leaf("Id", format_account(number))
