"""Every English text that patient pages may show, for the catalogues of src/neurolysis/report/data/locale."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPORT = Path(__file__).parents[1] / "src" / "neurolysis" / "report"
PAGES = ("decision_aid.py", "decision_about.py", "aftercare_pages.py")
VERDICTS = ("indicated", "possible with conditions", "contraindicated", "cannot say")
COVERAGE = ("covered", "partly covered", "not covered", "no verdict")


def all_texts() -> list[str]:
    """All texts, each once, in order of first use."""
    return list(dict.fromkeys(_texts()))


def _texts() -> Iterator[str]:
    from neurolysis.aftercare.rules import contacts, instructions, patient_red_flags
    from neurolysis.approval import RESEARCH_USE
    from neurolysis.evaluation.pain_map import view_titles
    from neurolysis.evidence.store import load_yaml
    from neurolysis.evidence.vocabulary import families_of_kind, family, modalities
    from neurolysis.nerve.conditions import conditions
    from neurolysis.nerve.targets import targets
    from neurolysis.planning.prognosis import DATA as PROGNOSIS

    yield RESEARCH_USE
    for name in PAGES:
        if (REPORT / name).is_file():
            yield from _said(REPORT / name)
    for name in ("decision_aid.yaml",):
        if (REPORT / "data" / name).is_file():
            yield from _leaves(load_yaml(name, REPORT / "data"))
    yield from (item.plain_title for item in modalities().values() if item.kind == "treatment")
    yield from (item.plain_title for item in conditions().values())
    yield from (item.plain_title for item in targets().values())
    yield from (item["title"] for item in load_yaml("prognosis.yaml", PROGNOSIS)["harms"])
    yield from (family(name).title for name in families_of_kind("harm"))
    yield from (item.text for item in (*instructions(), *patient_red_flags()))
    yield from (item.title for item in contacts())
    yield from (*VERDICTS, *COVERAGE, *view_titles())


def _said(path: Path) -> Iterator[str]:
    """Texts in calls of ``say("...")`` and in tuples mapped with it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        mapped = name == "map" and getattr(node.args[0], "id", "") == "say"
        for argument in node.args[1:] if mapped else node.args[:1] if name == "say" else ():
            for constant in ast.walk(argument):
                is_text = isinstance(constant, ast.Constant) and isinstance(constant.value, str)
                if is_text and not _is_key(argument, constant):
                    yield constant.value


def _is_key(argument: ast.AST, constant: ast.AST) -> bool:
    """Whether a constant is a subscript (``text["what"]``), not a text."""
    return any(isinstance(n, ast.Subscript) and constant in ast.walk(n.slice) for n in ast.walk(argument))


def _leaves(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for value in data.values():
            yield from _leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value)
    elif isinstance(data, str):
        yield data


if __name__ == "__main__":
    for text in all_texts():
        sys.stdout.write(f"{text}\n")
