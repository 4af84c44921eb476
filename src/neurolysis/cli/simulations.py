"""The command ``simulate``: one sub-command a registered technique or bench, made from its record."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from neurolysis.cli.reply import Json, Reply, progress_bar
from neurolysis.errors import UnknownNameError

if TYPE_CHECKING:
    from neurolysis.delivery.technique import Bench, Option, Technique


def register(app: typer.Typer) -> None:
    """Add the command group of this module."""
    app.add_typer(simulations, name="simulate", help="Simulate a technique outside any patient.")


class TechniqueGroup(TyperGroup):
    """One sub-command a registered technique, made from its record only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the registered techniques and their benches, and the local anaesthetic."""
        return sorted([*_known(), ANESTHETIC])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The sub-command of one technique; an unknown name is an error that lists all."""
        if cmd_name == ANESTHETIC:
            return typer.main.get_command(_anesthetic)
        known = _known()
        if cmd_name not in known:
            raise UnknownNameError("unknown technique", found=cmd_name, allowed=self.list_commands(ctx))
        return _technique_command(known[cmd_name])


def _known() -> dict[str, Technique | Bench]:
    from neurolysis.delivery.technique import benches, techniques

    return {**benches(), **techniques()}


simulations = typer.Typer(cls=TechniqueGroup, rich_markup_mode=None)


@simulations.callback(invoke_without_command=True)
def _simulations(context: typer.Context, json_: Json = False) -> None:
    if context.invoked_subcommand is None:
        raise UnknownNameError("unknown technique", found="", allowed=sorted([*_known(), ANESTHETIC]))


ANESTHETIC = "anesthetic"
_anesthetic = typer.Typer(add_completion=False, rich_markup_mode=None)


@_anesthetic.command(ANESTHETIC)
def _simulate_anesthetic(
    agent: Annotated[str, typer.Option("--agent", help="Local anaesthetic; an unknown name lists all.")],
    dose_mg: Annotated[float, typer.Option("--dose-mg", help="Dose in mg.")],
    site: Annotated[str, typer.Option("--site", help="Where it is injected; an unknown name lists all.")],
    epinephrine: Annotated[bool, typer.Option("--epinephrine", help="With epinephrine.")] = False,
    weight_kg: Annotated[
        float | None, typer.Option("--weight-kg", help="Body weight; without it an adult population.")
    ] = None,
    json_: Json = False,
) -> Reply:
    """Plasma levels of a local anaesthetic in virtual adults, with the caps that the dose passes."""
    from neurolysis.app.anesthetic import simulate_anesthetic
    from neurolysis.app.texts import outline

    found = simulate_anesthetic(
        agent=agent, dose_mg=dose_mg, site=site, epinephrine=epinephrine, weight_kg=weight_kg
    )
    return Reply(data=found, text=outline(found), remarks="\n".join(f"WARN {w}" for w in found["warnings"]))


CaseFile = Annotated[Path | None, typer.Option("--case", help="Bench case file; holds every number.")]
Axisymmetric = Annotated[
    bool, typer.Option("--axisymmetric", help="Solve in (r, z): one straight needle in one tissue.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace one property; repeatable.")
]
COMMON = {"case": CaseFile, "axisymmetric": Axisymmetric, "set": Settings, "json_": Json}
BENCH_COMMON = {"set": Settings, "json_": Json}
COMMON_DEFAULTS = {"case": None, "axisymmetric": False, "set": None, "json_": False}


def _technique_command(item: Technique | Bench) -> Any:
    """The command of one technique or bench, its options made from its :class:`Option` records."""
    common_options = COMMON if hasattr(item, "simulate_case") else BENCH_COMMON
    names = {option.name.replace("-", "_"): option.name for option in item.options}
    kinds: dict[str, Any] = dict(zip(names, map(_option_kind, item.options), strict=True))
    kinds.update(common_options)

    def command(**values: Any) -> Reply:
        common = COMMON_DEFAULTS | {name: values.pop(name) for name in common_options}
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
