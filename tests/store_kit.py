"""What the tests of the store share: a store of each kind, people, cases with files, and plans."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from neurolysis.case import Case
from neurolysis.delivery.technique import protocol_models
from neurolysis.evidence.store import evidence_version
from neurolysis.plan import Notice, Placement, Plan, TargetName
from neurolysis.quantity import Quantity
from neurolysis.records.store import Principal, Store, local_principal
from neurolysis.records.store.tables import sealed, users
from neurolysis.records.store.values import Role

LOCAL = local_principal("Dr Local")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def person(name: str, role: Role = "clinician") -> Principal:
    """Somebody with an account."""
    return Principal(user_id=f"id-{name}", name=name, role=role, mode="accounts", origin="test")


def case(id: str = "case-1", **changes: Any) -> Case:
    """A case with an image and a label map."""
    data: dict[str, Any] = {
        "id": id,
        "title": "Left L3",
        "patient": {"id": f"patient-of-{id}"},
        "image": {"path": "ct.nii.gz"},
        "labels": [{"path": "labels/bones.nii.gz", "scheme": "given"}],
        "target": {"nerve": "lumbar_medial_branch_L2", "side": "left", "bony_level": "L3", "joint": "L2-3"},
        "findings": [{"kind": "laboratory", "name": "INR", "result": "1.0", "value": 1.0}],
    }
    return Case.model_validate({**data, **changes})


def files(folder: Path, text: str = "voxels") -> dict[str, Path]:
    """The files such a case names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ct", "bones"):
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(f"{name} {text}".encode(), mtime=0))
    return {"ct.nii.gz": folder / "ct.nii.gz", "labels/bones.nii.gz": folder / "bones.nii.gz"}


def quantity(value: float, unit: str) -> dict[str, Any]:
    """A sourced quantity as plain data."""
    return Quantity(value=value, unit=unit, source="test").model_dump(mode="json")


def plan(of: Case, *notices: Notice, **changes: Any) -> Plan:
    """A plan of a case, with the first registered technique whose protocol needs nothing more."""
    cannula = {
        "id": "c", "name": "C", "gauge": 18, "outer_radius_mm": quantity(0.6, "mm"), "active_tip_mm": 10,
        "shaft_length_mm": 100, "thermocouple_from_apex_mm": quantity(1.0, "mm"),
        "thermal_conductivity_w_per_m_k": quantity(16, "W/(m K)"),
        "heat_capacity_j_per_m3_k": quantity(4e6, "J/(m3 K)"),
    }  # fmt: skip
    placement = {"instrument": cannula, "tip_mm": (0, 0, 0), "direction_to_hub": (0, 0, 1)}
    protocol = protocol_models()["radiofrequency"]
    data: dict[str, Any] = {
        "case_id": of.id,
        "case_hash": of.content_hash(),
        "scene_hash": "1" * 64,
        "evidence_version": evidence_version(),
        "software_version": "0.1.0",
        "target": TargetName(nerve="lumbar_medial_branch_L2", side="left", bony_level="L3", joint="L2-3"),
        "anaesthesia": "none",
        "protocol": protocol.model_validate(
            {"technique": "radiofrequency", "duration_s": 90, "set_temperature_c": 80}
        ),
        "placements": (Placement.model_validate(placement),),
        "notices": notices,
    }
    return Plan(**{**data, **changes})


def record(of: Case, *notices: Notice, found: tuple[Notice, ...] = (), **changes: Any) -> dict[str, Any]:
    """The record of such a plan, as far as the store reads it."""
    made = plan(of, *notices, **changes)
    return {
        "schema": "neurolysis-plan-result",
        "mark": "DRAFT",
        "plan": made.model_dump(mode="json"),
        "hashes": {"plan": made.content_hash()},
        "notices": [notice.model_dump(mode="json") for notice in found],
    }


def stop(code: str, **changes: Any) -> Notice:
    """A stop."""
    return Notice(severity="stop", code=code, text=f"because of {code}", **changes)


def enrol(store: Store, *people: Principal) -> None:
    """Accounts with the ids these people have in the tests; a case is shared only with an account."""
    with store.engine.begin() as connection:
        for one in people:
            row = {
                "id": one.user_id, "name": one.name, "folded_name": one.name.casefold(), "role": one.role,
                "password": "", "identity": "", "disabled": 0,
            }  # fmt: skip
            connection.execute(users.insert(), sealed(row))
