"""Speed of the page's engine and of onnxruntime-web, in points per second.

Each engine runs in one browser thread. onnxruntime-web is not part of the project. To
measure it, run `npm pack onnxruntime-web`, unpack the archive, set `ONNXRUNTIME_WEB` to
its folder `package`, and run `pip install onnx`. Without it, the engine is compared
only with its own plain JavaScript.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handwriting_lib import Model, SynthesisConfig, SynthesisNetwork
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.networks import SynthesisState
from handwriting_lib.parts.lstm import LSTMState
from handwriting_lib.widgets.host import STATIC
from handwriting_lib.widgets.studio import ENGINE

from . import ROOT, Result, compare

TEXT = "a machine that writes, in all"
POINTS = 300  # per round
SIZES = SynthesisConfig()  # the paper's sizes
OURS = "engine, float32"
INT8 = "engine, int8"
PLAIN = "engine without WebAssembly"
ORT = "onnxruntime-web, float32"
GLUE = """
const forced = Array.from({length: 64}, (_, i) => [Math.sin(i), Math.cos(i), 0]);
window.open_engine = async (name, file, simd) => {
  const pack = loadPack(await (await fetch(file)).arrayBuffer());
  const engine = new Engine(pack, {simd});
  const state = engine.start();
  const indices = encode(TEXT);
  window.runs[name] = async points => {
    let output;
    for (let t = 0; t < points; t++) {
      ({output} = engine.step(state, indices, forced[t % 64]));
      mixtureOf(output, 0.5, 1);
    }
    return Array.from(output);
  };
};
window.open_onnx = async (name, {hidden, layers, components, symbols}) => {
  const ort = await import('./ort/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create('./step.onnx');
  const tensor = (data, shape) => new ort.Tensor('float32', data, shape);
  const letters = new ort.Tensor('int64', BigInt64Array.from(encode(TEXT), BigInt),
                                 [1, TEXT.length + 1]);
  let state = {w: tensor(new Float32Array(symbols), [1, symbols]),
               kappa: tensor(new Float32Array(components), [1, components])};
  for (const cell of ['h', 'c']) for (let l = 0; l < layers; l++) {
    state[cell + l] = tensor(new Float32Array(hidden), [1, hidden]);
  }
  window.runs[name] = async points => {
    let out;
    for (let t = 0; t < points; t++) {
      const point = tensor(Float32Array.from(forced[t % 64]), [1, 3]);
      out = await session.run({point, text: letters, ...state});
      mixtureOf(out.output.data, 0.5, 1);
      state = Object.fromEntries(Object.keys(state).map(k => [k, out[k + '_next']]));
    }
    return Array.from(out.output.data);
  };
};
window.runs = {};
window.time = async (name, points) => {
  const begin = performance.now();
  const output = await window.runs[name](points);
  return {seconds: (performance.now() - begin) / 1000, output};
};
"""


class Step(nn.Module):
    """One step of the network with plain tensors in and out, for the exporter."""

    def __init__(self, network: SynthesisNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, point: Tensor, text: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        w, kappa, *cells = state
        half = len(cells) // 2
        layers = tuple(map(LSTMState, cells[:half], cells[half:]))
        mask = torch.ones_like(text, dtype=torch.bool)
        output, new, _ = self.network.step(
            point, SynthesisState(layers, w, kappa), text, mask
        )
        h, c = zip(*new.layers, strict=True)
        return (output, new.w, new.kappa, *h, *c)


def write_onnx(network: SynthesisNetwork, file: Path) -> None:
    """Write one step of a network as an ONNX file, which needs the package `onnx`."""
    start = network.initial_state(1)
    states = [start.w, start.kappa, *(s.h for s in start.layers)]
    states += [s.c for s in start.layers]
    count = range(len(start.layers))
    names = ["w", "kappa", *(f"h{i}" for i in count), *(f"c{i}" for i in count)]
    text = torch.ones(1, len(TEXT) + 1, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own code
        torch.onnx.export(
            Step(network),
            (torch.zeros(1, 3), text, *states),
            str(file),
            dynamo=False,
            input_names=["point", "text", *names],
            output_names=["output", *(f"{name}_next" for name in names)],
        )


def run(rounds: int) -> Result:
    """Time the engines at the paper's size.

    The weights are random, because the speed does not depend on their values.

    Args:
        rounds: number of timed rounds; one more before them warms up.
    """
    sys.path.append(str(ROOT / "book" / "_tools"))
    from browser import open_browser, serve, visit, why_no_browser

    if reason := why_no_browser():
        raise SystemExit(f"this benchmark needs a web browser: {reason}")
    torch.manual_seed(0)
    network = SynthesisNetwork(SIZES)
    model = Model(network.eval())
    ort = os.environ.get("ONNXRUNTIME_WEB")
    names = [OURS, INT8, PLAIN]
    notes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for weights in ("float32", "int8"):
            (folder / f"{weights}.bin").write_bytes(browser_pack(model, weights))
        source = "".join((STATIC / f"{one}.js").read_text("utf-8") for one in ENGINE)
        (folder / "page.html").write_text(
            f"<!doctype html><meta charset=utf-8><script type=module>{source}\n"
            f"const TEXT = '{TEXT}';{GLUE}</script>"
        )
        if ort and find_spec("onnx"):
            shutil.copytree(Path(ort) / "dist", folder / "ort")
            write_onnx(network, folder / "step.onnx")
            names.append(ORT)
            about = json.loads((Path(ort) / "package.json").read_text("utf-8"))
            notes["onnxruntime-web"] = about["version"]
        else:
            notes["onnxruntime-web"] = "not measured: see benchmarks/browser.py"
        with serve(folder) as site, open_browser() as driver:
            visit(driver, f"{site}/page.html")

            def call(script: str, *arguments: object) -> Any:
                answer = driver.execute_async_script(
                    "const [done] = [].slice.call(arguments, -1);"
                    f"{script}.then(done, wrong => done(String(wrong)));",
                    *arguments,
                )
                if isinstance(answer, str):
                    raise RuntimeError(answer)
                return answer

            for name, file, simd in [
                (OURS, "float32.bin", True),
                (INT8, "int8.bin", True),
                (PLAIN, "float32.bin", False),
            ]:
                call("open_engine(...arguments)", name, file, simd)
            if ORT in names:
                call("open_onnx(...arguments)", ORT, dataclasses.asdict(SIZES))
            seconds: dict[str, list[float]] = {name: [] for name in names}
            outputs: dict[str, list[float]] = {}
            for turn in range(rounds + 1):
                for name in names:
                    taken = call("time(...arguments)", name, POINTS)
                    if turn:  # the first turn warms up
                        seconds[name].append(taken["seconds"])
                    else:
                        outputs[name] = taken["output"]
            notes["browser"] = driver.capabilities["browserVersion"]
    baseline = ORT if ORT in names else PLAIN
    rows = compare(seconds, baseline)
    notes["largest difference of the raw output from the baseline's"] = {
        name: max(
            abs(a - b) for a, b in zip(outputs[name], outputs[baseline], strict=True)
        )
        for name in names
    }
    notes["points per second"] = {row.name: round(POINTS / row.median) for row in rows}
    return Result(
        "One line in headless Chromium, one thread, a point at a time",
        {"points": POINTS, **dataclasses.asdict(SIZES)},
        baseline,
        rows,
        notes,
    )
