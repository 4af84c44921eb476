"""An exposure as files: one JSON head and one raw array a field, read back bit by bit.

The head says what each array is; arrays are little-endian, in C order over (x, y, z).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.app.files import read_json
from neurolysis.errors import InputError
from neurolysis.exposure import (
    Answer,
    EnergyBalance,
    Exposure,
    LabelledField,
    LesionCriterion,
    LesionSize,
    LineFields,
    ResultTable,
)
from neurolysis.geometry import RigidTransform
from neurolysis.plan import Notice, Numerics
from neurolysis.quantity import Quantity, parse

HEAD = "exposure.json"
PLAIN = ("criteria", "lesions", "energy", "model_errors", "notices", "numerics", "answer", "tables")


def field_file(name: str) -> str:
    """The file of a field's values as 32-bit floats, for the page."""
    return f"field-{name}.f32"


def save_exposure(exposure: Exposure, folder: Path) -> None:
    """Write the head and every array of an exposure into a folder that exists, in their own types."""
    arrays: dict[str, dict[str, Any]] = {}
    for name, array in _arrays(exposure).items():
        stored = _little(np.asarray(array))
        (folder / f"{name}.raw").write_bytes(stored.tobytes())
        arrays[name] = {"dtype": stored.dtype.str, "shape": list(stored.shape)}
    (folder / HEAD).write_text(json.dumps({**_head(exposure), "arrays": arrays}, ensure_ascii=False), "utf-8")


def load_exposure(folder: Path) -> Exposure:
    """The exposure that :func:`save_exposure` wrote, equal bit by bit.

    Raises:
        InputError: a file is missing, or not as long as its head says.
    """
    head = read_json(folder / HEAD)
    arrays = {name: _read(folder / f"{name}.raw", about) for name, about in head["arrays"].items()}
    fields = {
        name: LabelledField(name=name, array=arrays[f"field-{name}"], **_about(about))
        for name, about in head["fields"].items()
    }
    return Exposure(
        technique=head["technique"],
        frame=parse(RigidTransform, head["frame"], HEAD),
        axes_mm=(arrays["axis-0"], arrays["axis-1"], arrays["axis-2"]),
        cell_volume_mm3=arrays["cell-volume"],
        fields=fields,
        instrument=arrays["instrument"],
        time_s=arrays["time"],
        series={name: arrays[f"series-{number}"] for number, name in enumerate(head["series_units"])},
        series_units=head["series_units"],
        criteria=tuple(parse(LesionCriterion, one, HEAD) for one in head["criteria"]),
        lesions=tuple(parse(LesionSize, one, HEAD) for one in head["lesions"]),
        energy=parse(EnergyBalance, head["energy"], HEAD) if head["energy"] else None,
        outside_image_fraction=head["outside_image_fraction"],
        model_errors=tuple(parse(Quantity, one, HEAD) for one in head["model_errors"]),
        verdict_allowed=head["verdict_allowed"],
        notices=tuple(parse(Notice, one, HEAD) for one in head["notices"]),
        numerics=parse(Numerics, head["numerics"], HEAD),
        solver=head["solver"],
        plan_hash=head["plan_hash"],
        along={one["nerve"]: _line(k, one, arrays) for k, one in enumerate(head["along"])},
        answer=parse(Answer, head["answer"], HEAD) if head["answer"] else None,
        tables=tuple(parse(ResultTable, one, HEAD) for one in head["tables"]),
    )


def _line(number: int, about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LineFields:
    fields = {
        name: LabelledField(name=name, array=arrays[f"line-{number}-{k}"], **_about(one))
        for k, (name, one) in enumerate(about["fields"].items())
    }
    return LineFields(
        nerve=about["nerve"],
        arc_mm=arrays[f"line-{number}-arc"],
        points_mm=arrays[f"line-{number}-points"],
        fields=fields,
        stretches_mm=about["stretches_mm"],
    )


def save_for_page(exposure: Exposure, folder: Path) -> None:
    """Write what the page draws: the head with axes and series in it, and each field as 32-bit floats."""
    head = _head(exposure)
    page = {
        **head,
        "axes_mm": [axis.tolist() for axis in exposure.axes_mm],
        "time_s": exposure.time_s.tolist(),
        "series": {name: _finite(values) for name, values in exposure.series.items()},
        "shape": [len(axis) for axis in exposure.axes_mm],
        "order": "C order over (x, y, z) of the local frame; little-endian 32-bit floats",
    }
    (folder / HEAD).write_text(json.dumps(page, ensure_ascii=False, allow_nan=False), "utf-8")
    for name, field in exposure.fields.items():
        (folder / field_file(name)).write_bytes(np.ascontiguousarray(field.array, "<f4").tobytes())


def _head(exposure: Exposure) -> dict[str, Any]:
    data = exposure.model_dump(mode="json", include=set(PLAIN))
    return {
        **data,
        "technique": exposure.technique,
        "frame": exposure.frame.model_dump(mode="json"),
        "fields": _described(exposure.fields),
        "along": [
            {
                "nerve": name,
                "fields": _described(line.fields),
                "stretches_mm": {what: list(parts) for what, parts in line.stretches_mm.items()},
            }
            for name, line in exposure.along.items()
        ],
        "series_units": {name: exposure.series_units.get(name, "") for name in exposure.series},
        "outside_image_fraction": exposure.outside_image_fraction,
        "verdict_allowed": exposure.verdict_allowed,
        "solver": dict(exposure.solver),
        "plan_hash": exposure.plan_hash,
    }


def _described(fields: Mapping[str, LabelledField]) -> dict[str, dict[str, Any]]:
    return {
        name: {"unit": one.unit, "time_s": one.time_s, "description": one.description}
        for name, one in fields.items()
    }


def _arrays(exposure: Exposure) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {f"axis-{k}": axis for k, axis in enumerate(exposure.axes_mm)}
    found |= {f"field-{name}": one.array for name, one in exposure.fields.items()}
    found |= {f"series-{number}": values for number, values in enumerate(exposure.series.values())}
    for number, line in enumerate(exposure.along.values()):
        found |= {f"line-{number}-arc": line.arc_mm, f"line-{number}-points": line.points_mm}
        found |= {f"line-{number}-{k}": one.array for k, one in enumerate(line.fields.values())}
    return {
        **found,
        "cell-volume": exposure.cell_volume_mm3,
        "instrument": exposure.instrument,
        "time": exposure.time_s,
    }


def _little(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _read(file: Path, about: dict[str, Any]) -> NDArray[Any]:
    dtype, shape = np.dtype(about["dtype"]), tuple(about["shape"])
    wanted = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    content = file.read_bytes() if file.is_file() else b""
    if len(content) != wanted:
        raise InputError(
            "an array of a simulation is damaged", where=file.name, found=f"{len(content)} bytes",
            allowed=f"{wanted} bytes",
        )  # fmt: skip
    return np.frombuffer(content, dtype).reshape(shape)


def _about(about: dict[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in ("unit", "time_s", "description")}


def _finite(values: NDArray[Any]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
