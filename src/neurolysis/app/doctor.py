"""What this installation has, and what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from neurolysis import __version__
from neurolysis.delivery.technique import Progress, silent

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "XLA_FLAGS",
    "JAX_PLATFORMS",
)
SMALLEST_FREE_MB = 200
"""Free disk below this is called a problem: a report, its images and the compiled programs need some."""


@dataclass(frozen=True)
class Package:
    """One required package: what is asked for, and what is installed (None: nothing)."""

    name: str
    wanted: str
    installed: str | None
    ok: bool


@dataclass(frozen=True)
class Diagnosis:
    """The state of the installation as plain data, and the problems in words."""

    data: dict[str, Any]
    problems: tuple[str, ...]


def doctor(progress: Progress = silent) -> Diagnosis:
    """Look at Python, the packages, the PDF engine, the devices, the cache folder, threads and disk."""
    progress(0.0, "looking at the packages")
    packages = required_packages()
    problems = [f"{p.name} {p.wanted}: {p.installed or 'not installed'}" for p in packages if not p.ok]
    progress(0.2, "starting the array library")
    devices = _ask("devices", _devices, problems)
    progress(0.7, "looking at the rest")
    data = {
        "software_version": __version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "packages": [asdict(package) for package in packages],
        "pdf": _ask("PDF engine", _pdf, problems),
        "devices": devices,
        "cache": _ask("cache folder", _cache, problems),
        "threads": _threads(),
        "disk": _disk(problems),
        "techniques": _ask("techniques", _techniques, problems),
        "evidence_version": _ask("evidence", _evidence, problems),
    }
    return Diagnosis(data={**data, "ok": not problems, "problems": problems}, problems=tuple(problems))


def _ask(what: str, question: Any, problems: list[str]) -> Any:
    """The answer of ``question``; its failure is noted as a problem, since a doctor must not fall ill."""
    try:
        return question()
    except Exception as error:
        problems.append(f"{what}: {type(error).__name__}: {error}")
        return None


def required_packages() -> list[Package]:
    """Every package this one requires (extras aside), with what is installed."""
    wanted = [text for text in metadata.requires("neurolysis") or [] if "extra ==" not in text]
    return [_package(text) for text in sorted(wanted)]


def _package(requirement: str) -> Package:
    name, wanted = re.match(r"([A-Za-z0-9._-]+)\s*([^;]*)", requirement).groups()  # type: ignore[union-attr]
    wanted = wanted.strip()
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(name=name, wanted=wanted, installed=None, ok=False)
    return Package(name=name, wanted=wanted, installed=installed, ok=_reaches(installed, wanted))


def _reaches(installed: str, wanted: str) -> bool:
    """Whether a version satisfies ``>=x.y``, the only kind of bound this package uses."""
    lowest = re.search(r">=\s*([0-9.]+)", wanted)
    return lowest is None or _numbers(installed) >= _numbers(lowest.group(1))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:4])


def _devices() -> list[dict[str, str]]:
    from neurolysis.physics.backend import load_jax

    return [
        {"platform": str(device.platform), "kind": str(device.device_kind)} for device in load_jax().devices()
    ]


def _pdf() -> dict[str, Any]:
    from neurolysis.report.pdf import available

    return dict(available())


def _cache() -> dict[str, Any]:
    from neurolysis.physics.backend import cache_folder

    folder = cache_folder()
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    place = next(path for path in (folder, *folder.parents) if path.exists())
    size = sum(path.stat().st_size for path in files)
    return {
        "folder": str(folder),
        "writable": os.access(place, os.W_OK),
        "programs": len(files),
        "size_mb": round(size / 1e6, 1),
    }


def _threads() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cores": usable, **{name: os.environ.get(name, "not set") for name in THREAD_VARIABLES}}


def _disk(problems: list[str]) -> dict[str, Any]:
    here = Path.cwd()
    free = round(shutil.disk_usage(here).free / 1e6)
    if free < SMALLEST_FREE_MB:
        problems.append(f"disk: {free} MB free at {here}, at least {SMALLEST_FREE_MB} MB needed")
    return {"folder": str(here), "free_mb": free}


def _techniques() -> list[str]:
    from neurolysis.delivery.technique import techniques

    return sorted(techniques())


def _evidence() -> str:
    from neurolysis.evidence.store import evidence_version

    return evidence_version()
