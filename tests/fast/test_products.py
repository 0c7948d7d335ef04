"""Products with a weight that is laid out once."""

import pytest
import torch

from handwriting_lib.fast import PackedWeight, products

SHAPES = [(160, 99), (121, 120), (30, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rows", [1, 3, 4, 33])
def test_it_is_the_product(shape, dtype, rows):
    weight = torch.randn(shape, dtype=dtype)
    x = torch.randn(rows, shape[1], dtype=dtype)
    wanted = x.double() @ weight.double().t()
    given = PackedWeight(weight).product(x)
    assert given.dtype == dtype
    tolerance = 0.02 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(
        given.double(), wanted, rtol=tolerance, atol=tolerance * shape[1] ** 0.5
    )


def test_a_view_of_a_weight():
    weight, x = torch.randn(40, 60), torch.randn(5, 40)
    torch.testing.assert_close(PackedWeight(weight.t()).product(x), x @ weight)
    part = weight[:, 3:20]
    torch.testing.assert_close(
        PackedWeight(part).product(x[:, :17]), x[:, :17] @ part.t()
    )


def test_a_bias_and_more_dimensions():
    weight, bias, x = torch.randn(40, 60), torch.randn(40), torch.randn(7, 2, 60)
    for kind in (torch.float32, torch.float64):
        given = PackedWeight(weight.to(kind)).product(x.to(kind), bias.to(kind))
        wanted = torch.nn.functional.linear(x.to(kind), weight.to(kind), bias.to(kind))
        torch.testing.assert_close(given, wanted, rtol=1e-5, atol=1e-5)


def test_it_is_a_copy():
    weight, x = torch.randn(16, 8), torch.randn(4, 8)
    mine = PackedWeight(weight)
    before = mine.product(x)
    weight.zero_()
    assert torch.equal(mine.product(x), before)


def test_where_the_operators_are_missing(monkeypatch):
    def missing(_):
        raise AttributeError("no such operator")

    monkeypatch.setattr(products, "_pack", missing)
    products._can_pack.cache_clear()
    weight, x = torch.randn(16, 8), torch.randn(4, 8)
    mine = PackedWeight(weight)
    assert not mine.packed and torch.equal(mine.product(x), x @ weight.t())
    products._can_pack.cache_clear()
