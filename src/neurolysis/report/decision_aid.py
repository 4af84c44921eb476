"""The decision aid: one page a choice in plain words, the same 100 people everywhere, gains beside harms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.assessment import Assessment
from neurolysis.case import Case
from neurolysis.evaluation.pain_map import body_svg, views_of
from neurolysis.evidence.clinical import evidence_row
from neurolysis.evidence.store import evidence_version, load_yaml
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.conditions import condition
from neurolysis.nerve.targets import target_entry, target_of
from neurolysis.prognosis import Prediction, Prognosis
from neurolysis.report.decision_about import Plan, about_you, consent, how_sure
from neurolysis.report.document import (
    Block,
    Bullets,
    Document,
    Facts,
    Figure,
    FigureRow,
    FirstPage,
    Paragraph,
    Section,
    Table,
    Words,
)
from neurolysis.report.icons import icon_array
from neurolysis.report.language import Translator
from neurolysis.report.rates import Rate, rates_of
from neurolysis.scene import Scene

DATA = Path(__file__).parent / "data"
FILE = "decision_aid.yaml"
BENEFITS = (
    "responder_50",
    "complete_relief",
    "pain_free",
    "responder_points",
    "composite",
    "success_other",
    "satisfaction",
)
PER_CHOICE = 2
"""At most so many pictures of benefit a choice; the others stand in the list of figures."""
UPDATE_POLICY_YEARS = 1


def decision_aid(
    case: Case,
    options: Sequence[Prognosis],
    assessment: Assessment,
    *,
    on: date,
    language: str = "en",
    plan: Plan | None = None,
    scene: Scene | None = None,
) -> Document:
    """The decision aid of a case as pages.

    Args:
        options: one prognosis a technique, each of the same condition.
        on: the day it is made; it is out of date a year later.
        plan: the patient's own plan, if one was simulated.

    Raises:
        UnknownNameError: no such language.
        InputError: a text that is not translated.
    """
    say = Translator(language)
    entry = condition(options[0].condition)
    title = say("Your choices: {pain}", pain=say(entry.plain_title))
    return Document(
        title=title,
        subtitle=say("A help to decide, to read with your team"),
        mark=say("FOR YOU TO KEEP"),
        draft=True,
        research_use=say(RESEARCH_USE),
        case_id=case.id,
        plan_hash=assessment.case_hash,
        software=f"neurolysis {__version__}, evidence {evidence_version()}",
        first=_first(case, options, plan, say),
        sections=(
            _side_by_side(options, say),
            *(_choice(option, say) for option in options),
            *(_other_choice(name, say) for name in _texts()["choices"]),
            about_you(case, options, assessment, plan, say),
            how_sure(options, on, say),
            consent(case, options, assessment, plan, on, say),
        ),
        language={"en": "en-GB"}.get(language, language),
        demonstration=case.demonstration,
        record=say("case"),
        large=True,
        words=Words(
            demonstration=say("Demonstration case, not a patient to be treated"),
            demonstration_short=say("demonstration case"),
            page=say("page"),
            of=say("of"),
        ),
    )


# ---------------------------------------------------------------- first page


def _first(case: Case, options: Sequence[Prognosis], plan: Plan | None, say: Translator) -> FirstPage:
    place = target_of(case.target.nerve if case.target else options[0].target)
    numb, weak = place.numb_areas, place.weak_areas
    side = case.target.side if case.target else None
    lost = [*numb, *weak]
    alt = say("Body outline with your pain, and where you may lose feeling or strength")
    views = views_of([*(area.area for area in case.pain), *lost])
    names = [say(modality(option.technique).plain_title) for option in options]
    others = [say(text["title"]) for text in _texts()["choices"].values()]
    intro = say(
        "You have {pain}. This page is for the talk with your team. You choose; you may also choose to wait.",
        pain=say(condition(options[0].condition).plain_title),
    )
    what = say("The nerve in question: {nerve}.", nerve=say(place.plain_title))
    reviewed = (
        () if say.code == "en" else (Paragraph(say("This language was not clinically reviewed."), note=True),)
    )
    return FirstPage(
        facts=(),
        headlines=(),
        alerts=(),
        figure=Figure(
            id="lost",
            svg=body_svg(case.pain, numb=numb, weak=weak, side=side, views=views, say=say, label=alt),
            caption=say("Red: your pain. Dots: may go numb. Lines: may become weak.")
            if lost
            else say("Red: your pain. No skin is known to go numb."),
            alt=alt,
        ),
        blocks=(
            Paragraph(f"{intro} {what}"),
            Bullets((*names, *others), say("Your choices")),
            *reviewed,
            *((_own_plan(plan, say),) if plan else ()),
            *(Paragraph(text) for text in _survival(options, say)),
            Paragraph(
                say(
                    "You may have read that it works in 50 to 90 of 100 people. Nobody says where that comes "
                    "from, and it is for all kinds of pain. Look at the figures for your own pain."
                )
            ),
        ),
    )


def _own_plan(plan: Plan, say: Translator) -> Paragraph:
    text = say(
        "Your own plan was tried on the computer: the nerve is {coverage}.", coverage=say(plan.coverage)
    )
    return Paragraph(
        text + " " + say("This does not change the figures. No study shows how the two go together.")
    )


def _survival(options: Iterable[Prognosis], say: Translator) -> Iterator[str]:
    if any("EV015" in text for option in options for text in option.caveats):
        yield say(
            "Please talk about this: in one good study, people with cancer who had this treatment lived less "
            "long. This was so for all together and for stage four. In stage three no difference was seen."
        )


# ---------------------------------------------------------------- choices


def _choice(option: Prognosis, say: Translator) -> Section:
    text = _texts()["modalities"][option.technique]
    return Section(
        id=f"choice-{option.technique}",
        title=say(modality(option.technique).plain_title),
        blocks=(
            Facts(
                "",
                (
                    (say("What is it?"), say(text["what"])),
                    (say("How is it done?"), say(text["how"])),
                    (say("How long does it last?"), _lasting(option, say)),
                    (say("Can it be done again?"), _again(option, say)),
                    (say("Is it for ever?"), _permanent(option, say)),
                ),
            ),
            *_benefits(option, say),
            *_harms(option, say),
            _else(option, say),
        ),
        new_page=True,
    )


def _benefits(option: Prognosis, say: Translator) -> Iterator[Block]:
    rates = rates_of(option.benefits, BENEFITS)[:PER_CHOICE]
    if not rates:
        empty = Figure(
            id=f"none-{option.technique}",
            svg=icon_array(0, 0, found=False),
            caption=say("We found no figures for this choice. That does not mean that it does not work."),
            alt=say("100 people, none filled: no figures were found"),
            title=say("How often does it work?"),
        )
        yield FigureRow((empty,))
        return
    figures = []
    for number, rate in enumerate(rates):
        sentence = _sentence(rate, say)
        figures.append(
            Figure(
                id=f"gain-{option.technique}-{number}",
                svg=icon_array(rate.low, rate.high),
                caption=f"{sentence} {_from(rate, say)}",
                alt=sentence,
                title=say("How often does it work?") if number == 0 else _when(rate.months, say),
            )
        )
    yield FigureRow(tuple(figures))
    yield Paragraph(
        say("Full colour: at least so many of 100 people. Light colour: it may be so many."), note=True
    )


def _sentence(rate: Rate, say: Translator) -> str:
    words = say(_texts()["outcomes"][rate.outcome])
    when = _when(rate.months, say)
    if len(rate.values) > 1:
        span = say(
            "{when}: {low} to {high} of 100 people {words}; reports differ.",
            when=when,
            low=round(min(rate.values)),
            high=round(max(rate.values)),
            words=words,
        )
        return f"{span} {_left_over(max(rate.values), min(rate.values), say)}"
    value = round(rate.values[0])
    text = say("{when}: about {value} of 100 people {words}.", when=when, value=value, words=words)
    if rate.high - rate.low >= 1:
        text += " " + say("It may be {low} to {high}.", low=round(rate.low), high=round(rate.high))
    return f"{text} {_left_over(value, value, say)}"


def _left_over(most: float, least: float, say: Translator) -> str:
    """The other half of the frame: how many did not."""
    low, high = 100 - round(most), 100 - round(least)
    if low == high:
        return say("{number} did not.", number=low)
    return say("{low} to {high} did not.", low=low, high=high)


def _when(months: float | None, say: Translator) -> str:
    if months is None:
        return say("Time not told")
    if months < 0.5:
        return say("Soon after")
    if months < 24:
        return say("After {number} months", number=f"{months:g}") if months != 1 else say("After 1 month")
    return say("After {number} years", number=f"{months / 12:g}")


def _from(rate: Rate, say: Translator) -> str:
    designs = dict.fromkeys(say(_texts()["designs"][item.design or "not stated"]) for item in rate.figures)
    return say("How it was counted: {how}.", how="; ".join(designs))


def _harms(option: Prognosis, say: Translator) -> Iterator[Block]:
    listed: dict[str, list[Prediction]] = {}
    for item in option.harms:
        listed.setdefault(item.title, []).append(item)
    rows: list[tuple[str, ...]] = []
    figures: list[Figure] = []
    for title, items in listed.items():
        rates = rates_of(items, None)
        if not rates:
            rows.append((say(title), say("none found"), say("We do not know how often.")))
            continue
        low, high = min(r.low for r in rates), max(r.high for r in rates)
        values = [value for rate in rates for value in rate.values]
        rows.append(
            (
                say(title),
                _of_hundred(values, say),
                say("It may be {low} to {high}.", low=_few(low), high=_few(high)),
            )
        )
        if max(values) >= 1 and len(figures) < 2:
            caption = f"{say(title)}: {_of_hundred(values, say)}."
            figures.append(
                Figure(
                    id=f"harm-{option.technique}-{len(figures)}",
                    svg=icon_array(min(values), min(100.0, max(values)), harm=True),
                    caption=caption,
                    alt=caption,
                )
            )
    yield Table(
        title=say("What can go wrong?"),
        columns=(say("Harm"), say("Of 100 people"), say("How sure?")),
        rows=tuple(rows),
        weights=(3, 2, 2.4),
        note=say("'None found' means: no report told how often. It does not mean never."),
    )
    if figures:
        yield FigureRow(tuple(figures))


def _else(option: Prognosis, say: Translator) -> Facts:
    """Function, moving, quality of life and medicines: how many reports told of them."""
    rows = []
    for outcome, title in _texts()["else"].items():
        told = {
            s for i in option.other if i.outcome == outcome and i.basis != "none found" for s in i.sources
        }
        rows.append(
            (
                say(title),
                say("{number} reports; ask your team", number=len(told)) if told else say("none found"),
            )
        )
    return Facts(say("What else was looked at?"), tuple(rows))


def _of_hundred(values: Sequence[float], say: Translator) -> str:
    low, high = min(values), max(values)
    if low == high:
        return say("{number} of 100", number=_few(low))
    return say("{low} to {high} of 100", low=_few(low), high=_few(high))


def _few(value: float) -> str:
    """A number of people; below one as a decimal, so that rare is not shown as never."""
    return f"{value:.0f}" if value >= 1 or value == 0 else f"{value:.1f}"


def _other_choice(name: str, say: Translator) -> Section:
    text = _texts()["choices"][name]
    empty = Figure(
        id=f"none-{name}",
        svg=icon_array(0, 0, found=False),
        caption=say("We found no figures for this choice."),
        alt=say("100 people, none filled: no figures were found"),
        title=say("How often does it work?"),
    )
    return Section(
        id=f"choice-{name}",
        title=say(text["title"]),
        blocks=(
            Facts(
                "",
                (
                    (say("What is it?"), say(text["what"])),
                    (say("How is it done?"), say(text["how"])),
                    (say("What can go wrong?"), say(text["feel"])),
                ),
            ),
            FigureRow((empty,)),
        ),
    )


def _side_by_side(options: Sequence[Prognosis], say: Translator) -> Section:
    rows = []
    for option in options:
        gains = rates_of(option.benefits, BENEFITS)
        harms = [rate for rate in rates_of(option.harms, None) if rate.outcome != "recurrence"]
        gain = (
            _of_hundred(gains[0].values, say) + f" ({_when(gains[0].months, say)})"
            if gains
            else say("none found")
        )
        values = [value for rate in harms for value in rate.values]
        harm = _of_hundred(values, say) if values else say("none found")
        rows.append(
            (
                say(modality(option.technique).plain_title),
                gain,
                harm,
                _lasting(option, say),
                _again(option, say),
            )
        )
    nothing = say("none found")
    for text in _texts()["choices"].values():
        rows.append((say(text["title"]), nothing, nothing, nothing, say("yes")))
    return Section(
        id="compare",
        title=say("All choices side by side"),
        blocks=(
            Table(
                title="",
                columns=tuple(
                    map(say, ("Choice", "Did well, of 100", "Had a harm, of 100", "How long", "Again?"))
                ),
                rows=tuple(rows),
                weights=(2.6, 2.2, 2, 2, 2),
                note=say(
                    "Harms: from the rarest to the most common that was counted. Studies count in different "
                    "ways, so small differences mean little."
                ),
            ),
            Bullets(tuple(say(text) for text in _texts()["questions"]), say("What to ask")),
        ),
        new_page=True,
    )


def _lasting(option: Prognosis, say: Translator) -> str:
    months = [m for item in option.duration if item.outcome == "duration" for m in _months(item)]
    if not months:
        return say("none found")
    low, high = min(months), max(months)
    if round(low, 1) == round(high, 1):
        return say("about {number} months", number=f"{low:.2g}")
    return say("{low} to {high} months", low=f"{low:.2g}", high=f"{high:.2g}")


def _months(item: Prediction) -> list[float]:
    factor = {"months": 1.0, "days": 1 / 30.44, "weeks": 7 / 30.44}.get(item.unit)
    if factor is None:
        return []
    return [factor * value for value in (item.value, item.low, item.high) if value is not None]


def _again(option: Prognosis, say: Translator) -> str:
    repeats = [i for i in option.duration if i.unit == "percent" and _is_repeat_success(i)]
    if not repeats:
        return say("ask your team; none found")
    values = [v for i in repeats for v in (i.value, i.low, i.high) if v is not None]
    return say("yes; it worked again in {number}", number=_of_hundred(values, say))


def _is_repeat_success(item: Prediction) -> bool:
    """Whether a figure is of a repeat after a first success; relief with repeats allowed is another thing."""
    return all(evidence_row(study.row).outcome == "repeat_success" for study in item.studies)


def _permanent(option: Prognosis, say: Translator) -> str:
    bodies = target_entry(option.target).cell_bodies
    return say(_texts()["permanent"][{True: "not", False: "grows", None: "unknown"}[bodies]])


def _texts() -> Any:
    return load_yaml(FILE, DATA)
