"""Networks under autocast, through torch.compile and through torch.export."""

import shutil

import pytest
import torch
from torch.export import Dim, export

import handwriting_lib as hw
from handwriting_lib.fast import operators, products

TEXT, MASK = hw.pad_texts(["abc", "de"])
INK = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))


def make(kind):
    torch.manual_seed(1)
    if kind == "synthesis":
        return hw.SynthesisNetwork(hw.SynthesisConfig(hidden=16)), (INK, TEXT, MASK)
    if kind == "prediction":
        return hw.PredictionNetwork(hw.PredictionConfig(hidden=16)), (INK,)
    if kind == "recurrent":
        return hw.RecurrentNetwork(hw.RecurrentConfig(hidden=16, layers=2)), (INK,)
    return hw.FeedforwardPredictor(), (INK,)


KINDS = ["synthesis", "prediction", "recurrent", "feedforward"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_a_loss_by_rounding_alone(kind, dtype):
    network, inputs = make(kind)

    def loss():
        network.zero_grad()
        mixture = hw.StrokeMixture.from_output(network(*inputs).output)
        value = -mixture.log_prob(INK).mean()
        value.backward()
        return value.detach(), [p.grad.clone() for p in network.parameters()]

    exact, gradients = loss()
    with torch.autocast("cpu", dtype=dtype):
        found, rounded = loss()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, atol=2e-3, rtol=0)
    assert found != exact  # it did something
    for mine, theirs in zip(rounded, gradients, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, atol=5e-3, rtol=0.1)


@pytest.mark.parametrize("kind", ["synthesis", "prediction"])
def test_steps_under_autocast_agree_with_forward(kind):
    network, (ink, *text) = make(kind)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        wanted, state = network(ink, *text).output, network.initial_state(2)
        for t in range(ink.shape[1]):
            output, state, *_ = network.step(ink[:, t], state, *text)
            torch.testing.assert_close(
                output.float(), wanted[:, t], atol=2e-2, rtol=2e-2
            )
    assert {layer.c.dtype for layer in state.layers} == {torch.float32}


@pytest.mark.parametrize("packs", [True, False])
def test_lines_do_not_depend_on_autocast(packs, monkeypatch):
    if not packs:
        monkeypatch.setattr(products, "_can_pack", lambda dtype: False)
    model, texts = hw.load_pretrained("unipen-184"), ["hi", "you", "they"]
    plain = hw.write(texts, model, seed=1, redraws=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = hw.write(texts, model, seed=1, redraws=0)
    for mine, theirs in zip(under, plain, strict=True):
        assert torch.equal(mine.ink, theirs.ink)


BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                not (shutil.which("g++") or shutil.which("clang++")),
                reason="torch.compile needs a C++ compiler here",
            ),
        ],
    ),
]


@pytest.mark.filterwarnings("ignore")  # torch's own, of its tracing
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_compiles_as_one_graph_and_trains(backend):
    network, inputs = make("synthesis")
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    gradients = []
    for each in (network, compiled):
        network.zero_grad()
        out = each(*inputs)
        out.output.square().mean().backward()
        gradients.append([out.output.detach(), *(p.grad for p in network.parameters())])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="symbol -5"):  # not a crash
        compiled(INK, torch.where(TEXT == TEXT[0, 0], -5, TEXT), MASK)


@pytest.mark.filterwarnings("ignore")
# `torch.export` unrolls nn.RNN, so a recurrent network is exported for one length alone
@pytest.mark.parametrize("kind", ["synthesis", "prediction", "feedforward"])
def test_a_network_is_exported_for_any_number_of_lines_and_points(kind):
    network, inputs = make(kind)
    lines, points = Dim("lines", min=1), Dim("points", min=2)
    shapes = ({0: lines, 1: points}, {0: lines}, {0: lines})
    program = export(network, inputs, dynamic_shapes=shapes[: len(inputs)])
    others = INK[:, :5].repeat(2, 1, 1), *(part.repeat(2, 1) for part in inputs[1:])
    found, wanted = program.module()(*others), network(*others)
    torch.testing.assert_close(found.output, wanted.output)


@pytest.mark.parametrize("matmul_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("windowed", [False, True])
def test_the_operators_keep_the_rules_of_torch_library(windowed, matmul_dtype):
    network, _ = make("synthesis")
    layer, width = network.layers[0], network.layers[0].input_size
    h, c = (state.requires_grad_() for state in layer.initial_state(2))
    weights = layer.weight_ih, layer.weight_hh, layer.bias, layer.peephole
    x = torch.randn(4, 2, 3 if windowed else width, requires_grad=True)
    if windowed:
        w, kappa = torch.zeros(2, width - 3), torch.zeros(2, 10)
        more = network.window.weight, network.window.bias, TEXT, MASK
        arguments = x, h, c, w, kappa, *weights, *more, matmul_dtype, None
        operator = operators.windowed_layer
    else:
        arguments = x, h, c, *weights, matmul_dtype, 10.0
        operator = operators.peephole_layer
    tests = "test_schema", "test_autograd_registration", "test_faketensor"
    torch.library.opcheck(operator, arguments, test_utils=tests)
