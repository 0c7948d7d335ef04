"""Writing: the check of a line, the stop rule, seeds, and independence in a batch."""

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.parts.mixture import draw_noise
from handwriting_lib.writing import sampling
from handwriting_lib.writing.lines import Interrupted, write_lines
from handwriting_lib.writing.sampling import (
    LAST_STROKE,
    check_line,
    length_bound,
    line_generator,
)

TEXT = "the quick brown fox"
WORDS = (
    "amber birch cedar delta ember frost grain hazel inlet jolly knoll lemon maple "
    "north ocean pearl quiet river slate thyme umber vivid wheat xenon yeast zebra "
    "Alder Basil Clove Dunes Elder Fjord"
).split()
UNCONDITIONAL = [
    hw.FeedforwardPredictor(hw.FeedforwardConfig(points=4, hidden=8)),
    hw.RecurrentNetwork(hw.RecurrentConfig(hidden=8, layers=2)),
    hw.PredictionNetwork(hw.PredictionConfig(hidden=8)),
]


@pytest.fixture(scope="module")
def lines():
    """Complete lines that the shipped model wrote."""
    written = hw.write([TEXT] * 4, bias=1.0, seed=5, redraws=20)
    complete = [line for line in written if line.complete]
    assert complete
    return complete


def phi_of(path, characters):
    """Weights whose largest is at the given character of each point."""
    return torch.nn.functional.one_hot(torch.tensor(path), characters + 1).float()


def test_line_in_order_is_complete():
    assert check_line(phi_of([0, 0, 1, 2, 2, 3], 3), "abc") == ""


def test_one_step_back_is_allowed_and_two_are_not():
    assert check_line(phi_of([0, 1, 0, 1, 2, 3], 3), "abc") == ""
    assert "went back" in check_line(phi_of([0, 1, 2, 0, 1, 2, 3], 3), "abc")


def test_skipped_character_is_named_but_spaces_may_be_skipped():
    assert check_line(phi_of([0, 2, 3], 3), "a b") == ""
    assert check_line(phi_of([0, 2, 3], 3), "abc") == "skipped 'b', character 2"


def test_window_that_fades_out_is_incomplete():
    phi = phi_of([0, 1, 2, 3], 3)
    phi[2] = 0
    assert check_line(phi, "abc") == "the window went dark"


def test_phi_that_does_not_belong_to_the_text_is_an_error():
    with pytest.raises(ValueError, match=r"\(T, 4\)"):
        check_line(torch.zeros(5, 3), "abc")


def test_line_cut_short_is_incomplete(lines):
    for line in lines:
        phi = line.phi[: int(0.6 * len(line.phi))]
        assert check_line(phi, TEXT) == "ended before the text did"


def test_line_that_repeats_a_word_is_incomplete(lines):
    for line in lines:
        attended = line.phi.argmax(1)
        word = line.phi[(attended >= 4) & (attended <= 8)]  # "quick"
        after = int((attended <= 8).nonzero()[-1]) + 1
        phi = torch.cat([line.phi[:after], word, line.phi[after:]])
        assert "went back" in check_line(phi, TEXT)


def test_line_that_runs_on_is_incomplete(lines):
    for line in lines:
        more = line.phi[-1:].expand(LAST_STROKE + 1, -1)
        assert "went on" in check_line(torch.cat([line.phi, more]), TEXT)


def test_complete_line_ends_with_its_last_stroke(lines):
    # others cut the last letter: here the stroke under way is finished
    for line in lines:
        assert line.ink[-1, 2] == 1
        assert len(line.phi) == len(line.ink) <= length_bound(TEXT)
        assert line.phi[-1].argmax() >= len(TEXT) - 1
        assert torch.equal(line.ink[0, :2], torch.zeros(2))


def test_same_seed_same_lines_and_another_seed_others():
    first, again, other = (hw.write(TEXT, seed=s, redraws=0)[0] for s in (3, 3, 4))
    assert torch.equal(first.ink, again.ink)
    assert first.ink.shape != other.ink.shape or not torch.equal(first.ink, other.ink)


def choices(line, position, seed, bias):
    """The mixture component that each of a line's points was drawn from."""
    noise = draw_noise(
        (length_bound(line.text),),
        line_generator(seed, position, line.draws),
        torch.zeros(1),
    )
    mixture = hw.StrokeMixture.from_output(line.output[:-1], bias)
    shares = mixture.log_pi.exp().cumsum(-1)  # (T - 1, M)
    return (shares < noise[: len(shares), :1]).sum(-1)


@pytest.mark.slow
def test_twenty_lines_alone_and_in_a_batch_of_32_choose_the_same_components():
    texts = [f"{word} {n}" for n, word in enumerate(WORDS)]
    asked = {"bias": 0.75, "seed": 6, "keep_output": True}
    together = hw.write(texts, **asked)
    assert len(together) == 32
    for position, line in enumerate(together[:20]):
        alone = hw.write(line.text, **asked, positions=[position])[0]
        assert (alone.draws, alone.complete) == (line.draws, line.complete)
        assert torch.equal(
            choices(alone, position, 6, 0.75), choices(line, position, 6, 0.75)
        )
        torch.testing.assert_close(
            hw.offsets_to_positions(alone.ink),
            hw.offsets_to_positions(line.ink),
            atol=1e-3,
            rtol=0,
        )


def test_two_runs_with_one_seed_say_the_same():
    runs = [hw.write([TEXT, "Q X Z"], samples=2, seed=7) for _ in range(2)]
    for line, again in zip(*runs, strict=True):
        one, other = line.to_json(), again.to_json()
        for key in ("text", "strokes", "complete", "seed", "draws", "points"):
            assert one[key] == other[key], key


OBEYED = (
    "0123456789", "THE QUICK BROWN FOX", "Q X Z", "Well, (yes); no: 'so' it's!?",
    "illegible minimum", "aaaaaaa", "a", "W", "7",
)  # fmt: skip


@pytest.fixture(scope="module")
def obeyed():
    """Lines of all of them, written together; another batch would give the same."""
    return hw.write(OBEYED, samples=2, seed=3)


@pytest.mark.parametrize("text", OBEYED)
def test_text_is_obeyed(text, obeyed):
    for line in [line for line in obeyed if line.text == text]:
        assert line.complete, line.problem
        visited = set(line.phi.argmax(1).tolist())
        assert {i for i, c in enumerate(text) if c != " "} <= visited
        # wide enough for all its letters, and not twice as long as they need
        x = hw.offsets_to_positions(line.ink)[:, 0]
        assert 0.25 * len(text) < float(x.max() - x.min()) + 0.25 < 4 * len(text) + 1


def test_samples_of_one_text_differ_and_come_in_order():
    written = hw.write(["ab", "cd"], samples=2, seed=1, redraws=0)
    assert [(line.text, line.sample) for line in written] == [
        ("ab", 0), ("ab", 1), ("cd", 0), ("cd", 1)
    ]  # fmt: skip
    assert not torch.equal(written[0].ink[:5], written[1].ink[:5])


def test_incomplete_lines_are_drawn_again_and_marked(monkeypatch):
    asked = []

    def never_complete(phi, text):
        asked.append(text)
        return "" if text == "ab" else "made up"

    monkeypatch.setattr(sampling, "check_line", never_complete)
    good, bad = hw.write(["ab", "cd"], redraws=3)
    assert (good.complete, good.draws) == (True, 1)
    assert (bad.complete, bad.draws, bad.problem) == (False, 4, "made up")
    assert asked.count("ab") == 1 and asked.count("cd") == 4


def test_a_network_that_never_stops_is_bounded_and_marked():
    torch.manual_seed(0)
    network = hw.SynthesisNetwork(hw.SynthesisConfig(hidden=8, step=1e-6))
    line = hw.write("ab", hw.Model(network), redraws=1)[0]
    assert not line.complete and line.problem == "ended before the text did"
    assert len(line.ink) == length_bound("ab")


def test_output_is_kept_when_asked_for():
    line = hw.write("ab", keep_output=True, redraws=0)[0]
    assert line.output.shape == (len(line.ink), 121)
    assert hw.write("ab", redraws=0)[0].output is None


def test_json_gives_positions_with_y_up():
    line = hw.write("ab", redraws=0)[0]
    said = line.to_json()
    rows = torch.tensor(said["strokes"])
    positions = hw.offsets_to_positions(line.ink)
    torch.testing.assert_close(rows, positions, atol=1e-4, rtol=0)
    assert said["points"] == len(rows) and said["text"] == "ab"
    # short numbers: a ten-thousandth of a letter-body height is less than ink is wide
    assert said["strokes"] == [[*(round(n, 4) for n in row)] for row in said["strokes"]]


def test_an_interruption_says_how_far_it_came(lines):
    stopped = Interrupted(lines[:1], 5)
    assert stopped.lines == lines[:1] and "1 of 5 lines were finished" in str(stopped)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "no text"),
        ({"texts": "   "}, "empty"),
        ({"texts": "Zürich"}, "'ü'"),
        ({"texts": "x" * 2000}, "2000 characters"),
        ({"texts": "a", "bias": -1.0}, "bias"),
        ({"texts": "a", "temperature": 0.0}, "temperature"),
        ({"texts": "a", "samples": 0}, "samples"),
        ({"texts": "a", "positions": [1, 2]}, "positions"),
        ({"texts": "a", "model": hw.Model(hw.FeedforwardPredictor())}, "synthesis"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        hw.write(**arguments)


def test_writing_without_a_text_goes_on_for_as_long_as_asked():
    model = hw.Model(hw.PredictionNetwork(hw.PredictionConfig(hidden=8)))
    first, second = hw.write_unconditional(model, points=30, samples=2, seed=1)
    assert first.shape == (30, 3) and not torch.equal(first, second)
    with pytest.raises(ValueError, match="synthesis network"):
        hw.write_unconditional(hw.load_pretrained())


@pytest.mark.parametrize("network", UNCONDITIONAL, ids=lambda network: network.kind)
def test_writing_goes_on_from_the_ink_it_is_given(network):
    model = hw.Model(network, hw.Normalisation((0.1, 0.0), (0.4, 0.5)))
    whole = hw.write_unconditional(model, points=30, seed=1)[0]
    assert whole.shape == (30, 3)
    prime, other = whole.clone(), whole.clone()
    other[3:, :2] += 1
    lines = [
        hw.write_unconditional(model, 9, samples=2, seed=1, prime=ink)
        for ink in (prime, other)
    ]
    for ink, (first, second) in zip((prime, other), lines, strict=True):
        assert first.shape == (39, 3)
        assert torch.allclose(first[:30, :2], ink[:, :2], atol=1e-5)
        assert torch.equal(first[:29, 2], ink[:29, 2])
        assert not torch.equal(first[30:], second[30:])
    assert not torch.allclose(lines[0][0][30:, :2], lines[1][0][30:, :2], atol=1e-3)
    short = hw.write_unconditional(model, 2, seed=1, prime=prime[:1])[0]
    assert short.shape == (3, 3)


@pytest.mark.parametrize("network", UNCONDITIONAL, ids=lambda network: network.kind)
def test_a_prime_is_read_as_it_is_in_training(network, monkeypatch):
    model = hw.Model(network, hw.Normalisation((0.1, 0.0), (0.4, 0.5)))
    prime = hw.write_unconditional(model, points=12, seed=1)[0]
    read, step = [], network.step

    def watched(point, state):
        read.append(point)
        return step(point, state)

    monkeypatch.setattr(network, "step", watched)
    hw.write_unconditional(model, 1, samples=2, prime=prime.double())
    sample = hw.Sample("ink", prime, "someone", "test")
    batch = hw.make_batch([sample] * 2, model.normalisation)
    torch.testing.assert_close(torch.stack(read, 1), batch.ink)


@pytest.mark.parametrize(
    "prime, problem",
    [
        (torch.zeros(4, 2), "the prime must have the shape"),
        (torch.zeros(0, 3), "the prime has no points"),
        (torch.full((4, 3), torch.nan), "not finite in row 0"),
    ],
)
def test_a_prime_that_is_no_ink_is_refused(prime, problem):
    with pytest.raises(ValueError, match=problem):
        hw.write_unconditional(hw.load_pretrained("unipen-free"), 3, prime=prime)


def test_a_seed_means_the_same_in_every_version():
    assert line_generator(1, 2, 3).initial_seed() == 35060472368136965


def test_each_text_is_written_once_unless_more_is_asked_for():
    writer = sampling.MixtureWriter(hw.load_pretrained("unipen-184"))
    lines = write_lines(["a", "b"], writer)
    assert [line.text for line in lines] == ["a", "b"]


def test_a_line_with_another_text_is_otherwise_the_same(lines):
    other = lines[0].replace(text="another")
    assert other.text == "another" and lines[0].text == TEXT
    assert torch.equal(other.ink, lines[0].ink) and other.seed == lines[0].seed


def test_a_stroke_that_does_not_end_is_cut(monkeypatch):
    # at a low temperature the pen hardly lifts, and the window stays at the end
    model = hw.load_pretrained("unipen-184")
    cold = {"bias": 0.0, "temperature": 0.4, "samples": 12, "seed": 4, "redraws": 0}
    written = {}
    for stretch in (1, 16, 1000):
        monkeypatch.setattr(sampling, "STRETCH", stretch)
        written[stretch] = hw.write("the quick brown fox", model, **cold)
    kept_on = []
    for lines in zip(*written.values(), strict=True):
        after = [len(line.phi) - first_at_end(line) - 1 for line in lines]
        assert len(set(after)) == 1 and after[0] <= LAST_STROKE
        for line in lines:
            cut = after[0] == LAST_STROKE
            assert line.complete == (not cut)
            assert (line.problem == "went on after the end of the text") == cut
        kept_on.append(after[0] == LAST_STROKE)
    assert 0 < sum(kept_on) < 12


def first_at_end(line):
    return line.phi.argmax(1).tolist().index(len(line.text))


def test_a_model_by_its_name():
    asked = {"seed": 2, "redraws": 0}
    named, loaded = (
        hw.write("by name", model, **asked)[0].ink
        for model in ("unipen-184", hw.load_pretrained("unipen-184"))
    )
    assert torch.equal(named, loaded)
    with pytest.raises(ValueError, match="unipen-1840"):
        hw.write("by name", "unipen-1840")
