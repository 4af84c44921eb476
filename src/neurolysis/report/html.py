"""The report as one self-contained web page: styles and figures inside, no script, nothing fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from neurolysis.report import palette
from neurolysis.report.document import Document

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def page(document: Document) -> str:
    """The HTML text of a report.

    Everything is escaped by the template engine but the figures, which escape what they are given
    where they are drawn, and the shipped style sheet.
    """
    from markupsafe import Markup

    styles = Markup((TEMPLATES / "report.css").read_text("utf-8"))  # noqa: S704 (a shipped file)
    mark = f"{document.mark} · {document.case_id} · {document.record} {document.plan_hash[:12]}"
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            document=document,
            styles=styles,
            colours=colours(),
            print_mark=Markup(css_string(mark)),  # noqa: S704 (escaped for CSS)
        )
    )


def css_string(text: str) -> str:
    """Any text as a CSS string: everything but plain letters, digits and blanks goes in as its code."""
    body = "".join(c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):06x} " for c in text)
    return f'"{body}"'


def colours() -> dict[str, str]:
    """The colours of pages, by name."""
    names = ("nerve", "lesion", "isotherm", "danger", "ink", "muted", "rule", "panel", "accent")
    return {name: getattr(palette, name.upper()) for name in names}


@cache
def environment() -> Environment:
    """The template engine of pages: it escapes everything and knows no undefined name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["drawing"] = Markup
    return made
