"""Other images of the same anatomy: turned, bent, mirrored, cut, with other gain, depth, shadow and speckle.

Left and right are mirrored (there are two sides to a body); top and bottom are not (a beam goes down).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

Pair = tuple[torch.Tensor, torch.Tensor]


class Draw:
    """Random numbers of one seed on one device, a value an image, shaped to multiply images."""

    def __init__(self, number: int, rng: torch.Generator, strength: float) -> None:
        self.number, self.rng, self.strength = number, rng, strength

    def even(self, low: float, high: float) -> torch.Tensor:
        """Evenly from low to high: (n, 1, 1, 1)."""
        made = torch.rand(self.number, 1, 1, 1, generator=self.rng, device=self.rng.device)
        return low + (high - low) * made

    def around(self, middle: float, reach: float) -> torch.Tensor:
        """Evenly around a middle, as far as the strength says: (n, 1, 1, 1)."""
        return self.even(middle - reach * self.strength, middle + reach * self.strength)

    def chance(self, share: float) -> torch.Tensor:
        """1 in so large a share of the images, else 0: (n, 1, 1, 1)."""
        return (self.even(0, 1) < share).float()

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal (n, *shape)."""
        return torch.randn(self.number, *shape, generator=self.rng, device=self.rng.device)


def moved(images: torch.Tensor, masks: torch.Tensor, draw: Draw) -> Pair:
    """Images (n, 1, s, s) and masks (n, s, s) under one random smooth map a pair."""
    n, side = len(images), images.shape[-1]
    turn, shear = draw.around(0, 0.35)[:, 0, 0, 0], draw.around(0, 0.15)[:, 0, 0, 0]
    size = torch.exp(draw.around(0, 0.3))[:, 0, 0, 0]
    tall = torch.exp(draw.around(0, 0.15))[:, 0, 0, 0]
    mirror = 1 - 2 * draw.chance(0.5)[:, 0, 0, 0]
    theta = torch.zeros(n, 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * torch.cos(turn) / size, (shear - torch.sin(turn)) / size
    theta[:, 1, 0], theta[:, 1, 1] = (
        mirror * torch.sin(turn) / (size * tall),
        torch.cos(turn) / (size * tall),
    )
    theta[:, 0, 2], theta[:, 1, 2] = draw.around(0, 0.25)[:, 0, 0, 0], draw.around(0, 0.25)[:, 0, 0, 0]
    grid = F.affine_grid(theta, [n, 1, side, side], align_corners=False)
    for knots, reach in ((5, 0.06), (12, 0.012)):
        bend = draw.strength * reach * draw.normal(2, knots, knots)
        bend = F.interpolate(bend, side, mode="bicubic", align_corners=True)
        grid = grid + bend.permute(0, 2, 3, 1)
    made = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    kept = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)
    return made, kept[:, 0].long()


def shaded(images: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Other gain, contrast, gain along depth, and a shadow under a contact that is missing."""
    side = images.shape[-1]
    down = torch.linspace(-1, 1, side, device=images.device)[None, None, :, None]
    across = torch.linspace(-1, 1, side, device=images.device)[None, None, None, :]
    power = torch.exp(draw.around(0, 0.4))
    images = torch.exp(draw.around(0, 0.35)) * images.clamp(1e-5, 1) ** power
    images = images * (1 + draw.around(0, 0.3) * down + draw.around(0, 0.15) * across)
    waves = F.interpolate(draw.normal(1, 4, 4), side, mode="bicubic", align_corners=True)
    images = images * torch.exp(0.2 * draw.strength * waves)
    width, middle = draw.even(0.05, 0.25), draw.even(-1, 1)
    shadow = torch.exp(-(((across - middle) / width) ** 2)) * torch.sigmoid((down - draw.even(-1, 0.5)) * 12)
    return images * (1 - draw.chance(0.25) * draw.even(0.3, 0.9) * shadow)


def grained(images: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Speckle of a random size; some images blurred, sharpened, cut at an edge or with a hole."""
    side = images.shape[-1]
    coarse = F.interpolate(draw.normal(1, side // 2, side // 2), side, mode="bilinear", align_corners=False)
    mix = draw.even(0, 1)
    images = images * (1 + draw.even(0, 0.2) * (mix * draw.normal(1, side, side) + (1 - mix) * coarse))
    soft = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    images = images + draw.chance(0.4) * draw.even(-0.8, 1.0) * (soft - images)
    row = torch.arange(side, device=images.device)[None, None, :, None] / side
    column = torch.arange(side, device=images.device)[None, None, None, :] / side
    images = images * (1 - draw.chance(0.2) * (row > draw.even(0.65, 1)).float())
    top, left = draw.even(0, 0.9), draw.even(0, 0.9)
    hole = (row > top) & (row < top + draw.even(0.03, 0.15)) & (column > left)
    hole = hole & (column < left + draw.even(0.03, 0.15))
    return images * (1 - draw.chance(0.25) * hole.float())


def augmented(images: torch.Tensor, masks: torch.Tensor, rng: torch.Generator, strength: float) -> Pair:
    """A batch as the network is shown it: images (n, 1, s, s) 0 to 1, masks (n, s, s)."""
    draw = Draw(len(images), rng, strength)
    made, kept = moved(images, masks, draw)
    return grained(shaded(made, draw), draw).clamp(0, 1), kept
