"""What the numbers of the course say: vital signs, diary, opioid dose, return of pain, complications."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal

from neurolysis.aftercare.rules import alarms, recurrence_rules, rules
from neurolysis.errors import InputError
from neurolysis.outcome import Complication, DiaryDay, DoneProcedure, Outcome, VitalSigns
from neurolysis.quantity import Value
from neurolysis.scores.mme import MmeResult, daily_mme


class SignAlarm(Value):
    """One vital sign beyond a limit."""

    minutes: float
    level: Literal["watch", "alarm"]
    text: str
    found: str
    source: str


class Course(Value):
    """The diary read: pain before and now, relief, and whether the pain is back.

    ``returned`` None: cannot say. ``returned_on`` is the first day of the sustained return.
    """

    days: int
    baseline_pain: float | None
    last_pain: float | None
    best_relief_percent: float | None
    relief_percent: float | None
    returned: bool | None
    returned_on: date | None
    text: str


class OpioidCourse(Value):
    """Opioid dose at the start and now, MME a day, and what a clinician has to decide."""

    before: MmeResult | None
    now: MmeResult | None
    change_percent: float | None
    taper: str
    watch: tuple[str, ...]
    confirmed_by: str


class Graded(Value):
    """A complication with its grades; "cannot grade: needs ..." where something is not said."""

    name: str
    onset: date | None
    ctcae: str
    clavien_dindo: str
    needs: tuple[str, ...] = ()


# ---------------------------------------------------------------- vital signs


def sign_alarms(signs: Sequence[VitalSigns], procedure: DoneProcedure | None) -> tuple[SignAlarm, ...]:
    """Every vital sign beyond a limit, in order of time; of each sign at a time the strongest only."""
    start = procedure.baseline_systolic_mmhg if procedure else None
    return tuple(alarm for reading in signs for alarm in _alarms(reading, start))


def _alarms(reading: VitalSigns, start: float | None) -> Iterator[SignAlarm]:
    values = {
        "oxygen_saturation_percent": reading.oxygen_saturation_percent,
        "temperature_c": reading.temperature_c,
        "systolic_change_percent": _change(reading.systolic_mmhg, start),
    }
    seen = set()
    for rule in alarms():
        value = values[rule.sign]
        beyond = value is not None and (
            (rule.above is not None and value > rule.above) or (rule.below is not None and value < rule.below)
        )
        if beyond and rule.sign not in seen:
            seen.add(rule.sign)
            yield SignAlarm(
                minutes=reading.minutes,
                level=rule.level,
                text=rule.text,
                found=f"{value:.4g}",
                source=rule.source,
            )


def _change(now: float | None, start: float | None) -> float | None:
    return None if now is None or start is None else 100.0 * abs(now - start) / start


# ---------------------------------------------------------------- diary


def read_course(outcome: Outcome) -> Course:
    """Relief and return of pain from the diary.

    Pain is back when, after the first days, at least half of the relief reached is lost on every diary
    day of a stretch of 14 days (numbers and their sources in ``rules.yaml``).
    """
    procedure = outcome.procedure
    baseline = procedure.baseline_pain if procedure else None
    days = [day for day in outcome.diary if day.pain is not None]
    if procedure is None or not baseline or not days:
        text = "Relief cannot be said: needs the pain before (procedure.baseline_pain) and a diary."
        return Course(
            days=len(days),
            baseline_pain=baseline,
            last_pain=days[-1].pain if days else None,
            best_relief_percent=None,
            relief_percent=None,
            returned=None,
            returned_on=None,
            text=text,
        )
    pains = [day.pain or 0.0 for day in days]
    best = 100.0 * (1.0 - min(pains) / baseline)
    now = 100.0 * (1.0 - pains[-1] / baseline)
    back, text = _return(days, procedure.performed.date(), baseline, min(pains))
    return Course(
        days=len(days),
        baseline_pain=baseline,
        last_pain=pains[-1],
        best_relief_percent=best,
        relief_percent=now,
        returned=None if back is None and "cannot" in text else back is not None,
        returned_on=back,
        text=text,
    )


def _return(days: Sequence[DiaryDay], done: date, baseline: float, best: float) -> tuple[date | None, str]:
    """(first day of a sustained return, in words)."""
    numbers = {name: quantity.value for name, quantity in recurrence_rules().items()}
    level = best + numbers["half_back"] / 100.0 * (baseline - best)
    if baseline <= best:
        return None, "There was no relief, so there is no return."
    later = [day for day in days if (day.day - done).days > numbers["settled_days"]]
    if not later:
        return None, "A return cannot be judged yet: no diary after the first two weeks."
    start: date | None = None
    for day in later:
        if (day.pain or 0.0) < level:
            start = None
        elif start is None:
            start = day.day
        if start is not None and (day.day - start).days >= numbers["sustained_days"] - 1:
            return start, f"Pain came back from {start}: at {level:.1f} of 10 or more for two weeks."
    return None, "No sustained return of the pain."


# ---------------------------------------------------------------- opioids


def opioid_course(outcome: Outcome, before: MmeResult | None) -> OpioidCourse:
    """Opioid dose before and on the last diary day that names medicines, and the open decision to taper."""
    last = next((d for d in reversed(outcome.diary) if d.medications is not None), None)
    now = None if last is None else daily_mme(last.medications or (), clinician=outcome.clinician)
    change = None
    if before and now and before.total > 0 and before.complete and now.complete:
        change = 100.0 * (now.total / before.total - 1.0)
    return OpioidCourse(
        before=before,
        now=now,
        change_percent=change,
        taper=rules()["taper"],
        watch=tuple(rules()["taper_watch"]),
        confirmed_by=outcome.clinician,
    )


# ---------------------------------------------------------------- complications


def grade(item: Complication) -> Graded:
    """CTCAE 5 and Clavien-Dindo grades from what was done and what it kept the patient from."""
    ctcae, needs = _ctcae(item)
    clavien, more = _clavien(item)
    return Graded(
        name=item.name,
        onset=item.onset,
        ctcae=ctcae,
        clavien_dindo=clavien,
        needs=tuple(dict.fromkeys((*needs, *more))),
    )


def _ctcae(item: Complication) -> tuple[str, tuple[str, ...]]:
    if item.died:
        return "5", ()
    if item.life_threatening:
        return "4", ()
    asked = {"died": item.died, "life_threatening": item.life_threatening, "hospital": item.hospital,
             "limits": item.limits, "treatment": item.treatment}  # fmt: skip
    needs = tuple(name for name, value in asked.items() if value is None)
    if item.hospital or item.limits == "self-care":
        known = item.died is False and item.life_threatening is False
        return ("3", ()) if known else ("at least 3", needs)
    if needs:
        return "cannot grade", needs
    return ("1", ()) if item.limits == "nothing" and item.treatment == "none" else ("2", ())


CLAVIEN = {
    "none": "I",
    "simple drugs": "I",
    "other drugs": "II",
    "intervention": "IIIa",
    "intervention under general anaesthesia": "IIIb",
    "intensive care, one organ": "IVa",
    "intensive care, several organs": "IVb",
}


def _clavien(item: Complication) -> tuple[str, tuple[str, ...]]:
    if item.died:
        return "V", ()
    needs = tuple(n for n, v in (("died", item.died), ("treatment", item.treatment)) if v is None)
    if needs or item.treatment is None:
        return "cannot grade", needs
    return CLAVIEN[item.treatment] + ("d" if item.disability_at_discharge else ""), ()


def check_days(outcome: Outcome, on: date) -> None:
    """Refuse what lies in the future, or a diary that begins before the procedure.

    Raises:
        InputError: naming the field, what was found and what is allowed.
    """
    dated = [("diary", day.day) for day in outcome.diary]
    dated += [("visits", visit.day) for visit in outcome.visits]
    dated += [("complications", c.onset) for c in outcome.complications if c.onset]
    if outcome.procedure:
        dated.append(("procedure.performed", outcome.procedure.performed.date()))
    for where, day in dated:
        if day > on:
            raise InputError("a date in the future", where=where, found=day, allowed=f"up to {on}")
        if outcome.procedure and where != "procedure.performed" and day < outcome.procedure.performed.date():
            raise InputError(
                "before the procedure",
                where=where,
                found=day,
                allowed=f"from {outcome.procedure.performed.date()}",
            )
