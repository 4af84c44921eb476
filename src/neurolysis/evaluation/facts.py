"""What is known of one case on one day, asked one fact at a time; what is not known is never "no"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from neurolysis.case import Case, DiagnosticBlock, Finding, Medication, PainArea
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.store import load_yaml
from neurolysis.nerve.targets import target_of
from neurolysis.quantity import Value, parse
from neurolysis.scores.scoring import score

DATA = Path(__file__).parent / "data"
State = Literal["present", "absent", "unknown"]


class FindingEntry(Value):
    """One name of the findings vocabulary; ``unit`` of its number, where it is one."""

    id: str
    title: str
    question: str = Field(min_length=1)
    unit: str = ""


class DrugClass(Value):
    """Drugs of one class, by the names a case may carry."""

    id: str
    title: str
    names: tuple[str, ...] = Field(min_length=1)
    source: str


@dataclass(frozen=True)
class Facts:
    """A case on one day, with what is asked about: a modality, a target, a condition."""

    case: Case
    on: date
    modality: str = ""
    target: str = ""

    @property
    def age(self) -> int | None:
        """Age in full years at the end of the year of ``on``; only the year of birth is known."""
        born = self.case.patient.birth_year
        return None if born is None else self.on.year - born

    def finding(self, name: str) -> State:
        """Whether a finding of the vocabulary is there; the newest dated statement counts.

        Raises:
            UnknownNameError: not in the vocabulary.
        """
        found = self.findings_named(name)
        if not found:
            return "unknown"
        result = found[-1].result.strip().casefold()
        if result in ("present", "positive", "yes"):
            return "present"
        return "absent" if result in ("absent", "negative", "no") else "unknown"

    def number(self, name: str) -> tuple[float, date | None] | None:
        """Value and date of the newest finding with a number in the vocabulary's own unit.

        Raises:
            UnknownNameError: not in the vocabulary.
            InputError: the case gives it in another unit; nothing is converted.
        """
        unit = finding_entry(name).unit
        found = [(f, f.value) for f in self.findings_named(name) if f.value is not None]
        if not found:
            return None
        newest, value = found[-1]
        if newest.unit.strip() != unit:
            raise InputError(
                "this finding is read in one unit only",
                where=f"findings: {name}",
                found=newest.unit,
                allowed=unit,
            )
        return value, newest.observed

    def findings_named(self, name: str) -> list[Finding]:
        """Findings of a name of the vocabulary, undated first, then oldest first."""
        finding_entry(name)
        found = [f for f in self.case.findings if f.name == name]
        return sorted(found, key=lambda f: f.observed or date.min)

    def takes(self, drug_class: str) -> bool | None:
        """Whether a drug of the class is taken; None where the list is not said to be complete."""
        if self.drugs_of(drug_class):
            return True
        return False if self.case.medications_complete else None

    def drugs_of(self, drug_class: str) -> tuple[Medication, ...]:
        """Current medicines of a class; UnknownNameError lists the classes."""
        names = _class(drug_class).names
        return tuple(m for m in self.current if any(n in m.name.casefold() for n in names))

    @cached_property
    def current(self) -> tuple[Medication, ...]:
        """Medicines that are not stopped on the day."""
        return tuple(m for m in self.case.medications if m.stopped is None or m.stopped > self.on)

    def allergic_to(self, words: tuple[str, ...]) -> bool | None:
        """Whether an allergy names one of the words; None where allergies are unknown."""
        if self.case.allergies is None:
            return None
        return any(word.casefold() in text.casefold() for text in self.case.allergies for word in words)

    def electronic_implant(self) -> bool | None:
        """Whether there is an electronic implant; None where implants are unknown."""
        return None if self.case.implants is None else any(i.electronic for i in self.case.implants)

    def metal_within(self, distance_mm: float) -> bool | None:
        """Whether metal lies this near to the planned tip; None where implants or distances are unknown."""
        if self.case.implants is None:
            return None
        distances = [i.distance_mm for i in self.case.implants]
        if any(d is not None and d < distance_mm for d in distances):
            return True
        return None if any(d is None for d in distances) else False

    def areas(self) -> tuple[PainArea, ...]:
        """Marked areas, main one first."""
        return tuple(sorted(self.case.pain, key=lambda area: not area.main))

    def score(self, instrument: str) -> float | None:
        """Newest total of an instrument, typed in or scored; None where there is none."""
        totals = [(s.observed or date.min, s.total) for s in self.case.scores if s.instrument == instrument]
        for answers in self.case.questionnaires:
            if answers.questionnaire == instrument:
                total = score(answers).total
                totals += [] if total is None else [(answers.answered, total)]
        return max(totals)[1] if totals else None

    def block_reliefs(self) -> tuple[float | None, ...]:
        """Best relief, per cent, of each anaesthetic block of the asked target; None: cannot say."""
        own = [b for b in self.case.blocks if b.kind != "placebo" and target_of(b.target).id == self.group]
        return tuple(best_relief(block) for block in own)

    @property
    def group(self) -> str:
        """Target group of what is asked about."""
        return target_of(self.target).id if self.target else ""


def best_relief(block: DiagnosticBlock) -> float | None:
    """Largest fall of pain after a block, per cent of its baseline; None without diary or baseline."""
    if not block.diary or block.baseline_pain <= 0:
        return None
    return 100.0 * (1.0 - min(entry.pain for entry in block.diary) / block.baseline_pain)


@cache
def vocabulary() -> Mapping[str, FindingEntry]:
    """Every finding that rules can ask for, from every ``findings_*.yaml``."""
    found: dict[str, FindingEntry] = {}
    for path in sorted(DATA.glob("findings_*.yaml")):
        for name, row in load_yaml(path.name, DATA).items():
            if name in found:
                raise InputError("a finding is given twice", where=path.name, found=name)
            found[name] = parse(FindingEntry, {"id": name, **row}, f"{path.name}: {name}")
    return found


def finding_entry(name: str) -> FindingEntry:
    """One finding of the vocabulary; UnknownNameError lists all."""
    if name not in vocabulary():
        raise UnknownNameError("unknown finding", found=name, allowed=sorted(vocabulary()))
    return vocabulary()[name]


@cache
def drug_classes() -> Mapping[str, DrugClass]:
    """Every drug class by id."""
    table = load_yaml("drugs.yaml", DATA)
    return {name: parse(DrugClass, {"id": name, **row}, f"drugs.yaml: {name}") for name, row in table.items()}


def _class(name: str) -> DrugClass:
    if name not in drug_classes():
        raise UnknownNameError("unknown drug class", found=name, allowed=sorted(drug_classes()))
    return drug_classes()[name]
