"""Depth, skip connections and width, at two budgets: writes book/data/08_depth.json.

Networks that differ in nothing but their wiring learn one synthetic hand, as in
chapter 8, but from more of it: 710 lines for training, 40 held out (of 1,040 lines, the
290 with more than 500 points are dropped). Every network gets the same batches at the
same rates, for 240 or 1,200 updates, with three seeds.
The file holds all runs of 240 updates, and of 1,200 those of `one`, `wide` and `three`
with seed 0; each of the others takes some two minutes of a core.

    one          one layer of 64 cells
    wide         one layer of 146 cells, which has as many weights as `three`
    three        three layers of 64 cells with all skip connections
    no-pen       `three` without those from the pen to layers 2 and 3
    no-mixture   `three` without those from layers 1 and 2 to the mixture
    plain        `three` with neither: a plain stack

Each run is written down as soon as it is done, and a run that stands in the file is
not made again:

    python book/_tools/experiments/08_depth.py
    python book/_tools/experiments/08_depth.py --only three plain --budgets 240
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from one_hand import load
from torch import Tensor, nn

import handwriting_lib as hw

ROOT = Path(__file__).resolve().parents[3]
NETS = ("one", "wide", "three", "no-pen", "no-mixture", "plain")
RATE, BATCH = 1e-2, 16


def nats(network, x: Tensor) -> Tensor:
    """The mean of -log p over all points but the first of each piece."""
    return -network(x[:, :-1]).mixture().log_prob(x[:, 1:]).mean()


@torch.no_grad()
def cut(network, name: str) -> None:
    """Set the weights of the missing connections to zero."""
    if name in ("no-pen", "plain"):
        for layer in network.layers[1:]:
            layer.weight_ih[:, :3] = 0
    if name in ("no-mixture", "plain"):
        network.output.weight[:, : -network.config.hidden] = 0


def learn(name: str, seed: int, steps: int, train: Tensor, held: Tensor, rate: float):
    """Train one network; return it and its held-out loss along the way."""
    torch.manual_seed(seed)
    hidden, layers = (146 if name == "wide" else 64), (1 if name in NETS[:2] else 3)
    network = hw.PredictionNetwork(hw.PredictionConfig(hidden, layers, mixtures=8))
    cut(network, name)
    adam = torch.optim.Adam(network.parameters(), lr=rate)
    batches = torch.Generator().manual_seed(seed)
    curve = {}
    for step in range(steps + 1):
        if step % (steps // 6) == 0:
            with torch.no_grad():
                curve[step] = round(nats(network, held).item(), 4)
        if step == steps:
            break
        slope = min(1.0, (step + 1) / 20, 2 - 2 * step / steps)
        adam.param_groups[0]["lr"] = rate * slope
        x = train[torch.randint(len(train), (BATCH,), generator=batches)]
        adam.zero_grad()
        nats(network, x).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        adam.step()
        cut(network, name)
    return network, curve


def wander(inks: list[Tensor]) -> list[float]:
    """How much the height of each 60 points varies over lines, in letter bodies."""
    y = torch.stack([hw.offsets_to_positions(ink)[:, 1] for ink in inks])
    return [round(v, 3) for v in y.unfold(1, 60, 60).mean(-1).std(0).tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=NETS)
    parser.add_argument("--budgets", nargs="+", type=int, default=[240, 1200])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after")
    parser.add_argument("--out", default=str(ROOT / "book/data/08_depth.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    path, begin = Path(args.out), time.monotonic()
    hand = load()
    norm, train, held = hand.norm, hand.train, hand.held
    about = {
        "command": "python book/_tools/experiments/08_depth.py",
        "hand": hand.about(),
        "held_out": f"{len(held)} pieces",
        "rate": RATE,
        "batch": BATCH,
        "wander_of_the_hand": wander(
            [s.ink[:300] for s in hand.samples if len(s.ink) >= 300]
        ),
    }
    for steps in args.budgets:
        for seed in args.seeds:
            for name in args.only:
                kept = json.loads(path.read_text()) if path.exists() else {}
                runs = kept.get("runs", [])
                key = {"net": name, "seed": seed, "steps": steps, "rate": args.rate}
                done = any(key.items() <= run.items() for run in runs)
                if done or time.monotonic() - begin > 60 * args.minutes:
                    continue
                network, curve = learn(name, seed, steps, train, held, args.rate)
                model = hw.Model(network, norm, name=name)
                lines = hw.write_unconditional(model, 300, samples=64, bias=0.3, seed=2)
                weights = sum(p.numel() for p in network.parameters())
                run = {**key, "weights": weights, "curve": curve}
                run |= {"nats": curve[steps], "wander": wander(lines)}
                print(json.dumps(run), flush=True)
                kept = json.loads(path.read_text()) if path.exists() else {}
                runs = [*kept.get("runs", []), run]
                order = [(r["steps"], NETS.index(r["net"]), r["seed"]) for r in runs]
                pairs = sorted(zip(order, runs, strict=True), key=lambda pair: pair[0])
                runs = [r for _, r in pairs]
                text = ",\n  ".join(json.dumps(r) for r in runs)
                head = json.dumps(about, indent=1)
                path.write_text(f'{{"about": {head},\n "runs": [\n  {text}\n ]}}\n')


if __name__ == "__main__":
    main()
