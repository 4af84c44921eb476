"""Times in the page: slice change, needle preview, first picture; in Debian's Chromium with software graphics.

Run: ``python benchmarks/measure_page.py`` with the page built. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.page_kit import SLOW_MS, Desk, chromium, new_demo
from tests.server_kit import serving

SLICES = 120
MOVES = 60


def measure() -> dict[str, float]:
    """Milliseconds: median and 95th percentile of one change of slice and of one move of the needle.

    Each is the time in which every picture that shows it is drawn again: three slices, fluoroscopy, controls.
    """
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store", workers=1) as server:
        case = new_demo(server)
        with chromium() as browser:
            desk = Desk(browser, server)
            started = time.perf_counter()
            page = desk.opened(case, "localize")
            page.wait_for_selector('[data-plane="axial"] canvas')
            first = 1000 * (time.perf_counter() - started)
            page.wait_for_selector('[data-plane="axial"] .preview-mark', timeout=SLOW_MS)
            page.wait_for_timeout(3000)
            page.evaluate("performance.clearMeasures()")
            page.locator('[data-plane="axial"] canvas').focus()
            for number in range(SLICES):
                page.keyboard.press("ArrowUp" if number % 40 < 20 else "ArrowDown")
            slices = page.evaluate("performance.getEntriesByName('view-change').map(e => e.duration)")
            box = page.locator('[data-plane="axial"] canvas').bounding_box()
            assert box is not None
            page.get_by_role("button", name="To the tip").click()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            for number in range(MOVES):
                page.mouse.move(x + number % 20, y + number % 7)
            moves = page.evaluate("performance.getEntriesByName('needle-move').map(e => e.duration)")
            page.keyboard.press("Escape")
            desk.context.close()
    return {
        "first_picture_ms": round(first, 1),
        "slice_changes": len(slices),
        "slice_median_ms": round(float(np.median(slices)), 2),
        "slice_p95_ms": round(float(np.percentile(slices, 95)), 2),
        "needle_moves": len(moves),
        "needle_median_ms": round(float(np.median(moves)), 2),
        "needle_p95_ms": round(float(np.percentile(moves, 95)), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
