"""Squared error against a mixture, at two budgets: writes book/data/07_squared.json.

One layer of 64 cells with two kinds of last layer, as in chapter 7, on 710 lines of a
synthetic hand (750 of 1,040 lines have at most 500 points, and 40 are held out): a
mixture of 8 components, or one step and a Bernoulli for the pen, trained on the squared
error. Both get the same batches at the same rates, for 300 or 1,200 updates, with three
seeds. What counts is the step after a pen lift, in the held-out lines: how far it
spreads, and how far the answers are from what came.

    python book/_tools/experiments/07_squared.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from one_hand import load
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import handwriting_lib as hw

ROOT = Path(__file__).resolve().parents[3]
RATE, BATCH = 1e-2, 16


def mixture_nats(out: Tensor, target: Tensor) -> Tensor:
    """The mixture's loss, nats per point."""
    return -hw.StrokeMixture.from_output(out).log_prob(target).mean()


def squared(out: Tensor, target: Tensor) -> Tensor:
    """The squared error of one offset, and the nats of the pen."""
    error = (out[..., :2] - target[..., :2]).square().sum(-1).mean()
    return error + binary_cross_entropy_with_logits(out[..., 2], target[..., 2])


def learn(outputs: int, loss_of, seed: int, steps: int, train: Tensor):
    """Train one layer and its last layer."""
    torch.manual_seed(seed)
    layer, head = hw.FusedPeepholeLSTM(3, 64), nn.Linear(64, outputs)
    weights = [*layer.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, lr=RATE)
    batches = torch.Generator().manual_seed(seed)
    for step in range(steps):
        adam.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        x = train[torch.randint(len(train), (BATCH,), generator=batches)]
        loss = loss_of(head(layer(x[:, :-1])[0]), x[:, 1:])
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        adam.step()
    return layer, head


def main() -> None:
    torch.set_num_threads(1)
    hand = load()
    train, held, std = hand.train, hand.held, torch.tensor(hand.norm.std)
    air = held[:, :-1, 2] == 1
    came = held[:, 1:, :2][air] * std

    def spread(jumps: Tensor) -> list[float]:
        return [round(v, 3) for v in jumps.std(0).tolist()]

    about = {
        "command": "python book/_tools/experiments/07_squared.py",
        "hand": hand.about(),
        "held_out": f"{len(held)} pieces, {len(came)} lifts",
        "rate": RATE,
        "batch": BATCH,
        "spread_of_the_hand": spread(came),
    }
    runs = []
    for steps in (300, 1200):
        for seed in range(3):
            for name, outputs, loss_of in (
                ("mixture", 6 * 8 + 1, mixture_nats),
                ("squared", 3, squared),
            ):
                layer, head = learn(outputs, loss_of, seed, steps, train)
                with torch.no_grad():
                    out = head(layer(held[:, :-1])[0])
                run = {"loss": name, "steps": steps, "seed": seed}
                answer = out[..., :2]
                if name == "mixture":
                    mixture = hw.StrokeMixture.from_output(out)
                    generator = torch.Generator().manual_seed(0)
                    drawn = mixture.sample(generator=generator)[..., :2]
                    run["spread_drawn"] = spread(drawn[air] * std)
                    run["nats"] = round(mixture_nats(out, held[:, 1:]).item(), 3)
                    answer = mixture.mean[..., :2]
                run["spread"] = spread(answer[air] * std)
                error = answer[air] * std - came
                rms = error.square().mean(0).sqrt()
                run["rms"] = [round(v, 3) for v in rms.tolist()]
                whole = (answer - held[:, 1:, :2]).square().sum(-1).mean()
                run["squared_error"] = round(whole.item(), 4)
                print(json.dumps(run), flush=True)
                runs.append(run)
    text = ",\n  ".join(json.dumps(run) for run in runs)
    path = ROOT / "book/data/07_squared.json"
    path.write_text(
        f'{{"about": {json.dumps(about, indent=1)},\n "runs": [\n  {text}\n ]}}\n'
    )


if __name__ == "__main__":
    main()
