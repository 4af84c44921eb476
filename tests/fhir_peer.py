"""The independent FHIR implementation of ``tests/peers`` as a process one talks to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs
import pytest

FOLDER = Path(__file__).parent / "peers"


def installed() -> Path:
    """The folder with the peer and its packages, installed on first use into the user's cache.

    A test that needs the peer fails where it cannot be had, with the reason: a check that did not run is
    not a check that passed.
    """
    lock = (FOLDER / "package-lock.json").read_bytes()
    cache = Path(platformdirs.user_cache_dir("neurolysis-tests"))
    ready = cache / f"fhir-peer-{hashlib.sha256(lock).hexdigest()[:16]}"
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.fail(
            "the independent FHIR server of the tests needs node (20.19 or newer) and npm on the path"
        )
    if not ready.is_dir():
        _install(npm, cache, ready)
    shutil.copy(FOLDER / "peer.mjs", ready / "peer.mjs")
    return ready


def _install(npm: str, cache: Path, ready: Path) -> None:
    """Into a folder of its own, then renamed: another test process never sees half of it."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, fresh)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.fail(
                f"npm could not install the independent FHIR server of the tests:\n{done.stderr[-2000:]}"
            )
        try:
            os.rename(fresh, ready)
        except OSError:
            assert ready.is_dir(), "another process installed it meanwhile"
        else:
            Path(fresh).mkdir()  # for the clean-up of the temporary folder


class Peer:
    """A running peer; it starts with an empty repository."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "peer.mjs"], cwd=installed(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def clear(self) -> None:
        """Empty the repository."""
        self._ask({"clear": True})

    def problems(self, resources: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
        """What the peer's validator says against each resource; resources without a problem are left out."""
        found = self._ask({"validate": list(resources)})["problems"]
        named = [f"{r['resourceType']}/{r.get('id', k)}" for k, r in enumerate(resources)]
        return {name: problems for name, problems in zip(named, found, strict=True) if problems}

    def http(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        """The resource the peer answers; an error of the peer fails the test."""
        answer = self._ask({"method": method, "url": url, "body": body})
        assert answer["outcome"]["id"] in ("ok", "created"), answer["outcome"]
        resource: dict[str, Any] = answer["resource"]
        return resource

    def all_of(self, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """Every resource of these kinds in the peer's repository."""
        found = []
        for kind in kinds:
            bundle = self.http("GET", f"/{kind}?_count=1000")
            found += [entry["resource"] for entry in bundle.get("entry", [])]
        return found
