"""An exposure on disk is the exposure: nothing of it is lost on the way to the page and the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurolysis.app.exposure_files import load_exposure, save_exposure
from neurolysis.exposure import OPERATED, Answer, Exposure, LabelledField, LineFields, ResultTable
from neurolysis.plan import Numerics

from .report_sample import make_exposure, make_plan, make_scene


def along_a_nerve() -> Exposure:
    arc = np.linspace(0.0, 30.0, 7)
    strain = LabelledField(name="strain", unit="%", array=np.sin(arc), description="by hand")
    line = LineFields(
        nerve="a nerve, left",
        arc_mm=arc,
        points_mm=np.stack([arc, 0 * arc, 2 * arc], axis=1),
        fields={"strain": strain},
        stretches_mm={OPERATED: ((5.0, 10.0),), "scar": ((4.0, 12.0), (20.0, 21.0))},
    )
    return Exposure.on_nerves(
        {line.nerve: line},
        technique="warm",
        time_s=np.array([0.0, 1.0]),
        series={"tension_n": np.array([0.3, 0.1])},
        series_units={"tension_n": "N"},
        numerics=Numerics(),
        solver={"stations": 7},
        answer=Answer(label="Does it help?", answer="Yes", tone="good", number="3 %", details=("by hand",)),
        tables=(ResultTable(title="Strain", columns=("where", ">%"), rows=(("bend", 3.5), ("end", None))),),
    )


def same(a: Exposure, b: Exposure) -> None:
    for name in Exposure.model_fields:
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), name
    plain = {"answer", "tables", "criteria", "lesions", "notices", "numerics", "solver", "model_errors"}
    assert a.model_dump(include=plain) == b.model_dump(include=plain)
    assert list(a.along) == list(b.along)
    for name, line in a.along.items():
        other = b.along[name]
        assert line.stretches_mm == other.stretches_mm
        assert np.array_equal(line.points_mm, other.points_mm)
        assert [(f.name, f.unit, f.description) for f in line.fields.values()] == [
            (f.name, f.unit, f.description) for f in other.fields.values()
        ]
        assert all(np.array_equal(f.array, other.fields[k].array) for k, f in line.fields.items())
    assert a.content_hash() == b.content_hash()


def test_a_delivery_along_nerves_comes_back_whole(tmp_path: Path) -> None:
    made = along_a_nerve()
    save_exposure(made, tmp_path)
    same(made, load_exposure(tmp_path))


def test_a_delivery_in_space_comes_back_whole(tmp_path: Path) -> None:
    made = make_exposure(make_plan(make_scene()))
    save_exposure(made, tmp_path)
    same(made, load_exposure(tmp_path))
