"""Own hand: a line on the surface becomes the style that Python makes of its ink."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.data.batches import pad_texts
from handwriting_lib.data.transforms import split_by_writer
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.widgets import OwnHand, Pad, Studio, own_hand, studio
from handwriting_lib.writing.styles import Style

from .conftest import HOSTILE
from .test_pad import FULL_STORAGE, NO_STORAGE, Hand

TEXT = "just a quick line"
ROOT = Path(__file__).parents[2]
UNIPEN = Path(
    os.environ.get("UNIPEN", ROOT.parent / "shared/data/unipen/train_r01_v07.tar.xz")
)
TENSORS = [f"layers.{i}.{part}" for i in range(3) for part in "hc"]
TENSORS += ["w", "kappa", "point"]
MODULES = (*studio.MODULES, *own_hand.READS[:-1])  # without `mount`
TO_BYTES = """
const toBytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0)).buffer;
"""
READ = """
const engine = new Engine(loadPack(decode(given.pack)));
return given.lines.map(({text, strokes}) => {
  const priming = new Priming(engine, strokes, text);
  while (!priming.done) priming.step();
  const {h, c, w, kappa, point} = priming.style;
  const tensors = [...h.flatMap((one, l) => [one, c[l]]), w, kappa, point];
  return {tensors: tensors.map(one => Array.from(one)), nats: priming.nats,
          problem: priming.problem, at: largest(priming.phi)};
});
"""


@pytest.fixture(scope="module")
def model():
    return hw.load_pretrained(own_hand.MODEL)


def synthetic(text: str = TEXT, seed: int = 20) -> hw.Sample:
    """A line that no person wrote, with raw points."""
    how = {"samples": 1, "texts": [text], "writers": 1, "seed": seed}
    return hw.load_corpus("synthetic", **how).samples[0]


@pytest.fixture(scope="module")
def strangers():
    """A line each by writers whom the network has not met."""
    if not UNIPEN.exists():
        pytest.skip("needs the UNIPEN archive ($UNIPEN)")
    samples = hw.load_corpus(f"unipen:{UNIPEN}").samples
    lines = {}
    for s in split_by_writer(samples).validation:
        if s.kind == "line" and 12 <= len(s.text) <= 24 and s.text.islower():
            lines.setdefault(s.writer, s)
    return sorted(lines.values(), key=lambda s: s.writer)[:10]


def strokes_of(sample: hw.Sample, width: float = 700, left: float = 10) -> list:
    """Ink as a pad has it: pixels, y down, whole hundredths."""
    parts = hw.to_strokes(sample.ink.double())
    every = torch.cat(parts)
    low, high = every.amin(0), every.amax(0)
    scale = float(min(width / (high - low)[0], 90 / (high - low)[1]))
    return [
        [
            [round(left + scale * float(x - low[0]), 2),
             round(20 + scale * float(high[1] - y), 2)]
            for x, y in part
        ]
        for part in parts
    ]  # fmt: skip


@torch.inference_mode()
def prime(model: hw.Model, sample: hw.Sample) -> tuple[list[Tensor], float]:
    """What `make_style` keeps before it rounds, and the nats per point of the ink."""
    (scaled,) = hw.scale_by_writer([sample])
    ink = model.normalisation.apply(model.thinning(scaled.ink)[0])
    ink[0, :2], ink[-1, 2] = 0, 1
    slots, mask = pad_texts([sample.text.rstrip() + " "])
    mask[:, -1] = False
    out = model.network(ink[None, :-1], slots, mask)
    state = out.state
    found = [part[0] for layer in state.layers for part in layer]
    nats = (
        -out.mixture().log_prob(ink[None, 1:]).mean() + model.normalisation.log_jacobian
    )
    return [*found, state.w[0], state.kappa[0], ink[-1]], float(nats)


def tensors_of(style: Style) -> list[Tensor]:
    state = style.state
    found = [part[0] for layer in state.layers for part in layer]
    return [*found, state.w[0], state.kappa[0], style.point]


def agree(found, expected, tolerance: float = 1e-3) -> float:
    """Each tensor to a share of its largest value; gives the largest share."""
    shares = []
    for name, one, other in zip(TENSORS, found, expected, strict=True):
        one = torch.as_tensor(one)
        assert one.shape == other.shape, name
        shares.append(float((one - other).abs().max() / other.abs().max()))
        assert shares[-1] <= tolerance, (name, shares[-1])
    return max(shares)


# In Python ---------------------------------------------------------------------------


def test_prompts_fit_a_phone_and_make_primes():
    assert all(15 <= len(prompt) <= 20 for prompt in own_hand.PROMPTS)


def test_bad_arguments():
    with pytest.raises(hw.ModelError, match="choose a synthesis network"):
        OwnHand(hw.load_pretrained("unipen-free"))
    with pytest.raises(ValueError, match="'Zürich' has 'ü'"):
        OwnHand(text="Zürich")
    with pytest.raises(ValueError, match="at least one prompt"):
        OwnHand(prompts=[])
    with pytest.raises(ValueError, match="int4"):
        OwnHand(precision="int4")


def test_a_page_has_only_what_it_uses():
    pages = {
        "studio": Studio(text="hi", precision="int8", styles=[]).html,
        "pad": Pad(["hi"]).html,
        "own": OwnHand().html,
    }
    has = {
        "class Priming": {"own"},
        "function writeStyle": {"own"},
        "function writingSurface": {"own", "pad"},
        "function makeStore": {"own", "pad"},
        "class Engine": {"own", "studio"},
        "function readCollected": {"pad"},
    }
    for words, names in has.items():
        assert {name for name, page in pages.items() if words in page} == names, words
    assert len(pages["own"]) < 3_000_000


def test_the_chapter_is_linked_from_the_book_and_from_elsewhere(monkeypatch):
    chapter = "12_style.html#sec-12-fair"
    assert f'/book/{chapter}"' in OwnHand().html
    monkeypatch.setenv(studio.FOLDER, "packs")
    assert f'"chapter":"{chapter}"' in OwnHand().html


# The numbers -------------------------------------------------------------------------

browser = pytest.mark.book


def read_in_the_page(run_module, model, samples, precision="float32"):
    """What the page's engine keeps of lines, given as the strokes of a pad."""
    lines = [{"text": s.text, "strokes": strokes_of(s)} for s in samples]
    pack = base64.b64encode(browser_pack(model, precision)).decode()
    document = {
        "format": "handwriting_lib.collected",
        "version": 1,
        "samples": [one | {"writer": str(i)} for i, one in enumerate(lines)],
    }
    saved = hw.corpora.collected.from_json(document).samples
    return run_module(MODULES, READ, pack=pack, lines=lines), saved


@browser
def test_the_page_reads_a_line_as_python_does(run_module, model):
    samples = [synthetic(seed=seed) for seed in (5, 20)]
    samples.append(synthetic("Halley, 1986: 24 + 36", 12))
    found, saved = read_in_the_page(run_module, model, samples)
    for page, sample in zip(found, saved, strict=True):
        expected, nats = prime(model, sample)
        agree(page["tensors"], expected)
        assert page["nats"] == pytest.approx(nats, abs=1e-3)
        assert page["problem"] == ""


@browser
@pytest.mark.slow
def test_it_reads_lines_of_strangers_as_python_does(run_module, model, strangers):
    found, saved = read_in_the_page(run_module, model, strangers)
    for page, sample in zip(found, saved, strict=True):
        expected, nats = prime(model, sample)
        agree(page["tensors"], expected)
        assert page["nats"] == pytest.approx(nats, abs=1e-3)


@browser
def test_the_bytes_of_a_file_are_those_of_python(run_module, model, tmp_path):
    file = tmp_path / "me.safetensors"
    hw.save_style(hw.make_style(model, synthetic('"a\\b" & <c>')), file)
    content = file.read_bytes()
    data = json.loads(
        OwnHand(prompts=["a"]).html.split('json">')[1].split("</script")[0]
    )
    written = run_module(
        MODULES,
        TO_BYTES
        + """
        const {config, fingerprint} = given.network;
        checkStyle("me", toBytes(given.file), given.network);
        const style = loadStyle(toBytes(given.file));
        return Array.from(new Uint8Array(writeStyle(style, config, fingerprint)));
        """,
        file=base64.b64encode(content).decode(),
        network=data["network"],
    )
    assert bytes(written) == content


@browser
def test_half_precision_rounds_as_torch_does(run_module):
    numbers = torch.cat([
        torch.randn(2000) * torch.logspace(-9, 4, 2000),
        torch.tensor([0.0, 2**-24, 2**-25, 3 * 2**-25, 2**-14, 1 - 2**-12, 1 + 2**-11]),
        torch.tensor([2049.0, 2051.0, 65504.0, 1023.75, 0.333251953125]),
    ])  # fmt: skip
    bits = run_module(
        ["style_file"], "return given.numbers.map(toHalf)", numbers=numbers.tolist()
    )
    expected = numbers.half().view(torch.int16).to(torch.int32) & 0xFFFF
    assert bits == expected.tolist()


# The widget --------------------------------------------------------------------------


class Writer(Hand):
    """A page with a surface, and a hand that writes lines of ink on it."""

    def write(self, sample: hw.Sample) -> None:
        """The strokes of a sample: presses and lifts, and readings between frames."""
        box = self.box()
        for stroke in strokes_of(sample, box["width"] - 24, 12):
            self.mouse("Pressed", stroke[0])
            self.page.run(
                """
                const [places] = arguments;
                const surface = roots[0].querySelector('canvas.surface');
                const {left, top} = surface.getBoundingClientRect();
                const move = ([x, y], more = {}) => new PointerEvent('pointermove', {
                  pointerId: 1, pointerType: 'mouse', composed: true, bubbles: true,
                  clientX: left + x, clientY: top + y, ...more});
                surface.dispatchEvent(
                  move(places.at(-1), {coalescedEvents: places.map(one => move(one))}));
                """,
                stroke,
            )
            self.mouse("Released", stroke[-1])

    def make(self, sample: hw.Sample) -> str:
        """Write a line, press the button; gives what is said when it was read."""
        self.write(sample)
        self.press("Write in my hand")
        return self.until(lambda: self.said != "Reading your line." and self.said)

    def until(self, condition, seconds: float = 60):
        """Wait until a condition holds. The limit allows for a busy machine."""
        end = time.monotonic() + seconds
        while not (held := condition()):
            assert time.monotonic() < end, self.said
            time.sleep(0.05)
        return held

    def studio(self) -> str:
        """What the Studio says, "" where there is none."""
        return self.page.run(
            "const [, one] = roots[0].querySelectorAll('[role=status]');"
            "return one?.textContent ?? ''"
        )

    def finished(self) -> int:
        """Wait until the text is written at once; gives the number of points."""
        self.page.run(
            "const one = [...roots[0].querySelectorAll('select')].at(-1);"
            "one.value = '0'; one.dispatchEvent(new Event('change'));"
        )
        return int(
            self.until(lambda: "points" in self.studio() and self.studio()).split()[0]
        )

    def type(self, text: str) -> None:
        self.page.run(
            "const one = roots[0].querySelector('textarea');"
            "one.value = arguments[0];"
            "one.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}));",
            text,
        )

    def hands(self) -> list[str]:
        """The hands that can be chosen, the one that is first."""
        return self.page.run(
            "const one = roots[0].querySelector('select');"
            "return one ? [...one.options].map(option => option.textContent) : []"
        )

    def chosen(self) -> str:
        return self.page.run(
            "const one = roots[0].querySelector('select');"
            "return one.options[one.selectedIndex].textContent"
        )

    def rename(self, name: str) -> None:
        self.page.run(
            "const one = roots[0].querySelector('input.name');"
            "one.value = arguments[0]; one.dispatchEvent(new Event('change'));",
            name,
        )

    def save_hand(self, name: str) -> Path:
        file = self.downloads / f"{name}.safetensors"
        self.press("Save hand")
        self.until(file.exists, 10)
        time.sleep(0.1)
        return file

    def load(self, *files: Path) -> str:
        self.page.run("roots[0].querySelector('[role=status]').textContent = ''")
        self.page.find("input[type=file]").send_keys("\n".join(map(str, files)))
        return self.until(lambda: self.said)


@pytest.fixture
def writer(show, driver, tmp_path):
    """Opens the widget in a page; its storage is emptied when the test is over."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(downloads)},
    )

    def open_page(widget=None, *before, **options) -> Writer:
        widget = widget or OwnHand(prompts=[TEXT, "the pen remembers"], text="hi")
        return Writer(show(*before, widget, **options), downloads)

    yield open_page
    driver.execute_script("try { localStorage.clear() } catch {}")


def check_whole_way(writer, model, line, tmp_path):
    """The line on the pad gives ink, on Own hand a style: Python's of that ink."""
    text = line.text
    on_pad = writer(Pad([text]))
    on_pad.write(line)
    (sample,) = hw.load_corpus(str(on_pad.save())).samples

    page = writer(OwnHand(model, "hi", prompts=[text], precision="float32"))
    assert "Read to the end of the line" in page.make(line)
    file = page.save_hand("my hand")
    mine = hw.load_style(file, model)
    theirs = hw.make_style(model, sample)
    assert (mine.text, mine.model, mine.name) == (text, theirs.model, "my hand")
    agree(tensors_of(mine), tensors_of(theirs))
    return page, file


@browser
def test_a_line_on_the_surface_gives_the_style_of_its_ink(writer, model, tmp_path):
    page, file = check_whole_way(writer, model, synthetic(), tmp_path)
    # the file as it is, in Python and on the command line
    text = "a long text is written in one hand, line after line"
    page.type(text)
    points = page.finished()
    names = {"hw": hw}
    code = page.page.find("code").text
    assert 'style="my hand.safetensors"' in code
    exec(code.replace("my hand.safetensors", str(file)), names)
    assert len(names["lines"]) == 2
    assert sum(len(line.ink) for line in names["lines"]) == points
    picture = tmp_path / "line.svg"
    main(["write", "by hand", "--style", str(file), "--out", str(picture)])
    assert picture.read_text().startswith("<svg")


@browser
@pytest.mark.slow
def test_a_line_of_a_stranger_gives_the_style_of_its_ink(
    writer, model, strangers, tmp_path
):
    check_whole_way(writer, model, strangers[0], tmp_path)


@browser
def test_a_saved_page_writes_offline_on_a_phone(driver, writer, tmp_path):
    from browser import visit

    page = tmp_path / "own.html"
    OwnHand(prompts=[TEXT]).save(page)
    offline = {
        "offline": True,
        "latency": 0,
        "downloadThroughput": 0,
        "uploadThroughput": 0,
    }
    writing = writer()  # for its page object
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        visit(driver, page.as_uri(), width=360, dark=True)
        assert "Read to the end" in writing.make(synthetic())
        writing.type("the quick brown fox")
        writing.finished()
        assert "incomplete" not in writing.studio()
        assert writing.page.drawn()
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 360
    finally:
        online = offline | {
            "offline": False,
            "downloadThroughput": -1,
            "uploadThroughput": -1,
        }
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", online)


@browser
def test_the_network_comes_with_the_first_stroke(driver, tmp_path, monkeypatch):
    from browser import console, requests, serve, visit

    from .conftest import Page

    monkeypatch.setenv(studio.FOLDER, "packs")
    (tmp_path / "packs").mkdir()
    name = f"{own_hand.MODEL}-int8"
    studio.write_pack(name, tmp_path / "packs")
    (tmp_path / "page.html").write_text(
        f"<!doctype html><link rel=icon href='data:,'>{OwnHand().html}",
        encoding="utf-8",
    )
    with serve(tmp_path) as site:
        requests(driver)
        console(driver)
        visit(driver, f"{site}/page.html")
        page = Writer(Page(driver), tmp_path)
        page.page.settle()
        assert {Path(one).name for one in requests(driver)} == {"page.html"}
        page.draw([(20, 60), (30, 70)])
        asked = []
        page.until(lambda: asked.extend(requests(driver)) or asked, 10)
        assert [Path(one).name for one in asked] == [f"{name}.bin"]
        # once it has gone, that is said, and the next try finds it
        for file in (tmp_path / "packs").iterdir():
            file.rename(file.with_suffix(".gone"))
        visit(driver, f"{site}/page.html")
        page.draw([(20, 60), (30, 70)])
        page.press("Write in my hand")
        page.until(lambda: f"packs/{name}.bin: 404" in page.said)
        (tmp_path / "packs" / f"{name}.gone").unlink(missing_ok=True)
        studio.write_pack(name, tmp_path / "packs")
        page.press("Write in my hand")
        page.until(lambda: "404" not in page.said and "Reading" not in page.said)
    console(driver)


# Ink that does not do ----------------------------------------------------------------


def cut(sample: hw.Sample, characters: int) -> hw.Sample:
    """The ink of the first characters alone."""
    rows = sample.character_of_point < characters
    ink = sample.ink[rows].clone()
    ink[-1, 2] = 1
    return sample.replace(ink=ink, character_of_point=None)


def shaken(sample: hw.Sample) -> hw.Sample:
    """The ink of a pen that shook."""
    (scaled,) = hw.scale_by_writer([sample])
    places = hw.offsets_to_positions(scaled.ink)
    places[:, :2] += 0.2 * torch.randn(len(places), 2)
    return sample.replace(ink=hw.positions_to_offsets(places))


@browser
def test_ink_that_does_not_take_is_refused_and_another_line_asked_for(writer):
    page = writer(OwnHand(prompts=[TEXT, "a hand"], text="hi"))
    page.press("Write in my hand")
    assert page.said == f"Write “{TEXT}” on the line first."
    page.draw([(20, 60)])
    page.press("Write in my hand")
    page.until(lambda: "A single point does not show a hand" in page.said)
    page.press("Clear")
    for wanted, line, words in [
        (TEXT, cut(synthetic(), 8), "the ink says less than the line"),
        (
            "a hand",
            synthetic("a hand like no other"),
            "the ink says more than the line",
        ),
        (TEXT, shaken(synthetic()), "did not expect this ink"),
    ]:
        assert page.wanted == wanted
        said = page.make(line)
        assert words in said
        assert said.endswith("Please write this line instead.")
        assert "wrong" in page.page.find("[role=status]").get_attribute("class")
        assert page.strokes() == 0
    assert (page.hands(), page.studio()) == ([], "")


@browser
def test_undo_and_clear(writer):
    page = writer()
    page.press("Undo")
    assert page.said == "There is no stroke to undo."
    page.draw([(20, 60), (30, 70)])
    page.draw([(50, 60), (60, 70)])
    two = page.page.pictures()
    page.press("Clear")
    assert page.strokes() == 0
    page.press("Undo")
    assert page.strokes() == 2
    assert page.page.pictures() == two
    page.press("Undo", "Undo")
    assert page.strokes() == 0
    page.press("Another line")
    assert page.wanted == "the pen remembers"


# Files -------------------------------------------------------------------------------


def damaged(content: bytes, change) -> bytes:
    """A style file whose tensors were changed."""
    size = int.from_bytes(content[:8], "little")
    about = json.loads(content[8 : 8 + size])["__metadata__"]
    tensors = safetensors.torch.load(content)
    change(tensors)
    return safetensors.torch.save(tensors, about)


@browser
def test_files_that_are_no_styles_are_refused_in_one_sentence(writer, model, tmp_path):
    file = tmp_path / "good.safetensors"
    hw.save_style(hw.make_style(model, synthetic()), file)
    good = file.read_bytes()
    small = hw.load_pretrained("unipen-184")
    hw.save_style(hw.make_style(small, synthetic()), file)
    other = file.read_bytes()
    page = writer()
    bad = {
        "empty": (b"", "is not a style file"),
        "text": (b"hello, I am no style at all", "is not a style file"),
        "size": (b"\xff" * 8 + good[8:], "is not a style file"),
        "model": (browser_pack(model, "int8"), "is not a style file"),
        "unwritable": (good.replace(b"just a", b"just\\u00e9"), "is not a style file"),
        "other": (other, "was made with the network 2:"),
        "short": (good[:-10], "is damaged"),
        "nan": (damaged(good, lambda t: t["w"].fill_(float("nan"))), "is damaged"),
        "less": (damaged(good, lambda t: t.pop("w")), "is damaged"),
        "more": (damaged(good, lambda t: t.update(x=torch.zeros(1))), "is damaged"),
        "shape": (
            damaged(good, lambda t: t.update(w=t["w"].reshape(2, 48))),
            "is damaged",
        ),
        "type": (damaged(good, lambda t: t.update(w=t["w"].half())), "is damaged"),
        "header": (good.replace(b'"shape":[3]', b'"shape":333'), "is damaged"),
    }
    for name, (content, words) in bad.items():
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(content)
        said = page.load(file)
        assert said.startswith(f"{name}.safetensors") and words in said, (name, said)
        assert said.count(":") >= 1 and said.endswith("."), said
    assert page.hands() == []


@browser
def test_a_style_from_python_writes_the_ink_of_python(writer, model, tmp_path):
    """One that was made, and one that ships and is in an older format."""
    file = tmp_path / "zoe & co.safetensors"
    hw.save_style(hw.make_style(model, synthetic()), file)
    text = "here and there"
    page = writer(OwnHand(model, text, precision="float32", seed=4))
    assert page.load(file) == "Loaded zoe & co.safetensors. "
    points = page.finished()
    for one in (file, hw.find_style("elm", model)):
        if one is not file:
            shipped = tmp_path / "elm.safetensors"
            hw.save_style(one, shipped)
            page.load(shipped)
            points = page.finished()
        line = hw.write(text, model, style=one, bias=1.0, seed=4)[0]
        assert len(line.ink) == points
    assert page.hands() == ["its own", "zoe & co", "elm"]
    assert page.load(file) == "zoe & co.safetensors is here already, as “zoe & co”."
    assert page.chosen() == "zoe & co"
    assert page.save_hand("zoe & co").read_bytes() == file.read_bytes()


# What stays --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def styles(model, tmp_path_factory):
    """Six style files."""
    folder = tmp_path_factory.mktemp("styles")
    files = [folder / f"{name}.safetensors" for name in "abcdef"]
    for seed, file in enumerate(files):
        hw.save_style(hw.make_style(model, synthetic("a hand", seed)), file)
    return files


@browser
def test_five_hands_stay_in_the_browser(writer, styles):
    page = writer()
    page.load(*styles[:5])
    page.until(lambda: len(page.hands()) == 6)
    assert page.load(styles[5]).endswith(
        "Only 5 hands are kept here: save this one to a file, or delete another."
    )
    assert page.hands() == ["its own", *"abcdef"]
    page.reload()
    page.until(lambda: page.hands() == ["its own", *"abcde"])
    assert page.chosen() == "e"  # the last, and it writes
    page.until(lambda: page.studio() != "Loading the network.")
    page.rename("Ada's hand")
    assert page.said == "It is called “Ada's hand” now."
    page.rename("a")
    assert page.chosen() == "a 2"  # names are told apart
    page.rename("  ")
    assert page.chosen() == "a 2"
    page.press("Delete")
    assert page.said == "Once more deletes “a 2” from this browser."
    page.press("Really delete?")
    assert page.hands() == ["its own", *"abcd"]
    page.load(styles[4])
    page.reload()
    page.until(lambda: page.hands() == ["its own", *"abcde"])
    for _ in range(5):
        page.press("Delete", "Really delete?")
    assert page.hands() == ["its own"]
    page.press("Delete")
    assert page.said == "Choose a hand of yours first."
    page.reload()
    assert page.hands() == []


@browser
@pytest.mark.parametrize("storage", [NO_STORAGE, FULL_STORAGE])
def test_without_storage_it_writes_and_warns(writer, styles, storage):
    page = writer(None, storage)
    warning = "This browser keeps nothing here: save the hand to a file."
    assert page.make(synthetic()).endswith(warning)
    assert page.load(styles[0]).endswith(warning)
    assert page.hands() == ["its own", "my hand", "a"]
    assert page.finished() > 10


@browser
def test_strange_things_in_the_storage_do_no_harm(writer, styles):
    page = writer()
    page.load(styles[0])
    page.page.run(
        """
        const [good] = Object.keys(localStorage);
        const one = JSON.parse(localStorage.getItem(good));
        const prefix = good.slice(0, good.lastIndexOf('/') + 1);
        const put = (id, value) => localStorage.setItem(prefix + id, value);
        put('a', '{'); put('b', 'null'); put('c', '3'); put('d', '{"name": "x"}');
        put('e', JSON.stringify({...one, style: one.style.slice(0, 400)}));
        put('f', JSON.stringify({...one, name: {}}));
        put('g', JSON.stringify({...one, order: 'first'}));
        put('h', JSON.stringify({...one, name: arguments[0]}));
        """,
        HOSTILE,
    )
    page.reload()
    page.until(lambda: len(page.hands()) == 3)
    assert set(page.hands()) == {"its own", "a", HOSTILE}
    assert page.page.run("return roots[0].querySelectorAll('img').length") == 0


# By hand and by ear ------------------------------------------------------------------


@browser
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
def test_it_is_reached_by_keyboard_and_named(writer, styles, width, dark):
    from selenium.webdriver.common.keys import Keys

    page = writer(width=width, dark=dark)
    page.load(styles[0])
    page.finished()
    driver = page.page.driver
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    page.page.run("roots[0].querySelector('button').focus()")
    walked = []
    for _ in range(12):
        seen = page.page.run(
            """
            const one = roots[0].activeElement;
            const label = one.labels?.[0]?.textContent ?? '';
            const {outlineStyle} = getComputedStyle(one);
            const {height} = one.getBoundingClientRect();
            const name = one.ariaLabel || label || one.textContent;
            return [name, one.textContent, outlineStyle, height];
            """
        )
        name, words, outline, height = seen
        assert name and outline != "none"
        if "chapter" not in words:  # a link in a sentence
            assert height >= 28
        assert words in name or not words.strip()
        walked.append(name.split(" (")[0])
        driver.switch_to.active_element.send_keys(Keys.TAB)
    assert walked[:11] == [
        "Undo the last stroke", "Clear this line", "Another line",
        "Whole screen to write on", "Load hand from a file", "Write in my hand",
        "Whose hand is it?", "Name of the hand", "Save hand to a file", "Delete",
        "Text to write",
    ]  # fmt: skip
    button = page.button("Another line")
    button.send_keys(Keys.ENTER)
    assert page.wanted == "the pen remembers"
    name = page.page.find("input.name")
    name.send_keys(Keys.BACKSPACE, "mine", Keys.ENTER)
    assert page.hands() == ["its own", "mine"]
    surface = page.page.find("canvas.surface").get_attribute("aria-label")
    assert "load a hand from a file" in surface


@browser
def test_a_finger_writes_and_less_motion_writes_at_once(writer):
    page = writer(width=360, reduced=True)
    box = page.box()
    for stroke in strokes_of(synthetic(), box["width"] - 24, 12):
        page.touch("Start", stroke[0])
        for place in stroke[1:-1:2] + stroke[-1:]:
            page.touch("Move", place)
        page.touch("End")
    page.press("Write in my hand")
    page.until(lambda: "Read to the end" in page.said)
    begin = time.monotonic()
    points = int(
        page.until(lambda: "points" in page.studio() and page.studio()).split()[0]
    )
    assert time.monotonic() - begin < points / 90 + 1


@browser
def test_the_words_stand_there(writer):
    page = writer()
    words = page.page.run("return roots[0].textContent")
    assert "Nothing is sent anywhere" in words
    assert "forge nobody's hand or signature" in words
    link = page.page.find("a").get_attribute("href")
    assert link.endswith("12_style.html#sec-12-fair")


@browser
def test_the_still_picture_shows_where_scripts_do_not_run(show):
    page = show(OwnHand(), scripts=False)
    still = page.driver.find_element("css selector", "[data-still] svg")
    assert still.size["width"] > 50
