"""Commands round the patient: evaluation, evidence, anaesthesia."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from neurolysis.cli import keep
from neurolysis.cli.reply import STOPPED, Json, Overwrite, Reply

CasePath = Annotated[Path, typer.Argument(help="Case folder, or its case.yaml.")]
Day = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="The day it is for; the case's own, else today."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (evaluate, evidence, questionnaire, anesthetize, decision_aid, aftercare):
        app.command(command.__name__.replace("_", "-"))(command)
    cases = typer.Typer(rich_markup_mode=None, help="Make and read case folders.")
    cases.callback()(_cases)
    cases.command("from-fhir")(from_fhir)
    keep.register_cases(cases)
    app.add_typer(cases, name="case")


def _cases() -> None:
    """Make and read case folders."""


def from_fhir(
    bundle: Annotated[Path, typer.Argument(help="FHIR R4 bundle of one patient, as JSON.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for case.yaml.")],
    overwrite: Overwrite = False,
    json_: Json = False,
) -> Reply:
    """Make a case folder from a FHIR bundle, with a list of what was used and what was ignored and why."""
    from neurolysis.app.from_fhir import case_from_bundle, imported_data, imported_text

    found = case_from_bundle(bundle, out, overwrite=overwrite)
    return Reply(data=imported_data(found), text=imported_text(found))


def evaluate(
    case: CasePath,
    on: Day = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the pages; none without it.")] = None,
    json_: Json = False,
) -> Reply:
    """Evaluate a case: red flags, questionnaires, blocks, causes, which technique suits, what is missing."""
    from neurolysis.app.evaluate import evaluate_case, evaluated_data, evaluated_text

    found = evaluate_case(case, on=on.date() if on else None, out=out)
    return Reply(
        data=evaluated_data(found),
        text=evaluated_text(found),
        remarks="\n".join(found.remarks),
        exit_code=STOPPED if found.assessment.stopped else 0,
    )


def evidence(
    condition: Annotated[
        str | None, typer.Option("--condition", help="Condition; an unknown one lists all.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Target nerve.")] = None,
    modality: Annotated[str | None, typer.Option("--modality", help="Technique or comparator.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Outcome, or a family of outcomes.")
    ] = None,
    months: Annotated[float | None, typer.Option("--months", help="Exactly this time point.")] = None,
    json_: Json = False,
) -> Reply:
    """Ask the evidence base: figures with their sources, and "none found" where there are none."""
    from neurolysis.app.evidence import evidence as ask
    from neurolysis.app.evidence_text import evidence_text

    found = ask(condition=condition, target=target, modality=modality, outcome=outcome, months=months)
    return Reply(data=found.data(), text=evidence_text(found))


def anesthetize(
    case: CasePath,
    on: Day = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the pages and room cards.")] = None,
    json_: Json = False,
) -> Reply:
    """Check the planned anaesthesia of a case: dose, what it numbs, order, what is missing, room cards."""
    from neurolysis.app.anesthetize import anesthetize as run
    from neurolysis.app.anesthetize import anesthetized_data, anesthetized_text

    found = run(case, on=on.date() if on else None, out=out)
    return Reply(
        data=anesthetized_data(found),
        text=anesthetized_text(found),
        remarks="\n".join(found.remarks),
        exit_code=STOPPED if found.stopped else 0,
    )


def decision_aid(
    case: CasePath,
    out: Annotated[Path, typer.Option("--out", help="Folder for the pages.")],
    on: Day = None,
    language: Annotated[str, typer.Option("--language", help="Language; an unknown one lists all.")] = "en",
    plan: Annotated[
        Path | None, typer.Option("--plan", help="The patient's own plan: folder or plan.json.")
    ] = None,
    json_: Json = False,
) -> Reply:
    """Write the decision aid for the patient: choices, gains and harms in plain words."""
    from neurolysis.app.decision_aid import decision_aid_data, decision_aid_text, make_decision_aid

    found = make_decision_aid(case, out, on=on.date() if on else None, language=language, plan=plan)
    return Reply(
        data=decision_aid_data(found), text=decision_aid_text(found), remarks="\n".join(found.remarks)
    )


def aftercare(
    case: CasePath,
    on: Day = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for pages, calendar and CarePlan.")
    ] = None,
    technique: Annotated[
        str | None, typer.Option("--technique", help="Technique, before anything was done.")
    ] = None,
    blood_pressure_unit: Annotated[
        Literal["mmHg", "percent"] | None,
        typer.Option(
            "--blood-pressure-unit", help="Unit of the Aldrete blood pressure item: the site's choice."
        ),
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the patient's sheet.")] = "en",
    json_: Json = False,
) -> Reply:
    """Aftercare of a case: recovery, what to watch, going home, follow-up, diary, opioids, repeat."""
    from neurolysis.app.aftercare import aftercare as run
    from neurolysis.app.aftercare import aftercare_data, aftercare_text

    found = run(
        case,
        on=on.date() if on else None,
        out=out,
        technique=technique,
        blood_pressure_unit=blood_pressure_unit,
        language=language,
    )
    return Reply(data=aftercare_data(found), text=aftercare_text(found), remarks="\n".join(found.remarks))


def questionnaire(
    name: Annotated[str, typer.Argument(help="A questionnaire; an unknown name lists all.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the form as a web page here.")] = None,
    json_: Json = False,
) -> Reply:
    """Show a questionnaire whose items may be shipped; --json gives its FHIR R4 definition."""
    from neurolysis.app.questionnaire import questionnaire as show

    text, definition = show(name, out)
    return Reply(data=definition, text=text)
