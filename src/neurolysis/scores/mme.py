"""Opioid dose in morphine milligram equivalents (MME) a day, by the CDC 2022 factors; never for rotation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from neurolysis.case import Medication
from neurolysis.errors import InputError
from neurolysis.evidence.clinical import EvidenceRow, rule_rows
from neurolysis.quantity import Value

PREFIX = "factor_"
PATCH = "fentanyl_transdermal"
CLINICIAN_ONLY = ("methadone", PATCH)
UNCOUNTED = ("buprenorphine",)
VERSION = "CDC 2022 factors, as reproduced; older tables differ"
WARNING = "MME compares risks between patients; it must never be used to change from one opioid to another."


class MmePart(Value):
    """One opioid: its daily dose, factor and share; ``mme`` None where it is not counted, with the reason."""

    drug: str
    daily_dose: float | None
    unit: str
    factor: float | None
    mme: float | None
    row: str = ""
    reason: str = ""


class MmeResult(Value):
    """Daily MME: ``total`` of what could be counted; ``complete`` False when something could not be."""

    total: float
    complete: bool
    parts: tuple[MmePart, ...]
    version: str = VERSION
    warning: str = WARNING


def daily_mme(drugs: Iterable[Medication], *, clinician: str | None = None) -> MmeResult:
    """Daily MME of the opioids among these medicines; other drugs are left out.

    Args:
        clinician: who confirmed methadone and patches; without a name they are shown and not added.

    Raises:
        InputError: an opioid whose daily dose is in the wrong unit.
    """
    parts = tuple(_part(drug, name, clinician) for drug in drugs if (name := opioid_name(drug.name)))
    counted = [part.mme for part in parts if part.mme is not None]
    return MmeResult(total=float(sum(counted)), complete=len(counted) == len(parts), parts=parts)


def opioid_name(name: str) -> str | None:
    """The opioid that a medicine's name holds, as the factor table calls it; None for other drugs."""
    text = name.casefold()
    if "fentanyl" in text:
        return PATCH if any(word in text for word in ("patch", "transdermal")) else "fentanyl"
    names = [*UNCOUNTED, *(n for n in factors() if n != PATCH)]
    # the longest name first: hydromorphone holds morphine
    return next((n for n in sorted(names, key=len, reverse=True) if n in text), None)


@cache
def factors() -> Mapping[str, EvidenceRow]:
    """Conversion factors as rows of the evidence base, by drug."""
    rows = rule_rows("opioid_mme")
    return {row.outcome.removeprefix(PREFIX): row for row in rows}


def _part(drug: Medication, name: str, clinician: str | None) -> MmePart:
    row = factors().get(name)
    unit = "mcg/h" if name == PATCH else "mg"
    if row is None:
        reason = "no factor was read; a clinician must judge"
    elif drug.daily_dose is None:
        reason = "the daily dose is not stated"
    elif name in CLINICIAN_ONLY and not (clinician or "").strip():
        reason = "needs a named clinician (methadone and patches)"
    else:
        if drug.daily_dose_unit != unit:
            raise InputError(
                "daily dose in another unit",
                where=f"medications: {drug.name}",
                found=drug.daily_dose_unit or "none",
                allowed=unit,
            )
        factor = float(row.value or 0.0)
        return MmePart(
            drug=drug.name,
            daily_dose=drug.daily_dose,
            unit=unit,
            factor=factor,
            mme=factor * drug.daily_dose,
            row=row.id,
        )
    factor_read = None if row is None else row.value
    return MmePart(
        drug=drug.name,
        daily_dose=drug.daily_dose,
        unit=unit,
        factor=factor_read,
        mme=None,
        row="" if row is None else row.id,
        reason=reason,
    )
