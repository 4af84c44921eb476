"""The command line: turns arguments into calls of ``app/`` and results into text or JSON.

With ``--json`` a command prints exactly one JSON object on standard output; everything else goes to
standard error. Exit codes are listed in ``docs/command-line.md``.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from neurolysis.errors import NeurolysisError

if TYPE_CHECKING:
    from neurolysis.app.plan_case import PlannedFiles
    from neurolysis.delivery.technique import Option, Progress, Technique

STOPPED = 3
INTERRUPTED = 130
UNEXPECTED = 1

app = typer.Typer(
    name="neurolysis",
    help="Plan and simulate the treatment of a nerve on the patient's own anatomy. Decision support for "
    "professionals, research use; not a certified medical device.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from neurolysis import __version__

        typer.echo(f"neurolysis {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def plan(
    case: Annotated[Path, typer.Argument(help="Case folder, or its case.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and plan.json.")],
    overwrite: Overwrite = False,
    json_: Json = False,
) -> Reply:
    """Plan a case, simulate it, and write report.html, report.pdf and plan.json."""
    from neurolysis.app.plan_case import plan_case

    with _progress() as progress:
        files = plan_case(case, out, overwrite=overwrite, progress=progress)
    return _planned(files)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and plan.json.")] = Path(
        "neurolysis-demo"
    ),
    overwrite: Overwrite = False,
    json_: Json = False,
) -> Reply:
    """Plan the case that is shipped with the program."""
    from neurolysis.app.demo import run_demo

    with _progress() as progress:
        files = run_demo(out, overwrite=overwrite, progress=progress)
    return _planned(files)


def _planned(files: PlannedFiles) -> Reply:
    from neurolysis.app.texts import notices_text, planned_data, planned_text

    stopped = bool(files.stops) and not files.demonstration
    return Reply(
        data=planned_data(files),
        text=planned_text(files),
        remarks=notices_text((*files.stops, *files.warnings)),
        exit_code=STOPPED if stopped else 0,
    )


@app.command()
def validate(
    name: Annotated[str | None, typer.Argument(help="A technique; all of them when left out.")] = None,
    json_: Json = False,
) -> Reply:
    """Run the published measurements the models are held against; failures are shown."""
    from neurolysis.app.texts import validation_data, validation_text
    from neurolysis.app.validate import validate as run

    with _progress() as progress:
        found = run(name, progress=progress)
    return Reply(data=validation_data(found), text=validation_text(found))


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="A noun, such as case; an unknown name lists all.")],
    json_: Json = False,
) -> Reply:
    """Print the JSON Schema of a noun, or of a technique's files."""
    from neurolysis.app.schema import json_schema

    found = json_schema(name)
    return Reply(data=found, text=json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def doctor(json_: Json = False) -> Reply:
    """Tell what this installation has and what is missing."""
    from neurolysis.app.doctor import doctor as look
    from neurolysis.app.texts import doctor_text

    with _progress() as progress:
        found = look(progress)
    return Reply(data=found.data, text=doctor_text(found), exit_code=UNEXPECTED if found.problems else 0)


class TechniqueGroup(TyperGroup):
    """One sub-command a registered technique, made from its record only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the registered techniques."""
        from neurolysis.delivery.technique import techniques

        return sorted(techniques())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The sub-command of one technique; an unknown name is an error that lists all."""
        from neurolysis.delivery.technique import technique

        return _technique_command(technique(cmd_name))


simulations = typer.Typer(cls=TechniqueGroup, rich_markup_mode=None)
app.add_typer(simulations, name="simulate", help="Simulate a technique outside any patient.")


@simulations.callback(invoke_without_command=True)
def _simulations(context: typer.Context, json_: Json = False) -> None:
    if context.invoked_subcommand is None:
        from neurolysis.delivery.technique import technique

        technique("")  # raises, listing what there is


CaseFile = Annotated[Path | None, typer.Option("--case", help="Bench case file; holds every number.")]
Axisymmetric = Annotated[
    bool, typer.Option("--axisymmetric", help="Solve in (r, z): one straight needle in one tissue.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace one property; repeatable.")
]
COMMON = {"case": CaseFile, "axisymmetric": Axisymmetric, "set": Settings, "json_": Json}
COMMON_DEFAULTS = {"case": None, "axisymmetric": False, "set": None, "json_": False}


def _technique_command(item: Technique) -> Any:
    """The command of one technique, its options made from its :class:`Option` records."""
    names = {option.name.replace("-", "_"): option.name for option in item.options}
    kinds: dict[str, Any] = dict(zip(names, map(_option_kind, item.options), strict=True))
    kinds.update(COMMON)

    def command(**values: Any) -> Reply:
        common = {name: values.pop(name) for name in COMMON}
        given = {names[name]: value for name, value in values.items() if value is not None}
        return _simulate(item.name, given, common)

    # typer reads a command's options from its signature; this one is not known before the technique is
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=kind,
                default=COMMON_DEFAULTS.get(name),
            )
            for name, kind in kinds.items()
        ]
    )
    command.__annotations__ = kinds
    small = typer.Typer(add_completion=False, rich_markup_mode=None)
    small.command(item.name, help=f"{item.title}, simulated outside any patient.")(command)
    return typer.main.get_command(small)


def _option_kind(option: Option) -> Any:
    """Annotation of one option; its default is filled in later, so that a case file can do without."""
    choices = f" One of: {', '.join(option.choices)}." if option.choices else ""
    default = "" if option.default is None else f" Default {option.default}."
    name = option.name.replace("_", "-")
    flags = f"--{name}/--no-{name}" if option.kind is bool else f"--{name}"
    return Annotated[option.kind | None, typer.Option(flags, help=f"{option.help}.{choices}{default}")]


def _simulate(name: str, given: dict[str, Any], common: dict[str, Any]) -> Reply:
    from neurolysis.app.simulate import simulate, simulate_file
    from neurolysis.app.texts import outline

    file, flat, settings = common["case"], common["axisymmetric"], common["set"] or []
    with _progress() as progress:
        if file is None:
            found = simulate(name, given, settings, axisymmetric=flat, progress=progress)
        else:
            _refuse_beside_file(given, settings)
            found = simulate_file(name, file, axisymmetric=flat, progress=progress)
    return Reply(data=found, text=outline(found))


def _refuse_beside_file(given: dict[str, Any], settings: Sequence[str]) -> None:
    if given or settings:
        from neurolysis.errors import InputError

        found = [*(f"--{name.replace('_', '-')}" for name in given), *(f"--set {text}" for text in settings)]
        raise InputError(
            "a case file holds every number; no option beside it",
            found=", ".join(found),
            allowed="--axisymmetric, --json",
        )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal; else nothing."""
    from neurolysis.delivery.technique import silent

    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(fraction: float, message: str) -> None:
            bar.update(task, completed=fraction, description=message)

        yield show


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code and never raises for anything the user can cause."""
    as_json = "--json" in arguments and "--help" not in arguments
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            reply = typer.main.get_command(app)(
                list(arguments), prog_name="neurolysis", standalone_mode=False
            )
    except NeurolysisError as error:
        return _failed(error.as_dict(), str(error), error.exit_code, as_json)
    except typer.TyperException as error:
        text = f"{error.format_message()} (see neurolysis --help)"
        return _failed({"type": "UsageError", "problem": text}, text, error.exit_code, as_json)
    except (KeyboardInterrupt, typer.Abort):
        reply = INTERRUPTED
    except Exception as error:
        return _unexpected(error, as_json)
    if isinstance(reply, Reply):
        return _answer(reply, as_json)
    if reply == INTERRUPTED:
        text = "interrupted; nothing was written"
        return _failed({"type": "Interrupted", "problem": text}, text, INTERRUPTED, as_json)
    return int(reply or 0)


def _answer(reply: Reply, as_json: bool) -> int:
    if reply.remarks:
        typer.echo(reply.remarks, err=True)
    _print(json.dumps(reply.data, allow_nan=False, ensure_ascii=False) if as_json else reply.text)
    return reply.exit_code


def _failed(error: dict[str, str], text: str, code: int, as_json: bool) -> int:
    typer.echo(f"neurolysis: {text}", err=True)
    if as_json:
        _print(json.dumps({"error": {**error, "exit_code": code}}, ensure_ascii=False))
    return code


def _unexpected(error: Exception, as_json: bool) -> int:
    if os.environ.get("NEUROLYSIS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    text = f"unexpected {type(error).__name__}: {error} (NEUROLYSIS_DEBUG=1 shows where)"
    return _failed({"type": type(error).__name__, "problem": str(error)}, text, UNEXPECTED, as_json)


def _print(text: str) -> None:
    """One text on standard output; a reader that has gone away is no error."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command ``neurolysis``: runs one command and ends the process."""
    handler: Callable[..., Any] = signal.default_int_handler
    signal.signal(signal.SIGTERM, handler)  # a polite end cleans up as Ctrl-C does
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
