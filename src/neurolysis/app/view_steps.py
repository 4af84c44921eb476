"""The steps of a case as a page asks for them: the data of the commands' ``--json``, or their page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurolysis.app.view_sources import citations_of
from neurolysis.app.view_words import cited_in, worded
from neurolysis.errors import InputError

STEPS = ("evaluation", "localization", "anesthesia", "aftercare")


def step_data(case_path: Path, step: str, **choices: Any) -> dict[str, Any]:
    """The data of one step as a page shows it, with what stands behind the sources it names.

    ``citations`` are those of its source ids; ``cited`` gives the ids behind each name in its texts.

    Raises:
        InputError: the case; a step that cannot be taken yet says what is missing.
    """
    data = _DATA[step](case_path, None, **choices)
    named = cited_in(data)
    citations = citations_of({"sources": [id for ids in named.values() for id in ids], "data": data})
    return {**worded(data), "citations": citations, "cited": named}


def step_page(case_path: Path, step: str, **choices: Any) -> bytes:
    """The page of one step, as HTML.

    Raises:
        InputError: as :func:`step_data`, or a step without a page.
    """
    if step not in _PAGES:
        raise InputError("this step has no page", found=step, allowed=sorted(_PAGES))
    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        _DATA[step](case_path, Path(folder), **choices)
        return (Path(folder) / _PAGES[step].format(**choices)).read_bytes()


def _evaluation(case_path: Path, out: Path | None) -> dict[str, Any]:
    from neurolysis.app.evaluate import evaluate_case, evaluated_data

    return _without_paths(evaluated_data(evaluate_case(case_path, out=out)))


def _localization(case_path: Path, out: Path | None) -> dict[str, Any]:
    from neurolysis.app.localize import localize, localized_data

    return localized_data(localize(case_path))


def _anesthesia(case_path: Path, out: Path | None) -> dict[str, Any]:
    from neurolysis.app.anesthetize import anesthetize, anesthetized_data

    return _without_paths(anesthetized_data(anesthetize(case_path, out=out)))


def _aftercare(case_path: Path, out: Path | None, language: str = "en") -> dict[str, Any]:
    from neurolysis.app.aftercare import aftercare, aftercare_data

    return _without_paths(aftercare_data(aftercare(case_path, out=out, language=language)))


_DATA: dict[str, Callable[..., dict[str, Any]]] = {
    "evaluation": _evaluation,
    "localization": _localization,
    "anesthesia": _anesthesia,
    "aftercare": _aftercare,
}
_PAGES = {"evaluation": "evaluation.html", "anesthesia": "anaesthesia.html", "aftercare": "aftercare.html"}


def patient_sheet(case_path: Path, language: str) -> bytes:
    """The patient's sheet for going home, as HTML."""
    from neurolysis.app.aftercare import aftercare

    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        found = aftercare(case_path, out=Path(folder), language=language)
        sheet = next(
            one for one in found.files if one.name.startswith("going-home") and one.suffix == ".html"
        )
        return sheet.read_bytes()


def decision_aid_view(
    case_path: Path, language: str, plan: dict[str, Any] | None
) -> tuple[dict[str, Any], bytes]:
    """(data, page as HTML) of the decision aid; ``plan`` is the record of the patient's own plan.

    Raises:
        InputError: no condition, or a language that is not there.
        SafetyStop: a red flag is open, or the patient is out of scope.
    """
    import json

    from neurolysis.app.decision_aid import decision_aid_data, make_decision_aid

    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        own = Path(folder) / "plan.json"
        if plan is not None:
            own.write_text(json.dumps(plan), "utf-8")
        found = make_decision_aid(
            case_path, Path(folder) / "out", language=language, plan=own if plan is not None else None
        )
        return _without_paths(decision_aid_data(found)), found.html.read_bytes()


def _without_paths(data: dict[str, Any]) -> dict[str, Any]:
    """Places on this machine are nobody's business."""
    return {name: value for name, value in data.items() if name not in ("html", "pdf", "files")}
