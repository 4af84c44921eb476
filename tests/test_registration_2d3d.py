"""X-ray to CT: known poses are found, and a failure is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.xrays import FOLDER, attenuation, carm_of, entry, isocentre, lps, xray

from neurolysis.cli import run
from neurolysis.errors import InputError
from neurolysis.geometry import RigidTransform
from neurolysis.localization.fluoroscopy.registration import TakenView, register, target_error_mm
from neurolysis.localization.fluoroscopy.triangulation import rotation_about

STILL = RigidTransform.from_arrays(np.eye(3), np.zeros(3))


def misplaced(seed: int, keys: tuple[str, ...]) -> tuple[list[TakenView], RigidTransform]:
    """Views whose stated geometry is off by up to 10 mm and 10 degrees, and the move that undoes it."""
    rng = np.random.default_rng(seed)
    move = rotation_about(rng.uniform(-10, 10, 3), isocentre(), rng.uniform(-10, 10, 3))
    return [TakenView(carm_of(key).moved(move), xray(key)) for key in keys], move.inverse()


def around() -> np.ndarray:
    """Places within 40 mm of the isocentre."""
    return isocentre() + np.random.default_rng(0).uniform(-40, 40, (50, 3))


@pytest.mark.parametrize("seed", [1, 2])
def test_two_views_find_the_pose(seed: int) -> None:
    """From up to 10 mm and 10 degrees: well below 2 mm, and the verdict says found."""
    views, truth = misplaced(seed, ("img00", "img01"))
    found = register(attenuation(), views, isocentre(), seed=seed)
    assert target_error_mm(STILL, truth, around()) > 2
    assert found.verdict == "found"
    assert target_error_mm(found.move, truth, around()) < 0.5


def test_another_patient_s_x_ray_is_a_failure() -> None:
    """A picture that is not of this CT is not brought to it."""
    views, _ = misplaced(3, ("img00",))
    stranger = np.ascontiguousarray(views[0].xray[::-1].T)
    found = register(attenuation(), [TakenView(views[0].carm, stranger)], isocentre())
    assert found.verdict == "failed"
    assert "do not match" in found.reason or "apart" in found.reason


@pytest.mark.verify
def test_nine_starts_in_ten_end_within_two_millimetres() -> None:
    """Twenty starts with two views; no success is claimed where the pose is wrong."""
    errors = []
    for seed in range(20):
        views, truth = misplaced(100 + seed, ("img00", "img01"))
        found = register(attenuation(), views, isocentre(), seed=seed)
        errors.append(target_error_mm(found.move, truth, around()))
        assert found.verdict == "failed" or errors[-1] < 2
    assert np.mean(np.array(errors) < 2) >= 0.9


def test_views_without_contrast_are_refused() -> None:
    """Nothing to register."""
    blank = np.zeros((256, 256), np.float32)
    with pytest.raises(InputError, match="shows nothing"):
        register(attenuation(), [TakenView(carm_of("img00"), blank)], isocentre())
    with pytest.raises(InputError, match="size"):
        TakenView(carm_of("img00"), blank[:10])


def a_case(folder: Path) -> Path:
    """A case on the scan of the X-rays."""
    text = yaml.safe_dump(
        {
            "schema_version": 1, "id": "xray", "demonstration": True, "patient": {"id": "nobody"},
            "image": {"path": "ct.nii.gz", "modality": "CT", "attribution": "LIDC-IDRI, CC BY 3.0"},
        }
    )  # fmt: skip
    (folder / "case.yaml").write_text(text, "utf-8")
    (folder / "ct.nii.gz").write_bytes((FOLDER / "ct.nii.gz").read_bytes())
    return folder


def views_file(folder: Path, move: RigidTransform, with_images: bool) -> Path:
    """A views file of the two X-rays with a needle."""
    views = []
    for key in ("img04", "img05"):
        one = {
            "carm": carm_of(key).moved(move).model_dump(mode="json"),
            "tip": entry(key)["needle"]["tip_pixel_col_row"],
        }
        if with_images:
            np.save(folder / f"{key}.npy", xray(key))
            one["image"] = f"{key}.npy"
        views.append(one)
    path = folder / "views.yaml"
    path.write_text(yaml.safe_dump({"views": views, "isocentre_mm": isocentre().tolist()}), "utf-8")
    return path


def test_commands_triangulate_and_register(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With wrong stated geometry the tip is wrong; after registration it is within half a millimetre."""
    tip = np.array(lps(entry("img04")["needle"]["tip_ras"]))
    move = rotation_about(np.array([3.0, -4, 5]), isocentre(), np.array([4.0, -6, 5]))
    views = views_file(tmp_path, move, with_images=True)
    assert run(["triangulate", str(views), "--json"]) == 0
    stated = json.loads(capsys.readouterr().out)
    assert np.linalg.norm(np.array(stated["point_mm"]) - tip) > 3
    assert run(["register", str(a_case(tmp_path)), str(views), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "found"
    assert np.linalg.norm(np.array(found["tip"]["point_mm"]) - tip) < 0.5


def test_view_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A PNG with needle and target; the file is not overwritten unasked."""
    from PIL import Image

    from neurolysis.app.demo import demo_case

    out = tmp_path / "drr.png"
    command = ["view", str(demo_case()), "--carm", "lao=20,cranial=10", "--out", str(out), "--json"]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lao_deg"], found["cranial_deg"]) == (20, 10)
    with Image.open(out) as picture:
        assert picture.size == (1024, 1024)
    assert run(command) == 5
    for bad in ("lao=x", "left=5", "cranial=95", "lao=1,lao=2"):
        assert run(["view", str(demo_case()), "--carm", bad, "--out", str(tmp_path / "b.png")]) == 2
    assert not (tmp_path / "b.png").exists()
