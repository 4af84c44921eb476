"""A plan as DICOM objects beside its CT, and series from a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.app.atomic import require_target, written_whole
from neurolysis.app.cases import load_case
from neurolysis.approval import RESEARCH_USE
from neurolysis.delivery.technique import Progress, silent
from neurolysis.errors import InputError

if TYPE_CHECKING:
    from neurolysis.planning.result import PlanResult
    from neurolysis.records.dicom.objects import Length, NeedleLine, Region
    from neurolysis.records.dicom.source import SourceSeries

SEG, SR, PDF = "segments.dcm", "measurements.dcm", "report.dcm"
MOST_MAPS = 4


def export_dicom(
    case_path: Path,
    out: Path,
    *,
    send_web: str | None = None,
    send_to: tuple[str, int, str] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Plan a case and write SEG, parametric maps, TID 1500 SR and the report as DICOM into ``out``.

    Args:
        send_web: DICOMweb address to send them to; send_to: host, port and AE title for C-STORE.

    Raises:
        InputError: the case, an image that is no DICOM folder, an existing folder; plan_case's own errors.
        OutputError: a PACS that refuses.
    """
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan
    from neurolysis.planning.simulate import simulate_plan
    from neurolysis.records.dicom.source import read_source
    from neurolysis.records.dicom.web import store_dimse, store_web

    case, folder = load_case(case_path)
    if case.image is None:
        raise InputError("there is no image to refer to", where="case.yaml: image")
    require_target(out, replaceable=lambda found: "the folder is not empty", overwrite=False)
    source = read_source(folder / case.image.path, case.image.series_uid)
    scene = build_scene(case, folder)
    source.require_frame(scene.image)
    result = simulate_plan(case, scene, make_plan(case, scene), progress)
    made = objects_of(result, source)
    with written_whole(out) as fresh:
        for name, one in made.items():
            one.save_as(fresh / name, enforce_file_format=True)
    if send_web:
        store_web(send_web, list(made.values()))
    if send_to:
        store_dimse(*send_to, list(made.values()))
    return {
        "folder": str(out),
        "files": sorted(made),
        "mark": result.mark,
        "frame_of_reference_uid": str(source.slices[0].FrameOfReferenceUID),
        "sent_to": [str(one) for one in (send_web, send_to) if one],
        "research_use": RESEARCH_USE,
    }


def objects_of(result: PlanResult, source: SourceSeries) -> dict[str, Any]:
    """The DICOM objects of a result, by file name."""
    from neurolysis.delivery.technique import technique
    from neurolysis.records.dicom.objects import encapsulated_pdf, measurements, parametric_map, segmentation
    from neurolysis.report.build import make_document
    from neurolysis.report.pdf import typeset

    points = source.points_mm()
    made: dict[str, Any] = {SEG: segmentation(source, regions_of(result, points))}
    names = [name for name in _mapped(result) if np.nanmax(result.exposure.field(name).array) > 0]
    for number, name in enumerate(names[:MOST_MAPS]):
        field = result.exposure.field(name)
        rest = float(np.nanmin(field.array))
        values = result.exposure.sample(name, points, outside=rest).astype(np.float32)
        made[f"map-{name}.dcm"] = parametric_map(source, name, values, field.unit, number=9002 + number)
    needles, sizes = needles_of(result), sizes_of(result)
    if needles or sizes:
        made[SR] = measurements(source, needles, sizes)
    title = f"{result.mark}: {result.scene.target().name}"
    document = make_document(result, technique(result.plan.protocol.technique))
    made[PDF] = encapsulated_pdf(source, typeset(document), title)
    return made


def _mapped(result: PlanResult) -> list[str]:
    """Fields that criteria go by, in their order."""
    return list(dict.fromkeys(one.field for one in result.exposure.criteria))


def regions_of(result: PlanResult, points_mm: Any) -> tuple[Region, ...]:
    """Nerves and lesions on the source's voxels, as boolean masks; empty lesions are left out."""
    from neurolysis.records.dicom.objects import Region

    found = []
    finest = float(np.linalg.norm(points_mm[1, 1, 1] - points_mm[0, 0, 0]) / 2)
    for nerve in result.scene.nerves:
        box = _near(points_mm, nerve.curve.as_array(), nerve.radius_mm.value + finest)
        mask = np.zeros(points_mm.shape[:-1], bool)
        mask[box] = nerve.curve.distance_mm(points_mm[box]) <= max(nerve.radius_mm.value, finest)
        if mask.any():
            found.append(Region(nerve.name, mask, "target" if nerve.is_target else "nerve"))
    for criterion in result.exposure.criteria:
        mask = criterion.reached(result.exposure.sample(criterion.field, points_mm))
        if mask.any():
            found.append(Region(f"lesion: {criterion.label}", mask, "lesion"))
    return tuple(found)


def _near(points_mm: Any, curve: Any, reach_mm: float) -> Any:
    """Voxels within the box of a curve widened by a reach."""
    low, high = curve.min(axis=0) - reach_mm, curve.max(axis=0) + reach_mm
    return np.all((points_mm >= low) & (points_mm <= high), axis=-1)


def needles_of(result: PlanResult) -> tuple[NeedleLine, ...]:
    """Each needle from tip to hub with length and bare tip."""
    from neurolysis.records.dicom.objects import Length, NeedleLine

    found = []
    for number, placement in enumerate(result.plan.placements, start=1):
        tip, along = np.array(placement.tip_mm), np.array(placement.direction_to_hub)
        cannula = placement.instrument
        lengths = (
            Length("shaft length", cannula.shaft_length_mm),
            Length("bare tip", cannula.active_tip_mm),
        )
        ends = np.array([tip, tip + cannula.shaft_length_mm * along])
        found.append(NeedleLine(f"needle {number}", ends, lengths))
    return tuple(found)


def sizes_of(result: PlanResult) -> tuple[Length, ...]:
    """Width and length of the lesion by each criterion."""
    from neurolysis.records.dicom.objects import Length

    found = []
    for criterion, size in zip(result.exposure.criteria, result.exposure.lesions, strict=False):
        found.append(Length(f"width {criterion.id}", size.width_mm))
        found.append(Length(f"length {criterion.id}", size.length_mm))
    return tuple(found)


def fetch(url: str, out: Path, *, study_uid: str, series_uid: str) -> dict[str, Any]:
    """A series from a PACS into a new folder, checked as every image is.

    Raises:
        InputError: the address or the folder; ImageError: the series, or no answer. Nothing is left then.
    """
    from neurolysis.localization.dicom_series import load_series
    from neurolysis.records.dicom.web import fetch_series

    require_target(out, replaceable=lambda found: "the folder is not empty", overwrite=False)
    with written_whole(out) as fresh:
        files = fetch_series(url, study_uid, series_uid, fresh)
        load_series(fresh)
    return {"folder": str(out), "files": len(files), "series_uid": series_uid}


def list_series(url: str, patient_id: str | None = None) -> list[dict[str, str]]:
    """Series of a PACS.

    Raises:
        InputError: the address; ImageError: no answer.
    """
    from neurolysis.records.dicom.web import list_series as ask

    return ask(url, patient_id)
