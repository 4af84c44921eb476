"""Scenes and exposures made by hand: balls of heat whose chords and distances are known exactly."""

from __future__ import annotations

import numpy as np

from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.evidence.kinetics import kinetics
from neurolysis.exposure import Exposure, LabelledField, LesionSize
from neurolysis.geometry import Curve, RigidTransform, Volume
from neurolysis.plan import Numerics
from neurolysis.quantity import Quantity
from neurolysis.scene import Limit, Nerve, Scene, Structure, TissueMap, TissueProperties

RADIUS_MM = 4.0
SLOPE_C_PER_MM = 4.0
SECONDS = 90.0
AXIS = np.arange(-12.0, 12.001, 0.5)
LIMITS = (
    Limit(metric="peak_temperature_c", unit="°C", direction="above", warn=45, stop=50, source="x"),
    Limit(metric="cem43_min", unit="min", direction="above", warn=48, source="x"),
    Limit(metric="distance_to_lesion_mm", unit="mm", direction="below", warn=2, stop=0, source="x"),
)


def quantity(value, unit="mm", **rest):
    return Quantity(value=value, unit=unit, source="x", **rest)


def ball(axis=AXIS, radius=RADIUS_MM, centre=(0, 0, 0)):
    """Peak temperature that falls linearly with distance: 50 C at ``radius``, 37 C far away."""
    mesh = np.meshgrid(axis, axis, axis, indexing="ij")
    distance = np.sqrt(sum((m - c) ** 2 for m, c in zip(mesh, centre, strict=True)))
    return np.maximum(37.0, 50.0 + SLOPE_C_PER_MM * (radius - distance))


def doses(peak):
    """CEM43 with its rate held above 45 C, and ln Omega of the nerve fit, for 90 s at the peak."""
    held = np.minimum(peak, 45.0)
    cem = np.where(held >= 43, 0.5 ** (43 - held), 0.25 ** (43 - held)) * SECONDS / 60
    fit = kinetics("nerve_heat")
    inverse = 1 / (peak + 273.15) - 1 / 317.15
    rate = np.log(fit.rate_at_44c.value / 60)
    ln_omega = rate - fit.activation_energy.value / fit.gas_constant_j_per_mol_k * inverse + np.log(SECONDS)
    return cem, np.where(peak > 43, ln_omega, -1e30)


def exposure(peak=None, axis=AXIS, frame=None, criteria=None, **rest):
    peak = ball(axis) if peak is None else peak
    cem, ln_omega = doses(peak)
    fields = {
        "peak_temperature_c": LabelledField(name="peak_temperature_c", unit="°C", array=peak),
        "cem43_min": LabelledField(name="cem43_min", unit="min", array=cem),
        "log_damage_nerve_heat": LabelledField(name="log_damage_nerve_heat", unit="ln", array=ln_omega),
    }
    fields |= rest.pop("fields", {})
    width = np.gradient(axis)
    return Exposure(
        technique="made by hand",
        frame=frame or RigidTransform(),
        axes_mm=(axis, axis, axis),
        cell_volume_mm3=width[:, None, None] * width[None, :, None] * width[None, None, :],
        fields=fields,
        instrument=np.zeros(peak.shape, dtype=bool),
        time_s=np.array([0.0, 90.0]),
        series={},
        series_units={},
        criteria=criteria or lesion_criteria("plan"),
        lesions=(
            LesionSize(
                criterion="isotherm_50c",
                width_mm=8,
                length_mm=8,
                volume_mm3=268,
                distal_extent_mm=4,
                proximal_extent_mm=4,
            ),
        ),
        numerics=Numerics(),
        solver={"damage_start_c": 43.0},
        **rest,
    )


def nerve(points, sd=0.0, **rest):
    values = {
        "name": "nerve",
        "catalogue_id": "lumbar_medial_branch_L2",
        "side": "left",
        "curve": Curve.from_array(points),
        "radius_mm": quantity(0.5),
        "position_sd_mm": quantity(sd),
        "is_target": True,
    }
    return Nerve(**{**values, **rest})


def straight(offset, half=10.0, **rest):
    return nerve([[-half, offset, 0], [half, offset, 0]], **rest)


def block(shape=(30, 30, 30), spacing=1.0, **rest):
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -0.5 * spacing * (np.array(shape) - 1)
    return Volume(array=np.zeros(shape, np.int16), affine=rest.get("affine", affine))


def properties(name="muscle"):
    numbers = {
        field: quantity(1.0, "1") for field in TissueProperties.model_fields if field not in ("name", "note")
    }
    return TissueProperties(name=name, **numbers)


def scene(nerves=(), structures=(), image=None):
    image = image or block()
    tissues = TissueMap(volume=image, names=("muscle",), outside="muscle")
    return Scene(
        image=image,
        tissues=tissues,
        properties={"muscle": properties()},
        nerves=nerves,
        structures=structures,
    )


def one(criterion_id):
    return next(c for c in lesion_criteria("plan") if c.id == criterion_id)


def by(found, criterion):
    return next(item for item in found.by_criterion if item.criterion == criterion)


def structure(where, image=None, **rest):
    """A structure whose voxels are those whose centre fulfils ``where(x, y, z)``."""
    image = image or block()
    points = image.to_lps(np.moveaxis(np.indices(image.shape), 0, -1))
    mask = where(*np.moveaxis(points, -1, 0)).astype(np.uint8)
    values = {"name": "canal", "kind": "spinal_canal", "mask": image.with_array(mask), "limits": LIMITS}
    return Structure(**{**values, **rest})


def shift(amount):
    matrix = np.zeros((4, 4))
    matrix[:3, 3] = amount
    return matrix
