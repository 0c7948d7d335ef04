"""The benchmark of the first page, on a page whose figures are known."""

from __future__ import annotations

import gzip
import sys
import urllib.error
import urllib.request

import pytest

from benchmarks import ROOT, page

PAGE = """<!doctype html><link rel=icon href="data:,"><script src="a.js"></script>
<div id=above></div><p>moves</p><div data-live></div>
<script>
const root = document.querySelector('[data-live]').attachShadow({mode: 'open'});
root.innerHTML = '<p role=status></p>';
setTimeout(() => {
  document.getElementById('above').style.height = '300px';
  for (const until = performance.now() + 120; performance.now() < until;) ;
}, 300);
setTimeout(() => {
  performance.mark('first ink');
  root.firstChild.textContent = '5 points, 90 a second.';
}, 600);
</script>"""
BYTES = 100_000


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "a.js").write_text("/" * BYTES)
    (tmp_path / "a.bin").write_bytes(bytes(BYTES))
    with page.serve_compressed(tmp_path) as address:
        yield address


def test_text_is_compressed_and_weights_are_not(site):
    sizes = {}
    for name in ("a.js", "a.bin"):
        with urllib.request.urlopen(f"{site}/{name}") as answer:
            content = answer.read()
            if answer.headers["Content-Encoding"] == "gzip":
                sizes[name] = len(content)
                content = gzip.decompress(content)
            assert len(content) == BYTES
    assert list(sizes) == ["a.js"] and sizes["a.js"] < 1000
    for other in ("nowhere", "%2e%2e/secret", "..%2fsecret"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{site}/{other}")


@pytest.mark.book
@pytest.mark.parametrize("network", [None, 1.6])
def test_an_opening_is_measured(site, network):
    pytest.importorskip("selenium")
    sys.path.append(str(ROOT / "book" / "_tools"))
    from browser import why_no_browser

    if reason := why_no_browser():
        pytest.skip(reason)
    condition = page.Condition("http", network, 1, 800)
    seen = page.open_page(f"{site}/index.html", condition)
    assert seen.requests == 2
    assert seen.first_ink > 0.6 and seen.first_paint > 0
    assert seen.longest_task >= 120 and seen.long_tasks >= 1
    assert 0.01 < seen.layout_shift < 1
    assert BYTES < seen.uncompressed < BYTES + 2000
    assert 500 < seen.transfer < 6000
    shown = page.table(
        {
            "title": "A page",
            "load average": [0.5, 1.5],
            "median": {condition.name: page.median([seen, seen])},
        }
    )
    assert condition.name in shown and "0.50 to 1.50" in shown
