"""Single-line glyphs, the motor model, and the corpus that they make."""

import hashlib
import re

import numpy as np
import pytest
import torch
from scipy import stats

from handwriting_lib.alphabet import CHARACTERS
from handwriting_lib.corpora import load_corpus, motor, synthetic
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.single_line.glyphs import (
    FOLDER,
    FONTS,
    load_font,
    parse_path,
)
from handwriting_lib.ink import check_ink, offsets_to_positions, to_strokes

SENTENCE = "the five boxing wizards jump quickly at it"
STILL = synthetic.Writer(
    slant=0, deformation=0, jitter=0, drift=0, tremor=0, delayed=False
)


def rng(seed=0):
    return np.random.default_rng(seed)


# Glyphs


def test_path_against_points_computed_by_hand():
    path = "M 1e+03 0 L 1000 5 H 1e1 V -2.5 C 10 0 20 0 20 10 Z M0,0l1-1"
    first, second = parse_path(path, curve_points=2)
    np.testing.assert_allclose(
        first,
        [[1000, 0], [1000, 5], [10, 5], [10, -2.5], [15, 0.9375], [20, 10], [1000, 0]],
    )
    np.testing.assert_allclose(second, [[0, 0], [1, -1]])


def test_relative_path_equals_absolute_path():
    absolute = parse_path("M 1 2 3 4 H 7 V 1 C 8 1 9 2 9 5 L 0 0 Z")
    relative = parse_path("m 1 2 2 2 h 4 v -3 c 1 0 2 1 2 4 l -9 -5 z")
    np.testing.assert_allclose(relative[0], absolute[0])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("M 0 0 Q 1 1 2 2", "'Q'"),
        ("L 1 1", "M first|and M first"),
        ("M 0 0 L 1", "takes 2 numbers"),
        ("M 0 0 L 1 L", "takes 2 numbers"),
        ("M 0 0 L 1 1 Z 3", "takes 0 numbers"),
        ("M 0 0 L 1 #", "unreadable: '#'"),
    ],
)
def test_broken_path_is_an_error(path, says):
    with pytest.raises(ValueError, match=says):
        parse_path(path)


@pytest.mark.parametrize("name", FONTS)
def test_font_has_all_characters_in_x_heights(name):
    font = load_font(name)
    assert list(font.glyphs) == list(CHARACTERS)
    assert font.glyphs[" "].strokes == () and font.glyphs[" "].advance > 0
    for character in CHARACTERS[1:]:
        for stroke in font.glyphs[character].strokes:
            assert len(stroke.targets) == len(stroke.middles) + 1 >= 2
            assert np.isfinite(stroke.targets).all()
            assert np.abs(stroke.targets).max() < 4
    tops = [s.targets[:, 1].max() for c in "acenorsuz" for s in font.glyphs[c].strokes]
    assert 0.8 < np.median(tops) < 1.2


@pytest.mark.parametrize("name", FONTS)
def test_dots_come_last_and_strokes_run_as_hands_do(name):
    glyphs = load_font(name).glyphs
    for character in "ij":
        assert glyphs[character].strokes[-1].mark
        assert glyphs[character].strokes[-1].targets[:, 1].min() > 1
    assert glyphs["?"].strokes[-1].targets[:, 1].max() < 0.5
    for character in "l/|)1":  # downwards, where a plotter would not care
        first = glyphs[character].strokes[0].targets
        if not (load_font(name).cursive and character == "l"):
            assert first[0, 1] > first[-1, 1]


def test_hershey_arcs_are_merged():
    # In the file, an n is two lines and a Z three: a plotter lifts, a hand does not.
    assert len(load_font("HersheySans1").glyphs["n"].strokes) == 1
    assert len(load_font("HersheySans1").glyphs["Z"].strokes) == 1
    assert len(load_font("HersheyScript1").glyphs["m"].strokes) == 1


def test_unknown_font_is_an_error():
    with pytest.raises(ValueError, match="no font 'Comic': choose from EMSTech"):
        load_font("Comic")


# Licences


@pytest.mark.parametrize("name", FONTS)
def test_licence_travels_with_the_font(name):
    svg = (FOLDER / f"{name}.svg").read_bytes()
    metadata = re.search(r"<metadata>(.*)</metadata>", svg.decode(), re.DOTALL)[1]
    if name.startswith("EMS"):
        assert "SIL Open Font License" in metadata
        parent = re.search(r"A derivative of:\s*(\w+)", metadata)[1]
        licence = (FOLDER / "OFL.txt").read_text()
        assert f"is a derivative of {parent}" in licence
        assert "SIL OPEN FONT LICENSE Version 1.1" in licence
        assert "PERMISSION & CONDITIONS" in licence
    else:
        notice = "originally created by Dr."
        assert notice in metadata and notice in (FOLDER / "HERSHEY.txt").read_text()
    # unmodified, so that reserved font names are no matter
    digest = hashlib.sha256(svg).hexdigest()
    assert f"{digest}  {name}.svg" in (FOLDER / "README.md").read_text()


def test_every_file_in_the_folder_is_accounted_for():
    names = {f"{name}.svg" for name in FONTS} | {"README.md", "OFL.txt", "HERSHEY.txt"}
    files = [p for p in FOLDER.iterdir() if p.is_file() and p.suffix != ".py"]
    assert {path.name for path in files} == names
    assert sum(path.stat().st_size for path in files) < 1e6


# The motor model


def one_movement(middle, rate):
    plan = motor.Plan(
        np.array([[0.0, 0.0], [2.0, 0.0]]),
        np.array([middle]),
        np.zeros(1, dtype=np.int64),
        np.ones(1),
    )
    still = synthetic.Writer(jitter=0, tremor=0, asymmetry=0.1)
    return motor.move([plan], still, rate, rng())[0][0]


def test_speed_of_one_movement_is_lognormal():
    rate = 2000.0
    xy = one_movement([1.0, 0.0], rate)
    speed = np.hypot(*np.diff(xy, axis=0).T)[:-1] * rate  # the tail ends in one step
    time = np.arange(len(speed)) / rate

    # mean, variance and skewness of the movement give the three parameters
    mean = (speed * time).sum() / speed.sum()
    spread = np.sqrt((speed * (time - mean) ** 2).sum() / speed.sum())
    skew = (speed * (time - mean) ** 3).sum() / speed.sum() / spread**3
    grid = np.linspace(0.05, 0.8, 7501)
    s = grid[np.argmin(np.abs(stats.lognorm.stats(grid, moments="s") - skew))]
    scale = spread / stats.lognorm.std(s)
    shift = stats.lognorm.mean(s, 0, scale) - mean
    expected = 2 * stats.lognorm.pdf(time + shift, s, 0, scale)
    np.testing.assert_allclose(speed, expected, atol=0.05 * speed.max())


def test_movement_reaches_its_target_along_an_arc():
    straight = one_movement([1.0, 0.0], 500.0)
    np.testing.assert_allclose(straight[-1], [2, 0], atol=0.02)
    assert np.abs(straight[:, 1]).max() < 1e-3
    # a middle .3 above the chord: all points lie on the circle through the three
    arc = one_movement([1.0, 0.3], 500.0)
    np.testing.assert_allclose(arc[-1], [2, 0], atol=0.02)
    radius = (1 + 0.3**2) / (2 * 0.3)
    distance = np.hypot(arc[:, 0] - 1, arc[:, 1] - (0.3 - radius))
    np.testing.assert_allclose(distance, radius, atol=1e-6)


def test_aim_puts_targets_at_corners_and_along_curves():
    corner, _ = motor.aim(np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    assert np.hypot(*corner.T).min() < 0.06
    angle = np.linspace(0, 2 * np.pi, 200)
    circle, middles = motor.aim(np.stack([np.cos(angle), np.sin(angle)], 1))
    assert 5 <= len(middles) <= 8
    np.testing.assert_allclose(np.hypot(*circle.T), 1, atol=0.02)


def test_blur_against_scipy():
    from scipy.ndimage import gaussian_filter1d

    values = rng().normal(size=(50, 2))
    expected = gaussian_filter1d(values, 1.5, axis=0, mode="nearest")
    np.testing.assert_allclose(motor.blur(values, 1.5), expected, atol=1e-4)


# Ink


@pytest.mark.parametrize("name", FONTS)
@pytest.mark.parametrize("delayed", [False, True])
def test_all_characters_are_written_and_labelled(name, delayed):
    for seed in range(5):
        generator = rng(seed)
        order = generator.permutation(list(CHARACTERS))
        text = "".join(order)
        writer = synthetic.Writer(delayed=delayed)
        sample = synthetic.write_text(text, load_font(name), writer, generator)
        check_ink(sample.ink)
        assert sample.ink.dtype == torch.float32
        assert sample.ink[-1, 2] == 1 and (sample.ink[0, :2] == 0).all()
        assert len(sample.character_of_point) == len(sample.ink)
        seen = set(sample.character_of_point.tolist())
        assert seen == {u for u, c in enumerate(text) if c != " "}


@pytest.mark.parametrize("name", FONTS)
def test_points_lie_within_their_own_glyph(name):
    font = load_font(name)
    sample = synthetic.write_text(SENTENCE, font, STILL, rng(1))
    xy = offsets_to_positions(sample.ink)[:, :2].double().numpy()
    labels = sample.character_of_point.numpy()
    lefts, x = [], 0.0
    for character in SENTENCE:
        lefts.append(x)
        x += font.glyphs[character].advance
    # where the ink begins is lost in offsets: line up the first character's start
    xy += font.glyphs[SENTENCE[0]].strokes[0].targets[0] - xy[0]
    for u, character in enumerate(SENTENCE):
        if character == " ":
            continue
        strokes = font.glyphs[character].strokes
        own = np.concatenate([s.targets for s in strokes])
        own[:, 0] += lefts[u]
        # .5 for the joining stroke, .02 an advance for unsteady spacing
        slack = 0.3 + 0.5 * font.cursive + 0.02 * 3 * np.sqrt(u + 1)
        points = xy[labels == u]
        assert points[:, 0].min() > own[:, 0].min() - slack
        assert points[:, 0].max() < own[:, 0].max() + slack
        assert points[:, 1].min() > own[:, 1].min() - 0.6
        assert points[:, 1].max() < own[:, 1].max() + 0.6


@pytest.mark.parametrize("name", FONTS)
def test_labels_never_go_back_without_delayed_strokes(name):
    sample = synthetic.write_text(SENTENCE, load_font(name), STILL, rng())
    assert (sample.character_of_point.diff() >= 0).all()


@pytest.mark.parametrize("name", [n for n in FONTS if load_font(n).cursive])
def test_delayed_dots_and_bars_jump_back_within_their_word(name):
    writer = synthetic.Writer(delayed=True)
    sample = synthetic.write_text(SENTENCE, load_font(name), writer, rng())
    labels = sample.character_of_point
    backwards = (labels.diff() < 0).nonzero()[:, 0] + 1
    assert len(backwards) > 0
    for row in backwards.tolist():
        character, before = int(labels[row]), int(labels[row - 1])
        assert SENTENCE[character] in "ijtfx"
        assert " " not in SENTENCE[character:before]
        assert sample.ink[row - 1, 2] == 1  # with the pen lifted


def test_cursive_joins_letters_and_print_does_not():
    joined = synthetic.write_text("mumm", load_font("HersheyScript1"), STILL, rng())
    apart = synthetic.write_text("mumm", load_font("EMSTech"), STILL, rng())
    assert len(to_strokes(joined.ink)) == 1
    assert len(to_strokes(apart.ink)) >= 4


def test_writers_differ():
    leaning = synthetic.Writer(slant=0.5, jitter=0, deformation=0, drift=0, tremor=0)
    for writer, least, most in [(leaning, 0.3, 0.7), (STILL, -0.2, 0.2)]:
        sample = synthetic.write_text("l", load_font("EMSReadability"), writer, rng())
        dx, dy = sample.ink[: len(sample.ink) // 2, :2].sum(0).tolist()
        assert least < dx / dy < most


@pytest.mark.parametrize("text", ["", "   "])
def test_empty_text_is_an_error(text):
    with pytest.raises(ValueError, match="empty"):
        synthetic.write_text(text, load_font("EMSTech"), STILL, rng())


def test_character_without_a_glyph_is_an_error():
    with pytest.raises(ValueError, match="'ü', '\\\\n'"):
        synthetic.write_text("Zürich\n", load_font("EMSTech"), STILL, rng())


# The corpus


def speed_of(sample):
    """Pen-down speed of each stroke, x-heights per second."""
    rate = sample.points_per_second
    return [
        np.hypot(*stroke.double().diff(dim=0).numpy().T) * rate
        for stroke in to_strokes(sample.ink)
    ]


@pytest.fixture(scope="module")
def lines():
    return synthetic.load(240, seed=7).samples


def test_movement_is_like_that_of_humans():
    """Human ink: 18 to 42 points per character, 3.0 to 9.8 peaks, variation .50 to .74.

    Peaks are local maxima of the pen-down speed; its variation is deviation over mean.
    """
    by_font = {}
    for sample in synthetic.load(240, seed=7, writers=240).samples:
        speeds = speed_of(sample)
        length = len(sample.text)
        peaks = 0
        for speed in speeds:
            padded = np.r_[-1, speed, -1]
            peaks += ((speed > padded[:-2]) & (speed >= padded[2:])).sum()
        together = np.concatenate(speeds)
        figures = (
            len(sample.ink) / length,
            peaks / length,
            together.std() / together.mean(),
        )
        by_font.setdefault(sample.source.split(":")[1], []).append(figures)
    assert set(by_font) == set(FONTS)
    for figures in by_font.values():
        points, peaks, variation = np.mean(figures, 0)
        assert 22 < points < 32
        assert 2.8 < peaks < 5.0
        assert 0.58 < variation < 0.75
    everything = [figure for figures in by_font.values() for figure in figures]
    points, peaks, variation = np.mean(everything, 0)
    assert 23 < points < 30
    assert 3.1 < peaks < 4.2
    assert 0.59 < variation < 0.72


def test_letters_are_one_high_and_stand_on_the_line(lines):
    heights = []
    for sample in lines:
        y = offsets_to_positions(sample.ink)[:, 1]
        heights.append(float(y.max() - y.min()))
    assert 2 < np.median(heights) < 4.5


def test_same_seed_same_ink():
    one, other = synthetic.load(6, seed=3), synthetic.load(6, seed=3)
    for a, b in zip(one.samples, other.samples, strict=True):
        assert torch.equal(a.ink, b.ink)
        assert torch.equal(a.character_of_point, b.character_of_point)
        assert (a.text, a.writer, a.source) == (b.text, b.writer, b.source)
    for a, b in zip(one.samples, synthetic.load(9, seed=3).samples, strict=False):
        assert torch.equal(a.ink, b.ink)  # a smaller corpus begins a larger one
    texts = [s.text for s in synthetic.load(6, seed=4).samples]
    assert texts != [s.text for s in one.samples]


def test_fields_of_a_sample(lines):
    assert len({sample.source for sample in lines}) == len(lines)
    for sample in lines:
        assert re.fullmatch(r"synthetic-0[0-3]\d", sample.writer)
        assert sample.kind == "line"
        assert 25 < sample.points_per_second < 80
    # a writer keeps to one font
    fonts = {(sample.writer, sample.source.split(":")[1]) for sample in lines}
    assert len(fonts) == len({sample.writer for sample in lines})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_texts_cover_the_alphabet(seed):
    generator = rng(seed)
    texts = [synthetic.draw_text(generator) for _ in range(400)]
    assert set("".join(texts)) == set(CHARACTERS)
    assert all(4 <= len(text) <= 60 and text == text.strip() for text in texts)


def test_kinds_take_turns():
    samples = synthetic.load(9, kinds=("line", "word", "character")).samples
    assert [s.kind for s in samples] == ["line", "word", "character"] * 3
    assert all(" " not in s.text for s in samples if s.kind != "line")
    assert all(len(s.text) == 1 for s in samples if s.kind == "character")


def test_through_the_one_door():
    corpus = load_corpus("synthetic", samples=2, texts=["one"], writers=1)
    assert [s.text for s in corpus.samples] == ["one", "one"]
    assert corpus.skipped == {}
    assert not torch.equal(corpus.samples[0].ink, corpus.samples[1].ink)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"samples": 0}, "samples=0"),
        ({"writers": 0}, "writers=0"),
        ({"kinds": ("page",)}, "page"),
        ({"kinds": "line"}, "give a tuple"),
        ({"kinds": ()}, "give a tuple"),
        ({"texts": []}, "at least one text"),
        ({"texts": "one"}, "give a list"),
        ({"texts": ["caf\u00e9"]}, "'\u00e9'"),
        ({"texts": [""]}, "empty"),
    ],
)
def test_bad_options_are_errors(options, says):
    with pytest.raises(ValueError, match=says):
        synthetic.load(**options)


def test_an_option_that_no_reader_has():
    with pytest.raises(CorpusError, match="option 'sample': choose from samples, seed"):
        load_corpus("synthetic", sample=3)
