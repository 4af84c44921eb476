"""What a plan rests on, as hashes by part, so that a change can be named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from neurolysis.approval import Basis
from neurolysis.case import Case
from neurolysis.evidence.store import evidence_version
from neurolysis.planning.approval_rules import rules_version
from neurolysis.quantity import canonical_json
from neurolysis.records.store.names import named_in

LABORATORY = "laboratory"
IMAGE_FIELDS = ("image", "labels")
SAYS_NOTHING = ("title", "notes")
"""Fields of a case that no plan is made from."""


def basis_of(case: Case, files: Mapping[str, str]) -> Basis:
    """The basis of a plan made now from a case and its files (name to SHA-256)."""
    data = case.model_dump(mode="json")
    findings = data.pop("findings")
    images = {field: data.pop(field) for field in IMAGE_FIELDS}
    return Basis(
        case=_hash(
            {name: value for name, value in data.items() if name not in SAYS_NOTHING}
            | {"findings": [f for f in findings if f["kind"] != LABORATORY]}
        ),
        labs=_hash([f for f in findings if f["kind"] == LABORATORY]),
        images=_hash([images, _image_files(case, files)]),
        evidence=evidence_version(),
        rules=rules_version(),
    )


def _image_files(case: Case, files: Mapping[str, str]) -> dict[str, str]:
    """Hashes of the files that image, labels and structures name, those of folders included."""
    paths = tuple(path.removeprefix("./").rstrip("/") for _, path in named_in(case))
    return {
        name: sha256
        for name, sha256 in files.items()
        if any(name == path or name.startswith(f"{path}/") for path in paths)
    }


def _hash(data: Any) -> str:
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()
