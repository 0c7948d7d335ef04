"""What links to pages show: read from a page, drawn, and put into its head."""

import numpy as np
import pytest
import torch
from link_previews import SIZE, draw_card, read_preview, shorten, tags
from PIL import Image

from handwriting_lib.drawing.svg import to_svg

PAGE = """<html><head><title>1. Ink &#8212; A Book</title></head><body>
<p>A long paragraph of the menu, which says nothing at all of what the page is about.</p>
<article><h1>Ink</h1><p>Short.</p>
<figure><figcaption><p>A caption that is long enough to be taken for the text of a page, but is not.</p></figcaption></figure>
<p>We want a <em>machine</em> that takes a text &amp; writes it by hand, and have nothing.</p>
%s
</article></body></html>"""  # noqa: E501
LINE = torch.tensor([[0.0, 0, 0], [3, 1, 0], [1, -1, 1], [1, 0, 1]])


def picture(name, alt="three lines of ink"):
    return f'<img alt="{alt}" src="../_images/{name}"/>'


def widget(still):
    return (
        f'<figure data-widget="ab12" aria-label="a &amp; b"><div>{still}</div></figure>'
    )


def test_title_and_description_are_those_of_the_page():
    found = read_preview(PAGE % "")
    assert found.title == "1. Ink"
    assert found.description == (
        "We want a machine that takes a text & writes it by hand, and have nothing."
    )
    assert not found.image and not found.strokes
    given = PAGE.replace("<title>", '<meta name="description" content="So." /><title>')
    assert read_preview(given % "").description == "So."


def test_the_first_figure_is_taken_be_it_a_picture_or_ink():
    drawing = picture("02-network.svg") + widget('<svg ><rect width="3"/></svg>')
    ink = widget(to_svg(LINE, unit=1.0))
    first = read_preview(PAGE % (drawing + picture("a.png", "a &lt; b") + ink))
    assert (first.image, first.words) == ("_images/a.png", "a < b")
    second = read_preview(PAGE % (ink + picture("a.png")))
    assert second.image is None and second.words == "a & b"
    assert [len(stroke) for stroke in second.strokes] == [3, 2]  # a dot is a segment


def test_descriptions_end_with_a_sentence_or_a_word():
    assert shorten("short") == "short"
    sentence = "This sentence has more than sixty characters in it, as it should."
    assert shorten(f"{sentence} {'and so on ' * 30}") == sentence
    assert shorten("word " * 100).endswith("word…")
    assert len(shorten("word " * 100)) <= 201


def test_a_card_shows_the_figure_and_the_title(tmp_path):
    (tmp_path / "_images").mkdir()
    clear = Image.new("RGBA", (40, 300), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (10, 100, 30, 200))
    clear.save(tmp_path / "_images" / "a.png")
    for body in (picture("a.png"), widget(to_svg(LINE, unit=1.0))):
        card = draw_card(read_preview(PAGE % body), tmp_path, "A Book")
        assert card.size == SIZE
        dark = np.asarray(card.convert("L")) < 200
        assert dark[: SIZE[1] - 110].any() and dark[SIZE[1] - 110 :].any()
        assert not dark[:50].any() and not dark[:, :50].any()


@pytest.mark.parametrize("hostile", ['"><script>alert(1)</script>', "a & 'b'"])
def test_what_a_page_says_is_escaped(hostile):
    preview = read_preview(PAGE % "")
    preview = type(preview)(title=hostile, description=hostile, words=hostile)
    made = tags(
        preview, card="https://a.b/c.png", address="https://a.b/p.html", book="B"
    )
    assert "<script>" not in made and "'b'" not in made
    assert 'property="og:image" content="https://a.b/c.png"' in made
    assert all(
        one.startswith("<meta ") and one.endswith(" />") for one in made.split("\n")
    )
