"""The house rules as tests: layers, siblings, technique names, light imports, short files and functions."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "neurolysis"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("quantity",),
    ("geometry",),
    ("case", "case_fhir", "scene", "instrument", "plan", "exposure", "injury", "assessment", "prognosis",
     "approval", "delivered", "outcome", "procedure"),
    ("evidence",),
    ("physics",),
    ("nerve",),
    ("scores",),
    ("evaluation", "localization", "anesthesia", "delivery", "aftercare"),
    ("planning",),
    ("records", "outcomes", "report"),
    ("app",),
    ("workstation",),
    ("cli",),
    ("__main__",),
)  # fmt: skip
"""From the ground up. A file may import from any layer below its own, never from its own layer's siblings."""

NOUNS = LAYERS[3]
"""The one layer with an order inside: a noun may import the nouns listed before it."""

PHYSICS_MAY_IMPORT = {"quantity", "errors", "physics"}
TEXT_SUFFIXES = {".py", ".html", ".jinja", ".j2", ".typ", ".css", ".js", ".ts", ".svg", ".txt", ".md"}
HEAVY = ("jax", "scipy", "nibabel", "pydicom", "typst", "PIL", "jinja2", "yaml", "xarray", "rich.console",
         "rich.progress")  # fmt: skip


def layer_of(part: str) -> int:
    """Number of the layer that holds a top-level module or folder of the package."""
    for number, names in enumerate(LAYERS):
        if part in names:
            return number
    raise LookupError(f"'{part}' has no place in the layers of the design: give it one here")


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Every module of the package named by an import, wherever it stands in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            base = node.module or ""
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def broken_imports(package: Path) -> list[str]:
    """Every import of ``package`` that breaks a layer rule, as 'file: what'."""
    techniques = technique_modules(package)
    broken = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        own = relative.with_suffix("").parts
        if own == ("__init__",):
            own = ("errors",)  # the package's own page may import nothing either
        for name in imported_modules(ast.parse(path.read_text("utf-8"), str(path))):
            parts = name.split(".")
            if parts[0] != package.name or len(parts) < 2 or parts[1].startswith("__version"):
                continue
            if parts[1] == "data":
                continue
            problem = import_problem(own, tuple(parts[1:]), techniques)
            if problem:
                broken.append(f"{relative}: {problem}")
    return broken


def import_problem(own: tuple[str, ...], other: tuple[str, ...], techniques: dict[str, Path]) -> str:
    """Why module ``own`` may not import ``other`` (parts below the package), or an empty text."""
    mine, theirs = own[0], other[0]
    if mine == "physics" and theirs not in PHYSICS_MAY_IMPORT:
        return f"physics imports only quantity and errors, not '{theirs}'"
    if mine == theirs:
        return _technique_problem(own, other, techniques)
    if mine in NOUNS and theirs in NOUNS:
        return "" if NOUNS.index(theirs) < NOUNS.index(mine) else f"noun '{mine}' imports '{theirs}' above it"
    if layer_of(theirs) == layer_of(mine):
        return f"siblings meet: '{mine}' imports '{theirs}'"
    return "" if layer_of(theirs) < layer_of(mine) else f"imports go down only: '{mine}' imports '{theirs}'"


def _technique_problem(own: tuple[str, ...], other: tuple[str, ...], techniques: dict[str, Path]) -> str:
    if own[0] != "delivery" or len(other) < 2 or other[1] not in techniques:
        return ""
    return "" if own[1] == other[1] else f"'{'.'.join(own)}' imports the technique '{other[1]}'"


def technique_modules(package: Path) -> dict[str, Path]:
    """Name and place (file or folder) of each technique: what defines TECHNIQUE in delivery/."""
    found = {}
    for path in sorted((package / "delivery").glob("*.py")) + sorted(
        (package / "delivery").glob("*/__init__.py")
    ):
        if "TECHNIQUE" in _module_names(ast.parse(path.read_text("utf-8"))):
            place = path.parent if path.name == "__init__.py" else path
            found[place.stem] = place
    return found


def technique_names() -> dict[str, str]:
    """Registered name by module: another word than the module's where that word is common."""
    from neurolysis.delivery.technique import Technique

    found = {}
    for module in technique_modules(PACKAGE):
        item = import_module(f"neurolysis.delivery.{module}").TECHNIQUE
        assert isinstance(item, Technique)
        found[module] = item.name
    return found


def _module_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def named_techniques(package: Path) -> list[str]:
    """Places outside a technique's own module (and data) that name it, as 'file:line: name'."""
    found = []
    for name, place in technique_modules(package).items():
        for path in sorted(package.rglob("*")):
            if path.suffix not in TEXT_SUFFIXES or place in (path, *path.parents) or _is_data(path, package):
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                if re.search(re.escape(name), line, re.IGNORECASE):
                    found.append(f"{path.relative_to(package)}:{number}: {name}")
    return found


def _is_data(path: Path, package: Path) -> bool:
    return "data" in path.relative_to(package).parts


# ---------------------------------------------------------------- the tree


def test_imports_go_down_and_siblings_never_meet() -> None:
    assert broken_imports(PACKAGE) == []


def test_no_file_names_a_technique_but_its_own() -> None:
    assert technique_modules(PACKAGE), "no technique is registered"
    assert named_techniques(PACKAGE) == []


def test_technique_modules_are_the_registry() -> None:
    from neurolysis.delivery.technique import techniques

    assert set(technique_names().values()) == set(techniques())


def test_no_file_quotes_the_name_of_a_technique_but_its_own() -> None:
    found = []
    for module, name in technique_names().items():
        place = technique_modules(PACKAGE)[module]
        for path in sorted(PACKAGE.rglob("*.py")):
            if place not in (path, *path.parents):
                nodes = ast.walk(ast.parse(path.read_text("utf-8")))
                texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
                found += [str(path)] * texts.count(name)
    assert found == []


@pytest.mark.parametrize("module", ["neurolysis", "neurolysis.cli"])
def test_importing_the_doors_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_nouns_and_registry_load_nothing_heavy() -> None:
    names = [f"neurolysis.{name}" for name in NOUNS] + ["neurolysis.delivery.technique"]
    code = (
        f"import sys, {', '.join(names)}; neurolysis.delivery.technique.techniques(); "
        f"print(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _python_files() -> list[Path]:
    folders = [ROOT / name for name in ("src", "tests", "scripts", "benchmarks", "docs")]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in _python_files()
    }
    assert {name: count for name, count in lengths.items() if count > 500} == {}


def _function_lengths(package: Path) -> dict[str, int]:
    lengths = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{path.relative_to(package)}:{node.lineno} {node.name}"
                lengths[place] = (node.end_lineno or node.lineno) - node.lineno + 1
    return lengths


def test_functions_are_short() -> None:
    lengths = _function_lengths(PACKAGE)
    ordered = sorted(lengths.values())
    nine_in_ten = ordered[int(0.9 * (len(ordered) - 1))]
    longest = sorted(lengths.items(), key=lambda item: -item[1])[:15]
    assert statistics.median(ordered) <= 12, longest
    assert nine_in_ten <= 40, longest


def _locked(name: str) -> set[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return {line.split(" ;")[0].strip() for line in lines if line and not line.lstrip().startswith("#")}


def test_the_lock_files_agree_with_each_other_and_with_the_project() -> None:
    run, develop = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert run <= develop, "run `make lock`"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {re.split(r"[><=!~ ]", text)[0].lower() for text in project["project"]["dependencies"]}
    assert wanted <= {line.split("==")[0] for line in run}, "run `make lock`"


# ---------------------------------------------------------------- the rules can fail


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A package that keeps every rule, to be broken one rule at a time."""
    package = tmp_path / "neurolysis"
    for folder in ("physics", "evidence", "delivery/frost", "delivery/lamp", "planning", "report", "records"):
        (package / folder).mkdir(parents=True)
    (package / "plan.py").write_text("from neurolysis.case import Case\nfrom neurolysis import quantity\n")
    (package / "physics/heat.py").write_text("from neurolysis.errors import SolverError\n")
    (package / "delivery/frost/__init__.py").write_text(
        "TECHNIQUE = 'frost'\nimport neurolysis.physics.heat\n"
    )
    (package / "delivery/lamp/__init__.py").write_text("TECHNIQUE: str = 'lamp'\n")
    (package / "planning/make.py").write_text("def make() -> None:\n    from neurolysis.delivery import a\n")
    assert broken_imports(package) == []
    assert named_techniques(package) == []
    return package


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("case.py", "import neurolysis.plan", "noun 'case' imports 'plan' above it"),
        ("quantity.py", "from neurolysis.geometry import Point", "imports go down only"),
        ("physics/heat.py", "from neurolysis.geometry import Curve", "physics imports only"),
        ("physics/heat.py", "from neurolysis.case import Case", "physics imports only"),
        ("report/page.py", "def f():\n    from neurolysis.records import store", "siblings meet"),
        ("evidence/a.py", "from neurolysis import planning", "imports go down only"),
        ("delivery/frost/b.py", "from neurolysis.delivery.lamp import x", "imports the technique 'lamp'"),
        (
            "planning/b.py",
            "import importlib\nimportlib.import_module('neurolysis.report.x')",
            "imports go down",
        ),
        ("__init__.py", "from neurolysis.quantity import Value", "imports go down only"),
    ],
)
def test_a_broken_import_is_found(small_house: Path, file: str, text: str, says: str) -> None:
    (small_house / file).write_text(text)
    found = broken_imports(small_house)
    assert len(found) == 1
    assert says in found[0]


def test_a_module_without_a_place_is_found(small_house: Path) -> None:
    (small_house / "extras.py").write_text("from neurolysis.case import Case")
    with pytest.raises(LookupError, match="extras"):
        broken_imports(small_house)


@pytest.mark.parametrize("text", ["# like FROST does", "class FrostPage: ...", "NAMES = ['frost']"])
def test_a_technique_named_elsewhere_is_found(small_house: Path, text: str) -> None:
    (small_house / "report" / "page.py").write_text(text)
    assert named_techniques(small_house) == ["report/page.py:1: frost"]
