"""The command ``simulate``: one sub-command a registered technique, made from its record."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from neurolysis.cli.reply import Json, Reply, progress_bar

if TYPE_CHECKING:
    from neurolysis.delivery.technique import Option, Technique


def register(app: typer.Typer) -> None:
    """Add the command group of this module."""
    app.add_typer(simulations, name="simulate", help="Simulate a technique outside any patient.")


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
    with progress_bar() as progress:
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
