"""The report as a PDF, set by typst: from wheels alone, with the fonts the engine carries.

All content travels to the engine as JSON data, so nothing a user typed can be read as markup. Where
every letter is in the carried font the PDF keeps to PDF/UA-1 (accessible); else fonts of the machine
fill in and the standard is not claimed.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neurolysis.report import palette
from neurolysis.report.document import Document

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"


def available() -> dict[str, str]:
    """Which engine makes the PDF, for ``doctor``: engine, version, fonts, and the alternative."""
    try:
        found = version("typst")
    except PackageNotFoundError:
        found = "missing"
    return {
        "engine": "typst",
        "version": found,
        "fonts": f"carried by the engine ({palette.PDF_FONT})",
        "alternative": "print report.html from a browser; WeasyPrint can set it too where Pango is installed",
    }


def typeset(document: Document) -> bytes:
    """The PDF's bytes; the same document gives the same bytes on machines with the same engine."""
    from typst import TypstError

    sources = {
        "main": TEMPLATE.read_bytes(),
        "data.json": json.dumps({**document.plain(), "colours": _colours()}, ensure_ascii=False).encode(),
    }
    try:
        return _compile(sources, ignore_system_fonts=True, pdf_standards="ua-1")
    except TypstError:
        return _compile(sources, ignore_system_fonts=False)


def _compile(sources: dict[str, bytes], **options: Any) -> bytes:
    import typst

    made: bytes = typst.compile(sources, format="pdf", timestamp=0, **options)
    return made


def _colours() -> dict[str, str]:
    names = ("danger", "ink", "muted", "rule", "panel", "accent", "lesion", "nerve")
    return {name: getattr(palette, name.upper()) for name in names}
