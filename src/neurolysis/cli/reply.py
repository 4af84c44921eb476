"""What every command shares: its reply, its common options, and the progress bar."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from neurolysis.delivery.technique import Progress

STOPPED = 3
INTERRUPTED = 130
UNEXPECTED = 1

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an approved plan, or files that are not of this program.")
]


@dataclass(frozen=True)
class Reply:
    """What a command answers: data for ``--json``, text for people, and remarks for standard error."""

    data: dict[str, Any]
    text: str
    remarks: str = ""
    exit_code: int = 0


_ASKED_TO_STOP = threading.Event()


def ask_to_stop(number: int, frame: FrameType | None) -> None:
    """Signal handler: stop now, and if a library swallows that, at the next step of the work."""
    _ASKED_TO_STOP.set()
    raise KeyboardInterrupt


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt when a stop was asked for and has not happened yet."""
    if _ASKED_TO_STOP.is_set():
        _ASKED_TO_STOP.clear()
        raise KeyboardInterrupt


def _checking(fraction: float, message: str) -> None:
    stop_if_asked()


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield _checking
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(fraction: float, message: str) -> None:
            stop_if_asked()
            bar.update(task, completed=fraction, description=message)

        yield show
