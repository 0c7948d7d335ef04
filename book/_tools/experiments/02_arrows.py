"""Networks for the arrows of chapter 2: what k points expect next, for k = 1, 2, 4, 8.

Four feedforward networks of two layers of 64 units, trained as in the chapter (squared
distance plus the pen's cross-entropy, Adam at 3e-3, batches of 256 points, a learning
rate that falls to 0 over the second half of 12,000 updates, seed 0), but on people's
lines: those of UNIPEN, without the held-out writers, because the readers of the page
draw by hand. Of what the library's network puts out with one Gaussian, the mean and the
pen are trained, as in the chapter, and nothing else.

Writes book/data/02_arrows-K.safetensors, and what the model card book/data/02_arrows.md
quotes: squared errors on the lines of the held-out writers, in normalised units.

    python book/_tools/experiments/02_arrows.py unipen:PATH

takes about four minutes of one core.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import handwriting_lib as hw

FOLDER = Path(__file__).resolve().parents[2] / "data"
POINTS, UNITS, BATCH, UPDATES, RATE = (1, 2, 4, 8), 64, 256, 12_000, 3e-3


def questions(samples: list[hw.Sample], unit, k: int) -> tuple[Tensor, Tensor]:
    """What is seen at each point, (N, 3k), and what comes next, (N, 3)."""
    seen, asked = [], []
    for sample in samples:
        ink = hw.make_batch([sample], unit).ink[0]  # (T, 3)
        known = torch.cat([torch.zeros(k - 1, 3), ink])
        seen.append(known.unfold(0, k, 1)[:-1].flatten(1))
        asked.append(ink[1:])
    return torch.cat(seen), torch.cat(asked)


def three(output: Tensor) -> Tensor:
    """The mean of the only component, and the logit of the pen, (N, 3)."""
    return torch.stack([output[:, 2], output[:, 3], output[:, 0]], 1)


def train(seen: Tensor, asked: Tensor, k: int) -> hw.FeedforwardPredictor:
    torch.manual_seed(0)
    net = hw.FeedforwardPredictor(hw.FeedforwardConfig(k, UNITS, 2, mixtures=1))
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    for update in range(UPDATES):
        adam.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * update / UPDATES)
        i = torch.randint(len(seen), (BATCH,))
        y, wanted = three(net.output(net.layers(seen[i]))), asked[i]
        pen = binary_cross_entropy_with_logits(y[:, 2], wanted[:, 2])
        loss = (y[:, :2] - wanted[:, :2]).square().sum(1).mean() + pen
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net


@torch.no_grad()
def errors(net: hw.FeedforwardPredictor, seen: Tensor, asked: Tensor) -> list[float]:
    """Mean squared distance: within strokes, after a lift, and over all points."""
    y = three(net.output(net.layers(seen)))
    square = (y[:, :2] - asked[:, :2]).square().sum(1)
    lifted = seen.view(len(seen), 3, -1)[:, 2, -1] == 1
    return [round(float(square[one].mean()), 3) for one in (~lifted, lifted, ...)]


def main() -> None:
    torch.set_num_threads(1)
    corpus = hw.load_corpus(sys.argv[1], kinds=["line"])
    lines = hw.prepare(corpus, limits=hw.Limits(max_points=700)).samples
    split = hw.split_by_writer(lines)
    unit = hw.measure_normalisation(split.train)
    for name, side in (("trained on", split.train), ("held out", split.validation)):
        print(name, len(side), "lines by", len({s.writer for s in side}), "people")
    for k in POINTS:
        seen, asked = questions(split.train, unit, k)
        net = train(seen, asked, k)
        held = errors(net, *questions(split.validation, unit, k))
        found = dict(zip(("stroke", "air", "all"), held, strict=True))
        about = {
            "corpus": "unipen", "command": "book/_tools/experiments/02_arrows.py",
            "steps": UPDATES, "seed": 0, "points_seen": UPDATES * BATCH,
            "held_out_squared_error": found,
        }  # fmt: skip
        model = hw.Model(net, unit, about=about, name=f"02_arrows-{k}")
        hw.save_model(model, FOLDER / f"02_arrows-{k}.safetensors")
        print(k, held, f"{model.num_parameters:,} weights", model.fingerprint())


if __name__ == "__main__":
    main()
