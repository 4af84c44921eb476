"""Hostile uploads: bombs, bad paths, links, junk; each refused with a typed error and nothing left over."""

from __future__ import annotations

import io
import json
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.app.case_import import Brought, arrived, kind_of
from neurolysis.app.demo import demo_case
from neurolysis.errors import NeurolysisError

from .server_kit import Server, serving

YAML = "id: brought\npatient: {id: p}\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    with serving(tmp_path_factory.mktemp("uploads")) as server:
        client = server.client()
        yield server, client
        client.close()


def packed(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def linked() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("case.yaml", YAML)
        entry = zipfile.ZipInfo("ct.nii.gz")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "junk": bytes(range(256)) * 20,
    "cut.zip": packed({"case.yaml": YAML.encode()})[:40],
    "empty.zip": packed({}),
    "up.zip": packed({"case.yaml": YAML.encode(), "../evil.txt": b"x"}),
    "absolute.zip": packed({"case.yaml": YAML.encode(), "/tmp/evil.txt": b"x"}),  # noqa: S108
    "windows.zip": packed({"case.yaml": YAML.encode(), "C:\\evil.txt": b"x"}),
    "link.zip": linked(),
    "bomb.zip": packed({"case.yaml": YAML.encode(), "zeros.nii": bytes(60_000_000)}),
    "dicom-bomb.zip": packed({"1.dcm": bytes(60_000_000)}),
    "nested.zip": packed({"inner.zip": packed({"a.dcm": b"x"})}),
    "many.zip": packed({f"{n}.dcm": b"" for n in range(6000)}, zipfile.ZIP_STORED),
    "no-dicom.zip": packed({"readme.txt": b"hello"}),
    "outside.zip": packed({"case.yaml": b"id: x\npatient: {id: p}\nimage: {path: ../../../etc/passwd}\n"}),
    "missing.zip": packed({"case.yaml": b"id: x\npatient: {id: p}\nimage: {path: ct.nii.gz}\n"}),
    "not-nifti.nii.gz": b"\x1f\x8b" + bytes(50),
    "not-dicom.dcm": bytes(128) + b"DICM" + b"\xff" * 200,
    "deep.json": b'{"a":' * 100_000,
    "no-bundle.json": b'{"resourceType": "Patient"}',
    "list.yaml": b"- 1\n- 2\n",
    "anchors.yaml": b"a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n",
    "manifest.zip": packed({"case.json": b"{}"}),
    "manifest-deep.zip": packed({"case.json": b"[" * 100_000}, zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_refused(house: tuple[Server, httpx.Client], name: str) -> None:
    server, client = house
    before = client.get("/api/cases").json()["total"]
    begun = time.perf_counter()
    answer = client.post("/api/cases/import", files={"file": (name, HOSTILE[name])})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["problem"]
    assert time.perf_counter() - begun < 30
    assert client.get("/api/cases").json()["total"] == before
    assert "root:" not in answer.text
    assert not [one for one in Path(tempfile.gettempdir()).glob("neurolysis-import-*") if _ours(one, begun)]
    assert not Path("/tmp/evil.txt").exists()  # noqa: S108
    assert server.process.poll() is None


def _ours(place: Path, since: float) -> bool:
    """Whether a folder left over is of this very request (other servers run on this machine too)."""
    age = time.time() - place.stat().st_mtime
    return age < time.perf_counter() - since and any((place / "brought").glob("*"))


@pytest.mark.parametrize("name", ["../../evil", "a/../../evil", "/etc/cron.d/x", "C:evil", "..\\evil"])
def test_names_of_sent_files_are_never_paths(house: tuple[Server, httpx.Client], name: str) -> None:
    _, client = house
    files = [("file", ("case/case.yaml", YAML.encode())), ("file", (name, b"x"))]
    answer = client.post("/api/cases/import", files=files)
    assert answer.status_code == 422, answer.text


def test_a_form_that_is_none(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x", "text/plain"):
        answer = client.post("/api/cases/import", content=b"--x\r\nrubbish", headers={"content-type": kind})
        assert answer.status_code == 422, answer.text


def test_a_case_folder_and_a_demonstration_are_taken_in(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    folder = demo_case()
    entries = {f"demo/{file.name}": file.read_bytes() for file in folder.iterdir()}
    answer = client.post("/api/cases/import", files={"file": ("demo.zip", packed(entries))})
    assert answer.status_code == 201, answer.text
    case = client.get(f"/api/cases/{answer.json()['id']}").json()
    assert set(case["files"]) == {"ct.nii.gz", "labels_subregion.nii.gz", "labels_vertebra.nii.gz"}
    loose = [("file", (f"demo/{file.name}", file.read_bytes())) for file in folder.iterdir()]
    again = client.post("/api/cases/import", files=loose)
    assert again.status_code == 201, again.text
    assert client.get(f"/api/cases/{again.json()['id']}").json()["files"] == case["files"]


def test_an_image_is_given_to_a_case(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    client.post("/api/cases", json={"case": {"id": "later", "patient": {"id": "p"}}})
    content = (demo_case() / "ct.nii.gz").read_bytes()
    sent = {"file": ("scan of Mrs X.nii.gz", content)}
    answer = client.post("/api/cases/later/image", files=sent, headers={"if-match": "1"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    assert "Mrs X" not in answer.text
    assert client.get("/api/cases/later/image").json()["shape"] == [73, 47, 73]
    late = client.post("/api/cases/later/image", files=sent, headers={"if-match": "1"})
    assert late.status_code in (200, 409)


def test_what_a_wire_bundle_leaves_out_is_told(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    patient = {"resource": {"resourceType": "Patient", "id": "p9", "gender": "female"}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [patient]}
    answer = client.post("/api/cases/import", files={"file": ("b.json", json.dumps(bundle).encode())})
    assert answer.status_code == 201, answer.text
    assert client.get(f"/api/cases/{answer.json()['id']}").json()["case"]["patient"]["sex"] == "female"


@settings(max_examples=60)
@given(content=st.binary(max_size=600), name=st.text(max_size=20))
def test_any_bytes_are_a_case_or_a_typed_error(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "00000"
        place.write_bytes(content)
        brought = [Brought(name, place)]
        try:
            if kind_of(brought) not in ("exported case", "bundle"):
                arrived(brought, Path(folder) / "work")
        except NeurolysisError:
            pass
        assert {one.name for one in Path(folder).iterdir()} <= {"00000", "work"}
