"""Put the trained network and its card into the package.

    python make_card.py DATA pairs.npz NETWORK.onnx FOLDER

FOLDER holds the fold0.npz to fold4.npz that ``train.py`` wrote. Image limits come from the training folds,
calibration from the held folds 1 to 4; fold 0 only scores, by the shipped code on images of their own size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import yaml
from folds import dice, folds_of
from PIL import Image

from neurolysis.localization.ultrasound.check_image import features, grey, reasons_against
from neurolysis.localization.ultrasound.pictures import read_ultrasound
from neurolysis.localization.ultrasound.segment import SIDE, raw_chances, segment, without_specks
from neurolysis.localization.ultrasound.segment import card as shipped

FOLDER = Path(__file__).parents[2] / "src/neurolysis/localization/ultrasound/data"
NAMES = ("nerve", "vessel")


def score(rows: list[float | None], marked: np.ndarray) -> dict[str, object]:
    """Mean with a bootstrap interval over images; images where neither side has the class do not count."""
    counts = np.array([row is not None for row in rows])
    every = np.array([-1.0 if row is None else row for row in rows])
    kept = every[counts]
    drawn = np.random.default_rng(0).choice(kept, (4000, len(kept))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "mean": round(float(kept.mean()), 3),
        "interval_95": [round(float(low), 3), round(float(high), 3)],
        "median": round(float(np.median(kept)), 3),
        "images": len(kept),
        "mean_where_marked": round(float(every[marked].mean()), 3),
        "marked": int(marked.sum()),
        "missed": int((every[marked] == 0).sum()),
        "false_alarms": int((every[~marked] == 0).sum()),
    }


def has(masks: np.ndarray) -> dict[str, np.ndarray]:
    """Which images (n,) have each class marked, from masks (n, s, s)."""
    return {name: (masks == k).any(axis=(1, 2)) for k, name in enumerate(NAMES, start=1)}


def table(chance: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Per class rows of said, found share and number of pixels, in ten bins of probability (n, 3, s, s)."""
    made = {}
    for number, name in enumerate(NAMES, start=1):
        said, true = chance[:, number].ravel(), (masks == number).ravel()
        place = np.minimum((said * 10).astype(int), 9)
        bins = [k for k in range(10) if (place == k).any()]
        made[name] = np.array(
            [[said[place == k].mean(), true[place == k].mean(), (place == k).sum()] for k in bins], float
        )
    return made


def curve(rows: np.ndarray) -> list[list[float]]:
    """Isotonic line from 0 to 1 through the pooled bins, weighted by pixels (pool adjacent violators)."""
    place = np.minimum((rows[:, 0] * 10).astype(int), 9)
    bins = []
    for k in range(10):
        part = rows[place == k]
        weight = part[:, 2].sum()
        bins.append(
            [(part[:, 0] * part[:, 2]).sum() / weight, (part[:, 1] * part[:, 2]).sum() / weight, weight]
        )
    k = 0
    while k < len(bins) - 1:
        if bins[k + 1][1] < bins[k][1]:
            a, b = bins[k], bins.pop(k + 1)
            weight = a[2] + b[2]
            bins[k] = [(a[0] * a[2] + b[0] * b[2]) / weight, (a[1] * a[2] + b[1] * b[2]) / weight, weight]
            k = max(k - 1, 0)
        else:
            k += 1
    return [[0.0, 0.0], *([round(float(a), 4), round(float(b), 4)] for a, b, _ in bins), [1.0, 1.0]]


def error(rows: np.ndarray, line: list[list[float]] | None) -> float:
    """Mean distance of said and found, weighted by pixels, over pixels said above 0.1."""
    rows = rows[rows[:, 0] > 0.1]
    said = rows[:, 0] if line is None else np.interp(rows[:, 0], *np.array(line).T)
    return round(float((np.abs(said - rows[:, 1]) * rows[:, 2]).sum() / rows[:, 2].sum()), 3)


def limits(paths: list[Path]) -> dict[str, object]:
    """What the training images are like."""
    images = [read_ultrasound(path).pixels for path in paths]
    rows = np.stack([features(grey(one)) for one in images])
    mean, cov = rows.mean(axis=0), np.cov(rows.T)
    cov += 0.05 * np.diag(np.diag(cov))
    values, vectors = np.linalg.eigh(cov)
    whitening = vectors @ np.diag(values**-0.5) @ vectors.T
    far = np.linalg.norm((rows - mean) @ whitening.T, axis=1)
    # The rarest one in a hundred is left out: one odd training image must not open the door to other kinds.
    shapes = [one.shape[1] / one.shape[0] for one in images]
    return {
        "largest_coloured_share": 0.005,
        "aspect": [round(min(shapes) - 0.05, 2), round(max(shapes) + 0.05, 2)],
        "largest_distance": round(float(np.percentile(far, 99)), 2),
        "mean": [round(float(v), 5) for v in mean],
        "whitening": [[round(float(v), 5) for v in row] for row in whitening],
    }


def measured(data: Path, names: list[str]) -> tuple[dict[str, list[float | None]], dict[str, np.ndarray]]:
    """Dice and calibration (before it) of the shipped code on images of their own size."""
    scores: dict[str, list[float | None]] = {name: [] for name in NAMES}
    chances, masks = [], []
    for name in names:
        image = read_ultrasound(data / "images" / f"{name}.png")
        truth = np.asarray(Image.open(data / "masks" / f"{name}.png"))
        found = dice(segment(image, check=False).mask[None], truth[None])
        for one in NAMES:
            scores[one] += found[one]
        chances.append(raw_chances(grey(image.pixels, SIDE)))
        small = Image.fromarray(truth).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        masks.append(np.asarray(small))
    return scores, table(np.stack(chances), np.stack(masks))


def held_out(pairs: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and masks of every image of folds 1 to 4, from the networks that had not seen it."""
    found = np.load(pairs)
    fold = folds_of(found["images"])
    chance = [np.load(folder / f"fold{k}.npz")["chance"] for k in (1, 2, 3, 4)]
    masks = [found["masks"][fold == k] for k in (1, 2, 3, 4)]
    return np.concatenate(chance).astype(np.float32) / 255, np.concatenate(masks)


def write(card: dict[str, object]) -> None:
    """Write the card; the loaded one is forgotten."""
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    (FOLDER / "us_nerve_vessel.yaml").write_text(text, "utf-8")
    shipped.cache_clear()


def main() -> None:
    """Write the network and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "pairs", "network", "folder"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    raw = given.network.read_bytes()
    names, fold = np.load(given.pairs)["names"].tolist(), folds_of(np.load(given.pairs)["images"])
    test = [name for name, k in zip(names, fold, strict=True) if k == 0]
    train = [given.data / "images" / f"{name}.png" for name in names if name not in test]
    about = [json.loads(str(np.load(given.folder / f"fold{k}.npz")["about"])) for k in range(5)]
    chance, masks = held_out(given.pairs, given.folder)
    bins = table(chance, masks)
    lines = {name: curve(bins[name]) for name in NAMES}
    answers = np.stack([without_specks(one) for one in chance.argmax(axis=1).astype(np.uint8)])
    recipe = about[0]["recipe"]
    made: dict[str, object] = {
        "name": "us_nerve_vessel",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "trained_on": f"usgra-seg (TMK, commit 66dc77df2a64): {about[0]['trained_on']} images of volunteers, "
        "one examiner, one machine (Mindray TE7, linear probe L14-6Ns), five block regions of arm and leg",
        "licence": "weights: the licence of this program; training images: CC BY 4.0, TMK, usgra-seg",
        "recipe": f"training/ultrasound/train.py: {about[0]['members']} residual U-Nets of "
        f"{about[0]['parameters']} parameters, {about[0]['steps']} steps of {recipe['batch']} images of "
        f"{SIDE} x {SIDE} pixels, augmentation {recipe['strength']} and a fifth weaker and stronger, seed "
        f"{about[0]['seed']}; all folds together {about[0]['seconds']:.0f} s on one H200",
        "limits": limits(train),
        "calibration": lines,
        "calibration_error": {name: [0.0, 0.0] for name in NAMES},
        "test": {},
        "cross_validation": {
            name: score(rows, has(masks)[name]) for name, rows in dice(answers, masks).items()
        },
        "cross_validation_trained_on": f"{min(a['trained_on'] for a in about[1:])} to "
        f"{max(a['trained_on'] for a in about[1:])} images a fold; the augmentation's strength and the size "
        "of a speck were chosen on these scores, the test fold was not looked at",
        "refused_test_images": 0,
        "not_for": [
            "genicular, occipital, intercostal and stellate targets: none were in the training images",
            "another machine, probe or examiner: not tested",
            "patients: the images show volunteers",
            "deciding where a needle goes without looking: it misses nerves and marks what is none",
        ],
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "us_nerve_vessel.onnx").write_bytes(raw)
    write(made)
    scores, own = measured(given.data, test)
    images = [read_ultrasound(given.data / "images" / f"{name}.png").pixels for name in test]
    found = np.load(given.pairs)
    marked = has(found["masks"][fold == 0])
    made["test"] = {name: score(scores[name], marked[name]) for name in NAMES}
    made["calibration_error"] = {n: [error(own[n], None), error(own[n], lines[n])] for n in NAMES}
    made["refused_test_images"] = sum(bool(reasons_against(one, shipped().limits)) for one in images)
    write(made)
    for name in NAMES:
        print(name, made["test"][name], made["cross_validation"][name], made["calibration_error"][name])
        print(sorted((v, k) for v, k in zip(scores[name], test, strict=True) if v is not None)[:9])
    print("refused", made["refused_test_images"])


if __name__ == "__main__":
    main()
