"""Train the nerve and vessel network on the usgra-seg pairs, on one CPU core or a GPU.

    python train.py DATA --out nerve_vessel.onnx [--minutes 28] [--fold 0]

DATA holds images/NNNN.png and masks/NNNN.png. Near-duplicates stay in one fold. Fold 0 is the test fold: it
is scored once, after training, and chose nothing. Every other fold is scored for the cross-validation. The
last weights (their moving average) are taken; there is no choice of an epoch by a score.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

SIDE, FOLDS, SEED, CLASSES = 128, 5, 20260115, 3
DUPLICATE = 0.95
CHANNELS = (16, 32, 48, 64, 96)


def load(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Names, images (n, SIDE, SIDE) 0 to 1, masks, and the sizes (height, width) they had."""
    names, images, masks, sizes = [], [], [], []
    for path in sorted((folder / "images").glob("*.png")):
        image = Image.open(path).convert("L")
        mask = Image.open(folder / "masks" / path.name)
        names.append(path.stem)
        sizes.append((image.height, image.width))
        images.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255)
        masks.append(np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST), np.int64))
    return names, np.stack(images), np.stack(masks), sizes


def folds_of(images: np.ndarray) -> np.ndarray:
    """Fold (n,) of every image; images that correlate above :data:`DUPLICATE` share one."""
    small = images[:, ::4, ::4].reshape(len(images), -1)
    small = small - small.mean(axis=1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    alike = small @ small.T > DUPLICATE
    group = np.arange(len(images))
    for i in range(len(images)):
        for j in np.flatnonzero(alike[i, :i]):
            group[group == group[i]] = group[j]
    numbers = np.random.default_rng(SEED).permutation(np.unique(group))
    place = {int(g): k % FOLDS for k, g in enumerate(numbers)}
    return np.array([place[int(g)] for g in group])


class Block(nn.Module):
    """Two convolutions with group normalisation."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(given, made, 3, padding=1, bias=False), nn.GroupNorm(8, made), nn.SiLU(),
            nn.Conv2d(made, made, 3, padding=1, bias=False), nn.GroupNorm(8, made), nn.SiLU(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, given, h, w) to (n, made, h, w)."""
        return self.body(x)


class Net(nn.Module):
    """A small U-Net; a context block of dilated convolutions at the bottom."""

    def __init__(self) -> None:
        super().__init__()
        ins = (1, *CHANNELS[:-1])
        self.down = nn.ModuleList(Block(a, b) for a, b in zip(ins, CHANNELS, strict=True))
        last = CHANNELS[-1]
        self.context = nn.ModuleList(nn.Conv2d(last, last, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.up = nn.ModuleList(
            Block(CHANNELS[k] + CHANNELS[k - 1], CHANNELS[k - 1]) for k in range(len(CHANNELS) - 1, 0, -1)
        )
        self.drop = nn.Dropout2d(0.15)
        self.head = nn.Conv2d(CHANNELS[0], CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w) to logits (n, 3, h, w)."""
        kept = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for layer in self.context:
            x = x + F.silu(layer(x))
        x = self.drop(x)
        for block, other in zip(self.up, kept[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, other], dim=1))
        return self.head(x)


def augmented(
    images: torch.Tensor, masks: torch.Tensor, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turned, scaled, sheared, mirrored, bent, with other gain, contrast, depth shading and noise."""
    n, dev = len(images), images.device

    def uniform(low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(n, generator=rng)).to(dev)

    turn, size, shear = uniform(-0.35, 0.35), uniform(0.75, 1.3), uniform(-0.15, 0.15)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3, device=dev)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * torch.cos(turn) / size, (-torch.sin(turn) + shear) / size
    theta[:, 1, 0], theta[:, 1, 1] = mirror * torch.sin(turn) / size, torch.cos(turn) / size
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-0.2, 0.2), uniform(-0.2, 0.2)
    grid = F.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    bend = F.interpolate(
        0.06 * torch.randn(n, 2, 5, 5, generator=rng).to(dev), SIDE, mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1)
    made = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    kept = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].long()
    gain, power = uniform(0.7, 1.35)[:, None, None, None], uniform(0.65, 1.5)[:, None, None, None]
    depth = (
        torch.linspace(-1, 1, SIDE, device=dev)[None, None, :, None]
        * uniform(-0.25, 0.25)[:, None, None, None]
    )
    made = (gain * made.clamp(0, 1) ** power * (1 + depth)).clamp(0, 1)
    speckle = 1 + 0.12 * torch.randn(n, 1, SIDE, SIDE, generator=rng).to(dev)
    return (made * speckle).clamp(0, 1), kept


def loss_of(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Cross entropy and one minus soft Dice over the batch for nerve and vessel."""
    entropy = F.cross_entropy(logits, masks, weight=torch.tensor([0.5, 1.5, 1.5], device=logits.device))
    chance = logits.softmax(dim=1)
    truth = F.one_hot(masks, CLASSES).permute(0, 3, 1, 2).float()
    both = (chance * truth).sum(dim=(0, 2, 3))
    dice = (2 * both + 10) / (chance.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3)) + 10)
    return entropy + (1 - dice[1:]).mean()


def fit(images: np.ndarray, masks: np.ndarray, minutes: float, seed: int, threads: int) -> Net:
    """Train for so long; the moving average of the weights is given back."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net, average = (Net().to(dev, memory_format=torch.channels_last) for _ in range(2))
    average.load_state_dict(net.state_dict())
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(images)[:, None].to(dev), torch.from_numpy(masks).to(dev)
    tool = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    began, epoch, steps = time.time(), 0, 0
    while (share := (time.time() - began) / (60 * minutes)) < 1:
        for part in torch.randperm(len(x), generator=rng).split(8):
            share = (time.time() - began) / (60 * minutes)
            rate = 3e-3 * min(1.0, (steps + 1) / 60) * max(0.01, 0.5 * (1 + np.cos(np.pi * min(share, 1))))
            for group in tool.param_groups:
                group["lr"] = rate
            net.train()
            made, kept = augmented(x[part], y[part], rng)
            loss = loss_of(net(made.contiguous(memory_format=torch.channels_last)), kept)
            tool.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            tool.step()
            steps += 1
            keep = min(0.99, steps / (steps + 20))
            with torch.no_grad():
                for mean, now in zip(average.parameters(), net.parameters(), strict=True):
                    mean.mul_(keep).add_(now, alpha=1 - keep)
        epoch += 1
        if epoch % 5 == 0:
            print(f"epoch {epoch} {time.time() - began:.0f} s loss {float(loss):.3f}", flush=True)
    average.eval()
    return average.cpu()


def chances(net: Net, images: np.ndarray) -> np.ndarray:
    """Class probabilities (n, 3, SIDE, SIDE), the mean of the image and its mirror image."""
    found = []
    with torch.no_grad():
        for image in torch.from_numpy(images)[:, None, None]:
            straight, mirrored = net(image).softmax(1), net(image.flip(-1)).softmax(1).flip(-1)
            found.append(((straight + mirrored) / 2).numpy()[0])
    return np.stack(found)


def scores(chance: np.ndarray, masks: np.ndarray) -> dict[str, list[float | None]]:
    """Dice of each image and class; None where neither the mask nor the answer has the class."""
    answer = chance.argmax(axis=1)
    found: dict[str, list[float | None]] = {}
    for number, name in ((1, "nerve"), (2, "vessel")):
        rows = []
        for a, m in zip(answer == number, masks == number, strict=True):
            total = int(a.sum() + m.sum())
            rows.append(2 * float((a & m).sum()) / total if total else None)
        found[name] = rows
    return found


def calibration(chance: np.ndarray, masks: np.ndarray) -> dict[str, list[list[float]]]:
    """Per class: said and found share of pixels in ten bins of probability, and their number."""
    table = {}
    for number, name in ((1, "nerve"), (2, "vessel")):
        said, true = chance[:, number].ravel(), (masks == number).ravel()
        place = np.minimum((said * 10).astype(int), 9)
        table[name] = [
            [float(said[place == k].mean()), float(true[place == k].mean()), float((place == k).sum())]
            for k in range(10)
            if (place == k).any()
        ]
    return table


def main() -> None:
    """Train and score one fold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=28.0)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    names, images, masks, _ = load(given.data)
    fold = folds_of(images)
    # The test fold is never in a training set of the cross-validation either.
    inside = (fold != given.fold) & (fold != 0)
    net = fit(images[inside], masks[inside], given.minutes, SEED + given.fold, given.threads)
    held = fold == given.fold
    chance = chances(net, images[held])
    report = {
        "fold": given.fold, "trained_on": int(inside.sum()), 
        "held": [n for n, h in zip(names, held, strict=True) if h],
        "dice": scores(chance, masks[held]), "calibration": calibration(chance, masks[held]),
        "minutes": given.minutes, "seed": SEED + given.fold,
        "parameters": sum(p.numel() for p in net.parameters()),
    }  # fmt: skip
    given.report.write_text(json.dumps(report, indent=1), "utf-8")
    for name, rows in report["dice"].items():
        kept = [row for row in rows if row is not None]
        print(name, f"mean {np.mean(kept):.3f} median {np.median(kept):.3f} n {len(kept)}", flush=True)
    if given.out:
        torch.onnx.export(
            net, (torch.zeros(1, 1, SIDE, SIDE),), given.out, input_names=["image"], output_names=["logits"],
            dynamo=False, opset_version=17,
        )  # fmt: skip


if __name__ == "__main__":
    main()
