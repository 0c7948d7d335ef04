"""The curves and sheets of a training run for TensorBoard, an optional extra.

`Board` has one method for each of the hooks of `training.loop.fit`. Another logger is
served in the same way: by a function for `on_step` and one for `on_validation`. For
Weights & Biases these lines are enough::

    import wandb

    run, sheets = wandb.init(project="handwriting"), hw.save_sheets(folder)

    def on_step(progress):
        run.log({"loss": progress.loss, "rate": progress.rate}, step=progress.step)

    def on_validation(progress, model):
        sheets(progress, model)
        sheet = wandb.Image(f"{folder}/sheets/{progress.step:07d}.png")
        run.log({"validation": progress.validation, "samples": sheet})

    hw.train(config, data, folder, on_step=on_step, on_validation=on_validation)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MissingPackageError
from ..files.models import Model
from .loop import Progress


class Board:
    """Writes what TensorBoard shows: `tensorboard --logdir FOLDER`.

    Args:
        folder: of the training run; the events are in `board` in it.

    Raises:
        MissingPackageError: the extra `tensorboard` is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingPackageError(
                "TensorBoard is not installed: pip install handwriting-lib[tensorboard]"
            ) from None
        self.folder = Path(folder)
        self.writer: Any = SummaryWriter(str(self.folder / "board"))

    def on_step(self, progress: Progress) -> None:
        """Write the loss, the norm of the gradient and the learning rate of a step."""
        for name in ("loss", "gradient_norm", "rate"):
            self.writer.add_scalar(name, getattr(progress, name), progress.step)

    def on_validation(self, progress: Progress, model: Model) -> None:
        """Write the validation loss, and the sheet of samples if there is one."""
        self.writer.add_scalar("validation", progress.validation, progress.step)
        sheet = self.folder / "sheets" / f"{progress.step:07d}.png"
        if sheet.exists():
            from matplotlib.image import imread

            pixels = imread(sheet)[..., :3]  # (H, W, 3)
            self.writer.add_image("samples", pixels, progress.step, dataformats="HWC")
        self.writer.flush()
