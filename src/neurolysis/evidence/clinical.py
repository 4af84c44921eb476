"""Clinical evidence: every figure that was read, what it is a figure of, and how to ask for it.

The printed table (:mod:`neurolysis.evidence.clinical_table`) is kept as it stands; beside it
``clinical_rows.yaml`` says of each row, from its own words alone, what was given, what was counted and
among whom. Conflicting and negative trials stay in. What is not there was not found: nothing fills it in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import vocabulary
from neurolysis.evidence.clinical_table import printed_rows
from neurolysis.evidence.store import load_yaml, pick
from neurolysis.evidence.vocabulary import known_id, plain
from neurolysis.quantity import Value, parse

ROW_FILE = "clinical_rows.yaml"
RULE_PREFIX = "rule:"

Design = Literal[
    "randomised sham-controlled",
    "randomised active",
    "randomised open",
    "meta-analysis",
    "cohort",
    "case series",
    "case report",
    "review",
    "guideline",
    "validation study",
    "patient page",
    "not stated",
]
Arm = Literal["treatment", "comparator", "difference", "selection", "rule"]
Denominator = Literal[
    "treated",
    "tested",
    "survivors",
    "followed up",
    "responders",
    "drug users",
    "procedures",
    "sites treated",
    "lesion sites",
    "not stated",
]


class Classification(Value):
    """What a row's own words say beside its printed columns; "not stated" where they do not.

    ``several`` says that the figure is of several modalities, "pooled" or given "together": it is then
    a figure of none of them alone. ``comparators`` is what a difference is against. ``also`` lists further
    families that the same figure counts. ``responder`` is the key of what was counted or measured.
    ``events`` of ``counted`` is the printed fraction; ``counted`` is empty where the printed ``n`` is
    another number (a trial's total, patients allocated) and must not be used as a denominator.
    "sites treated" are knees, sides or neuromas; "lesion sites" single lesions of one treatment.
    ``study`` is set where the source reports another study, or two sources report the same one;
    ``better`` says which direction is good where the family of the outcome does not.
    """

    study: str = ""

    conditions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    several: Literal["", "pooled", "together"] = ""
    comparators: tuple[str, ...] = ()
    family: str
    also: tuple[str, ...] = ()
    responder: str = ""
    better: Literal["higher", "lower", "-"] = "-"
    design: Design = "not stated"
    arm: Arm = "treatment"
    denominator: Denominator = "not stated"
    selection: str = ""
    lasting: Literal["temporary", "permanent", "not stated"] = "not stated"
    events: int | None = Field(default=None, ge=0)
    counted: int | None = Field(default=None, gt=0)
    problems: tuple[str, ...] = ()


class EvidenceRow(Classification):
    """One figure that was read, with its source and what it is a figure of.

    ``condition``, ``target``, ``modality`` and ``outcome`` are the table's own words; ``conditions``,
    ``targets``, ``modalities`` and ``family`` are ids. Times are months, ``low`` and ``high`` the printed
    interval or range. A comparator's ``targets`` are those of the treatment it was compared with.
    """

    id: str
    condition: str
    target: str
    modality: str
    outcome: str
    timepoint_months: float | None
    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: int | None
    definition: str
    source: str
    confidence: Literal["high", "moderate", "low"]
    confidence_note: str

    @property
    def is_rule(self) -> bool:
        """Whether the row is a rule or cut-off, not a result."""
        return self.arm == "rule"

    @property
    def fraction(self) -> tuple[int, int] | None:
        """Events and the number they were counted among: printed, or whole events of a printed percentage."""
        if self.counted is None:
            return None
        if self.events is not None:
            return self.events, self.counted
        if self.unit != "percent" or self.value is None:
            return None
        return round(self.value * self.counted / 100), self.counted

    @property
    def pooling_key(self) -> tuple[str, ...]:
        """What must be equal before rows are pooled: for whom, what was counted, when, in what design.

        Rows of one ``study`` are never pooled with each other, whatever their keys.
        """
        joined = (self.conditions, self.targets, (*self.modalities, self.several), self.comparators)
        months = "" if self.timepoint_months is None else f"{self.timepoint_months:g}"
        what = (self.family, self.responder, self.unit, self.denominator, self.selection)
        return (*(" + ".join(part) for part in joined), months, *what, self.design, self.arm)


def evidence_rows() -> tuple[EvidenceRow, ...]:
    """Every row, in the order of the table.

    Raises:
        InputError: a row of the table is bad (see :mod:`neurolysis.evidence.clinical_table`), has no
            classification, or one that names something unknown or contradicts the row.
    """
    return tuple(_rows().values())


def evidence_row(id: str) -> EvidenceRow:
    """One row; UnknownNameError lists the ids."""
    return pick(_rows(), id, "evidence row")


def find_evidence(
    *,
    condition: str | None = None,
    target: str | None = None,
    modality: str | None = None,
    outcome: str | None = None,
    months: float | None = None,
    include_comparators: bool = True,
) -> tuple[EvidenceRow, ...]:
    """Rows that fit everything asked, in the order of the table; empty where none was found.

    Args:
        condition: id of a condition, or the table's own name of one.
        target: id of a target.
        modality: id, title or other name of a treatment or comparator. With the rows of a treatment come
            those of the arm "comparator" that stand beside it: of the same source and targets.
        outcome: id of a family, or the table's own name of an outcome.
        months: exactly this time point; nothing is interpolated.
        include_comparators: whether rows of the arm "comparator" are given.

    Raises:
        UnknownNameError: a name is unknown; lists what is known.
    """
    tests = [
        test
        for test in (
            condition and _by_condition(condition),
            target and _by_target(target),
            outcome and _by_outcome(outcome),
            months is not None and (lambda row: row.timepoint_months == months),
        )
        if test
    ]
    rows = [row for row in evidence_rows() if all(test(row) for test in tests)]
    if modality:
        rows = _of_modality(rows, vocabulary.modality_id(modality))
    return tuple(row for row in rows if include_comparators or row.arm != "comparator")


def rule_rows(kind: str) -> tuple[EvidenceRow, ...]:
    """Rows of one kind of rule ("opioid_mme", "coagulation" ...); UnknownNameError lists the kinds."""
    known = {plain(name): name for name in rule_kinds()}
    wanted = known_id(kind, known, "kind of rule", known.values())
    return tuple(row for row in evidence_rows() if row.condition == RULE_PREFIX + wanted)


def rule_kinds() -> tuple[str, ...]:
    """Every kind of rule in the table, in order."""
    names = [row.condition for row in evidence_rows() if row.condition.startswith(RULE_PREFIX)]
    return tuple(dict.fromkeys(name.removeprefix(RULE_PREFIX) for name in names))


Test = Callable[[EvidenceRow], bool]


def _by_condition(name: str) -> Test:
    ids = {plain(id): id for id in vocabulary.names().conditions}
    if plain(name) in ids:
        return lambda row: ids[plain(name)] in row.conditions
    printed = {plain(row.condition): row.condition for row in evidence_rows()}
    wanted = known_id(name, printed, "condition", {*ids.values(), *printed.values()})
    return lambda row: row.condition == wanted


def _by_target(name: str) -> Test:
    known = {plain(id): id for id in vocabulary.names().targets}
    wanted = known_id(name, known, "target", known.values())
    return lambda row: wanted in row.targets


def _by_outcome(name: str) -> Test:
    ids = {plain(id): id for id in vocabulary.families()}
    if plain(name) in ids:
        return lambda row: ids[plain(name)] in (row.family, *row.also)
    printed = {plain(row.outcome): row.outcome for row in evidence_rows()}
    wanted = known_id(name, printed, "outcome", {*ids.values(), *printed.values()})
    return lambda row: row.outcome == wanted


def _of_modality(rows: list[EvidenceRow], wanted: str) -> list[EvidenceRow]:
    """Rows of one modality, and the comparators that stand beside them in the same source."""
    direct = [row for row in rows if wanted in row.modalities]
    trials = {(row.source, *row.targets) for row in direct}
    return [
        row
        for row in rows
        if wanted in row.modalities or (row.arm == "comparator" and (row.source, *row.targets) in trials)
    ]


@cache
def _rows() -> Mapping[str, EvidenceRow]:
    return classify(load_yaml(ROW_FILE))


def classify(data: Mapping[str, Mapping[str, object]]) -> Mapping[str, EvidenceRow]:
    """The printed rows joined with their classification (plain data by row id).

    Raises:
        InputError: a row is missing on either side, or a classification is wrong.
    """
    printed = printed_rows()
    astray = sorted(set(printed) ^ set(data))
    if astray:
        raise InputError("rows and their classification do not match", where=ROW_FILE, found=astray)
    found = {id: _join(id, data[id]) for id in printed}
    return MappingProxyType(found)


def _join(id: str, data: Mapping[str, object]) -> EvidenceRow:
    where = f"{ROW_FILE}: {id}"
    parse(Classification, data, where)
    row = parse(EvidenceRow, {**dict(printed_rows()[id]), **data}, where)
    _check_names(row, where)
    _check_sense(row, where)
    own = row.better if row.better != "-" else vocabulary.family(row.family).better
    return row.replace(study=row.study or row.source, better=own)


def _check_names(row: EvidenceRow, where: str) -> None:
    known = vocabulary.names()
    for what, used, allowed in (
        ("condition", row.conditions, known.conditions),
        ("target", row.targets, known.targets),
        ("modality", (*row.modalities, *row.comparators), vocabulary.modalities()),
        ("outcome family", (row.family, *row.also), vocabulary.families()),
    ):
        for name in used:
            if name not in allowed:
                raise UnknownNameError(f"unknown {what}", where=where, found=name, allowed=sorted(allowed))


def _check_sense(row: EvidenceRow, where: str) -> None:
    """Refuse what cannot be: see the messages."""
    kinds = {vocabulary.modalities()[name].kind for name in row.modalities}
    printed_rule = row.condition.startswith(RULE_PREFIX)
    for wrong, problem in (
        (printed_rule != row.is_rule, "a rule's arm is 'rule', and only a rule's"),
        ((row.family == "rule") != row.is_rule, "a rule's family is 'rule', and only a rule's"),
        (row.arm == "comparator" and "treatment" in kinds, "a comparator lists no treatment"),
        (row.arm == "treatment" and "treatment" not in kinds, "a treatment row lists a treatment"),
        ((len(row.modalities) > 1) != bool(row.several), "several modalities are pooled or given together"),
        (bool(row.comparators) and row.arm != "difference", "only a difference has comparators"),
        (_too_many(row), "more events than were counted"),
        (_unlike(row), "events of counted is not the printed percentage, and no problem says so"),
    ):
        if wrong:
            raise InputError(problem, where=where)


def _too_many(row: EvidenceRow) -> bool:
    return row.events is not None and row.counted is not None and row.events > row.counted


def _unlike(row: EvidenceRow) -> bool:
    """Whether a printed fraction is more than half a per cent from the printed percentage."""
    if row.unit != "percent" or row.value is None or row.events is None or row.counted is None:
        return False
    return abs(100 * row.events / row.counted - row.value) > 0.5 and not row.problems
