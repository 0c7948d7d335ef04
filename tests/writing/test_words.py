"""Words of a line: every point in its own, judged on ink with known characters."""

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.data.transforms import prepare
from handwriting_lib.evaluation.measures import attention
from handwriting_lib.ink import from_strokes
from handwriting_lib.writing.lines import Line
from handwriting_lib.writing.words import characters_of, words_of

ALONG = torch.tensor([[0.0, 0.0], [0.5, 1.0], [1.0, 0.0]])


def line_of(text, strokes, seen):
    """A line of strokes, whose points the network saw at the characters `seen`."""
    phi = torch.nn.functional.one_hot(torch.tensor(seen), len(text) + 1).float()
    return Line(text, 0, from_strokes(strokes), True, "", 1, 1, phi)


def known_words(sample):
    """The word of each point of a synthetic line."""
    begins = [i for i, c in enumerate(sample.text) if c != " " and
              (i == 0 or sample.text[i - 1] == " ")]  # fmt: skip
    return torch.bucketize(sample.character_of_point, torch.tensor(begins), right=True)


def test_points_of_synthetic_lines_are_in_their_own_words():
    corpus = hw.load_corpus("synthetic", samples=40, seed=11, writers=40)
    samples = [s for s in prepare(corpus).samples if " " in s.text][:14]
    points = right = near = 0
    for sample, phi in zip(
        samples, attention(hw.load_pretrained(), samples), strict=True
    ):
        line = Line(sample.text, 0, sample.ink, True, "", 1, 1, phi)
        words = words_of(line)
        assert " ".join(word.text for word in words) == " ".join(sample.text.split())
        own = torch.zeros(len(sample.ink), dtype=torch.long)
        for word in words:
            own[word.points] = word.index + 1
        assert (own > 0).all()
        points += len(own)
        right += int((own == known_words(sample)).sum())
        near += int(
            ((characters_of(line, words) - sample.character_of_point).abs() < 2).sum()
        )
    assert right / points > 0.995
    assert near / points > 0.98


def test_late_dot_is_in_the_word_that_it_is_over():
    dot = torch.tensor([[0.5, 2.0], [0.5, 2.1]])
    line = line_of(
        "hi no", [ALONG, ALONG + torch.tensor([4.0, 0.0]), dot],
        [0, 1, 3, 3, 4, 4, 4, 5],
    )  # fmt: skip
    first, second = words_of(line)
    assert first.points.tolist() == [0, 1, 2, 6, 7]
    assert second.points.tolist() == [3, 4, 5]
    assert second.box == (4.0, 0.0, 5.0, 1.0)


def test_gap_decides_where_the_window_ran_ahead():
    at = [ALONG + torch.tensor([x, 0.0]) for x in (0.0, 1.1, 3.5)]
    line = line_of(
        "a b", at,
        [0, 0, 0, 0, 2, 2, 2, 2, 3],
    )  # fmt: skip
    assert [len(word.points) for word in words_of(line)] == [6, 3]


def test_words_that_share_a_stroke_are_cut():
    stroke = torch.stack([torch.arange(6.0), torch.zeros(6)], 1)
    line = line_of("a b", [stroke], [0, 0, 2, 2, 2, 3])
    assert [word.points.tolist() for word in words_of(line)] == [[0, 1, 2], [3, 4, 5]]


def test_characters_stay_within_the_word():
    line = line_of("ab c", [ALONG, ALONG + torch.tensor([4.0, 0])], [0, 1, 3, 3, 3, 4])
    assert characters_of(line).tolist() == [0, 0, 1, 3, 3, 3]


def test_weights_of_another_text_are_refused():
    line = line_of("a b", [ALONG], [0, 2, 3]).replace(text="a big")
    with pytest.raises(hw.HandwritingError, match=r"'a big' with 3 points.*\(3, 6\)"):
        words_of(line)


def test_fewer_points_than_words():
    line = line_of("a b c", [ALONG[:2]], [0, 2])
    with pytest.raises(hw.HandwritingError, match="3 words and only"):
        words_of(line)
