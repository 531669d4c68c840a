"""Walk through an XML file along a shape, without building a tree.

One rule: the bytes are a stranger's. Whatever they are, the walk ends with their digest or with FileRefused, in memory
and time that the limits here bound. The walker keeps the open elements only; what a group held is handed on at its end.

What is wrong with the bytes or the shape ends the walk (``refuse``); what is wrong with single fields is noted
(``problem``), so that a bank mends its file once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO, Final, NoReturn
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from node.iso20022.errors import FileCode, FileRefused, Original, Problem, clipped
from node.iso20022.shape import DOCUMENT, MESSAGE_NAME, NAMESPACE, SKIPPED, Group, Leaf, Skipped

FILE_TAG: Final = b"som-iso-file-1"

CHUNK_BYTES: Final = 64 * 1024
FIRST_BYTES: Final = 4  # enough to see UTF-16 and UTF-32
# A token (a tag with its attributes, a comment) that the parser has not finished. The parser reads it again with every
# chunk, so a long one costs quadratic time.
TOKEN_BYTES_MAX: Final = 256 * 1024
# The longest text that the schema knows is 10 KB (binary data in supplementary data); a line of remittance has 140.
TEXT_CHARS_MAX: Final = 16 * 1024
DEPTH_MAX: Final = 64  # the schema's deepest element is at 15; supplementary data may go deeper
PROBLEMS_MAX: Final = 100  # more help nobody
ENCODINGS: Final = ("UTF-8", "US-ASCII")

Values = dict[str, "str | Values"]


@dataclass(slots=True)
class Frame:
    """An open element."""

    name: str
    index: int  # among its like in the parent, from 1; 0 where there can be only one
    node: Group | Leaf | Skipped
    line: int
    values: Values = field(default_factory=dict)  # of a group: what its children held
    counts: dict[str, int] = field(default_factory=dict)  # of a group: how often each child was seen
    order: int = -1  # of a group: the place of its last child
    text: str = ""  # of a leaf
    attribute: str = ""  # of a leaf
    chars: int = 0

    def value(self, *path: str) -> str | None:
        """Return a leaf's text, "" of an element that was read past, None of one that is not there."""
        value: str | Values | None = self.values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    @property
    def step(self) -> str:
        """Its part of a path."""
        return f"{self.name}[{self.index}]" if self.index else self.name


class Walker:
    """What the parser calls. ``on_start`` gets the name of each known element, ``on_end`` each group that ended.

    Where ``on_end`` returns True, it has taken the group's values, and they are forgotten.
    """

    def __init__(self, on_start: Callable[[str], None], on_end: Callable[[Frame], bool]) -> None:
        self.problems: list[Problem] = []
        self.original = Original()  # what is known of the message, for whoever is told of a refusal
        self._on_start = on_start
        self._on_end = on_end
        self._stack: list[Frame] = []  # the open elements, outermost first
        self._line: Callable[[], int] = lambda: 0

    def walk(self, source: BinaryIO, bytes_max: int) -> bytes:
        """Read the source to its end; return SHA-256 over FILE_TAG and every byte. Raises FileRefused."""
        parser = XMLParser(target=self, encoding="utf-8", forbid_dtd=True)
        parser.parser.XmlDeclHandler = self._declaration
        self._line = lambda: int(parser.parser.CurrentLineNumber)
        hasher = sha256(FILE_TAG)
        size = 0
        try:
            for chunk in _chunks(source):
                if size == 0:
                    self._require_utf_8(chunk)
                size += len(chunk)
                if size > bytes_max:
                    self.refuse(FileCode.FILE_TOO_LARGE, expected=str(bytes_max))
                hasher.update(chunk)
                parser.feed(chunk)
                if size - parser.parser.CurrentByteIndex > TOKEN_BYTES_MAX + CHUNK_BYTES:
                    self.refuse(FileCode.FIELD_TOO_LONG, expected=str(TOKEN_BYTES_MAX))
            parser.close()
        except DefusedXmlException:
            self.refuse(FileCode.DTD)
        except ParseError as error:
            # Python's own ``undefined entity`` and expat's errors: the text is a constant and a place.
            self.refuse(FileCode.NOT_WELL_FORMED, actual=clipped(str(error)), line=error.position[0])
        return hasher.digest()

    def problem(self, code: FileCode, frame: Frame, below: str = "", expected: str = "", actual: str = "") -> None:
        """Note what is wrong in ``frame``: the innermost open element, or after the last byte a group that ended."""
        above = self._path() if self._stack else frame.step
        path = "/".join(part for part in (above, below) if part)
        self.problems.append(Problem(code, path, frame.line, clipped(expected), clipped(actual)))
        if len(self.problems) >= PROBLEMS_MAX:
            raise FileRefused(tuple(self.problems), self.original)

    def refuse(self, code: FileCode, expected: str = "", actual: str = "", line: int | None = None) -> NoReturn:
        """End the walk here."""
        problem = Problem(code, self._path(), self._line() if line is None else line, expected, actual)
        # What ends the walk comes first: it is why the rest was not looked at.
        raise FileRefused((problem, *self.problems), self.original) from None

    # What the parser calls

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= DEPTH_MAX:
            self.refuse(FileCode.UNEXPECTED_ELEMENT, actual=f"<{clipped(tag)}>")
        if not self._stack:
            self._start_document(tag)
            return
        parent = self._stack[-1]
        match parent.node:
            case Skipped():
                parent.chars = 0
                self._stack.append(Frame("", 0, SKIPPED, 0))
            case Group():
                self._start_child(parent, parent.node, tag, attributes)
            case Leaf():
                self.refuse(FileCode.UNEXPECTED_ELEMENT, actual=f"<{clipped(tag.rpartition('}')[2])}>")

    def data(self, text: str) -> None:
        if not self._stack:
            return
        frame = self._stack[-1]
        if isinstance(frame.node, Group):
            if not text.isspace():
                self.refuse(FileCode.UNEXPECTED_ELEMENT, actual=clipped(text.strip()))
            return
        frame.chars += len(text)
        if frame.chars > TEXT_CHARS_MAX:
            self.refuse(FileCode.FIELD_TOO_LONG, expected=str(TEXT_CHARS_MAX))
        if isinstance(frame.node, Leaf) and frame.chars <= frame.node.most:
            frame.text += text

    def end(self, _tag: str) -> None:
        frame = self._stack[-1]
        match frame.node:
            case Leaf():
                self._end_leaf(frame, frame.node)
            case Group():
                self._end_group(frame, frame.node)
            case Skipped():
                pass
        self._stack.pop()

    def close(self) -> None:
        assert not self._stack

    # Its parts

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ENCODINGS:
            self.refuse(FileCode.ENCODING, actual=clipped(encoding))

    def _require_utf_8(self, chunk: bytes) -> None:
        """UTF-16 and UTF-32 show themselves at once; expat would take them."""
        if chunk[:2] in (b"\xff\xfe", b"\xfe\xff") or 0 in chunk[:FIRST_BYTES]:
            self.refuse(FileCode.ENCODING, actual="UTF-16/UTF-32")

    def _start_document(self, tag: str) -> None:
        if tag != f"{{{NAMESPACE}}}Document":
            self.refuse(FileCode.WRONG_MESSAGE, expected=MESSAGE_NAME, actual=_message_name(tag))
        self._stack.append(Frame("Document", 0, DOCUMENT, self._line()))

    def _start_child(self, parent: Frame, group: Group, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition("}")
        child = group.children.get(name)
        if child is None or namespace[1:] != NAMESPACE:
            self.refuse(FileCode.UNEXPECTED_ELEMENT, actual=f"<{clipped(name)}>")
        count = parent.counts.get(name, 0) + 1
        if child.order < parent.order or count > child.most or (group.choice and parent.counts):
            self.refuse(FileCode.UNEXPECTED_ELEMENT, actual=f"<{name}>")
        parent.counts[name] = count
        parent.order = child.order
        frame = Frame(name, 0 if child.most == 1 else count, child.node, self._line())
        match child.node:
            case Leaf(attribute=attribute) if attribute:
                frame.attribute = attributes.get(attribute, "")
            case Skipped():
                parent.values[name] = ""  # it was there
            case Leaf() | Group():
                pass
        self._stack.append(frame)
        self._on_start(name)

    def _end_leaf(self, frame: Frame, node: Leaf) -> None:
        if frame.chars > node.most:
            self.problem(FileCode.FIELD_TOO_LONG, frame, expected=str(node.most))
        elif not frame.text.strip():
            self.problem(FileCode.MISSING_ELEMENT, frame, expected=frame.name)
        else:
            values = self._stack[-2].values
            values[frame.name] = frame.text
            if node.attribute:
                values[f"{frame.name}@{node.attribute}"] = frame.attribute

    def _end_group(self, frame: Frame, node: Group) -> None:
        for name, child in node.children.items():
            if frame.counts.get(name, 0) < child.least:
                self.problem(FileCode.MISSING_ELEMENT, frame, expected=name)
        if node.choice and not frame.counts and not node.empty:
            self.problem(FileCode.MISSING_ELEMENT, frame, expected=" | ".join(node.children))
        if not self._on_end(frame) and len(self._stack) > 1:
            self._stack[-2].values[frame.name] = frame.values

    def _path(self) -> str:
        """Where we are, below CstmrCdtTrfInitn."""
        return "/".join(frame.step for frame in self._stack[2:] if frame.name)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    """Yield the source's bytes, the first of them at least FIRST_BYTES together, though a pipe may bring fewer."""
    first = b""
    while len(first) < FIRST_BYTES and (chunk := source.read(CHUNK_BYTES)):
        first += chunk
    if first:
        yield first
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _message_name(tag: str) -> str:
    """Return how a root element is told to people: its message name, or what it is."""
    namespace, _, name = tag.rpartition("}")
    prefix = "{urn:iso:std:iso:20022:tech:xsd:"
    return clipped(namespace.removeprefix(prefix) if namespace.startswith(prefix) and name == "Document" else tag)
