"""Outlines of glyphs, read from fonts with fontTools (the extra `fonts`).

`load_outlines("fonts:PATH")` reads a font (`.ttf`, `.otf`, `.woff`, `.woff2`), or a
folder or an archive of fonts. Composite glyphs are put together, and cubic curves
become quadratic ones. All glyphs of a font have one baseline and one scale, so an i is
as much lower than an I as in print: a capital H is `CAPITALS` of an em high in every
font. The contours are in the order that `outline.in_order` gives.

The style of a font is that of the folder it lies in, if one is called `serif`, `sans`,
`mono`, `handwriting` or `display`; otherwise the font's own classification decides
(`post.isFixedPitch`, PANOSE, and the family class of its table `OS/2`). The words in
its name say nothing.

Nothing is left out silently, and whatever a damaged or malicious file claims, its cost
is bounded: bytes, points, nested components and subroutines have limits.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import MissingPackageError
from ..outline import STYLES, Outline, close_contour, in_order
from .archives import TAR_ENDINGS, CorpusError, read_files

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,!?@#()[]"
ENDINGS = (".ttf", ".otf", ".woff", ".woff2")
COLLECTIONS = (".ttc", ".otc", ".dfont", ".pfb", ".eot")
CAPITALS = 0.7  # ems: the height of a capital H
LIKELY_CAPITALS = (0.2, 1.5)  # of the font's own em; a height outside is not believed
CURVE_ERROR = 5e-4  # ems: how far a cubic curve may move when it becomes quadratic
MAX_FONT_BYTES = 32 * 2**20
MAX_UNPACKED = 4 * MAX_FONT_BYTES
MAX_POINTS = 4096  # in a glyph
MAX_COMPONENTS = 256  # in a glyph, nested ones included
MAX_CALLS = 4096  # of subroutines in a glyph


@dataclass(frozen=True)
class Font:
    """The outlines of one font.

    Attributes:
        family: name of its family, such as `DejaVu Sans`.
        style: one of `outline.STYLES`.
        name: of the file in its folder or archive.
        glyphs: outlines by character, in ems of the corpus.
        em: one em of the font itself, in ems of the corpus.
        weight: 400 for regular type, 700 for bold, as the font says.
        is_slanted: whether the font calls itself italic or oblique.
        license: what its name table says about its licence.
    """

    family: str
    style: str
    name: str
    glyphs: Mapping[str, Outline]
    em: float = 1.0
    weight: int = 400
    is_slanted: bool = False
    license: str = ""

    def __repr__(self) -> str:
        return f"<Font {self.name}: {self.style}, {len(self.glyphs)} glyphs>"


@dataclass(frozen=True)
class OutlineCorpus:
    """Fonts, and what their reader left out.

    Attributes:
        name: name of the source.
        fonts: with at least one glyph each.
        skipped: number of fonts or glyphs that were left out, by reason.
    """

    name: str
    fonts: Sequence[Font]
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        glyphs = sum(len(font.glyphs) for font in self.fonts)
        return (
            f"<OutlineCorpus {self.name}: {len(self.fonts)} fonts, {glyphs:,} glyphs>"
        )

    def split(self, share: float = 0.15, least: int = 2) -> FontSplit:
        """Split the fonts by family: no family is on both sides.

        Of each style, `share` of the families are held out and at least `least`, but
        never all of them: of n families at most n - 1. Which ones depends on their
        names alone.

        Args:
            share: the share of the families of a style that is held out.
            least: the smallest number of them.
        """
        styles: dict[str, set[str]] = defaultdict(set)
        for font in self.fonts:
            styles[font.style].add(font.family)
        held_out: set[str] = set()
        for style in sorted(styles):
            families = sorted(styles[style] - held_out, key=_digest)
            number = max(least, round(share * len(styles[style])))
            number -= len(styles[style] & held_out)  # families of several styles
            held_out.update(families[: max(0, min(number, len(families) - 1))])
        return FontSplit(
            [font for font in self.fonts if font.family not in held_out],
            [font for font in self.fonts if font.family in held_out],
        )


def _digest(family: str) -> str:
    return hashlib.sha256(family.encode()).hexdigest()


@dataclass(frozen=True)
class FontSplit:
    """Fonts to train on and fonts of families that training never sees."""

    train: list[Font]
    validation: list[Font]


def load_outlines(source: str | Path, *, characters: str = CHARACTERS) -> OutlineCorpus:
    """Read the outlines of fonts.

    Args:
        source: `"fonts:PATH"` or the path itself: of a font, or of a folder or archive
            of fonts.
        characters: the characters whose glyphs are wanted.

    Raises:
        CorpusError: there is no such file, or nothing in it can be read.
        ImportError: fontTools is not installed.

    Example:
        >>> import matplotlib
        >>> folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
        >>> load_outlines(folder / "DejaVuSans.ttf", characters="abc").fonts
        [<Font DejaVuSans.ttf: sans, 3 glyphs>]
    """
    try:
        import fontTools.ttLib  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            "reading fonts needs fontTools: install it with "
            "pip install handwriting-lib[fonts]"
        ) from error
    path = Path(str(source).removeprefix("fonts:"))
    fonts, skipped = [], Counter[str]()
    quiet = _quiet()
    try:
        for name, content in _files(path, skipped):
            font = _read(content, name, characters, skipped)
            if font is not None:
                fonts.append(font)
    finally:
        quiet()
    if not fonts:
        reasons = "; ".join(f"{why}: {count}" for why, count in skipped.items())
        raise CorpusError(
            f"{path} holds no font that can be read"
            f"{f' ({reasons})' if reasons else ''}: give a font "
            f"({', '.join(ENDINGS)}), or a folder or archive of fonts"
        )
    return OutlineCorpus(path.name, fonts, dict(skipped))


def _quiet() -> Any:
    """Silence fontTools, which warns of all that it mends; returns the way back."""
    logger = logging.getLogger("fontTools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    return lambda: logger.setLevel(level)


def _files(path: Path, skipped: Counter[str]) -> Iterator[tuple[str, bytes]]:
    """The name and content of one font, or of each in a folder or an archive."""

    def wanted(name: str) -> bool:
        ending = PurePosixPath(name).suffix.lower()
        if ending in COLLECTIONS:
            skipped[f"font in a format that is not read ({ending})"] += 1
        return ending in ENDINGS

    if path.is_file() and not path.name.lower().endswith((*TAR_ENDINGS, ".zip")):
        try:
            if path.stat().st_size > MAX_FONT_BYTES:
                skipped["font of too many bytes"] += 1
            elif wanted(path.name):
                # with its folders, which may say the style
                yield "/".join(path.absolute().parts[-3:]), path.read_bytes()
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error}") from error
        return
    yield from read_files(path, wanted)


def _read(
    content: bytes, name: str, characters: str, skipped: Counter[str]
) -> Font | None:
    """One font, or None if it was skipped."""
    from fontTools.ttLib import TTFont

    if len(content) > MAX_FONT_BYTES or not _unpacks(content):
        skipped["font of too many bytes"] += 1
        return None
    try:
        with TTFont(io.BytesIO(content), lazy=True) as file:
            style = style_of(file, name)
            if style is None:
                skipped["font that does not say its style, in no folder of one"] += 1
                return None
            mapped = file.getBestCmap()
            if not mapped:
                skipped["font without a Unicode character map"] += 1
                return None
            em, glyphs = _glyphs(file, mapped, characters, skipped)
            if not glyphs:
                skipped["font without any of the characters"] += 1
                return None
            names, about = file["name"], file.get("OS/2")
            slope = file["post"].italicAngle if "post" in file else 0
            return Font(
                family=str(names.getBestFamilyName() or PurePosixPath(name).stem),
                style=style,
                name=PurePosixPath(name).name,
                glyphs=glyphs,
                em=em,
                weight=int(getattr(about, "usWeightClass", 400)),
                is_slanted=bool(getattr(about, "fsSelection", 0) & 0x201 or slope),
                license=str(names.getDebugName(13) or ""),
            )
    except ImportError as error:  # brotli
        raise MissingPackageError(
            f"reading {name} needs brotli: install it with "
            "pip install handwriting-lib[fonts]"
        ) from error
    except Exception:  # damaged bytes end in errors of a dozen kinds
        skipped["font that is damaged or cut short"] += 1
        return None


def _unpacks(content: bytes) -> bool:
    """Whether a compressed font stays within `MAX_UNPACKED`, before it is unpacked."""
    if content[:4] == b"wOFF":
        # what a table unpacks to is compared with what its entry says only afterwards
        number = int.from_bytes(content[12:14], "big")
        left = MAX_UNPACKED
        for i in range(number):
            entry = content[44 + 20 * i : 64 + 20 * i]
            at, size = (int.from_bytes(entry[k : k + 4], "big") for k in (4, 8))
            try:
                table = zlib.decompressobj().decompress(content[at : at + size], left)
            except zlib.error:  # not compressed, or damaged
                continue
            left -= len(table)
            if left <= 0:
                return False
    if content[:4] == b"wOF2":
        try:
            import brotli
        except ImportError:
            return True  # the reader will say so
        # the compressed tables come after a directory of unknown length
        unpacker = brotli.Decompressor()
        try:
            start = _woff2_start(content)
            data, total = content[start:], 0
            while not unpacker.is_finished():
                piece = unpacker.process(data, output_buffer_limit=2**20)
                data = b""
                total += len(piece)
                if total > MAX_UNPACKED:
                    return False
                if not piece and unpacker.can_accept_more_data():
                    break  # cut short
        except (brotli.error, IndexError, ValueError):
            return True  # damaged, as the reader will say
    return True


def _woff2_start(content: bytes) -> int:
    """Where the compressed tables of a WOFF2 file begin."""
    at = 48
    for _ in range(int.from_bytes(content[12:14], "big")):
        flags = content[at]
        at += 1 if flags & 63 != 63 else 5
        is_glyf = flags & 63 in (10, 11)  # transformed unless the version is 3
        transformed = (flags >> 6 == 0) if is_glyf else (flags >> 6 != 0)
        for _ in range(2 if transformed else 1):
            while content[at] & 128:
                at += 1
            at += 1
    return at


def style_of(file: Any, name: str = "") -> str | None:
    """The style of a font, or None if nothing says it.

    Args:
        file: an open `fontTools.ttLib.TTFont`.
        name: of the file with its folders.
    """
    folders = [part.lower() for part in PurePosixPath(name).parts[:-1]]
    for folder in reversed(folders):
        if folder in STYLES:
            return folder
    about = file.get("OS/2")
    panose = getattr(about, "panose", None)
    kind = getattr(panose, "bFamilyType", 0)
    if ("post" in file and file["post"].isFixedPitch) or (
        kind == 2 and panose is not None and panose.bProportion == 9
    ):
        return "mono"
    if kind in (3, 4):
        return {3: "handwriting", 4: "display"}[kind]
    if kind == 2 and panose is not None and panose.bSerifStyle > 1:
        return "serif" if panose.bSerifStyle <= 10 else "sans"
    family_class = getattr(about, "sFamilyClass", 0) >> 8
    by_class = {8: "sans", 9: "display", 10: "handwriting", 12: "display"}
    by_class |= dict.fromkeys((1, 2, 3, 4, 5, 7), "serif")
    return by_class.get(family_class)


def _glyphs(
    file: Any,
    mapped: Mapping[int, str],
    characters: str,
    skipped: Counter[str],
) -> tuple[float, dict[str, Outline]]:
    """The em of a font in ems of the corpus, and its outlines."""
    own_em = int(file["head"].unitsPerEm)
    if not 16 <= own_em <= 16384:
        raise ValueError("units an em")
    glyph_set = file.getGlyphSet()
    drawn = {}
    for character in characters:
        if ord(character) not in mapped:
            skipped["glyph that the font lacks"] += 1
            continue
        try:
            drawn[character] = _draw(glyph_set, mapped[ord(character)], own_em)
        except _TooLongError as error:
            skipped[str(error)] += 1
        except RecursionError:
            skipped["glyph that contains itself"] += 1
        except Exception:  # as above
            skipped["glyph that is damaged"] += 1
    em = CAPITALS * own_em / _capitals(drawn.get("H"), file, own_em)
    glyphs = {}
    for character, (advance, contours) in drawn.items():
        if not contours:
            skipped["glyph without an outline"] += 1
            continue
        scale = np.array([em / own_em, em / own_em, 1.0])
        outline = Outline(
            advance * em / own_em, tuple(contour * scale for contour in contours)
        )
        glyphs[character] = in_order(outline)
    return em, glyphs


def _capitals(drawn: Any, file: Any, own_em: int) -> float:
    """The height of a font's capitals in its own units."""
    low, high = (own_em * limit for limit in LIKELY_CAPITALS)
    if drawn is not None and drawn[1]:
        height = float(max(contour[:, 1].max() for contour in drawn[1]))
        if low <= height <= high:
            return height
    height = float(getattr(file.get("OS/2"), "sCapHeight", 0) or 0)
    return height if low <= height <= high else CAPITALS * own_em


class _TooLongError(Exception):
    """A glyph exceeds a limit; the message is the reason by which it is counted."""


def _draw(glyph_set: Any, name: str, own_em: int) -> tuple[float, list[Any]]:
    """The advance and the contours of a glyph, in units of the font."""
    from fontTools.misc.psCharStrings import T2OutlineExtractor

    class Extractor(T2OutlineExtractor):
        """Runs a charstring of PostScript outlines, and not without end."""

        calls = 0

        def execute(self, charstring: Any, **options: Any) -> None:
            self.calls += 1
            if self.calls > MAX_CALLS:
                raise _TooLongError("glyph of too many subroutines")
            super().execute(charstring, **options)

    glyph = glyph_set[name]
    charstrings = getattr(glyph_set, "charStrings", None)
    if charstrings is not None:
        charstrings[name].outlineExtractor = Extractor
    pen = _pen(glyph_set, CURVE_ERROR * own_em)
    glyph.draw(pen)
    return float(glyph.width), pen.contours


def _pen(glyph_set: Any, curve_error: float) -> Any:
    """A pen of fontTools that keeps the contours of a glyph as arrays."""
    from fontTools.cu2qu import curve_to_quadratic
    from fontTools.pens.basePen import DecomposingPen, decomposeSuperBezierSegment

    class ContourPen(DecomposingPen):
        def __init__(self) -> None:
            super().__init__(glyph_set)
            self.contours: list[Any] = []
            self._points: list[tuple[float, float, bool]] = []
            self._total = self._components = 0

        def _add(self, points: Sequence[Any], last_is_on: bool) -> None:
            self._total += len(points)
            if self._total > MAX_POINTS:
                raise _TooLongError("glyph of too many points")
            for i, (x, y) in enumerate(points):
                is_on = last_is_on and i == len(points) - 1
                self._points.append((float(x), float(y), is_on))

        def moveTo(self, point: Any) -> None:
            self.endPath()
            self._add([point], True)

        def lineTo(self, point: Any) -> None:
            self._add([point], True)

        def qCurveTo(self, *points: Any) -> None:
            if points[-1] is None:  # a contour of control points alone
                self._add(points[:-1], False)
            else:
                self._add(points, True)

        def curveTo(self, *points: Any) -> None:
            begin = self._points[-1][:2]
            if len(points) < 3:
                self.qCurveTo(*points)
                return
            for cubic in decomposeSuperBezierSegment(points):
                curve = curve_to_quadratic([begin, *cubic], curve_error)
                self._add(curve[1:], True)
                begin = cubic[-1]

        def closePath(self) -> None:
            contour = close_contour(self._points)
            if contour is not None:
                self.contours.append(contour)
            self._points = []

        endPath = closePath

        def addComponent(self, glyphName: str, transformation: Any) -> None:
            self._components += 1
            if self._components > MAX_COMPONENTS:
                raise _TooLongError("glyph of too many components")
            super().addComponent(glyphName, transformation)

    return ContourPen()
