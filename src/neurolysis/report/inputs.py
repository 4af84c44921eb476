"""Tables of what went in: instrument, tissues, anatomy, numerics, files and hashes."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.exposure import EnergyBalance
from neurolysis.planning.result import PlanResult
from neurolysis.quantity import Quantity, Value
from neurolysis.report import text
from neurolysis.report.citations import Citations
from neurolysis.report.document import Bullets, Facts, Table
from neurolysis.scene import TissueProperties

TISSUE_COLUMNS = (
    ("conductivity_s_per_m", "σ, S/m"),
    ("conductivity_slope_per_c", "slope, 1/K"),
    ("thermal_conductivity_w_per_m_k", "k, W/(m K)"),
    ("density_kg_per_m3", "ρ, kg/m³"),
    ("specific_heat_j_per_kg_k", "c, J/(kg K)"),
    ("perfusion_per_s", "ω, 1/s"),
    ("metabolic_heat_w_per_kg", "q, W/kg"),
)
ASSUMED = "*"


def tissue_table(result: PlanResult, citations: Citations) -> Table:
    """The constants of every tissue in the scene; assumed ones carry a star."""
    names = [n for n in dict.fromkeys(result.scene.tissues.names) if n in result.scene.properties]
    records = [result.scene.properties[name] for name in names]
    return Table(
        "Tissue constants",
        ("Tissue", *(f">{head}" for _, head in TISSUE_COLUMNS), "Sources"),
        tuple(_tissue(record, citations) for record in records),
        weights=(1.9, 1, 1, 1.1, 1, 1.1, 1.2, 1, 1.3),
        note="σ electrical conductivity and its rise with temperature, k thermal conductivity, ρ density, "
        "c specific heat, ω perfusion, q metabolic heat. "
        f"{ASSUMED} assumed: see the first page. Body temperature "
        f"{text.celsius(result.scene.body_temperature_c)}. Beyond the image: "
        f"{result.scene.tissues.outside.replace('_', ' ')}.",
    )


def _tissue(record: TissueProperties, citations: Citations) -> tuple[str, ...]:
    values = [getattr(record, field) for field, _ in TISSUE_COLUMNS]
    cells = [text.number(v.value) + (ASSUMED if v.basis == "assumption" else "") for v in values]
    return (record.name.replace("_", " "), *cells, citations.cite_quantities(values))


def quantity_rows(value: Value, citations: Citations, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every number of a record as (name, value, source), those of nested records included."""
    for field in type(value).model_fields:
        item = getattr(value, field)
        if isinstance(item, Quantity):
            yield prefix + text.name(field), text.quantity(item), _origin(item, citations)
        elif isinstance(item, Value):
            yield from quantity_rows(item, citations, f"{text.name(field)}: ")


def _origin(item: Quantity, citations: Citations) -> str:
    if item.basis == "assumption":
        return f"assumed: {citations.numbered(text.reason(item.source))}"
    return citations.cite(item.source)


def instrument_table(result: PlanResult, citations: Citations) -> Table:
    """The instrument, the generator and the return path as used."""
    plan = result.plan
    rows: list[tuple[str, str, str]] = []
    for cannula in dict.fromkeys(placement.instrument for placement in plan.placements):
        plain = f"{cannula.gauge}G, {cannula.active_tip_mm:g} mm active tip, {cannula.shape}"
        rows.append((f"Instrument {cannula.id}", plain, cannula.name))
        rows += quantity_rows(cannula, citations)
    if plan.generator:
        rows.append((f"Generator {plan.generator.id}", "", plan.generator.name))
        rows += quantity_rows(plan.generator, citations)
    if plan.return_pad:
        rows.append(("Return pad", "", plan.return_pad.site))
        rows += quantity_rows(plan.return_pad, citations)
    return Table(
        "Instrument and generator",
        ("Number", "Value (range)", "Source, or why it is assumed"),
        tuple(rows),
        weights=(2.4, 2.2, 5),
    )


def anatomy_table(result: PlanResult) -> Table:
    """Nerves, structures and landmarks with how they were found and whether anyone looked at them."""
    scene = result.scene
    rows: list[tuple[str, ...]] = [
        (n.name, "nerve", n.review, text.quantity(n.position_sd_mm), n.derivation) for n in scene.nerves
    ]
    rows += [
        (s.name, "at risk", s.review if s.mask else "unknown",
         text.millimetres(s.position_sd_mm) if s.mask else "", s.derivation or s.unknown_reason)
        for s in scene.structures
    ]  # fmt: skip
    rows += [
        (m.name, "landmark", m.review, text.millimetres(m.spread_mm) if m.spread_mm else "", m.derivation)
        for m in scene.landmarks
    ]
    tones = tuple("warn" if row[2] == "derived, unreviewed" else "plain" for row in rows)
    return Table(
        "Anatomy and how it was found",
        ("Name", "What", "Review", ">SD of place", "How"),
        tuple(rows),
        weights=(2, 1, 1.3, 1.2, 4.5),
        tones=tones,  # type: ignore[arg-type]
    )


def scene_notes(result: PlanResult) -> Bullets | None:
    """What is said of the scene and of its tissue map, and how they were made."""
    notes = (*result.scene.notes, *result.scene.tissues.notes)
    items = tuple(dict.fromkeys(text.sentence(note) for note in notes))
    return Bullets(items, "Notes on the anatomy") if items else None


def energy_facts(energy: EnergyBalance) -> Facts:
    """The energy balance of the run."""
    rows = [
        ("Supplied", energy.supplied_j), ("Metabolic", energy.metabolic_j), ("Stored", energy.stored_j),
        ("Out through the box", energy.out_boundary_j), ("Carried off by blood", energy.out_perfusion_j),
        ("Into the coolant or probe", energy.out_coolant_j), ("Up the needle", energy.out_needle_j),
    ]  # fmt: skip
    shown = [(label, text.with_unit(text.number(value, 4), "J")) for label, value in rows]
    return Facts("Energy", (*shown, ("Balance error", f"{text.number(100 * energy.error)}{text.NBSP}%")))


def numerics_facts(result: PlanResult) -> Facts:
    """The grid, the time steps and what the solver says of itself."""
    exposure = result.exposure
    shape = " × ".join(str(len(axis)) for axis in exposure.axes_mm)
    stations = sum(len(line.arc_mm) for line in exposure.along.values())
    rows = [
        ("Grid", f"{shape} cells") if exposure.has_grid else ("Stations along nerves", str(stations)),
        ("Simulated time", f"{text.number(float(exposure.time_s[-1]))}{text.NBSP}s"),
    ]
    for field, value in exposure.numerics:
        if value is not None and (exposure.has_grid or field == "finest_mm"):
            rows.append((text.sentence(text.name(field)), _numeric(field, value)))
    rows += [(text.sentence(text.name(key)), _numeric(key, value)) for key, value in exposure.solver.items()]
    return Facts("Numerics", tuple(rows))


def _numeric(field: str, value: float | int | str) -> str:
    units = {"_mm": "mm", "_s": "s", "_c": "°C", "_ohm": "Ω", "_mm3": "mm³"}
    unit = next((unit for end, unit in units.items() if field.endswith(end)), "")
    if isinstance(value, int):
        return text.with_unit(f"{value:,}".replace(",", text.NBSP), unit)
    return value if isinstance(value, str) else text.with_unit(text.number(float(value), 4), unit)


def hash_table(result: PlanResult) -> Table:
    """What the plan was made from, each with its hash or version."""
    plan, case = result.plan, result.case
    rows = [
        ("Case", case.id, plan.case_hash),
        ("Scene", "image, tissues, nerves, structures", plan.scene_hash),
        ("Plan", f"schema {plan.schema_version}", plan.content_hash()),
        ("Simulation", "fields on their grid", result.injury.exposure_hash),
        ("Evidence", "data files shipped", plan.evidence_version),
        ("Program", "version", plan.software_version),
    ]
    return Table(
        "Inputs and their hashes", ("What", "Which", "SHA-256 or version"), tuple(rows), weights=(1, 2.4, 5)
    )


def file_table(result: PlanResult) -> Table | None:
    """The image and label files, with who made them."""
    case = result.case
    rows = []
    if case.image:
        contrast = {True: "with contrast", False: "without contrast", None: "contrast not stated"}
        rows.append(
            (
                case.image.path,
                f"{case.image.modality}, {contrast[case.image.contrast]}",
                case.image.attribution,
            )
        )
    for label in case.labels:
        review = "reviewed" if label.reviewed else "not reviewed"
        rows.append((label.path, f"labels, scheme {label.scheme}, {review}", label.origin))
    return Table("Files", ("File", "What", "Origin"), tuple(rows), weights=(2, 3, 4)) if rows else None
