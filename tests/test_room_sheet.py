"""The room sheet: what it prints, what it leaves to the pen, and that it is one page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from neurolysis.app.cases import load_case
from neurolysis.case import Case
from neurolysis.report.room_sheet import room_sheet_html

from .server_kit import ROOT

DEMO = ROOT / "src/neurolysis/data/demo"
HOSTILE = "<script>alert(1)</script>"
ROOM: dict[str, Any] = {
    "operator": "Dr Example",
    "time_out": {
        "time": "2026-11-27T09:05:00",
        "identifiers": [{"kind": "name", "matches": True}, {"kind": "date of birth", "matches": False}],
        "side": "left", "side_marked": False, "level": "L3", "consent": True,
    },
    "agents": [{"name": "lidocaine", "strength": "1 %", "purpose": "local anaesthetic", "lot": "A77",
                "expires": "2027-01-31"}],
    "stimulation": [{"time": "2026-11-27T09:20:00", "needle": 1, "sensory_threshold_v": 0.4,
                     "motor_none_up_to_v": 1.2, "impedance_ohm": 260}],
    "steps": [{"kind": "lesion", "start": "2026-11-27T09:31:00", "needle": 1, "duration_s": 90,
               "peak_temperature_c": 80, "aborted": True, "abort_reason": "pain in the leg"}],
    "abort": {"reason": "leg pain"},
}  # fmt: skip


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case(DEMO)[0]


def plan(**more: Any) -> dict[str, Any]:
    notices = [{"severity": "warn", "code": f"w{k}", "text": f"warning number {k}"} for k in range(12)]
    notices.append({"severity": "stop", "code": "limit.x", "text": "a stop"})
    base = {
        "hashes": {"plan": "abcdef0123456789"},
        "setting": [["Setting", "80 °C"]],
        "plan": {"placements": [{"tip_mm": [49.5, -196.0, -53.3]}], "anaesthesia": "skin. Checked by `x`"},
        "notices": notices,
    }
    return {**base, **more}


def cells(html: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", one).strip() for one in re.findall(r"<td>(.*?)</td>", html)]


def test_side_level_and_mark_are_large_and_an_empty_record_leaves_lines(case: Case) -> None:
    html = room_sheet_html(case, None, None, "DRAFT")
    assert '<div class="side">LEFT</div>' in html
    assert "bony level L3, joint L3-L4" in html
    assert "no plan of this program" in html
    assert 'class="mark"><span>DRAFT' in html
    assert set(cells(html)) == {""}, "nothing is filled in that nobody said"
    assert "NOT ASKED" in html, "unknown allergies are never none"
    assert "✓" not in html


def test_what_was_given_is_printed_as_given(case: Case) -> None:
    html = room_sheet_html(case, plan(), ROOM, "APPROVED by Dr Example")
    assert 'class="mark approved"' in html
    found = cells(html)
    for one in ("lidocaine 1 %", "A77", "0.4 V", "none to 1.2 V", "260 Ω", "90 s", "80 °C",
                "ABORTED: pain in the leg"):  # fmt: skip
        assert one in found, one
    assert "held 09:05" in html
    assert "date of birth: NO" in html
    assert "left, NOT MARKED" in html
    assert html.count("✗") == 2, "what was denied is not ticked"
    assert "L 49.5, A 196.0, I 53.3 mm" in html
    assert "plan abcdef012345" in html


def test_stops_come_first_and_an_override_says_so(case: Case) -> None:
    approval = {"overrides": [{"code": "limit.x", "reason": "accepted by the team"}]}
    html = room_sheet_html(case, plan(approval=approval), None, "APPROVED by Dr Example")
    listed = re.findall(r'<li class="(\w+)">(.*?)</li>', html)
    assert listed[0] == ("stop", "a stop SET ASIDE: accepted by the team")
    assert [kind for kind, _ in listed] == ["stop", *["warn"] * 5, "more"]
    assert listed[-1][1].startswith("7 further")


def test_every_text_is_escaped(case: Case) -> None:
    hostile = case.replace(id="a", patient=case.patient.replace(id=HOSTILE), allergies=(HOSTILE,))
    room = {"operator": HOSTILE, "agents": [{"name": HOSTILE, "lot": HOSTILE}], "abort": {"reason": HOSTILE}}
    html = room_sheet_html(hostile, plan(setting=[[HOSTILE, HOSTILE]]), room, HOSTILE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6


@pytest.mark.chromium
@pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("pdfinfo") is None,
    reason="needs the Debian packages chromium and poppler-utils",
)
@pytest.mark.parametrize("room", [None, ROOM])
def test_it_prints_on_one_page(case: Case, tmp_path: Path, room: dict[str, Any] | None) -> None:
    page, pdf = tmp_path / "sheet.html", tmp_path / "sheet.pdf"
    page.write_text(room_sheet_html(case, plan(), room, "APPROVED by Dr Example"), "utf-8")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}",
         "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    about = subprocess.run(["pdfinfo", str(pdf)], check=True, capture_output=True, text=True).stdout
    assert re.search(r"Pages:\s+1\b", about), about
