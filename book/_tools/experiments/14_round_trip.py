"""Does every word and every line of UNIPEN come back from its tokens?

The record behind chapter 14, written to book/data/14_round_trip.json: how many words
and lines were encoded and decoded, how many tokens that made, whether the pen came back
in every row, and how far decoded points lie from the true ones, in letter-body heights.
Nothing is filtered but what cannot be scaled; ink is thinned as for training.

    python book/_tools/experiments/14_round_trip.py unipen:PATH

takes some 4 minutes of one core.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "14_round_trip.json"
TOGETHER = 256


def main() -> None:
    torch.set_num_threads(1)
    tokens, thinning = hw.StrokeTokens(), hw.Thinning()
    source = sys.argv[1] if len(sys.argv) > 1 else "unipen"
    corpus = hw.load_corpus(source, kinds=("word", "line"))
    kinds = {kind: sum(s.kind == kind for s in corpus.samples)
             for kind in ("word", "line")}  # fmt: skip
    inks = [thinning(s.ink)[0] for s in hw.scale_by_writer(corpus.samples)]
    inks.sort(key=len)
    points, worst, pens, far = 0, 0.0, 0, 0
    total = torch.zeros((), dtype=torch.double)
    used = torch.zeros(tokens.angles, 2 * tokens.radii, dtype=torch.bool)
    for first in range(0, len(inks), TOGETHER):
        batch = inks[first : first + TOGETHER]
        for ink, pairs in zip(batch, tokens.encode_all(batch), strict=True):
            used[pairs[:, 0], pairs[:, 1]] = True
            back = tokens.decode(pairs)  # an unknown token would be an error
            away = hw.offsets_to_positions(back) - hw.offsets_to_positions(ink)
            distance = away[:, :2].norm(dim=1)
            total += distance.double().sum()
            worst = max(worst, float(distance.max()))
            far += int((distance > 0.5).sum())
            pens += int((back[:, 2] != ink[:, 2]).sum())
            points += len(ink)
    row = {
        "words": kinds["word"], "lines": kinds["line"], "points": points,
        "wrong_pens": pens, "mean": round(float(total / points), 4),
        "worst": round(worst, 2), "farther_than_half": far,
        "pairs_used": int(used.sum()), "pairs": used.numel(),
    }  # fmt: skip
    FILE.write_text(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
