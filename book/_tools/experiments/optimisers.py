"""Six optimisers, tuned alike, at two budgets: writes book/data/optimisers.json.

The network, the ink, the batches and the learning rate schedule are those of the page
on optimisers. Every optimiser gets six learning rates, a factor of about three apart,
and three seeds for the initial weights and the batches. Adam and Muon are trained for
1,200 updates as well, at their best learning rate of the 300 updates and the two below
it. A seventh entry, `rmsprop, mean loss`, is the paper's RMSprop on nats per point
instead of nats per line. Each run is measured on two sets: `validation`, the held-out
words of the page, by which the page chooses the learning rates, and `test`, words by 60
other writers, for which it reports the results.

    python book/_tools/experiments/optimisers.py
    python book/_tools/experiments/optimisers.py --only adam muon --budgets 300

A run that stands in the file is not made again. The networks of one optimiser are
trained together, as a stack with one more dimension, which is faster than one after the
other; `--check` compares the stack with the library's network and optimisers. What
remains there of Adam and Muon is rounding, which they magnify where gradients are tiny.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import handwriting_lib as hw
from handwriting_lib.training.optim import build_optimisers

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "optimisers.json"
SMALL = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
RATES = {
    "sgd": (0.03, 0.1, 0.3, 1, 3, 10),
    "momentum": (0.003, 0.01, 0.03, 0.1, 0.3, 1),
    "rmsprop": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "adam": SMALL,
    "adamw": SMALL,
    "muon": SMALL,
    "rmsprop, mean loss": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
SEEDS = (0, 1, 2)
BUDGETS = (300, 1200)
BATCH, POINTS = 24, 60


def words(seed: int) -> list[hw.Sample]:
    """Synthetic words of more than 60 points, by 60 writers."""
    corpus = hw.load_corpus(
        "synthetic", samples=1500, seed=seed, writers=60, kinds=("word",)
    )
    found = hw.prepare(corpus, limits=hw.Limits(max_points=200)).samples
    return [s for s in found if len(s.ink) > POINTS]


def inks() -> tuple[Tensor, Tensor, Tensor]:
    """Training, validation and test ink, `(N, 61, 3)` each."""
    split = hw.split_by_writer(words(1))
    unit = hw.measure_normalisation(split.train)
    sides = (split.train, split.validation, words(2))
    ready = [torch.stack([unit.apply(s.ink[: POINTS + 1]) for s in s_]) for s_ in sides]
    return ready[0], ready[1], ready[2]


def new_network(seed: int) -> hw.PredictionNetwork:
    """The network of the page."""
    torch.manual_seed(seed)
    return hw.PredictionNetwork(hw.PredictionConfig(hidden=48, layers=1, mixtures=5))


def losses(weights: dict[str, Tensor], ink: Tensor) -> Tensor:
    """Nats per point of each network, `(R,)`; `ink` is `(R, B, T + 1, 3)`."""
    W_x, W_h = weights["layers.0.weight_ih"], weights["layers.0.weight_hh"]
    p_i, p_f, p_o = weights["layers.0.peephole"][:, :, None].unbind(1)  # (R, 1, H)
    z_x = torch.einsum("rbti,rji->trbj", ink[:, :, :-1], W_x)  # (T, R, B, 4H)
    z_x = z_x + weights["layers.0.bias"][:, None]
    h = c = z_x.new_zeros(*z_x.shape[1:3], W_h.shape[2])  # (R, B, H)
    W_h, hs = W_h.mT, []
    for z in z_x:
        z_i, z_f, z_g, z_o = torch.baddbmm(z, h, W_h).chunk(4, -1)
        i = torch.sigmoid(torch.addcmul(z_i, p_i, c))
        f = torch.sigmoid(torch.addcmul(z_f, p_f, c))
        c = torch.addcmul(i * torch.tanh(z_g), f, c)
        h = torch.sigmoid(torch.addcmul(z_o, p_o, c)) * torch.tanh(c)
        hs.append(h)
    h = torch.stack(hs, 2).flatten(1, 2)  # (R, B T, H)
    y = torch.baddbmm(weights["output.bias"][:, None], h, weights["output.weight"].mT)
    mixture = hw.StrokeMixture.from_output(y)
    return -mixture.log_prob(ink[:, :, 1:].flatten(1, 2)).mean(1)


@torch.no_grad()
def measure(weights: dict[str, Tensor], ink: Tensor) -> Tensor:
    """`losses` on all of `ink`, `(N, T + 1, 3)`, a hundred lines at a time."""
    stack = len(weights["output.bias"])
    parts = ink.split(100)
    sums = [
        losses(weights, part.expand(stack, *part.shape)) * len(part) for part in parts
    ]
    return torch.stack(sums).sum(0) / len(ink)


def even(matrix: Tensor) -> Tensor:
    """The page's `even` for a stack of matrices, `(R, A, B)`."""
    wide = matrix.shape[1] <= matrix.shape[2]
    X = (matrix if wide else matrix.mT).bfloat16()
    X = X / X.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(5):
        A = X @ X.mT
        X = torch.baddbmm(
            X, torch.baddbmm(A, A, A, beta=-4.775, alpha=2.0315), X, beta=3.4445
        )
    return (X if wide else X.mT).float()


def step_of(
    name: str, key: str, w: Tensor, d: Tensor, memory: dict, rate: Tensor
) -> Tensor:
    """The step of the stacked weight `w` for its gradient `d`, as on the page."""
    rate = rate.view(-1, *[1] * (w.ndim - 1))
    if name == "sgd":
        return -rate * d
    if name == "momentum":
        v = memory["v"] = 0.9 * memory.get("v", 0) + d
        return -rate * v
    if name == "rmsprop":
        n = memory["n"] = 0.95 * memory.get("n", 0) + 0.05 * d**2
        g = memory["g"] = 0.95 * memory.get("g", 0) + 0.05 * d
        size = ((n - g**2).clamp_min(0) + 1e-4).sqrt()
        memory["step"] = 0.9 * memory.get("step", 0) - rate * d / size
        return memory["step"]
    if name == "muon" and key in ("layers.0.weight_ih", "layers.0.weight_hh"):
        g = torch.lerp(memory.get("g", 0 * d), d, 0.05)
        memory["g"] = g
        return -rate * 0.2 * max(w.shape[1:]) ** 0.5 * even(torch.lerp(d, g, 0.95))
    k = memory["k"] = memory.get("k", 0) + 1
    g = memory["g"] = 0.9 * memory.get("g", 0) + 0.1 * d
    n = memory["n"] = 0.999 * memory.get("n", 0) + 0.001 * d**2
    step = -rate * (g / (1 - 0.9**k)) / ((n / (1 - 0.999**k)).sqrt() + 1e-8)
    return step - rate * 0.1 * w if name == "adamw" else step


def train(
    name: str, runs: list[tuple[float, int]], updates: int, ink: Tensor
) -> dict[str, Tensor]:
    """Train a stack of networks, one for each (learning rate, seed) of `runs`."""
    rule, scale = name, 1.0
    if name.startswith("rmsprop"):
        rule, scale = "rmsprop", 1.0 if "mean" in name else float(POINTS)
    networks = {seed: dict(new_network(seed).named_parameters()) for _, seed in runs}
    weights = {
        key: torch.stack(
            [networks[seed][key].detach() for _, seed in runs]
        ).requires_grad_()
        for key in networks[runs[0][1]]
    }
    draws = {seed: torch.Generator().manual_seed(seed) for _, seed in runs}
    memory: dict[str, dict] = {key: {} for key in weights}
    rates = torch.tensor([rate for rate, _ in runs])
    for k in range(updates):
        rows = {
            seed: torch.randint(len(ink), (BATCH,), generator=draw)
            for seed, draw in draws.items()
        }
        batch = torch.stack([ink[rows[seed]] for _, seed in runs])  # (R, B, T + 1, 3)
        loss = scale * losses(weights, batch).sum()
        slopes = dict(
            zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True)
        )
        squares = [d.flatten(1).square().sum(1) for d in slopes.values()]  # (R,) each
        norm = torch.stack(squares).sum(0).sqrt()
        cut = (5 * scale / (norm + 1e-6)).clamp(max=1)
        now = min(1.0, 2 - 2 * k / updates)
        with torch.no_grad():
            for key, w in weights.items():
                d = slopes[key] * cut.view(-1, *[1] * (w.ndim - 1))
                w += step_of(rule, key, w, d, memory[key], rates * now)
    return {key: w.detach() for key, w in weights.items()}


def check(ink: Tensor) -> None:
    """Compare ten updates of the stack with the library's network and optimisers."""
    makers = {
        "sgd": lambda n: [torch.optim.SGD(n.parameters(), lr=0.1)],
        "momentum": lambda n: [torch.optim.SGD(n.parameters(), lr=0.1, momentum=0.9)],
        "adamw": lambda n: [
            torch.optim.AdamW(n.parameters(), lr=0.1, weight_decay=0.1)
        ],
    }
    for name in RATES:
        kind, rate = name.split(",")[0], 3e-3 if "rmsprop" in name else 0.1
        scale = POINTS if name == "rmsprop" else 1
        stack = train(name, [(rate / 3, 1), (rate, 0)], 10, ink)
        network = new_network(0)
        make = makers.get(kind, lambda n, kind=kind: build_optimisers(kind, n, 1.0))
        optimisers, draw = make(network), torch.Generator().manual_seed(0)
        for k in range(10):
            rows = torch.randint(len(ink), (BATCH,), generator=draw)
            network.zero_grad()
            mixture = network(ink[rows, :-1]).mixture()
            (-scale * mixture.log_prob(ink[rows, 1:]).mean()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0 * scale)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = rate * min(1, 2 - 2 * k / 10)
                optimiser.step()
        far = max(
            float((stack[key][1] - w.detach()).abs().max())
            for key, w in network.named_parameters()
        )
        print(f"{name:20} largest difference of a weight after ten updates {far:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(RATES), default=list(RATES))
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ink, validation, test = inks()
    print(len(ink), "to train on,", len(validation), "validation,", len(test), "test")
    if arguments.check:
        check(ink)
        return
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    rows = [row for row in rows if "test" in row]  # the first edition had no test words
    have = {(r["optimiser"], r["updates"], r["learning_rate"], r["seed"]) for r in rows}
    for updates in arguments.budgets:
        for name in arguments.only:
            if updates > BUDGETS[0] and name not in ("adam", "muon"):
                continue
            top = 5 if name == "muon" else 4
            rates = RATES[name] if updates == BUDGETS[0] else RATES[name][top - 3 : top]
            runs = [
                (rate, seed)
                for rate in rates
                for seed in SEEDS
                if (name, updates, rate, seed) not in have
            ]
            if not runs:
                continue
            begin = time.time()
            weights = train(name, runs, updates, ink)
            found = [measure(weights, side) for side in (validation, test)]
            for (rate, seed), one, two in zip(runs, *found, strict=True):
                rows.append({
                    "optimiser": name, "updates": updates, "learning_rate": rate,
                    "seed": seed, "validation": round(one.item(), 4),
                    "test": round(two.item(), 4),
                })  # fmt: skip
            lines = ",\n".join(json.dumps(row) for row in rows)
            FILE.write_text(f"[\n{lines}\n]\n")
            print(
                f"{name:20} {updates:5} updates  {time.time() - begin:6.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
