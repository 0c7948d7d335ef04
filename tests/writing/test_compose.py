"""Composing: where a text ends, what it may hold, and what is refused."""

import pytest
import torch
from torch import nn

import handwriting_lib as hw
from handwriting_lib import alphabet
from handwriting_lib.cli import main
from handwriting_lib.networks import build_network
from handwriting_lib.tokens.characters import Vocabulary
from handwriting_lib.writing.compose import compose, vocabulary_of


class Parrot(nn.Module):
    """Says a text over and over, as surely as a network can."""

    kind, carries, reads_text = "character", {"vocabulary": Vocabulary}, False

    def __init__(self, text, vocabulary, block=8):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))  # where the network is
        self.config = build_network("character", {"symbols": len(vocabulary)}).config
        self.said, self.vocabulary = vocabulary.encode(text).tolist(), vocabulary
        self.reads, self.was_training = [], []

    def score(self, count):
        scores = torch.full((1, len(self.vocabulary)), -50.0)
        scores[0, self.said[count % len(self.said)]] = 50.0
        return scores

    def forward(self, text):
        self.was_training.append(self.training)
        self.reads.append(self.vocabulary.decode(text[0]))
        return self.score(0)[:, None], 1

    def step(self, token, count):
        return self.score(count), count + 1


def parrot(text, more="\n ."):
    vocabulary = Vocabulary.of(text + more)
    return hw.Model(Parrot(text, vocabulary), vocabulary=vocabulary, name="parrot")


def network(kind="character", letters="\n abcdefghij.ü"):
    torch.manual_seed(1)
    vocabulary = Vocabulary.of(letters)
    sizes = {"symbols": len(vocabulary), "width": 12, "layers": 1, "block": 16}
    made = build_network(kind, sizes | ({"heads": 2} if kind == "character" else {}))
    return hw.Model(made, vocabulary=vocabulary, name="tiny")


@pytest.mark.parametrize("kind", ["character", "character-lstm"])
def test_a_text_has_the_length_asked_for_and_is_a_function_of_its_seed(kind):
    model = network(kind)
    one = compose("abc", model, characters=40, seed=3)
    assert len(one) == 43 and one.startswith("abc")
    assert one == compose("abc", model, characters=40, seed=3)
    assert one != compose("abc", model, characters=40, seed=4)
    assert one[:23] == compose("abc", model, characters=20, seed=3)
    assert len(compose(model=model, characters=5)) == 5
    state = torch.random.get_rng_state()
    compose("abc", model)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_it_stops_at_the_end_of_a_sentence():
    model = parrot('See Fig. 3.5 (i.e. it). Then "why?" No! ')
    said = compose(model=model, sentence=True)
    assert said == "See Fig. 3.5 (i.e. it)."
    assert compose("x. ", parrot("He said \"so?\" and left. x"), sentence=True) == (
        'x. He said "so?"'
    )  # fmt: skip
    assert compose(model=parrot("A.\nB."), sentence=True) == "A."
    # the prompt's own end is none
    model = parrot("  No. x", more="\nYes")
    assert compose("Yes.", model, sentence=True) == "Yes.  No."


def test_a_sentence_may_be_as_long_as_asked_for_and_no_longer():
    model = parrot("one two three. x")
    assert compose(model=model, sentence=True, characters=14) == "one two three."
    assert compose(model=model, sentence=True, characters=13) == "one two"
    word = parrot("twothree", more="\n one")
    assert compose("one", word, sentence=True, characters=5) == "onetwoth"
    # again and again before that
    assert len(model.network.reads) == 1 + 11
    compose(model=model, sentence=True, characters=13, redraws=0)
    assert len(model.network.reads) == 1 + 11 + 1


def test_a_sentence_that_does_not_end_is_drawn_again():
    model = network(letters="\n abc.")
    texts = [
        compose("a", model, sentence=True, characters=6, seed=seed, redraws=60)
        for seed in range(10)
    ]
    assert all(text.endswith(".") and len(text) <= 7 for text in texts)
    assert len(set(texts)) > 3


def test_what_is_for_the_hand_is_what_the_hand_can_write():
    model = network()
    for seed in range(3):
        free = compose("a", model, characters=200, seed=seed)
        assert alphabet.missing(free)
        held = compose("a", model, characters=200, seed=seed, hand=True)
        assert len(held) == 201 and not alphabet.missing(held)
        held = compose("a", model, characters=60, seed=seed, hand=True, sentence=True)
        assert len(held) <= 61 and not alphabet.missing(held)
    # a line that ends without a full stop is no sentence
    heading = parrot("Title\nA.\n")
    assert compose(model=heading, hand=True, sentence=True) == "Title"
    assert compose(model=heading, sentence=True) == "Title\nA."


def test_a_composed_sentence_goes_straight_to_the_hand():
    text = compose("a", network(), characters=4, hand=True)
    (line,) = hw.write(text, redraws=0, seed=1)
    assert line.text == " ".join(text.split())


def test_without_a_prompt_a_paragraph_begins():
    model = parrot("abc")
    assert compose(model=model, characters=3) == "abc"
    assert model.network.reads == ["\n"]
    model = parrot("abc", more=" ")
    compose(model=model)
    assert model.network.reads == [" "]
    with pytest.raises(ValueError, match="give a prompt of at least one character"):
        compose(model=parrot("abc", more=""))


def test_a_long_prompt_is_read_from_its_end():
    model = network()
    prompt = "abcdefghij" * 5
    said = compose(prompt, model, characters=5)
    assert said.startswith(prompt) and said[50:] == compose(
        prompt[-16:], model, characters=5
    )[16:]  # fmt: skip


def test_quotes_of_a_word_processor_are_folded():
    said = compose("it\u2019s", parrot("it's ", more="\n"), characters=3)
    assert said == "it'sit'"


def test_dropout_is_off_and_the_network_stays_as_it_was():
    model = parrot("abc")
    for training in (True, False):
        model.network.train(training)
        compose(model=model, characters=2)
        assert model.network.training is training
    assert model.network.was_training == [False, False]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"prompt": "aä"}, r"never read: 'ä' \(latin small letter a with diaeresis\)"),
        ({"prompt": "aü", "hand": True}, "the hand cannot write: 'ü'"),
        ({"prompt": 3}, "the prompt must be a string, not 3"),
        ({"characters": 0}, "characters must be a whole number of at least 1, not 0"),
        ({"redraws": -1}, "redraws must be a whole number of at least 0, not -1"),
        ({"temperature": -1}, "temperature must be a number of at least 0, not -1"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, told):
    with pytest.raises(hw.HandwritingError, match=told) as error:
        compose(**{"prompt": "a", "model": network()} | call)
    assert "\n" not in str(error.value)


def test_models_that_do_not_compose_are_refused(tmp_path):
    with pytest.raises(
        hw.ModelError, match="unipen-400 is a synthesis model, which can"
    ):
        compose("a", "unipen-400")
    with pytest.raises(hw.ModelError, match="knows no character that the hand"):
        compose(model=parrot("ü", more="\n"), hand=True)
    with pytest.raises(FileNotFoundError):
        compose("a", tmp_path / "none.safetensors")
    odd = network().replace(vocabulary=Vocabulary.of("abc"))
    with pytest.raises(hw.ModelError, match="3 characters in its vocabulary and 14 in"):
        vocabulary_of(odd)


def test_the_command_line_composes(tmp_path, capfdbinary):
    model, file = network(), tmp_path / "tiny.safetensors"
    hw.save_model(model, file, half=False)
    words = ["compose", "--model", str(file), "--device", "cpu"]
    options = ["--characters", "30", "--temperature", "0.5", "--top-k", "4",
               "--top-p", "0.9", "--seed", "7"]  # fmt: skip
    assert main([*words, "ab", *options]) == 0
    wanted = compose("ab", model, characters=30, temperature=0.5, top_k=4, top_p=0.9,
                     seed=7)  # fmt: skip
    assert capfdbinary.readouterr().out == f"{wanted}\n".encode()
    assert main([*words, "--sentence", "--hand"]) == 0
    wanted = compose(model=model, sentence=True, hand=True)
    assert capfdbinary.readouterr().out == f"{wanted}\n".encode()
    assert main([*words, "xyz"]) == 2
    told = capfdbinary.readouterr().err.decode()
    assert "never read: 'x'" in told and told.count("\n") == 1
