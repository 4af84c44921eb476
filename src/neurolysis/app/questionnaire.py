"""A questionnaire as text, as a web page, and as its FHIR definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def questionnaire(name: str, out: Path | None = None) -> tuple[str, dict[str, Any]]:
    """(text for the terminal, FHIR R4 Questionnaire); with ``out`` the form is also written there.

    Raises:
        UnknownNameError: no such questionnaire.
        InputError: its items may not be shipped.
        OutputError: the page cannot be written.
    """
    from neurolysis.scores.registry import form
    from neurolysis.scores.render import form_html, form_text

    definition = form(name)
    if out is None:
        return form_text(name), definition
    from neurolysis.app.pages import write_all

    write_all({out: form_html(name).encode("utf-8")})
    return str(out), definition
