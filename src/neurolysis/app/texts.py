"""What the command line says in words; ``--json`` says the same as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from neurolysis.app.doctor import Diagnosis
from neurolysis.app.plan_case import PlannedFiles
from neurolysis.app.validate import Validation
from neurolysis.approval import RESEARCH_USE
from neurolysis.delivery.technique import ValidationRow
from neurolysis.plan import Notice


def planned_text(files: PlannedFiles) -> str:
    """Where the result is and what it says."""
    seconds = sum(files.timing_s.values())
    lines = [
        f"{files.mark}: {files.answer or f'target nerve {files.coverage}'} ({seconds:.1f} s)",
        f"  report  {files.html}",
        f"  print   {files.pdf}" if files.pdf else "  print   no PDF could be made: see `neurolysis doctor`",
        f"  data    {files.plan}",
        RESEARCH_USE,
    ]
    return "\n".join(lines)


def planned_data(files: PlannedFiles) -> dict[str, Any]:
    """The same as data."""
    return {
        "folder": str(files.folder),
        "report_html": str(files.html),
        "report_pdf": str(files.pdf) if files.pdf else None,
        "plan": str(files.plan),
        "mark": files.mark,
        "coverage": files.coverage,
        "answer": files.answer,
        "demonstration": files.demonstration,
        "stops": [notice.model_dump(mode="json") for notice in files.stops],
        "warnings": [notice.model_dump(mode="json") for notice in files.warnings],
        "timing_s": files.timing_s,
        "research_use": RESEARCH_USE,
    }


def notices_text(notices: Iterable[Notice]) -> str:
    """One line a notice: severity, code, text."""
    return "\n".join(f"{notice.severity.upper()} [{notice.code}] {notice.text}" for notice in notices)


def outline(data: Mapping[str, Any]) -> str:
    """Nested plain data as aligned lines of dotted name and value; long lists by their length."""
    rows = list(_leaves(data, ""))
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _leaves(data: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, _value_text(data)


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) <= 4 or not all(isinstance(item, int | float) for item in value):
            return ", ".join(_value_text(item) for item in value) or "none"
        return f"{len(value)} values, {_value_text(value[0])} to {_value_text(value[-1])}"
    return "unknown" if value is None else str(value)


def validation_text(validation: Validation) -> str:
    """Every measurement beside what the model gives, then the totals."""
    blocks = [_row_text(row) for rows in validation.rows.values() for row in rows]
    totals = ", ".join(f"{count} {name}" for name, count in validation.counts().items())
    return "\n".join([*blocks, f"totals: {totals}"])


def _row_text(row: ValidationRow) -> str:
    simulated = "; ".join(f"{given}: {value}" if given else value for given, value in row.simulated.items())
    lines = [
        f"{row.verdict.upper():<14}  {row.id}  {row.quantity}",
        f"{'':14}  measured   {row.measured}  ({row.source})",
        f"{'':14}  simulated  {simulated or 'not run'}  by {row.criterion}",
    ]
    return "\n".join([*lines, f"{'':14}  {row.reason}"] if row.reason else lines)


def validation_data(validation: Validation) -> dict[str, Any]:
    """The same as data."""
    return {
        "counts": validation.counts(),
        "rows": {
            name: [row.model_dump(mode="json") for row in rows] for name, rows in validation.rows.items()
        },
        "research_use": RESEARCH_USE,
    }


def doctor_text(diagnosis: Diagnosis) -> str:
    """The installation line by line, problems last."""
    data = {key: value for key, value in diagnosis.data.items() if key not in ("packages", "problems", "ok")}
    packages = {item["name"]: item["installed"] or "MISSING" for item in diagnosis.data["packages"]}
    devices = [f"{item['platform']} ({item['kind']})" for item in data.get("devices") or []]
    head = outline({**data, "devices": devices, "packages": packages})
    tail = [f"PROBLEM {problem}" for problem in diagnosis.problems] or ["nothing is missing"]
    return "\n".join([head, *tail])
