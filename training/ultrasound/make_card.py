"""Put the trained network and its card into the package.

    python make_card.py DATA NETWORK.onnx REPORT_0.json REPORT_1.json ... REPORT_4.json

REPORT_k is what ``train.py --fold k`` wrote. Image limits come from the training folds, calibration from the
held folds 1 to 4; fold 0 only scores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import yaml

from neurolysis.localization.ultrasound.check_image import features, grey
from neurolysis.localization.ultrasound.pictures import read_ultrasound

FOLDER = Path(__file__).parents[2] / "src/neurolysis/localization/ultrasound/data"
NAMES = ("nerve", "vessel")


def score(rows: list[float | None]) -> dict[str, object]:
    """Mean with a bootstrap interval over images; images where neither side has the class do not count."""
    kept = np.array([row for row in rows if row is not None])
    drawn = np.random.default_rng(0).choice(kept, (4000, len(kept))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "mean": round(float(kept.mean()), 3), "interval_95": [round(float(low), 3), round(float(high), 3)],
        "median": round(float(np.median(kept)), 3), "images": len(kept), "missed": int((kept == 0).sum()),
    }  # fmt: skip


def pooled(reports: list[dict]) -> dict[str, np.ndarray]:
    """Bins (said, found, pixels) of several folds."""
    return {name: np.array([row for one in reports for row in one["calibration"][name]]) for name in NAMES}


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
        "largest_coloured_share": 0.005, "aspect": [round(min(shapes) - 0.05, 2), round(max(shapes) + 0.05, 2)],
        "largest_distance": round(float(np.percentile(far, 99)), 2), "mean": [round(float(v), 5) for v in mean],
        "whitening": [[round(float(v), 5) for v in row] for row in whitening],
    }  # fmt: skip


def main() -> None:
    """Write the network and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("network", type=Path)
    parser.add_argument("reports", type=Path, nargs=5)
    given = parser.parse_args()
    reports = [json.loads(path.read_text("utf-8")) for path in given.reports]
    test, others = reports[0], reports[1:]
    raw = given.network.read_bytes()
    held = set(test["held"])
    paths = [p for p in sorted((given.data / "images").glob("*.png")) if p.stem not in held]
    bins = pooled(others)
    lines = {name: curve(bins[name]) for name in NAMES}
    own = pooled([test])
    made = {
        "name": "us_nerve_vessel",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "trained_on": f"usgra-seg (TMK, commit 66dc77df2a64): {test['trained_on']} images of volunteers, one "
        "examiner, one machine (Mindray TE7, linear probe L14-6Ns), five block regions of arm and leg",
        "licence": "weights: the licence of this program; training images: CC BY 4.0, TMK, usgra-seg",
        "recipe": f"training/ultrasound/train.py --fold 0 --minutes {test['minutes']:.0f}, one CPU thread, seed "
        f"{test['seed']}, {test['parameters']} parameters",
        "limits": limits(paths),
        "calibration": lines,
        "calibration_error": {n: [error(own[n], None), error(own[n], lines[n])] for n in NAMES},
        "test": {name: score(test["dice"][name]) for name in NAMES},
        "cross_validation": {name: score([v for r in others for v in r["dice"][name]]) for name in NAMES},
        "cross_validation_minutes": others[0]["minutes"],
        "not_for": [
            "genicular, occipital, intercostal and stellate targets: none were in the training images",
            "another machine, probe or examiner: not tested",
            "patients: the images show volunteers",
            "deciding where a needle goes without looking: it misses nerves and marks what is none",
        ],
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "us_nerve_vessel.onnx").write_bytes(raw)
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    (FOLDER / "us_nerve_vessel.yaml").write_text(text, "utf-8")
    print({name: (made["test"][name], made["cross_validation"][name]) for name in NAMES})


if __name__ == "__main__":
    main()
