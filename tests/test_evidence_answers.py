"""What the evidence command answers: rows with sources, cells where nothing was found, and the table."""

import json
import re

import pytest

from neurolysis.app.evidence import NONE_FOUND, evidence
from neurolysis.app.evidence_text import WIDTH, evidence_text, figure
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.clinical import evidence_row, evidence_rows


def cells(found) -> dict[tuple[str, str], str]:
    return {(cell.condition, cell.modality): cell.text for cell in found.cells}


def test_rows_of_a_condition_come_with_their_sources():
    found = evidence(condition="trigeminal_neuralgia")
    data = json.loads(json.dumps(found.data(), allow_nan=False))
    assert data["asked"] == {"condition": "trigeminal_neuralgia"}
    assert data["found"] == len(data["rows"]) == 35
    assert {row["source"] for row in data["rows"]} == set(data["sources"])
    for id, entry in data["sources"].items():
        assert entry["id"] == id
        assert entry["citation"]
        assert entry["url"]
    row = next(row for row in data["rows"] if row["id"] == "EV097")
    assert (row["value"], row["timepoint_months"], row["confidence"]) == (52.3, 120, "high")
    assert row["problems"]
    assert "open the paper" in data["statement"]


def test_a_cell_without_evidence_says_none_found():
    said = cells(evidence(condition="trigeminal_neuralgia"))
    assert said["trigeminal_neuralgia", "alcohol"] == NONE_FOUND
    assert said["trigeminal_neuralgia", "laser"] == NONE_FOUND
    assert said["trigeminal_neuralgia", "rf_conventional"] == "26 figures"
    assert said["trigeminal_neuralgia", "glycerol"] == "2 figures"
    pelvis = cells(evidence(condition="cancer_pain_pelvis"))
    assert (
        pelvis["cancer_pain_pelvis", "rf_pulsed"]
        == "none found alone (3 figures of several treatments together)"
    )
    knee = cells(evidence(condition="knee_osteoarthritis"))
    assert knee["knee_osteoarthritis", "rf_mixed"] == "3 figures"
    assert knee["knee_osteoarthritis", "rf_pulsed"] == NONE_FOUND


def test_everything_covers_every_condition_and_fills_nothing_in():
    found = evidence()
    assert [row.id for row in found.rows] == [row.id for row in evidence_rows()]
    said = cells(found)
    assert len({condition for condition, _ in said}) == 22
    assert {text for (condition, _), text in said.items() if condition == "peripheral_neuropathy"} == {
        NONE_FOUND
    }
    assert {text for (_, modality), text in said.items() if modality == "laser"} == {NONE_FOUND}
    alone = sum(len(cell.rows) for cell in found.cells)
    assert alone == sum(
        len(row.conditions) * len(row.modalities)
        for row in evidence_rows()
        if not row.several and row.arm != "comparator" and (row.condition, row.modality) not in BLOCKS
    )


BLOCKS = {
    ("chronic_low_back_pain_facet", "medial branch block"),
    ("chronic_low_back_pain_facet", "saline"),
}
"""Diagnostic blocks: rows that are about no treatment."""


def test_a_group_a_nerve_and_a_rule_can_be_asked_for():
    group = evidence(condition="crps")
    assert {entry.id for entry in group.conditions} == {"crps_upper_limb", "crps_lower_limb"}
    assert [row.id for row in group.rows] == [f"EV{number:03d}" for number in range(86, 95)]
    nerve = evidence(target="lumbar_medial_branch_L2", modality="cryo", months=12)
    assert [row.id for row in nerve.rows] == ["EV182"]
    rule = evidence(condition="rule:coagulation")
    assert [row.id for row in rule.rows] == ["EV310", "EV311", "EV312", "EV313"]
    assert rule.cells == ()
    assert evidence(condition="spasticity").conditions == ()


def test_rows_that_belong_to_two_conditions_are_given_once():
    found = evidence(condition="back")
    ids = [row.id for row in found.rows]
    assert len(ids) == len(set(ids))
    assert {"EV163", "EV197", "EV217", "EV059"} <= set(ids)


@pytest.mark.parametrize(
    ("question", "listed"),
    [
        ({"condition": "migraine"}, ("trigeminal_neuralgia", "crps", "spasticity", "rule:coagulation")),
        ({"target": "vagus"}, ("celiac_plexus", "lumbar_medial_branch_L2")),
        ({"modality": "acupuncture"}, ("rf_cooled",)),
        ({"outcome": "joy"}, ("harm_weakness",)),
        ({"condition": "trigeminal_neuralgia", "modality": "acupuncture"}, ("glycerol",)),
    ],
)
def test_unknown_names_list_the_known(question, listed):
    with pytest.raises(UnknownNameError) as caught:
        evidence(**question)
    for name in listed:
        assert name in caught.value.allowed


def test_the_table_holds_every_row_with_its_source_in_100_columns():
    found = evidence()
    text = evidence_text(found)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert {line[:5] for line in lines if re.match(r"EV\d{3}", line)} == {row.id for row in found.rows}
    numbers = {int(number) for number in re.findall(r"(?m)^\[(\d+)\] ", text)}
    cited = {int(number) for number in re.findall(r"\[(\d+)\](?= ?$)", text, re.MULTILINE)}
    assert cited <= numbers
    assert numbers == set(range(1, len(numbers) + 1))
    assert len(numbers) >= 104


def test_the_table_of_one_condition_reads_as_it_should():
    text = evidence_text(evidence(condition="cancer_pain_upper_abdomen"))
    flat = " ".join(text.split())
    assert "CANCER PAIN OF THE UPPER ABDOMEN" in text
    assert "lived less long with neurolysis overall and in stage IV" in flat
    assert "hazard ratio 1.94 (1.29 to 2.93)" in text
    assert "[Alcohol neurolysis against Sham or placebo procedure (saline included)]" in text
    assert "Other harm (diarrhoea): transient diarrhoea" in text
    assert "proportion of patients alive at 3 months, among survivors" in flat
    assert "None found: Pulsed radiofrequency; Cryoneurolysis; Laser neurolysis" in flat


def test_the_table_says_when_there_is_nothing():
    text = evidence_text(evidence(condition="peripheral_neuropathy"))
    assert text.startswith("Evidence for condition peripheral_neuropathy: none found")
    assert "None found: Alcohol neurolysis; Phenol neurolysis;" in text
    assert "EV0" not in text
    many = evidence_text(evidence(modality="laser"))
    assert many.count("none found (Laser neurolysis)") == 22
    assert "SOURCES" not in many


def test_comparison_groups_and_selections_are_marked_in_the_table():
    text = evidence_text(evidence(condition="sacroiliac_pain"))
    assert "[Sham or placebo procedure (saline included) (comparison group)]" in text
    facet = evidence_text(evidence(condition="lumbar_facet_pain", months=3))
    assert "(how patients were selected)]" in facet
    assert "among tested" in " ".join(facet.split())
    assert "17/51" in facet


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("EV001", "-0.42 of 10 points (-0.7 to -0.13)"),
        ("EV005", "70 to 90 %"),
        ("EV010", "p 0.93"),
        ("EV015", "hazard ratio 1.56 (1.03 to 2.35)"),
        ("EV118", "odds ratio 2.23 (from 1.03)"),
        ("EV186", "263 days"),
        ("EV326", "2.4 MME per mcg/hr"),
        ("EV037", "3 cases"),
    ],
)
def test_figures_in_words(id, text):
    assert figure(evidence_row(id)) == text
