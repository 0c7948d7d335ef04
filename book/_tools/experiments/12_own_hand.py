"""Does the window, or the cost of the ink, tell whether a prime took?

The record behind the limits in handwriting_lib/widgets/static/priming.js, written to
book/data/12_own_hand.json. unipen-256 reads one line of 12 to 35 characters by each of
the writers whom it has not met, in five ways:

right    with their text
half     with the first half of their text, so that the ink says more
longer   with " and so on" after their text, so that the ink says less
other    with the text of another line
shaken   with their text, each reading of the pen moved by noise of deviation .05, .1 or
         .2 letter-body heights along each axis

Each row has where the window is after the last point (`at`, of `characters`), the
weight of all characters there, and the nats per point of the ink, in letter-body
heights. What the corpus calls the text of a line is believed.

    python book/_tools/experiments/12_own_hand.py [UNIPEN]

takes about a minute of one core.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "12_own_hand.json"
MODEL = "unipen-256"
NOISE = (0.05, 0.1, 0.2)
model = hw.load_pretrained(MODEL)


def held_out(source: str) -> list[hw.Sample]:
    """The lines, in letter-body heights of each."""
    samples = hw.load_corpus(source).samples
    lines = [
        s
        for s in hw.split_by_writer(samples).validation
        if s.kind == "line" and 12 <= len(s.text) <= 35
    ]
    random.Random(3).shuffle(lines)
    one_each = {s.writer: s for s in lines}
    return [hw.scale_by_writer([s])[0] for s in one_each.values()]


@torch.inference_mode()
def read(sample: hw.Sample, text: str) -> dict:
    """What `make_style` would see of a line with this text."""
    ink = model.normalisation.apply(model.thinning(sample.ink)[0])
    ink[0, :2], ink[-1, 2] = 0, 1
    slots, mask = hw.pad_texts([text.rstrip() + " "])
    mask[:, -1] = False
    out = model.network(ink[None, :-1], slots, mask)
    nats = -out.mixture().log_prob(ink[None, 1:]).mean()
    phi = out.phi[0, -1]
    return {
        "at": int(phi.argmax()) + 1,
        "characters": len(text.rstrip()),
        "weight": round(float(phi.sum()), 3),
        "nats": round(float(nats) + model.normalisation.log_jacobian, 3),
    }


def shaken(sample: hw.Sample, noise: float) -> hw.Sample:
    """The same line by a pen that shook."""
    places = hw.offsets_to_positions(sample.ink)
    places[:, :2] += noise * torch.randn(len(places), 2)
    ink = hw.positions_to_offsets(places)
    return hw.scale_by_writer([sample.replace(ink=ink, units="shaken")])[0]


def main(source: str = "unipen") -> None:
    torch.manual_seed(1)
    lines = held_out(source)
    rows: dict[str, list[dict]] = {}
    for s, other in zip(lines, lines[1:] + lines[:1], strict=True):
        ways = {
            "right": (s, s.text),
            "half": (s, s.text[: len(s.text) // 2].rstrip()),
            "longer": (s, s.text.rstrip() + " and so on"),
            "other": (s, other.text),
            **{f"shaken {noise}": (shaken(s, noise), s.text) for noise in NOISE},
        }
        for name, way in ways.items():
            rows.setdefault(name, []).append(read(*way))
    for name, found in rows.items():
        nats = sorted(row["nats"] for row in found)
        dark = sum(row["weight"] < 0.1 for row in found)
        short = sum(row["at"] < row["characters"] - 2 for row in found)
        unlikely = sum(n > 1.5 for n in nats)
        print(
            f"{name:12} nats {nats[0]:.1f} to {nats[-1]:.1f}, median "
            f"{nats[len(nats) // 2]:.1f}; of {len(found)} too far {dark}, "
            f"short {short}, unlikely {unlikely}"
        )
    record = {"model": MODEL, "lines": len(lines), "rows": rows}
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(f"unipen:{sys.argv[1]}" if len(sys.argv) > 1 else "unipen")
