"""The report as values: one set of texts, tables and figures, from which every page format is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Tone = Literal["plain", "good", "warn", "stop"]


@dataclass(frozen=True)
class Facts:
    """Labelled facts: (label, value) pairs under a heading."""

    title: str
    rows: tuple[tuple[str, str], ...]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Paragraph:
    """Running text; ``note`` sets it smaller and paler."""

    text: str
    note: bool = False
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of short texts, under a heading if there is one."""

    items: tuple[str, ...]
    title: str = ""
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True)
class Terms:
    """Short entries set close together in two columns: ((name, value), ...) and why they are as they are."""

    title: str
    rows: tuple[tuple[tuple[tuple[str, str], ...], str], ...]
    note: str = ""
    kind: Literal["terms"] = "terms"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: heads; a head that begins with ">" stands over right-aligned numbers (the mark is dropped).
        weights: relative widths of the columns in print; 0 means as narrow as the content.
        tones: a tone for each row, empty for plain rows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...] = ()
    tones: tuple[Tone, ...] = ()
    note: str = ""
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} - {len(self.columns)}
        if widths or (self.weights and len(self.weights) != len(self.columns)):
            raise ValueError(
                f"table '{self.title}' has {len(self.columns)} heads but rows of {sorted(widths)}"
            )


@dataclass(frozen=True)
class Figure:
    """A figure: SVG text, what it shows (caption) and the same for those who cannot see it (alt)."""

    id: str
    svg: str
    caption: str
    alt: str
    title: str = ""
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class FigureRow:
    """Figures of half the page's width, side by side, two in a row."""

    figures: tuple[Figure, ...]
    kind: Literal["figures"] = "figures"


@dataclass(frozen=True)
class SideBySide:
    """Two groups of facts beside each other."""

    items: tuple[Facts, Facts]
    kind: Literal["side-by-side"] = "side-by-side"


Block = SideBySide | Facts | Paragraph | Bullets | Terms | Table | Figure | FigureRow


@dataclass(frozen=True)
class Section:
    """A part of the report; ``new_page`` starts it on a fresh page in print."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    new_page: bool = False


@dataclass(frozen=True)
class Headline:
    """One answer in large type, with its number and what it rests on."""

    label: str
    answer: str
    tone: Tone
    number: str
    number_note: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Alert:
    """A stop or warning as it stands on page one."""

    severity: Literal["stop", "warn"]
    text: str
    source: str = ""
    override: str = ""


@dataclass(frozen=True)
class FirstPage:
    """The plan in one page."""

    facts: tuple[Facts, ...]
    headlines: tuple[Headline, ...]
    alerts: tuple[Alert, ...]
    figure: Figure | None
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Words:
    """The few words a page's frame says by itself, in the page's language."""

    demonstration: str = "Demonstration case, not a patient to be treated"
    demonstration_short: str = "demonstration case"
    page: str = "page"
    of: str = "of"


@dataclass(frozen=True)
class Document:
    """The whole report.

    Attributes:
        plan_hash: hash of what the pages were made from; ``record`` says what that is.
        large: larger type, for pages that patients read.
    """

    title: str
    subtitle: str
    mark: str
    draft: bool
    research_use: str
    case_id: str
    plan_hash: str
    software: str
    first: FirstPage
    sections: tuple[Section, ...]
    language: str = "en-GB"
    demonstration: bool = False
    record: str = "plan"
    large: bool = False
    words: Words = Words()

    def plain(self) -> dict[str, Any]:
        """Plain data, for the page templates."""
        return asdict(self)
