"""Angle or radius first, and one position a point or two?

The record behind chapter 14, written to book/data/14_order.json. Small decoders learn
to predict the next point of single words of UNIPEN, without the text, from the tokens
of `StrokeTokens`. They differ in how a point is put before them:

way     `heads`: one position a point, and two heads, of which the second is told what
        the first one predicted; `apart`: the same, but it is not told; `tokens`: two
        positions a point, one for each token;
order   whether the angle or the shot, which is radius and pen, comes first.

All have 2 layers of width 64 with 4 heads, and read the same batches of 2,000 points in
the same order. Rows say how many nats a point of held-out writers costs, for the first
token and for the second, the end of a word included in the first; and how many seconds
of one core the updates took. `tokens` also stands there with half of the updates, which
take it about as long as `heads` takes for all.

    python book/_tools/experiments/14_order.py unipen:PATH

takes some 20 minutes of one core. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, pad

import handwriting_lib as hw
from handwriting_lib.data.batches import LengthBuckets
from handwriting_lib.networks.character import Layer, sinusoids

FILE = Path(__file__).resolve().parents[2] / "data" / "14_order.json"
UPDATES, WARM, RATE, POINTS = 600, 40, 3e-3, 2000
WIDTH, LAYERS, HEADS, LONGEST = 64, 2, 4, 512
TRAIN, HELD_OUT, SEEDS = 12_000, 300, (1, 2, 3)
ARMS = (
    ("heads", "angle", UPDATES),
    ("heads", "shot", UPDATES),
    ("apart", "angle", UPDATES),
    ("tokens", "angle", UPDATES),
    ("tokens", "shot", UPDATES),
    ("tokens", "angle", UPDATES // 2),
)
TOKENS = hw.StrokeTokens()


class Small(nn.Module):
    """Predicts the two tokens of each next point.

    Args:
        way: `heads`, `apart` or `tokens`.
        order: which token comes first, `angle` or `shot`.
    """

    def __init__(self, way: str, order: str) -> None:
        super().__init__()
        self.way, self.order = way, order
        sizes = [TOKENS.angles, 2 * TOKENS.radii]
        if order == "shot":
            sizes.reverse()
        self.end, self.second = sizes  # the first place has one more, the end
        self.first_in = nn.Embedding(self.end + 1, WIDTH)
        self.second_in = nn.Embedding(self.second, WIDTH)
        self.places = nn.Parameter(sinusoids(LONGEST, WIDTH))
        self.layers = nn.ModuleList(
            Layer(hw.MultiHeadAttention(WIDTH, HEADS), WIDTH, 0.0)
            for _ in range(LAYERS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.first_out = nn.Linear(WIDTH, self.end + 1)
        self.second_out = nn.Linear(WIDTH, self.second)
        self.aim, self.told = nn.Linear(WIDTH, WIDTH), nn.Embedding(self.end + 1, WIDTH)
        for out in (self.first_out, self.second_out):
            nn.init.normal_(out.weight, std=0.02)
        for part in (self.first_in, self.second_in, self.told):
            nn.init.normal_(part.weight, std=0.5)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of what comes after each point: `(B, T, ...)` twice.

        Args:
            first: `(B, T + 1)` the first token of each point and of the one after it.
            second: `(B, T)` the second one.
        """
        past, following = first[:, :-1], first[:, 1:]
        place = self.places[: past.shape[1]]
        one, two = self.first_in(past), self.second_in(second)
        if self.way == "tokens":
            # first, second, first, second, ..., and the last first
            x = torch.stack([one + place, two + place], 2).flatten(1, 2)
            last = self.first_in(first[:, -1:]) + self.places[past.shape[1]]
            hidden = self._through(torch.cat([x, last], 1))
            after = hidden[:, 2::2]  # at the first tokens that follow
            hidden = hidden[:, 1::2]  # at the second tokens
        else:
            hidden = self._through(one + two + place)
            after = self.aim(hidden)
            if self.way == "heads":
                after = after + self.told(following)
            after = gelu(after)
        return self.first_out(hidden), self.second_out(after)

    def _through(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        return self.norm(x)  # type: ignore[no-any-return]


def losses(network: Small, pairs: list[Tensor]) -> tuple[Tensor, Tensor, int]:
    """Nats of all first tokens, of all second tokens, and their number of points."""
    rows = [row.flip(1) if network.order == "shot" else row for row in pairs]
    first = nn.utils.rnn.pad_sequence(
        [pad(row[:, 0], (0, 1), value=network.end) for row in rows],
        batch_first=True, padding_value=-1,
    )  # (B, T + 1)  # fmt: skip
    second = nn.utils.rnn.pad_sequence(
        [row[:, 1] for row in rows], batch_first=True, padding_value=-1
    )  # (B, T)
    ones, twos = network(first.clamp_min(0), second.clamp_min(0))
    after = pad(second[:, 1:], (0, 1), value=-1)  # nothing follows the end
    how = {"ignore_index": -1, "reduction": "sum"}
    return (
        cross_entropy(ones.mT, first[:, 1:], **how),
        cross_entropy(twos.mT, after, **how),
        sum(len(row) - 1 for row in rows),
    )


def words(source: str) -> tuple[list[hw.Sample], list[hw.Sample]]:
    """Words of training writers and of held-out ones, a fixed choice of each."""
    corpus = hw.load_corpus(source, kinds=("word",))
    split = hw.split_by_writer(corpus.samples)
    chosen = []
    for side, most in ((split.train, TRAIN), (split.validation, HELD_OUT)):
        some = sorted(side, key=lambda s: s.source)
        some = some[:: max(1, len(some) // most)]
        kept = hw.prepare(hw.Corpus(corpus.name, some)).samples
        chosen.append([s for s in kept if len(s.ink) < LONGEST][:most])
    return chosen[0], chosen[1]


def batches(samples: list[hw.Sample], seed: int) -> Iterator[list[hw.Sample]]:
    buckets = LengthBuckets(samples, POINTS)
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield buckets.draw(generator)


@torch.no_grad()
def score(network: Small, held_out: list[list[Tensor]]) -> tuple[float, float]:
    """Nats per point, for the first token and for the second."""
    ones, twos, points = zip(*(losses(network, b) for b in held_out), strict=True)
    return float(sum(ones) / sum(points)), float(sum(twos) / sum(points))


def main() -> None:
    torch.set_num_threads(1)
    train, held = words(sys.argv[1] if len(sys.argv) > 1 else "unipen")
    every = {id(s): row for s, row in zip(
        train, TOKENS.encode_all([s.ink for s in train]), strict=True)}  # fmt: skip
    held_out = [
        TOKENS.encode_all([s.ink for s in batch])
        for batch in LengthBuckets(held, POINTS).in_order()
    ]
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(r["way"], r["order"], r["updates"], r["seed"]) for r in rows}
    for seed in SEEDS:
        for way, order, updates in ARMS:
            if (way, order, updates, seed) in known:
                continue
            torch.manual_seed(seed)
            network = Small(way, order)
            optimiser = torch.optim.AdamW(network.parameters(), RATE)
            drawn, begin = batches(train, seed), time.process_time()
            for update in range(updates):
                part = min(1.0, (update + 1) / WARM, 1.5 * (1 - update / updates))
                optimiser.param_groups[0]["lr"] = RATE * part
                one, two, points = losses(network, [every[id(s)] for s in next(drawn)])
                optimiser.zero_grad()
                ((one + two) / points).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
            seconds = time.process_time() - begin
            found = score(network, held_out)
            rows.append({
                "way": way, "order": order, "updates": updates, "seed": seed,
                "first": round(found[0], 4), "second": round(found[1], 4),
                "weights": sum(p.numel() for p in network.parameters()),
                "seconds": round(seconds),
                "train_words": len(train), "words": len(held),
                "points": sum(len(s.ink) - 1 for s in held),
            })  # fmt: skip
            FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
