"""Rules of the room: what stops before anything is given, and what the record of the room shows or lacks.

Each rule is one function from :class:`Room` to the notices it raises; :data:`RULES` is the list. A record is
never refused for what it says: what was given was given. The rules say what must stop the team, and what
must be looked into afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from neurolysis.case import Case, Target
from neurolysis.nerve.catalogue import nerve_entry, nerve_ids, normal_joint
from neurolysis.plan import Notice, Plan, Severity
from neurolysis.procedure import Agent, Consent, GivenStep, Procedure

RULE = "assumption: clinical rule laid down for this project; no source was read"
IDENTIFIERS = 2
"""How many different ways the patient must be recognised."""


@dataclass(frozen=True)
class Room:
    """What the rules look at. ``approved``: whether the plan is; None where there is no plan."""

    case: Case
    procedure: Procedure
    consent: Consent | None = None
    plan: Plan | None = None
    approved: bool | None = None
    recheck: tuple[str, ...] = ()

    @property
    def begun(self) -> datetime | None:
        """When the first thing was given."""
        return min((step.start for step in self.procedure.steps), default=None, key=_clock)


Rule = Callable[[Room], Iterable[Notice]]


def room_notices(
    case: Case,
    procedure: Procedure,
    *,
    consent: Consent | None = None,
    plan: Plan | None = None,
    approved: bool | None = None,
    recheck: tuple[str, ...] = (),
) -> tuple[Notice, ...]:
    """Everything the rules of the room say, in the order of :data:`RULES`.

    Args:
        plan: the plan that is followed; approved: whether it is approved; recheck: what has changed since.
    """
    room = Room(case, procedure, consent, plan, approved, recheck)
    return tuple(notice for rule in RULES for notice in rule(room))


def may_begin(notices: Iterable[Notice]) -> bool:
    """Whether nothing stops the team."""
    return not any(notice.severity == "stop" for notice in notices)


def _notice(severity: Severity, code: str, text: str) -> Notice:
    return Notice(severity=severity, code=code, text=text, source=RULE, overridable=severity != "stop")


def _clock(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


# --- the time-out ------------------------------------------------------------------------------------


def identity_rule(room: Room) -> Iterator[Notice]:
    """Two different identifiers that match."""
    said = room.procedure.time_out.identifiers
    wrong = [item.kind for item in said if item.matches is False]
    right = {item.kind for item in said if item.matches}
    if wrong:
        text = f"The patient does not match: {', '.join(wrong)}. Do not begin."
        yield _notice("stop", "identity.mismatch", text)
    elif len(right) < IDENTIFIERS:
        text = f"{len(right)} of {IDENTIFIERS} identifiers are confirmed."
        yield _notice("stop", "identity.unconfirmed", text)


def side_rule(room: Room) -> Iterator[Notice]:
    """The side said aloud is the case's, and is marked."""
    target, said = room.case.target, room.procedure.time_out
    if target is None:
        yield _notice("stop", "target.missing", "The case names no target.")
    elif said.side is None:
        yield _notice("stop", "side.not_said", "The side was not said at the time-out.")
    elif said.side != target.side:
        text = f"The time-out says {said.side}, the case says {target.side}. Do not begin."
        yield _notice("stop", "side.mismatch", text)
    elif said.side != "midline" and not said.side_marked:
        yield _notice("warn", "side.not_marked", "The side is not marked on the skin.")


def level_rule(room: Room) -> Iterator[Notice]:
    """The level said aloud is the case's, wherever the target has one."""
    target, said = room.case.target, room.procedure.time_out.level
    if target is None or not (target.bony_level or target.joint):
        return
    if not said:
        yield _notice("stop", "level.not_said", "The level was not said at the time-out.")
    elif not _same_level(target, said):
        names = " or ".join(name for name in (target.bony_level, target.joint) if name)
        text = f"The time-out says {said}, the case says {names}. Do not begin."
        yield _notice("stop", "level.mismatch", text)


def _same_level(target: Target, said: str) -> bool:
    names = {name.casefold() for name in (target.bony_level, target.joint) if name}
    if target.nerve in nerve_ids():
        entry = nerve_entry(target.nerve)
        names |= {name.casefold() for name in (entry.bony_level, *entry.bony_level_names)}
    joint = normal_joint(target.joint) if target.joint else None
    return said.strip().casefold() in names or (joint is not None and normal_joint(said) == joint)


def consent_rule(room: Room) -> Iterator[Notice]:
    """Consent stands, and was asked for aloud."""
    if room.consent is not None and room.consent.revoked_on is not None:
        text = f"The patient took back the consent on {room.consent.revoked_on}. Do not begin."
        yield _notice("stop", "consent.revoked", text)
    elif not room.procedure.time_out.consent:
        said = "does not stand" if room.procedure.time_out.consent is False else "was not confirmed"
        yield _notice("stop", "consent.unconfirmed", f"Consent {said} at the time-out.")
    elif room.consent is None or not room.consent.stands:
        yield _notice("warn", "consent.no_document", "No signed consent is recorded with the case.")


def allergy_rule(room: Room) -> Iterator[Notice]:
    """Allergies are asked for aloud; a new one, or one that names an opened agent, stops."""
    said = room.procedure.time_out
    if not said.allergies_read or said.allergies is None:
        yield _notice("stop", "allergy.not_asked", "Allergies were not asked for at the time-out.")
    known = {text.casefold() for text in room.case.allergies or ()}
    new = [text for text in said.allergies or () if text.casefold() not in known]
    if new:
        text = f"Said at the time-out and not in the case: allergy to {', '.join(new)}. Check every agent."
        yield _notice("stop", "allergy.new", text)
    for agent in room.procedure.agents:
        named = [
            text for text in (*(said.allergies or ()), *(room.case.allergies or ())) if _names(text, agent)
        ]
        for text in dict.fromkeys(name.casefold() for name in named):
            words = f"{agent.name} is opened and an allergy to '{text}' is known."
            yield _notice("stop", "allergy.agent", words)


def _names(allergy: str, agent: Agent) -> bool:
    text, purpose = allergy.casefold(), agent.purpose
    kinds = {purpose, "local anesthetic"} if purpose == "local anaesthetic" else {purpose}
    return agent.name.casefold() in text or any(kind in text for kind in kinds - {"other"})


def blood_rule(room: Room) -> Iterator[Notice]:
    """Anticoagulants are settled."""
    said = room.procedure.time_out.anticoagulant
    if said is None:
        text = "Anticoagulants were not asked for at the time-out."
        yield _notice("stop", "anticoagulant.not_asked", text)
    elif said == "not paused":
        text = "An anticoagulant was not paused and nobody agreed to go on with it. Do not begin."
        yield _notice("stop", "anticoagulant.not_paused", text)
    elif said == "continued as agreed":
        yield _notice("warn", "anticoagulant.continued", "An anticoagulant goes on, as agreed.")


def implant_rule(room: Room) -> Iterator[Notice]:
    """Implants are asked for and settled."""
    said, known = room.procedure.time_out.implant, room.case.implants or ()
    if said is None:
        yield _notice("stop", "implant.not_asked", "Implants were not asked for at the time-out.")
    elif said == "not settled":
        yield _notice("stop", "implant.not_settled", "An implant is not settled with its team. Do not begin.")
    elif said == "none" and known:
        names = ", ".join(item.name for item in known)
        text = f"The time-out says no implant, the case names {names}. Settle it before anything is given."
        yield _notice("stop", "implant.mismatch", text)


def late_rule(room: Room) -> Iterator[Notice]:
    """The time-out comes before anything is given."""
    time, begun = room.procedure.time_out.time, room.begun
    if begun is None:
        return
    if time is None:
        yield _notice("warn", "time_out.no_time", "Something was given and the time-out has no time.")
    elif _clock(time) > _clock(begun):
        text = f"The time-out at {time:%H:%M} came after the first thing was given at {begun:%H:%M}."
        yield _notice("warn", "time_out.late", text)


def plan_rule(room: Room) -> Iterator[Notice]:
    """What is followed is an approved plan that nothing has overtaken."""
    if room.plan is None:
        yield _notice("warn", "plan.none", "No plan of this program is followed.")
        return
    if not room.approved:
        yield _notice("warn", "plan.not_approved", "The plan that is followed is not approved.")
    if room.recheck:
        text = f"Since the plan was made: {'; '.join(room.recheck)}. Check it again."
        yield _notice("stop" if not room.procedure.steps else "warn", "plan.recheck", text)


# --- agents and needles ------------------------------------------------------------------------------


def agent_rule(room: Room) -> Iterator[Notice]:
    """Each agent has its lot and an expiry that has not passed."""
    day = _day(room)
    for agent in room.procedure.agents:
        if agent.expires is None:
            yield _notice("warn", "agent.no_expiry", f"{agent.name}: the expiry date is not recorded.")
        elif agent.expires < day:
            yield _notice(
                "stop", "agent.expired", f"{agent.name} expired on {agent.expires}. Do not give it."
            )
        if not agent.lot.strip():
            yield _notice("warn", "agent.no_lot", f"{agent.name}: the lot is not recorded.")
    opened = {agent.name.casefold() for agent in room.procedure.agents}
    for name in dict.fromkeys(step.agent for step in room.procedure.steps if step.agent):
        if name.casefold() not in opened:
            text = f"{name} was given and is not among the agents with lot and expiry."
            yield _notice("warn", "agent.not_listed", text)


def _day(room: Room) -> date:
    """The day of the procedure; before it began, that of the time-out, else of the case, else never."""
    times = (room.begun, room.procedure.started, room.procedure.time_out.time)
    found = next((moment.date() for moment in times if moment is not None), None)
    return found or room.case.evaluated or date.min


def stimulation_rule(room: Room) -> Iterator[Notice]:
    """Stimulation that was planned is done, before numbing and lesion; a limb that moves stops."""
    procedure = room.procedure
    planned = room.case.anaesthesia is not None and room.case.anaesthesia.stimulation
    lesions = [step for step in procedure.steps if step.kind == "lesion"]
    if planned and lesions and not procedure.stimulation:
        text = "Stimulation was planned and none is recorded before the lesion."
        yield _notice("warn", "stimulation.missing", text)
    for test in procedure.stimulation:
        before = [step for step in procedure.steps if _numbs_or_treats(step, test.needle)]
        if any(_clock(step.start) < _clock(test.time) for step in before):
            text = f"Needle {test.needle}: stimulation after anaesthetic or lesion: the nerve is numb."
            yield _notice("warn", "stimulation.late", text)
        if test.motor_of_limb:
            text = f"Needle {test.needle}: a limb moved on stimulation. Do not make a lesion here."
            yield _notice("stop", "stimulation.limb", text)


def _numbs_or_treats(step: GivenStep, needle: int) -> bool:
    numbs = step.kind == "local anaesthetic" and step.place == "target"
    return step.needle == needle and (numbs or step.kind in ("lesion", "injection"))


def needle_rule(room: Room) -> Iterator[Notice]:
    """What came back on aspiration, and where contrast went."""
    for number, step in enumerate(room.procedure.steps, start=1):
        name = f"Step {number} (needle {step.needle})"
        if step.aspiration in ("blood", "cerebrospinal fluid", "air"):
            text = f"{name}: {step.aspiration} on aspiration. Nothing may be injected here."
            yield _notice("stop", "aspiration.positive", text)
        if step.contrast_pattern in ("into a vessel", "intrathecal", "into the nerve"):
            text = f"{name}: contrast went {step.contrast_pattern}. Nothing may be injected here."
            yield _notice("stop", "contrast.pattern", text)
        if step.kind in ("injection", "local anaesthetic") and step.aspiration is None:
            yield _notice("warn", "aspiration.missing", f"{name}: aspiration is not recorded.")
        if step.kind == "injection" and step.contrast_pattern is None:
            yield _notice("warn", "contrast.missing", f"{name}: the contrast pattern is not recorded.")
        if step.kind == "lesion" and step.impedance_ohm is None and not _impedance_known(room, step):
            text = f"{name}: the impedance before the lesion is not recorded, if the device shows one."
            yield _notice("info", "impedance.missing", text)


def _impedance_known(room: Room, step: GivenStep) -> bool:
    tests = room.procedure.stimulation
    return any(test.needle == step.needle and test.impedance_ohm is not None for test in tests)


# --- what was given, and after -----------------------------------------------------------------------


def place_rule(room: Room) -> Iterator[Notice]:
    """Every burn and injection went to the case's nerve, side and level."""
    target = room.case.target
    if target is None:
        return
    for number, step in enumerate(room.procedure.treating, start=1):
        if step.side is not None and step.side != target.side:
            text = f"Treatment {number} was given on the {step.side}; the case says {target.side}."
            yield _notice("stop", "side.given", text)
        if step.nerve and step.nerve != target.nerve:
            yield _notice(
                "stop", "target.given", f"Treatment {number} went to {step.nerve}, not {target.nerve}."
            )
        if step.level and (target.bony_level or target.joint) and not _same_level(target, step.level):
            yield _notice("stop", "level.given", f"Treatment {number} was given at {step.level}.")


def as_planned_rule(room: Room) -> Iterator[Notice]:
    """How what was given differs from the plan; both stay as they are."""
    if room.plan is None:
        return
    planned = room.plan.protocol.model_dump(mode="json")
    for number, step in enumerate(room.procedure.treating, start=1):
        if step.technique != room.plan.protocol.technique:
            text = (
                f"Treatment {number}: {step.technique} was given, {room.plan.protocol.technique} was planned."
            )
            yield _notice("warn", "given.technique", text)
        for name, value in step.settings.items():
            if planned.get(name) is not None and planned[name] != value:
                text = f"Treatment {number}: {name} {value}, planned {planned[name]}."
                yield _notice("info", "given.setting", text)
        if step.aborted:
            yield _notice("warn", "given.aborted", f"Treatment {number} was cut short: {step.abort_reason}")
    if room.procedure.abort is not None:
        yield _notice(
            "warn", "procedure.aborted", f"The procedure was aborted: {room.procedure.abort.reason}"
        )


def dose_rule(room: Room) -> Iterator[Notice]:
    """Where X-rays were used, their dose is recorded."""
    dose = room.procedure.radiation.model_dump().values()
    if any(view.kind == "fluoroscopy" for view in room.procedure.views) and not any(
        v is not None for v in dose
    ):
        yield _notice("warn", "radiation.missing", "X-ray views are recorded and no radiation dose.")


def check_rule(room: Room) -> Iterator[Notice]:
    """A neurological check follows; a new deficit is an emergency."""
    last = max((_clock(step.start) for step in room.procedure.steps), default=None)
    checks = [check for check in room.procedure.checks if last is None or _clock(check.time) >= last]
    for check in checks:
        if check.new_deficit:
            text = f"New deficit at {check.time:%H:%M}. Examine at once and decide on imaging."
            yield _notice("stop", "check.new_deficit", text)
    if room.procedure.treating and not checks:
        yield _notice("warn", "check.missing", "No neurological check after the treatment is recorded.")
    if room.procedure.ended and not room.procedure.signed_by.strip():
        yield _notice("warn", "record.unsigned", "The record is not signed.")


BEFORE: tuple[Rule, ...] = (
    identity_rule, side_rule, level_rule, consent_rule, allergy_rule, blood_rule, implant_rule, plan_rule,
    agent_rule,
)  # fmt: skip
"""What the time-out settles."""
RULES: tuple[Rule, ...] = (
    *BEFORE, late_rule, stimulation_rule, needle_rule, place_rule, as_planned_rule, dose_rule, check_rule,
)  # fmt: skip
