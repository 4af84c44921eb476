"""Read JSON and YAML strictly: no NaN, no key given twice, no text that turns into a number unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neurolysis.errors import InputError

PLAIN_NUMBERS = {
    "tag:yaml.org,2002:int": r"^[-+]?(0|[1-9][0-9]*)$",
    "tag:yaml.org,2002:float": r"^[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$",
    "tag:yaml.org,2002:bool": r"^(true|True|TRUE|false|False|FALSE)$",
}
"""What counts as a number or a truth value (YAML 1.2). The older rules would turn ``1:30`` into 90,
``010`` into 8 and ``no`` into false, none of which may happen to a dose."""


def read_json(file: Path) -> Any:
    """Plain data of a JSON file; NaN, infinity and keys given twice are refused.

    Raises:
        InputError: naming the file, and the line and column where there is one.
    """
    try:
        return json.loads(
            file.read_text("utf-8"), parse_constant=_no_constant, object_pairs_hook=_different_keys
        )
    except json.JSONDecodeError as error:
        place = f"{file}, line {error.lineno}, column {error.colno}"
        raise InputError(f"not readable as JSON: {error.msg}", where=place) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"not readable as JSON: {error}", where=str(file)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)}' is given twice")
    return found


def read_yaml(file: Path) -> Any:
    """Plain data of a YAML file; keys given twice are refused, numbers follow YAML 1.2.

    Raises:
        InputError: naming the file, the line and the column.
    """
    import yaml

    try:
        text = file.read_text("utf-8")
        if text.startswith("{") and (found := _as_json(text)) is not None:
            return found
        return yaml.load(text, Loader=_strict_loader())  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(file)
        raise InputError(f"not readable as YAML: {error.problem}", where=place) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not readable as YAML text: {error}", where=str(file)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _as_json(text: str) -> Any:
    """The data of a text that is JSON, which is YAML too and read twenty times faster; None of any other.

    What JSON refuses goes the long way, whose error names the place.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_different_keys)
    except (ValueError, RecursionError):
        return None


def yaml_text(data: Any) -> str:
    """Plain data as YAML that :func:`read_yaml` reads back the same.

    The library writes by the older rules and leaves texts such as ``0E0`` bare, which are numbers now.
    """
    import re

    import yaml

    numbers = [re.compile(pattern) for pattern in PLAIN_NUMBERS.values()]

    class Dumper(yaml.SafeDumper):
        """Quotes every text that would be read as a number or a truth value."""

    def text(dumper: Any, value: str) -> Any:
        style = "'" if any(pattern.match(value) for pattern in numbers) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return written


def _strict_loader() -> Any:
    """YAML's safe loader, with plain numbers and without keys given twice."""
    import re

    import yaml

    class Strict(yaml.SafeLoader):
        """See :func:`read_yaml`."""

    Strict.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] not in PLAIN_NUMBERS]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag, pattern in PLAIN_NUMBERS.items():
        Strict.add_implicit_resolver(tag, re.compile(pattern), list("-+.0123456789tTfF"))
    Strict.add_constructor("tag:yaml.org,2002:map", _mapping)
    Strict.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
    Strict.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))
    return Strict


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    """A mapping whose keys are texts, all different."""
    from yaml.constructor import ConstructorError

    keys = [key for key, _ in node.value if not key.tag.endswith(":merge")]
    seen: set[str] = set()
    for key in keys:
        if not key.tag.endswith(":str"):
            raise ConstructorError(None, None, f"keys are texts, found {key.value!r}", key.start_mark)
        if key.value in seen:
            raise ConstructorError(None, None, f"key '{key.value}' is given twice", key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}
