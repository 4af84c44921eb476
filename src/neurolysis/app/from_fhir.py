"""A case folder from a FHIR R4 bundle, with a list of what was used and what was left out and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurolysis.app.atomic import require_target, written_whole
from neurolysis.app.cases import CASE_FILE
from neurolysis.app.files import read_json, yaml_text
from neurolysis.approval import RESEARCH_USE
from neurolysis.case import Case
from neurolysis.case_fhir import Ignored
from neurolysis.errors import InputError

RECORD = "import.json"
OUR_MARK = "# Made by `neurolysis case from-fhir`"


@dataclass(frozen=True)
class Imported:
    """What was made of a bundle."""

    case: Case
    folder: Path
    resources: int
    used: dict[str, int]
    ignored: tuple[Ignored, ...]
    remarks: tuple[str, ...] = ()


def case_from_bundle(bundle: Path, out: Path, *, overwrite: bool = False) -> Imported:
    """Write ``out/case.yaml`` and ``out/import.json`` from an R4 bundle of one patient.

    A bundle with a case file of this program gives the whole case; images are files and stay behind.

    Args:
        overwrite: replace a case of the same name that was not made by an import.

    Raises:
        InputError: not JSON, not a bundle, no patient or several; or a case there that must not be lost.
        OutputError: the folder cannot be written; nothing is left.
    """
    from neurolysis.records.fhir.case_bundle import read_case, without_files
    from neurolysis.records.fhir.transaction import file_remarks

    data = read_json(bundle)
    if not isinstance(data, dict):
        raise InputError("not a FHIR bundle", where=str(bundle), found=type(data).__name__)
    require_target(out, replaceable=_why_keep, overwrite=overwrite)
    read = read_case(data)
    case, ignored = without_files(read.case)[0], read.ignored
    kinds = Counter(e.get("resource", {}).get("resourceType", "unknown") for e in data.get("entry") or ())
    left = Counter({item.resource: 0 for item in ignored})
    for item in ignored:
        left[item.resource] += len(item.ids)
    used = {kind: count - left.get(kind, 0) for kind, count in sorted(kinds.items())}
    used["Patient"] = kinds.get("Patient", 0)
    kept = {k: v for k, v in used.items() if v > 0}
    found = Imported(case, out, sum(kinds.values()), kept, ignored, file_remarks(read))
    with written_whole(out) as fresh:
        (fresh / CASE_FILE).write_text(_yaml(case, bundle.name), "utf-8")
        (fresh / RECORD).write_text(json.dumps(imported_data(found), indent=1, ensure_ascii=False), "utf-8")
    return found


def _yaml(case: Case, name: str) -> str:
    data = case.model_dump(mode="json", exclude_defaults=True)
    head = f"{OUR_MARK} from {name}. Nothing was converted or guessed; see {RECORD} for what was left out.\n"
    return head + yaml_text({"schema_version": 1, **data})


def _why_keep(folder: Path) -> str:
    file = folder / CASE_FILE
    if not file.is_file():
        return f"the folder is not empty and holds no {CASE_FILE} of an import"
    if not file.read_text("utf-8", errors="replace").startswith(OUR_MARK):
        return f"its {CASE_FILE} was not made by an import"
    return ""


def imported_data(found: Imported) -> dict[str, Any]:
    """What was used and ignored, as plain data."""
    return {
        "case_id": found.case.id,
        "folder": str(found.folder),
        "resources": found.resources,
        "used": found.used,
        "ignored": [item.model_dump(mode="json") for item in found.ignored],
        "remarks": list(found.remarks),
        "deceased": bool(found.case.patient.deceased),
        "research_use": RESEARCH_USE,
    }


def imported_text(found: Imported) -> str:
    """What was used and ignored, in words for the terminal."""
    return "\n".join(_lines(found))


def _lines(found: Imported) -> Iterator[str]:
    yield f"{found.folder / CASE_FILE}: case {found.case.id} from {found.resources} resources"
    if found.case.patient.deceased:
        yield "  STOP: the record says that the patient has died; no plan can be made"
    yield f"  used     {', '.join(f'{kind} {count}' for kind, count in found.used.items())}"
    for item in found.ignored:
        yield f"  ignored  {item.resource} ({len(item.ids)}): {item.reason}"
    yield from (f"  note     {text}" for text in found.remarks)
    yield RESEARCH_USE
