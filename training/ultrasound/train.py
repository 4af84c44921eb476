"""Train the nerve and vessel networks on the usgra-seg pairs: every fold and member at once on one GPU.

    python prepare.py DATA pairs.npz
    python train.py pairs.npz --out FOLDER [--folds 0,1,2,3,4] [--members 3] [--steps 4000] ...

Near-duplicates stay in one fold. Fold 0 is the test fold: no training of the cross-validation (folds 1 to 4)
ever sees it, and it chose nothing. The moving average of the last weights is taken; no epoch is chosen by a
score. On a GPU each training step is one recorded graph and the members run beside each other in streams; on
a CPU they run one after the other. Seeds are fixed; a GPU's sums are not the same to the last bit every time.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from augment import augmented
from folds import folds_of
from network import Net
from torch import nn
from torch.nn import functional as F

SEED = 20260115
OTHER = (0.0, -0.2, 0.2)


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    steps: int = 4000
    seconds: float = 1e9
    batch: int = 16
    rate: float = 1.5e-3
    decay: float = 0.02
    drop: float = 0.4
    strength: float = 0.75
    """Of the augmentation; the first member's; the others' are a fifth weaker and stronger."""


def overlap(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """One minus soft Dice of nerve and vessel, half over the batch and half image by image."""
    chance = logits.softmax(dim=1)[:, 1:]
    truth = torch.stack([masks == 1, masks == 2], dim=1).float()
    both, total = (chance * truth).sum(dim=(2, 3)), (chance + truth).sum(dim=(2, 3))
    least = 0.001 * masks[0].numel()
    each = (2 * both + least) / (total + least)
    batch = (2 * both.sum(dim=0) + least) / (total.sum(dim=0) + least)
    return 1 - (each.mean() + batch.mean()) / 2


def loss_of(parts: tuple[torch.Tensor, ...], masks: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross entropy and Dice; the coarser outputs count half and a quarter."""
    total: torch.Tensor | float = 0.0
    for k, logits in enumerate(parts):
        aim = masks[:, :: 2**k, :: 2**k]
        entropy = F.cross_entropy(logits.float(), aim, weight=weight)
        total = total + 0.5**k * (entropy + overlap(logits.float(), aim))
    return total / 1.75


class Trainer:
    """One network in training. All that changes from step to step lives on the device, for the graph."""

    def __init__(self, images: np.ndarray, masks: np.ndarray, recipe: Recipe, seed: int) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        layout = torch.channels_last
        self.net, self.average = (Net(recipe.drop).to(self.dev, memory_format=layout) for _ in (0, 1))
        self.average.load_state_dict(self.net.state_dict())
        self.rng = torch.Generator(device=self.dev).manual_seed(seed)
        self.x = torch.from_numpy(images)[:, None].to(self.dev)
        self.y = torch.from_numpy(masks).to(self.dev)
        self.weight = torch.tensor([0.5, 1.5, 1.5], device=self.dev)
        self.done = torch.zeros((), device=self.dev)
        self.total = torch.full((), float(recipe.steps), device=self.dev)
        self.rate = torch.full((), recipe.rate, device=self.dev)
        self.loss = torch.zeros((), device=self.dev)
        on_gpu = self.dev.type == "cuda"
        self.tool = torch.optim.AdamW(
            self.net.parameters(), lr=self.rate, weight_decay=recipe.decay, capturable=on_gpu, foreach=on_gpu
        )
        self.net.train()
        self.run: Callable[[], None] = self.step

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A random batch, augmented."""
        size = (self.recipe.batch,)
        part = torch.randint(len(self.x), size, generator=self.rng, device=self.dev)
        made, kept = augmented(
            self.x[part].float() / 255, self.y[part].long(), self.rng, self.recipe.strength
        )
        return made.contiguous(memory_format=torch.channels_last), kept

    def step(self) -> None:
        """One step of the optimiser and of the moving average."""
        self.done += 1
        share = (self.done / self.total).clamp(max=1)
        warm = (self.done / 100).clamp(max=1)
        self.rate.copy_(self.recipe.rate * warm * (0.5 * (1 + torch.cos(math.pi * share))).clamp(min=0.005))
        made, kept = self.batch()
        with torch.autocast(self.dev.type, torch.bfloat16, self.dev.type == "cuda", cache_enabled=False):
            parts = self.net(made)
        loss = loss_of(parts, kept, self.weight)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.tool.step()
        self.follow()
        self.loss.copy_(loss.detach())
        self.tool.zero_grad(set_to_none=True)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average of the weights a little towards the weights of now."""
        mine, theirs = list(self.average.parameters()), list(self.net.parameters())
        away = torch._foreach_sub(theirs, mine)
        torch._foreach_mul_(away, 1 - (self.done / (self.done + 20)).clamp(max=0.998))
        torch._foreach_add_(mine, away)

    def record(self) -> None:
        """Record a step as a graph, after three ordinary ones, in a stream of its own."""
        self.stream = torch.cuda.Stream()
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(3):
                self.step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.rng)
        with torch.cuda.graph(graph, stream=self.stream):
            self.step()
        self.graph = graph

        def run() -> None:
            with torch.cuda.stream(self.stream):
                graph.replay()

        self.run = run

    @torch.no_grad()
    def finished(self) -> Net:
        """The averaged network with the normalisation that belongs to its weights."""
        self.average.train()
        norms = [part for part in self.average.modules() if isinstance(part, nn.BatchNorm2d)]
        for part in norms:
            part.reset_running_stats()
            part.momentum = None
        for _ in range(40):
            self.average(self.batch()[0])
        return self.average.eval()


def train(trainers: list[Trainer], recipe: Recipe) -> dict[str, float]:
    """Run every trainer to its end; if the clock would run out first, all schedules are shortened alike."""
    began, steps, started = time.time(), recipe.steps, int(trainers[0].done)
    done = started
    while done < steps:
        for one in trainers:
            one.run()
        done += 1
        if (done - started) % 50 == 0:
            losses = [float(one.loss) for one in trainers]
            took = (time.time() - began) / (done - started)
            fits = done + int((recipe.seconds - (time.time() - began)) / took)
            if fits < 0.98 * steps:
                steps = max(done, fits)
                for one in trainers:
                    one.total.fill_(steps)
            if (done - started) % 500 == 50:
                print(f"step {done} of {steps}, {1000 * took:.0f} ms, loss {np.mean(losses):.3f}", flush=True)
    return {"steps": steps, "seconds": round(time.time() - began, 1)}


@torch.no_grad()
def chances(net: nn.Module, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, 3, s, s) of images (n, s, s) uint8: the mean of the image and its mirror image."""
    dev = next(net.parameters()).device
    found = []
    for image in torch.from_numpy(images)[:, None, None].to(dev):
        one = image.float() / 255
        straight, mirrored = net(one).softmax(1), net(one.flip(-1)).softmax(1).flip(-1)
        found.append(((straight + mirrored) / 2)[0].cpu().numpy())
    return np.stack(found)


def main() -> None:
    """Train every member of every fold; write probabilities on the held folds, and fold 0's weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    given = vars(parser.parse_args())
    recipe = Recipe(**{name: given[name] for name in asdict(Recipe())})
    pairs = np.load(given["pairs"])
    images, masks = pairs["images"], pairs["masks"]
    fold = folds_of(images)
    torch.backends.cudnn.benchmark = True
    jobs = [(int(f), m) for f in given["folds"].split(",") for m in range(given["members"])]
    trainers = []
    for held, member in jobs:
        inside = (fold != held) & (fold != 0)
        own = replace(recipe, strength=recipe.strength * (1 + OTHER[member % len(OTHER)]))
        trainers.append(Trainer(images[inside], masks[inside], own, SEED + 100 * member + held))
        if torch.cuda.is_available():
            trainers[-1].record()
    took = train(trainers, recipe)
    given["out"].mkdir(exist_ok=True, parents=True)
    size = sum(p.numel() for p in trainers[0].net.parameters())
    about = {"recipe": asdict(recipe), "seed": SEED, "members": given["members"], "parameters": size, **took}
    for held in sorted({job[0] for job in jobs}):
        nets = [t.finished() for t, job in zip(trainers, jobs, strict=True) if job[0] == held]
        chance = np.mean([chances(net, images[fold == held]) for net in nets], axis=0)
        said = {**about, "fold": held, "trained_on": int(((fold != held) & (fold != 0)).sum())}
        path = given["out"] / f"fold{held}.npz"
        np.savez_compressed(path, chance=(chance * 255).round().astype(np.uint8), about=json.dumps(said))
        if held == 0:
            for k, net in enumerate(nets):
                torch.save(net.cpu().state_dict(), given["out"] / f"member{k}.pt")
    print(json.dumps(about), flush=True)


if __name__ == "__main__":
    main()
