"""The picture of the documentation: test images, the examiner's marks and the network's, with failures.

python picture.py DATA docs/images/ultrasound.png NAME NAME ...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from folds import dice
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion

from neurolysis.localization.ultrasound.pictures import read_ultrasound
from neurolysis.localization.ultrasound.segment import segment

SIDE = 250
COLOURS = {1: (230, 200, 40), 2: (60, 140, 255)}


def outlined(pixels: np.ndarray, mask: np.ndarray) -> Image.Image:
    """The image with thick outlines of the mask."""
    made = pixels.copy()
    for number, colour in COLOURS.items():
        inside = mask == number
        edge = binary_dilation(inside, iterations=2) & ~binary_erosion(inside, iterations=2)
        made[edge] = colour
    return Image.fromarray(made).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main(data: Path, out: Path, names: list[str]) -> None:
    """One column an image: examiner above, network below."""
    sheet = Image.new("RGB", (SIDE * len(names), 2 * SIDE + 40), "white")
    pen = ImageDraw.Draw(sheet)
    for k, name in enumerate(names):
        image = read_ultrasound(data / "images" / f"{name}.png")
        truth = np.asarray(Image.open(data / "masks" / f"{name}.png"))
        answer = segment(image).mask
        found = dice(answer[None], truth[None])
        words = ", ".join(f"{n} {v[0]:.2f}" for n, v in found.items() if v[0] is not None)
        for row, mask in ((0, truth), (1, answer)):
            sheet.paste(outlined(image.pixels, mask), (k * SIDE, row * (SIDE + 20) + 20))
        pen.text((k * SIDE + 4, 4), f"{name}: examiner", fill="black")
        pen.text((k * SIDE + 4, SIDE + 24), f"network: Dice {words}", fill="black")
    sheet.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
