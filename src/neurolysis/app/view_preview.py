"""A quick look at a lesion: one needle in one tissue, for the page to move with the needle.

It is drawn, never judged: no coverage and no limit is told from it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.app.cases import load_case
from neurolysis.app.view_scene import scene_of
from neurolysis.errors import InputError
from neurolysis.quantity import canonical_json

if TYPE_CHECKING:
    from neurolysis.exposure import Exposure
    from neurolysis.plan import Plan
    from neurolysis.scene import Scene

NOTE = "preview: one needle in one tissue, no verdict"
BOX_MM, VOXEL_MM = 120.0, 4.0
COARSE_MM = 0.6
FORM = 2
"""Of the answer; a kept preview of another form is made again."""


def preview_key(case_path: Path) -> str:
    """What the preview of a case depends on, as one hash; the place of the needle is not in it.

    Raises:
        InputError: no target, treatment or placement yet; UnknownNameError: a name in them.
    """
    return _laid(case_path)[-1]


def preview(case_path: Path) -> dict[str, Any]:
    """The lesion of the case's protocol round its first needle in homogeneous tissue, in the needle's frame.

    The tissue is the one in which most of the bare tip lies. Axes are the needle frame's (z towards the
    hub, origin at the apex); the field is 32-bit little-endian, in C order over (x, y, z), as base64.

    Raises:
        InputError: no target, treatment or placement yet; UnknownNameError: a name in them.
        SolverError: the simulation failed.
    """
    scene, plan, tissue, key = _laid(case_path)
    return _computed(scene, plan, tissue, key)


def _laid(case_path: Path) -> tuple[Scene, Plan, str, str]:
    from neurolysis.planning.make import make_plan

    case, folder = load_case(case_path)
    scene = scene_of(case, folder)
    plan = make_plan(case, scene)
    if not plan.placements:
        raise InputError("there is no instrument to preview", where="case.yaml: treatment.placements")
    tissue = _tissue(scene, plan)
    return scene, plan, tissue, _key(plan, tissue)


def _key(plan: Plan, tissue: str) -> str:
    """Of what the preview depends on; the place of the needle is not in it."""
    first = plan.placements[0].instrument.model_dump(mode="json")
    parts: list[object] = [FORM, plan.protocol.model_dump(mode="json"), first, tissue, plan.evidence_version]
    parts += [plan.generator.model_dump(mode="json") if plan.generator else None]
    parts += [plan.return_pad.model_dump(mode="json") if plan.return_pad else None, plan.software_version]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def _tissue(scene: Scene, plan: Plan) -> str:
    """The tissue in which most of the bare tip lies."""
    from neurolysis.planning.needle import needle_path
    from neurolysis.scene import AIR

    points = needle_path(plan.placements[0]).active_mm
    indices = scene.tissues.volume.sample(points, order=0, outside=-1).astype(int)
    names = [scene.tissues.names[i] if i >= 0 else scene.tissues.outside for i in indices]
    kept = [name for name in names if name != AIR]
    if not kept:
        raise InputError("the tip lies in air", where="case.yaml: treatment.placements.0.tip_mm")
    return max(sorted(set(kept)), key=kept.count)


def _computed(scene: Scene, plan: Plan, tissue: str, key: str) -> dict[str, Any]:
    from neurolysis.planning.simulate import expose_plan

    single = _single(plan)
    exposure = expose_plan(_uniform(scene, single, tissue), single)
    criterion = exposure.criteria[0]
    return {
        "preview": True,
        "note": NOTE,
        "technique": plan.protocol.technique,
        "protocol_hash": key,
        "tissue": tissue,
        "instrument": plan.placements[0].instrument.id,
        "lesion": {
            "axes_mm": [axis.tolist() for axis in exposure.axes_mm],
            "shape": [len(axis) for axis in exposure.axes_mm],
            "field_name": criterion.field,
            "unit": criterion.unit,
            "description": exposure.field(criterion.field).description,
            "levels": [
                {"id": one.id, "label": one.label, "value": one.threshold, "unit": one.unit}
                for one in exposure.criteria
                if one.field == criterion.field
            ],
            "lesion_level": criterion.threshold,
            "direction": criterion.direction,
            "tip_z_mm": 0.0,
            "field": _encoded(exposure, criterion.field),
        },
    }


def _single(plan: Plan) -> Plan:
    """The first needle alone, on a coarse grid."""
    finest = max(plan.numerics.finest_mm or 0.0, COARSE_MM)
    numerics = plan.numerics.replace(finest_mm=finest)
    return plan.replace(placements=(plan.placements[0].replace(role="active"),), numerics=numerics)


def _uniform(scene: Scene, plan: Plan, tissue: str) -> Scene:
    """A box of one tissue round the needle's tip, with nothing else in it."""
    from neurolysis.geometry import Volume
    from neurolysis.scene import Scene, TissueMap

    count = int(BOX_MM / VOXEL_MM)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = np.array(plan.placements[0].tip_mm) - VOXEL_MM * (count - 1) / 2
    blank = np.zeros((count, count, count), np.int16)
    return Scene(
        image=Volume(array=blank, affine=affine, name="preview"),
        tissues=TissueMap(
            volume=Volume(array=blank, affine=affine, name="preview"), names=(tissue,), outside=tissue
        ),
        properties={tissue: scene.properties[tissue]},
        nerves=tuple(nerve for nerve in scene.nerves if nerve.is_target),
        body_temperature_c=scene.body_temperature_c,
    )


def _encoded(exposure: Exposure, name: str) -> str:
    values = np.ascontiguousarray(exposure.field(name).array, "<f4")
    return base64.b64encode(values.tobytes()).decode()
