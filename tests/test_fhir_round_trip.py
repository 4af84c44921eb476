"""A case through the facade, an independent server, and back; and what must not be taken in."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.case import Answers, Case, Medication, PainArea, Target
from neurolysis.errors import InputError
from neurolysis.records.fhir.case_bundle import collection, read_case, transaction, without_files
from neurolysis.records.fhir.issues import NotSupportedError
from neurolysis.records.fhir.record import CaseRecord
from neurolysis.records.fhir.resources import BUILDERS
from neurolysis.records.fhir.transaction import read_transaction, remarks_of, transaction_response

from .fhir_peer import Peer
from .fhir_records import FOLDERS, SYNTHEA, SYNTHEA_PART, WHEN, example, record, validate
from .strategies import CASES, DAYS, SIDES, WORDS, maybe, tuples_of

PAIN = st.builds(
    PainArea,
    area=WORDS,
    side=maybe(SIDES),
    character=tuples_of(WORDS),
    intensity=maybe(st.floats(0, 10)),
    since=DAYS,
    main=st.booleans(),
)
ANSWERS = st.builds(
    Answers,
    questionnaire=st.sampled_from(["nrs", "phq-9", "odi", "elsewhere"]),
    answered=st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    items=st.dictionaries(st.sampled_from(["1", "2", "3"]), maybe(st.integers(0, 3).map(float))),
)
TARGETS = st.builds(
    Target,
    nerve=st.sampled_from(["celiac_plexus", "lumbar_medial_branch", "somewhere"]),
    side=SIDES,
    bony_level=maybe(WORDS),
    joint=maybe(WORDS),
    level_counted=maybe(WORDS),
    transitional_vertebra=maybe(st.booleans()),
)
FULL_CASES = st.builds(
    lambda case, pain, answers, target, condition: case.replace(
        pain=pain, questionnaires=tuple(answers), target=target, condition=condition
    ),
    CASES,
    tuples_of(PAIN),
    st.lists(ANSWERS, max_size=3),
    maybe(TARGETS),
    maybe(st.sampled_from(["lumbar_facet_pain", "no_such_condition"])),
)


def as_sent(data: Any) -> Any:
    """The data after a trip as JSON text."""
    return json.loads(json.dumps(data))


def of(case: Case) -> CaseRecord:
    """A record of nothing but a case."""
    return CaseRecord(case.id, 1, WHEN, case)


@pytest.fixture(scope="module")
def running_peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


@pytest.fixture
def peer(running_peer: Peer) -> Peer:
    """The peer with an empty repository."""
    running_peer.clear()
    return running_peer


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", ["lumbar-facet", "celiac", "trigeminal", "demo", "phenol"])
def test_a_case_comes_back_equal_from_an_independent_server(name: str, peer: Peer) -> None:
    sent = transaction(example(name, room=True))
    validate(sent)
    answer = peer.http("POST", "/", sent)
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["201"] * len(sent["entry"])
    back = peer.all_of(list(BUILDERS))
    assert len(back) == len(sent["entry"])
    assert peer.problems(back) == {}
    found = read_case(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in back]}
    )
    assert found.case == example(name).case
    assert found.case.content_hash() == example(name).case.content_hash()
    assert (found.changed, found.from_case_file) == ((), True)
    references = json.dumps(back).count('"reference": "Patient/')
    assert references >= len(back) - 1, "every resource but the Patient names it by its new address"


@settings(max_examples=50)
@given(case=FULL_CASES, seed=st.integers(0, 2**32))
def test_whatever_a_case_holds_comes_back_in_any_order(case: Case, seed: int) -> None:
    sent = as_sent(collection(of(case)))
    random.Random(seed).shuffle(sent["entry"])  # noqa: S311
    found = read_case(sent)
    assert found.case == case
    assert found.changed == ()


@settings(max_examples=40)
@given(case=FULL_CASES)
def test_without_the_case_file_the_resources_alone_say_what_they_can(case: Case) -> None:
    sent = as_sent(collection(of(case)))
    sent["entry"] = [e for e in sent["entry"] if e["resource"]["resourceType"] != "DocumentReference"]
    found = read_case(sent)
    assert not found.from_case_file
    for field in ("condition", "target", "conditions", "findings", "scores"):
        assert getattr(found.case, field) == getattr(case, field)
    assert list(found.case.pain) == list(dict.fromkeys(case.pain))
    unique = [a for k, a in enumerate(case.questionnaires) if a not in case.questionnaires[:k]]
    assert list(found.case.questionnaires) == unique


# ---------------------------------------------------------------- edited elsewhere


def edited(case: Case, change: Any) -> Any:
    """The bundle of a case with its resources changed by another program; what comes of reading it."""
    sent = as_sent(collection(of(case)))
    change(sent["entry"])
    return read_case(sent)


CASE = Case(
    id="a",
    patient={"id": "p", "sex": "female", "weight_kg": 70, "weight_date": "2026-01-01", "pregnant": False},
    conditions=("Low back pain", "Diabetes"),
    medications=(
        Medication(name="Warfarin", hold={"last_dose": "2026-01-01", "agreed_by": "Dr A"}),
        Medication(name="Morphine", daily_dose=60, daily_dose_unit="mg"),
    ),
    target=Target(nerve="celiac_plexus", side="midline"),
    notes="kept",
)


def test_what_another_program_changed_counts_and_the_rest_stays() -> None:
    def change(entries: list[Any]) -> None:
        for entry in entries:
            resource = entry["resource"]
            if resource["resourceType"] == "Patient":
                resource["gender"] = "other"
            if resource.get("code", {}).get("text") == "Body weight":
                resource["valueQuantity"]["value"] = 65.5
            if resource.get("medicationCodeableConcept", {}).get("text") == "Morphine":
                resource["medicationCodeableConcept"]["text"] = "Oxycodone"
            if resource["resourceType"] == "ServiceRequest":
                resource["bodySite"][0]["coding"][1]["code"] = "left"

    found = edited(CASE, change)
    assert set(found.changed) == {"patient", "medications", "target"}
    assert found.case == CASE.replace(
        patient=CASE.patient.replace(sex="other", weight_kg=65.5),
        medications=(CASE.medications[0], Medication(name="Oxycodone")),
        target=CASE.target.replace(side="left") if CASE.target else None,
    )
    assert "medications" in remarks_of(found)[-1]


def test_what_another_program_took_away_or_added_counts() -> None:
    def change(entries: list[Any]) -> None:
        gone = next(e for e in entries if e["resource"].get("code", {}).get("text") == "Diabetes")
        new = copy.deepcopy(gone)
        new["resource"] |= {"id": "new", "code": {"text": "Asthma"}}
        new["fullUrl"] = "urn:uuid:7b1f5d3e-3c9a-4f59-9f6e-1d2c3b4a5968"
        entries.remove(gone)
        entries.append(new)

    found = edited(CASE, change)
    assert found.changed == ("conditions",)
    assert found.case == CASE.replace(conditions=("Low back pain", "Asthma"))


# ---------------------------------------------------------------- what must not be taken in


def damaged(change: Any) -> Any:
    """The bundle of CASE with its case file changed."""
    sent = as_sent(collection(of(CASE)))
    file = next(e["resource"] for e in sent["entry"] if e["resource"]["resourceType"] == "DocumentReference")
    change(file)
    return sent


def _other_case(file: dict[str, Any]) -> None:
    data = json.loads(base64.b64decode(file["content"][0]["attachment"]["data"]))
    data["notes"] = "changed on the way"
    file["content"][0]["attachment"]["data"] = base64.b64encode(json.dumps(data).encode()).decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_case, "not the one its hash says"),
        (lambda file: file.pop("content"), "cannot be read"),
        (lambda file: file["content"][0]["attachment"].update(data="no base64!"), "cannot be read"),
        (
            lambda file: file["content"][0]["attachment"].update(
                data=base64.b64encode(b"[" * 10**5).decode()
            ),
            "read",
        ),
        (
            lambda file: file["content"][0]["attachment"].update(
                data=base64.b64encode(b'{"id": 1}').decode()
            ),
            "field",
        ),
        (lambda file: file.update(subject={"reference": "Patient/other"}), "somebody else"),
        (lambda file: file.pop("subject"), "somebody else"),
        (lambda file: file.update(extension=5), "not the one its hash says"),
    ],
)
def test_a_damaged_case_file_is_refused(change: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_case(damaged(change))


def test_two_case_files_are_refused() -> None:
    sent = as_sent(collection(of(CASE)))
    sent["entry"].append({"fullUrl": "urn:x", "resource": sent["entry"][-1]["resource"]})
    with pytest.raises(InputError, match="more than one case file"):
        read_case(sent)


def test_files_do_not_travel_and_that_is_said() -> None:
    case, gone = without_files(example("demo").case)
    assert gone == ("image", "labels", "structures") or gone == ("image", "labels")
    assert (case.image, case.labels, case.structures) == (None, (), ())
    assert case.notes == example("demo").case.notes
    assert without_files(CASE) == (CASE, ())
    said = remarks_of(read_case(as_sent(collection(example("demo")))))
    assert any("files are not in a bundle" in text and "image" in text for text in said)


PATIENT = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}


@pytest.mark.parametrize(
    ("bundle", "says"),
    [
        (None, "not a FHIR bundle"),
        ([], "not a FHIR bundle"),
        ({"resourceType": "Patient"}, "not a FHIR bundle"),
        ({"resourceType": "Bundle", "type": "batch", "entry": [PATIENT]}, "not a bundle to import"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": 5}, "not a list"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": [5]}, "entry with a resource"),
        (
            {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {}}]},
            "entry with a resource",
        ),
        ({"resourceType": "Bundle", "type": "transaction"}, "exactly one Patient"),
        (
            {"resourceType": "Bundle", "type": "transaction", "entry": [PATIENT, PATIENT]},
            "exactly one Patient",
        ),
        (
            {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": PATIENT["resource"]}]},
            "needs its request",
        ),
    ],
)
def test_what_is_no_transaction_is_refused(bundle: Any, says: str) -> None:
    if isinstance(bundle, dict):
        bundle = as_sent(bundle)
        for number, entry in enumerate(bundle["entry"] if isinstance(bundle.get("entry"), list) else []):
            if isinstance(entry, dict):
                entry["fullUrl"] = f"urn:x:{number}"
    with pytest.raises(InputError, match=says):
        read_transaction(bundle)


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "PUT", "url": "Patient/1"},
        {"method": "DELETE", "url": "Patient"},
        {"method": "POST", "url": "Observation"},
        {"method": "POST", "url": "Patient", "ifNoneExist": "a=b"},
    ],
)
def test_a_transaction_only_creates(request_: dict[str, str]) -> None:
    entry = {"resource": {"resourceType": "Patient", "id": "p"}, "request": request_}
    with pytest.raises(NotSupportedError):
        read_transaction({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


# ---------------------------------------------------------------- real records


def synthea() -> list[Path]:
    """The part that is here, and the whole records where they lie beside this checkout."""
    return [SYNTHEA_PART, *sorted(SYNTHEA.glob("*_*.json"))]


@pytest.mark.parametrize("file", synthea(), ids=lambda file: file.name.split("_")[0] + file.name[-9:-5])
def test_a_real_transaction_becomes_a_case_with_an_answer_for_every_entry(file: Path) -> None:
    bundle = json.loads(file.read_text("utf-8"))
    found = read_transaction(bundle)
    answer = transaction_response(bundle, found, "case-1", 1)
    validate(answer)
    statuses = [entry["response"]["status"][:3] for entry in answer["entry"]]
    assert len(statuses) == len(bundle["entry"])
    left = sum(len(item.ids) for item in found.ignored if item.resource != "Patient")
    assert statuses.count("202") == left
    for entry, reply in zip(bundle["entry"], answer["entry"], strict=True):
        if reply["response"]["status"].startswith("202"):
            assert reply["response"]["outcome"]["issue"][0]["diagnostics"].startswith("not kept: ")
            assert entry["resource"]["resourceType"] != "Patient"
    with pytest.raises(InputError, match="not everything in the bundle can be kept"):
        read_transaction(bundle, strict=True)
    again = read_case(as_sent(collection(of(found.case))))
    assert again.case == found.case


@pytest.mark.parametrize("file", [SYNTHEA_PART, *sorted(SYNTHEA.glob("Elvina*"))], ids=lambda f: f.name[:6])
def test_a_real_record_says_the_same_from_an_independent_server(file: Path, peer: Peer) -> None:
    bundle = json.loads(file.read_text("utf-8"))
    peer.http("POST", "/", bundle)
    kinds = list(dict.fromkeys(entry["resource"]["resourceType"] for entry in bundle["entry"]))
    entries = [{"resource": resource} for resource in peer.all_of(kinds)]
    assert len(entries) == len(bundle["entry"])
    there = read_case({"resourceType": "Bundle", "type": "collection", "entry": entries}).case
    here = read_case(bundle).case
    assert there.patient.replace(id="x") == here.patient.replace(id="x")
    for field in ("conditions", "findings", "medications", "allergies", "scores"):
        one, other = getattr(here, field), getattr(there, field)
        assert (one is None) == (other is None)
        assert sorted(map(str, one or ())) == sorted(map(str, other or ()))


def test_the_part_by_hand() -> None:
    found = read_transaction(json.loads(SYNTHEA_PART.read_text("utf-8")))
    assert found.case.patient.birth_year == 1988
    assert "Chronic pain" in found.case.conditions
    assert (
        len(found.case.conditions) + sum(len(i.ids) for i in found.ignored if i.resource == "Condition") == 8
    )
    assert {i.resource for i in found.ignored} >= {"Claim", "Encounter", "Procedure", "CarePlan"}


def test_our_own_whole_bundle_is_strict_but_for_what_is_made_again() -> None:
    """Of a bundle of plain facts nothing is left out."""
    case = CASE.replace(target=None, medications=())
    sent = as_sent(transaction(of(case)))
    sent["entry"] = [
        e for e in sent["entry"] if e["resource"]["resourceType"] not in ("CarePlan", "RiskAssessment")
    ]
    assert read_transaction(sent, strict=True).case == case


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=120)
@given(data=st.data())
def test_a_bundle_with_anything_in_it_is_read_or_refused(data: st.DataObject) -> None:
    """One element anywhere in a good bundle replaced by anything: a case or an InputError, no other end."""
    sent = as_sent(collection(BASE))
    place: Any = sent
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not inner or not isinstance(inner, dict | list) or data.draw(st.integers(0, 4)) == 0:
            place[key] = data.draw(JSON)
            break
        place = inner
    with contextlib.suppress(InputError):
        assert read_case(sent).case.patient.id


BASE = replace(of(example("trigeminal").case), outcome=example("trigeminal").outcome)


def test_every_example_comes_back() -> None:
    for folder in FOLDERS:
        assert read_case(as_sent(collection(record(folder, room=True)))).case == record(folder).case
