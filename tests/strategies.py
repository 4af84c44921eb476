"""Hypothesis strategies for the nouns, shared by tests."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from neurolysis.case import Case, Finding, Medication, Patient, Score
from neurolysis.quantity import Quantity

WORDS = st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=20).filter(
    lambda text: text.strip() != ""
)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
DAYS = st.none() | st.dates(min_value=date(1950, 1, 1), max_value=date(2100, 1, 1))
SIDES = st.sampled_from(["left", "right", "midline"])
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


def above_zero(highest: float) -> st.SearchStrategy[float]:
    """Floats above zero up to ``highest``."""
    return st.floats(min_value=1e-3, max_value=highest)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The strategy, or None."""
    return st.none() | strategy


def tuples_of(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Up to four different values."""
    return st.lists(strategy, max_size=4, unique=True).map(tuple)


PATIENTS = st.builds(
    Patient,
    id=IDS,
    birth_year=maybe(st.integers(1900, 2100)),
    sex=st.sampled_from(["female", "male", "other", "unknown"]),
    weight_kg=maybe(above_zero(400)),
    weight_date=DAYS,
    height_cm=maybe(st.floats(min_value=31, max_value=250)),
    pregnant=maybe(st.booleans()),
    deceased=maybe(st.booleans()),
)
FINDINGS = st.builds(
    Finding,
    kind=st.sampled_from(["history", "exam", "test", "laboratory"]),
    name=WORDS,
    result=WORDS,
    value=maybe(NUMBERS),
    unit=st.just("") | WORDS,
    side=maybe(SIDES),
    level=maybe(WORDS),
    observed=DAYS,
)
MEDICATIONS = st.builds(Medication, name=WORDS, dose=st.just("") | WORDS, stopped=DAYS)
SCORES = st.builds(
    lambda name, total, low, high, observed: Score(
        instrument=name, total=total, minimum=total - low, maximum=total + high, observed=observed
    ),
    WORDS,
    NUMBERS,
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=0, max_value=100),
    DAYS,
)
QUANTITIES = st.builds(
    Quantity,
    value=NUMBERS,
    unit=WORDS,
    standard_deviation=maybe(above_zero(10)),
    conditions=st.just("") | WORDS,
    basis=st.sampled_from(["sourced", "computed", "assumption", "site"]),
    source=WORDS,
)
CASES = st.builds(
    Case,
    id=IDS,
    title=st.just("") | WORDS,
    demonstration=st.booleans(),
    patient=PATIENTS,
    complaint=st.just("") | WORDS,
    conditions=tuples_of(WORDS),
    findings=tuples_of(FINDINGS),
    medications=tuples_of(MEDICATIONS),
    allergies=maybe(tuples_of(WORDS)),
    scores=tuples_of(SCORES),
    skin_depth_mm=maybe(above_zero(300)),
    notes=st.just("") | WORDS,
)
