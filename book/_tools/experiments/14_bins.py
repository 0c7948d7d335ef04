"""What does it cost to round ink to bins, and how many bins are enough?

The record behind chapter 14, written to book/data/14_bins.json. Words of UNIPEN's
held-out writers, of 4 characters or more, are encoded with several numbers of angles
and radii and decoded again. Each row has

position   mean distance between the decoded and the true position of a point, in
           letter-body heights, when each offset is measured from where the tokens have
           led (`StrokeTokens`);
alone      the same when each offset is rounded on its own, so that errors add up;
edge       the same as `position` when angles are decoded at the edge of their bin;
misread    characters misread by PP-OCRv5, over characters, of ink that was decoded as
           in `position`, and of the same ink as `alone`; the row without bins is the
           ink itself.

    python book/_tools/experiments/14_bins.py unipen:PATH

takes some 2 minutes of one core. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor

import handwriting_lib as hw
from handwriting_lib.tokens.strokes import StrokeTokens

FILE = Path(__file__).resolve().parents[2] / "data" / "14_bins.json"
BINS = (16, 8), (24, 12), (32, 16), (48, 24), (64, 32), (96, 40), (128, 64), (220, 151)
WORDS = 200


def words(source: str) -> list[hw.Sample]:
    """A fixed choice of words by held-out writers."""
    corpus = hw.load_corpus(source, kinds=("word",))
    held = hw.split_by_writer(corpus.samples).validation
    kept = hw.prepare(hw.Corpus(corpus.name, held)).samples
    long = sorted(
        (s for s in kept if len(s.text) >= 4 and s.text.isalpha()),
        key=lambda s: s.source,
    )
    return long[:: max(1, len(long) // WORDS)][:WORDS]


def alone(tokens: StrokeTokens, ink: Tensor) -> Tensor:
    """Each offset rounded on its own."""
    step = torch.stack([torch.zeros_like(ink), ink], 1)  # (T, 2, 3)
    pairs = torch.stack([pair[1] for pair in tokens.encode_all(list(step))])
    offset = tokens.offsets()[pairs[:, 0], pairs[:, 1] // 2]
    offset[0] = 0
    return torch.cat([offset, ink[:, 2:]], 1)


def at_edges(tokens: StrokeTokens, ink: Tensor) -> Tensor:
    """Ink whose angles are half a bin too small."""
    turn = torch.tensor(-torch.pi / tokens.angles)
    x, y, end = ink.unbind(1)
    return torch.stack(
        [x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos(), end], 1
    )


def away(inks: list[Tensor], true: list[Tensor]) -> float:
    """Mean distance of the points, in letter-body heights."""
    return float(
        torch.cat(
            [
                (hw.offsets_to_positions(a) - hw.offsets_to_positions(b))[:, :2].norm(
                    dim=1
                )
                for a, b in zip(inks, true, strict=True)
            ]
        ).mean()
    )


def misread(recogniser: hw.Recogniser, inks: list[Tensor], texts: list[str]) -> float:
    readings = hw.read_lines(inks, texts, recogniser)
    return sum(r.errors for r in readings) / sum(map(len, texts))


def main() -> None:
    torch.set_num_threads(1)
    chosen = words(sys.argv[1] if len(sys.argv) > 1 else "unipen")
    true, texts = [s.ink for s in chosen], [s.text for s in chosen]
    recogniser = hw.load_recogniser()
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["angles"], row["radii"]) for row in rows}

    def keep(row: dict[str, object]) -> None:
        rows.append(row)
        rows.sort(key=lambda r: r["angles"])
        FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")

    if (0, 0) not in known:
        keep({"angles": 0, "radii": 0, "words": len(true),
              "points": sum(map(len, true)),
              "misread": round(misread(recogniser, true, texts), 4)})  # fmt: skip
    for angles, radii in BINS:
        if (angles, radii) in known:
            continue
        tokens = StrokeTokens(angles, radii)
        back = [tokens.decode(pairs) for pairs in tokens.encode_all(true)]
        one = [alone(tokens, ink) for ink in true]
        edge = [at_edges(tokens, ink) for ink in back]
        keep(
            {
                "angles": angles,
                "radii": radii,
                "position": round(away(back, true), 4),
                "alone": round(away(one, true), 4),
                "edge": round(away(edge, true), 4),
                "misread": round(misread(recogniser, back, texts), 4),
                "misread_alone": round(misread(recogniser, one, texts), 4),
            }
        )


if __name__ == "__main__":
    main()
