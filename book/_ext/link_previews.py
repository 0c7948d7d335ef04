"""What a link to a page shows where it is posted: title, sentences and a picture.

Runs at `build-finished` over the built pages. The picture is a card of the page's first
figure, be it a picture or the ink of a widget; pages without one show the card of the
first page. The addresses come from `_config.yml`, as all others do.
"""

from __future__ import annotations

import html
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from project import read_project

CARDS = "_static/cards"
SIZE = (1200, 630)  # pixels, as the places ask for where links are posted
MARGIN, FOOT = 60, 110
INK, MUTED = "#14171c", "#5d6570"
SHORTEST, LONGEST = 60, 200  # characters of a description
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

ARTICLE = re.compile(r"<article\b.*</article>", re.DOTALL)
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
NOT_PROSE = re.compile(
    r"<(figure|figcaption|aside|script|style|table|svg)\b.*?</\1>", re.DOTALL
)
FIGURE = re.compile(
    r'<img\b(?=[^>]*\bsrc="[^"]*?(_images/[\w.-]+\.png)")[^>]*?\balt="([^"]*)"[^>]*>'
    r'|<figure data-widget="\w+" aria-label="([^"]*)".*?<svg\b(.*?)</svg>',
    re.DOTALL,
)
INK_PATH = re.compile(r'<path d="((?:M[-\d. ]+L[-\d. ]+)+)"/>')


@dataclass(frozen=True)
class Preview:
    """What a page says of itself.

    Attributes:
        title: of the page.
        description: a sentence or two.
        image: file of its first figure, below the built book, if that is a picture.
        strokes: of its first figure, if that is ink: points in pixels, y down.
        words: what the figure shows.
    """

    title: str
    description: str
    image: str | None = None
    strokes: tuple[tuple[tuple[float, float], ...], ...] = ()
    words: str = ""


def plain(source: str) -> str:
    """HTML as text in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", source)).split())


def shorten(text: str) -> str:
    """Whole sentences of a text, as many as there is room for; or whole words."""
    if len(text) <= LONGEST:
        return text
    ends = [one.end() for one in re.finditer(r"[.!?](?= )", text[: LONGEST + 1])]
    if ends and ends[-1] >= SHORTEST:
        return text[: ends[-1]]
    return text[:LONGEST].rpartition(" ")[0].rstrip(" ,;:") + "…"


def read_preview(page: str) -> Preview:
    """Read a built page."""
    title = plain(re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1])
    head, _, tail = title.rpartition(" — ")
    article = found[0] if (found := ARTICLE.search(page)) else ""
    given = re.search(r'<meta\b[^>]*\bname="description"[^>]*>', page)
    if given:
        words = html.unescape(re.search(r'content="([^"]*)"', given[0])[1])
    else:
        prose = NOT_PROSE.sub("", article.partition('class="citation-list"')[0])
        said = (plain(one) for one in PARAGRAPH.findall(prose) if "\\(" not in one)
        words = shorten(next((one for one in said if len(one) >= SHORTEST), title))
    for figure in FIGURE.finditer(article):
        image, alt, label, drawing = figure.groups()
        if image:
            return Preview(head or tail, words, image, (), html.unescape(alt))
        if paths := INK_PATH.findall(drawing):
            ink = tuple(stroke for path in paths for stroke in read_strokes(path))
            return Preview(head or tail, words, None, ink, html.unescape(label))
    return Preview(head or tail, words)


def read_strokes(path: str) -> list[tuple[tuple[float, float], ...]]:
    """The strokes of a path that `to_svg` wrote."""
    strokes = []
    for piece in path.split("M")[1:]:
        numbers = [float(one) for one in piece.replace("L", " ").split()]
        strokes.append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    return strokes


def draw_card(preview: Preview, folder: Path, book: str) -> Image.Image:
    """The card of a page that has a figure: the figure, and the page's title below."""
    card = Image.new("RGB", SIZE, "white")
    room = (SIZE[0] - 2 * MARGIN, SIZE[1] - MARGIN - FOOT - 20)
    if preview.image:
        with Image.open(folder / preview.image) as file:
            figure = Image.new("RGB", file.size, "white")
            rgba = file.convert("RGBA")
            figure.paste(rgba, mask=rgba.getchannel("A"))
        scale = min(room[0] / figure.width, room[1] / figure.height)
        size = (round(figure.width * scale), round(figure.height * scale))
        figure = figure.resize(size, Image.Resampling.LANCZOS)
    else:
        figure = draw_ink(preview.strokes, room)
    corner = ((SIZE[0] - figure.width) // 2, MARGIN + (room[1] - figure.height) // 2)
    card.paste(figure, corner)
    draw = ImageDraw.Draw(card)
    name = [one for one in (preview.title, book) if one]
    words = " · ".join(dict.fromkeys(name))
    size = 38
    font = ImageFont.truetype(FONT, size)
    while size > 20 and draw.textlength(words, font) > room[0]:
        size -= 2
        font = ImageFont.truetype(FONT, size)
    draw.text((MARGIN, SIZE[1] - FOOT + 35), words, MUTED, font=font)
    return card


def draw_ink(strokes: tuple, room: tuple[int, int]) -> Image.Image:
    """Strokes as wide as the room, drawn large and made smaller, for smooth edges."""
    xs = [x for stroke in strokes for x, _ in stroke]
    ys = [y for stroke in strokes for _, y in stroke]
    pen = 2.4  # pixels, where a letter body is 20, as in `to_svg`
    wide, high = max(xs) - min(xs) + 4 * pen, max(ys) - min(ys) + 4 * pen
    scale = 3 * min(room[0] / wide, room[1] / high)
    figure = Image.new("RGB", (round(scale * wide), round(scale * high)), "white")
    draw = ImageDraw.Draw(figure)
    width = round(scale * pen)
    for stroke in strokes:
        points = [
            (scale * (x - min(xs) + 2 * pen), scale * (y - min(ys) + 2 * pen))
            for x, y in stroke
        ]
        draw.line(points, INK, width, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.circle((x, y), width / 2, INK)
    return figure.resize(
        (figure.width // 3, figure.height // 3), Image.Resampling.LANCZOS
    )


def tags(preview: Preview, *, card: str, address: str, book: str) -> str:
    """The elements of the head."""
    values = {
        "og:type": "website" if address.endswith("/index.html") else "article",
        "og:site_name": book,
        "og:title": preview.title,
        "og:description": preview.description,
        "og:url": address,
        "og:image": card,
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": preview.words,
    }
    lines = [
        f'<meta property="{key}" content="{html.escape(value)}" />'
        for key, value in values.items()
        if value
    ]
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    lines.append(
        f'<meta name="description" content="{html.escape(preview.description)}" />'
    )
    return "\n".join(lines)


def write_previews(app: Sphinx, problem: Exception | None) -> None:
    """Make the cards, and put what they say into the pages."""
    if problem is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    first, book = f"{app.config.root_doc}.html", app.config.html_title
    site = read_project(Path(app.srcdir)).site
    (out / CARDS).mkdir(parents=True, exist_ok=True)
    for file in sorted(out.rglob("*.html")):
        name = file.relative_to(out).as_posix()
        page = file.read_text(encoding="utf-8")
        if name.startswith("_") or "</title>" not in page:
            continue
        preview = read_preview(page)
        drawn = bool(preview.image or preview.strokes)
        if drawn:
            picture = draw_card(preview, out, book)
            picture.save(out / CARDS / f"{file.stem}.png", optimize=True)
        card = f"{site}/{CARDS}/{file.stem if drawn else Path(first).stem}.png"
        page = re.sub(r'[ \t]*<meta\b[^>]*\bname="description"[^>]*>\n?', "", page)
        here = tags(preview, card=card, address=f"{site}/{name}", book=book)
        file.write_text(page.replace("<title>", f"{here}\n<title>", 1), "utf-8")


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("build-finished", write_previews, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
