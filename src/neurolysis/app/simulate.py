"""Simulate a technique outside any patient: from options, or from a bench case file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurolysis.app.files import read_json
from neurolysis.approval import RESEARCH_USE
from neurolysis.delivery.technique import Bench, Option, Progress, Technique, silent, simulable, technique
from neurolysis.errors import FieldProblem, InputError, UnknownNameError


def simulate(
    name: str,
    values: Mapping[str, Any],
    settings: Iterable[str] = (),
    *,
    axisymmetric: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Simulate technique or bench ``name`` with option values.

    Args:
        name: a registered technique, or one of its benches.
        values: option name to value; an option left at None takes its default.
        settings: ``name=value`` texts, each replacing one property.
        axisymmetric: solve in (r, z) where the technique can.
        progress: called with the done fraction and what is being done.

    Returns:
        Plain data, ready for JSON.

    Raises:
        UnknownNameError: the technique, an option's choice, or a property.
        InputError: an option that is missing, or a value out of range.
    """
    item = simulable(name)
    overrides = read_settings(settings)
    complete = complete_values(item, values)
    try:
        found = item.simulate({**complete, "axisymmetric": axisymmetric}, overrides, progress)
    except InputError as error:
        if not error.fields:
            raise
        raise _as_typed(item, overrides, error.fields) from error
    return {**found, "research_use": RESEARCH_USE}


def simulate_file(
    name: str, file: Path, *, axisymmetric: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Simulate technique ``name`` as a bench case file says; every number comes from the file.

    Raises:
        InputError: the file, with the field that is wrong.
    """
    item = technique(name)
    data = read_json(file)
    if not isinstance(data, dict):
        raise InputError("a bench case is one JSON object", where=str(file), found=type(data).__name__)
    found = item.simulate_case(data, axisymmetric, str(file), progress)
    return {**found, "research_use": RESEARCH_USE}


def complete_values(item: Technique | Bench, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of every option of a technique or bench: as given, else the default.

    Raises:
        InputError: listing the options that must be given; UnknownNameError: a choice.
    """
    known = {option.name for option in item.options}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UnknownNameError("no such option", found=", ".join(unknown), allowed=sorted(known))
    complete = {option.name: values.get(option.name) for option in item.options}
    complete = {
        option.name: option.default if complete[option.name] is None else complete[option.name]
        for option in item.options
    }
    missing = [flag(option) for option in item.options if option.required and complete[option.name] is None]
    if missing:
        raise InputError("these options must be given", found="nothing", allowed=missing)
    for option in item.options:
        _require_choice(option, complete[option.name])
    return complete


def _require_choice(option: Option, value: object) -> None:
    if option.choices and value is not None and str(value) not in option.choices:
        raise UnknownNameError("not a choice", where=flag(option), found=value, allowed=option.choices)


def flag(option: Option) -> str:
    """The option as it is typed: ``tip_mm`` is ``--tip-mm``."""
    return "--" + option.name.replace("_", "-")


def _as_typed(
    item: Technique | Bench, overrides: Mapping[str, str], fields: Sequence[FieldProblem]
) -> InputError:
    """Wrong fields of a bench case in the words of the command: its options, what was typed, what may be."""
    named = [(_typed_as(item, overrides, field), field) for field in fields]
    if len(named) == 1:
        (where, field), unit = named[0], ""
        if where.startswith("--") and field.allowed:
            unit = next((f" {o.unit}" for o in item.options if flag(o) == where and o.unit), "")
        return InputError(field.problem, where=where, found=field.found, allowed=f"{field.allowed}{unit}")
    words = (
        f"{where}: {field.problem} (found: {field.found}"
        + (f"; allowed: {field.allowed})" if field.allowed else ")")
        for where, field in named
    )
    return InputError("; ".join(words), where=f"simulate {item.name}")


def _typed_as(item: Technique | Bench, overrides: Mapping[str, str], field: FieldProblem) -> str:
    """The option or the ``--set`` that a field came from; its path where neither has its name."""
    options = {option.name.replace("-", "_"): flag(option) for option in item.options}
    changed = {name.rsplit(".", 1)[-1]: f"--set {name}" for name in overrides}
    words = [part for part in field.path if isinstance(part, str)]
    known = [table[word] for word in reversed(words) for table in (changed, options) if word in table]
    # a bench case may say more than its option: set_temperature_c for --temperature-c
    known += [options[name] for word in reversed(words) for name in options if word.endswith(f"_{name}")]
    return known[0] if known else f"simulate {item.name}, {'.'.join(map(str, field.path)) or 'its options'}"


def read_settings(settings: Iterable[str]) -> dict[str, str]:
    """``name=value`` texts as a mapping; a name given twice is refused.

    Raises:
        InputError: a text without '=', without a name or a value, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in settings:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError("a property is set as name=value", where="--set", found=text)
        if name in found:
            raise InputError("a property is set twice", where="--set", found=name)
        found[name] = value
    return found
