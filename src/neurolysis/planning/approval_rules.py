"""The shipped rules of approval, and the version of everything that rules rest on."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from neurolysis import __version__
from neurolysis.approval import ApprovalRules
from neurolysis.evidence.store import load_yaml
from neurolysis.quantity import parse

DATA = Path(__file__).parent / "data"
FILE = "approval_rules.yaml"


@cache
def approval_rules() -> ApprovalRules:
    """Who may approve and who may set aside which stops.

    Raises:
        InputError: the file is wrong, naming the field.
    """
    return parse(ApprovalRules, load_yaml(FILE, DATA), FILE)


@cache
def rules_version() -> str:
    """First 16 hex digits of SHA-256 over the rules of approval and the program's version.

    The rules of case, scene and place are program text, so the version stands for them.
    """
    text = f"{__version__}\0{approval_rules().canonical_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
