"""The network: a residual U-Net of five levels with deep supervision, and the average of several of them.

It works on half the side of the image: four neighbouring pixels are the channels of one, and back at the end.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 3
CHANNELS = (48, 80, 128, 176, 176)


class Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(given, made, 3, padding=1, bias=False), nn.BatchNorm2d(made), nn.SiLU(),
            nn.Conv2d(made, made, 3, padding=1, bias=False), nn.BatchNorm2d(made),
        )  # fmt: skip
        self.short = nn.Conv2d(given, made, 1, bias=False) if given != made else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, given, h, w) to (n, made, h, w)."""
        return F.silu(self.body(x) + self.short(x))


class Up(nn.Module):
    """Twice as large, beside what the same level held on the way down."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(given, made, 1)
        self.block = Block(2 * made, made)

    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """(n, given, h, w) and (n, made, 2h, 2w) to (n, made, 2h, 2w)."""
        x = F.interpolate(self.narrow(x), scale_factor=2.0, mode="nearest")
        return self.block(torch.cat([x, kept], dim=1))


class Net(nn.Module):
    """Logits of background, nerve and vessel; in training also those of the two coarser levels."""

    def __init__(self, drop: float = 0.4) -> None:
        super().__init__()
        pairs = list(zip((4, *CHANNELS[:-1]), CHANNELS, strict=True))
        self.down = nn.ModuleList(Block(a, b) for a, b in pairs)
        self.up = nn.ModuleList(Up(CHANNELS[k], CHANNELS[k - 1]) for k in range(len(CHANNELS) - 1, 0, -1))
        self.drop = nn.Dropout2d(drop)
        self.heads = nn.ModuleList(nn.Conv2d(CHANNELS[k], 4 * CLASSES, 1) for k in (0, 1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """(n, 1, h, w) to logits (n, 3, h, w)."""
        kept, x = [], F.pixel_unshuffle(x, 2)
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        x = self.drop(x)
        made = []
        for up, other in zip(self.up, kept[-2::-1], strict=True):
            x = up(x, other)
            made.append(x)
        if not self.training:
            return F.pixel_shuffle(self.heads[0](x), 2)
        pairs = zip(self.heads, made[::-1][:3], strict=True)
        return tuple(F.pixel_shuffle(head(part), 2) for head, part in pairs)


class Ensemble(nn.Module):
    """The mean probability of several networks."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w) to probabilities (n, 3, h, w)."""
        return torch.stack([member(x).softmax(dim=1) for member in self.members]).mean(dim=0)
