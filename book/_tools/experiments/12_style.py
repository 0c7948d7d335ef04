"""Chapter 12: what a prime carries over, what training adds, and what copies lose.

    python book/_tools/experiments/12_style.py took
    python book/_tools/experiments/12_style.py named
    python book/_tools/experiments/12_style.py wrong
    python book/_tools/experiments/12_style.py copies
    python book/_tools/experiments/12_style.py people --corpus unipen:PATH
    python book/_tools/experiments/12_style.py train --corpus unipen:PATH

Each part takes from half a minute to three minutes of one core and writes its share of
`book/data/12_style.json`. All of them use `unipen-256`, which was trained on UNIPEN
alone: no synthetic writer is known to it, and the people are its held-out writers.

took    the measures of the chapter for 24 synthetic writers and three texts
named   how far the named hands are apart at three biases, and one hand from itself
wrong   primes that are too short, or whose text or unit is wrong, for six writers
copies  each line primed with the line before it, for twelve writers and two biases
people  nats per point of four to six lines by each of four people and six synthetic
        writers, after none to three of their other lines, and after a line of each
        other writer of the same kind
train   the same lines of four writers of each kind, during fifteen updates on eight
        other lines of theirs
"""

from __future__ import annotations

import argparse
import copy
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import handwriting_lib as hw
from handwriting_lib.evaluation.measures import speed_variation
from handwriting_lib.evaluation.report import held_out_lines

FILE = Path(__file__).parents[2] / "data" / "12_style.json"
MODEL = "unipen-256"
PRIME = "a quick brown fox jumps by"
TEXT = "no two lines alike"
MEASURES = ("lean", "width", "lifts", "points", "unevenness")
UPDATES, RATE, EVERY = 15, 5e-4, 5
JOINED = (7, 12, 13, 16, 18, 20)  # synthetic writers in the two joined fonts


def lines_of(seed: int, texts: list[str]) -> list[hw.Sample]:
    """Lines of one synthetic writer; another seed is another writer."""
    how = {"samples": len(texts), "texts": texts, "writers": 1}
    return hw.load_corpus("synthetic", seed=seed, **how).samples


def lean(ink: Tensor) -> float:
    """x gained for each unit of y, where the pen goes up or down on the paper."""
    dx, dy = ink[:, 0], ink[:, 1]
    tall = (dy.abs() > dx.abs()) & (dy.abs() > 0.1)
    tall[1:] &= ink[:-1, 2] < 0.5
    return ((dx * dy.sign())[tall].sum() / dy.abs()[tall].sum()).item()


def measures(ink: Tensor, text: str) -> tuple[float, ...]:
    """Lean, and width, lifts and points per character, and unevenness."""
    x = hw.offsets_to_positions(ink)[:, 0]
    width = (x.max() - x.min()).item() / len(text)
    lifts = ink[:, 2].sum().item() / len(text)
    return lean(ink), width, lifts, len(ink) / len(text), speed_variation(ink)


def prepared(model: hw.Model, sample: hw.Sample) -> Tensor:
    """Ink as the network reads it, in letter-body heights, `(T, 3)`."""
    return model.thinning(hw.scale_by_writer([sample])[0].ink)[0]


def rounded(values: Any) -> Any:
    """Lists of numbers with four digits after the point."""
    if isinstance(values, float):
        return round(values, 4)
    return [rounded(value) for value in values]


# --- took ---------------------------------------------------------------------------


def took(model: hw.Model) -> dict[str, Any]:
    """The five measures of primes and of four lines each, for three texts."""
    primes, rows = [], []
    for seed in range(100, 124):
        (sample,) = lines_of(seed, [PRIME])
        hand = hw.make_style(model, sample)
        primes.append(measures(prepared(model, sample), PRIME))
        texts = [TEXT, "the pen lifts and lands", "a machine that writes"]
        lines = hw.write(texts, model, style=hand, samples=4, seed=2)
        rows.append([measures(line.ink, line.text) for line in lines])
    before = torch.tensor(primes)  # (hands, 5)
    after = torch.tensor(rows).unflatten(1, (3, 4))  # (hands, texts, 4, 5)
    found: dict[str, Any] = {"hands": len(primes), "lines": 4}
    for k, name in enumerate(MEASURES):
        per_text = []
        for t in range(3):
            both = torch.stack([before[:, k], after[:, t, :, k].mean(1)])
            between = both[1].std().item()
            within = after[:, t, :, k].var(1).mean().sqrt().item()
            per_text.append([both.corrcoef()[0, 1].item(), between, within])
        found[name] = rounded(per_text)
        print(name, found[name], flush=True)
    return found


# --- named --------------------------------------------------------------------------


def letters(line: hw.Line) -> list[Tensor]:
    """The ink of each character about its centre."""
    where = hw.offsets_to_positions(line.ink)[:, :2]
    at = line.phi.argmax(1)
    own = [where[at == u] for u in range(len(line.text))]
    return [w - w.mean(0) for w in own if len(w)]


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Mean distance of the points of two lines, letter by letter."""
    total = 0.0
    for p, q in zip(a, b, strict=False):
        gaps = torch.cdist(p, q)
        total += (gaps.amin(0).mean() + gaps.amin(1).mean()).item() / 2
    return total / min(len(a), len(b))


def named(model: hw.Model) -> list[dict[str, Any]]:
    """Distances of lines in one named hand, in two, and in any."""
    rows = []
    for bias in (0.5, 1.25, 3.0):
        how = {"samples": 4, "seed": 1, "bias": bias}
        hands = [hw.write(TEXT, model, style=n, **how) for n in hw.style_names(model)]
        shapes = [letters(line) for lines in hands for line in lines]
        hand = torch.arange(len(shapes)) // 4
        apart = torch.tensor([[distance(a, b) for b in shapes] for a in shapes])
        same = hand[:, None] == hand
        own = same & ~torch.eye(len(shapes), dtype=torch.bool)
        how["samples"] = 20
        free = [letters(x) for x in hw.write(TEXT, model, style="any", **how)]
        pairs = [distance(a, b) for i, a in enumerate(free) for b in free[:i]]
        row = {
            "bias": bias,
            "one hand": apart[own].mean().item(),
            "two hands": apart[~same].mean().item(),
            "any hand": sum(pairs) / len(pairs),
        }
        rows.append(row)
        print(row, flush=True)
    return rows


# --- wrong --------------------------------------------------------------------------


def wrong(model: hw.Model) -> dict[str, Any]:
    """Eight lines of six writers after primes that are short or mislabelled."""
    how = {"samples": 8, "seed": 2}
    short: dict[str, list[list[float]]] = defaultdict(list)
    cases: dict[str, list[int]] = defaultdict(list)
    for seed in JOINED:
        (whole,) = hw.scale_by_writer(lines_of(seed, [PRIME]))
        assert whole.character_of_point is not None
        where = hw.offsets_to_positions(whole.ink)
        for words in (1, 2, 3, 6):
            text = " ".join(PRIME.split()[:words])
            ink = hw.positions_to_offsets(where[whole.character_of_point < len(text)])
            ink[-1, 2] = 1
            part = whole.replace(text=text, ink=ink, character_of_point=None)
            hand = hw.make_style(model, part)
            lines = hw.write(TEXT, model, style=hand, **how)
            rows = torch.tensor([measures(line.ink, TEXT)[:3] for line in lines])
            short[text].append(rows.std(0).tolist())
        texts = {
            "right": PRIME,
            "one letter wrong": "a quick brown fix jumps by",
            "one letter missing": "a quick brown fox jmps by",
            "too long": PRIME + " and by",
            "too short": "a quick brown fox",
            "another": "something else entirely",
        }
        primes = {name: whole.replace(text=text) for name, text in texts.items()}
        for factor in (0.1, 0.5, 2.0, 5.0):
            scaled = whole.ink * torch.tensor([factor, factor, 1.0])
            primes[f"times {factor:g}"] = whole.replace(ink=scaled)
        for name, prime in primes.items():
            hand = hw.make_style(model, prime)
            lines = hw.write(TEXT, model, style=hand, redraws=0, **how)
            cases[name].append(sum(line.complete for line in lines))
        print(seed, {name: row[-1] for name, row in cases.items()}, flush=True)
    spread = {text: torch.tensor(rows).mean(0) for text, rows in short.items()}
    for text, row in spread.items():
        print(text, row)
    return {
        "writers": list(JOINED),
        "lines": 8,
        "deviation of lean, width and lifts": {
            text: rounded(row.tolist()) for text, row in spread.items()
        },
        "complete of 8, per writer": dict(cases),
    }


# --- copies -------------------------------------------------------------------------


def copies(model: hw.Model, generations: int = 8) -> dict[str, Any]:
    """Measures of chains in which every line is primed with the line before."""
    as_drawn = model.replace(thinning=hw.Thinning(1e-6, 0.0))
    found: dict[str, Any] = {"first writer": 40, "writers": 12}
    for bias in (0.5, 1.25):
        chains = []
        for seed in range(40, 52):
            (sample,) = lines_of(seed, [PRIME])
            hand = hw.make_style(model, sample)
            chain = [measures(prepared(model, sample), PRIME)]
            for generation in range(generations):
                how = {"style": hand, "bias": bias, "seed": 100 * seed + generation}
                line = hw.write(PRIME, model, **how)[0]
                chain.append(measures(line.ink, PRIME))
                kept = hw.Sample(
                    PRIME, line.ink, "nobody", "written", units="letter-body heights"
                )
                hand = hw.make_style(as_drawn, kept)
            chains.append(chain)
            print(bias, seed, [f"{row[0]:.2f}" for row in chain], flush=True)
        found[f"bias {bias:g}"] = rounded(chains)  # (writers, generations + 1, 5)
    return found


# --- people and train ---------------------------------------------------------------


def behind(prime: hw.Sample, line: hw.Sample, gap: float = 1.0) -> hw.Sample:
    """The line's ink put behind the prime's, on one baseline, as in the chapter."""
    a, b = (hw.offsets_to_positions(s.ink) for s in (prime, line))
    shift = a[:, 0].max() + gap - b[:, 0].min()
    rise = a[:, 1].quantile(0.2) - b[:, 1].quantile(0.2)
    b = b + torch.stack([shift, rise, torch.tensor(0.0)])
    return prime.replace(
        text=f"{prime.text} {line.text}",
        ink=hw.positions_to_offsets(torch.cat([a, b])),
        character_of_point=None,
    )


@torch.no_grad()
def nats(
    model: hw.Model,
    network: torch.nn.Module,
    lines: list[hw.Sample],
    prime: hw.Sample | None = None,
) -> list[float]:
    """Negative log-density per point of each line, in normalised units."""
    first = 0 if prime is None else len(prime.ink)
    if prime is not None:
        lines = [behind(prime, line) for line in lines]
    batch = hw.make_batch(lines, model.normalisation)
    out = network(batch.ink[:, :-1], batch.text, batch.text_mask)
    log_prob = out.mixture().log_prob(batch.ink[:, 1:])
    mask = batch.mask[:, 1:].clone()
    mask[:, :first] = False
    return (-(log_prob * mask).sum(1) / mask.sum(1)).tolist()


def mean(values: list[float]) -> float:
    """The mean of a list."""
    return sum(values) / len(values)


def writers_of(model: hw.Model, corpus: str) -> dict[str, list[list[hw.Sample]]]:
    """Up to fourteen lines of each writer: eight to train on, the others held out."""
    by: dict[str, list[hw.Sample]] = defaultdict(list)
    for s in held_out_lines(model, hw.load_corpus(corpus)).lines:
        texts = {other.text for other in by[s.writer]}
        if 12 <= len(s.text) <= 30 and len(s.ink) <= 500 and s.text not in texts:
            by[s.writer].append(s)
    people = [lines[:14] for _, lines in sorted(by.items()) if len(lines) >= 14]
    known = hw.load_corpus("synthetic", samples=200, kinds=("line",), seed=7)
    short = [s.text for s in known.samples if 12 <= len(s.text) <= 30][:14]
    made = []
    for seed in range(60, 66):
        corpus_of_one = hw.Corpus("synthetic", lines_of(seed, short))
        made.append(hw.prepare(corpus_of_one, model.thinning).samples)
    return {"people": people, "synthetic": made}


def people(model: hw.Model, corpus: str) -> dict[str, Any]:
    """How much a prime is worth: of the writer, of others, and of several lines."""
    found: dict[str, Any] = {}
    for kind, writers in writers_of(model, corpus).items():
        rows, table = [], []
        for lines in writers:
            train, held = lines[:8], lines[8:]
            prime, row = None, []
            for count in range(4):
                row.append(mean(nats(model, model.network, held, prime)))
                prime = train[0] if prime is None else behind(prime, train[count])
            rows.append(row)
        every = [line for lines in writers for line in lines[8:]]
        owner = torch.tensor([i for i, lines in enumerate(writers) for _ in lines[8:]])
        for lines in writers:
            table.append(nats(model, model.network, every, lines[0]))
        primed = torch.tensor(table)  # (primes, lines)
        own = primed.argmin(0) == owner
        by_writer = torch.stack(
            [primed[:, owner == i].mean(1) for i in range(len(writers))], 1
        )  # (primes, writers of the lines)
        found[kind] = {
            "writers": len(writers),
            "after 0, 1, 2 and 3 own lines": rounded(rows),
            "after a line of each writer": rounded(by_writer.tolist()),
            "own prime is best": [int(own.sum()), own.numel()],
        }
        print(kind, found[kind], flush=True)
    return found


def train(model: hw.Model, corpus: str) -> dict[str, Any]:
    """Nats of held-out lines, and of strangers, during training on eight lines."""
    kinds = writers_of(model, corpus)
    found: dict[str, Any] = {"updates": UPDATES, "rate": RATE, "every": EVERY}
    for kind, writers in kinds.items():
        found[kind] = []
        for i, lines in enumerate(writers[:4]):
            others = [w[8] for w in writers if w is not lines]
            strangers = {"of its kind": others}
            if kind == "synthetic":
                strangers["people"] = [w[8] for w in kinds["people"]]
            network = copy.deepcopy(model.network)
            adam = torch.optim.Adam(network.parameters(), lr=RATE)
            generator = torch.Generator().manual_seed(i)
            row: dict[str, list[float]] = defaultdict(list)
            for step in range(UPDATES + 1):
                if step % EVERY == 0:
                    row["held out"].append(mean(nats(model, network, lines[8:])))
                    for name, some in strangers.items():
                        row[name].append(mean(nats(model, network, some)))
                if step == UPDATES:
                    break
                drawn = [
                    s.replace(ink=hw.augment(s.ink, hw.Augmentation(), generator))
                    for s in lines[:8]
                ]
                adam.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / UPDATES)
                adam.zero_grad()
                batch = hw.make_batch(drawn, model.normalisation)
                hw.batch_loss(network, batch).backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                adam.step()
            after = nats(model, network, lines[8:], lines[0])
            row["trained and primed"] = [mean(after)]
            found[kind].append({name: rounded(values) for name, values in row.items()})
            print(kind, found[kind][-1], flush=True)
    return found


def main() -> None:
    """Run one part, and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    alone = {"took": took, "named": named, "wrong": wrong, "copies": copies}
    real = {"people": people, "train": train}
    parser.add_argument("part", choices=(*alone, *real))
    parser.add_argument("--corpus", help="unipen:PATH, for people and train")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = hw.load_pretrained(MODEL)
    found: Any
    if given.part in alone:
        found = alone[given.part](model)
    else:
        found = real[given.part](model, given.corpus)
    whole = json.loads(FILE.read_text()) if FILE.exists() else {}
    whole = {"model": MODEL, **whole, given.part: found}
    FILE.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
