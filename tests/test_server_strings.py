"""Scripts stored in text fields: written out on every page, and run on none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .server_kit import Server, serving

EVIL = "<script>window.ran=1</script><img src=x onerror='window.ran=1'>\"'><svg onload=window.ran=1>{{7*7}}"
CASE = "demo-l2-medial-branch"
STEPS = (
    "evaluation",
    "anesthesia",
    "aftercare",
    "decision-aid",
    "aftercare/patient-sheet",
    "procedure/sheet",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    with serving(tmp_path_factory.mktemp("strings")) as server:
        client = server.client()
        case = client.post("/api/cases", json={"demo": "medial-branch"}).json()["case"]
        answer = client.put(f"/api/cases/{CASE}", json={"case": spoiled(case)}, headers={"if-match": "1"})
        assert answer.status_code == 200, answer.text
        yield server, client
        client.close()


def spoiled(case: dict[str, Any]) -> dict[str, Any]:
    """The case with a script in every field that takes free text."""
    medication = {"name": EVIL, "dose": EVIL}
    finding = {"kind": "exam", "name": EVIL, "result": EVIL, "unit": EVIL}
    return {
        **case,
        "title": EVIL, "complaint": EVIL, "notes": EVIL,
        "conditions": [EVIL], "allergies": [EVIL],
        "patient": {**case["patient"], "id": EVIL},
        "medications": [*case["medications"], medication],
        "findings": [*case["findings"], finding],
        "implants": [{"name": EVIL, "electronic": False, "material": EVIL}],
        "expected_survival": None,
        "image": {**case["image"], "attribution": EVIL},
    }  # fmt: skip


def pages(client: httpx.Client) -> Iterator[tuple[str, str]]:
    for step in STEPS:
        address = f"/api/cases/{CASE}/{step}?format=html"
        answer = client.get(address)
        assert answer.status_code == 200, (step, answer.text)
        yield address, answer.text


def test_no_page_holds_the_script_as_markup(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    shown = 0
    for address, text in pages(client):
        assert "<script>window.ran" not in text, address
        assert "<img src=x" not in text, address
        assert "<svg onload" not in text, address
        shown += "&lt;script&gt;window.ran" in text
    assert shown >= 1, "at least one page shows the text as text"


def test_answers_are_never_taken_for_pages(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    answer = client.get(f"/api/cases/{CASE}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["case"]["title"] == EVIL, "what was typed is kept as it is"


@pytest.mark.chromium
def test_no_script_runs_in_a_real_browser(house: tuple[Server, httpx.Client]) -> None:
    browser_file = shutil.which("chromium")
    if browser_file is None:
        pytest.skip("needs the Debian package chromium")
    from playwright.sync_api import sync_playwright

    server, client = house
    (cookie,) = client.cookies.jar
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": server.url}])
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for step in STEPS:
            answer = page.goto(f"{server.url}/api/cases/{CASE}/{step}?format=html", wait_until="load")
            assert answer is not None
            assert answer.status == 200
            assert page.evaluate("window.ran") is None, step
        own = (server.url, "data:")
        assert [url for url in asked if not url.startswith(own)] == [], "nothing is asked of anybody else"
        context.close()
        browser.close()
