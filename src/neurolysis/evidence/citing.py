"""Sources of rules: a source id, a row of the evidence base, a reading, or a stated assumption."""

from __future__ import annotations

from neurolysis.errors import InputError
from neurolysis.evidence.clinical import evidence_rows
from neurolysis.evidence.readings import readings
from neurolysis.evidence.store import ASSUMPTION, sources


def known_source(text: str, where: str) -> str:
    """The text itself, when it names something that was read or states an assumption.

    Raises:
        InputError: it does neither.
    """
    if text.startswith(ASSUMPTION) or text in sources() or text in readings():
        return text
    if text in {row.id for row in evidence_rows()}:
        return text
    raise InputError("a rule needs a known source", where=where, found=text or "nothing")
