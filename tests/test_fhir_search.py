"""Search: dates as ranges, tokens, and the same answers as an independent server gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.records.fhir.dates import span_of
from neurolysis.records.fhir.parameters import PARAMETERS
from neurolysis.records.fhir.resources import everything
from neurolysis.records.fhir.search import PREFIXES, found_in, page_of, parse_search, searchset

from .fhir_peer import Peer
from .fhir_records import example


def search(query: str, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources that a query "Type?name=value&..." finds."""
    kind, _, rest = query.partition("?")
    asked = [tuple(part.split("=", 1)) for part in rest.split("&") if part]
    of_kind = [r for r in resources if r["resourceType"] == kind]
    return found_in(parse_search(kind, asked), of_kind)  # type: ignore[arg-type]


# ---------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("2026-12", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("2024-02", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        ("2024-02-29", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        ("2026-11-27T08:30Z", "2026-11-27T08:30:00", "2026-11-27T08:31:00"),
        ("2026-11-27T08:30:15+01:00", "2026-11-27T07:30:15", "2026-11-27T07:30:16"),
        ("2026-11-27T08:30:15 01:00", "2026-11-27T07:30:15", "2026-11-27T07:30:16"),
        ("2026-11-27T08:30:15-05:30", "2026-11-27T14:00:15", "2026-11-27T14:00:16"),
        ("2026-11-27T08:30:15.250Z", "2026-11-27T08:30:15.250", "2026-11-27T08:30:15.251"),
    ],
)
def test_a_date_is_the_range_it_names(text: str, start: str, end: str) -> None:
    span = span_of(text, "date")
    assert span.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert span.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "26", "2026-1", "2026-13", "2026-02-30", "2026-01-01T25:00Z", "2026-01-01T10:00+99:00",
             "9999", "9999-12", "0000", "2026-01-01T10", "2026-01-01x", "20260101", "２０２６"]
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a date"):
        span_of(text, "date")


DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))


@given(found=DAYS, wanted=DAYS)
def test_days_compare_as_days(found: date, wanted: date) -> None:
    resource = {"resourceType": "Observation", "id": "o", "effectiveDateTime": found.isoformat()}
    expected = {
        "eq": found == wanted, "ne": found != wanted, "gt": found > wanted, "lt": found < wanted,
        "ge": found >= wanted, "le": found <= wanted, "sa": found > wanted, "eb": found < wanted,
    }  # fmt: skip
    assert set(expected) == set(PREFIXES)
    for prefix, fits in expected.items():
        assert bool(search(f"Observation?date={prefix}{wanted}", [resource])) == fits, prefix


@given(
    moment=st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_lies_in_its_own_second_in_every_zone(moment: datetime, minutes: int) -> None:
    from datetime import timezone

    local = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    span = span_of(local.isoformat(), "date")
    assert span.start == local
    assert span.end - span.start == timedelta(seconds=1)


# ---------------------------------------------------------------- tokens and texts


CODED = {
    "resourceType": "Observation",
    "id": "o",
    "code": {
        "coding": [{"system": "http://loinc.org", "code": "1"}, {"code": "2"}],
        "text": "Blood Pressure",
    },
}


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("1", True), ("2", True), ("3", False), ("3,2", True), ("http://loinc.org|1", True),
        ("http://loinc.org|2", False), ("|2", True), ("|1", False), ("http://loinc.org|", True),
        ("urn:x|", False),
    ],
)  # fmt: skip
def test_tokens(value: str, fits: bool) -> None:
    assert bool(search(f"Observation?code={value}", [CODED])) == fits
    assert bool(search(f"Observation?code:not={value}", [CODED])) != fits


def test_modifiers() -> None:
    assert search("Observation?code:text=blood", [CODED])
    assert not search("Observation?code:text=pulse", [CODED])
    assert search("Observation?date:missing=true", [CODED])
    assert not search("Observation?code:missing=true", [CODED])
    form = {"resourceType": "Questionnaire", "id": "q", "title": "PHQ-9, depression"}
    for query, fits in (("title=phq", True), ("title=depression", False), ("title:contains=DEPR", True),
                        ("title:exact=PHQ-9", False), ("title:exact=PHQ-9, depression", True)):  # fmt: skip
        assert bool(search(f"Questionnaire?{query}", [form])) == (fits and "," not in query), query


def test_a_condition_more_never_finds_more() -> None:
    resources = everything(example("trigeminal"))
    for kind, names in PARAMETERS.items():
        for name in names:
            if kind in ("Questionnaire", "AuditEvent"):
                continue
            all_of = [r for r in resources if r["resourceType"] == kind]
            there = search(f"{kind}?{name}:missing=false", resources)
            absent = search(f"{kind}?{name}:missing=true", resources)
            assert len(there) + len(absent) == len(all_of)


def test_pages_and_links() -> None:
    found = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(5)]
    asked = [("gender", "a b&c"), ("_count", "2"), ("_offset", "2"), ("_sort", "-birthdate,_id")]
    wanted = parse_search("Patient", asked)
    bundle = searchset(wanted, page_of(wanted, found), 5, "http://x/fhir")
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["p2", "p3"]
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    head = "http://x/fhir/Patient?gender=a+b%26c&_sort=-birthdate%2C_id&_count=2"
    assert links == {
        "self": f"{head}&_offset=2", "first": head, "previous": head, "next": f"{head}&_offset=4",
        "last": f"{head}&_offset=4",
    }  # fmt: skip


# ---------------------------------------------------------------- against the independent server


QUERIES = (
    "Patient?gender=female", "Patient?gender=male", "Patient?birthdate=lt1970", "Patient?birthdate=gt1970",
    "Condition?clinical-status=active", "Condition?category=problem-list-item",
    "Condition?code=urn:neurolysis:condition|trigeminal_neuralgia", "Condition?code=nothing",
    "Observation?category=survey", "Observation?category=laboratory", "Observation?category=vital-signs,exam",
    "Observation?code=29463-7", "Observation?code=http://loinc.org|29463-7", "Observation?code=urn:x|29463-7",
    "Observation?status=final", "Observation?status=preliminary", "Observation?date=ge2026-11-01",
    "Observation?date=lt2026-11-01", "Observation?date=gt2026-11-03&category=survey",
    "MedicationStatement?status=active", "MedicationStatement?status=stopped",
    "QuestionnaireResponse?status=completed", "QuestionnaireResponse?authored=le2026-12-31",
    "ServiceRequest?status=draft", "ServiceRequest?intent=order", "Procedure?status=completed",
    "CarePlan?status=draft", "CarePlan?category=treatment", "RiskAssessment?method=simulation",
    "AdverseEvent?actuality=actual", "AdverseEvent?actuality=potential", "Consent?status=active",
    "DocumentReference?type=case-file", "DocumentReference?contenttype=application/pdf",
    "DocumentReference?status=current",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> Iterator[tuple[Peer, list[dict[str, Any]]]]:
    """The peer with the resources of two cases, and the same resources as the peer keeps them."""
    with Peer() as peer:
        for name in ("trigeminal", "lumbar-facet"):
            for resource in everything(example(name)):
                peer.http("POST", f"/{resource['resourceType']}", resource)
        kinds = list(dict.fromkeys(query.split("?")[0] for query in QUERIES))
        yield peer, peer.all_of(kinds)


@pytest.mark.parametrize("query", QUERIES)
def test_a_search_finds_what_an_independent_server_finds(
    query: str, loaded: tuple[Peer, list[dict[str, Any]]]
) -> None:
    peer, resources = loaded
    bundle = peer.http("GET", f"/{query}&_count=1000".replace("|", "%7C"))
    theirs = {entry["resource"]["id"] for entry in bundle.get("entry", [])}
    assert {resource["id"] for resource in search(query, resources)} == theirs


def test_the_queries_are_no_empty_comparison(loaded: tuple[Peer, list[dict[str, Any]]]) -> None:
    found = [len(search(query, loaded[1])) for query in QUERIES]
    assert sum(count > 0 for count in found) > 20
    assert sum(count == 0 for count in found) >= 3
