"""Pages lose what they do not use, and keep what they do."""

from lean_pages import keep_icons, keep_rules, lean, writes_at_once
from project import PACKS

HEAD = """<html><head><meta charset="utf-8" />
<script defer src="../_static/scripts/fontawesome.js?digest=55c2"></script>
<link rel="stylesheet" href="../_static/sphinx-design.min.css?v=6a60" />
<script>window.MathJax = {"loader": {"load": ["[tex]/boldsymbol"]}}</script>
<script defer="defer" src="../_static/vendor/mathjax/tex-chtml.js?v=20da"></script>
<script src="../_static/doctools.js?v=1"></script>
<script src="../_static/searchtools.js"></script>
<script src="../searchindex.js"></script>
</head>"""
ALWAYS = "doctools.js"
PARTS = {
    "MathJax": '<span class="math notranslate">x</span>',
    "mathjax/tex-chtml.js": '<div class="math notranslate">x</div>',
    "sphinx-design": '<details class="sd-card sd-mb-3"></details>',
    "searchtools.js": '<div id="search-results"></div>',
    "searchindex.js": '<div id="search-results"></div>',
}


def test_a_page_loads_what_it_uses():
    plain = lean(f"{HEAD}<body class='x'>no mathematics, no sd- here</body>")
    for name, use in PARTS.items():
        assert name not in plain
        assert name in lean(f"{HEAD}<body>{use}</body>"), name
    assert ALWAYS in plain and "fontawesome" not in plain and "preload" not in plain


def test_a_page_that_writes_asks_for_the_weights_first():
    data = '{"text":"hi","pack":{"name":"a-int8","folder":"%s"}%s}'
    block = '<script type="application/json">%s</script>'
    studio = block % (data % (PACKS, ',"hands":[]'))
    other = block % (data % (PACKS, ""))  # it may load when the reader wants it
    inside = block % '{"hands":[],"pack":{"data":"AAAA"}}'
    assert writes_at_once(other) is writes_at_once(inside) is None
    assert writes_at_once(other + studio) == f"{PACKS}/a-int8"
    page = lean(f"{HEAD}<body>{studio}</body>")
    assert page.index("charset") < page.index("preload") < page.index(ALWAYS)
    assert f'"{PACKS}/a-int8" + (served ? ".bin" : ".js")' in page


def test_the_icons_that_are_shown_stay():
    face = (
        "@font-face{font-weight:900;src:url(../vendor/fontawesome/webfonts/"
        'fa-solid-900.woff2) format("woff2"),url(x.ttf) format("truetype")}'
    )
    rules = (
        '.fa-search:before,.fa-lens:before{content:"\\f002"}'
        '.fa-house:before{content:"\\f015"}.fa-0:before{content:"0"}'
    )
    rest = ".fa-solid{font-weight:900}.a:before{color:red}"
    style, characters = keep_icons(face + rules + rest, {"fa-solid", "fa-lens"})
    assert characters == {0xF002}
    assert style.endswith('.fa-lens:before{content:"\\f002"}' + rest)
    assert (
        'src:url(../vendor/fontawesome/webfonts/fa-solid-900.woff) format("woff")}'
        in style
    )


def test_rules_for_what_nothing_names_go():
    kept = [
        ":root{--x:1}",
        ".here{a:b}",
        "p.here > .also:hover,.gone{a:b}",
        "p:not(.gone){a:b}",
        "@keyframes turn{from{a:b}to{a:b}}",
        "@font-face{src:url(x.woff)}",
        "[data-theme=dark] .here:is(.gone,.also){a:b}",
        "@media print{.here{a:b}}",
        "p{a:b}",
    ]
    gone = [".gone{a:b}", ".here .gone,.gone.here{a:b}", "p.gone:not(.here){a:b}"]
    words = {"here", "also"}
    mixed = "".join(a + b for a, b in zip(kept, gone * 3, strict=True))
    assert keep_rules(mixed, words) == "".join(kept)
    licence = "/*! by a.person */"
    assert keep_rules(f"{licence}.here{{}}{licence}.gone{{}}", words) == (
        f"{licence}.here{{}}{licence}"
    )
