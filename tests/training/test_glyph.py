"""The task of the glyph decoder: batches of fonts, changes, held-out families."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from handwriting_lib.cli import main
from handwriting_lib.corpora.outlines import CAPITALS, Font, OutlineCorpus
from handwriting_lib.files.models import load_model
from handwriting_lib.networks import build_network
from handwriting_lib.outline import parse, render, signed_area
from handwriting_lib.systems import SYSTEMS, train
from handwriting_lib.training.config import ConfigError, Recipe, TrainingConfig
from handwriting_lib.training.glyph import (
    Change,
    GlyphTask,
    measure,
    outward,
    prepare_fonts,
    row_losses,
)
from tests.training.tiny import assert_same_losses, log_of, losses, validations

ROOT = Path(__file__).parents[2]
SIZES = {"grid": 16, "points": 16, "width": 32, "layers": 2, "heads": 2, "dropout": 0.0}


def box(left, right, top, bottom=0.0):
    return f"M{left} {bottom}L{left} {top}L{right} {top}L{right} {bottom}Z"


def letters(stem):
    """Letters of boxes: stem is how wide they are."""
    half, wide = box(0.1, 0.1 + stem, 0.45), box(0.1, 0.1 + 3 * stem, 0.7)
    return {
        "l": parse(box(0.1, 0.1 + stem, 0.7), 0.2 + stem),
        "i": parse(half + box(0.1, 0.1 + stem, 0.7, 0.55), 0.2 + stem),
        "r": parse(half + box(0.1, 0.1 + 2 * stem, 0.45, 0.3), 0.2 + 2 * stem),
        "H": parse(wide, 0.2 + 3 * stem),
        "q": parse(box(0.1, 0.1 + stem, 0.45, -0.2), 0.2 + stem),
        "v": parse(f"M0.1 0L0.1 0.45L{0.1 + 2 * stem} 0.45Z", 0.2 + 2 * stem),
    }


@pytest.fixture(scope="module")
def corpus():
    fonts = [
        Font(f"family {i}", style, f"{i}.ttf", letters(0.05 + 0.01 * i))
        for style in ("serif", "mono") for i in range(4 if style == "serif" else 10, 12)
    ]  # fmt: skip
    return OutlineCorpus("boxes", fonts, {"font of too many bytes": 3})


def config(task=None, **recipe):
    recipe = {
        "steps": 30, "points_per_batch": 120, "optimiser": "adamw", "warmup_steps": 5,
        "learning_rate": 1e-2, "clip_norm": 1.0, "validate_every": 10,
        "validation_batches": 99,
    } | recipe  # fmt: skip
    task = {"fonts": 3, "references": 2} | (task or {})
    return TrainingConfig(
        "glyph", SIZES, "fonts:boxes", recipe=Recipe(**recipe), task=task
    )


def test_the_loss_falls_and_a_run_goes_on(tmp_path, corpus, device):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model = train(config(), corpus, whole, quiet=True, device=device)
    found = validations(whole)
    assert found[30] < found[10] < log_of(whole)[0]["loss"] < 12
    train(config(), corpus, parts, quiet=True, device=device, minutes=1e-9)
    train(config(), corpus, parts, quiet=True, device=device, resume=True)
    if device.type == "cpu":
        assert_same_losses(losses(parts), losses(whole))
    read = load_model(whole / "model.safetensors")
    assert read.carried["vocabulary"].characters == "Hilqrv"
    assert read.about["validation_nats_per_point"] == found[30]
    task = GlyphTask(config(), corpus)
    assert read.about["families"] == sorted({font.family for font in task.fonts})
    assert read.fingerprint() == model.fingerprint()
    SYSTEMS["glyph"].sheet(model.to("cpu"), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes()[1:4] == b"PNG"


def test_batches_are_of_a_few_fonts_with_other_glyphs_beside(corpus):
    task = GlyphTask(config(), corpus)
    with_references = 0
    for step in range(30):
        batch = task.batch(step)
        assert torch.equal(batch.rows, task.batch(step).rows)
        fonts = len(batch.references.rows)
        assert fonts == 3 and len(batch) % fonts == 0
        assert batch.targets == int(batch.mask.sum())
        for rows, mask in zip(batch.rows, batch.mask, strict=True):
            task.tokens.decode(rows[1:][mask])  # a whole program
        by_font = batch.character.view(fonts, -1)
        references = batch.references
        for i in range(fonts):
            shown = references.character[i][references.mask[i]].unique().tolist()
            assert not set(shown) & set(by_font[i].tolist())
            with_references += bool(shown)
            starts = references.number[i][references.mask[i]] == 0
            assert int(starts.sum()) == len(shown) <= 2
    assert 40 < with_references < 85  # 70 % of 90


def test_every_glyph_is_drawn_alike(corpus):
    task = GlyphTask(config({"references": 0}, points_per_batch=80), corpus)
    seen = torch.zeros(6)
    for step in range(400):
        seen += torch.bincount(task.batch(step).character, minlength=6)
    assert (seen / seen.mean()).min() > 0.8 and (seen / seen.mean()).max() < 1.25


def test_a_process_takes_its_fonts(corpus):
    batch = GlyphTask(config({"fonts": 4}), corpus).batch(1)
    shares = [batch.every(2, first) for first in range(2)]
    each = len(batch) // 4
    assert torch.equal(shares[1].rows[:each], batch.rows[each : 2 * each])
    assert torch.equal(shares[1].references.rows, batch.references.rows[1::2])
    assert sum(share.targets for share in shares) == batch.targets
    assert shares[0].seed == batch.seed != shares[1].seed


def test_held_out_families_are_measured_whole(corpus):
    task = GlyphTask(config(), corpus)
    trained = {font.family for font in task.fonts}
    assert sum(map(len, task.held_out)) == 6 * sum(
        font.family not in trained for font in corpus.fonts
    )
    network = build_network("glyph", task.config.model).eval()
    total = count = 0.0
    with torch.no_grad():
        for whole in task.held_out:
            for batch in (whole, whole.alone()):
                for i in range(len(batch)):
                    rows = batch.rows[i, 1:][batch.mask[i]]
                    out = network(
                        batch.rows[i : i + 1, : len(rows)],
                        batch.character[i : i + 1],
                        batch.style[i : i + 1],
                        batch.references,
                    )
                    for t, (kind, x, y) in enumerate(rows):
                        h, read = out.hidden[0, t], batch.rows[i, t]
                        scores = [(out.kinds[0, t], kind)]
                        if kind != 0:
                            scores.append((network.across(h, read, kind), x))
                        if kind > 1:
                            scores.append((network.up(h, read, kind, x), y))
                        total -= sum(float(s.log_softmax(-1)[k]) for s, k in scores)
                        count += 1
    cpu = torch.device("cpu")
    assert task.validate(network, cpu) == pytest.approx(total / count, rel=1e-4)
    found = measure(network, task.held_out, cpu)
    assert found.kind < found.row < found.glyph


def test_losses_are_of_the_parts_that_a_row_has(corpus):
    task = GlyphTask(config(), corpus)
    batch = task.batch(0)
    network = build_network("glyph", task.config.model)
    found = row_losses(network, batch)
    kind = batch.rows[:, 1:][batch.mask][:, 0]
    assert (found.kind > 0).all() and len(found.kind) == batch.targets
    assert ((found.x > 0) == (kind != 0)).all() and ((found.y > 0) == (kind > 1)).all()


# --- changes -------------------------------------------------------------------------


def test_a_change_keeps_baseline_and_capitals(corpus):
    task = GlyphTask(config(), corpus)
    tokens = dataclasses.replace(task.tokens, grid=1000)
    glyphs = {g.character: g for g in task.fonts[0].glyphs}
    letter = glyphs[task.vocabulary.characters.index("H")]
    plain = tokens.decode(torch.from_numpy(letter.encode(tokens, Change())))
    for change in (Change(0.02), Change(-0.02), Change(slant=0.2), Change(0.01, 1.2)):
        made = tokens.decode(torch.from_numpy(letter.encode(tokens, change)))
        assert made.points[:, 1].min() == 0
        assert made.points[:, 1].max() == pytest.approx(CAPITALS, abs=1e-3)
        grown = abs(signed_area(made.contours[0])) - abs(signed_area(plain.contours[0]))
        wide = np.ptp(plain.points[:, 0])
        wanted = (wide + 2 * change.weight) * change.width - wide
        assert grown / CAPITALS == pytest.approx(wanted, abs=2e-3)


def test_a_hole_shrinks_where_strokes_grow():
    ring = parse(
        "M0 0L0 0.7L0.7 0.7L0.7 0ZM0.2 0.2L0.5 0.2L0.5 0.5L0.2 0.5Z", 0.8
    )  # the outer contour runs clockwise, and the inner one the other way
    moved = ring.points[:, :2] + 0.05 * outward(ring)
    assert moved[4:].min() == pytest.approx(0.25) and moved[:4].min() == -0.05
    bold = ring.replace(
        contours=tuple(
            np.insert(part, 2, 1.0, axis=1) for part in (moved[:4], moved[4:])
        )
    )
    assert render(bold).sum() > render(ring).sum()


# --- the command line, and what does not fit -----------------------------------------


@pytest.mark.slow
def test_the_configuration_trains_from_the_command_line(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    for style in ("serif", "sans"):
        (tmp_path / "fonts" / style).mkdir(parents=True)
    for style, names in (
        ("serif", ("DejaVuSerif", "STIXGeneral", "cmr10")),
        ("sans", ("DejaVuSans", "DejaVuSansMono", "cmss10")),
    ):
        for name in names:
            content = (folder / f"{name}.ttf").read_bytes()
            (tmp_path / "fonts" / style / f"{name}.ttf").write_bytes(content)
    toml = (ROOT / "configs/glyph-176.toml").read_text()
    for old, new in (("width = 176", "width = 16"), ("= 3000", "= 200")):
        assert old in toml
        toml = toml.replace(old, new)
    (tmp_path / "small.toml").write_text(toml)
    run = [
        "train", str(tmp_path / "small.toml"), "--out", str(tmp_path / "run"),
        "--corpus", f"fonts:{tmp_path / 'fonts'}", "--device", "cpu",
    ]  # fmt: skip
    assert main([*run, "--steps", "2"]) == 0
    assert main([*run, "--steps", "3", "--resume"]) == 0
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.about["steps"] == 3 and model.about["config"]["corpus"] == "fonts"
    assert len(list((tmp_path / "run/sheets").iterdir())) == 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"task": {"colour": 1}}, "colour"),
        ({"task": {"alone": 2}}, "alone must be between"),
        ({"recipe": Recipe(synthetic_share=0.5)}, "synthetic_share"),
        ({"corpus_options": {"pen": "down"}}, "'pen'"),
        ({"model": {**SIZES, "points": 3}}, "leaves 0 fonts"),
    ],
)
def test_what_does_not_fit_is_told(corpus, monkeypatch, changed, told):
    monkeypatch.setattr(
        "handwriting_lib.training.glyph.load_outlines", lambda source, **_: corpus
    )
    with pytest.raises(ConfigError, match=told):
        GlyphTask.load(dataclasses.replace(config(), **changed))


def test_one_family_of_a_style_is_not_enough(corpus, caplog):
    few = dataclasses.replace(corpus, fonts=corpus.fonts[:1])
    with (
        caplog.at_level("INFO"),
        pytest.raises(ConfigError, match="two or more families"),
    ):
        prepare_fonts(few, config())
    assert "left out 3: font of too many bytes" in caplog.text
