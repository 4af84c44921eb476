"""Writes what the documentation takes from the program: JSON Schemas and the page of the case file.

Run by ``make generated``; a test compares the files with what this would write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neurolysis.app.schema import json_schema, schema_models

DOCS = Path(__file__).resolve().parents[1] / "docs"

INTRODUCTION = """# The case file

A case is a folder with `case.yaml` and the images it names; paths in it start from the folder.
The tables below are made from the program's own model (`neurolysis schema case`), by `make generated`.

- A field that is left out is **unknown**, never "fine". Leaving out `allergies` is not the same as
  `allergies: []`, which says that there are none.
- An unknown field, a key given twice, a number that is not one: each is an error that names the file,
  the field, what was found and what is allowed.
- Numbers follow YAML 1.2. `1:30`, `010` and `no` stay texts; older YAML would make 90, 8 and false of
  them.
- Coordinates are DICOM patient coordinates: x to the patient's left, y to the back, z to the head, in
  millimetres.
- `treatment.protocol` holds the fields of the technique's own protocol; `neurolysis schema NAME` with an
  unknown name lists the published schemas.
- `images_from: NAME` beside the fields below takes image and label maps from the case folder NAME next to
  this one, so that two cases can share them. The loader checks it; the case then holds the paths to there.

The demonstration's own case is `src/neurolysis/data/demo/case.yaml`.
"""


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    files = {DOCS / "case-file.md": case_page(json_schema("case"))}
    for name in schema_models():
        text = json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
        files[DOCS / "schemas" / f"{name}.json"] = text
    files[DOCS / "schemas" / "index.md"] = schemas_page()
    return files


def schemas_page() -> str:
    """The list of schemas."""
    lines = ["# Schemas", "", "JSON Schema (2020-12) of every file this program reads or writes.", ""]
    lines += [f"- [{name}]({name}.json)" for name in schema_models()]
    return "\n".join(lines) + "\n"


def case_page(schema: dict[str, Any]) -> str:
    """The page of the case file: one table a model, the case first, then what it is made of."""
    definitions = schema["$defs"]
    parts = [INTRODUCTION, table("case.yaml", schema)]
    parts += [table(name, definitions[name]) for name in reached(schema, definitions)]
    return "\n".join(parts)


def reached(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Names of the models a schema uses, in the order they are first met."""
    names: list[str] = []
    for name in references(schema.get("properties", {})):
        if name not in names and "properties" in definitions[name]:
            names += [name, *reached(definitions[name], definitions)]
    return list(dict.fromkeys(names))


def references(data: Any) -> Iterator[str]:
    """Names of the models that are referred to anywhere in ``data``."""
    if isinstance(data, dict):
        if "$ref" in data:
            yield data["$ref"].rsplit("/", 1)[-1]
        for value in data.values():
            yield from references(value)
    elif isinstance(data, list):
        for value in data:
            yield from references(value)


def table(title: str, schema: dict[str, Any]) -> str:
    """Heading, description and the table of fields of one model."""
    required = schema.get("required", [])
    lines = [f"## {title}", "", plain(schema.get("description", "")), ""]
    lines += ["| field | what it holds | when left out |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        default = "must be given" if name in required else default_text(field.get("default"))
        about = plain(field.get("description", ""))
        what = f"{kind(field)}; {about}" if about else kind(field)
        lines.append(f"| `{name}` | {what} | {default} |")
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """A docstring as Markdown on one line."""
    return " ".join(text.replace("``", "`").split())


def default_text(default: Any) -> str:
    """What a field holds when it is left out."""
    if default is None:
        return "unknown"
    return "empty" if default in ("", [], {}) else f"`{json.dumps(default)}`"


def kind(field: dict[str, Any]) -> str:
    """The type of a field in words."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(kind(part) for part in field["anyOf"] if part.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "prefixItems" in field:
        return f"{len(field['prefixItems'])} numbers"
    if field.get("type") == "array":
        return f"list of {kind(field.get('items', {}))}"
    return scalar(field)


def scalar(field: dict[str, Any]) -> str:
    """Type and range of a single value in words."""
    names = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}
    if field.get("format") == "date":
        return "date (YYYY-MM-DD)"
    words = names.get(field.get("type", ""), "mapping of names to values")
    bounds = (("exclusiveMinimum", "above"), ("minimum", "from"), ("maximum", "to"))
    limits = [f"{word} {field[key]:g}" for key, word in bounds if key in field]
    return " ".join([words, *limits])


def main() -> None:
    """Write every generated file and remove schemas that are no more."""
    files = generated()
    (DOCS / "schemas").mkdir(exist_ok=True)
    for old in set((DOCS / "schemas").glob("*.json")) - set(files):
        old.unlink()
    for path, text in files.items():
        path.write_text(text, "utf-8")
    sys.stdout.write(f"{len(files)} files written\n")


if __name__ == "__main__":
    main()
