"""The report of one planned case: the same texts, tables and figures as a web page and as a PDF."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from neurolysis.approval import DRAFT, RESEARCH_USE
from neurolysis.delivery.technique import Technique
from neurolysis.delivery.technique import technique as registered
from neurolysis.errors import OutputError
from neurolysis.planning.result import PlanResult
from neurolysis.report import first_page as first
from neurolysis.report import inputs, tables
from neurolysis.report import line_pages as along
from neurolysis.report.charts import chart_figures
from neurolysis.report.citations import Citations
from neurolysis.report.document import Block, Document, Figure, FigureRow, Paragraph, Section, SideBySide
from neurolysis.report.fluoroscopy_pages import fluoroscopy_section
from neurolysis.report.html import page
from neurolysis.report.legend import legend
from neurolysis.report.operated import distance_table
from neurolysis.report.overview import overview_figures
from neurolysis.report.pdf import typeset
from neurolysis.report.slices import slice_figures
from neurolysis.report.spread_views import spread_figure
from neurolysis.report.strip import strip_figure
from neurolysis.report.target_pages import target_section

HTML_FILE = "report.html"
PDF_FILE = "report.pdf"


@dataclass(frozen=True)
class ReportFiles:
    """Where the report was written."""

    html: Path
    pdf: Path


def write_report(result: PlanResult, folder: Path, technique: Technique | None = None) -> ReportFiles:
    """Write ``report.html`` and ``report.pdf`` into an existing folder; both or neither.

    Args:
        technique: what was planned; by default the registered technique of the plan's protocol.

    Raises:
        UnknownNameError: the plan's technique is not registered and none was given.
        OutputError: a file cannot be written; what was written of it is removed.
    """
    document = make_document(result, technique or registered(result.plan.protocol.technique))
    files = ReportFiles(folder / HTML_FILE, folder / PDF_FILE)
    contents = {files.html: page(document).encode("utf-8"), files.pdf: typeset(document)}
    begun: list[Path] = []
    try:
        for path, content in contents.items():
            with path.open("wb") as stream:
                begun.append(path)
                stream.write(content)
    except OSError as error:
        for path in begun:
            path.unlink(missing_ok=True)
        raise OutputError(f"cannot write the report: {error.strerror or error}", where=str(folder)) from error
    return files


def make_document(result: PlanResult, technique: Technique) -> Document:
    """The report as values."""
    if not result.exposure.has_grid:
        return _document_along(result, technique)
    citations = Citations.of(result)
    slices = slice_figures(result)
    sections = (
        _lesion(result, slices, citations),
        _place(result),
        target_section(result),
        *_sections(fluoroscopy_section(result)),
        _nerve(result, citations),
        _time(result, technique),
        _risk(result, citations),
        _limits(result, citations),
        _inputs(result, citations),
    )
    return _document(result, technique, citations, _again(slices[0]), sections)


def _document_along(result: PlanResult, technique: Technique) -> Document:
    """The report of a delivery that acts along nerves and makes no lesion."""
    citations = Citations.of(result)
    line = along.target_line(result)
    places = along.place_figures(result)
    figures = along.line_figures(line, technique.line_charts) if line else ()
    sections = (
        Section(
            "along",
            "Along the nerve",
            (
                *_rows_of(figures),
                *([Paragraph(along.CHART_NOTE, note=True)] if figures else []),
                *along.result_tables(result.exposure.tables, citations),
            ),
            new_page=True,
        ),
        Section("place", "Where in the body", _rows_of(places)),
        target_section(result),
        _time(result, technique),
        _near(result),
        _limits(result, citations),
        _inputs(result, citations),
    )
    first_figure = _again(figures[0]) if figures else None
    return _document(result, technique, citations, first_figure, sections)


def _rows_of(figures: tuple[Figure, ...]) -> tuple[Block, ...]:
    return (FigureRow(figures),) if figures else ()


def _near(result: PlanResult) -> Section:
    blocks = _blocks(distance_table(result.injury.structures), tables.structure_notes(result))
    return Section("risk", "What lies near", blocks)


def _document(
    result: PlanResult,
    technique: Technique,
    citations: Citations,
    figure: Figure | None,
    sections: tuple[Section, ...],
) -> Document:
    title = f"{first.nerve_title(result)}, {result.plan.target.side}"
    return Document(
        title=title,
        subtitle=f"{technique.title}: plan and simulation",
        mark=result.mark,
        draft=result.mark == DRAFT,
        research_use=RESEARCH_USE,
        case_id=result.case.id,
        plan_hash=result.plan.content_hash(),
        software=f"neurolysis {result.plan.software_version}",
        first=first.first_page(result, technique, citations, figure),
        sections=(*sections, Section("sources", "Sources", (citations.table(),))),
        demonstration=result.case.demonstration,
    )


def _again(figure: Figure) -> Figure:
    """The same figure under another id, so that it can stand on a page twice."""
    return replace(figure, id=f"first-{figure.id}", svg=figure.svg.replace("clip-", "clip-first-"))


def _sections(*sections: Section | None) -> tuple[Section, ...]:
    return tuple(section for section in sections if section is not None)


def _blocks(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _place(result: PlanResult) -> Section:
    return Section("place", "Where in the body", (FigureRow(overview_figures(result)),))


def _lesion(result: PlanResult, slices: tuple[Figure, ...], citations: Citations) -> Section:
    blocks = _blocks(
        FigureRow((*slices, legend(result))),
        spread_figure(result),
        tables.quadrant_table(result, citations),
        tables.lesion_table(result.exposure, citations),
        tables.model_error_table(result.exposure, citations),
    )
    return Section("lesion", "The lesion", blocks, new_page=True)


def _nerve(result: PlanResult, citations: Citations) -> Section:
    target = result.injury.target()
    others = [injury for injury in result.injury.nerves if not injury.is_target]
    blocks = _blocks(
        strip_figure(result.exposure, target),
        tables.nerve_table(result.exposure, target),
        tables.nerve_facts(target, citations),
        *(tables.nerve_table(result.exposure, injury) for injury in others),
    )
    return Section("nerve", "Along the nerve", blocks)


def _time(result: PlanResult, technique: Technique) -> Section:
    figures = chart_figures(result.exposure, technique.charts)
    if not figures:
        return Section(
            "time", "Against time", (Paragraph("No series against time was computed.", note=True),)
        )
    return Section("time", "Against time", (FigureRow(figures),))


def _risk(result: PlanResult, citations: Citations) -> Section:
    if not result.injury.structures:
        none = Paragraph(
            "No structure at risk is known in this scene. That is not the same as none being there."
        )
        return Section("risk", "Structures at risk", (none,))
    blocks = _blocks(tables.structure_table(result, citations), tables.structure_notes(result))
    return Section("risk", "Structures at risk", blocks)


def _limits(result: PlanResult, citations: Citations) -> Section:
    blocks = (*tables.limits_of_the_method(result, citations), tables.notice_table(result, citations))
    return Section("limits", "What these numbers can and cannot say", blocks)


def _inputs(result: PlanResult, citations: Citations) -> Section:
    energy = result.exposure.energy
    blocks = _blocks(
        inputs.anatomy_table(result),
        inputs.scene_notes(result),
        inputs.tissue_table(result, citations) if result.exposure.has_grid else None,
        inputs.instrument_table(result, citations) if result.plan.placements else None,
        first.assumption_table(result.assumptions, citations),
        SideBySide((inputs.numerics_facts(result), inputs.energy_facts(energy)))
        if energy
        else inputs.numerics_facts(result),
        inputs.hash_table(result),
        inputs.file_table(result),
    )
    return Section("inputs", "What it was computed from", blocks)
