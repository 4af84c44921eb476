"""The store: shipped data files, their sources, and the version that covers them.

Data are YAML and CSV files in ``evidence/data``; modules beside this one only read, check and answer.
Every number names a source of one of the ``*sources.yaml`` files, or is a visible assumption whose
``source`` text begins with ``assumption:`` and gives the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.quantity import Quantity, Value, parse

DATA = Path(__file__).parent / "data"
_PACKAGE = Path(__file__).parent.parent
VERSIONED_NAMES = ("data", "rules")
"""Folders of these names hold facts and rules, wherever they stand below a folder of the package."""
ASSUMPTION = "assumption:"
"""How the source text of a number without a source begins."""

T = TypeVar("T")
V = TypeVar("V", bound=Value)


class Source(Value):
    """What was read, and where the notes hold it.

    ``confidence``: ``V`` the number was read in the source named, ``C`` it was computed from numbers
    that were, ``definition`` it is a choice of a bench or project document, not a finding. Sources were
    read as abstracts, manual pages or repository files, not as full papers, unless ``note`` says so.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    citation: str = Field(min_length=1)
    url: str = ""
    doi: str = ""
    year: str = Field(default="", description="as printed; 'n.s.' was not shown in the text read")
    identifier: str = Field(default="", description="DOI, PubMed number or journal place as printed")
    read_in: str = Field(min_length=1, description="file and row of the reference notes")
    confidence: Literal["V", "C", "definition"]
    note: str = ""

    @property
    def read_at(self) -> str:
        """Where the notes hold it (the same as ``read_in``)."""
        return self.read_in


@cache
def sources() -> Mapping[str, Source]:
    """Every source by id."""
    found: dict[str, Source] = {}
    for file in source_files():
        for name, row in load_yaml(file).items():
            if name in found:
                raise InputError("a source is given twice", where=file, found=name)
            found[name] = parse(Source, {"id": name, **row}, f"{file}: {name}")
    return MappingProxyType(found)


def source_files() -> tuple[str, ...]:
    """Names of the data files that list sources."""
    return tuple(sorted(path.name for path in DATA.glob("*sources.yaml")))


def source(id: str) -> Source:
    """One source; UnknownNameError lists the known ids."""
    return pick(sources(), id, "source")


def source_text(text: str) -> str:
    """What to print for a ``source`` field: the citation of an id, or the assumption as it stands.

    Raises:
        UnknownNameError: the text is neither an assumption nor a known id.
    """
    return text if text.startswith(ASSUMPTION) else source(text).citation


@cache
def evidence_version() -> str:
    """First 16 hex digits of SHA-256 over the names and bytes of all shipped data files."""
    digest = hashlib.sha256()
    for folder in versioned_folders():
        for path in sorted(p for p in folder.rglob("*") if p.suffix in {".yaml", ".csv"}):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def versioned_folders() -> tuple[Path, ...]:
    """Every folder of facts and rules in the package, in order; the demonstration cases are none."""
    found = (path for name in VERSIONED_NAMES for path in _PACKAGE.rglob(name))
    return tuple(sorted(path for path in found if path.is_dir() and path.parent != _PACKAGE))


def load_yaml(name: str, folder: Path = DATA) -> Any:
    """Plain data of one shipped YAML file (a fresh copy; the file is read once).

    Raises:
        UnknownNameError: no such file; lists what there is.
        InputError: not YAML, or a key stands twice.
    """
    path = folder / name
    if not path.is_file():
        raise UnknownNameError("no such data file", found=name, allowed=_names(folder))
    return deepcopy(_read_yaml(path))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.yaml"))


@cache
def _read_yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(f"not readable as YAML: {error}", where=path.name) from error


@cache
def _loader() -> Any:
    """The fast safe loader where the C library is there, refusing keys that stand twice."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class UniqueKeyLoader(base):  # type: ignore[misc]
        """Safe loader; a repeated key is an error, not a silent overwrite."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            repeated = sorted({key for key in keys if keys.count(key) > 1})
            if repeated:
                raise yaml.constructor.ConstructorError(None, None, f"key stands twice: {repeated}")
            return super().construct_mapping(node, deep)

    return UniqueKeyLoader


def pick(table: Mapping[str, T], name: str, what: str) -> T:
    """``table[name]``; UnknownNameError lists the valid names."""
    if name not in table:
        raise UnknownNameError(f"unknown {what}", found=name, allowed=sorted(table))
    return table[name]


def quantity(raw: float | Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> Quantity:
    """A quantity from a bare number or a mapping, filled up with the defaults of its column."""
    own = dict(raw) if isinstance(raw, Mapping) else {"value": raw}
    result = parse(Quantity, {**defaults, **own}, where)
    check_sources(result, where)
    return result


def read_value(model: type[V], data: Any, where: str) -> V:
    """Validate plain data as ``model`` and check every source named anywhere inside it."""
    result = parse(model, data, where)
    check_sources(result, where)
    return result


def check_sources(value: Any, where: str) -> None:
    """Refuse a value that names an unknown source, or an assumption without its reason.

    Raises:
        InputError: naming the place.
    """
    if isinstance(value, BaseModel):
        _check_own_source(value, where)
        for name in type(value).model_fields:
            check_sources(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            check_sources(item, f"{where}.{name}")
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            check_sources(item, f"{where}[{index}]")


def _check_own_source(value: BaseModel, where: str) -> None:
    text = getattr(value, "source", None)
    if text is None:
        return
    assumed = text.startswith(ASSUMPTION)
    if assumed and len(text) < len(ASSUMPTION) + 12:
        raise InputError("an assumption needs its reason", where=where, found=text)
    basis = getattr(value, "basis", None)
    if basis is not None and (basis == "assumption") != assumed:
        raise InputError(f"basis '{basis}' does not fit its source", where=where, found=text)
    if not assumed and text not in sources():
        raise InputError("unknown source", where=where, found=text, allowed=sorted(sources()))
