"""The procedure of a case: its record beside the case, what the rules of the room say, what was done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.cases import load_case
from neurolysis.app.files import read_yaml
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.outcome import DoneProcedure, Outcome
from neurolysis.plan import Notice
from neurolysis.procedure import Consent, Procedure
from neurolysis.quantity import V, Value, parse

if TYPE_CHECKING:
    from neurolysis.case import Case
    from neurolysis.procedure import GivenStep
    from neurolysis.records.store import Principal, Store

PROCEDURE_FILE, CONSENT_FILE = "procedure.yaml", "consent.yaml"


@dataclass(frozen=True)
class RoomCheck:
    """What the rules of the room say of a record."""

    procedure: Procedure
    notices: tuple[Notice, ...]

    @property
    def stopped(self) -> bool:
        """Whether something stops the team."""
        return any(notice.severity == "stop" for notice in self.notices)


def load_procedure(folder: Path) -> Procedure | None:
    """The record of the room beside a case; None where there is none yet. InputError."""
    return _load(folder / PROCEDURE_FILE, Procedure)


def load_consent(folder: Path) -> Consent | None:
    """The consent beside a case; None where there is none. InputError."""
    return _load(folder / CONSENT_FILE, Consent)


def _load(file: Path, model: type[V]) -> V | None:
    if not file.is_file():
        return None
    data = read_yaml(file)
    if not isinstance(data, dict):
        raise InputError("a record is a mapping of fields", where=str(file), found=type(data).__name__)
    return parse(model, data, str(file))


def check_procedure(case_path: Path) -> RoomCheck:
    """Hold the ``procedure.yaml`` of a case folder against the rules of the room.

    Raises:
        InputError: no record, a wrong field, or a record of another case.
    """
    from neurolysis.planning.room import room_notices

    case, folder = load_case(case_path)
    procedure = load_procedure(folder)
    if procedure is None:
        raise InputError("no record of the room here", where=str(folder), allowed=PROCEDURE_FILE)
    _same_case(case, procedure)
    return RoomCheck(procedure, room_notices(case, procedure, consent=load_consent(folder)))


def check_stored_procedure(store: Store, p: Principal, case_id: str) -> RoomCheck:
    """The same for a case of the store, with the plan that the record says was followed.

    A record that names no plan is held against the newest approved one.

    Raises:
        NotFoundError, ForbiddenError.
    """
    from neurolysis.planning.room import room_notices

    case = store.read_case(p, case_id).case
    found, consent = (store.read_document(p, case_id, kind) for kind in ("procedure", "consent"))
    procedure = parse(Procedure, found.value if found else {"case_id": case_id}, "procedure")
    followed = _followed(store, p, case_id, procedure)
    return RoomCheck(
        procedure,
        room_notices(
            case, procedure, consent=parse(Consent, consent.value, "consent") if consent else None, **followed
        ),
    )


def _followed(store: Store, p: Principal, case_id: str, procedure: Procedure) -> dict[str, Any]:
    from neurolysis.approval import DRAFT
    from neurolysis.records.store.reading import plan_of

    number = procedure.plan_number
    if number is None:
        approved = [row.number for row in store.list_plans(p, case_id) if row.mark != DRAFT]
        number = approved[-1] if approved else None
    if number is None:
        return {}
    status = store.plan_status(p, case_id, number)
    plan = plan_of(store.read_plan(p, case_id, number).record, case_id)
    return {"plan": plan, "approved": status.approved, "recheck": status.recheck}


def room_data(found: RoomCheck) -> dict[str, Any]:
    """The check as plain data."""
    return {
        "procedure": found.procedure.model_dump(mode="json"),
        "stopped": found.stopped,
        "notices": [notice.model_dump(mode="json") for notice in found.notices],
        "research_use": RESEARCH_USE,
    }


def room_text(found: RoomCheck) -> str:
    """The check in words for the terminal."""
    from neurolysis.app.texts import notices_text

    head = "STOP: do not go on" if found.stopped else "nothing stops the team"
    return "\n".join([head, notices_text(found.notices), RESEARCH_USE])


# ---------------------------------------------------------------- what was done


def with_given(
    case: Case, outcome: Outcome | None, procedure: Procedure | None
) -> tuple[Outcome | None, tuple[str, ...]]:
    """The outcome with what was really given in the place of what it or the plan says, and remarks.

    Nothing changes without a record of the room. Where nothing that treats was given, nothing was done.

    Raises:
        InputError: a record of another case, or given steps of which no technique is known.
    """
    if procedure is None:
        return outcome, ()
    _same_case(case, procedure)
    if not procedure.treating:
        reason = f": {procedure.abort.reason}" if procedure.abort else ""
        if procedure.abort is None:
            return outcome, ()
        kept = outcome.replace(procedure=None) if outcome else None
        return kept, (f"The procedure was aborted before anything was given{reason}.",)
    done = done_procedure(case, procedure, outcome)
    seen = outcome or Outcome(case_id=case.id)
    delivered = procedure.delivered()
    hash_ = delivered.content_hash() if delivered else None
    return seen.replace(procedure=done, delivered_hash=hash_), tuple(_differences(case, seen, done))


def done_procedure(case: Case, procedure: Procedure, outcome: Outcome | None = None) -> DoneProcedure:
    """What was done, from the record of the room; facts of the patient before from the outcome if need be.

    Raises:
        InputError: neither a step nor the case says a nerve, side or known technique.
    """
    first = min(procedure.treating, key=lambda step: step.start.replace(tzinfo=None))
    target, said = case.target, outcome.procedure if outcome else None
    nerve, side = (
        first.nerve or (target.nerve if target else ""),
        first.side or (target.side if target else None),
    )
    if not nerve or side is None:
        raise InputError(
            "a step as given says neither nerve nor side, nor does the case", where=PROCEDURE_FILE
        )
    return parse(
        DoneProcedure,
        {
            "modality": given_modality(first),
            "target": nerve,
            "side": side,
            "performed": first.start,
            "sedation": procedure.sedation or (said.sedation if said else "none"),
            "baseline_pain": _first(procedure.pain_before, said.baseline_pain if said else None),
            "baseline_systolic_mmhg": _first(
                procedure.systolic_before_mmhg, said.baseline_systolic_mmhg if said else None
            ),
        },
        PROCEDURE_FILE,
    )


def given_modality(step: GivenStep) -> str:
    """The modality of the evidence base that a step was: by its agent, its technique's mode, or its name.

    Raises:
        InputError: no modality of such a technique or agent.
    """
    from neurolysis.evidence.vocabulary import modalities

    fitting = [item.id for item in modalities().values() if item.technique == step.technique]
    mode = str(step.settings.get("mode") or "")
    of_mode = [id for id in fitting if mode and id.endswith(mode)]
    agent = step.agent or str(step.settings.get("agent") or "")
    of_agent = _known(agent, *agent.replace("_", " ").split()[:1])
    named = _known(step.technique, f"{step.technique} neurolysis")
    found = next(iter((*of_agent, *of_mode, *fitting, *named)), None)
    if found is None:
        allowed = sorted(
            {item.technique for item in modalities().values() if item.technique} | set(modalities())
        )
        raise InputError("no such technique", where=PROCEDURE_FILE, found=step.technique, allowed=allowed)
    return found


def _known(*names: str) -> list[str]:
    """Ids of treatments of these names, in order."""
    from neurolysis.evidence.vocabulary import modalities, modality_id

    found = []
    for name in names:
        with suppress(UnknownNameError):
            found.append(modality_id(name))
    return [id for id in found if modalities()[id].kind == "treatment"]


def _differences(case: Case, outcome: Outcome, done: DoneProcedure) -> list[str]:
    said, found = outcome.procedure, []
    for name in ("modality", "target", "side"):
        if said is not None and getattr(said, name) != getattr(done, name):
            found.append(
                f"The outcome says {name} {getattr(said, name)}; the room gave {getattr(done, name)}."
            )
    if case.target is not None and (done.target, done.side) != (case.target.nerve, case.target.side):
        found.append(
            f"Planned was {case.target.nerve}, {case.target.side}; given was {done.target}, {done.side}. "
            "Aftercare follows what was given."
        )
    return found


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _same_case(case: Case, record: Value) -> None:
    own = getattr(record, "case_id", None)
    if own != case.id:
        raise InputError("the record is of another case", where=PROCEDURE_FILE, found=own, allowed=case.id)
