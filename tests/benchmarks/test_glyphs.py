"""The benchmark of drawn glyphs, on boxes and with a recogniser that sees nothing."""

import pytest
import torch

from benchmarks import glyphs
from handwriting_lib.corpora.outlines import Font, OutlineCorpus
from handwriting_lib.files.models import Model
from handwriting_lib.networks import build_network
from handwriting_lib.outline import parse
from handwriting_lib.tokens.characters import Vocabulary


class Reader:
    """Reads every word as the same one."""

    def read_picture(self, pixels):
        return "hohne" if pixels.shape[1] > 100 else "H"


@pytest.fixture
def model():
    torch.manual_seed(1)
    sizes = {"symbols": 5, "grid": 16, "points": 12, "width": 8, "layers": 1}
    network = build_network("glyph", {**sizes, "heads": 2})
    return Model(network, vocabulary=Vocabulary("Hehno"), name="boxes")


@pytest.fixture
def corpus():
    def font(family, style):
        wide = 0.3 + 0.1 * len(style)
        box = f"M0.1 0L0.1 0.7L{wide} 0.7L{wide} 0Z"
        return Font(
            family, style, f"{family}.ttf",
            {c: parse(box, wide + 0.1) for c in "Hehno"},
        )  # fmt: skip

    return OutlineCorpus(
        "boxes", [font(f"{s} {i}", s) for s in ("serif", "mono") for i in range(3)]
    )


def test_every_measure_has_a_row_of_drawn_and_of_real(model, corpus, monkeypatch):
    for name, value in (("DRAWS", 1), ("PARSED", {"with": 20, "without": 10})):
        monkeypatch.setattr(glyphs, name, value)
    monkeypatch.setattr(glyphs.hw, "load_outlines", lambda source: corpus)
    monkeypatch.setattr(glyphs.hw, "find_model", lambda name: model)
    monkeypatch.setattr(glyphs.hw, "load_recogniser", Reader)
    result = glyphs.run("fonts:somewhere/secret", "boxes")
    assert result["corpus"] == "fonts" and result["model"] == "boxes"
    assert result["parses"]["with"] == 1 > result["parses"]["without"]
    styles = result["styles"]
    assert styles["all"]["drawn"]["glyphs"] == 25
    assert styles["serif"]["real"]["glyphs"] == 10
    assert styles["sans"]["real"]["glyphs"] == 0
    real = styles["serif"]["real"]
    # H stands in HOHNE, which needs letters that the fonts lack, so it does not count
    assert real["alone"] == 0.2 and real["in_word"] == 0.25 and real["readable"] == 1
    assert real["nearest"] == pytest.approx(1) and 0 <= real["style"] <= 1
    assert styles["all"]["drawn"]["nearest"] < 0.99
    nats = result["cross_entropy"]
    assert set(nats) == {"all", "serif", "mono"}
    assert nats["all"]["glyph"] == pytest.approx(6 * nats["all"]["row"])
    assert "secret" not in glyphs.table(result)
    assert glyphs.table(result).count("drawn") == 7
