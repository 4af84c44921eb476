"""Cases, documents and images over HTTP, held against what the program itself computes."""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from neurolysis.app.demo import demo_case
from neurolysis.app.view_scene import _int16
from neurolysis.localization.images import read_image, read_labels

from .server_kit import Server, serving, small_case

CASE = "demo-l2-medial-branch"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    with serving(tmp_path_factory.mktemp("cases")) as server:
        client = server.client()
        assert client.post("/api/cases", json={"demo": "medial-branch"}).status_code == 201
        yield server, client
        client.close()


@pytest.fixture
def client(house: tuple[Server, httpx.Client]) -> httpx.Client:
    return house[1]


def make(client: httpx.Client, case_id: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/api/cases", json={"case": small_case(case_id, **more)})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def save(client: httpx.Client, case: dict[str, Any], version: int) -> httpx.Response:
    body = {"case": case, "reason": "test"}
    return client.put(f"/api/cases/{case['id']}", json=body, headers={"if-match": f'"{version}"'})


def test_a_case_made_read_saved_and_its_history(client: httpx.Client) -> None:
    made = make(client, "history", complaint="first")
    assert (made["version"], made["approval"], made["draft"]) == (1, None, {})
    changed = {**made["case"], "complaint": "second"}
    assert save(client, changed, 1).json()["version"] == 2
    assert client.get("/api/cases/history").json()["case"]["complaint"] == "second"
    assert client.get("/api/cases/history?version=1").json()["case"]["complaint"] == "first"
    assert [one["version"] for one in client.get("/api/cases/history/versions").json()] == [2, 1]


def test_two_tabs_cannot_overwrite_each_other(client: httpx.Client) -> None:
    made = make(client, "tabs")
    assert save(client, {**made["case"], "notes": "tab one"}, 1).status_code == 200
    late = save(client, {**made["case"], "notes": "tab two"}, 1)
    assert late.status_code == 409
    assert late.json()["error"]["version"] == 2
    assert client.get("/api/cases/tabs").json()["case"]["notes"] == "tab one"


@pytest.mark.parametrize("match", ["", "x", "-1", "1.5", "99999999999", "*"])
def test_a_save_says_which_version_it_was_made_from(client: httpx.Client, match: str) -> None:
    answer = client.put(f"/api/cases/{CASE}", json={"case": small_case(CASE)}, headers={"if-match": match})
    assert answer.status_code == 422
    assert answer.json()["error"]["where"] == "If-Match"


def test_what_is_wrong_with_a_case_is_told_with_its_place(client: httpx.Client) -> None:
    answer = client.post("/api/cases", json={"case": small_case("bad", patient={"id": "p", "weight_kg": -3})})
    assert answer.status_code == 422
    assert answer.json()["error"]["where"] == "body.case.patient.weight_kg"
    assert client.get("/api/cases/bad").status_code == 404


def test_drafts_are_kept_as_typed(client: httpx.Client) -> None:
    make(client, "typed")
    data = {"half": "a sent", "numbers": [1, 2.5, None], "bad": {"weight_kg": "eighty"}}
    assert client.put("/api/cases/typed/draft/case-evaluate", json=data).status_code == 200
    assert client.get("/api/cases/typed").json()["draft"]["case-evaluate"]["data"] == data
    assert client.get("/api/cases/typed/draft/case-evaluate").json()["data"] == data
    client.delete("/api/cases/typed/draft/case-evaluate")
    assert client.get("/api/cases/typed").json()["draft"] == {}


def test_the_trash_gives_back(client: httpx.Client) -> None:
    make(client, "thrown")
    assert client.delete("/api/cases/thrown").status_code == 200
    assert client.get("/api/cases/thrown").status_code == 404
    assert "thrown" in [row["id"] for row in client.get("/api/cases?trash=1").json()["rows"]]
    assert client.post("/api/cases/thrown/restore").json()["id"] == "thrown"
    assert client.get("/api/cases/thrown").status_code == 200


def test_the_list_is_searched_and_paged(client: httpx.Client) -> None:
    for number in range(5):
        make(client, f"list-{number}", title=f"Searched {number}")
    page = client.get("/api/cases", params={"query": "searched", "limit": 2, "offset": 1}).json()
    assert page["total"] == 5
    assert len(page["rows"]) == 2
    assert client.get("/api/cases", params={"query": "100% _ '; drop"}).json()["total"] == 0


def test_a_name_stays_out_of_the_case(client: httpx.Client) -> None:
    make(client, "named")
    client.put("/api/cases/named/patient-name", json={"name": "Ada Canary"})
    row = next(r for r in client.get("/api/cases?query=canary").json()["rows"] if r["id"] == "named")
    assert row["patient_name"] == "Ada Canary"
    assert "Canary" not in client.get("/api/cases/named").text


def test_documents_have_versions(client: httpx.Client) -> None:
    make(client, "documented")
    address = "/api/cases/documented/outcome"
    assert client.get(address).json()["version"] == 0
    value = {"case_id": "documented", "clinician": "Dr A"}
    assert client.put(address, json={"value": value}, headers={"if-match": "0"}).json()["version"] == 1
    assert client.put(address, json={"value": value}, headers={"if-match": "0"}).status_code == 409
    assert client.get(address).json()["value"]["clinician"] == "Dr A"
    wrong = client.put(address, json={"value": {"case_id": "documented", "x": 1}}, headers={"if-match": "1"})
    assert wrong.status_code == 422


def test_a_case_out_and_in_again(client: httpx.Client) -> None:
    exported = client.get(f"/api/cases/{CASE}/export")
    assert exported.headers["content-disposition"].endswith(f'{CASE}.zip"')
    taken = client.post("/api/cases/import", files={"file": ("x.zip", exported.content)})
    assert taken.status_code == 409, "it is still there"


# ---------------------------------------------------------------- images


def test_voxels_arrive_as_they_are(client: httpx.Client) -> None:
    about = client.get(f"/api/cases/{CASE}/image").json()
    image = read_image(demo_case() / "ct.nii.gz")
    assert about["affine"] == image.affine.tolist()
    raw = client.get(f"/api/cases/{CASE}/image/voxels").content
    nx, ny, nz = about["shape"]
    assert len(raw) == 2 * nx * ny * nz
    x, y, z = 11, 20, 33
    (value,) = struct.unpack_from("<h", raw, 2 * (x + nx * (y + ny * z)))
    assert value == image.array[x, y, z]
    for number, name in enumerate(("labels_subregion", "labels_vertebra")):
        labels = read_labels(demo_case() / f"{name}.nii.gz", image)
        sent = client.get(f"/api/cases/{CASE}/labels/{number}/voxels").content
        assert sent == labels.array.astype("u1").tobytes(order="F")
    assert client.get(f"/api/cases/{CASE}/labels/9/voxels").status_code == 404


def test_voxels_travel_compressed(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    with client.stream("GET", f"/api/cases/{CASE}/image/voxels") as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join(answer.iter_raw())
    assert len(gzip.decompress(raw)) > 1.2 * len(raw)


@pytest.mark.parametrize("low", [0.0, -3.5])
def test_intensities_that_are_no_whole_numbers_come_back(low: float) -> None:
    values = np.linspace(low, low + 2, 1000).reshape(10, 10, 10)
    stored, slope, intercept = _int16(values)
    assert stored.dtype == np.int16
    assert np.abs(stored * slope + intercept - values).max() <= slope / 2 + 1e-12


def test_a_case_without_an_image_says_so(client: httpx.Client) -> None:
    make(client, "blind")
    for part in ("image", "image/voxels", "scene"):
        answer = client.get(f"/api/cases/blind/{part}")
        assert answer.status_code == 404
        assert "no image" in answer.json()["error"]["problem"]


def test_the_scene_and_its_x_ray(client: httpx.Client) -> None:
    scene = client.get(f"/api/cases/{CASE}/scene").json()
    assert sum(nerve["is_target"] for nerve in scene["nerves"]) == 1
    (needle,) = scene["placements"]
    tip, hub = np.array(needle["tip_mm"]), np.array(needle["hub_mm"])
    assert np.linalg.norm(hub - tip) == pytest.approx(100, abs=100)
    tunnel = client.get(f"/api/cases/{CASE}/tunnel-view").json()
    shown = client.post(f"/api/cases/{CASE}/fluoroscopy", json={**tunnel, "columns": 128})
    assert shown.content[:8] == b"\x89PNG\r\n\x1a\n"
    carm = json.loads(shown.headers["x-neurolysis-carm"])
    source, along = np.array(carm["source_mm"]), (hub - tip) / np.linalg.norm(hub - tip)
    beam = (np.array(carm["detector_mm"]) - source) / np.linalg.norm(np.array(carm["detector_mm"]) - source)
    assert abs(float(beam @ along)) == pytest.approx(1, abs=1e-6), "the tunnel view looks down the needle"


def test_the_needle_in_the_x_ray_is_the_dragged_one(client: httpx.Client) -> None:
    needle = {"instrument": "cannula_18g_10mm", "tip_mm": [0, 0, 0], "towards_hub_mm": [0, 10, 0]}
    saved = client.post(f"/api/cases/{CASE}/fluoroscopy", json={"columns": 64})
    none = client.post(f"/api/cases/{CASE}/fluoroscopy", json={"columns": 64, "placements": []})
    unknown = {**needle, "instrument": "knitting needle"}
    refused = client.post(f"/api/cases/{CASE}/fluoroscopy", json={"placements": [unknown]})
    assert saved.content != none.content
    assert saved.headers["x-neurolysis-carm"] == none.headers["x-neurolysis-carm"], "the picture stays put"
    assert refused.status_code == 422
    assert "cannula" in refused.json()["error"]["allowed"]


@pytest.mark.parametrize("step", ["evaluation", "localization", "anesthesia", "aftercare", "decision-aid"])
def test_steps_answer_as_the_commands_do(client: httpx.Client, step: str) -> None:
    found = client.get(f"/api/cases/{CASE}/{step}").json()
    assert "research use" in found["research_use"]
    assert tempfile.gettempdir() not in json.dumps(found), "no place on the server's disk is told"


@pytest.mark.parametrize("step", ["evaluation", "anesthesia", "aftercare", "decision-aid"])
def test_steps_have_a_page_in_which_no_script_runs(client: httpx.Client, step: str) -> None:
    page = client.get(f"/api/cases/{CASE}/{step}?format=html")
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "script" not in page.headers["content-security-policy"].replace("'none'", "")
    assert "<script" not in page.text.casefold()


def test_the_curve_takes_the_weight_of_the_case(client: httpx.Client) -> None:
    dose = {"agent": "lidocaine", "dose_mg": 400, "site": "subcutaneous"}
    agents = client.get("/api/catalogue").json()["absorption_sites"]
    dose["site"] = agents[0]["id"]
    found = client.post(f"/api/cases/{CASE}/anesthetic-curve", json=dose)
    assert found.status_code == 200, found.text
    assert len(found.json()["curve"]["time_min"]) > 10
