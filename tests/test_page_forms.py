"""The page's forms and choices in a real browser: what is offered, what is refused, what the case holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from neurolysis.evidence.instruments import instrument_kind

from .page_kit import (
    SLOW_MS,
    Desk,
    box_of,
    needs_browser,
    needs_page,
    new_demo,
    saved,
    signed_in,
)
from .server_kit import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.chromium, needs_browser, needs_page]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("forms") / "store", workers=1) as running:
        yield running


def case_of(server: Server, case: str) -> dict[str, Any]:
    with signed_in(server) as client:
        return dict(client.get(f"/api/cases/{case}").json()["case"])


def offered(select: Locator) -> list[str]:
    return [value for value in select.locator("option").evaluate_all("o => o.map(one => one.value)") if value]


def test_only_instruments_and_strengths_that_fit_are_offered(desk: Desk) -> None:
    case = new_demo(desk.server, "phenol")
    page = desk.opened(case, "deliver")
    picker = page.get_by_label("Instrument (5 of 5 that fit)")
    assert {instrument_kind(name) for name in offered(picker)} == {"injection needle"}
    assert page.get_by_label("Generator").count() == 0, "an injection has none"
    strength = page.get_by_label("Concentration")
    page.get_by_text("from 3 to 7; w/v").wait_for()
    strength.fill("9")
    page.get_by_text("9 is not allowed: from 3 to 7.").wait_for()
    page.get_by_label("Vehicle").select_option("glycerin")
    page.get_by_text("from 3 to 15; w/v").wait_for()
    assert page.get_by_text("9 is not allowed").count() == 0
    page.get_by_label("Agent").select_option("ethanol")
    assert offered(page.get_by_label("Vehicle")) == ["glycerin", "water"], "what was chosen stays in sight"

    page.get_by_label("Technique", exact=True).select_option("radiofrequency")
    page.get_by_text("made for another technique").wait_for()
    picker = page.get_by_label("Instrument (99 of 99 that fit)")
    kinds = [instrument_kind(name) for name in offered(picker)]
    assert kinds.count("electrode") == 99
    assert kinds.count("injection needle") == 1, "the one chosen before, until another is chosen"
    page.get_by_label("Find an instrument").fill("18g 10 mm curved")
    page.get_by_label("Instrument (1 of 99 that fit)").select_option("cannula_18g_10mm_curved")
    page.get_by_text("Electrode, curved: 18G (1.27 mm across), tip 10 mm").wait_for()
    page.get_by_label("Set temperature").fill("80")
    page.get_by_label("Duration").fill("90")
    saved(page)
    treatment = case_of(desk.server, case)["treatment"]
    assert treatment["instrument"] == treatment["placements"][0]["instrument"] == "cannula_18g_10mm_curved"
    assert treatment["protocol"] == {"set_temperature_c": 80, "duration_s": 90}


def test_recorded_findings_come_first_and_what_the_causes_ask_next(desk: Desk) -> None:
    case = new_demo(desk.server)
    with signed_in(desk.server) as client:
        causes = client.get(f"/api/cases/{case}/evaluation").json()["causes"]
    page = desk.opened(case, "evaluate")
    panel = page.get_by_role("region", name="Findings", exact=True)
    asked = panel.get_by_role("region", name="The ranked causes ask for")
    asked.wait_for()
    headings = panel.locator("h3").all_inner_texts()
    assert [text.rsplit(" ", 1)[0] for text in headings] == [
        "Recorded", "The ranked causes ask for", "Red flags and suitability ask for",
    ]  # fmt: skip
    recorded = panel.get_by_role("region", name="Recorded")
    assert recorded.locator(".question").count() == len(case_of(desk.server, case)["findings"])
    assert asked.locator(".question").count() == sum(len(cause["asked"]) for cause in causes)
    panel.get_by_label("Find one of").fill("raynaud")
    found = panel.locator(".question")
    assert 0 < found.count() < 4
    panel.get_by_label("Find one of").fill("")
    asked.get_by_role("group").first.get_by_label("Absent").check(force=True)
    saved(page)
    assert case_of(desk.server, case)["findings"][-1]["result"] == "absent"


def test_a_total_a_block_and_a_consent_reach_the_records(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "evaluate")
    page.get_by_label("Scored elsewhere").select_option("odi")
    page.get_by_label("Total", exact=True).fill("140")
    page.locator(".wrong", has_text="140 is not a total of Oswestry disability index: 0 to 100.").wait_for()
    assert page.get_by_role("button", name="Add the total").is_disabled()
    page.get_by_label("Total", exact=True).fill("44")
    page.get_by_label("Answered on").fill("2026-10-30")
    page.get_by_role("button", name="Add the total").click()

    blocks = page.get_by_role("region", name="Diagnostic blocks")
    blocks.get_by_role("button", name="Add a block").click()
    second = blocks.locator("fieldset.stack.tight").last
    second.get_by_label("Done on").fill("2026-10-20")
    second.get_by_label("Agent").select_option("bupivacaine")
    second.get_by_label("Volume").fill("0.5")
    second.get_by_label("Pain before, 0 to 10").fill("8")
    second.get_by_role("button", name="Add a line to the diary").click()
    second.get_by_label("Pain, line 1").fill("2")
    saved(page)
    second.get_by_text("75 % relief at best").wait_for()

    consent = page.get_by_role("region", name="Consent")
    consent.get_by_label("Given").check(force=True)
    save = consent.get_by_role("button", name="Save the consent")
    assert save.is_disabled()
    consent.get_by_text("Still needed: the day; who took it; the language.").wait_for()
    consent.get_by_label("Signed on").fill("2026-11-01")
    consent.get_by_label("Taken by").fill("Dr Example")
    consent.get_by_label("Language of the talk").select_option("de")
    save.click()
    page.get_by_text("The consent is saved, version 1.").wait_for()

    now = case_of(desk.server, case)
    assert now["scores"][-1] == {
        "instrument": "odi", "total": 44, "minimum": 0, "maximum": 100, "observed": "2026-10-30",
    }  # fmt: skip
    block = now["blocks"][-1]
    assert (block["performed"], block["agent"], block["volume_ml"]) == ("2026-10-20", "bupivacaine", 0.5)
    assert block["diary"] == [{"hours_after": 0.5, "pain": 2}]
    with signed_in(desk.server) as client:
        kept = client.get(f"/api/cases/{case}/consent").json()["value"]
        check = client.get(f"/api/cases/{case}/procedure").json()["check"]
    assert (kept["given"], kept["signed_on"], kept["by"], kept["language"]) == (
        True, "2026-11-01", "Dr Example", "de",
    )  # fmt: skip
    assert "consent.no_document" not in [one["code"] for one in check["notices"]]


def test_an_operation_is_planned_without_a_needle_and_its_stretches_are_typed(desk: Desk) -> None:
    case = new_demo(desk.server, "meralgia")
    page = desk.opened(case, "localize")
    page.get_by_text("nothing is placed").wait_for()
    assert page.locator(".problem").count() == 0
    page.get_by_role("link", name="Deliver", exact=True).first.click()
    page.get_by_role("button", name="Add to tethers").click()
    tether = page.locator("fieldset", has_text="Tethers 1")
    tether.get_by_label("At", exact=True).fill("110")
    tether.get_by_label("N per").fill("2")
    page.get_by_role("button", name="Run the simulation").click()
    page.get_by_text("Plan 1: what the simulation says").wait_for(timeout=SLOW_MS)
    assert case_of(desk.server, case)["treatment"]["protocol"]["tethers"] == [{"at_mm": 110, "n_per_mm": 2}]
    along = page.get_by_role("region", name="Along Lateral femoral")
    assert along.locator("svg.chart").count() >= 3
    assert page.get_by_role("heading", name="Size of the lesion").count() == 0, "there is none"


DROP = """([text, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, {type: 'application/json'}));
  const place = document.querySelector('.drop');
  for (const kind of ['dragover', 'drop'])
    place.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_a_bundle_dropped_on_the_list_becomes_a_case(desk: Desk) -> None:
    patient = {"resourceType": "Patient", "id": "dropped", "gender": "female", "birthDate": "1961-03-02"}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}
    page = desk.tab()
    page.wait_for_selector(".drop")
    page.evaluate(DROP, [json.dumps(bundle), "bundle.json"])
    page.wait_for_selector(".tabs")
    page.get_by_text("female, born 1961").wait_for()


def test_something_else_dropped_is_refused_in_words(desk: Desk) -> None:
    page = desk.tab()
    page.wait_for_selector(".drop")
    page.evaluate(DROP, ["not a case", "notes.txt"])
    page.locator(".problem").wait_for()
    assert "#/case/" not in page.url


def test_pain_is_painted_by_drawing_over_the_body(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "evaluate")
    areas = page.locator("svg.back [data-area]")
    areas.first.wait_for()
    page.locator("svg.back").scroll_into_view_if_needed()
    free = [one for one in areas.all() if one.get_attribute("aria-checked") == "false"]
    boxes = {one: one.bounding_box() for one in free}
    first = free[0]
    from_, to = (
        (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for box in (boxes[first], boxes[max(free[1:], key=lambda one: (boxes[one] or {})["y"])])
        if box
    )
    before = page.locator("svg.back [aria-checked=true]").count()
    page.mouse.move(*from_)
    page.mouse.down()
    page.mouse.move(*to, steps=30)
    page.mouse.up()
    painted = page.locator("svg.back [aria-checked=true]").count() - before
    assert painted >= 3, "everything the stroke crossed"
    page.mouse.move(*from_, steps=10)
    assert page.locator("svg.back [aria-checked=true]").count() - before == painted, "the brush was lifted"
    saved(page)
    pain = case_of(desk.server, case)["pain"]
    assert len(pain) >= painted
    assert sum(bool(one["main"]) for one in pain) == 1


def test_a_landmark_is_picked_in_a_slice_and_taken_back(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "localize")
    page.wait_for_selector('[data-plane="axial"] .preview-mark', timeout=SLOW_MS)
    before = case_of(desk.server, case)["landmarks"]
    pick = page.get_by_role("button", name="Pick in the slices").first
    pick.click()
    page.get_by_text("Picking", exact=True).wait_for()
    box = box_of(page, '[data-plane="axial"] canvas')
    assert box["y"] > 0, "the slices are in sight, however far down the list the button was"
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    page.get_by_text("is picked. Save to find the target with it.").wait_for()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.wait_for_selector(".saving.saved")
    pick.click()
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    saved(page)
    after = case_of(desk.server, case)["landmarks"]
    changed = [one for one in after if one not in before]
    assert len(changed) == 1
    assert changed[0]["reviewed"] is False
    assert len(after) == len({(one["name"], one["side"]) for one in after}), "in place of the old one"


def test_the_c_arm_follows_its_sliders(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "localize")
    picture = '[data-plane="fluoroscopy"] canvas'
    page.wait_for_selector(picture, timeout=SLOW_MS)
    shot = "sel => document.querySelector(sel).toDataURL()"
    empty = page.evaluate(shot, picture)
    wait = "([sel, old]) => document.querySelector(sel).toDataURL() !== old"
    page.wait_for_function(wait, arg=[picture, empty], timeout=SLOW_MS)
    page.wait_for_selector(".fluoro .busy", state="detached")
    front = page.evaluate(shot, picture)
    page.get_by_label("LAO − RAO").fill("30")
    page.get_by_label("Cranial − caudal").fill("-15")
    page.get_by_text("Fluoroscopy, simulated · LAO 30°, caudal 15°").wait_for()
    page.wait_for_function(wait, arg=[picture, front], timeout=SLOW_MS)
    page.get_by_role("button", name="AP", exact=True).click()
    page.get_by_text("Fluoroscopy, simulated · LAO 0°, cranial 0°").wait_for()
    page.wait_for_function(
        "([sel, old]) => document.querySelector(sel).toDataURL() === old",
        arg=[picture, front],
        timeout=SLOW_MS,
    )


@pytest.mark.verify
def test_two_plans_are_drawn_beside_each_other_through_one_point(desk: Desk) -> None:
    case = new_demo(desk.server)
    page = desk.opened(case, "deliver")
    for number in (1, 2):
        if number == 2:
            page.get_by_label("Set temperature").fill("70")
        page.get_by_role("button", name="Run the simulation").click()
        page.get_by_text(f"Plan {number}: what the simulation says").wait_for(timeout=SLOW_MS)
    page.get_by_role("button", name="Compare", exact=True).click()
    pictures = page.locator(".planes.two canvas")
    pictures.nth(1).wait_for()
    captions = page.locator(".planes.two .caption")
    assert [text.split(" · ")[0] for text in captions.all_inner_texts()] == ["Plan 1", "Plan 2"]
    before = captions.all_inner_texts()
    pictures.first.focus()
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "([sel, old]) => [...document.querySelectorAll(sel)].every((one, k) => one.innerText !== old[k])",
        arg=[".planes.two .caption", before],
    )
    row = page.locator("tr", has_text="80 °C").filter(has_text="70 °C")
    assert row.filter(has_text="(differs)").count() >= 1
