"""handwriting_lib: the library of the book *A Machine That Writes*.

    import handwriting_lib as hw

    line = hw.write("It has to be symphonic", bias=0.8, seed=7)[0]
    hw.save(line.ink, "line.svg")

Every part of the network of Graves 2013 has a module of its own, under the name that
the book gives it. Whatever is optional (matplotlib, Pillow) loads when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from . import alphabet as alphabet
from . import corpora as corpora
from . import ink as ink
from . import widgets as widgets
from ._deprecation import warn
from .alphabet import decode, encode, pad_texts, to_ascii
from .corpora import load_corpus
from .corpora.archives import CorpusError
from .corpora.formats import save_ink
from .corpora.outlines import Font, OutlineCorpus, load_outlines
from .corpora.text import TextCorpus, load_text
from .data.batches import Batch, LengthBuckets, make_batch
from .data.joining import Joined, baseline, join_words
from .data.transforms import (
    Augmentation,
    Limits,
    Normalisation,
    Thinning,
    augment,
    change_speed,
    measure_normalisation,
    prepare,
    scale_by_writer,
    split_by_writer,
)
from .drawing import plots as plots
from .drawing.animation import write_gif, write_video
from .drawing.films import Film, animate_mixture, animate_outline, animate_phi
from .drawing.outlines import outlines_to_svg, save_outlines
from .drawing.picture import save
from .drawing.plots import (
    plot_curves,
    plot_density,
    plot_ink,
    plot_mixture,
    plot_offsets,
    plot_phi,
)
from .drawing.png import to_pdf, to_png
from .drawing.sheet import Sheet
from .drawing.svg import to_svg
from .errors import HandwritingError
from .evaluation.legibility import Reading, Recogniser, load_recogniser, read_lines
from .evaluation.report import EvaluationSettings, evaluate
from .evaluation.text import NGrams, cross_entropy, memorised_share
from .fast import FusedPeepholeLSTM
from .files.browser import browser_pack, export_browser
from .files.fonts import save_font
from .files.models import (
    Model,
    ModelError,
    find_model,
    load_model,
    load_pretrained,
    pretrained_names,
    save_model,
)
from .files.onnx import export_onnx, onnx_step
from .ink import (
    Corpus,
    Sample,
    from_strokes,
    letter_body_height,
    offsets_to_positions,
    positions_to_offsets,
    slant,
    smooth,
    thin,
    to_strokes,
)
from .networks import (
    CharacterDecoder,
    CharacterDecoderConfig,
    CharacterLSTM,
    CharacterLSTMConfig,
    CursiveConfig,
    CursiveDecoder,
    FeedforwardConfig,
    FeedforwardPredictor,
    GlyphConfig,
    GlyphDecoder,
    NetworkOutput,
    PredictionConfig,
    PredictionNetwork,
    RecurrentConfig,
    RecurrentNetwork,
    SynthesisConfig,
    SynthesisNetwork,
    grow,
)
from .outline import Outline
from .parts.attention import KeyValues, MultiHeadAttention, attention_by_hand
from .parts.lstm import LSTMState, PeepholeLSTM, clip_derivative, lstm_cell
from .parts.mixture import StrokeMixture, mixture_loss
from .parts.window import Window, WindowParameters, soft_window
from .systems import (
    load_page,
    save_sheets,
    train,
    write,
    write_dataset,
    write_page,
)
from .tokens.characters import Vocabulary
from .tokens.glyphs import GlyphTokens
from .tokens.strokes import StrokeTokens
from .training.config import TrainingConfig, read_config
from .training.cursive import prepare_words
from .training.glyph import prepare_fonts
from .training.ink import batch_loss, prepare_data
from .training.optim import GravesRMSprop, WeightNoise
from .widgets import AttentionView, OwnHand, Pad, Player, Studio
from .widgets.sliders import sliders
from .writing.compose import compose
from .writing.cursive import check_attention
from .writing.decode import Decoding, Grammar
from .writing.glyphs import Glyph, draw_font, draw_glyphs
from .writing.lines import Line
from .writing.pages import Page, rewrite
from .writing.sampling import check_line, write_unconditional
from .writing.styles import (
    Style,
    StyleError,
    find_style,
    load_style,
    make_style,
    save_style,
    style_names,
)

__version__ = "0.1.0"

# Names that were changed, and modules that have moved into a folder.
_RENAMED = {
    "Buckets": "LengthBuckets",
    "write_freely": "write_unconditional",
}
_MOVED = {
    "animation": "drawing.animation",
    "batches": "data.batches",
    "checkpoints": "files.models",
    "export": "files.browser",
    "fused": "fast.sequences",
    "legibility": "evaluation.legibility",
    "lstm": "parts.lstm",
    "measures": "evaluation.measures",
    "mixture": "parts.mixture",
    "onnx_export": "files.onnx",
    "optim": "training.optim",
    "rendering": "drawing.layout",
    "sampling": "writing.sampling",
    "stepping": "writing.stepper",
    "styles": "writing.styles",
    "transforms": "data.transforms",
    "window": "parts.window",
}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warn(f"handwriting_lib.{name}", f"handwriting_lib.{_RENAMED[name]}")
        return globals()[_RENAMED[name]]
    if name in _MOVED:
        warn(f"handwriting_lib.{name}", f"handwriting_lib.{_MOVED[name]}")
        return import_module(f".{_MOVED[name]}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AttentionView",
    "Augmentation",
    "Batch",
    "CharacterDecoder",
    "CharacterDecoderConfig",
    "CharacterLSTM",
    "CharacterLSTMConfig",
    "Corpus",
    "CorpusError",
    "CursiveConfig",
    "CursiveDecoder",
    "Decoding",
    "EvaluationSettings",
    "FeedforwardConfig",
    "FeedforwardPredictor",
    "Film",
    "Font",
    "FusedPeepholeLSTM",
    "Glyph",
    "GlyphConfig",
    "GlyphDecoder",
    "GlyphTokens",
    "Grammar",
    "GravesRMSprop",
    "HandwritingError",
    "Joined",
    "KeyValues",
    "LSTMState",
    "LengthBuckets",
    "Limits",
    "Line",
    "Model",
    "ModelError",
    "MultiHeadAttention",
    "NGrams",
    "NetworkOutput",
    "Normalisation",
    "Outline",
    "OutlineCorpus",
    "OwnHand",
    "Pad",
    "Page",
    "PeepholeLSTM",
    "Player",
    "PredictionConfig",
    "PredictionNetwork",
    "Reading",
    "Recogniser",
    "RecurrentConfig",
    "RecurrentNetwork",
    "Sample",
    "Sheet",
    "StrokeMixture",
    "StrokeTokens",
    "Studio",
    "Style",
    "StyleError",
    "SynthesisConfig",
    "SynthesisNetwork",
    "TextCorpus",
    "Thinning",
    "TrainingConfig",
    "Vocabulary",
    "WeightNoise",
    "Window",
    "WindowParameters",
    "animate_mixture",
    "animate_outline",
    "animate_phi",
    "attention_by_hand",
    "augment",
    "baseline",
    "batch_loss",
    "browser_pack",
    "change_speed",
    "check_attention",
    "check_line",
    "clip_derivative",
    "compose",
    "cross_entropy",
    "decode",
    "draw_font",
    "draw_glyphs",
    "encode",
    "evaluate",
    "export_browser",
    "export_onnx",
    "find_model",
    "find_style",
    "from_strokes",
    "grow",
    "join_words",
    "letter_body_height",
    "load_corpus",
    "load_model",
    "load_outlines",
    "load_page",
    "load_pretrained",
    "load_recogniser",
    "load_style",
    "load_text",
    "lstm_cell",
    "make_batch",
    "make_style",
    "measure_normalisation",
    "memorised_share",
    "mixture_loss",
    "offsets_to_positions",
    "onnx_step",
    "outlines_to_svg",
    "pad_texts",
    "plot_curves",
    "plot_density",
    "plot_ink",
    "plot_mixture",
    "plot_offsets",
    "plot_phi",
    "positions_to_offsets",
    "prepare",
    "prepare_data",
    "prepare_fonts",
    "prepare_words",
    "pretrained_names",
    "read_config",
    "read_lines",
    "rewrite",
    "save",
    "save_font",
    "save_ink",
    "save_model",
    "save_outlines",
    "save_sheets",
    "save_style",
    "scale_by_writer",
    "slant",
    "sliders",
    "smooth",
    "soft_window",
    "split_by_writer",
    "style_names",
    "thin",
    "to_ascii",
    "to_pdf",
    "to_png",
    "to_strokes",
    "to_svg",
    "train",
    "write",
    "write_dataset",
    "write_gif",
    "write_page",
    "write_unconditional",
    "write_video",
]
