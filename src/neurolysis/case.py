"""Case: what is known of the patient, and which nerve is to be treated.

A case folder holds ``case.yaml`` (this model) and the images it names; paths are relative to the
folder. Nothing here is computed: a field that is absent is unknown, never "fine".
"""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from neurolysis.geometry import Point
from neurolysis.quantity import Quantity, Value

Side = Literal["left", "right", "midline"]
PatientPosition = Literal["prone", "supine", "left lateral", "right lateral", "sitting"]


class Patient(Value):
    """The person; no name, no number: ``id`` is the site's pseudonym."""

    id: str = Field(min_length=1)
    birth_year: int | None = Field(default=None, ge=1900, le=2100)
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    weight_kg: float | None = Field(default=None, gt=0, le=400)
    weight_date: date | None = None
    height_cm: float | None = Field(default=None, gt=30, le=250)
    pregnant: bool | None = None
    deceased: bool | None = None


class Finding(Value):
    """One dated statement: history, examination, test, imaging or laboratory value.

    ``name`` is a name of the findings vocabulary where evaluation is to use it (``result`` is then
    ``present``, ``absent`` or ``unclear``, or the ``value`` counts); any other name is kept and shown.
    ``code`` is "system|code" as recorded, for instance of LOINC.
    """

    kind: Literal["history", "exam", "test", "imaging", "laboratory"]
    name: str = Field(min_length=1)
    result: str = Field(min_length=1)
    code: str = ""
    value: float | None = None
    unit: str = ""
    side: Side | None = None
    level: str | None = None
    observed: date | None = None


class Hold(Value):
    """When a drug that raises the risk is paused and started again, and who agreed to it."""

    last_dose: date
    restart: date | None = None
    agreed_by: str = Field(min_length=1)

    @model_validator(mode="after")
    def _restart_after_last(self) -> Self:
        if self.restart is not None and self.restart < self.last_dose:
            raise ValueError(f"restart {self.restart} before the last dose {self.last_dose}")
        return self


class Medication(Value):
    """A drug as recorded: ``dose`` as written, never converted here.

    ``daily_dose`` with its unit (``mg`` a day, or ``mcg/h`` of a patch) is what a clinician stated for
    counting; it is never derived from ``dose``.
    """

    name: str = Field(min_length=1)
    dose: str = ""
    stopped: date | None = None
    daily_dose: float | None = Field(default=None, ge=0)
    daily_dose_unit: Literal["mg", "mcg/h", ""] = ""
    hold: Hold | None = None


class Score(Value):
    """A questionnaire's total, with its own range."""

    instrument: str = Field(min_length=1)
    total: float
    minimum: float
    maximum: float
    observed: date | None = None

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        if not self.minimum <= self.total <= self.maximum:
            raise ValueError(f"total {self.total} outside [{self.minimum}, {self.maximum}]")
        return self


class PainArea(Value):
    """A marked area of the body outline: ``area`` is an id of the body map."""

    area: str = Field(min_length=1)
    side: Side | None = None
    character: tuple[str, ...] = ()
    intensity: float | None = Field(default=None, ge=0, le=10, description="0-10 numeric rating")
    since: date | None = None
    main: bool = False


class DiaryEntry(Value):
    """Pain after a diagnostic block, 0-10."""

    hours_after: float = Field(ge=0, le=336)
    pain: float = Field(ge=0, le=10)


class DiagnosticBlock(Value):
    """One diagnostic block as given, with its relief diary.

    ``target`` is an id of the nerve catalogue; ``kind`` placebo is saline or another inactive injectate.
    """

    target: str = Field(min_length=1)
    side: Side
    level: str | None = None
    performed: date
    kind: Literal["local anaesthetic", "placebo"]
    agent: str = ""
    concentration_percent: float | None = Field(default=None, gt=0, le=10)
    volume_ml: float | None = Field(default=None, gt=0, le=50)
    baseline_pain: float = Field(ge=0, le=10)
    diary: tuple[DiaryEntry, ...] = ()
    steroid: bool | None = None
    sedation: bool | None = None


class PriorProcedure(Value):
    """An earlier neurolysis or operation for the same pain, and what came of it."""

    technique: str = Field(min_length=1, description="a modality id of the evidence base, or free text")
    target: str = ""
    side: Side | None = None
    performed: date
    relief_percent: float | None = Field(default=None, ge=-100, le=100)
    relief_months: float | None = Field(default=None, ge=0)
    complications: tuple[str, ...] = ()


class Answers(Value):
    """A questionnaire's answers, item by item; ``None`` was not answered."""

    questionnaire: str = Field(min_length=1)
    answered: date
    items: dict[str, float | None] = Field(default_factory=dict)


class ResolvedFlag(Value):
    """A red flag that a named clinician has looked into and set aside."""

    flag: str = Field(min_length=1)
    resolved_by: str = Field(min_length=1)
    resolved_on: date
    reason: str = Field(min_length=3)


class ExpectedSurvival(Value):
    """What the treating team expects, in months; said by a person, never computed here."""

    low_months: float = Field(ge=0)
    high_months: float = Field(ge=0)
    said_by: str = Field(min_length=1)
    said_on: date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_months > self.high_months:
            raise ValueError(f"low_months {self.low_months} above high_months {self.high_months}")
        return self


class Implant(Value):
    """A device or metal in the body; ``distance_mm`` from the planned tip when known."""

    name: str = Field(min_length=1)
    electronic: bool
    distance_mm: float | None = Field(default=None, ge=0)
    material: str = ""


class ImageSource(Value):
    """The planning image: a NIfTI file or a folder of DICOM files, relative to the case folder.

    ``contrast`` says whether vessels are enhanced: on a contrast scan brightness alone never makes
    bone. ``None`` is unknown and is treated as contrast.
    """

    path: str = Field(min_length=1)
    modality: Literal["CT", "MR"] = "CT"
    contrast: bool | None = None
    series_uid: str | None = None
    attribution: str = ""


class LabelSource(Value):
    """A label map on the image's grid, with the scheme that names its numbers."""

    path: str = Field(min_length=1)
    scheme: str = Field(min_length=1)
    origin: str = Field(default="", description="who or what made the labels")
    reviewed: bool = False


class GivenNerve(Value):
    """A nerve drawn by the user, LPS millimetres.

    A ``name`` that is the target's id of the nerve catalogue makes it the target, on the target's side.
    """

    name: str = Field(min_length=1)
    side: Side | None = Field(default=None, description="needed unless the nerve is the target")
    points_mm: tuple[Point, ...] = Field(min_length=2)
    radius_mm: Quantity
    position_sd_mm: Quantity
    picked_by: str = Field(default="", description="who drew it by eye; it is then shown as unreviewed")


class GivenStructure(Value):
    """A structure at risk given as labels in a label map, with the catalogue kind that sets limits."""

    name: str = Field(min_length=1)
    kind: str = Field(min_length=1, description="a kind of the limits catalogue")
    label_path: str = Field(min_length=1)
    label_values: tuple[int, ...] = Field(min_length=1)


class Target(Value):
    """What is to be treated; a spinal level is named three ways so that a wrong one cannot hide.

    ``nerve`` is an id of the nerve catalogue; ``bony_level`` the vertebra it crosses; ``joint`` the
    joint it serves: both needed wherever the catalogue knows them. ``level_counted`` says how the level
    was established; ``None`` is uncounted.
    """

    nerve: str = Field(min_length=1)
    side: Side
    bony_level: str | None = Field(default=None, min_length=1)
    joint: str | None = Field(default=None, min_length=1)
    level_counted: str | None = None
    transitional_vertebra: bool | None = None


class GivenPlacement(Value):
    """An instrument laid by the user: tip, and a second point up the shaft towards the hub.

    ``role`` "return" is the other electrode of a pair.
    """

    instrument: str = Field(min_length=1)
    tip_mm: Point
    towards_hub_mm: Point
    rotation_deg: float = Field(default=0.0, ge=-360, le=360)
    role: Literal["active", "return"] = "active"


class Treatment(Value):
    """How it is to be treated: a technique and its protocol's fields, validated by the technique."""

    technique: str = Field(min_length=1)
    protocol: dict[str, JsonValue] = Field(default_factory=dict)
    instrument: str | None = Field(
        default=None, min_length=1, description="needed wherever the technique places an instrument"
    )
    generator: str | None = None
    placements: tuple[GivenPlacement, ...] = ()
    return_pad_site: str | None = None
    return_path_resistance_ohm: Quantity | None = None
    fluid_at_tip_ml: float | None = Field(default=None, ge=0)
    fluid_name: str = ""
    position: PatientPosition | None = Field(
        default=None, description="how the patient lies during delivery; an image may show another position"
    )
    position_tilt_deg: float = Field(default=0.0, ge=-90, le=90, description="head up of the table, degrees")
    declared_approach: str = Field(default="", description="a named approach: trans-aortic or intrathecal")


class GivenLandmark(Value):
    """A landmark picked by hand on the image, LPS millimetres; ``name`` is one its user asks for."""

    name: str = Field(min_length=1)
    side: Side | None = None
    point_mm: Point
    position_sd_mm: float | None = Field(default=None, gt=0, le=50)
    picked_by: str = ""
    reviewed: bool = False


class GivenInjection(Value):
    """One injection of local anaesthetic, planned or already given.

    Its strength is stated once, in exactly one of per cent (g per 100 mL) and mg/mL; ``dose_mg`` may be
    given as well, and must then agree with strength times volume. ``minutes`` counts from the start of
    the session; earlier doses are negative. ``site`` is an id of the absorption sites.
    """

    agent: str = Field(min_length=1)
    concentration_percent: float | None = Field(default=None, gt=0, le=10)
    concentration_mg_per_ml: float | None = Field(default=None, gt=0, le=100)
    volume_ml: float = Field(gt=0, le=200)
    dose_mg: float | None = Field(default=None, gt=0)
    epinephrine_mcg_per_ml: float | None = Field(default=None, ge=0, le=100)
    purpose: Literal["skin", "track", "target", "with the agent", "diagnostic block", "other"]
    site: str = Field(min_length=1)
    minutes: float = Field(default=0.0, ge=-2880, le=1440)

    @model_validator(mode="after")
    def _one_strength(self) -> Self:
        percent, per_ml = self.concentration_percent, self.concentration_mg_per_ml
        if (percent is None) == (per_ml is None):
            raise ValueError("give exactly one of concentration_percent and concentration_mg_per_ml")
        stated = self.dose_mg
        if stated is not None and abs(stated - self.mg) > 0.01 * self.mg:
            raise ValueError(f"dose_mg {stated:g} does not agree with strength times volume, {self.mg:g} mg")
        return self

    @property
    def mg_per_ml(self) -> float:
        """Strength in mg/mL: 1 per cent is 10 mg/mL."""
        if self.concentration_mg_per_ml is not None:
            return self.concentration_mg_per_ml
        return 10.0 * (self.concentration_percent or 0.0)

    @property
    def mg(self) -> float:
        """Milligrams injected."""
        return self.mg_per_ml * self.volume_ml


class Anaesthesia(Value):
    """What is planned for comfort: local anaesthetic, sedation, and what must be arranged."""

    injections: tuple[GivenInjection, ...] = ()
    sedation: Literal["none", "minimal", "moderate", "deep", "general"] | None = None
    fasting_confirmed: bool | None = None
    escort_arranged: bool | None = None
    stimulation: bool | None = Field(default=None, description="whether nerve stimulation is to be done")
    order: tuple[Literal["stimulation", "anaesthetic", "lesion"], ...] = ()
    lesion_minutes: float | None = Field(
        default=None, ge=0, le=1440, description="start of the painful part, on the clock of the injections"
    )
    lesion_lasts_min: float | None = Field(default=None, gt=0, le=600)
    intravenous_access: bool | None = None


class Case(Value):
    """One patient's case, step 0 of everything."""

    schema_version: Literal[1] = 1
    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""
    demonstration: bool = False
    evaluated: date | None = Field(
        default=None, description="the day this case describes; ages, intervals and doses count to it"
    )
    patient: Patient
    complaint: str = ""
    conditions: tuple[str, ...] = Field(default=(), description="diagnoses as recorded")
    condition: str | None = Field(
        default=None, description="the painful condition to be treated: an id of the catalogue of conditions"
    )
    pain: tuple[PainArea, ...] = ()
    findings: tuple[Finding, ...] = ()
    medications: tuple[Medication, ...] = ()
    medications_complete: bool | None = Field(
        default=None,
        description="whether the list of medicines is complete; else a drug may be missing from it",
    )
    allergies: tuple[str, ...] | None = None
    implants: tuple[Implant, ...] | None = None
    scores: tuple[Score, ...] = ()
    questionnaires: tuple[Answers, ...] = ()
    blocks: tuple[DiagnosticBlock, ...] = ()
    prior_procedures: tuple[PriorProcedure, ...] = ()
    resolved_flags: tuple[ResolvedFlag, ...] = ()
    expected_survival: ExpectedSurvival | None = None
    image: ImageSource | None = None
    labels: tuple[LabelSource, ...] = ()
    nerves: tuple[GivenNerve, ...] = ()
    structures: tuple[GivenStructure, ...] = ()
    skin_depth_mm: float | None = Field(
        default=None, gt=0, le=300, description="skin to target along the needle, if measured"
    )
    landmarks: tuple[GivenLandmark, ...] = ()
    target: Target | None = None
    anaesthesia: Anaesthesia | None = None
    treatment: Treatment | None = None
    notes: str = ""
