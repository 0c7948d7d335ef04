"""Chapter 11: variety over several texts, halves of a bias, and a fitted bias.

    python book/_tools/experiments/11_sampling.py variety
    python book/_tools/experiments/11_sampling.py parts --corpus unipen:PATH
    python book/_tools/experiments/11_sampling.py fit --corpus unipen:PATH

Each part takes some two minutes of one core and writes its share of
`book/data/11_sampling.json`. All of them use `unipen-256`, which was trained on UNIPEN
alone.

variety  what the chapter's cells measure for one text, for three texts and seeds more
parts    what PP-OCRv5 misreads of 100 held-out texts if a bias of 2 sharpens only the
         deviations or only the weights, and if a temperature of 1/2 leaves the pen
         alone or changes nothing else; every text is drawn once, without redraws
fit      the bias that fits ink which the network did not write: four synthetic
         corpora, and three times thirty lines by held-out writers of UNIPEN
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.nn.utils.rnn import pad_sequence

import handwriting_lib as hw
from handwriting_lib.evaluation.legibility import load_recogniser, read_lines
from handwriting_lib.evaluation.measures import legibility, speed_variation
from handwriting_lib.evaluation.report import choose_lines, held_out_lines
from handwriting_lib.parts.mixture import draw_noise
from handwriting_lib.writing.lines import line_generator
from handwriting_lib.writing.sampling import check_line, length_bound

FILE = Path(__file__).parents[2] / "data" / "11_sampling.json"
MODEL = "unipen-256"
TEXTS = 100
AFTER_THE_TEXT = 40  # points after which a stroke is cut, as the library does it


def sharpened(
    raw: Tensor,
    *,
    sigma: float | Tensor = 0.0,
    pi: float | Tensor = 0.0,
    temperature: float = 1.0,
    pen: float = 1.0,
) -> hw.StrokeMixture:
    """A density whose deviations, weights and pen are sharpened separately.

    Args:
        raw: `(..., 6M + 1)` raw output of the network.
        sigma: bias of the deviations.
        pi: bias of the weights.
        temperature: temperature of the deviations and the weights.
        pen: temperature of the pen.
    """
    plain = hw.StrokeMixture.from_output(raw)
    mixtures = (raw.shape[-1] - 1) // 6
    root = 0.5 * torch.tensor(temperature).log()
    weights = raw[..., 1 : mixtures + 1] * (1 + pi) / temperature
    return plain.replace(
        end_logit=raw[..., 0] / pen,
        log_pi=log_softmax(weights, -1),
        log_sigma=plain.log_sigma - sigma + root,
    )


# --- variety ------------------------------------------------------------------------


def letters(line: hw.Line, points: int = 16) -> Tensor:
    """The ink of each letter about its centre, (letters, points, 2)."""
    where = hw.offsets_to_positions(line.ink)[:, :2]
    at, shapes = line.phi.argmax(1), []
    for u, character in enumerate(line.text):
        if character != " ":
            own = where[at == u]
            pick = torch.linspace(0, len(own) - 1, points).round().long()
            shapes.append(own[pick] - own.mean(0))
    return torch.stack(shapes)


def apart(lines: list[hw.Line], move: int = 0) -> float:
    """Mean distance of letters over all pairs of lines, one of them moved on."""
    shapes = [letters(line) for line in lines]
    moved = [shape.roll(move, 0) for shape in shapes]
    pairs = [
        (a - b).norm(dim=-1).mean().item()
        for i, a in enumerate(shapes)
        for b in moved[:i]
    ]
    return sum(pairs) / len(pairs)


def variety(model: hw.Model) -> list[dict[str, Any]]:
    """The study of the chapter for other texts and seeds."""
    settings = [{"bias": bias} for bias in (0.0, 0.5, 1.0, 2.0, 5.0)]
    settings += [{"bias": 0.0, "temperature": T} for T in (0.25, 0.5, 1.5, 2.0)]
    found = []
    for text, seed in (
        ("no two lines alike", 7),
        ("the pen lifts and lands", 8),
        ("a machine that writes", 9),
    ):
        rows = []
        for how in settings:
            lines = hw.write(text, model, style="any", samples=20, seed=seed, **how)
            x = [hw.offsets_to_positions(line.ink)[:, 0] for line in lines]
            lengths = torch.stack([one.max() - one.min() for one in x])
            row = {
                "bias": how["bias"],
                "temperature": how.get("temperature", 1.0),
                "deviation_of_length": lengths.std().item(),
                "same_over_different": apart(lines) / apart(lines, 1),
                "steps": sum(speed_variation(line.ink) for line in lines) / 20,
                "lifts": sum(line.ink[:, 2].sum().item() for line in lines) / 20,
                "drawn_again": sum(line.draws > 1 for line in lines),
            }
            print(text, row, flush=True)
            rows.append(row)
        found.append({"text": text, "seed": seed, "lines": 20, "rows": rows})
    return found


# --- parts --------------------------------------------------------------------------


@torch.no_grad()
def write(
    model: hw.Model, texts: list[str], seed: int = 1, **how: float
) -> list[tuple[Tensor, str]]:
    """Ink for each text, and what is wrong with it, by the chapter's loop."""
    limits = torch.tensor([length_bound(text) for text in texts])
    noise = pad_sequence(
        [
            draw_noise((n,), line_generator(seed, i, 1), torch.zeros(1))
            for i, n in enumerate(limits.tolist())
        ]
    )  # (T, B, 4)
    slots, mask = hw.pad_texts(texts)
    ends = torch.tensor([len(text) for text in texts])
    state = model.network.initial_state(len(texts))
    point = torch.zeros(len(texts), 3)
    inks: list[list[Tensor]] = [[] for _ in texts]
    phis: list[list[Tensor]] = [[] for _ in texts]
    fired = torch.full_like(limits, len(noise))
    rows = torch.arange(len(texts))  # the lines that are still being written
    for t in range(len(noise)):
        y, state, phi = model.network.step(point, state, slots[rows], mask[rows])
        for row, read, weights in zip(rows.tolist(), point, phi, strict=True):
            inks[row].append(read)
            phis[row].append(weights)
        now = torch.where(phi.argmax(1) == ends[rows], t, len(noise))
        fired[rows] = torch.minimum(fired[rows], now)
        since = t - fired[rows]
        lifted = (point[:, 2] > 0.5) & torch.tensor(t > 0)
        over = (since >= 0) & (lifted | (since >= AFTER_THE_TEXT))
        going = (~(over | (t + 1 >= limits[rows]))).nonzero()[:, 0]
        if not len(going):
            break
        rows, y = rows[going], y[going]
        state = state._replace(
            layers=tuple(type(s)(s.h[going], s.c[going]) for s in state.layers),
            w=state.w[going],
            kappa=state.kappa[going],
        )
        point = sharpened(y, **how).sample(noise=noise[t, rows])
    lines = []
    for text, points, weights in zip(texts, inks, phis, strict=True):
        ink = model.normalisation.invert(torch.stack(points))
        ink[0, :2], ink[-1, 2] = 0, 1
        phi = torch.stack(weights)[:, : len(text) + 1]
        lines.append((ink, check_line(phi, text)))
    return lines


def parts(model: hw.Model, held: list[hw.Sample]) -> dict[str, Any]:
    """Misread characters for each part of a bias and of a temperature."""
    chosen = choose_lines(held)[:TEXTS]
    texts = [sample.text.strip() for sample in chosen]
    recogniser = load_recogniser()

    def measured(inks: list[Tensor]) -> dict[str, float]:
        read = legibility(read_lines(inks, texts, recogniser))
        return {**read.mean._asdict(), "unreadable": read.unreadable}

    human = measured([sample.ink for sample in chosen])
    rows = []
    for name, how in {
        "neither": {},
        "bias 2, sigma only": {"sigma": 2.0},
        "bias 2, pi only": {"pi": 2.0},
        "bias 2, both": {"sigma": 2.0, "pi": 2.0},
        "temperature 1/2": {"temperature": 0.5, "pen": 0.5},
        "temperature 1/2, not the pen": {"temperature": 0.5},
        "temperature 1/2, the pen only": {"pen": 0.5},
    }.items():
        lines = write(model, texts, **how)
        complete = sum(not problem for _, problem in lines)
        row = {"name": name, **measured([ink for ink, _ in lines])}
        rows.append({**row, "complete": complete})
        print(rows[-1], flush=True)
    return {"texts": len(texts), "human": human, "rows": rows}


# --- fit ----------------------------------------------------------------------------


def fit(model: hw.Model, samples: list[hw.Sample], updates: int = 80) -> float:
    """The bias at which the network finds ink most probable."""
    batch = hw.make_batch(samples, model.normalisation)
    with torch.no_grad():
        read = model.network(batch.ink, batch.text, batch.text_mask).output
    mask = batch.mask[:, 1:]
    raw, came = read[:, :-1][mask], batch.ink[:, 1:][mask]
    b = torch.tensor(0.25, requires_grad=True)
    adam = torch.optim.Adam([b], lr=0.1)
    for _ in range(updates):
        loss = -sharpened(raw, sigma=b, pi=b).log_prob(came).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return b.item()


def fits(model: hw.Model, held: list[hw.Sample]) -> dict[str, list[float]]:
    """Fitted biases of synthetic ink and of held-out people's."""
    found: dict[str, list[float]] = {"synthetic": [], "people": []}
    for seed in (5, 6, 7, 8):
        corpus = hw.load_corpus("synthetic", samples=24, writers=8, seed=seed)
        limits = hw.Limits(max_points=700)
        samples = hw.prepare(corpus, model.thinning, limits=limits).samples
        found["synthetic"].append(fit(model, samples))
    lines = [sample for sample in choose_lines(held) if len(sample.ink) <= 700]
    for first in (0, 30, 60):
        found["people"].append(fit(model, lines[first : first + 30]))
    print(found)
    return found


def main() -> None:
    """Run one part, and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("variety", "parts", "fit"))
    parser.add_argument("--corpus", help="unipen:PATH, for parts and fit")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = hw.load_pretrained(MODEL)
    if given.part == "variety":
        found: Any = variety(model)
    else:
        held = held_out_lines(model, hw.load_corpus(given.corpus)).lines
        found = parts(model, held) if given.part == "parts" else fits(model, held)
    whole = json.loads(FILE.read_text()) if FILE.exists() else {}
    whole = {"model": MODEL, **whole, given.part: found}
    FILE.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
