"""The pad: what a hand draws, what stays when the page goes, and what Python gets."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.alphabet import CHARACTERS, FOLDING, fold
from handwriting_lib.corpora import collected
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.json_points import parse
from handwriting_lib.widgets import Pad
from handwriting_lib.widgets import pad as module

TAG = '<img src=x onerror="window.hacked=1">'
NO_STORAGE = """<script>
Object.defineProperty(window, 'localStorage', {
  get() { throw new DOMException('denied', 'SecurityError'); }});
</script>"""
FULL_STORAGE = """<script>
Storage.prototype.setItem = () => { throw new DOMException('full'); };
</script>"""


def document(*samples: dict, **more: Any) -> dict:
    frame = {"format": collected.FORMAT, "version": 1, "samples": list(samples)}
    return frame | more


def entry(text: str = "hello", shift: float = 0.0, **more: Any) -> dict:
    strokes = [[[shift, 5, 0, 0.5], [shift + 3, 9, 20, 0.5]], [[8, 2, 500]]]
    return {"text": text, "writer": "me", "strokes": strokes, **more}


# In Python ---------------------------------------------------------------------------


def test_the_prompts_cover_the_alphabet_and_fit_a_phone():
    assert set(CHARACTERS) == set("".join(module.PROMPTS))
    assert max(len(prompt) for prompt in module.PROMPTS) <= 18
    assert len(set(module.PROMPTS)) == len(module.PROMPTS)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "at least one prompt"),
        ("hello", r"must be a list, as in Pad\(\['hello'\]\)"),
        (["a", " "], "must be a text .* not ' '"),
        (["a", 3], "must be a text .* not 3"),
        (["Zürich"], "'Zürich' has 'ü', which the alphabet lacks"),
    ],
)
def test_prompts_that_cannot_be_written(prompts, message):
    with pytest.raises(ValueError, match=message):
        Pad(prompts)


def test_a_writer_has_a_name():
    with pytest.raises(ValueError, match="writer must be a name"):
        Pad(["a"], writer="")


@pytest.fixture
def no_anywidget(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    module._live_class.cache_clear()
    yield
    module._live_class.cache_clear()


def test_without_anywidget_it_draws_and_says_what_is_missing(no_anywidget, tmp_path):
    pad = Pad(["hello"])
    assert type(pad) is Pad
    assert "hello" in pad._repr_html_()
    assert repr(pad) == "<Pad: A pad to write 1 text on>"
    for ask in (lambda: pad.sample, lambda: pad.samples, lambda: pad.save("a.json")):
        with pytest.raises(
            ImportError, match=r'pip install "handwriting-lib\[widgets\]"'
        ):
            ask()
    pad.save(tmp_path / "pad.html")
    assert "hello" in (tmp_path / "pad.html").read_text()


@pytest.fixture
def pad():
    """A live pad, closed when the test is over."""
    pytest.importorskip("anywidget")
    pad = Pad(["hello", "world"], writer="me")
    yield pad
    pad.close()


def say(pad: Any, kind: str, name: str, order: float = 0, **more: Any) -> None:
    """What the page sends."""
    message = {"kind": kind, "id": name, "order": order}
    if kind == "keep":
        message["entry"] = entry(**more)
    pad._handle_custom_msg(message, [])


def test_a_live_pad_is_a_pad_and_a_widget(pad):
    import anywidget

    assert isinstance(pad, hw.Pad)
    assert isinstance(pad, anywidget.AnyWidget)
    assert repr(pad) == "<Pad: A pad to write 2 texts on>"
    assert pad.data["prompts"] == ["hello", "world"]
    assert pad.get_state()["_esm"] == module.module_source(*module.MODULES)


def test_notebooks_get_the_widget_and_pages_the_figure(pad):
    from IPython.core.formatters import DisplayFormatter

    shown, _ = DisplayFormatter().format(pad)
    assert shown["application/vnd.jupyter.widget-view+json"]["model_id"] == pad.model_id
    assert shown["text/html"] == pad.html


def test_what_the_page_says_becomes_samples(pad):
    assert pad.samples == []
    with pytest.raises(ValueError, match="press 'Keep'"):
        _ = pad.sample
    say(pad, "keep", "b", 2, text="world", shift=1)
    say(pad, "keep", "a", 1)
    assert [sample.text for sample in pad.samples] == ["hello", "world"]
    assert pad.sample.text == "world"
    # y up; 2 points 20 ms apart
    assert pad.sample.ink.tolist() == [[0, 0, 0], [3, -4, 1], [4, 7, 1]]
    assert pad.sample.points_per_second == 50
    assert pad.sample.writer == "me"
    say(pad, "keep", "a", 3)  # changed, and kept again
    assert pad.sample.text == "hello"
    say(pad, "drop", "a")
    say(pad, "drop", "a")
    assert [sample.text for sample in pad.samples] == ["world"]


def test_what_the_page_may_not_say(pad):
    for message in ("text", {"kind": "keep"}, {"kind": "other", "id": "a"}):
        pad._handle_custom_msg(message, [])
    assert pad.samples == []
    say(pad, "keep", "a", strokes=[[[1, "x"]]])
    with pytest.raises(CorpusError, match="pad: sample 1, stroke 1, point 1: y is 'x'"):
        _ = pad.samples


def test_samples_are_saved_and_train(pad, tmp_path):
    with pytest.raises(ValueError, match="no line yet"):
        pad.save(tmp_path / "me.json")
    say(pad, "keep", "a")
    pad.save(tmp_path / "me.json")
    (again,) = hw.load_corpus(str(tmp_path / "me.json")).samples
    assert torch.equal(again.ink, pad.sample.ink)
    assert again.points_per_second == 50
    pad.save(tmp_path / "pad.html")
    assert (tmp_path / "pad.html").read_text().startswith("<!doctype html>")
    with pytest.raises(ValueError, match=r"me.txt must end in .json .* or .html"):
        pad.save("me.txt")
    assert hw.make_batch(pad.samples).ink.shape == (1, 3, 3)


# In the page -------------------------------------------------------------------------

browser = pytest.mark.book


class Hand:
    """A pad in the browser, and a hand over it."""

    def __init__(self, page: Any, downloads: Path) -> None:
        self.page, self.downloads = page, downloads

    def send(self, kind: str, **options: Any) -> None:
        self.page.driver.execute_cdp_cmd(f"Input.dispatch{kind}Event", options)

    def box(self) -> dict:
        return self.page.find("canvas.surface").rect

    def mouse(self, kind: str, place: tuple, **options: Any) -> None:
        """One event of a mouse or a pen; places count from the surface's corner."""
        box = self.box()
        x, y = box["x"] + place[0], box["y"] + place[1]
        press = {"button": "left", "buttons": 1, "clickCount": 1}
        self.send("Mouse", type=f"mouse{kind}", x=x, y=y, **press, **options)

    def draw(self, places: list, **options: Any) -> None:
        self.mouse("Pressed", places[0], **options)
        for place in places[1:]:
            self.mouse("Moved", place, **options)
        self.mouse("Released", places[-1], **options)

    def touch(self, kind: str, *places: tuple) -> None:
        box = self.box()
        points = [
            {"x": box["x"] + x, "y": box["y"] + y, "id": number}
            for number, (x, y) in enumerate(places)
        ]
        self.send("Touch", type=f"touch{kind}", touchPoints=points)

    def button(self, label: str) -> Any:
        return self.page.button(label)

    def press(self, *labels: str) -> None:
        self.page.press(*labels)

    def text(self, selector: str) -> str:
        return self.page.run(
            "return roots[0].querySelector(arguments[0]).textContent", selector
        )

    wanted = property(lambda self: self.text(".wanted"))
    said = property(lambda self: self.text("[role=status]"))
    state = property(lambda self: self.text(".note"))

    def strokes(self) -> int:
        label = self.page.find("canvas.surface").get_attribute("aria-label")
        return int(label.split(" strokes")[0].split()[-1])

    def save(self) -> Path:
        """Press "Save file" and wait for the file."""
        file = self.downloads / "ink.json"
        file.unlink(missing_ok=True)
        self.press("Save file")
        end = time.monotonic() + 10
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end, self.said
            time.sleep(0.05)
        return file

    def open(self, content: object, name: str = "me.json") -> str:
        """Open a file with this content; gives what the pad says of it."""
        file = self.downloads / name
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return self.open_file(file)

    def open_file(self, file: Path) -> str:
        self.page.run("roots[0].querySelector('[role=status]').textContent = ''")
        self.page.find("input[type=file]").send_keys(str(file))
        end = time.monotonic() + 30
        while not self.said:
            assert time.monotonic() < end
            time.sleep(0.02)
        return self.said

    def reload(self) -> None:
        self.page.driver.refresh()
        self.page.settle()


@pytest.fixture
def hand(show, driver, tmp_path):
    """Opens a pad in a page; its storage is emptied when the test is over."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(downloads)},
    )

    def open_pad(prompts=("hello", "world", "again"), *before, **options) -> Hand:
        return Hand(show(*before, Pad(list(prompts)), **options), downloads)

    yield open_pad
    driver.execute_script("try { localStorage.clear() } catch {}")


def wave(start: float, points: int = 12) -> list[tuple[float, float]]:
    """A stroke to draw, at whole pixels."""
    return [(start + 2 * i, 60 + (7 * i) % 23) for i in range(points)]


@browser
@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
def test_what_is_drawn_is_what_is_read(hand, width, dark, over_http):
    pad = hand(width=width, dark=dark, over_http=over_http)
    empty = pad.page.pictures()
    drawn = [wave(20), wave(60), wave(120, points=1)]
    for stroke in drawn:
        pad.draw(stroke)
    assert pad.page.pictures() != empty
    file = pad.save()
    contents = json.loads(file.read_text())
    assert (contents["format"], contents["version"]) == (collected.FORMAT, 1)
    times = [
        point[2] for stroke in contents["samples"][0]["strokes"] for point in stroke
    ]
    assert times == sorted(times)
    assert times[0] == 0

    (sample,) = hw.load_corpus(str(file)).samples
    assert (sample.text, sample.writer, sample.kind) == ("hello", "me", "line")
    got = hw.to_strokes(sample.ink)
    first = torch.tensor(drawn[0][0])
    for stroke, places in zip(got, drawn, strict=True):
        wanted = (torch.tensor(places) - first) * torch.tensor([1.0, -1.0])
        torch.testing.assert_close(stroke, wanted, atol=0.02, rtol=0)
    seconds = [(s[-1][2] - s[0][2]) / 1000 for s in contents["samples"][0]["strokes"]]
    assert sample.points_per_second == pytest.approx(22 / sum(seconds), rel=1e-3)


@browser
def test_readings_between_two_frames_are_kept(hand):
    pad = hand()
    pad.mouse("Pressed", (20, 60))
    pad.page.run(
        """
        const surface = roots[0].querySelector('canvas');
        const {left, top} = surface.getBoundingClientRect();
        const move = (x, y, more = {}) => new PointerEvent('pointermove', {
          pointerId: 1, pointerType: 'mouse', clientX: left + x, clientY: top + y,
          composed: true, bubbles: true, ...more});
        const coalescedEvents = [move(22, 61), move(25, 64), move(30, 62)];
        surface.dispatchEvent(move(30, 62, {coalescedEvents}));
        """
    )
    pad.mouse("Released", (30, 62))
    (sample,) = hw.load_corpus(str(pad.save())).samples
    assert sample.ink.tolist() == [[0, 0, 0], [2, -1, 0], [3, -3, 0], [5, 2, 1]]


@browser
def test_a_finger_draws_and_others_do_not(hand):
    pad = hand(width=360)
    pad.touch("Start", (30, 50))
    pad.touch("Move", (40, 55))
    pad.touch("Start", (40, 55), (200, 90))
    pad.touch("Move", (50, 60), (250, 20))
    pad.touch("End")
    pad.touch("Start", (100, 50))
    pad.touch("Move", (120, 70))
    pad.touch("Cancel")  # the system took it for a palm or a gesture
    (sample,) = hw.load_corpus(str(pad.save())).samples
    assert sample.ink.tolist() == [[0, 0, 0], [10, -5, 0], [10, -5, 1]]
    style = "return getComputedStyle(roots[0].querySelector('canvas')).touchAction"
    assert pad.page.run(style) == "none"


@browser
def test_a_pen_presses_and_keeps_palms_away(hand):
    pad = hand()
    pad.draw(wave(20), pointerType="pen", force=0.75)
    pad.touch("Start", (300, 100))
    pad.touch("Move", (320, 110))
    pad.touch("End")
    strokes = json.loads(pad.save().read_text())["samples"][0]["strokes"]
    assert len(strokes) == 1
    assert {point[3] for point in strokes[0]} == {0.75}
    assert hw.load_corpus(str(pad.downloads / "ink.json")).samples[0].text == "hello"


@browser
def test_a_palm_before_the_pen_leaves_no_ink(hand):
    pad = hand()
    pad.touch("Start", (300, 100))
    pad.draw(wave(20), pointerType="pen", force=0.5)
    pad.touch("End")
    (sample,) = hw.load_corpus(str(pad.save())).samples
    assert hw.to_strokes(sample.ink)[0].shape == (12, 2)
    assert sample.ink[:, 2].sum() == 1


@browser
def test_the_right_button_draws_nothing(hand):
    pad = hand()
    box = pad.box()
    for kind in ("Pressed", "Moved", "Released"):
        place = {"x": box["x"] + 50, "y": box["y"] + 50, "button": "right"}
        pad.send("Mouse", type=f"mouse{kind}", **place)
    assert pad.strokes() == 0


@browser
def test_undo_and_clear(hand):
    pad = hand()
    pad.press("Undo")
    assert pad.said == "There is no stroke to undo."
    pad.press("Clear")
    assert pad.said == "There is no ink to clear."
    for start in (20, 60, 100):
        pad.draw(wave(start))
    three = pad.page.pictures()
    pad.press("Undo")
    assert pad.strokes() == 2
    two = pad.page.pictures()
    pad.press("Clear")
    assert pad.strokes() == 0
    assert "Undo brings" in pad.said
    # who uses the keyboard is still where they were
    assert pad.page.run("return roots[0].activeElement.textContent") == "Clear"
    pad.press("Undo")
    assert pad.strokes() == 2
    assert pad.page.pictures() == two != three
    pad.press("Undo", "Undo")
    assert pad.strokes() == 0


KEY_Z = {"key": "z", "code": "KeyZ", "windowsVirtualKeyCode": 90, "modifiers": 2}


def control_z(pad):
    for kind in ("rawKeyDown", "keyUp"):
        pad.page.driver.execute_cdp_cmd(
            "Input.dispatchKeyEvent", {"type": kind, **KEY_Z}
        )


@browser
def test_control_z_takes_a_stroke_back_but_not_from_a_field(hand):
    pad = hand()
    pad.draw(wave(20))
    pad.draw(wave(60))
    control_z(pad)
    assert pad.strokes() == 1
    field = pad.page.find("input[type=text]")
    field.send_keys("abc")
    control_z(pad)
    assert pad.strokes() == 1
    assert field.get_property("value") != "abc"  # the field's own undo


SCREEN = """
const canvas = roots[0].querySelector('canvas.surface');
const {left, top, width, height} = canvas.getBoundingClientRect();
return {left, top, width, height, wide: canvas.clientWidth, tall: canvas.clientHeight};
"""


@browser
@pytest.mark.parametrize("width", [360, 1200])
def test_letters_have_room_on_the_whole_screen(hand, width, driver):
    """On an upright one the surface is turned, and so is what is drawn."""
    pad = hand(("a quiet vow of ink and light",), width=width)
    before = pad.page.run(SCREEN)
    pad.press("Whole screen")
    pad.page.settle()
    box = pad.page.run(SCREEN)
    assert box["wide"] / len(pad.wanted) > 25  # pixels a letter
    assert box["tall"] > 200
    turned = box["height"] > box["width"]
    assert turned == (width == 360)
    # along the line to the right: on an upright screen, down
    for kind, i in [
        ("Pressed", 0),
        *(("Moved", i) for i in range(1, 12)),
        ("Released", 11),
    ]:
        along, across = 60 + 10 * i, 0.5
        place = (
            (box["left"] + across * box["width"], box["top"] + along)
            if turned
            else (box["left"] + along, box["top"] + across * box["height"])
        )
        driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": f"mouse{kind}", "x": place[0], "y": place[1], "button": "left",
             "buttons": int(kind != "Released"), "clickCount": 1},
        )  # fmt: skip
    assert pad.strokes() == 1
    pad.page.run("roots[0].querySelector('dialog .primary').click()")
    assert "Kept." in pad.said
    pad.press("Back to the page")
    pad.page.settle()
    assert pad.page.run(SCREEN) == before
    [sample] = hw.load_corpus(str(pad.save())).samples
    right, up = (sample.ink[:, :2].cumsum(0)[-1] - sample.ink[0, :2]).tolist()
    assert right == pytest.approx(110, abs=1) and up == pytest.approx(0, abs=1)


@browser
def test_the_way_through_the_texts(hand):
    pad = hand()
    pad.press("Keep")
    assert 'Write "hello" on the lines first' in pad.said
    pad.press("Skip")
    assert pad.wanted == "world"
    pad.draw(wave(20))
    assert "not kept yet" in pad.state
    pad.press("Keep")
    assert pad.wanted == "again"
    assert pad.state.endswith("text 3 of 3 · 1 kept in all")
    pad.draw(wave(20))
    pad.press("Keep")
    assert pad.wanted == "hello"  # the one that was skipped
    pad.press("Previous")
    assert (pad.wanted, pad.strokes()) == ("again", 1)
    pad.draw(wave(60))  # a kept line takes further strokes
    pad.press("Skip")
    pad.draw(wave(20))
    pad.press("Keep")
    assert "All 3 texts are written" in pad.said
    samples = hw.load_corpus(str(pad.save())).samples
    assert [(s.text, len(hw.to_strokes(s.ink))) for s in samples] == [
        ("world", 1), ("again", 2), ("hello", 1),
    ]  # fmt: skip


@browser
@pytest.mark.parametrize("over_http", [False, True])
def test_nothing_is_lost_when_the_page_goes(hand, over_http, tmp_path):
    pad = hand()  # over http its server is gone at a reload: see below
    if over_http:
        from browser import serve, visit

        with serve(tmp_path) as site:
            visit(pad.page.driver, f"{site}/page.html")
            check_reload(pad)
            pad.page.run("localStorage.clear()")
    else:
        check_reload(pad)


def check_reload(pad: Hand) -> None:
    pad.draw(wave(20))
    pad.press("Keep")
    pad.draw(wave(30))
    pad.mouse("Pressed", (80, 50))  # and the pen is still down
    pad.mouse("Moved", (90, 60))
    pad.reload()
    assert pad.wanted == "world"
    assert "1 kept in all" in pad.state
    assert pad.strokes() == 2
    pad.mouse("Released", (90, 60))
    pad.draw(wave(120))
    pad.press("Keep")
    samples = json.loads(pad.save().read_text())["samples"]
    assert [len(one["strokes"]) for one in samples] == [1, 3]
    times = [point[2] for stroke in samples[1]["strokes"] for point in stroke]
    assert times == sorted(times)  # a break, not a clock that starts anew


@browser
def test_ink_keeps_its_shape_on_another_screen(hand):
    pad = hand(width=1200)
    pad.draw(wave(20))
    pad = hand(width=360)
    assert pad.strokes() == 1
    pad.draw(wave(20))
    first, second = json.loads(pad.save().read_text())["samples"][0]["strokes"]
    assert [point[:2] for point in first] == [list(place) for place in wave(20)]
    # the sheet is shown smaller here, so the same way on the screen is more of it
    assert second[-1][0] - second[0][0] > 2 * (first[-1][0] - first[0][0])


@browser
@pytest.mark.parametrize("storage", [NO_STORAGE, FULL_STORAGE])
def test_without_storage_it_draws_and_warns(hand, storage):
    pad = hand(("hello",), storage)
    pad.draw(wave(20))
    assert "save a file before you leave" in pad.said
    (sample,) = hw.load_corpus(str(pad.save())).samples
    assert len(sample.ink) == 12


@browser
def test_strange_things_in_the_storage_do_no_harm(hand):
    pad = hand()
    key = Pad(["hello", "world", "again"]).data["key"]
    for name, content in (("a", "{"), ("b", "null"), ("c", '{"text": 3}'), ("at", "?")):
        pad.page.run("localStorage.setItem(...arguments)", f"{key}/{name}", content)
    pad.reload()
    pad.draw(wave(20))
    pad.reload()
    assert (pad.wanted, pad.strokes()) == ("hello", 1)


# Files -------------------------------------------------------------------------------


@browser
def test_a_saved_file_opens_again(hand):
    pad = hand()
    for start in (20, 50):
        pad.draw(wave(start))
        pad.press("Keep")
    first = pad.save().read_text()
    pad.press("Start over")
    assert "Once more removes" in pad.said
    pad.press("Really remove all?")
    assert (pad.state, pad.strokes()) == ("Write this on the line: text 1 of 3", 0)
    assert pad.open(first) == "2 lines from me.json."
    assert pad.strokes() == 1
    assert pad.save().read_text() == first
    assert pad.open(first) == "0 lines from me.json; 2 were here already."
    assert pad.save().read_text() == first


@browser
def test_a_file_from_python_opens_and_comes_back(hand, tmp_path):
    corpus = hw.load_corpus("synthetic", samples=3, seed=5, writers=2)
    collected.save(corpus.samples, tmp_path / "three.json")
    pad = hand()
    assert pad.open_file(tmp_path / "three.json") == "3 lines from three.json."
    pad.press("Previous")
    assert pad.wanted == corpus.samples[2].text
    assert pad.page.drawn()
    again = hw.load_corpus(str(pad.save())).samples
    for one, two in zip(corpus.samples, again, strict=True):
        assert (one.text, one.writer, one.source) == (two.text, two.writer, two.source)
        assert torch.equal(one.ink, two.ink)
        assert torch.equal(one.character_of_point, two.character_of_point)
        assert one.points_per_second == two.points_per_second
    pad.draw(wave(20))  # what was counted for other points is gone
    changed = json.loads(pad.save().read_text())["samples"][2]
    assert not {"character_of_point", "points_per_second"} & set(changed)


BAD = [
    ("{", "is not JSON"),
    ([], "has no samples"),
    ({}, "has no samples"),
    (None, "is null: it must be a list of samples"),
    (3, "is 3: it must be a list of samples"),
    ({"format": "other", "word": {}}, 'the format is "other"'),
    (document(entry(), version=2), "version 2: it must be"),
    (document(entry(), format=TAG), "the format is"),
    (document(), "samples is []"),
    (document(entry(), y="left"), 'y is "left"'),
    (document(3), "sample 1 is 3"),
    (document(entry(text=None)), "sample 1: text is null"),
    (document(entry(), entry(strokes=[])), "sample 2: strokes is []"),
    (document(entry(strokes=[[]])), "sample 1, stroke 1 is []"),
    (document(entry(strokes=[[[1]]])), "stroke 1, point 1 is [1]"),
    (document(entry(strokes=[[[1, 2], [1, 2, 3, 4, 5]]])), "point 2 is [1,2,3,4,5]"),
    (document(entry(strokes=[[[TAG, 2]]])), "point 1: x is"),
    (document(entry(strokes=[[[1, True]]])), "point 1: y is true"),
    (document(entry(strokes=[[{"x": 1}]])), "point 1: y is missing"),
    (document(entry(strokes=[[[1, 2, "0"]]])), 't is "0"'),
    (document(entry(writer=3)), "writer is 3"),
    (document(entry(kind="page")), 'kind is "page"'),
    (document(entry(points_per_second=0)), "points_per_second is 0"),
    (document(entry(character_of_point=[0])), "character_of_point is [0]"),
    (document(entry(character_of_point=[0, 1, 9])), "character_of_point is [0,1,9]"),
    ('{"format": "handwriting_lib.collected", "version": 1, "samples": '
     '[{"text": "l", "strokes": [[[1e999, 0]]]}]}', "x is null"),
]  # fmt: skip
GOOD = [
    document(entry()),
    document(entry(writer=None, strokes=[[[1, 2, None, None]]])),
    document(entry(kind="word", points_per_second=3, character_of_point=[0, 1, 2])),
    document(entry("a"), entry("b"), y="up"),
    document(entry("Zürich"), entry(" "), entry("b")),
    document(entry("it\u2019s \u201cso\u201d\u2026\u200b")),
    {"samples": [entry()]},
    document(entry(strokes=[[{"x": 1, "y": 2, "time": 0}, {"x": 1, "y": 3, "t": 9}]])),
    document(entry(strokes=[[{"x": 1, "y": 2, "pressure": 0.5}]])),
]


LIFTED = "points with the pen up, which are no ink"


def bank_entry(word="l", points=((0, 0, 1), (0.25, 1, 1), (0.25, 1, 0)), **more):
    """A word of a bank."""
    return {"word": word, "points": [list(point) for point in points], **more}


# Three strokes: nineteen points with the pen down and one with the pen up, or twenty
# points with a mark on the last.
LONG = [(i / 60, (i % 7) / 7, int(i % 20 < 19)) for i in range(60)]
ENDS = [(i / 60, (i % 7) / 7, int(i % 20 == 19)) for i in range(60)]
BAD_BANKS = [
    (["l"], 'sample 1 is "l"'),
    ({"l": [[0, 0, 1]]}, "sample 1 is [[0,0,1]]"),
    ([{"points": [[0, 0, 1]]}], "text is null"),
    ([bank_entry(word=3)], "word is 3"),
    ([bank_entry(), {"word": "a"}], "sample 2: points is"),
    ([bank_entry(points=[[0, 0]])], "point 1 is [0,0]"),
    ([{"word": "l", "points": [3]}], "point 1 is 3"),
    ([{"word": "l", "points": [{"x": 0, "pen": 1}]}], "point 1: y is"),
    ([{"word": "l", "points": [{"x": 0, "y": 0, "pen": None, "p": 1}]}], "pen is null"),
    ([bank_entry(points=[[TAG, 0, 1]])], "point 1: x is"),
    ([bank_entry(points=[[0, 0, 2]])], "point 1: pen is 2"),
    ([bank_entry(points=[[0, 0, "1"]])], 'pen is "1"'),
    ([bank_entry(points=[[0, 0, 0]])], "no ink"),
    ([bank_entry(points=[])], "no ink"),
    ([bank_entry(aspect=0)], "aspect is 0"),
    ([bank_entry(aspect=True)], "aspect is true"),
    ([bank_entry(aspect="4")], 'aspect is "4"'),
    ([bank_entry(metadata={"aspectRatio": -1})], "aspectRatio is -1"),
    ([bank_entry(writer=3)], "writer is 3"),
    ([bank_entry(kind="page")], 'kind is "page"'),
    ([bank_entry(points_per_second=0)], "points_per_second is 0"),
    ([bank_entry(character_of_point=[0, 0, 0])], "character_of_point is [0,0,0]"),
]
GOOD_BANKS = [
    [bank_entry()],
    {"hi": bank_entry(None, aspect=3.7), "there": {"points": [[0, 0.1, True]]}},
    [bank_entry(aspect_ratio=0.3, author="ann", source="here", kind="line")],
    [{"asciiSequence": "l", "points": [{"x": 0, "y": 0, "pen": 1}]}],
    [{"points": [{"x": 0, "y": 0.3, "p": 1}, {"x": 0.1, "y": 0, "p": 1}],
      "metadata": {"word": "l", "aspectRatio": 2.3, "author": "bob"}}],
    [bank_entry("Zürich"), bank_entry(" "), bank_entry("b", aspect=1 / 3)],
    [bank_entry("it\u2019s")],
    [{"word": "é", "points": "none of our business"}, bank_entry("b")],
    [bank_entry(points=[[0, 0, 0], [0, 1, 1], [1, 1, 1], [2, 1, 0], [3, 1, 1]])],
    [bank_entry(points_per_second=60, character_of_point=[0, 0])],
    [bank_entry("long", LONG, aspect=4.1)],
    {"__proto__": bank_entry(None, LONG[:30]), "b": bank_entry(None, LONG[30:])},
    [bank_entry("ends", ENDS, aspect=4.1)],
    [bank_entry("three", ENDS[:20]), bank_entry("more", ENDS[20:])],
]  # fmt: skip


FOLDED = [
    "it\u2019s \u201cquoted\u201d \u2014 \u2018so\u2019\u2026\ufeff",
    "a\u00a0b\tc \u2022 5\u2032",
    "soft\u00adhyphen\u200b\u061c\U000e0041", "Zürich, łódź, straße, Ångström, Ærø",
    "Zu\u0308rich x\u0301", "\u0939\u093f\u0928\u094d\u0926\u0941", "5 ° C °",
    "½ cup of ﬁne x² ± 20°C", "漢字 and \x7f\n", "plain ~!", "",
]  # fmt: skip


@browser
@pytest.mark.parametrize("accents", [False, True])
def test_page_and_python_fold_the_same_way(run_module, accents):
    told = run_module(
        ["folding"],
        """
        return given.texts.map((text) => {
          const made = foldText(text, given.tables, given.accents);
          return [made.text, Object.fromEntries(made.replaced)];
        });
        """,
        texts=FOLDED,
        tables=FOLDING,
        accents=accents,
    )
    for text, (folded, replaced) in zip(FOLDED, told, strict=True):
        assert (folded, replaced) == fold(text, accents=accents), text


@browser
def test_page_and_python_read_the_same_files(run_module):
    """One format, two readers: they agree on what they take and what they refuse."""
    bad, good = [*BAD, *BAD_BANKS], [*GOOD, *GOOD_BANKS]
    texts = [one if isinstance(one, str) else json.dumps(one) for one, _ in bad]
    told = run_module(
        ["folding", "collected"],
        """
        return given.texts.map((text) => {
          try { return readCollected("me.json", text, given.folding); }
          catch (problem) { return problem.message; }
        });
        """,
        texts=texts + [json.dumps(one) for one in good],
        folding=FOLDING,
    )
    for text, page, (_, words) in zip(texts, told, bad, strict=False):
        assert isinstance(page, str) and page.startswith("me.json") and words in page
        with pytest.raises(CorpusError, match=r"me\.json"):
            collected.from_json(parse(text.encode(), "me.json"), name="me.json")
    for page, content in zip(told[len(bad) :], good, strict=True):
        # the page finds out what `pen` means, Python is told
        pen = "end_of_stroke" if content in GOOD_BANKS[-2:] else "down"
        corpus = collected.from_json(content, name="me.json", pen=pen)
        lifted = corpus.skipped.pop(LIFTED, 0)
        assert page["left"] == sum(corpus.skipped.values())
        said = " ".join(page["remarks"])
        assert ("last point of a stroke" in said) == (pen == "end_of_stroke")
        assert (f"{lifted} points with the pen up" in said) == (lifted > 0)
        again = document(
            *({"text": one["text"], "strokes": one["strokes"], **one["extra"]}
              for one in page["entries"])
        )  # fmt: skip
        read = collected.from_json(again, name="me.json").samples
        for one, two in zip(read, corpus.samples, strict=True):
            for key in ("text", "writer", "kind", "points_per_second"):
                assert getattr(one, key) == getattr(two, key), key
            assert torch.equal(one.ink, two.ink)
            given = [s.character_of_point for s in (one, two)]
            assert (given[0] is None) == (given[1] is None)
            assert given[0] is None or torch.equal(*given)
            if content in GOOD_BANKS:
                assert one.source == two.source


@browser
@pytest.mark.parametrize("content", ["{", document(entry(), format=TAG)])
def test_a_bad_file_changes_nothing_and_shows_as_text(hand, content):
    pad = hand()
    pad.draw(wave(20))
    said = pad.open(content, name=f"{TAG}.json")
    assert said.startswith(f"{TAG}.json")
    if isinstance(content, dict):
        assert "<img src=x onerror" in said.removeprefix(TAG)
    assert pad.strokes() == 1
    assert pad.page.run("return roots[0].querySelectorAll('img').length") == 0


@browser
def test_text_from_outside_shows_as_typed(hand):
    pad = hand((TAG, "two"))
    assert pad.wanted == TAG
    pad.draw(wave(20))
    pad.press("Keep")
    pad.open(document(entry(TAG, writer=TAG, source=TAG)))
    pad.press("Previous")
    assert pad.wanted == TAG
    texts = [sample.text for sample in hw.load_corpus(str(pad.save())).samples]
    assert texts == [TAG, TAG]
    assert pad.page.run("return roots[0].querySelectorAll('img').length") == 0


@browser
@pytest.mark.parametrize("width, dark", [(1200, False), (360, True)])
def test_a_word_bank_opens_and_comes_back(hand, width, dark):
    bank = [
        bank_entry("three", LONG, aspect=4.1, writer=TAG),
        bank_entry("world", LONG[:40], aspect=2.5),
        bank_entry("Zürich", LONG),
    ]
    pad = hand(width=width, dark=dark)
    assert pad.open(bank, name="bank.json") == (
        "2 lines from bank.json; 1 left out: a text outside the alphabet; "
        "5 points with the pen up are no ink."
    )
    assert pad.open(bank, name="bank.json").startswith("0 lines from bank.json; 2 were")
    pad.press("Skip")
    assert (pad.wanted, pad.strokes()) == ("world", 2)
    assert pad.page.drawn()
    corpus = hw.load_corpus(str(pad.downloads / "bank.json"))
    again = hw.load_corpus(str(pad.save())).samples
    for one, two in zip(corpus.samples, again, strict=True):
        assert (one.text, one.writer, one.source) == (two.text, two.writer, two.source)
        assert one.kind == two.kind == "word"
        assert torch.equal(one.ink, two.ink)


@browser
def test_large_files_and_long_lines(hand):
    pad = hand()
    said = pad.open(" " * 20_000_001, name="large.json")
    assert said == (
        "large.json has 21 MB, and a pad reads up to 20: load it in Python with "
        "load_corpus"
    )
    stroke = [[i / 10, 50 + i % 40, i] for i in range(10_000)]
    start = time.monotonic()
    assert pad.open(document(entry(strokes=[stroke]))) == "1 line from me.json."
    pad.page.settle()
    assert time.monotonic() - start < 10  # a tenth of it, with nothing else to do
    assert hw.load_corpus(str(pad.save())).samples[0].ink.shape == (10_000, 3)
    frame = pad.page.run(
        """
        const start = performance.now();
        for (let i = 0; i < 5; i++) roots[0].querySelectorAll('button')[2].click();
        return performance.now() - start;
        """
    )
    assert frame < 2000
    pad.draw(wave(20))
    assert pad.strokes() == 2


# Replay, keys, and the reader's wishes -----------------------------------------------


@browser
def test_replay_takes_the_time_that_writing_took(hand):
    pad = hand()
    stroke = [[10 + 30 * i, 50 + 40 * (i % 2), 100 * i] for i in range(13)]  # 1.2 s
    pad.open(document(entry(strokes=[stroke])))
    whole = pad.page.pictures()
    seconds = pad.page.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        const root = document.querySelector('div[data-live]').shadowRoot;
        const replay = root.querySelectorAll('button')[2];
        const start = performance.now();
        replay.click();
        const wait = () => replay.textContent === 'Stop' ? requestAnimationFrame(wait)
          : done((performance.now() - start) / 1000);
        requestAnimationFrame(wait);
        """
    )
    assert 1.15 < seconds < 3
    assert pad.page.pictures() == whole
    pad.press("Replay")
    assert pad.page.pictures() != whole
    pad.press("Stop")
    assert pad.page.pictures() == whole
    pad.press("Replay")
    pad.draw(wave(20))  # drawing ends it
    assert pad.button("Replay").is_enabled()
    assert pad.strokes() == 2


@browser
def test_long_breaks_do_not_hold_a_replay_up(run_module):
    strokes = [
        [[0, 0, 0], [1, 1, 20]],
        [[2, 2, 90_000], [3, 3, 90_030]],
        [[4, 4]],
        [[5, 5]],
    ]
    times = run_module(
        module.MODULES, "return timeline(given.strokes)", strokes=strokes
    )
    assert times == [0, 20, 1020, 1050, 1060, 1070]


@browser
def test_with_less_motion_the_line_is_there_at_once(hand):
    pad = hand(reduced=True)
    pad.draw(wave(20))
    whole = pad.page.pictures()
    pad.press("Replay")
    assert pad.page.pictures() == whole
    assert "shown at once" in pad.said


@browser
def test_every_control_is_reached_by_keyboard_and_has_a_name(hand):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    pad = hand(width=360)
    pad.draw(wave(20))
    pad.page.run("document.activeElement.blur(); window.focus()")
    reached = []
    for _ in range(14):
        ActionChains(pad.page.driver).send_keys(Keys.TAB).perform()
        at = pad.page.run(
            "const at = roots[0].activeElement;"
            "return at && (at.getAttribute('aria-label') || at.textContent)"
        )
        if at:
            reached.append(at)
    assert reached[:12] == [
        "Undo the last stroke", "Clear this line", "Replay", "Whole screen to write on",
        "Previous text", "Skip to the next text", "Keep this line and go on",
        "A text of your own to write", "Write this", "Save file of the ink",
        "Open file of ink", "Start over",
    ]  # fmt: skip
    button = pad.button("Keep")
    button.send_keys(Keys.ENTER)
    assert pad.wanted == "world"
    label = pad.page.find("canvas").get_attribute("aria-label")
    assert label.startswith('Surface to write "world" on, with mouse, pen or finger')


@browser
def test_a_text_of_one_s_own(hand):
    from selenium.webdriver.common.keys import Keys

    pad = hand()
    field = pad.page.find("input[type=text]")
    pad.press("Write this")
    assert "Type a text" in pad.said
    pad.page.run("arguments[0].value = '漢'", field)
    pad.press("Write this")
    assert "The alphabet has no “漢”" in pad.said
    field.clear()
    field.send_keys("It\u2019s Z\u00fcrich", Keys.ENTER)
    assert pad.wanted == "It's Zurich"
    assert "Written instead: ' for \u2019, u for \u00fc." in pad.said
    pad.press("Skip")
    field.send_keys("my own hand", Keys.ENTER)
    assert pad.wanted == "my own hand"
    pad.draw(wave(20))
    pad.reload()
    assert (pad.wanted, pad.strokes()) == ("my own hand", 1)
    assert hw.load_corpus(str(pad.save())).samples[0].text == "my own hand"


@browser
def test_python_hears_of_each_line(show, driver, tmp_path):
    source = module.module_source(*module.MODULES)
    data = json.dumps(Pad(["one", "two"]).pad_data)
    page = show(
        "<div data-live></div><script type=module>" + source + "window.told = [];"
        f"mount(document.querySelector('div'), {data}, (one) => window.told.push(one));"
        "</script>"
    )
    hand = Hand(page, tmp_path)

    def told() -> list:
        return page.run("return window.told.splice(0)")

    try:
        hand.draw(wave(20))
        assert told() == []
        hand.press("Keep")
        (first,) = told()
        assert (first["kind"], first["order"]) == ("keep", 1)
        assert first["entry"]["text"] == "one"
        assert len(first["entry"]["strokes"]) == 1
        hand.press("Previous")
        hand.draw(wave(50))
        (second,) = told()
        assert second["id"] == first["id"]
        assert len(second["entry"]["strokes"]) == 2
        hand.press("Clear")
        assert told() == [{"kind": "drop", "id": first["id"]}]
        hand.press("Undo")
        assert told() == [second]
        hand.reload()
        assert told() == [second]  # a new view tells what the browser remembers
        assert collected.from_json(document(second["entry"])).samples[0].text == "one"
        hand.press("Start over", "Really remove all?")
        assert told() == [{"kind": "drop", "id": first["id"]}]
    finally:
        driver.execute_script("localStorage.clear()")
