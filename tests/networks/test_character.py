"""The networks that compose: against torch, step by step, and blind to the future."""

import pytest
import torch
from torch import nn

from handwriting_lib.errors import InputError
from handwriting_lib.networks.character import (
    CharacterDecoder,
    CharacterDecoderConfig,
    CharacterLSTM,
    CharacterLSTMConfig,
)

KINDS = ["decoder", "lstm"]


def network(kind, **sizes):
    """A small one, whose weights are far from those that training begins with."""
    torch.manual_seed(3)
    made = {
        "decoder": lambda: CharacterDecoder(
            CharacterDecoderConfig(**{"symbols": 11, "width": 12, "layers": 2,
                                      "heads": 3, "block": 16} | sizes)
        ),
        "lstm": lambda: CharacterLSTM(
            CharacterLSTMConfig(**{"symbols": 11, "width": 12, "layers": 2,
                                   "block": 16} | sizes)
        ),
    }[kind]()  # fmt: skip
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.normal_(0, 0.5)
    return made.eval()


def text(batch=2, length=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(11, (batch, length), generator=generator)


def test_a_layer_of_the_decoder_is_that_of_torch():
    layer = network("decoder").layers[0]
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = {
        theirs.self_attn.out_proj: layer.past.output,
        theirs.linear1: layer.up, theirs.linear2: layer.down,
        theirs.norm1: layer.norm_past, theirs.norm2: layer.norm_wide,
    }  # fmt: skip
    with torch.no_grad():
        for name in ("weight", "bias"):
            ours = getattr(layer.past.project, name)
            getattr(theirs.self_attn, f"in_proj_{name}").copy_(ours)
    for other, own in pairs.items():
        other.load_state_dict(own.state_dict())
    x = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(1))
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    torch.testing.assert_close(layer(x)[0], theirs(x, src_mask=mask, is_causal=True))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_with_the_cache_give_what_the_whole_text_gives(kind, device):
    made, read = network(kind).to(device), text().to(device)
    whole, state, steps = made(read).logits, None, []
    for character in read.T:
        logits, state = made.step(character, state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_may_be_read_in_parts(kind):
    made, read = network(kind), text()
    first = made(read[:, :6])
    rest = made(read[:, 6:], first.state)
    torch.testing.assert_close(
        torch.cat([first.logits, rest.logits], 1), made(read).logits
    )
    # a state is a value: the text goes on in another way from the same one
    made(read[:, :9], first.state)
    torch.testing.assert_close(made(read[:, 6:], first.state).logits, rest.logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_the_future_never_leaks(kind, seed):
    # others have shifted the mask by one, and had a loss that was too good
    made, read = network(kind), text(seed=seed)
    t = int(torch.randint(1, 16, (), generator=torch.Generator().manual_seed(seed)))
    other = read.clone()
    other[:, t:] = (other[:, t:] + 1 + seed) % 11
    one, two = made(read).logits, made(other).logits
    assert torch.equal(one[:, :t], two[:, :t])
    assert not torch.isclose(one[:, t:], two[:, t:]).all(-1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_alone_is_the_same_text_in_a_batch(kind):
    made, read = network(kind), text(batch=4)
    torch.testing.assert_close(made(read[2:3]).logits, made(read).logits[2:3])


def test_past_the_block_the_window_slides_by_half():
    made, read = network("decoder"), text(length=45)
    state, steps = None, []
    for character in read.T:
        logits, state = made.step(character, state)
        assert state.text.shape[1] <= 16
        steps.append(logits)
    for t, logits in enumerate(steps):
        # the windows are 0 to 15, then 8 to 23, 16 to 31, ...
        first = 0 if t < 16 else t // 8 * 8 - 8
        wanted = made(read[:, first : t + 1]).logits[:, -1]
        torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_a_small_block_slides_too(block):
    made, state = network("decoder", block=block), None
    for character in text(length=9).T:
        logits, state = made.step(character, state)
        assert logits.isfinite().all()


def test_a_text_longer_than_the_block_is_refused_by_the_decoder_alone():
    with pytest.raises(InputError, match="a text of 17 characters is too long"):
        network("decoder")(text(length=17))
    state = network("decoder")(text(length=10)).state
    with pytest.raises(InputError, match="a text of 17 characters is too long"):
        network("decoder")(text(length=7), state)
    assert network("lstm")(text(length=40)).logits.shape == (2, 40, 11)


def test_positions_matter():
    made = network("decoder")
    same = torch.full((1, 16), 4)
    logits = made(same).logits[0]
    assert not torch.isclose(logits[3], logits[4]).all()
    with torch.no_grad():
        made.positions.weight.zero_()  # what is left knows only what it saw, not where
    logits = made(same).logits[0]
    torch.testing.assert_close(logits, logits[:1].expand(16, -1))


def test_attention_maps_are_what_the_layers_do():
    made, read = network("decoder"), text()
    maps = made.attention_maps(read)
    assert maps.shape == (2, 2, 3, 16, 16)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 3, 16))
    assert (maps.triu(1) == 0).all()
    layer, x = made.layers[0], made._embed(read)
    inside = layer.norm_past(x)
    values = layer.past.read(inside).values  # (B, heads, T, D / heads)
    mixed = (maps[:, 0] @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer.past.output(mixed), layer.past(inside)[0])


def test_a_new_network_knows_nothing():
    for made in (CharacterDecoder(), CharacterLSTM()):
        made.eval()
        with torch.no_grad():
            logits = made(text()).logits
        loss = nn.functional.cross_entropy(logits.mT, text(seed=2))
        assert float(loss) == pytest.approx(torch.tensor(96.0).log().item(), abs=0.2)


def test_the_two_that_are_compared_weigh_the_same():
    sizes = [
        sum(weight.numel() for weight in made.parameters())
        for made in (CharacterDecoder(), CharacterLSTM())
    ]
    assert max(sizes) < 1.03 * min(sizes)
    assert sum(sizes) * 2 < 6e6  # bytes in half precision: both ship


@pytest.mark.parametrize("wrong", [-0.1, 1, 1.5, True, None, "a"])
def test_dropout_has_a_range(wrong):
    with pytest.raises(InputError, match="dropout must be a number from 0 to below 1"):
        CharacterLSTMConfig(dropout=wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_for_training_alone(kind):
    made = network(kind, dropout=0.5)
    assert torch.equal(made(text()).logits, made(text()).logits)
    made.train()
    assert not torch.equal(made(text()).logits, made(text()).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_takes_part(kind):
    made = network(kind)
    made(text()).logits.square().sum().backward()
    assert all(weight.grad.any() for weight in made.parameters())
