"""Scale by writer, selection, splits, normalisation and augmentation."""

import json
import math
import random
import statistics
from dataclasses import asdict

import numpy as np
import pytest
import torch

from handwriting_lib.data.transforms import (
    Augmentation,
    Limits,
    Normalisation,
    Thinning,
    augment,
    change_speed,
    measure_normalisation,
    prepare,
    scale_by_writer,
    split_by_text,
    split_by_writer,
    text_is_held_out,
)
from handwriting_lib.ink import Corpus, Sample, letter_body_height, offsets_to_positions
from handwriting_lib.parts.mixture import StrokeMixture


def crowd(writers=200, lines=5, texts=40):
    ink = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    return [
        Sample(f"text number {(w + n) % texts}", ink, f"w{w:03d}", f"{w}#{n}")
        for w in range(writers)
        for n in range(lines)
    ]


# --- scale and selection ---------------------------------------------------------


def test_each_writer_is_scaled_by_one_factor(scribble):
    big = [scribble(seed=i, writer="big") for i in range(5)]
    big = [s.replace(ink=s.ink * torch.tensor([70, 70, 1])) for s in big]
    small = [scribble(seed=i, writer="small") for i in range(5)]
    scaled = scale_by_writer([*big, *small])
    for one, other in zip(scaled[:5], scaled[5:], strict=True):
        torch.testing.assert_close(one.ink, other.ink, atol=1e-5, rtol=1e-5)
    heights = [letter_body_height(s.ink) for s in scaled[:5]]
    assert statistics.median(heights) == pytest.approx(1, rel=1e-5)
    # one factor a writer, so lines keep their sizes relative to each other
    assert len({round(h, 3) for h in heights}) > 1


def test_scaling_leaves_the_pen_alone(scribble):
    sample = scribble()
    assert torch.equal(scale_by_writer([sample])[0].ink[:, 2], sample.ink[:, 2])


def test_a_writer_s_tablets_are_scaled_apart(scribble):
    fine = scribble(seed=1).replace(units="u000")
    coarse = fine.replace(ink=fine.ink * torch.tensor([9.0, 9.0, 1.0]), units="u001")
    one, other = scale_by_writer([fine, coarse])
    torch.testing.assert_close(one.ink, other.ink)
    assert one.units == other.units == "letter-body heights"


def test_single_characters_do_not_set_the_scale_of_words(scribble):
    word = scribble(kind="word")
    dot = scribble(text=".", points=5, kind="character", seed=1)
    tiny = dot.replace(ink=dot.ink * torch.tensor([0.01, 0.01, 1.0]))
    together = scale_by_writer([word, tiny, tiny, tiny])[0]
    torch.testing.assert_close(together.ink, scale_by_writer([word])[0].ink)


def test_flat_ink_stays_as_it_is():
    flat = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    (sample,) = scale_by_writer([Sample("-", flat, "w", "s")])
    assert torch.equal(sample.ink, flat)


def test_prepare_thins_ink_and_index_alike(scribble):
    sample = scribble("abcd", points=160)
    sample = sample.replace(character_of_point=torch.arange(160) // 40)
    (kept,) = prepare(Corpus("c", [sample]), Thinning(0.5, 1.0)).samples
    rows = Thinning(0.5, 1.0)(scale_by_writer([sample])[0].ink)[1]
    assert len(kept.ink) == len(rows) < 160
    assert torch.equal(kept.character_of_point, rows // 40)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_points=20), "line: more than 20 points"),
        (Limits(max_offset=0.1), "line: an offset above 0.1 letter-body heights"),
        (
            Limits(points_per_character=(50, 60)),
            "line: points per character outside 50 to 60",
        ),
        (Limits(min_characters=4), "line: fewer than 4 characters"),
        (
            Limits(width_per_character=(90, 99)),
            "line: width per character outside 90 to 99 letter-body heights",
        ),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(scribble, limits, reason):
    corpus = Corpus("c", [scribble(seed=i) for i in range(3)])
    prepared = prepare(corpus, Thinning(0.05, 0), limits)
    assert prepared.samples == []
    assert prepared.skipped == {reason: 3}


def test_a_step_back_is_as_far_as_a_step_forward(scribble):
    ink = scribble().ink.clone()
    ink[5, 0] = -20
    sample = scribble().replace(ink=ink)
    found = prepare(Corpus("test", [sample]), Thinning(0.001))
    assert not found.samples and "an offset above" in str(found.skipped)


def test_points_are_three_tenths_apart_on_a_straight_line():
    straight = torch.tensor([[0.0, 0, 0], *[[0.01, 0, 0]] * 599, [0.01, 0, 1]])
    thinned, _ = Thinning()(straight)
    assert len(thinned) == 21
    assert thinned[1:, 0].tolist() == pytest.approx([0.3] * 20, abs=0.011)


def test_limits_drop_nothing_silently(scribble):
    samples = [scribble(seed=i, points=20 + 5 * i) for i in range(30)]
    prepared = prepare(Corpus("c", samples), limits=Limits(max_points=60))
    assert len(prepared.samples) + sum(prepared.skipped.values()) == 30
    assert prepared.samples and prepared.skipped


# --- splits ----------------------------------------------------------------------


def test_writers_are_disjoint():
    # two shuffles from one generator have put 90 % of validation into training
    split = split_by_writer(crowd())
    train = {s.writer for s in split.train}
    validation = {s.writer for s in split.validation}
    assert not train & validation
    assert 0.03 < len(validation) / 200 < 0.2  # a draw of 10 %, 4 standard errors


def test_a_sample_keeps_its_side_when_others_come_or_go():
    samples = crowd()
    split = split_by_writer(samples)
    mixed = [s for s in samples if s.writer[-1] in "02468"]
    random.Random(0).shuffle(mixed)
    part = split_by_writer(mixed)
    whole = {s.source for s in split.validation}
    assert {s.source for s in part.validation} == whole & {s.source for s in mixed}
    whole = {s.source for s in split.train}
    assert {s.source for s in part.train} == whole & {s.source for s in mixed}


def test_some_texts_of_lines_are_never_trained_on():
    split = split_by_writer(crowd(), text_share=0.3)
    trained = {s.text for s in split.train}
    unseen = {s.text for s in split.validation} - trained
    assert unseen
    assert all(text_is_held_out(text, 0.3) for text in unseen)
    assert not any(text_is_held_out(text, 0.3) for text in trained)
    assert split.left_out > 0
    counted = len(split.train) + len(split.validation) + split.left_out
    assert counted == len(crowd())


def test_words_are_trained_on_whatever_they_say():
    words = [s.replace(kind="word") for s in crowd()]
    split = split_by_writer(words, text_share=1.0)
    assert len(split.train) + len(split.validation) == len(words)


def test_held_out_texts_are_the_same_in_any_spelling():
    texts = [f"Sentence number {i}." for i in range(100)]
    held = [text_is_held_out(t, 0.3) for t in texts]
    assert held == [text_is_held_out(t.upper().replace(".", " !"), 0.3) for t in texts]
    assert 10 < sum(held) < 50


def test_one_text_in_twenty_is_held_out_unless_another_share_is_asked_for():
    held_out = sum(text_is_held_out(f"text number {n}") for n in range(4000))
    assert 160 < held_out < 240


def test_one_writer_s_texts_are_on_one_side_each():
    samples = crowd(writers=40, lines=3, texts=30)
    split = split_by_text(samples, 0.3)
    train, validation = split.train, split.validation
    assert len(train) + len(validation) == len(samples)
    assert not {s.text for s in train} & {s.text for s in validation}
    assert 3 < len({s.text for s in validation}) < 16
    assert len({s.text for s in split_by_text(crowd(2, 2, 2), 1e-9).validation}) == 1


def test_shares_at_the_ends():
    samples = crowd(20)
    assert split_by_writer(samples, 0, 0).validation == []
    assert split_by_writer(samples, 0, 0).train == samples
    assert split_by_writer(samples, 1).train == []
    with pytest.raises(ValueError, match=r"1\.5"):
        split_by_writer(samples, 1.5)


# --- normalisation ---------------------------------------------------------------


def test_normalised_offsets_have_mean_zero_and_deviation_one(scribble):
    samples = [scribble(seed=i, points=30 + 9 * i) for i in range(20)]
    unit = measure_normalisation(samples)
    rows = torch.cat([unit.apply(s.ink)[1:, :2] for s in samples])
    torch.testing.assert_close(rows.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0), torch.ones(2), atol=1e-5, rtol=0)


def test_first_rows_and_padding_do_not_count(scribble):
    # others have measured mean and deviation over padding
    samples = [scribble(seed=i) for i in range(4)]
    far = [s.replace(ink=s.ink.clone()) for s in samples]
    for s in far:
        s.ink[0, :2] = 1000.0
    assert measure_normalisation(far) == measure_normalisation(samples)


def test_a_normalisation_can_be_written_as_json(scribble):
    unit = measure_normalisation([scribble()])
    assert Normalisation(**json.loads(json.dumps(asdict(unit)))).std == list(unit.std)


def test_normalisation_and_back():
    unit = Normalisation((0.3, -0.1), (0.7, 0.2))
    ink = torch.randn(2, 30, 3, dtype=torch.double)
    torch.testing.assert_close(unit.invert(unit.apply(ink)), ink)
    assert torch.equal(unit.apply(ink)[..., 2], ink[..., 2])


def test_too_little_ink_is_an_error(scribble):
    for samples in ([], [scribble(points=3).replace(ink=torch.zeros(2, 3))]):
        with pytest.raises(ValueError, match="fewer than two offsets"):
            measure_normalisation(samples)


def test_log_volume_is_what_the_likelihood_loses():
    # the same density in the other unit: a change of variables, computed by hand
    unit = Normalisation((0.2, -0.1), (0.5, 3.0))
    mixture = StrokeMixture.from_output(torch.randn(64, 31, dtype=torch.double))
    ink = torch.randn(64, 3, dtype=torch.double)
    ink[:, 2] = (ink[:, 2] > 0).double()
    std = torch.tensor(unit.std, dtype=torch.double)
    body = mixture.replace(
        mu=mixture.mu * std + torch.tensor(unit.mean, dtype=torch.double),
        log_sigma=mixture.log_sigma + std.log(),
    )
    normalised = mixture.log_prob(unit.apply(ink))
    torch.testing.assert_close(body.log_prob(ink), normalised - unit.log_jacobian)


# --- augmentation ----------------------------------------------------------------


def test_augmentation_is_a_function_of_the_generator(scribble):
    ink, how = scribble().ink, Augmentation()

    def draw(seed):
        return augment(ink, how, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_augmentation_changes_the_hand_not_the_writing(scribble):
    ink = scribble(points=100).ink
    how = Augmentation(slant=0.2, size=0.2, width=0.2)
    changed = augment(ink, how, torch.Generator().manual_seed(1))
    assert torch.equal(changed[:, 2], ink[:, 2])
    before, after = offsets_to_positions(ink), offsets_to_positions(changed)
    affine = torch.linalg.lstsq(before[:, :2], after[:, :2]).solution
    torch.testing.assert_close(before[:, :2] @ affine, after[:, :2], atol=1e-4, rtol=0)
    assert affine[0, 1].abs() < 1e-4  # x does not move y: a lean, no turn


def test_no_augmentation_changes_nothing(scribble):
    ink = scribble().ink
    none = augment(ink, Augmentation(0, 0, 0), torch.Generator().manual_seed(1))
    torch.testing.assert_close(none, ink)


def test_speed_changes_the_points_and_not_the_way():
    # two strokes, a dot between them, an unfinished stroke at the end
    ink = torch.randn(24, 3, generator=torch.Generator().manual_seed(3)).double()
    ink[:, 2] = 0
    ink[[9, 10, 19], 2] = 1
    ink[0, :2] = 0
    places = offsets_to_positions(ink)
    for factor in (0.3, 0.5, 1.0, 1.7, 30.0):
        changed = offsets_to_positions(change_speed(ink, factor))
        spans = [(0, 9), (10, 10), (11, 19), (20, 23)]
        wanted = []
        for begin, end in spans:  # by numpy, stroke by stroke
            old = end - begin
            new = max(1, round(old / factor)) if old else 0
            at = np.linspace(begin, end, new + 1)
            rows = np.arange(begin, end + 1)
            xy = [np.interp(at, rows, places[begin : end + 1, d]) for d in (0, 1)]
            pen = np.zeros(new + 1)
            pen[-1] = float(end != 23)
            wanted.append(np.stack([*xy, pen], 1))
        torch.testing.assert_close(changed, torch.from_numpy(np.concatenate(wanted)))
    torch.testing.assert_close(change_speed(ink, 1.0), ink)
    with pytest.raises(ValueError, match="above 0, not 0"):
        change_speed(ink, 0)


def test_speed_is_augmented_only_when_asked_for(scribble):
    ink = scribble(points=80).ink
    for speed, lengths in ((0.0, 1), (0.2, 10)):
        how = Augmentation(0.1, 0.1, 0.1, speed)
        generator = torch.Generator().manual_seed(1)
        seen = {len(augment(ink, how, generator)) for _ in range(40)}
        assert len(seen) >= lengths and (lengths > 1 or seen == {80})


def test_augmentation_is_a_shear_and_two_factors(scribble):
    ink, how = scribble().ink, Augmentation(slant=0.3, size=0.5, width=0.4)
    a, b, c = torch.randn(3, generator=torch.Generator().manual_seed(2)).tolist()
    x, y = (ink[:, 0] + 0.3 * a * ink[:, 1]).tolist(), ink[:, 1].tolist()
    changed = augment(ink, how, torch.Generator().manual_seed(2))
    tall, wide = math.exp(0.5 * b), math.exp(0.5 * b + 0.4 * c)
    assert changed[:, 0].tolist() == pytest.approx([wide * one for one in x], abs=1e-5)
    assert changed[:, 1].tolist() == pytest.approx([tall * one for one in y], abs=1e-5)


def test_augmentation_is_mild_unless_asked_otherwise():
    ink, generator = torch.tensor([[1.0, 0, 0], [0, 1.0, 1]]), torch.Generator()
    rows = torch.stack(
        [augment(ink, Augmentation(), generator.manual_seed(n)) for n in range(2000)]
    )
    wide, tall, shear = rows[:, 0, 0].log(), rows[:, 1, 1].log(), rows[:, 1, 0]
    assert float(tall.std()) == pytest.approx(0.08, rel=0.1)
    assert float((wide - tall).std()) == pytest.approx(0.05, rel=0.1)
    assert float(shear.std()) == pytest.approx(0.08, rel=0.1)


def test_augmentation_has_the_spread_that_it_says():
    ink = torch.tensor([[0.0, 1.0, 0.0]])
    how = Augmentation(slant=0.1, size=0.2, width=0.0)
    generator = torch.Generator().manual_seed(1)
    rows = torch.cat([augment(ink, how, generator) for _ in range(4000)])
    size = rows[:, 1].log()
    lean = rows[:, 0] / rows[:, 1]
    for values, std in ((size, 0.2), (lean, 0.1)):
        error = std / math.sqrt(2 * 4000)  # the standard error of a deviation
        assert float(values.std()) == pytest.approx(std, abs=4 * error)
