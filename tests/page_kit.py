"""The built page in a real browser: Debian's Chromium, headless, with software graphics."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .server_kit import COARSE, ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

DEMO = ROOT / "src/neurolysis/data/demo"
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "src/neurolysis/workstation/static"
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
TABS = ("evaluate", "localize", "anesthetize", "deliver", "procedure", "follow-up")
SLOW_MS = 180_000
"""How long a simulation may take on a busy machine before a test gives up."""

needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None or importlib.util.find_spec("playwright") is None,
    reason="needs the Debian package chromium and playwright",
)
needs_page = pytest.mark.skipif(not (STATIC / "index.html").is_file(), reason="the page was not built")
needs_modules = pytest.mark.skipif(
    not (FRONTEND / "node_modules/axe-core").is_dir(), reason="the page's own packages are not installed"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Debian browser; its own downloads are never used."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Desk:
    """Somebody at the workstation: one session, several tabs, and everything the browser complained of."""

    def __init__(self, browser: Browser, server: Server, **choices: Any) -> None:
        self.server = server
        self.complaints: list[str] = []
        self.outside: list[str] = []
        with signed_in(server) as client:
            cookies = [
                {"name": one.name, "value": one.value or "", "domain": "127.0.0.1", "path": "/"}
                for one in client.cookies.jar
            ]
        choices.setdefault("viewport", {"width": 1280, "height": 800})
        self.context: BrowserContext = browser.new_context(**choices)
        self.context.add_cookies(cookies)  # type: ignore[arg-type]
        self.context.set_default_timeout(60_000)

    def tab(self, address: str = "", *, coarse: bool = True) -> Page:
        """A new tab; with ``coarse`` its simulations use large steps: no result of them is judged."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("request", lambda one: self._asked(one.url))
        if coarse:
            page.route("**/simulate", _coarser)
        page.goto(f"{self.server.url}/{address}")
        return page

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.server.url, "data:", "blob:")):
            self.outside.append(url)

    def opened(self, case: str, tab: str) -> Page:
        """One case at one tab, ready to work with."""
        page = self.tab(f"#/case/{case}/{tab}")
        page.wait_for_selector(".tabs")
        return page

    def close(self) -> None:
        """Nothing may have failed in the page, and nothing may have been asked of another machine."""
        self.context.close()
        assert self.complaints == []
        assert self.outside == []


@contextmanager
def signed_in(server: Server) -> Iterator[httpx.Client]:
    """A client in the server's one session: the launch link works once."""
    cookies = _SESSIONS.get(server.url)
    client = (
        server.client()
        if cookies is None
        else httpx.Client(base_url=server.url, timeout=120, cookies=cookies)
    )
    _SESSIONS.setdefault(server.url, dict(client.cookies))
    try:
        yield client
    finally:
        client.close()


_SESSIONS: dict[str, dict[str, str]] = {}
"""Cookies by the address of the server."""


def _coarser(route: Route) -> None:
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps({**asked, "numerics": COARSE}))


def saved(page: Page) -> None:
    """Save the case and wait until the header says so."""
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".saving.saved")


def box_of(page: Page, selector: str) -> dict[str, float]:
    """Where something stands on the screen: x, y, width, height in pixels."""
    found = page.locator(selector).bounding_box()
    assert found is not None
    return dict(found)


def demo_zip(folder: Path) -> Path:
    """The demonstration's case folder as the ZIP that somebody would drop on the page."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(DEMO.iterdir()):
            file.write(path, f"case/{path.name}")
    target = folder / "case.zip"
    target.write_bytes(packed.getvalue())
    return target


def new_demo(server: Server, name: str = "medial-branch") -> str:
    """A demonstration case; its id."""
    with signed_in(server) as client:
        answer = client.post("/api/cases", json={"demo": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])
