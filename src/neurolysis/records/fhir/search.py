"""Search in R4 terms over resources in hand: parse once, then match, sort and page.

A name or modifier that is not known is an error and never ignored: a search that drops a condition would
answer another question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.records.fhir.dates import Span, span_of
from neurolysis.records.fhir.parameters import RESULT, Parameter, parameters_of
from neurolysis.records.fhir.terms import Resource

Match = Callable[[Mapping[str, Any]], bool]
MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "token": ("not", "text", "missing"),
    "string": ("exact", "contains", "missing"),
    "reference": ("missing",),
    "date": ("missing",),
    "uri": ("missing",),
}
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
DEFAULT_COUNT, LARGEST_COUNT = 50, 500
LONGEST_VALUE = 2000


@dataclass(frozen=True)
class Search:
    """A search, understood.

    Attributes:
        kind: resource type.
        asked: (name, value) as given, the result parameters aside, for links.
        patients: ids of the patients it is limited to; None: not by patient.
        ids: resource ids it is limited to; None: not by id.
        matches: every condition; all must hold.
        sort: (parameter, descending) in order.
    """

    kind: str
    asked: tuple[tuple[str, str], ...]
    patients: frozenset[str] | None
    ids: frozenset[str] | None
    matches: tuple[Match, ...]
    sort: tuple[tuple[str, bool], ...] = ()
    count: int = DEFAULT_COUNT
    offset: int = 0
    count_only: bool = False


def parse_search(kind: str, asked: Sequence[tuple[str, str]]) -> Search:
    """Understand the parameters of a search.

    Raises:
        UnknownNameError: a parameter that this type does not have; lists those it has.
        InputError: a modifier, prefix or value that is not allowed.
    """
    known = parameters_of(kind)
    conditions: list[tuple[str, str]] = []
    matches: list[Match] = []
    patients: frozenset[str] | None = None
    ids: frozenset[str] | None = None
    shape: dict[str, str] = {}
    for name, value in asked:
        if len(value) > LONGEST_VALUE:
            found, allowed = f"{len(value)} characters", f"up to {LONGEST_VALUE}"
            raise InputError("too long a value", where=name[:80], found=found, allowed=allowed)
        if any(letter < " " for letter in value):
            raise InputError("control characters are no text", where=name[:80], found=repr(value[:80]))
        if name in RESULT:
            shape[name] = value
            continue
        base, _, modifier = name.partition(":")
        parameter = _parameter(kind, base, known)
        conditions.append((name, value))
        if not modifier and base in ("patient", "subject"):
            own = frozenset(_local(text, "Patient") for text in value.split(","))
            patients = own if patients is None else patients & own
        if not modifier and base == "_id":
            ids = frozenset(value.split(",")) if ids is None else ids & frozenset(value.split(","))
        matches.append(_match(name, parameter, modifier, value))
    return Search(kind, tuple(conditions), patients, ids, tuple(matches), **_shape(shape, known))


def _parameter(kind: str, name: str, known: Mapping[str, Parameter]) -> Parameter:
    if name not in known:
        raise UnknownNameError(
            f"{kind} has no such search parameter here",
            where=f"{kind}?{name}",
            found=name,
            allowed=(*known, *RESULT),
        )
    return known[name]


def _shape(shape: Mapping[str, str], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Count, offset, order and summary."""
    _one_of(shape, "_format", ("json", "application/json", "application/fhir+json"))
    _one_of(shape, "_total", ("none", "estimate", "accurate"))
    summary = _one_of(shape, "_summary", ("count", "false"))
    sort = tuple(
        (part.lstrip("-"), part.startswith("-")) for part in shape.get("_sort", "").split(",") if part
    )
    for name, _ in sort:
        if name not in known:
            raise InputError("cannot sort by this", where="_sort", found=name, allowed=known)
    return {
        "sort": sort,
        "count": min(_whole(shape, "_count", DEFAULT_COUNT), LARGEST_COUNT),
        "offset": _whole(shape, "_offset", 0),
        "count_only": summary == "count" or shape.get("_count") == "0",
    }


def _one_of(shape: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = shape.get(name, allowed[0] if name == "_format" else "")
    # "+" in a query is a space once decoded; clients write the media type both ways.
    if value and value.replace(" ", "+") not in allowed:
        raise InputError("not supported here", where=name, found=value, allowed=allowed)
    return value


def _whole(shape: Mapping[str, str], name: str, default: int) -> int:
    text = shape.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InputError("a whole number is needed", where=name, found=text, allowed="0, 1, 2, ...")
    return int(text)


# ---------------------------------------------------------------- matching


def _match(name: str, parameter: Parameter, modifier: str, value: str) -> Match:
    """One condition; commas are "or"."""
    allowed = MODIFIERS[parameter.kind]
    if modifier and modifier not in allowed:
        raise InputError("this modifier is not supported here", where=name, found=modifier, allowed=allowed)
    if not value:
        raise InputError("a value is needed", where=name)
    if modifier == "missing":
        if value not in ("true", "false"):
            raise InputError("is it missing?", where=name, found=value, allowed="true, false")
        return lambda resource: (not list(_values(resource, parameter))) == (value == "true")
    tests = [_test(name, parameter.kind, modifier, text) for text in value.split(",")]
    if modifier == "not":
        return lambda resource: not any(test(v) for v in _values(resource, parameter) for test in tests)
    return lambda resource: any(test(v) for v in _values(resource, parameter) for test in tests)


def _values(resource: Mapping[str, Any], parameter: Parameter) -> Iterator[Any]:
    for path in parameter.paths:
        yield from _at(resource, path.split("."))


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _test(name: str, kind: str, modifier: str, text: str) -> Callable[[Any], bool]:
    if kind == "token":
        return _words_test(text) if modifier == "text" else _token_test(text)
    if kind == "string":
        return _string_test(modifier, text)
    if kind == "reference":
        return _reference_test(text)
    if kind == "date":
        return _date_test(name, text)
    return lambda value: value == text


def _token_test(text: str) -> Callable[[Any], bool]:
    """``code``, ``system|code``, ``|code`` (no system) or ``system|``."""
    system, bar, code = text.rpartition("|")

    def test(value: Any) -> bool:
        return any(
            (not bar or found_system == system) and (code in ("", found_code))
            for found_system, found_code in _tokens(value)
        )

    return test


def _tokens(value: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of a Coding, CodeableConcept, Identifier or plain value."""
    if isinstance(value, bool):
        yield "", "true" if value else "false"
    elif not isinstance(value, Mapping):
        yield "", str(value)
    elif "coding" in value:
        for item in value["coding"]:
            yield str(item.get("system", "")), str(item.get("code", ""))
    elif "code" in value or "value" in value:
        yield str(value.get("system", "")), str(value.get("code", value.get("value", "")))


def _words_test(text: str) -> Callable[[Any], bool]:
    wanted = text.casefold()
    return lambda value: any(wanted in words.casefold() for words in _words(value))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (str(value[key]) for key in ("text", "display") if key in value)
        for item in value.get("coding") or ():
            yield str(item.get("display", ""))


def _string_test(modifier: str, text: str) -> Callable[[Any], bool]:
    if modifier == "exact":
        return lambda value: value == text
    wanted = text.casefold()
    if modifier == "contains":
        return lambda value: wanted in str(value).casefold()
    return lambda value: str(value).casefold().startswith(wanted)


def _reference_test(text: str) -> Callable[[Any], bool]:
    """``Type/id``, an absolute address that ends so, or the id alone; a canonical by its address."""
    local = "/".join(text.rsplit("/", 2)[-2:]) if "://" in text else text

    def test(value: Any) -> bool:
        found = str(value.get("reference", "")) if isinstance(value, Mapping) else str(value)
        return found in (local, text) or ("/" not in local and found.rsplit("/", 1)[-1] == local)

    return test


def _local(text: str, kind: str) -> str:
    """The id in a reference to a resource of one kind; an empty text where it is of another kind."""
    parts = text.rsplit("/", 2)
    if len(parts) == 1:
        return text
    return parts[-1] if parts[-2] == kind else ""


def _date_test(name: str, text: str) -> Callable[[Any], bool]:
    prefix = text[:2] if text[:2] in PREFIXES else "eq"
    wanted = span_of(text.removeprefix(prefix) if text.startswith(prefix) else text, name)

    def test(value: Any) -> bool:
        found = _span_in(value)
        return found is not None and _compare(prefix, found, wanted)

    return test


def _span_in(value: Any) -> Span | None:
    if isinstance(value, Mapping):
        ends = [span_of(str(value[name]), "") for name in ("start", "end") if value.get(name)]
        return Span(ends[0].start, ends[-1].end) if ends else None
    return span_of(str(value), "")


def _compare(prefix: str, found: Span, wanted: Span) -> bool:
    """As R4 compares ranges of time: the precision that was written is a range."""
    return {
        "eq": wanted.start <= found.start and found.end <= wanted.end,
        "ne": not (wanted.start <= found.start and found.end <= wanted.end),
        "gt": found.end > wanted.end,
        "ge": found.end > wanted.end or (wanted.start <= found.start and found.end <= wanted.end),
        "lt": found.start < wanted.start,
        "le": found.start < wanted.start or (wanted.start <= found.start and found.end <= wanted.end),
        "sa": found.start >= wanted.end,
        "eb": found.end <= wanted.start,
    }[prefix]


# ---------------------------------------------------------------- answering


def found_in(search: Search, resources: Iterable[Resource]) -> list[Resource]:
    """The resources that fit, in the order asked for."""
    found = [resource for resource in resources if all(match(resource) for match in search.matches)]
    known = parameters_of(search.kind)
    for name, descending in reversed(search.sort):
        found.sort(key=lambda resource: _sort_key(resource, known[name]), reverse=descending)
    return found


def _sort_key(resource: Resource, parameter: Parameter) -> tuple[int, str]:
    """Resources without the element come first, as the empty text would."""
    values = list(_values(resource, parameter))
    if not values:
        return 0, ""
    if parameter.kind == "date":
        span = _span_in(values[0])
        return 1, span.start.isoformat() if span else ""
    return 1, next((code for _, code in _tokens(values[0])), str(values[0]))


def searchset(search: Search, resources: Sequence[Resource], total: int, base: str) -> Resource:
    """The Bundle of one page. ``resources`` are those of this page, ``base`` the address of the facade."""
    shown = [] if search.count_only else resources
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": list(_links(search, total, base)),
    }
    entries = [
        {"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r, "search": {"mode": "match"}}
        for r in shown
    ]
    return {**bundle, **({"entry": entries} if entries else {})}


def _links(search: Search, total: int, base: str) -> Iterator[Resource]:
    yield _link("self", search, search.offset, base)
    if search.count_only or search.count == 0:
        return
    last = max(0, (total - 1) // search.count * search.count)
    yield _link("first", search, 0, base)
    if search.offset > 0:
        yield _link("previous", search, max(0, search.offset - search.count), base)
    if search.offset + search.count < total:
        yield _link("next", search, search.offset + search.count, base)
    yield _link("last", search, last, base)


def _link(relation: str, search: Search, offset: int, base: str) -> Resource:
    sort = ",".join(("-" if descending else "") + name for name, descending in search.sort)
    shape = [("_sort", sort)] if sort else []
    shape += [("_summary", "count")] if search.count_only else [("_count", str(search.count))]
    shape += [("_offset", str(offset))] if offset else []
    return {"relation": relation, "url": f"{base}/{search.kind}?{urlencode((*search.asked, *shape))}"}


def page_of(search: Search, found: Sequence[Resource]) -> Sequence[Resource]:
    """The resources of the page that was asked for."""
    return found[search.offset : search.offset + search.count]
