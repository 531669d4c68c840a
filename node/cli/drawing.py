"""QR codes, drawn: in the terminal or as a file. One rule: the text is drawn as it is, at level M."""

import io
import sys
from pathlib import Path

import click
import segno

from node.cli.session import Session
from node.storage.files import write_file


def draw_code(session: Session, text: str, path: Path | None, option: str) -> None:
    """Draw into FILE.svg or FILE.png; without a path in the terminal, if there is one."""
    code = segno.make_qr(text, error="m")
    if path is None:
        if sys.stderr.isatty() and not session.as_json:
            code.terminal(sys.stderr, compact=True)
        return
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("svg", "png"):
        raise click.BadParameter(str(path), param_hint=option)
    out = io.BytesIO()
    code.save(out, kind=kind, scale=4)
    write_file(path, out.getvalue())
    session.words(f"{session.say('written')}: {path}")
