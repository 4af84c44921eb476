"""Every number without a source that a planned result rests on, with where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from neurolysis.exposure import Exposure
from neurolysis.injury import Injury
from neurolysis.nerve.injury_rules import injury_rules
from neurolysis.quantity import Quantity
from neurolysis.scene import Limit, Nerve, Scene

Assumption = tuple[str, Quantity]


def collect_assumptions(
    scene: Scene, exposure: Exposure, injury: Injury, of_technique: Iterable[Assumption]
) -> tuple[Assumption, ...]:
    """The technique's own, then nerve, structures, tissues in the box, limits and verdict; each once."""
    found: list[Assumption] = list(of_technique)
    seen = {number.content_hash() for _, number in found}
    ours = (
        *_of_nerves(scene),
        *_of_structures(scene),
        *_of_tissues(scene, exposure),
        *(_of_verdict() if exposure.has_grid else ()),
        *_of_limits(injury),
    )
    for label, number in ours:
        if number.basis == "assumption" and number.content_hash() not in seen:
            seen.add(number.content_hash())
            found.append((label, number))
    return tuple(found)


def _of_nerves(scene: Scene) -> Iterator[Assumption]:
    nerves: list[Nerve] = sorted(scene.nerves, key=lambda nerve: not nerve.is_target)
    for nerve in nerves:
        yield f"{nerve.name}: place (standard deviation)", nerve.position_sd_mm
        yield f"{nerve.name}: radius", nerve.radius_mm


def _of_structures(scene: Scene) -> Iterator[Assumption]:
    """Spreads of structures are plain numbers; a derived one has no source but its derivation."""
    for structure in scene.structures:
        if structure.mask is None or structure.review != "derived, unreviewed":
            continue
        text = structure.derivation or "derived from labels by the program"
        yield (
            f"{structure.name}: place (standard deviation)",
            Quantity(
                value=structure.position_sd_mm,
                unit="mm",
                basis="assumption",
                source=text if text.startswith("assumption:") else f"assumption: {text}",
                conditions=structure.name,
            ),
        )


def _of_tissues(scene: Scene, exposure: Exposure) -> Iterator[Assumption]:
    for name in tissues_in_box(scene, exposure):
        tissue = scene.properties.get(name)
        if tissue is None:
            continue
        for field in type(tissue).model_fields:
            number = getattr(tissue, field)
            if isinstance(number, Quantity):
                yield f"{name.replace('_', ' ')}: {_words(field)}", number


def tissues_in_box(scene: Scene, exposure: Exposure) -> tuple[str, ...]:
    """Tissues that the exposure's cells lie in, and the one assumed beyond the image if it was needed."""
    if not exposure.has_grid:
        return ()
    mesh = np.meshgrid(*exposure.axes_mm, indexing="ij")
    points = exposure.frame.apply(np.stack(mesh, axis=-1).reshape(-1, 3))
    inside = scene.tissues.volume.contains(points)
    index = np.unique(scene.tissues.volume.sample(points[inside], order=0)).astype(int)
    names = [scene.tissues.names[k] for k in index]
    beyond = [] if inside.all() else [scene.tissues.outside]
    return tuple(dict.fromkeys([*names, *beyond]))


def _of_verdict() -> Iterator[Assumption]:
    rules = injury_rules()
    yield "critical lesioned length", rules.critical_length
    yield "chance needed for 'covered'", rules.covered_probability
    yield "difference called a disagreement of criteria", rules.disagreement


def _of_limits(injury: Injury) -> Iterator[Assumption]:
    for structure in injury.structures:
        for check in structure.checks:
            if check.limit.basis == "assumption":
                yield _limit_label(structure.kind, check.limit), _limit_number(check.limit)


def _limit_label(kind: str, limit: Limit) -> str:
    levels = [name for name in ("warn", "stop") if getattr(limit, name) is not None]
    return f"limit of {kind.replace('_', ' ')}: {_words(limit.metric)} ({', '.join(levels)})"


def _limit_number(limit: Limit) -> Quantity:
    values = {"warn": limit.warn, "stop": limit.stop}
    given = {name: value for name, value in values.items() if value is not None}
    return Quantity(
        value=next(iter(given.values())),
        unit=limit.unit,
        basis="assumption",
        source=limit.source,
        conditions=", ".join(f"{name} at {value:g} {limit.unit}" for name, value in given.items()),
    )


def _words(field: str) -> str:
    """A field's name without its unit, as words."""
    for suffix in UNIT_SUFFIXES:
        field = field.removesuffix(suffix)
    return field.replace("_", " ")


UNIT_SUFFIXES = (
    "_s_per_m",
    "_per_c",
    "_w_per_m_k",
    "_kg_per_m3",
    "_j_per_kg_k",
    "_per_s",
    "_w_per_kg",
    "_mm",
    "_min",
    "_c",
)
