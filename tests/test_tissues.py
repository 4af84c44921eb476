"""Tissues: labels first, CT numbers elsewhere, and never bone from brightness on a contrast scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurolysis.case import ImageSource, LabelSource
from neurolysis.errors import ImageError, InputError, UnknownNameError
from neurolysis.evidence.limits import limit_kinds
from neurolysis.evidence.tissues import tissue_names
from neurolysis.geometry import Volume
from neurolysis.localization.images import read_image, read_labels
from neurolysis.localization.schemes import Labels, label_scheme, read_label_map, scheme_names
from neurolysis.localization.tissues import map_tissues, tissue_fractions
from neurolysis.scene import AIR, TissueMap

AORTA = Path(__file__).parent / "data" / "lidc_aorta"
CONTRAST = ImageSource(path="ct.nii.gz", contrast=True)
PLAIN = ImageSource(path="ct.nii.gz", contrast=False)
UNKNOWN = ImageSource(path="ct.nii.gz")


def volume(values: object) -> Volume:
    """One row of voxels, 1 mm."""
    return Volume(array=np.array(values).reshape(-1, 1, 1), affine=np.eye(4), name="row")


def named(tissues: TissueMap) -> list[str]:
    return [tissues.names[index] for index in tissues.volume.array.ravel()]


def labels_of(image: Volume, values: list[int], scheme: str) -> Labels:
    array = np.array(values, dtype=np.uint8).reshape(image.shape)
    return Labels(
        maps=(read_label_map(LabelSource(path="l.nii.gz", scheme=scheme), image.with_array(array)),)
    )


def test_aorta_of_a_contrast_scan_is_never_bone() -> None:
    image = read_image(AORTA / "ct.nii.gz")
    source = LabelSource(path="labels.nii.gz", scheme="totalsegmentator_118")
    labels = Labels(maps=(read_label_map(source, read_labels(AORTA / "labels.nii.gz", image)),))
    aorta = labels.mask("aorta")
    assert aorta is not None
    assert aorta.sum() > 2000
    assert np.median(image.array[aorta]) > 390

    with_label = map_tissues(image, labels, CONTRAST)
    assert {with_label.names[k] for k in np.unique(with_label.volume.array[aorta])} == {"blood"}

    for contrast in (CONTRAST, UNKNOWN):
        alone = map_tissues(image, Labels(), contrast)
        assert not any(name.startswith("bone") for name in set(named(alone)))
        assert alone.uncertain is not None
        assert alone.uncertain.array[aorta].mean() > 0.9
        assert any("uncertain" in note for note in alone.notes)

    bright = map_tissues(image, Labels(), PLAIN)
    assert np.mean([n.startswith("bone") for n in np.array(named(bright)).reshape(image.shape)[aorta]]) > 0.9


def test_vertebra_label_is_bone_on_the_same_scan() -> None:
    image = read_image(AORTA / "ct.nii.gz")
    source = LabelSource(path="labels.nii.gz", scheme="totalsegmentator_118")
    labels = Labels(maps=(read_label_map(source, read_labels(AORTA / "labels.nii.gz", image)),))
    vertebra = labels.level_mask("T12")
    assert vertebra is not None
    assert vertebra.any()
    tissues = map_tissues(image, labels, CONTRAST)
    found = {tissues.names[k] for k in np.unique(tissues.volume.array[vertebra])}
    assert found == {"bone_cancellous", "bone_cortical"}


def test_ct_numbers_alone_on_a_plain_scan() -> None:
    tissues = map_tissues(volume([-1000, -100, 40, 300, 900]), Labels(), PLAIN)
    assert named(tissues) == ["air", "fat", "muscle", "bone_cancellous", "bone_cortical"]
    assert tissues.uncertain is None
    assert tissues.outside == "muscle"
    assert any("CT numbers alone" in note for note in tissues.notes)


@pytest.mark.parametrize("source", [CONTRAST, UNKNOWN])
def test_unlabelled_brightness_is_uncertain_soft_tissue(source: ImageSource) -> None:
    tissues = map_tissues(volume([-100, 40, 300, 900]), Labels(), source)
    assert named(tissues) == ["fat", "muscle", "muscle", "muscle"]
    assert tissues.uncertain is not None
    assert tissues.uncertain.array.ravel().tolist() == [0, 0, 1, 1]
    assert any("2 unlabelled bright voxels" in note for note in tissues.notes)


@pytest.mark.parametrize("source", [CONTRAST, UNKNOWN, PLAIN])
def test_label_wins_over_the_ct_number(source: ImageSource) -> None:
    image = volume([-60, 300, 900, 250, 250, 250, -90])
    labels = labels_of(image, [29, 29, 29, 52, 2, 79, 2], "totalsegmentator_v2")
    tissues = map_tissues(image, labels, source)
    assert named(tissues) == [
        "bone_cancellous", "bone_cancellous", "bone_cortical", "blood", "muscle", "spinal_cord", "fat",
    ]  # fmt: skip
    assert tissues.uncertain is None


def test_first_label_map_wins_where_two_speak() -> None:
    image = volume([100, 100, 100])
    first = labels_of(image, [60, 0, 0], "tptbox_subregion").maps
    second = labels_of(image, [22, 22, 0], "tptbox_vertebra").maps
    tissues = map_tissues(image, Labels(maps=first + second), PLAIN)
    assert named(tissues) == ["spinal_cord", "bone_cancellous", "muscle"]


def test_dark_noise_in_fat_is_not_gas() -> None:
    tissues = map_tissues(volume([-120, -230, -120, -300, -900, -250, -120]), Labels(), PLAIN)
    assert named(tissues) == ["fat", "fat", "fat", "air", "air", "air", "fat"]


def test_mr_tells_nothing_without_labels() -> None:
    image = volume([0, 50, 300, 900])
    source = ImageSource(path="t2.nii.gz", modality="MR")
    tissues = map_tissues(image, labels_of(image, [0, 0, 0, 50], "tptbox_subregion"), source)
    assert named(tissues) == ["muscle", "muscle", "muscle", "bone_cancellous"]
    assert tissues.uncertain is not None
    assert tissues.uncertain.array.ravel().tolist() == [1, 1, 1, 0]


def test_an_image_with_nan_is_refused() -> None:
    with pytest.raises(ImageError, match="not finite"):
        map_tissues(volume([0.0, np.nan]), Labels(), PLAIN)


def test_fractions_count_the_voxels_in_a_ball() -> None:
    tissues = map_tissues(volume([-100, 40, 40, 40, 300]), Labels(), PLAIN)
    assert tissue_fractions(tissues, (1.0, 0.0, 0.0), 1.2) == pytest.approx({"fat": 1 / 3, "muscle": 2 / 3})


def test_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as error:
        label_scheme("totalsegmentator")
    assert error.value.allowed == ", ".join(sorted(scheme_names()))


def test_numbers_a_scheme_lacks_are_refused() -> None:
    image = volume([0, 0, 0])
    with pytest.raises(InputError, match=r"tptbox_subregion.*\[22, 199\].*41-53"):
        labels_of(image, [0, 22, 199], "tptbox_subregion")


def test_the_two_wide_schemes_differ_only_at_the_end() -> None:
    new, old = label_scheme("totalsegmentator_v2").labels, label_scheme("totalsegmentator_118").labels
    assert {k for k in new.keys() | old.keys() if new.get(k) != old.get(k)} == {117, 118}
    assert (new[117].part, old[117].part, old[118].part) == (
        "costal_cartilages",
        "carpal",
        "costal_cartilages",
    )


@pytest.mark.parametrize(
    ("scheme", "number", "part", "side", "level"),
    [
        ("tptbox_subregion", 43, "transverse_process", "left", None),
        ("tptbox_subregion", 46, "superior_articular_process", "right", None),
        ("tptbox_vertebra", 22, "vertebra", None, "L3"),
        ("tptbox_vertebra", 122, "disc", None, "L3"),
        ("tptbox_vertebra", 28, "vertebra", None, "T13"),
        ("totalsegmentator_v2", 29, "vertebra", None, "L3"),
        ("totalsegmentator_v2", 52, "aorta", None, None),
        ("totalsegmentator_118", 63, "inferior_vena_cava", None, None),
        ("totalsegmentator_118", 88, "iliopsoas", "left", None),
    ],
)
def test_label_numbers(scheme: str, number: int, part: str, side: str | None, level: str | None) -> None:
    record = label_scheme(scheme).labels[number]
    assert (record.part, record.side, record.level) == (part, side, level)


@pytest.mark.parametrize("scheme", scheme_names())
def test_every_tissue_and_structure_of_a_scheme_is_known(scheme: str) -> None:
    records = label_scheme(scheme).labels.values()
    assert {r.tissue for r in records} <= {*tissue_names(), AIR, "bone", "soft"}
    assert {r.structure for r in records} - {None} <= set(limit_kinds())
