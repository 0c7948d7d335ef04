"""Data sets for recognisers: thousands of written lines with their labels.

A set is a folder that `datasets.load_dataset("imagefolder", data_dir=...)` reads.
Its subfolders, the shards, hold a picture per line and `metadata.jsonl` with a row for
each:

    {"file_name": "00000007.png", "text": "by hand", "hand": "birch", "seed": 1,
     "number": 7, "complete": true, "bias": 1.25, "slant": 0.0, "color": "black",
     "paper": "white", "line_width": 0.12, "size": 40.0, "width": 412, "height": 98,
     "words": [{"text": "by", "box": [20.0, 17.6, 101.2, 80.0]}, ...],
     "characters": [{"text": "b", "box": [...]}, ...]}

A box is left, top, right, bottom in pixels of the picture, with the width of the pen.
The ink of a line depends on the seed and on its number alone. So a shard knows from its
own rows what is missing: a run that was killed goes on where it was, and several
processes, which `torchrun` starts, share the shards among them without speaking to one
another. Texts are read one shard at a time and nothing is kept of a line once its row
is written, so memory does not grow with the set. The back matter of the book
(`book/datasets.md`) writes one and looks at it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from ..atomic import write_whole
from ..drawing.layout import BODY_PIXELS, lay_out
from ..drawing.png import to_png
from ..drawing.svg import to_svg
from ..errors import InputError
from ..ink import slant
from .lines import BATCH, Line, TooLongError, Writer, as_written, write_lines
from .words import characters_of, words_of

ABOUT = "dataset.json"  # what a set was written with
ROWS = "metadata.jsonl"  # the name that `datasets` looks for
SHARD = 16 * BATCH
FORMAT = "handwriting_lib.dataset"
# What `vary` chooses from: neat and untidy, pens, papers.
BIASES = (0.6, 1.0, 1.4)
COLORS = ("black", "#1d2433", "#1a2f6c", "#24459c", "#4a4a4a", "#3b2a20", "#7a1f1f")
PAPERS = ("white", "#fdfaf1", "#f6f1e3", "#f4f6f8", "#eef3fb", "#ece6d8")


class DatasetError(InputError, OSError):
    """A data set cannot be written; the message says why, and what to do."""


class Look(NamedTuple):
    """How one line is written and drawn.

    Attributes:
        hand: style, as for `write`, or None for the model's own choice.
        bias: as for `write`.
        slant: shear, x per y.
        color: colour of the ink.
        paper: colour of the background.
        line_width: width of the pen, in letter-body heights.
        size: height of a letter body, in pixels.
    """

    hand: Any = None
    bias: float = 1.25
    slant: float = 0.0
    color: str = "black"
    paper: str = "white"
    line_width: float = 0.12
    size: float = 2 * BODY_PIXELS


@dataclass
class Written:
    """What a run of `write_dataset` has done.

    Attributes:
        folder: folder of the set.
        lines: lines that this run wrote.
        before: lines that were there already.
        incomplete: those of `lines` that were never complete.
        left_out: texts that cannot be written, counted by the reason.
        seconds: time that the run took.
        drawing: seconds of it that drawing pictures and writing files took.
    """

    folder: Path
    lines: int = 0
    before: int = 0
    incomplete: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    drawing: float = 0.0


def write_dataset(
    texts: Iterable[str],
    folder: str | os.PathLike[str],
    writer: Writer,
    *,
    style: Any = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    seed: int = 1,
    redraws: int = 10,
    vary: bool = False,
    hands: Sequence[str] = (),
    svg: bool = False,
    ink: bool = False,
    ascii: bool = False,
    quiet: bool = True,
) -> Written:
    """Write a set with a writer; see `systems.write_dataset` for the arguments.

    Args:
        hands: styles to choose from with `vary`, beside a hand of each line's own.

    Raises:
        DatasetError: the folder holds other files or another set, or a file cannot be
            written.
        ValueError: an argument is out of its range.
    """
    begin = time.monotonic()
    done = Written(Path(folder))
    hand = writer.choose_style(style)
    settings = {
        "format": FORMAT, "version": 1, "model": writer.model.fingerprint(),
        "style": _name(hand), "bias": bias, "temperature": temperature, "seed": seed,
        "redraws": redraws, "vary": vary, "hands": list(hands), "svg": svg, "ink": ink,
        "ascii": ascii,
    }  # fmt: skip
    _open(done.folder, settings)
    rank, size = _own_share()
    plain = Look(hand if hand is not None else "any", bias)
    how: Any = {"temperature": temperature, "seed": seed, "redraws": redraws}
    with tqdm(unit=" lines", disable=quiet or rank > 0, smoothing=0.05) as bar:
        for shard, numbered in _shards(texts):
            if shard % size != rank:
                continue
            place = done.folder / f"{shard:05d}"
            found = _rows_of(place)
            waiting = []
            for number, text in numbered:
                if number in found:
                    done.before += 1
                    continue
                try:
                    written = as_written(text, number + 1, ascii).text
                except InputError as error:
                    reason = _reason(error, text)
                    done.left_out[reason] = done.left_out.get(reason, 0) + 1
                    continue
                look = _look(seed, number, hands) if vary else plain
                if style is not None:
                    look = look._replace(hand=plain.hand)
                waiting.append((number, written, look))
            bar.update(len(numbered) - len(waiting))
            for batch in _batches(waiting):
                first = batch[0][2]
                lines = write_lines(
                    [text for _, text, _ in batch], writer,
                    style=first.hand, bias=first.bias,
                    positions=[number for number, _, _ in batch], **how,
                )  # fmt: skip
                start = time.monotonic()
                jobs = zip(lines, batch, strict=True)
                rows = []
                for line, (number, _, look) in jobs:
                    rows.append(_draw(line, number, look, place, svg))
                    if ink:
                        rows[-1]["strokes"] = line.to_json()["strokes"]
                _append(place, rows)
                done.drawing += time.monotonic() - start
                done.lines += len(lines)
                done.incomplete += sum(not line.complete for line in lines)
                bar.update(len(lines))
            if waiting or found:
                _in_order(place)
    done.seconds = time.monotonic() - begin
    return done


def _own_share() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _shards(texts: Iterable[str]) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Number the texts that are not blank, a shard at a time."""
    numbered: list[tuple[int, str]] = []
    number = 0
    for text in texts:
        if isinstance(text, str) and not text.strip():
            continue
        numbered.append((number, text))
        number += 1
        if number % SHARD == 0:
            yield number // SHARD - 1, numbered
            numbered = []
    if numbered:
        yield number // SHARD, numbered
    if not number:
        raise InputError("there is no text to write: give at least one")


def _batches(
    waiting: Sequence[tuple[int, str, Look]],
) -> Iterator[list[tuple[int, str, Look]]]:
    """Lines that are written together: in one hand and with one bias."""
    groups: dict[tuple[str, float], list[tuple[int, str, Look]]] = {}
    for job in waiting:
        groups.setdefault((_name(job[2].hand), job[2].bias), []).append(job)
    for group in groups.values():
        for first in range(0, len(group), BATCH):
            yield group[first : first + BATCH]


def _look(seed: int, number: int, hands: Sequence[str]) -> Look:
    """The look of a line, which depends on the seed and its number alone."""
    digest = hashlib.sha256(f"look {seed} {number}".encode()).digest()
    draw = random.Random(digest)
    return Look(
        draw.choice([*hands, "any"]),
        draw.choice(BIASES),
        round(draw.uniform(-0.15, 0.3), 3),
        draw.choice(COLORS),
        draw.choice(PAPERS),
        round(draw.uniform(0.08, 0.18), 3),
        round(draw.uniform(24, 56), 1),
    )


def _name(style: Any) -> str:
    """A style by its name."""
    return str(getattr(style, "name", style) or "any")


def _reason(error: InputError, text: Any) -> str:
    """Why a text cannot be written, in words that many texts share."""
    if not isinstance(text, str):
        return "no text"
    if isinstance(error, TooLongError):
        return "a text too long for one line"
    return "a text with characters that the model lacks"


# --- one line -------------------------------------------------------------------------


def _draw(
    line: Line, number: int, look: Look, place: Path, svg: bool
) -> dict[str, Any]:
    """Draw a line into its files and return its row."""
    ink = slant(line.ink, look.slant) if look.slant else line.ink
    drawn: Any = {"unit": 1.0, "line_width": look.line_width}
    scale = look.size / BODY_PIXELS
    name = f"{number:08d}.png"
    colors: Any = {"color": look.color, "background": look.paper}
    sheet = lay_out(ink, **drawn)
    _write(place / name, to_png(sheet, resolution=scale, **colors))
    xy = torch.cat(list(sheet.lines[0])) * scale  # (T, 2)
    side = sheet.width * scale, sheet.height * scale
    boxes = _boxes(line, xy, sheet.line_width * scale / 2, side)
    row = {
        "file_name": name, "text": line.text, "hand": _name(look.hand),
        "seed": line.seed, "number": number, "complete": line.complete,
        **{key: value for key, value in look._asdict().items() if key != "hand"},
        "width": max(1, round(side[0])), "height": max(1, round(side[1])), **boxes,
    }  # fmt: skip
    if svg:
        row["svg"] = name.replace(".png", ".svg")
        picture = to_svg(ink, title=line.text, width=side[0], **colors, **drawn)
        _write(place / row["svg"], picture.encode())
    return row


def _boxes(
    line: Line, xy: Tensor, pen: float, side: tuple[float, float]
) -> dict[str, list[dict[str, Any]]]:
    """The boxes of the words and characters of a line; none if they cannot be told."""
    try:
        words = words_of(line)
        owner = characters_of(line, words)
    except InputError:  # an incomplete line with fewer strokes than words
        return {"words": [], "characters": []}
    low, high = xy - pen, xy + pen
    edge = torch.tensor(side, dtype=xy.dtype)

    def box(rows: Tensor) -> list[float]:
        left, top = low[rows].amin(0).clamp_min(0).tolist()
        right, bottom = torch.minimum(high[rows].amax(0), edge).tolist()
        return [round(value, 1) for value in (left, top, right, bottom)]

    return {
        "words": [{"text": w.text, "box": box(w.points)} for w in words],
        "characters": [
            {"text": line.text[i], "box": box((owner == i).nonzero()[:, 0])}
            for i in owner.unique().tolist()
        ],
    }


# --- the files ------------------------------------------------------------------------


def _open(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder for a set, or go on with the one that is there.

    Raises:
        DatasetError: it holds other files, or a set with other settings.
    """
    about = folder / ABOUT
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not about.exists():
            # another process of this run may be about to write the same
            others = [f for f in folder.iterdir() if not f.name.startswith(f".{ABOUT}")]
            if others and not about.exists():
                raise DatasetError(
                    f"{folder} holds other files, such as {others[0].name}: choose a "
                    "new folder, or one with a set that is to go on"
                )
            write_whole(about, json.dumps(settings, indent=1).encode())
            return
        content = about.read_bytes()
    try:
        known = json.loads(content)
        if known.get("format") != FORMAT:
            raise ValueError("it is of another program")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{about} is not of a data set ({error}): choose a new folder"
        ) from error
    if changed := [key for key in settings if known.get(key) != settings[key]]:
        listed = ", ".join(
            f"{k} {known.get(k)!r}, not {settings[k]!r}" for k in changed
        )
        raise DatasetError(
            f"{folder} holds a set with other settings ({listed}): repeat those to go "
            "on with it, or choose a new folder"
        )


def _rows_of(place: Path) -> set[int]:
    """The numbers of the lines that a shard has, without a row that was cut short."""
    rows = place / ROWS
    if not rows.exists():
        return set()
    with _told(rows):
        content = rows.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_whole(rows, whole)
    try:
        return {json.loads(row)["number"] for row in whole.splitlines()}
    except (ValueError, KeyError, TypeError):
        raise DatasetError(
            f"{rows} has a damaged row: remove the folder {place}, and the same "
            "call writes it again"
        ) from None


def _append(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    content = "".join(f"{json.dumps(row)}\n" for row in rows)
    with _told(place / ROWS), (place / ROWS).open("ab") as file:
        file.write(content.encode())


def _in_order(place: Path) -> None:
    """Sort the rows of a shard by the numbers of their lines."""
    with _told(place / ROWS):
        rows = (place / ROWS).read_bytes().splitlines(keepends=True)
        ordered = sorted(rows, key=lambda row: json.loads(row)["number"])
        if ordered != rows:
            write_whole(place / ROWS, b"".join(ordered))


def _write(file: Path, content: bytes) -> None:
    with _told(file):
        file.parent.mkdir(exist_ok=True)
        write_whole(file, content)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    """Say in one sentence that a file cannot be written."""
    try:
        yield
    except DatasetError:
        raise
    except OSError as error:
        raise DatasetError(
            f"{file} cannot be written ({error.strerror or error}): what is finished "
            "stays; mend that and run the same again to go on"
        ) from error
