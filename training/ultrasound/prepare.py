"""Images and masks of the usgra-seg pairs, made square, in one file.

    python prepare.py DATA pairs.npz

DATA holds images/NNNN.png and masks/NNNN.png.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 256


def load(folder: Path) -> dict[str, np.ndarray]:
    """``names`` (n,), ``images`` and ``masks`` (n, SIDE, SIDE) uint8."""
    names, images, masks = [], [], []
    for path in sorted((folder / "images").glob("*.png")):
        image = Image.open(path).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        mask = Image.open(folder / "masks" / path.name).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        names.append(path.stem)
        images.append(np.asarray(image, np.uint8))
        masks.append(np.asarray(mask, np.uint8))
    return {"names": np.array(names), "images": np.stack(images), "masks": np.stack(masks)}


if __name__ == "__main__":
    np.savez_compressed(sys.argv[2], **load(Path(sys.argv[1])))
