"""The page in a real browser on a real server: a whole case, drags, reloads, two tabs, access, scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from neurolysis.report import palette

from .page_kit import (
    FRONTEND,
    SLOW_MS,
    TABS,
    Desk,
    box_of,
    demo_zip,
    needs_browser,
    needs_modules,
    needs_page,
    new_demo,
    saved,
    signed_in,
)
from .server_kit import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = FRONTEND / "node_modules/axe-core/axe.min.js"
pytestmark = [pytest.mark.chromium, needs_browser, needs_page]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page") / "store", workers=1) as running:
        yield running


# ---------------------------------------------------------------- a whole case


def test_a_case_from_import_to_approved_plan_report_room_and_follow_up(desk: Desk, tmp_path: Path) -> None:
    page = desk.tab()
    page.get_by_role("heading", name="Cases", exact=True).wait_for()
    page.locator('input[aria-label="File to import"]').set_input_files(demo_zip(tmp_path))
    page.wait_for_selector(".tabs")
    case = page.url.split("/case/")[1].split("/")[0]

    # Evaluate: side and level in sight, causes ranked; paint and save.
    assert page.locator(".side").inner_text().strip().endswith("LEFT")
    page.get_by_text("Likely causes, ranked").wait_for()
    page.locator('[data-area="buttock"][data-side="left"]').first.click()
    page.wait_for_selector(".saving.unsaved")
    saved(page)

    # Deliver: run, watch, read, approve.
    page.get_by_role("link", name="Deliver").click()
    page.get_by_role("button", name="Run the simulation").click()
    page.get_by_text("Plan 1: what the simulation says").wait_for(timeout=SLOW_MS)
    if AXE.is_file():
        assert _broken_rules(page, AXE.read_text("utf-8")) == [], "with a plan's results on the page"
    _lesion_grows_with_the_time_slider(page)
    page.get_by_role("button", name="Approve plan 1").click()
    approve = page.get_by_role("button", name="Approve", exact=True)
    assert approve.is_disabled(), "no name and no reason yet"
    page.get_by_label("Name of the approving clinician").fill("Dr Example")
    page.get_by_label("Reason for approval").fill("Simulated and looked at in the test")
    approve.click()
    page.get_by_text("Plan 1 is approved").wait_for(timeout=SLOW_MS)
    page.locator(".approve").get_by_text("APPROVED by Dr Example").wait_for()
    report = desk.context.request.get(f"{desk.server.url}/api/cases/{case}/plans/1/report.html")
    assert "APPROVED by Dr Example (name typed, not authenticated)" in report.text()

    # Procedure: time-out and one lesion, as given.
    page.get_by_role("link", name="Procedure").click()
    page.get_by_role("button", name="Held now").click()
    page.get_by_role("button", name="Lesion").click()
    page.get_by_label("Duration").fill("88")
    page.get_by_role("button", name="Save the procedure").click()
    page.get_by_text("The procedure is saved").wait_for()

    # Follow up: taken over from what was given.
    page.get_by_role("link", name="Follow up").click()
    page.get_by_role("button", name="Take over from the procedure").click()
    page.get_by_label("Treatment").select_option("rf_conventional")
    page.get_by_role("button", name="Add today").click()
    page.get_by_label("Pain", exact=True).fill("2")
    page.get_by_role("button", name="Save the follow-up").click()
    page.get_by_text("Follow-up is saved").wait_for()
    with signed_in(desk.server) as client:
        given = client.get(f"/api/cases/{case}/procedure").json()["value"]
        assert [(one["kind"], one["duration_s"]) for one in given["steps"]] == [("lesion", 88.0)]
        outcome = client.get(f"/api/cases/{case}/outcome").json()["value"]
        assert outcome["diary"][0]["pain"] == 2
        state = client.get(f"/api/cases/{case}").json()["state"]
    assert state in ("delivered", "follow-up due")
    page.goto(f"{desk.server.url}/#/")
    page.get_by_role("cell", name=state).first.wait_for()


SHOWN = """() => [document.querySelector('[data-plane="axial"] canvas').toDataURL(),
  document.querySelector('.space .over').view?.lesionSource?.lesionLevel ?? null]"""


def _lesion_grows_with_the_time_slider(page: Page) -> None:
    """Slices and 3-D show the lesion of the time that is chosen."""
    slider = page.get_by_label(re.compile("^Time "))
    page.wait_for_function("document.querySelector('.space .over').view?.lesionSource")
    slice_before, level_before = page.evaluate(SHOWN)
    early = round(0.3 * float(slider.get_attribute("max") or 0), 1)
    slider.evaluate(
        "(one, value) => { one.value = value; one.dispatchEvent(new Event('input', {bubbles: true})); }",
        early,
    )
    page.wait_for_function(
        "old => document.querySelector('.space .over').view.lesionSource.lesionLevel !== old",
        arg=level_before,
    )
    slice_now, level_now = page.evaluate(SHOWN)
    assert -level_now == pytest.approx(early, rel=0.05), "what was reached by then, in 3-D"
    assert slice_now != slice_before
    page.get_by_role("button", name="Whole run").click()


# ---------------------------------------------------------------- needle


def test_a_dragged_needle_is_previewed_and_let_go_it_is_simulated_through_a_reload(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "localize")
    page.wait_for_selector('[data-plane="axial"] .preview-mark', timeout=SLOW_MS)
    with signed_in(desk.server) as client:
        before = client.get(f"/api/cases/{case}").json()["case"]["treatment"]["placements"][0]
    box = box_of(page, '[data-plane="axial"] canvas')
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)  # the slices stand at the tip
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + 2 * step, y + step)
    assert page.locator('[data-plane="sagittal"] .preview-mark').is_visible()
    assert page.get_by_text("Simulating").count() == 0, "nothing is simulated while it is dragged"
    drags = page.evaluate("performance.getEntriesByName('needle-preview').length")
    assert drags >= 8 * 3, "every move is drawn in every slice"
    page.mouse.up()
    page.wait_for_selector("progress")

    page.reload()
    page.wait_for_selector("progress", timeout=SLOW_MS)
    with signed_in(desk.server) as client:
        now = client.get(f"/api/cases/{case}").json()
        jobs = client.get("/api/jobs", params={"case": case}).json()
    after = now["case"]["treatment"]["placements"][0]
    moved = np.subtract(after["tip_mm"], before["tip_mm"])
    per_px = moved[0] / 16
    assert moved[0] > 0.5, "to the right of the picture is to the patient's left"
    assert moved == pytest.approx([16 * per_px, 8 * per_px, 0], abs=0.05)
    turn = np.subtract(after["towards_hub_mm"], before["towards_hub_mm"])
    assert turn == pytest.approx(moved, abs=0.02), "the tip carries the whole needle"
    assert len(jobs) == 1, "the reload started nothing anew"
    page.get_by_role("link", name="Deliver").click()
    page.get_by_text("Plan 1: what the simulation says").wait_for(timeout=SLOW_MS)


def test_the_needle_can_be_moved_from_the_keyboard(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "localize")
    field = page.get_by_label("Tip, head +")
    field.fill("-50")
    page.wait_for_selector(".saving.unsaved")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector(".saving.saved")
    page.locator('[data-plane="axial"] canvas').focus()
    caption = page.locator('[data-plane="axial"] .caption')
    first = caption.inner_text()
    page.keyboard.press("ArrowUp")
    page.wait_for_function("([sel, old]) => document.querySelector(sel).innerText !== old",
                           arg=['[data-plane="axial"] .caption', first])  # fmt: skip


def test_a_needle_path_that_is_offered_is_laid_as_the_server_gave_it(desk: Desk) -> None:
    case = new_demo(desk.server, "celiac")
    page = desk.opened(case, "localize")
    use = page.get_by_role("button", name="Use path 2 for needle 1")
    use.wait_for(timeout=SLOW_MS)
    page.get_by_label("Simulate when the needle is let go").uncheck()
    use.click()
    saved(page)
    with signed_in(desk.server) as client:
        paths = client.get(f"/api/cases/{case}/localization").json()["paths"]
        first, second = client.get(f"/api/cases/{case}").json()["case"]["treatment"]["placements"]
        before = client.get(f"/api/cases/{case}?version=1").json()["case"]["treatment"]["placements"]
    offer = paths["search"]["offers"][1]
    assert first["instrument"] == paths["instrument"]
    assert first["tip_mm"] == pytest.approx(offer["tip_mm"], abs=0.006)
    shaft = np.subtract(first["towards_hub_mm"], first["tip_mm"])
    assert shaft / np.linalg.norm(shaft) == pytest.approx(offer["direction_to_hub"], abs=2e-4)
    to_skin = np.subtract(offer["entry_mm"], offer["tip_mm"])
    assert shaft @ to_skin == pytest.approx(np.linalg.norm(shaft) * np.linalg.norm(to_skin), rel=1e-4)
    assert second == before[1], "the other needle stays"


def test_the_room_page_says_what_the_rules_say_of_the_saved_procedure(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "procedure")
    rules = page.get_by_role("region", name="What the rules of the room say")
    rules.get_by_text("The side was not said at the time-out.").wait_for()
    page.get_by_role("group", name="Side, as the patient says it").get_by_label("right").check(force=True)
    page.get_by_role("button", name="Save the procedure").click()
    rules.get_by_text("The side was not said at the time-out.").wait_for(state="detached")
    with signed_in(desk.server) as client:
        check = client.get(f"/api/cases/{case}/procedure").json()["check"]
    told = [one["text"] for one in check["notices"]]
    assert any(one["code"].startswith("side.") and one["severity"] == "stop" for one in check["notices"])
    assert rules.locator(".notice").count() == len(told)
    for text in told:
        assert rules.get_by_text(text).count() == 1


def test_bone_nerve_and_needle_are_drawn_in_three_dimensions(desk: Desk) -> None:
    page = desk.opened(new_demo(desk.server), "localize")
    page.wait_for_selector(".space canvas", timeout=SLOW_MS)
    page.wait_for_function("document.querySelector('.space .over')?.view !== undefined")
    page.wait_for_timeout(2500)
    pixels = _pixels(page.locator(".space").screenshot())
    lit = pixels.max(axis=2) > 90
    assert lit.mean() > 0.03, "bone fills part of the picture"
    blue = (pixels[..., 2] > pixels[..., 0] + 40) & (pixels[..., 2] > 90)
    assert blue.sum() > 20, "the nerve is there"


def _pixels(png: bytes) -> Any:
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(png)).convert("RGB"), dtype=int)


# ---------------------------------------------------------------- nothing is lost


def test_what_was_typed_outlives_a_reload_and_stays_marked_unsaved(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "evaluate")
    page.get_by_label("Complaint, in the patient's words").fill("Typed and not saved")
    page.get_by_text("draft kept").wait_for()
    page.reload()
    page.wait_for_selector(".saving.unsaved")
    assert page.get_by_label("Complaint, in the patient's words").input_value() == "Typed and not saved"
    with signed_in(desk.server) as client:
        assert client.get(f"/api/cases/{case}").json()["version"] == 1
    saved(page)
    with signed_in(desk.server) as client:
        now = client.get(f"/api/cases/{case}").json()
    assert (now["version"], now["case"]["complaint"]) == (2, "Typed and not saved")


def test_two_tabs_on_one_case_show_the_conflict_and_lose_nothing(desk: Desk) -> None:
    case = new_demo(desk.server)
    first, second = desk.opened(case, "evaluate"), desk.opened(case, "evaluate")
    complaint, title = "Complaint, in the patient's words", "Title of the case"
    first.get_by_label(complaint).fill("from the first tab")
    first.get_by_label("Height").fill("171")
    second.get_by_label(complaint).fill("from the second tab")
    second.get_by_label(title).fill("Title from the second tab")
    first.get_by_text("draft kept").wait_for()
    second.get_by_text("draft kept").wait_for()
    saved(first)
    second.get_by_role("button", name="Save", exact=True).click()
    second.get_by_text("saved by somebody else meanwhile").wait_for()
    assert second.locator(".saving.conflict").is_visible()
    assert second.get_by_label(complaint).input_value() == "from the second tab"
    second.get_by_role("group", name="complaint").get_by_label("Mine").check()
    second.get_by_role("button", name="Put them together").click()
    saved(second)
    with signed_in(desk.server) as client:
        now = client.get(f"/api/cases/{case}").json()["case"]
        earlier = client.get(f"/api/cases/{case}", params={"version": 2}).json()["case"]
    assert now["complaint"] == "from the second tab"
    assert now["title"] == "Title from the second tab"
    assert now["patient"]["height_cm"] == 171
    assert earlier["complaint"] == "from the first tab", "theirs stays in the history"


def test_a_case_put_into_the_trash_comes_back_by_undo(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.tab()
    row = page.locator("tr", has=page.locator(f'a[href="#/case/{case}/evaluate"]'))
    row.get_by_role("button", name=re.compile("trash", re.IGNORECASE)).click()
    row.wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    row.wait_for()


# ---------------------------------------------------------------- everybody can use it, nobody can misuse it


@needs_modules
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_meets_the_accessibility_rules(browser: Browser, server: Server, scheme: str) -> None:
    desk = Desk(browser, server, color_scheme=scheme)
    axe = AXE.read_text("utf-8")
    case = new_demo(server)
    found: dict[str, list[str]] = {}
    page = desk.tab()
    page.wait_for_selector("table.cases")
    found["cases"] = _broken_rules(page, axe)
    for tab in TABS:
        page.goto(f"{server.url}/#/case/{case}/{tab}")
        page.wait_for_selector(".tabs")
        page.wait_for_load_state("networkidle")
        found[tab] = _broken_rules(page, axe)
    page.close()
    desk.close()
    assert {tab: rules for tab, rules in found.items() if rules} == {}


def _broken_rules(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    answer = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", tags
    )
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary'].splitlines()[1:2]}"
        for rule in answer["violations"]
        for node in rule["nodes"][:3]
    ]


HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>\'"`javascript:window.ran=1`'


def test_stored_scripts_do_not_run_on_any_tab(desk: Desk) -> None:
    case = new_demo(desk.server)
    with signed_in(desk.server) as client:
        stored = client.get(f"/api/cases/{case}").json()
        hostile = stored["case"]
        hostile.update(
            title=HOSTILE, complaint=HOSTILE, notes=HOSTILE, conditions=[HOSTILE], allergies=[HOSTILE]
        )
        hostile["patient"]["id"] = HOSTILE
        hostile["medications"] = [{"name": HOSTILE, "dose": HOSTILE}]
        hostile["implants"] = [{"name": HOSTILE, "electronic": False}]
        hostile["findings"].append({"kind": "history", "name": HOSTILE, "result": HOSTILE})
        hostile["target"]["level_counted"] = HOSTILE
        answer = client.put(f"/api/cases/{case}", json={"case": hostile}, headers={"If-Match": "1"})
        assert answer.status_code == 200, answer.text
        room = {"schema_version": 1, "case_id": case, "operator": HOSTILE, "remarks": HOSTILE,
                "agents": [{"name": HOSTILE, "purpose": "other", "lot": HOSTILE}]}  # fmt: skip
        answer = client.put(f"/api/cases/{case}/procedure", json={"value": room}, headers={"If-Match": "0"})
        assert answer.status_code == 200, answer.text
    page = desk.tab()
    page.get_by_text("onerror").first.wait_for()
    for tab in TABS:
        page.goto(f"{desk.server.url}/#/case/{case}/{tab}")
        page.wait_for_selector(".tabs")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ran") is None, tab
        assert page.locator("main img[src='x']").count() == 0
    page.evaluate(INLINE)
    assert page.evaluate("window.inline") is None, "the page's own policy refuses scripts in the page"
    desk.complaints = [one for one in desk.complaints if "Content Security Policy" not in one]


INLINE = """() => { const script = document.createElement('script'); script.textContent = 'window.inline = 1';
                   document.body.append(script); }"""


# ---------------------------------------------------------------- looks


def test_colours_with_a_meaning_are_the_reports_and_stay_apart(desk: Desk) -> None:
    page = desk.tab()
    page.wait_for_selector("h1")
    names = list(palette.SEMANTIC)
    read = "n => getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim().toLowerCase()"
    shown = [page.evaluate(read, name) for name in names]
    assert shown == [palette.SEMANTIC[name].lower() for name in names]
    page.evaluate(
        """names => { document.body.replaceChildren(...names.map((name, k) => {
             const box = document.createElement('div');
             Object.assign(box.style, {position: 'fixed', left: `${40 * k}px`, top: '0', width: '40px',
                                       height: '40px', background: `var(--${name})`});
             return box; })); }""",
        names,
    )
    session = desk.context.new_cdp_session(page)
    for vision in ("none", "protanopia", "deuteranopia", "tritanopia"):
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": vision})
        page.wait_for_timeout(100)
        pixels = _pixels(page.screenshot(clip={"x": 0, "y": 0, "width": 40 * len(names), "height": 40}))
        seen = {name: _lab(pixels[20, 20 + 40 * k]) for k, name in enumerate(names)}
        gaps = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]]))
                for pair in itertools.combinations(names, 2)}  # fmt: skip
        assert min(gaps.values()) > 20, (vision, gaps)


def _lab(colour: Any) -> Any:
    part = np.asarray(colour) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.119192, 0.9503041]]  # fmt: skip
    ratio = to_xyz @ linear / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180)])
def test_nothing_is_cut_off_and_side_and_level_stay_in_sight(
    browser: Browser, server: Server, size: tuple[int, int]
) -> None:
    desk = Desk(browser, server, viewport={"width": size[0], "height": size[1]})
    case = new_demo(server)
    for tab in TABS:
        page = desk.opened(case, tab)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{tab} scrolls sideways by {wide} px"
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        for place in (".side", ".place", ".saving", ".stops-button"):
            box = box_of(page, place)
            assert 0 <= box["y"] < 130, (tab, place)
        page.close()
    desk.close()


def test_the_page_says_what_to_do_where_there_is_nothing(desk: Desk) -> None:
    with signed_in(desk.server) as client:
        made = client.post("/api/cases", json={"case": {"id": "empty", "patient": {"id": "nobody"}}})
        case = made.json()["id"]
    for tab, words in [
        ("localize", "Add an image"),
        ("deliver", "No plan yet"),
        ("anesthetize", "Add each one"),
    ]:
        page = desk.opened(case, tab)
        page.locator("main .empty").get_by_text(words).first.wait_for()
        page.close()
