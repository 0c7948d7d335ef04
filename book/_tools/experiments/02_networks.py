"""What is a longer memory worth to a feedforward network, and which learning rate?

The record behind chapter 2, "Down the slope" and "How much memory?", written to
book/data/02_networks.json. All networks have two layers of 64 units, the loss of the
chapter, batches of 256 points, and a learning rate that falls to 0 over the second half
of the training. Three seeds each.

memory   k from 1 to 32 points, Adam at 3e-3. Three protocols: the 233 training lines of
         the chapter with 1,200 and with 12,000 updates, and 2,642 lines by other
         synthetic writers with 12,000. The k and the seeds of a protocol share their
         batches and are trained side by side; a shorter memory is a longer one whose
         first weights are masked. Errors are squared distances in the chapter's
         normalised units, on the training lines and on 265 lines by 92 synthetic
         writers that are in neither training set, for points under way, landed, in the
         air, and all.
rates    plain gradient descent, k = 8, 3,000 and 12,000 updates on the chapter's
         lines: the loss on its validation lines against the learning rate.
sides    whose lines these are: lines, writers, the share of lines in joined hands, how
         many moves there are to one through the air, and the errors of the chapter's
         free rule, which needs no training but the mean jump of the 233 lines.

    python book/_tools/experiments/02_networks.py

takes about a quarter of an hour of one core. Protocols that are in the file already are
not run again; delete the file to start anew.
"""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import handwriting_lib as hw
from handwriting_lib.corpora.synthetic import load_font

FILE = Path(__file__).resolve().parents[2] / "data" / "02_networks.json"
POINTS, SEEDS, UNITS, BATCH = (1, 2, 4, 8, 16, 32), (0, 1, 2), 64, 256
LONGEST = max(POINTS)
PROTOCOLS = ("chapter", 1_200), ("chapter", 12_000), ("more", 12_000)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
RATE_UPDATES = 3_000, 12_000


class Lines:
    """The questions of all lines, cut from one long tensor when they are asked."""

    def __init__(self, samples: list[hw.Sample], normalisation) -> None:
        parts, at, length = [], [], 0
        for s in samples:
            ink = hw.make_batch([s], normalisation).ink[0]  # (T, 3)
            parts += [torch.zeros(LONGEST - 1, 3), ink]
            length += LONGEST - 1
            at.append(torch.arange(length, length + len(ink) - 1))
            length += len(ink)
        self.ink, self.at, self.lines = torch.cat(parts), torch.cat(at), len(samples)

    def __len__(self) -> int:
        return len(self.at)

    def get(self, i: Tensor, k: int = LONGEST) -> tuple[Tensor, Tensor]:
        """What is seen at points i, (N, 3k), and what comes next, (N, 3)."""
        at = self.at[i]
        seen = self.ink[at[:, None] + torch.arange(1 - k, 1)]  # (N, k, 3)
        return seen.transpose(1, 2).flatten(1), self.ink[at + 1]


class Stack:
    """Networks side by side, each with its own memory and its own first weights."""

    def __init__(self, nets: list[tuple[int, int]], longest: int, normal=False) -> None:
        weights: list[list[Tensor]] = [[] for _ in range(6)]
        masks = []
        for k, seed in nets:
            generator = torch.Generator().manual_seed(1000 * seed + k)
            mask = torch.zeros(3, longest)
            mask[:, longest - k :] = 1
            masks.append(mask.flatten()[:, None])
            sizes = (3 * longest, 3 * k), (UNITS, UNITS), (UNITS, UNITS)
            for n, (rows, inputs) in enumerate(sizes):
                shape = (rows, 3 if n == 2 else UNITS), (1, 3 if n == 2 else UNITS)
                for j in (0, 1):
                    if normal:  # the chapter's own first weights
                        w = torch.randn(shape[j], generator=generator) * (1 - j)
                    else:  # those of nn.Linear
                        w = torch.rand(shape[j], generator=generator) * 2 - 1
                    weights[2 * n + j].append(w / inputs**0.5)
            weights[0][-1] = weights[0][-1] * masks[-1]
        self.mask = torch.stack(masks)
        self.weights = [torch.stack(w).requires_grad_() for w in weights]
        self.count = len(nets)

    def __call__(self, seen: Tensor) -> Tensor:  # (N, 3k) to (nets, N, 3)
        w = self.weights
        h = torch.baddbmm(w[1], seen.expand(self.count, -1, -1), w[0] * self.mask)
        h = torch.baddbmm(w[3], h.tanh(), w[2])
        return torch.baddbmm(w[5], h.tanh(), w[4])

    def loss(self, seen: Tensor, asked: Tensor) -> Tensor:  # (nets,)
        y = self(seen)
        square = (y[..., :2] - asked[:, :2]).square().sum(-1)
        ends = asked[:, 2].expand(self.count, -1)
        pen = binary_cross_entropy_with_logits(y[..., 2], ends, reduction="none")
        return (square + pen).mean(1)


def train(stack, data, k, updates, step_of):
    """Give every network of the stack the same batches."""
    torch.manual_seed(0)
    for update in range(updates):
        seen, asked = data.get(torch.randint(len(data), (BATCH,)), k)
        for w in stack.weights:
            w.grad = None
        stack.loss(seen, asked).sum().backward()
        step_of(min(1, 2 - 2 * update / updates))


class FreeRule:
    """As last; after a landing it stays, and in the air it makes the mean jump."""

    count = 1

    def __init__(self, data: Lines) -> None:
        i = (data.ink[data.at, 2] == 1).nonzero()[:, 0]
        self.jump = data.get(i)[1][:, :2].mean(0)

    def __call__(self, seen: Tensor) -> Tensor:  # (N, 3k) to (1, N, 2)
        rows = seen.view(-1, 3, LONGEST)
        ends = rows[:, 2] == 1
        guess = torch.where(ends[:, -2:-1], 0.0, rows[:, :2, -1])
        return torch.where(ends[:, -1:], self.jump, guess)[None]


@torch.no_grad()
def errors(stack: Stack | FreeRule, data: Lines) -> Tensor:
    """Mean squared distances (nets, 4): under way, landed, in the air, all."""
    stride = 1 if len(data) < 150_000 else len(data) // 100_000
    sums, counts = torch.zeros(4, stack.count), torch.zeros(4)
    for i in torch.arange(0, len(data), stride).split(4000):
        seen, asked = data.get(i)
        square = (stack(seen)[..., :2] - asked[:, :2]).square().sum(-1)
        ends = seen.view(-1, 3, LONGEST)[:, 2] == 1
        air = ends[:, -1]
        landed = ends[:, -3:-1].any(1) & ~air
        for j, kind in enumerate((~air & ~landed, landed, air, air | ~air)):
            sums[j] += square[:, kind].sum(1)
            counts[j] += kind.sum()
    return (sums / counts[:, None]).T


def memory(data: Lines, held: Lines, updates: int) -> list[dict]:
    nets = list(product(POINTS, SEEDS))
    stack = Stack(nets, LONGEST)
    adam = torch.optim.Adam(stack.weights, lr=3e-3)

    def step(share: float) -> None:
        adam.param_groups[0]["lr"] = 3e-3 * share
        adam.step()

    train(stack, data, LONGEST, updates, step)
    rows = []
    sides = errors(stack, data).tolist(), errors(stack, held).tolist()
    for (k, seed), *both in zip(nets, *sides, strict=True):
        row = {"lines": data.lines, "updates": updates, "k": k, "seed": seed}
        for name, found in zip(("training", "held_out"), both, strict=True):
            row[name] = [round(number, 4) for number in found]
        rows.append(row)
    return rows


def rates(data: Lines, held: Lines, updates: int) -> list[dict]:
    nets = list(product(RATES, SEEDS))
    stack = Stack([(8, seed) for _, seed in nets], 8, normal=True)
    rate = torch.tensor([rate for rate, _ in nets])[:, None, None]

    @torch.no_grad()
    def step(share: float) -> None:
        for w in stack.weights:
            w -= share * rate * w.grad

    train(stack, data, 8, updates, step)
    with torch.no_grad():
        losses = stack.loss(*held.get(torch.arange(len(held)), 8)).tolist()
    return [
        {"updates": updates, "rate": r, "seed": seed, "loss": round(loss, 4)}
        if loss < 100  # also false for a NaN
        else {"updates": updates, "rate": r, "seed": seed, "loss": None}
        for (r, seed), loss in zip(nets, losses, strict=True)
    ]


def side(name: str, samples: list[hw.Sample], data: Lines, rule: FreeRule) -> dict:
    joined = [load_font(s.source.split(":")[1]).cursive for s in samples]
    return {
        "side": name,
        "lines": len(samples),
        "writers": len({s.writer for s in samples}),
        "joined": round(sum(joined) / len(joined), 3),
        "moves_to_one_jump": round(1 / float(data.ink[data.at, 2].mean()), 1),
        "free_rule": [round(number, 4) for number in errors(rule, data)[0].tolist()],
    }


def corpus(samples: int, seed: int, writers: int) -> list[hw.Sample]:
    lines = hw.load_corpus("synthetic", samples=samples, seed=seed, writers=writers)
    return hw.prepare(lines, limits=hw.Limits(max_points=700)).samples


def main() -> None:
    torch.set_num_threads(1)
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    found = {name: found.get(name, []) for name in ("memory", "rates", "sides")}
    split = hw.split_by_writer(corpus(300, 1, 40), share=0.15)
    unit = hw.measure_normalisation(split.train)
    chapter, five = Lines(split.train, unit), Lines(split.validation, unit)
    others = corpus(300, 2, 100)
    held = Lines(others, unit)
    more = None

    def save() -> None:
        parts = []
        for name, rows in found.items():
            inside = ",\n".join(json.dumps(row) for row in rows)
            parts.append(f'"{name}": [\n{inside}\n]')
        FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n")

    for name, updates in PROTOCOLS:
        done = {(row["lines"] < 1000, row["updates"]) for row in found["memory"]}
        if (name == "chapter", updates) in done:
            continue
        if name == "more" and more is None:
            more = Lines(corpus(3000, 3, 400), unit)
        data = chapter if name == "chapter" else more
        found["memory"] += memory(data, held, updates)
        save()
    for updates in RATE_UPDATES:
        if updates not in {row["updates"] for row in found["rates"]}:
            found["rates"] += rates(chapter, five, updates)
            save()
    if not found["sides"]:
        rule = FreeRule(chapter)
        found["sides"] = [
            side("training", split.train, chapter, rule),
            side("validation", split.validation, five, rule),
            side("held_out", others, held, rule),
        ]
        save()


if __name__ == "__main__":
    main()
