"""A stored plan put together again: its DICOM objects and its report say how it stands."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from neurolysis.app.plan_again import dicom_objects, plan_again
from neurolysis.app.plan_record import read_plan_record
from neurolysis.app.plan_stages import STAGES, PlanStages
from neurolysis.approval import approve
from neurolysis.errors import InputError, NotFoundError
from neurolysis.plan import Numerics

from .dicom_case import FRAME, write_case
from .server_kit import COARSE


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A case with a DICOM series, planned in stages, and the plan's files."""
    folder = tmp_path_factory.mktemp("exports")
    case = write_case(folder / "case")
    made = PlanStages(case, folder / "work", numerics=Numerics(**COARSE))
    for stage in STAGES:
        made.run(stage)
    return case, {one.name: one for one in (folder / "work" / "report").iterdir()}


def test_the_objects_lie_in_the_frame_of_the_series(planned: tuple[Path, dict[str, Path]]) -> None:
    with zipfile.ZipFile(io.BytesIO(dicom_objects(*planned, None))) as archive:
        found = {name: pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    assert {"segments.dcm", "measurements.dcm", "report.dcm"} <= set(found)
    assert found["segments.dcm"].FrameOfReferenceUID == FRAME
    assert "DRAFT" in str(found["report.dcm"].DocumentTitle)


def test_the_approval_is_that_of_this_very_plan(planned: tuple[Path, dict[str, Path]]) -> None:
    case, files = planned
    plan = read_plan_record(files["plan.json"]).plan
    approval = (
        approve(plan, (), name="Dr A", time=datetime(2026, 1, 2, tzinfo=UTC)) if not plan.notices else None
    )
    again = plan_again(case, files, approval)
    assert again.plan == plan
    assert again.mark.startswith("APPROVED" if approval else "DRAFT")


def test_a_plan_without_its_exposure_or_with_another_is_refused(
    planned: tuple[Path, dict[str, Path]], tmp_path: Path
) -> None:
    case, files = planned
    bare = {name: file for name, file in files.items() if name != "exposure.zip"}
    with pytest.raises(NotFoundError, match="no exposure"):
        plan_again(case, bare, None)
    spoiled = tmp_path / "exposure.zip"
    with zipfile.ZipFile(files["exposure.zip"]) as old, zipfile.ZipFile(spoiled, "w") as new:
        for name in old.namelist():
            content = bytearray(old.read(name))
            if name.startswith("field-"):
                content[-1] ^= 1
            new.writestr(name, bytes(content))
    with pytest.raises(InputError, match="not the one of this plan"):
        plan_again(case, {**files, "exposure.zip": spoiled}, None)
