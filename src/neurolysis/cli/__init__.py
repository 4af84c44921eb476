"""The command line: turns arguments into calls of ``app/`` and results into text or JSON.

With ``--json`` a command prints exactly one JSON object on standard output; everything else goes to
standard error. Exit codes are listed in ``docs/command-line.md``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from typing import Annotated

import typer

from neurolysis.cli import (
    care,
    dicom,
    fluoroscopy,
    keep,
    localization,
    plans,
    registration,
    serve,
    simulations,
    ultrasound,
)
from neurolysis.cli.reply import INTERRUPTED, UNEXPECTED, Reply, ask_to_stop
from neurolysis.errors import NeurolysisError

app = typer.Typer(
    name="neurolysis",
    help="Plan and simulate the treatment of a nerve on the patient's own anatomy. Decision support for "
    "professionals, research use; not a certified medical device.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


PARTS = (plans, simulations, care, localization, fluoroscopy, ultrasound, registration, dicom, serve, keep)
for part in PARTS:
    part.register(app)


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
    for number in (signal.SIGINT, signal.SIGTERM):  # a polite end cleans up as Ctrl-C does
        signal.signal(number, ask_to_stop)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
