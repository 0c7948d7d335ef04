"""Texts to tokens and back, and characters that a vocabulary lacks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handwriting_lib.errors import InputError
from handwriting_lib.tokens.characters import Vocabulary


@given(st.text(min_size=1))
def test_a_text_comes_back_from_its_vocabulary(text):
    vocabulary = Vocabulary.of(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == torch.int64 and len(tokens) == len(text)
    assert 0 <= int(tokens.min()) and int(tokens.max()) < len(vocabulary)
    assert vocabulary.decode(tokens) == vocabulary.decode(tokens.tolist()) == text
    assert vocabulary.missing(text) == []


def test_tokens_are_places_in_the_vocabulary():
    vocabulary = Vocabulary.of("b\na äb\U0001f600")
    assert vocabulary.characters == "\n abä\U0001f600"
    assert vocabulary.encode("äb\U0001f600").tolist() == [4, 3, 5]
    assert vocabulary.encode("").tolist() == []


def test_a_character_that_the_vocabulary_lacks_is_named():
    vocabulary = Vocabulary.of("abc ")
    with pytest.raises(InputError) as told:
        vocabulary.encode("a ü a z")
    assert str(told.value) == (
        "the text has characters that the model never read: 'ü' (latin small letter "
        "u with diaeresis) at position 3, 'z' (latin small letter z) at position 7. "
        "Leave them out or replace them"
    )
    with pytest.raises(InputError, match="and 18 more"):
        vocabulary.encode("".join(map(chr, range(100, 126))))


def test_tokens_out_of_range_are_refused():
    for wrong in (-1, 4):
        with pytest.raises(InputError, match=rf"token {wrong} must be between 0 and 3"):
            Vocabulary.of("abc ").decode([0, wrong])


@pytest.mark.parametrize("wrong", ["", "ba", "aa", None, ["a", "b"]])
def test_what_is_no_vocabulary_is_refused(wrong):
    with pytest.raises(InputError, match=r"Vocabulary\.of\(text\)"):
        Vocabulary(wrong)
