"""The clinical evidence: the shipped table, what is said of each row, and what is refused."""

import csv
import hashlib
import io
from pathlib import Path

import pytest

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import clinical, clinical_table, store, vocabulary
from neurolysis.evidence.clinical import evidence_row, evidence_rows, find_evidence, rule_rows

TABLE = store.DATA / clinical_table.FILE
NOTES = Path(__file__).resolve().parents[2] / "shared" / "reference"
SHA256 = "6dd30a453e4e1bca4ddf95da145f4a1aa1b94da1478912ebe0ea3caa1c7ac782"

COMPARATORS = [
    f"EV{number:03d}"
    for number in (64, 91, 112, 114, 134, 162, 187, 189, 214, 216, 221, 222, 229, 242, 244, 256, 291, 294)
]

COVERAGE = {
    "cancer_pain_upper_abdominal": {
        "alcohol": 24,
        "phenol": 3,
        "rf_conventional": 6,
        "neurolytic_unnamed": 10,
    },
    "cancer_pain_pelvic": {"alcohol": 2, "phenol": 5, "rf_pulsed": 3, "neurolytic_unnamed": 11},
    "perineal_or_coccyx_pain": {"rf_conventional": 6, "rf_pulsed": 1},
    "cancer_pain_perineal": {"neurolytic_unnamed": 3},
    "intercostal_neuralgia": {"rf_cooled": 1},
    "intercostal_neuralgia_post_thoracotomy": {"cryo": 4},
    "cancer_pain_chest_wall": {"phenol": 1},
    "chronic_nonmalignant_pain_mixed": {"phenol": 2},
    "cancer_pain_intrathecal": {"phenol": 8},
    "CRPS_lower_limb": {"phenol": 1, "rf_conventional": 1, "rf_pulsed": 2},
    "CRPS_upper_limb": {"rf_conventional": 1, "rf_pulsed": 3},
    "trigeminal_neuralgia": {"glycerol": 2, "rf_conventional": 26, "rf_pulsed": 5},
    "occipital_neuralgia": {"rf_conventional": 3, "rf_pulsed": 3},
    "third_occipital_headache": {"rf_conventional": 5},
    "chronic_low_back_pain_facet": {"rf_conventional": 26, "rf_cooled": 4, "cryo": 5, "operation": 3},
    "cervical_facet_pain": {"rf_conventional": 13},
    "chronic_low_back_pain_vertebrogenic": {"rf_intraosseous": 18},
    "sacroiliac_joint_pain": {"rf_conventional": 8, "rf_cooled": 13},
    "knee_osteoarthritis": {"phenol": 6, "rf_conventional": 5, "rf_cooled": 10, "cryo": 5},
    "morton_neuroma": {"alcohol": 9, "rf_conventional": 3, "cryo": 4},
    "meralgia_paresthetica": {"operation": 6},
    "post_herpetic_neuralgia": {"rf_pulsed": 5},
    "phantom_limb_pain": {"cryo": 2},
    "spasticity": {"phenol": 5},
}
"""Section 2 of the reference notes: rows that name the modality, counted there by the modality column."""

ONLY_HERE = {
    ("chronic_low_back_pain_facet", "rf_conventional"): {"EV152", "EV153", "EV154"},
    ("meralgia_paresthetica", "operation"): {"EV295"},
    ("knee_osteoarthritis", "rf_mixed"): {"EV257", "EV258", "EV259"},
}
"""Rows that the notes' count leaves out, since their modality column names no technique or no mode."""


def column(modality: str) -> str:
    """The column of the notes' table: the operations share one."""
    operation = {"surgical_release", "neurectomy", "endoscopic_rhizotomy"}
    return "operation" if modality in operation else modality


def rows_as_text(**changes: str) -> str:
    """A table of one good row (EV106), with some cells changed."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        good = next(row for row in csv.DictReader(stream) if row["id"] == "EV106")
    text = io.StringIO()
    writer = csv.DictWriter(text, clinical_table.COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerow({**good, **changes})
    return text.getvalue()


# ---------------------------------------------------------------- the table


def test_the_table_is_the_notes_own_byte_for_byte():
    assert hashlib.sha256(TABLE.read_bytes()).hexdigest() == SHA256
    if (NOTES / TABLE.name).is_file():
        assert TABLE.read_bytes() == (NOTES / TABLE.name).read_bytes()


def test_every_row_stands_in_the_shipped_order_with_its_source():
    rows = evidence_rows()
    assert [row.id for row in rows] == [f"EV{number:03d}" for number in range(1, 353)]
    listed = store.load_yaml(clinical_table.SOURCE_FILE)
    assert len(listed) == 104
    assert {row.source for row in rows} == set(listed)
    with TABLE.open(encoding="utf-8", newline="") as stream:
        for printed, row in zip(csv.DictReader(stream), rows, strict=True):
            source = store.source(row.source)
            assert printed["source_title"] == source.citation
            assert printed["source_year"] == source.year
            assert printed["doi_or_pmid"] == source.identifier
            assert printed["address"] == source.url
            assert source.doi in printed["doi_or_pmid"]
            assert f"{row.confidence}: {row.confidence_note}" == printed["confidence"]


def test_confidence_marks_are_counted_as_the_notes_say():
    levels = [row.confidence for row in evidence_rows()]
    assert {level: levels.count(level) for level in set(levels)} == {"high": 145, "moderate": 173, "low": 34}


def test_nothing_from_memory_is_shipped():
    """Words that stand only in the notes' list of things from memory, and sources read there."""
    words = " ".join(f"{row.outcome} {row.definition} {row.modality}".casefold() for row in evidence_rows())
    for word in ("warfarin", "acetaldehyde", "disulfiram", "coagulated", "eprovide", "inflexxion"):
        assert word not in words
    assert not [s.id for s in store.sources().values() if "clinical-evidence.md section 11" in s.read_in]


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("EV001", {"value": -0.42, "low": -0.7, "high": -0.13, "n": 358, "timepoint_months": 1.0,
                   "arm": "difference", "comparators": ("medication",), "several": "pooled",
                   "design": "meta-analysis", "better": "lower"}),
        ("EV004", {"value": 90.0, "denominator": "survivors", "modalities": ("alcohol",), "n": None}),
        ("EV013", {"value": 0.7, "arm": "difference", "comparators": ("sham",), "better": "higher",
                   "targets": ("splanchnic_nerves",), "design": "randomised sham-controlled"}),
        ("EV016", {"value": 1.94, "low": 1.29, "high": 2.93, "family": "survival", "better": "lower"}),
        ("EV022", {"modalities": ("neurolytic_unnamed",), "arm": "treatment", "counted": None}),
        ("EV050", {"modalities": ("neurolytic_unnamed", "rf_pulsed"), "several": "together",
                   "responder": "gt50_vas", "counted": 28, "n": 29}),
        ("EV072", {"value": -3.0, "low": -8.0, "high": 1.0, "family": "pain_change", "unit": "points_0_10"}),
        ("EV082", {"family": "harm_bladder", "lasting": "permanent", "events": 2, "counted": 9,
                   "conditions": ("cancer_pain_intrathecal", "cancer_pain_perineum")}),
        ("EV118", {"value": 2.23, "low": 1.03, "high": None, "family": "recurrence"}),
        ("EV149", {"denominator": "treated", "n": 151, "counted": None, "arm": "treatment",
                   "selection": "no diagnostic block"}),
        ("EV154", {"denominator": "tested", "events": 11, "counted": 50, "arm": "selection"}),
        ("EV170", {"family": "harm_infection", "also": ("harm_weakness", "harm_numbness"), "value": 0.0}),
        ("EV187", {"modalities": ("sham",), "arm": "comparator", "value": 8.0, "unit": "days"}),
        ("EV216", {"modalities": ("standard_care",), "arm": "comparator", "events": 9, "counted": 72}),
        ("EV234", {"family": "opioid", "denominator": "drug users", "value": 62.0}),
        ("EV257", {"modalities": ("rf_mixed",), "comparators": ("standard_care",), "arm": "difference"}),
        ("EV303", {"value": -0.1, "low": -1.0, "high": 0.7, "n": 144, "comparators": ("sham",)}),
    ],
)  # fmt: skip
def test_rows_checked_by_hand(id, expected):
    row = evidence_row(id)
    assert {name: getattr(row, name) for name in expected} == expected


def test_data_problems_of_the_notes_stand_on_their_rows():
    for id, words in {
        "EV044": "the source prints 79 %",
        "EV078": "do not match its percentages",
        "EV216": "prints n 61",
        "EV272": "-0.3 to 1.9",
        "EV274": "1.36 %",
        "EV118": "cut off",
        "EV049": "fit 26 patients (computed here)",
        "EV241": "not a whole number",
        "EV085": "foot drop",
    }.items():
        assert words in "; ".join(evidence_row(id).problems), id
    for row in evidence_rows():
        if row.unit == "p_value":
            assert "only a p-value was read: no effect size" in row.problems
        if row.several:
            assert any("not a figure of one of them" in problem for problem in row.problems), row.id


# ---------------------------------------------------------------- classification


def test_coverage_equals_the_notes_table():
    counted: dict[str, dict[str, set[str]]] = {}
    for row in evidence_rows():
        if row.is_rule or row.arm == "comparator":
            continue
        for name in row.modalities:
            if vocabulary.modality(name).kind == "treatment":
                counted.setdefault(row.condition, {}).setdefault(column(name), set()).add(row.id)
    for (condition, name), extra in ONLY_HERE.items():
        assert extra <= counted[condition][name]
        counted[condition][name] -= extra
    shown = {
        condition: {name: len(ids) for name, ids in cells.items() if ids}
        for condition, cells in counted.items()
    }
    assert shown == COVERAGE
    assert not find_evidence(modality="laser")


def test_comparators_are_exactly_these_and_are_never_read_as_treatment():
    assert [row.id for row in evidence_rows() if row.arm == "comparator"] == COMPARATORS
    for row in evidence_rows():
        kinds = {vocabulary.modality(name).kind for name in row.modalities}
        if "(comparator)" in row.modality or row.modality in ("sham", "placebo denervation", "local block"):
            assert row.arm == "comparator", row.id
            assert kinds == {"comparator"}
        if row.arm == "treatment":
            assert "treatment" in kinds, row.id
    without = {row.id for row in find_evidence(include_comparators=False)}
    assert not without & set(COMPARATORS)
    assert len(without) == 352 - len(COMPARATORS)


def test_negative_trials_stay_in():
    assert evidence_row("EV159") in find_evidence(condition="lumbar_facet_pain", months=3)
    assert evidence_row("EV239") in find_evidence(condition="sacroiliac_pain", modality="rf_conventional")
    assert {"EV255", "EV256", "EV271"} <= {row.id for row in find_evidence(condition="knee_osteoarthritis")}
    assert evidence_row("EV303") in find_evidence(condition="phantom_limb_pain", modality="cryo")


def test_both_denominators_of_the_blocks_trial():
    rows = [row for row in find_evidence(condition="lumbar_facet_pain", outcome="responder_50", months=3)
            if row.study == "cohen_blocks_rct"]  # fmt: skip
    by = {(row.denominator, row.selection): row.value for row in rows}
    chosen = ("no diagnostic block", "one diagnostic block", "two comparative blocks")
    assert [by["treated", how] for how in chosen] == [33, 39, 64]
    assert [by["tested", how] for how in chosen] == [33, 16, 22]
    assert len({row.responder for row in rows}) == 1
    assert len({row.pooling_key for row in rows}) == 6


def test_printed_fractions_agree_with_printed_percentages():
    """A whole number of ``counted`` gives the printed percentage, rounded or cut off at its last digit."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        printed = {row["id"]: row["value"] for row in csv.DictReader(stream)}
    said_to_disagree = {"EV044", "EV274"}
    checked = 0
    for row in evidence_rows():
        if row.unit != "percent" or row.counted is None or row.value is None:
            continue
        events, counted = row.fraction
        last_digit = 10.0 ** -len(printed[row.id].partition(".")[2])
        agrees = abs(100 * events / counted - row.value) < last_digit
        assert agrees != (row.id in said_to_disagree), row.id
        checked += 1
    assert checked > 90


def test_fractions():
    assert evidence_row("EV217").fraction == (11, 14)
    assert evidence_row("EV152").fraction == (17, 51)
    assert evidence_row("EV037").fraction == (3, 30)
    assert evidence_row("EV149").fraction is None
    assert evidence_row("EV029").fraction is None
    assert evidence_row("EV130").fraction is None


def test_only_equal_definitions_can_be_pooled():
    groups: dict[tuple, list] = {}
    for row in evidence_rows():
        if not row.is_rule:
            groups.setdefault(row.pooling_key, []).append(row)
    pooled = [[row.id for row in rows] for rows in groups.values() if len({row.study for row in rows}) > 1]
    assert pooled == [["EV031", "EV032", "EV033", "EV034", "EV036"]]
    keys = {id: evidence_row(id).pooling_key for id in ("EV247", "EV252", "EV227", "EV261", "EV218", "EV224")}
    assert len(set(keys.values())) == 6
    # Two reports of one trial are one study.
    assert evidence_row("EV241").study == evidence_row("EV250").study == "davis_trial"
    assert evidence_row("EV201").study == evidence_row("EV210").study
    assert evidence_row("EV031").study != evidence_row("EV032").study


def test_directions_of_differences_are_said():
    """Some sources print relief as a fall, others as a gain: both must be readable as one or the other."""
    for row in evidence_rows():
        if row.family in ("pain_difference", "pain_change", "function", "opioid", "survival"):
            assert (row.better == "-") == (row.unit == "p_value"), row.id
    assert (evidence_row("EV271").better, evidence_row("EV303").better) == ("higher", "lower")
    assert (evidence_row("EV245").better, evidence_row("EV266").better) == ("higher", "lower")


# ---------------------------------------------------------------- asking


def test_find_by_each_part_of_the_question():
    assert {row.id for row in find_evidence(condition="CRPS upper limb")} == {
        f"EV{number:03d}" for number in range(90, 95)
    }
    assert find_evidence(condition="crps_upper_limb") == find_evidence(condition="CRPS_upper_limb")
    assert [row.id for row in find_evidence(target="basivertebral_nerve", months=12)] == ["EV198", "EV200"]
    assert [row.id for row in find_evidence(modality="glycerol")] == ["EV111", "EV112", "EV113", "EV114"]
    assert [row.id for row in find_evidence(modality="glycerol", include_comparators=False)] == [
        "EV111",
        "EV113",
    ]
    cooled = find_evidence(modality="cooled RF", condition="knee_osteoarthritis", outcome="responder_50")
    assert [row.id for row in cooled] == ["EV241", "EV242", "EV247", "EV252"]
    assert [row.id for row in find_evidence(outcome="recurrence")] == ["EV118", "EV274"]
    assert "EV170" in {row.id for row in find_evidence(outcome="harm_weakness")}
    assert [row.id for row in find_evidence(outcome="BNI_I_early")] == ["EV120"]
    assert [row.id for row in find_evidence(condition="spasticity")] == [f"EV{n}" for n in range(305, 310)]


def test_time_points_are_never_interpolated():
    assert find_evidence(condition="sacroiliac_pain", modality="rf_cooled", months=2) == ()
    assert {row.timepoint_months for row in find_evidence(months=3)} == {3.0}
    assert find_evidence(condition="peripheral_neuropathy") == ()
    assert find_evidence(condition="trigeminal_neuralgia", modality="alcohol") == ()


@pytest.mark.parametrize(
    ("question", "listed"),
    [
        ({"condition": "migraine"}, "trigeminal_neuralgia"),
        ({"condition": "migraine"}, "spasticity"),
        ({"target": "vagus"}, "celiac_plexus"),
        ({"modality": "acupuncture"}, "rf_cooled"),
        ({"outcome": "happiness"}, "harm_weakness"),
        ({"outcome": "happiness"}, "BNI_I_early"),
    ],
)
def test_unknown_names_list_the_known(question, listed):
    with pytest.raises(UnknownNameError, match=listed):
        find_evidence(**question)


def test_unknown_rows_and_rules_list_the_known():
    with pytest.raises(UnknownNameError, match="EV352"):
        evidence_row("EV999")
    with pytest.raises(UnknownNameError, match="opioid_mme"):
        rule_rows("mme")
    with pytest.raises(UnknownNameError, match="harm_bladder"):
        vocabulary.family("harm_none")


def test_rule_rows():
    factors = {row.outcome.removeprefix("factor_"): row.value for row in rule_rows("opioid_mme")}
    assert factors == {
        "codeine": 0.15, "fentanyl_transdermal": 2.4, "hydrocodone": 1.0, "hydromorphone": 5.0,
        "methadone": 4.7, "morphine": 1.0, "oxycodone": 1.5, "oxymorphone": 3.0, "tapentadol": 0.4,
        "tramadol": 0.2,
    }  # fmt: skip
    assert {row.unit for row in rule_rows("opioid_mme")} == {"MME per mg", "MME per mcg/hr"}
    assert clinical.rule_kinds() == (
        "coagulation", "anticoagulant_hold", "suitability", "benefit_horizon", "opioid_mme", "responder",
        "discharge", "instrument", "recovery",
    )  # fmt: skip
    holds = {row.outcome: row.problems for row in rule_rows("anticoagulant_hold")}
    assert all("a digest of the guideline, not the guideline" in problems for problems in holds.values())
    assert all(
        row.is_rule and row.family == "rule" for kind in clinical.rule_kinds() for row in rule_rows(kind)
    )


def test_names_of_modalities():
    assert vocabulary.modality_id("Cooled RF") == "rf_cooled"
    assert vocabulary.modality_id("cryoablation") == "cryo"
    assert vocabulary.wider_modalities("alcohol") == ("neurolytic_unnamed",)
    assert vocabulary.wider_modalities("rf_cooled") == ("rf_mixed",)
    assert "harm_allergy" in vocabulary.families_of_kind("harm")
    assert not [row for row in evidence_rows() if row.family == "harm_allergy"]


# ---------------------------------------------------------------- refusals


def test_a_good_row_is_read():
    (row,) = clinical_table.read_table(rows_as_text()).values()
    assert (row.value, row.n, row.source, row.confidence) == (85.7, 28, "lan_2018", "moderate")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source_title": "", "source_year": "", "doi_or_pmid": "", "address": ""}, "needs a source"),
        ({"source_title": "A paper nobody opened"}, "needs a source"),
        ({"address": "https://example.org"}, "needs a source"),
        ({"value": "about 80"}, "column 'value' is not a number"),
        ({"value": "nan"}, "column 'value' is not a number"),
        ({"high": "inf"}, "column 'high' is not a number"),
        ({"timepoint_months": "six"}, "column 'timepoint_months' is not a number"),
        ({"timepoint_months": "-1"}, "timepoint_months"),
        ({"n": "28.5"}, "not a count"),
        ({"n": "0"}, "not a count"),
        ({"n": "-3"}, "not a count"),
        ({"low": "90", "high": "80"}, "out of order"),
        ({"value": "85.7", "low": "90", "high": "95"}, "out of order"),
        ({"value": "", "low": "", "high": ""}, "needs a value or a bound"),
        ({"value": "120"}, "outside 0 to 100"),
        ({"value": "-5"}, "outside 0 to 100"),
        ({"confidence": "sure: I know it"}, "a level and its reason"),
        ({"confidence": "high"}, "a level and its reason"),
        ({"condition": ""}, "column 'condition' is empty"),
        ({"definition": " "}, "column 'definition' is empty"),
        ({"unit": ""}, "column 'unit' is empty"),
        ({"id": "106"}, "id"),
    ],
)
def test_a_bad_row_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        clinical_table.read_table(rows_as_text(**changes))


def test_a_row_given_twice_a_short_row_and_another_head_are_refused():
    head, row = rows_as_text().splitlines()
    with pytest.raises(InputError, match="an id is given twice"):
        clinical_table.read_table("\n".join((head, row, row)))
    with pytest.raises(InputError, match="wrong number of cells"):
        clinical_table.read_table("\n".join((head, "EV106,trigeminal_neuralgia,ganglion")))
    with pytest.raises(InputError, match="wrong number of cells"):
        clinical_table.read_table("\n".join((head, row + ",more")))
    with pytest.raises(InputError, match="wrong columns"):
        clinical_table.read_table("\n".join((head.replace("target_nerve", "nerve"), row)))


@pytest.mark.parametrize(
    ("id", "changes", "says"),
    [
        ("EV106", {"modalities": ["rf_hot"]}, "unknown modality"),
        ("EV106", {"targets": ["vagus"]}, "unknown target"),
        ("EV106", {"conditions": ["migraine"]}, "unknown condition"),
        ("EV106", {"family": "harm_hair"}, "unknown outcome family"),
        ("EV106", {"arm": "comparator"}, "a comparator lists no treatment"),
        ("EV106", {"arm": "rule"}, "only a rule's"),
        ("EV106", {"comparators": ["sham"]}, "only a difference has comparators"),
        ("EV106", {"modalities": ["rf_pulsed", "alcohol"]}, "pooled or given together"),
        ("EV106", {"modalities": ["sham"]}, "a treatment row lists a treatment"),
        ("EV106", {"events": 30, "counted": 28}, "more events than were counted"),
        ("EV106", {"events": 20, "counted": 28}, "not the printed percentage"),
        ("EV106", {"design": "hearsay"}, "design"),
        ("EV106", {"denominator": "friends"}, "denominator"),
        ("EV106", {"value": 99.0}, "value"),
        ("EV325", {"arm": "treatment"}, "a rule's arm is 'rule'"),
    ],
)
def test_a_bad_classification_is_refused(id, changes, says):
    data = store.load_yaml(clinical.ROW_FILE)
    data[id].update(changes)
    with pytest.raises(InputError, match=says):
        clinical.classify(data)


def test_a_missing_or_spare_classification_is_refused():
    data = store.load_yaml(clinical.ROW_FILE)
    del data["EV100"]
    data["EV999"] = {"family": "rule"}
    with pytest.raises(InputError, match=r"EV100.*EV999"):
        clinical.classify(data)
