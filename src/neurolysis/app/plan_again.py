"""A stored plan put together again, for what must carry its approval: report and DICOM objects."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from neurolysis.app.cases import load_case
from neurolysis.app.exposure_files import load_exposure
from neurolysis.app.plan_case import HTML_FILE, PDF_FILE
from neurolysis.app.plan_record import read_plan_record
from neurolysis.app.view_scene import scene_of
from neurolysis.approval import Approval
from neurolysis.errors import InputError, NotFoundError
from neurolysis.planning.result import PlanResult

EXPOSURE = "exposure.zip"
"""The whole exposure in its own types, among the files of a plan."""
ZIP_DAY = (2000, 1, 1, 0, 0, 0)


def pack_exposure(folder: Path, out: Path) -> None:
    """The files of an exposure as one."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(file.name, ZIP_DAY), file.read_bytes(), zipfile.ZIP_DEFLATED)


def approved_report(
    case_path: Path, files: Mapping[str, Path], approval: Approval | None
) -> dict[str, bytes]:
    """Report and PDF of a stored plan with its approval on the first page.

    Args:
        case_path: the version of the case that the plan was made from.
        files: the plan's files by name.

    Raises:
        NotFoundError: the plan keeps no exposure. InputError: a file of it is damaged.
    """
    from neurolysis.report.build import write_report

    result = plan_again(case_path, files, approval)
    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        written = write_report(result, Path(folder))
        return {HTML_FILE: written.html.read_bytes(), PDF_FILE: written.pdf.read_bytes()}


def dicom_objects(case_path: Path, files: Mapping[str, Path], approval: Approval | None) -> bytes:
    """SEG, parametric maps, measurements and report of a stored plan as a ZIP of DICOM files.

    Raises:
        InputError: the case's image is no DICOM folder. NotFoundError: the plan keeps no exposure.
    """
    from neurolysis.app.dicom import objects_of
    from neurolysis.records.dicom.source import read_source

    case, folder = load_case(case_path)
    if case.image is None or not (folder / case.image.path).is_dir():
        raise InputError(
            "DICOM objects refer to a DICOM image",
            where="case.yaml: image",
            allowed="a case with a DICOM series",
        )
    source = read_source(folder / case.image.path, case.image.series_uid)
    result = plan_again(case_path, files, approval)
    source.require_frame(result.scene.image)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, made in objects_of(result, source).items():
            content = io.BytesIO()
            made.save_as(content, enforce_file_format=True)
            archive.writestr(zipfile.ZipInfo(name, ZIP_DAY), content.getvalue(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def plan_again(case_path: Path, files: Mapping[str, Path], approval: Approval | None) -> PlanResult:
    """The result of a stored plan, assessed anew from its own exposure.

    Raises:
        NotFoundError, InputError: as above; an injury that is not the stored one.
    """
    from neurolysis.planning.simulate import assess_plan

    case, folder = load_case(case_path)
    record = read_plan_record(files["plan.json"])
    with _exposure(files) as raw:
        exposure = load_exposure(raw)
    result = assess_plan(case, scene_of(case, folder), record.plan, exposure)
    if result.exposure.content_hash() != record.hashes.exposure:
        raise InputError("the exposure is not the one of this plan", where=EXPOSURE)
    if result.injury.content_hash() != record.hashes.injury:
        raise InputError(
            "this version of the program judges the plan otherwise: simulate it again",
            where="plan.json: injury",
        )
    return replace(result, approval=approval)


@contextmanager
def _exposure(files: Mapping[str, Path]) -> Iterator[Path]:
    if EXPOSURE not in files:
        raise NotFoundError("this plan keeps no exposure: simulate it again", where=EXPOSURE)
    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        with zipfile.ZipFile(files[EXPOSURE]) as archive:  # our own file, checked by its hash in the store
            for name in archive.namelist():
                (Path(folder) / Path(name).name).write_bytes(archive.read(name))
        yield Path(folder)
