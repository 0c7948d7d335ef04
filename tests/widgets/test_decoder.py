"""The character decoder of the page against torch, and what it composes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from handwriting_lib.alphabet import CHARACTERS
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.widgets.studio import DECODER
from handwriting_lib.writing.compose import SENTENCE_END
from handwriting_lib.writing.lines import line_generator

from .characters import in_base64, make_decoder, prefer

pytestmark = pytest.mark.book

TEXT = "a head that looks back, and back."
READ = """
const pack = loadDecoder(decode(given.pack));
const decoder = new Decoder(pack, {simd: given.simd});
return given.tokens.map(token => {
  const {logits, weights} = decoder.step(token);
  return {logits: [...logits], weights: weights.map(one => [...one])};
});
"""


def rounded(content: bytes, network) -> None:
    """Give a network the weights that an int8 pack holds."""
    packed = safetensors.torch.load(content)
    for name, weight in network.named_parameters():
        scale = packed.get(f"{name}.scale")
        value = packed[name].float()
        weight.data.copy_(value if scale is None else scale[:, None] * value)


@pytest.mark.parametrize("simd", [True, False])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_logits_and_weights_are_those_of_torch(run_module, precision, simd):
    model = make_decoder()
    content = browser_pack(model, precision)
    if precision == "int8":
        rounded(content, model.network)
    tokens = model.carried["vocabulary"].encode(TEXT)
    with torch.inference_mode():
        logits = model.network(tokens[None]).logits[0]
        maps = model.network.attention_maps(tokens[None])[0].flatten(0, 1)
    given = {"pack": in_base64(content), "tokens": tokens.tolist(), "simd": simd}
    found = run_module(DECODER, READ, **given)
    largest = float(logits.abs().max())
    assert maps.amax(-1)[:, 5:].min() < 0.5 < maps.amax(-1)[:, 5:].max()
    for t, step in enumerate(found):
        off = np.abs(np.array(step["logits"]) - logits[t].numpy()).max()
        assert off < 1e-4 * largest, t
        np.testing.assert_allclose(step["weights"], maps[:, t, : t + 1], atol=1e-4)


def test_past_the_block_it_goes_on_as_python_does(run_module):
    model = make_decoder(block=9, characters="abc")
    content = browser_pack(model, "float32")
    tokens = torch.randint(3, (30,)).tolist()
    state, wanted = None, []
    with torch.inference_mode():
        for token in tokens:
            logits, state = model.network.step(torch.tensor([token]), state)
            wanted.append(logits[0].tolist())
    found = run_module(DECODER, READ, pack=in_base64(content), tokens=tokens, simd=True)
    np.testing.assert_allclose([one["logits"] for one in found], wanted, atol=1e-3)


def test_an_edited_text_gives_what_a_new_one_gives(run_module):
    given = {"pack": in_base64(browser_pack(make_decoder(), "int8"))}
    texts = ["a pen", "a pencil", "a per", "q", "a pencil"]
    vocabulary = make_decoder().carried["vocabulary"]
    given["texts"] = [vocabulary.encode(text).tolist() for text in texts]
    differences = run_module(
        DECODER,
        """
        const pack = loadDecoder(decode(given.pack));
        const edited = new Decoder(pack);
        return given.texts.map(tokens => {
          const found = edited.read(tokens);
          const wanted = new Decoder(pack).read(tokens);
          return found.map(({logits}, t) =>
            Math.max(...logits.map((one, i) => Math.abs(one - wanted[t].logits[i]))));
        });
        """,
        **given,
    )
    assert [len(one) for one in differences] == [len(text) for text in texts]
    assert all(off == 0 for one in differences for off in one)


DRAW = """
return given.scores.map((scores, i) => {
  const p = softmax(Float32Array.from(scores), given.temperature, given.allowed);
  return drawIndex(p, given.numbers[i]);
});
"""


@pytest.mark.parametrize("temperature", [0.1, 1.0, 1.7])
def test_draws_are_those_of_the_softmax(run_module, temperature):
    scores = 3 * torch.randn(200, 12)
    numbers = torch.rand(200, generator=line_generator(1, 0, 1))
    allowed = torch.arange(12) % 5 != 2
    p = (scores / temperature).masked_fill(~allowed, -torch.inf).softmax(-1)
    wanted = (p.double().cumsum(-1) <= numbers[:, None]).sum(-1)
    given = {"scores": scores.tolist(), "numbers": numbers.tolist()}
    given |= {"allowed": allowed.tolist(), "temperature": temperature}
    found = torch.tensor(run_module(DECODER, DRAW, **given))
    assert allowed[found].all()
    assert (found == wanted).float().mean() > 0.98  # rounding may move a boundary


def test_random_numbers_are_those_of_python(run_module):
    found = run_module(
        DECODER,
        "const next = uniformNumbers(7, 0, 3);"
        "return Array.from({length: 700}, () => next());",
    )
    wanted = torch.rand(700, generator=line_generator(7, 0, 3))
    assert found == wanted.tolist()


ENDS = [
    "It ends. ", "It goes on.", "It ends! ", 'He said "why?" ', "See Fig. ", "e.g. ",
    "i.e. ", "It is big. ", "(It ends.) ", "a.b ", "It ends.\n", "The fig. ", " ", "",
]  # fmt: skip


def test_sentences_end_where_they_do_in_python(run_module):
    found = run_module(DECODER, "return given.texts.map(endsSentence)", texts=ENDS)
    assert found == [SENTENCE_END.search(text) is not None for text in ENDS]


COMPOSE = """
const [given, done] = arguments;
composer(given).then(done, problem => done(String(problem)));
"""


@pytest.fixture
def composer(show):
    """Composes in the page with a small network, whose output has a bias a letter."""
    from handwriting_lib.widgets.host import module_source

    def compose(seeds, characters="\n " + "ab.", bias=None, most=60):
        model = prefer(make_decoder(characters=characters), **(bias or {}))
        page = show(
            f"<script type=module>{module_source(*DECODER)}\n"
            "window.composer = async given => {"
            " const decoder = new Decoder(loadDecoder(decode(given.pack)));"
            " const made = [];"
            " for (const seed of given.seeds) made.push(await composeSentence("
            "   decoder, {seed, characters: given.most}));"
            " return made; };</script>"
        )
        given = {"pack": in_base64(browser_pack(model, "int8")), "seeds": seeds}
        return page.driver.execute_async_script(COMPOSE, {**given, "most": most})

    return compose


def test_sentences_are_what_the_hand_can_write(composer):
    letters = "\n .abc\u00fc\u2019\u6f22"
    made = composer([1, 1, 2, 3, 4, 5], letters, {"\u00fc": 5, ".": 1, " ": 1})
    assert made[0] == made[1] and len(set(made)) > 3
    for text in made:
        assert 0 < len(text) <= 60 and set(text) <= set(CHARACTERS)
        assert text == text.strip()
    assert any(text.endswith(".") for text in made)


def test_a_sentence_without_an_end_is_cut_between_words(composer):
    made = composer([1, 2, 3], " ab")
    assert all(50 < len(text) <= 60 for text in made)
    assert all(len(text) == 20 for text in composer([1, 2], " a", {"a": 50}, 20))
    assert "knows no space" in composer([1], "ab")


def broken(content: bytes, change) -> str:
    """A pack whose header was changed."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["handwriting_lib"])
    change(header, about)
    header["__metadata__"]["handwriting_lib"] = json.dumps(about)
    text = json.dumps(header).encode()
    return in_base64(len(text).to_bytes(8, "little") + text + content[8 + size :])


def test_a_bad_pack_is_one_clear_sentence(run_module):
    pack = browser_pack(make_decoder(), "int8")
    other = "this is not a pack of a character decoder"
    cases = {
        in_base64(b"none"): other,
        in_base64(pack[:40]): other,
        in_base64(pack[:-90]): "the pack is damaged at ",
        broken(pack, lambda h, a: a.update(kind="synthesis")): other,
        broken(pack, lambda h, a: a.update(format="new")): other,
        broken(pack, lambda h, a: h.pop("norm.bias")): "damaged at norm.bias: ",
        broken(pack, lambda h, a: h.pop("output.weight.scale")):
            "damaged at output.weight: ",
        broken(pack, lambda h, a: a["config"].update(symbols=90)):
            "96 characters for 90 symbols",
    }  # fmt: skip
    said = run_module(
        DECODER,
        "return given.packs.map(one => {"
        " try { return new Decoder(loadDecoder(decode(one))) && ''; }"
        " catch (problem) { return problem.message; } });",
        packs=list(cases),
    )
    for words, wanted in zip(said, cases.values(), strict=True):
        assert wanted in words, (words, wanted)
