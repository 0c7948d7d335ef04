"""Pages that load what they use, and nothing else; the event is `build-finished`.

The theme puts a megabyte of icons into every page as a script, and once more as fonts
and style rules; all pages load the index of the search, the style of drop-downs and
MathJax, whether they need them or not. Here each page loses the scripts and styles
that it has no use for, the icon fonts keep the icons that some page shows and the style
sheets the rules for what some page or script names, and a page with a network on it
asks for the weights before anything else.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from project import PACKS

# An element of the head, by the file that it loads.
ELEMENT = (
    r'[ \t]*<(?:script|link)\b[^>]*\b(?:src|href)="[^"]*/{}[^"]*"[^>]*>'
    r"(?:</script>)?\n?"
)
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
DESIGN = ("sphinx-design", "design-tabs")
MATHJAX = ("vendor/mathjax/",)
ICONS = ("scripts/fontawesome.js",)
MATH_SETTINGS = re.compile(r"[ \t]*<script>window\.MathJax = .*?</script>\n?")
DATA = re.compile(r'<script type="application/json">(.*?)</script>')

# The theme begins with neither of its themes, shows what belongs to both, and changes
# all of it when its script runs.
THEME = re.compile(r'(dataset\.theme = localStorage\.getItem\("theme"\) \|\| )"auto"')
DARK = r'\1(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'

# Runs in the head of a page whose network writes as soon as it is there. Pages on the
# disk may load scripts and nothing else.
PRELOAD = """
<script>
  (() => {{
    const served = location.protocol.startsWith("http");
    const link = document.createElement("link");
    link.rel = "preload";
    link.as = served ? "fetch" : "script";
    if (served) link.crossOrigin = "anonymous";
    link.href = "{path}" + (served ? ".bin" : ".js");
    document.head.append(link);
  }})();
</script>"""

STYLE = "styles/pydata-sphinx-theme.css"
ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"(\\[0-9a-f]+|.)"\}')
FACE = re.compile(r"@font-face\{[^}]*fontawesome/webfonts/(fa-[\w-]+)\.woff2[^}]*\}")
CLASSES = re.compile(r'class(?:List)?="([^"]*\bfa-[^"]*)"')
RULE = re.compile(r"([^{}]+)\{[^{}]*\}")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
CODES = re.compile(r'"\\(f[0-9a-f]{3})"')


def lean(page: str) -> str:
    """The HTML of a page, without what it does not use."""
    files = [*ICONS]
    body = page.partition("<body")[2]
    if 'id="search-results"' not in body:
        files += SEARCH
    if not re.search(r'class="[^"]*\bsd-', body):
        files += DESIGN
    if not re.search(r'class="[^"]*\bmath\b', body):
        files += MATHJAX
        page = MATH_SETTINGS.sub("", page)
    for file in files:
        page = re.sub(ELEMENT.format(re.escape(file)), "", page)
    page = THEME.sub(DARK, page)
    if path := writes_at_once(page):
        preload = r"\g<0>" + PRELOAD.format(path=path)
        page = re.sub(r"<meta charset=[^>]*>", preload, page, count=1)
    return page


def writes_at_once(page: str) -> str | None:
    """Address of the pack, without a suffix, of a Studio on the page."""
    for block in DATA.findall(page):
        data = json.loads(block)
        if "hands" in data and data.get("pack", {}).get("folder") == PACKS:
            return f"{PACKS}/{data['pack']['name']}"
    return None


def keep_icons(style: str, shown: set[str]) -> tuple[str, set[int]]:
    """The theme's style with the icons that are shown, and the characters of these.

    Args:
        style: the style sheet, minified.
        shown: classes of elements that are icons.
    """
    kept = set()

    def keep(rule: re.Match[str]) -> str:
        names = [one.removesuffix(":before") for one in rule[1].split(",")]
        used = [one for one in names if one.removeprefix(".") in shown]
        if not used:
            return ""
        kept.add(rule[2])
        return ",".join(f"{one}:before" for one in used) + f'{{content:"{rule[2]}"}}'

    style = ICON_RULE.sub(keep, style)
    style = FACE.sub(
        lambda face: re.sub(
            r"src:[^;}]*",
            f'src:url(../vendor/fontawesome/webfonts/{face[1]}.woff) format("woff")',
            face[0],
        ),
        style,
    )
    return style, {int(one[1:], 16) if one[1:] else ord(one) for one in kept}


def keep_rules(style: str, words: set[str]) -> str:
    """A style sheet without rules for classes that no page and no script mentions.

    Args:
        style: the style sheet.
        words: all words of the pages and scripts, so that no class is overlooked.
    """

    def keep(rule: re.Match[str]) -> str:
        comments = "".join(COMMENT.findall(rule[1]))
        selectors = re.sub(r":not\([^()]*\)", "", COMMENT.sub("", rule[1])).split(",")
        if all(set(CLASS.findall(one)) - words for one in selectors):
            return comments
        return rule[0]

    return RULE.sub(keep, style)


def cut_fonts(folder: Path, characters: Iterable[int]) -> None:
    """Write the fonts of a folder with these characters alone, as WOFF.

    WOFF2 would need a compressor that the book does without.
    """
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    for file in folder.glob("*.ttf"):
        font = TTFont(file)
        options = subset.Options(ignore_missing_unicodes=True, notdef_outline=False)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=characters)
        cutter.subset(font)
        font.flavor = "woff"
        font.save(file.with_suffix(".woff"))
        file.unlink()
        file.with_suffix(".woff2").unlink(missing_ok=True)


def make_lean(app: Sphinx, problem: Exception | None) -> None:
    """Go over the built pages, and then over what they share."""
    if problem is not None or app.builder.format != "html":
        return
    html, static = Path(app.outdir), Path(app.outdir) / "_static"
    shown: set[str] = set()
    words: set[str] = set()
    for file in html.rglob("*.html"):
        if static in file.parents:
            continue
        page = file.read_text(encoding="utf-8")
        for names in CLASSES.findall(page):
            shown.update(names.split())
        words.update(re.findall(r"[\w-]+", page))
        file.write_text(lean(page), encoding="utf-8")
    for file in [*static.glob("*.js"), *static.glob("scripts/*.js")]:
        if file.name == "fontawesome.js":
            continue
        script = read(file)
        for names in re.findall(r'classList="([^"]*)"', script):
            shown.update(names.split())
        words.update(re.findall(r"[\w-]+", script))
    style, characters = keep_icons(read(static / STYLE), shown)
    (static / STYLE).write_text(style, encoding="utf-8")
    for other in [*static.glob("*.css"), *static.glob("*/*.css")]:
        characters |= {int(one, 16) for one in CODES.findall(read(other))}
    cut_fonts(static / "vendor" / "fontawesome" / "webfonts", characters)
    for sheet in [*static.glob("*.css"), *static.glob("styles/*.css")]:
        sheet.write_text(keep_rules(read(sheet), words), encoding="utf-8")
    for unused in static.glob("scripts/fontawesome.js*"):
        if not unused.name.endswith("LICENSE.txt"):
            unused.unlink()


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("build-finished", make_lean, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
