"""What TensorBoard shows of a run: its curves, and its sheets of samples."""

import dataclasses

import pytest

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.systems import SYSTEMS, _sheet_of
from handwriting_lib.training.loop import Progress

pytest.importorskip("tensorboard")

CONFIG = """
network = "prediction"
corpus = "synthetic"
[corpus_options]
samples = 30
[model]
hidden = 6
layers = 1
mixtures = 2
[recipe]
steps = 4
points_per_batch = 200
validate_every = 2
validation_batches = 2
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_curves_and_sheets_are_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "tiny.toml").write_text(CONFIG)
    out = tmp_path / "run"
    command = ["train", str(tmp_path / "tiny.toml"), "--out", str(out)]
    assert main([*command, "--tensorboard"]) == 0
    sheets = sorted((out / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["0000002.png", "0000004.png"]
    assert all(sheet.read_bytes()[1:4] == b"PNG" for sheet in sheets)
    events = EventAccumulator(str(out / "board"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("validation")] == [2, 4]
    assert [event.step for event in events.Images("samples")] == [2, 4]


def test_a_sheet_that_cannot_be_drawn_ends_no_training(tmp_path, caplog, monkeypatch):
    sheet = _sheet_of(lambda model: [])
    nothing = dataclasses.replace(SYSTEMS["prediction"], sheet=sheet)
    monkeypatch.setitem(SYSTEMS, "prediction", nothing)
    network = hw.PredictionNetwork(hw.PredictionConfig(hidden=4, layers=1))
    progress = Progress(7, 1.0, 1.0, 1.0, 1, 1.0)
    with caplog.at_level("WARNING"):
        hw.save_sheets(tmp_path)(progress, hw.Model(network))
    assert "no samples at step 7: there is no ink" in caplog.text
