"""The command line: what it writes, and how it says that something is wrong."""

import contextlib
import functools
import http.server
import inspect
import json
import re
import subprocess
import sys
import tarfile
import threading
import time
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from PIL import Image

import handwriting_lib as hw
from handwriting_lib.cli import _parser, main
from handwriting_lib.evaluation.report import EvaluationSettings
from tests.zigzag import zigzag

SEGMENT = '.INCLUDE aaa/x.dat\n.SEGMENT WORD 0 OK "hi"\n.SEGMENT TEXT 0-1 OK "hi yo"\n'
PEN = ".WRITER_ID someone\n.COORD X Y\n.PEN_DOWN\n{}\n.PEN_UP\n.PEN_DOWN\n{}\n"


@pytest.fixture
def release(tmp_path):
    """A UNIPEN release of one word and one line."""
    root = tmp_path / "train_r01_v07"
    (root / "data/8/aaa").mkdir(parents=True)
    (root / "include/aaa").mkdir(parents=True)
    (root / "data/8/aaa/x.dat").write_text(SEGMENT)
    word = "\n".join(f"{3 * i} {i * i % 7}" for i in range(12))
    other = "\n".join(f"{60 + 3 * i} {i * i % 5}" for i in range(12))
    (root / "include/aaa/x.dat").write_text(PEN.format(word, other))
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(root, root.name)
    return archive


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDWRITING_CACHE", str(tmp_path / "cache"))


def fails(capsys, *arguments):
    """The one sentence that a command ends with."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("handwriting: ") and said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def test_write_makes_all_three_files(tmp_path):
    out, data, gif = (tmp_path / name for name in ("a.svg", "a.json", "a.gif"))
    assert main([
        "write", "ab", "cd", "--samples", "2", "--out", str(out), "--json", str(data),
        "--gif", str(gif),
    ]) == 0  # fmt: skip
    assert ET.parse(out).getroot().tag.endswith("svg")
    lines = json.loads(data.read_text())
    assert [(line["text"], line["sample"]) for line in lines] == [
        ("ab", 0), ("ab", 1), ("cd", 0), ("cd", 1)
    ]  # fmt: skip
    assert set(lines[0]) == {
        "text", "sample", "strokes", "complete", "seed", "draws", "points", "seconds",
        "backend", "replaced",
    }  # fmt: skip
    assert gif.read_bytes().startswith(b"GIF8")


def test_pictures_have_the_size_and_the_look_asked_for(tmp_path, capsys):
    svg, png, pdf = (tmp_path / name for name in ("a.svg", "a.png", "a.pdf"))
    write = ["write", "ab", "cd", "--model", "unipen-184"]
    look = ["--color", "tab:blue", "--line-width", "0.5", "--background", "#ffeecc"]
    assert main([*write, "--paper", "a5", "--layers", *look, "--out", str(svg)]) == 0
    root = ET.parse(svg).getroot()
    assert (root.get("width"), root.get("viewBox")) == ("148mm", "0 0 148 210")
    paper, *lines = root
    assert paper.get("fill") == "#ffeecc" and len(lines) == 2
    assert {(g.get("stroke"), g.get("stroke-width")) for g in lines} == {
        ("#1f77b4", "0.5")
    }
    wide = ["--width", "10cm", "--variable-width", "--ruled"]
    assert main([*write, *wide, "--dpi", "254", "--out", str(png)]) == 0
    with Image.open(png) as image:
        assert image.width == 1000
    assert main([*write, *wide, "--out", str(pdf)]) == 0
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert main([*write, "--width", "10cm", "--background", "none"]) == 0
    shown = capsys.readouterr().out
    assert 'width="100mm"' in shown and "<rect" not in shown


@pytest.mark.parametrize(
    "options, named",
    [
        (["--color", "blurple"], "--color must be a colour.*'blurple'"),
        (["--color", "none"], "--color must be"),
        (["--background", "paper"], "--background must be a colour"),
        (["--paper", "a9"], "paper must be a3, .*'a9'"),
        (["--paper", "0x100"], "above 0 and at most 5000 mm.*'0'"),
        (["--width", "1e9mm"], "--width must be a length.*170mm.*'1e9mm'"),
        (["--width", "nan"], "--width must be a length"),
        (["--line-width", "0mm"], "--line-width must be a length"),
        (["--dpi", "0"], "--dpi must be between 1 and 10000, not 0"),
        (["--dpi", "nan"], "--dpi must be between"),
        (["--layers", "--out", "a.pdf"], "--layers is for SVG alone"),
        (["--video", "a.avi"], "--video must end in .mp4"),
        (["--paper", "5000x5000", "--gif", "a.gif"], "at most 65535 pixels a side"),
    ],
)
def test_sizes_and_colours_that_cannot_be_are_named_before_a_line_is_written(
    options, named, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("handwriting_lib.writing.lines.write_lines", None)
    monkeypatch.chdir(tmp_path)
    assert re.search(named, fails(capsys, "write", "a", *options))


def test_write_twice_gives_the_same(tmp_path):
    said = []
    for name in ("a.json", "b.json"):
        main(["write", "same", "--seed", "3", "--json", str(tmp_path / name)])
        lines = json.loads((tmp_path / name).read_text())
        said.append([{k: v for k, v in x.items() if k != "seconds"} for x in lines])
    assert said[0] == said[1]


def test_write_reads_texts_from_a_file_and_prints_svg(tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("one\n\ntwo\n")
    assert main(["write", "--texts-file", str(tmp_path / "texts.txt")]) == 0
    assert ET.fromstring(capsys.readouterr().out).tag.endswith("svg")


@pytest.mark.slow
def test_eight_samples_are_complete_in_fifteen_seconds(tmp_path):
    begin = time.monotonic()
    subprocess.run(
        [
            sys.executable, "-m", "handwriting_lib", "write", "It has to be symphonic",
            "--samples", "8", "--json", str(tmp_path / "ink.json"),
            "--out", str(tmp_path / "ink.svg"),
        ],
        check=True,
    )  # fmt: skip
    # a bound on something that hangs, not a measure of speed
    assert time.monotonic() - begin < 60
    lines = json.loads((tmp_path / "ink.json").read_text())
    assert len(lines) == 8 and all(line["complete"] for line in lines)


def test_bad_input_to_write(tmp_path, capsys):
    not_weights = tmp_path / "x.safetensors"
    not_weights.write_bytes(b"not weights at all")
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"Z\xfcrich")
    say = functools.partial(fails, capsys, "write")
    assert "empty" in say("")
    assert "'ü'" in say("Zürich")
    assert "2000 characters" in say("x" * 2000)
    assert "not a model file" in say("a", "--model", str(not_weights))
    assert "no model 'nothere'" in say("a", "--model", "nothere")
    assert "no model file" in say("a", "--model", str(tmp_path / "none.safetensors"))
    assert ".svg or .png" in say("a", "--out", str(tmp_path / "a.bmp"))
    assert "no folder" in say("a", "--out", str(tmp_path / "none" / "a.svg"))
    assert "--texts-file" in say()
    assert "cannot be read" in say("--texts-file", str(latin))
    assert "temperature" in say("a", "--temperature", "0")
    assert "bias" in say("a", "--bias", "nan")
    for device in ("nodevice", "meta", "cuda:99"):
        assert device in say("a", "--device", device)


def test_bad_input_to_corpus(tmp_path, capsys, release):
    whole = release.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    empty = tmp_path / "empty"
    empty.mkdir()
    say = functools.partial(fails, capsys, "corpus", "info")
    assert "no file or folder" in say(f"unipen:{tmp_path / 'none.tar.xz'}")
    assert "damaged or cut short" in say(f"unipen:{cut}")
    assert "no UNIPEN release" in say(f"unipen:{empty}")
    assert "corpus get unipen" in say("unipen")
    assert "no corpus 'nonsense'" in say("nonsense")


def test_bad_input_to_train(tmp_path, capsys):
    config = tmp_path / "c.toml"
    say = functools.partial(fails, capsys, "train")
    assert "no configuration file" in say(str(config))
    config.write_text("networks = 'synthesis'")
    assert "'networks'" in say(str(config))
    config.write_text("network = ")
    assert "not TOML" in say(str(config))
    assert "--minutes must be above 0, not -1.0" in say(str(config), "--minutes", "-1")
    assert "--steps must be above 0, not 0" in say(str(config), "--steps", "0")


def test_corpus_info_counts(release, capsys, tmp_path):
    sheet = tmp_path / "sheet.svg"
    assert main(["corpus", "info", f"unipen:{release}", "--sheet", str(sheet)]) == 0
    said = capsys.readouterr().out
    assert "line                1         1" in said
    assert "word                1         1" in said
    assert "someone" not in said  # writers are numbers
    assert sheet.exists()


def test_corpus_get_downloads_into_the_cache(release, capsys):
    folder = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=release.parent
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            got = ["corpus", "get", "unipen", "--url"]
            assert main([*got, f"{address}/{release.name}"]) == 0
            assert main(["corpus", "info", "unipen"]) == 0
            capsys.readouterr()
            assert "cannot be downloaded" in fails_quietly(capsys, *got, address + "/x")
            assert "damaged" in fails_quietly(capsys, *got, address + "/")
        finally:
            server.shutdown()


def fails_quietly(capsys, *arguments):
    """As `fails`, after a progress bar."""
    assert main(arguments) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_train_writes_a_model_that_write_can_use(tmp_path, capsys):
    config = tmp_path / "tiny.toml"
    config.write_text(
        'corpus = "synthetic"\n[corpus_options]\nsamples = 60\n'
        "[model]\nhidden = 8\n[limits]\npoints = 2000\n"
        "[recipe]\nsteps = 4\npoints = 3000\nvalidate_every = 2\n"
    )
    out = tmp_path / "run"
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    model = hw.load_model(out / "model.safetensors")
    assert model.about["steps"] == 4
    # nobody's training is written over by mistake
    capsys.readouterr()
    again = ["train", str(config), "--out", str(out), "--device", "cpu"]
    assert "--resume" in fails(capsys, *again)
    assert torch.isfinite(torch.tensor(model.about["validation_nats_per_point"]))
    assert main(["train", str(config), "--out", str(out), "--device", "cpu",
                 "--steps", "6", "--resume"]) == 0  # fmt: skip
    assert hw.load_model(out / "model.safetensors").about["steps"] == 6


def test_train_says_where_a_better_model_is(tmp_path, monkeypatch, caplog):
    from handwriting_lib.training import text

    losses = iter([3.0, 2.0, 4.0, 5.0])
    monkeypatch.setattr(text, "nats_per_character", lambda *_: next(losses))
    config, poem = tmp_path / "tiny.toml", tmp_path / "poem.txt"
    poem.write_text("the pen goes on and on " * 20)
    config.write_text(
        f'network = "character-lstm"\ncorpus = "{poem}"\n'
        "[model]\nwidth = 8\nblock = 16\n"
        "[recipe]\nsteps = 20\nvalidate_every = 1\npatience = 2\n"
    )
    out = tmp_path / "run"
    caplog.set_level("INFO")
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    last, better = caplog.messages[-2:]
    assert f"trained for 4 of 20 updates; the model is in {out}/model.safet" in last
    assert f"after 2 updates, is in {out / 'best.safetensors'}" in better
    assert hw.load_model(out / "best.safetensors").about["steps"] == 2


def test_train_validates_on_what_the_configuration_names(tmp_path, monkeypatch):
    config, seen = tmp_path / "tiny.toml", []
    model = types.SimpleNamespace(about={"steps": 0})
    config.write_text(
        'corpus = "synthetic"\n[corpus_options]\nsamples = 60\nseed = 1\n'
        "[validation_options]\nsamples = 7\nseed = 2\n[limits]\npoints = 2000\n"
    )
    monkeypatch.setattr(
        "handwriting_lib.training.loop.fit",
        lambda task, *_, **__: seen.append(task.data) or model,
    )
    assert main(["train", str(config), "--device", "cpu"]) == 0
    wanted = {s.text for s in hw.load_corpus("synthetic", samples=7, seed=2).samples}
    (data,) = seen
    assert {s.text for s in data.validation} <= wanted
    assert len(data.train) > 50 and len(data.validation) > 4


def test_the_default_bias_is_the_same_everywhere():
    def default(function):
        return inspect.signature(function).parameters["bias"].default

    engine = Path(hw.__file__).parent / "widgets/static/engine.js"
    in_browser = re.search(r"seed = 1, .*\bbias = ([\d.]+)", engine.read_text())
    parser = _parser()
    typed = [
        parser.parse_args(arguments).bias
        for arguments in (["write", "a"], ["evaluate", "--corpus", "synthetic"])
    ]
    everywhere = {
        default(hw.write),
        default(hw.Studio),
        EvaluationSettings().bias,
        float(in_browser[1]),
        *typed,
    }
    assert len(everywhere) == 1, everywhere


def test_export_looks_for_the_folder_first(tmp_path, capsys):
    for engine in ("--onnx", "--browser"):
        said = fails(capsys, "export", engine, str(tmp_path / "nowhere" / "file"))
        assert str(tmp_path / "nowhere") in said


def test_written_lines_are_no_ink_to_make_a_style_from(tmp_path, capsys):
    written = tmp_path / "ink.json"
    assert main(["write", "ab", "--json", str(written)]) == 0
    capsys.readouterr()
    style = str(tmp_path / "me.safetensors")
    said = fails(capsys, "style", "--from", str(written), "--save", style)
    assert "ink.json" in said and "Save file" in said


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("the pen\nran dry"), 1, "unexpected RuntimeError: the pen (run"),
        (MemoryError(), 2, "out of memory: write fewer"),
        (torch.OutOfMemoryError("CUDA out of"), 2, "out of memory: write"),
        (RuntimeError("x: can't allocate memory: y"), 2, "out of memory:"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_sentence_and_a_traceback_on_request(
    error, status, said, monkeypatch, capsys
):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr("handwriting_lib.writing.styles.model_of", fail)
    assert main(["write", "a line"]) == status
    printed = capsys.readouterr().err
    assert said in printed and "Traceback" not in printed
    assert printed.count("\n") <= 1
    with pytest.raises(type(error)) if status != 130 else contextlib.nullcontext():
        main(["write", "a line", "--debug"])


@pytest.mark.parametrize(
    ("option", "file", "lines"), [("--out", "a.png", 547), ("--gif", "a.gif", 1093)]
)
def test_too_many_lines_for_a_picture_are_told_before_one_is_drawn(
    option, file, lines, tmp_path, monkeypatch, capsys
):
    def fail(*_args, **_options):
        raise AssertionError("a model was asked for")

    monkeypatch.setattr("handwriting_lib.writing.styles.model_of", fail)
    path = str(tmp_path / file)
    said = fails(capsys, "write", "ab", "--samples", str(lines), option, path)
    assert f"at most {lines - 1} lines, not {lines}" in said
    # options that exist, or words that name none
    assert not set(re.findall("--[a-z-]+", said)) - {"--samples", "--out"}


def test_with_json_the_ink_is_kept_though_the_picture_cannot_hold_it(
    tmp_path, monkeypatch, capsys, caplog
):
    monkeypatch.setattr("handwriting_lib.drawing.layout.MAX_SIDE", 200)
    ink, picture = tmp_path / "o.json", tmp_path / "o.png"
    options = "--samples", "3", "--json", str(ink), "--out", str(picture)
    assert main(["write", "ab", *options]) == 2
    said = capsys.readouterr().err
    assert "at most 1 lines, not 3" in caplog.text and str(ink) in caplog.text
    assert "pixels a side" in said and "Traceback" not in said
    assert len(json.loads(ink.read_text())) == 3 and not picture.exists()


def test_ctrl_c_keeps_the_lines_that_are_finished(tmp_path, monkeypatch, capsys):
    from handwriting_lib.writing.sampling import MixtureWriter

    draw, calls = MixtureWriter.draw, []

    def once(self, texts, *rest):
        calls.append(texts)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(self, texts, *rest)

    monkeypatch.setattr(MixtureWriter, "draw", once)
    monkeypatch.setattr("handwriting_lib.writing.lines.BATCH", 2)
    ink = tmp_path / "ink.json"
    texts = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    assert main(["write", *texts, "--redraws", "0", "--json", str(ink)]) == 130
    said = capsys.readouterr().err
    written = json.loads(ink.read_text())
    assert [line["text"] for line in written] == texts[:4]
    assert "4 of 8 lines were finished" in said and "Traceback" not in said
    calls.clear()
    with pytest.raises(KeyboardInterrupt) as stop:
        hw.write(texts, redraws=0)
    assert [line.text for line in stop.value.lines] == texts[:4]


def test_page_is_written_kept_and_continued(tmp_path, monkeypatch, capsys, caplog):
    from handwriting_lib.writing.sampling import MixtureWriter

    caplog.set_level("INFO")
    calls, kept = [], []
    page = tmp_path / "page.json"

    def counted(self, texts, generators, *rest):
        kept.append(len(json.loads(page.read_text())["words"]) if page.exists() else 0)
        if len(calls) == 2 and not kept.count(-1):
            kept.append(-1)
            raise KeyboardInterrupt
        calls.extend(texts)
        return [zigzag(*job) for job in zip(texts, generators, strict=True)]

    monkeypatch.setattr(MixtureWriter, "draw", counted)
    monkeypatch.setattr("handwriting_lib.writing.pages.BATCH", 1)
    monkeypatch.setattr("handwriting_lib.cli.LEISURE", 0)
    letter = tmp_path / "letter.txt"
    letter.write_bytes("\ufeffDear Ann,\r\n\r\ncaf\u00e9\r\nAnn\r\n".encode())
    command = [
        "write", "--page", str(letter), "--model", "unipen-256", "--redraws", "0",
        "--json", str(page),
    ]  # fmt: skip
    assert "'\u00e9'" in fails(capsys, *command)
    command += ["--ascii"]
    assert main(command) == 130
    assert "2 lines were finished; the text is missing from 'Ann' on" in (
        capsys.readouterr().err
    )
    assert json.loads(page.read_text())["missing"] == ["Ann"]
    assert kept == [0, 2, 3, -1]  # what a kill would have left
    assert main(command) == 0
    assert calls == ["Dear Ann,", "cafe", "Ann"]
    assert "by 'e'" in caplog.text
    found = json.loads(page.read_text())
    assert [word["text"] for word in found["words"]] == ["Dear", "Ann,", "cafe", "Ann"]
    # other paper takes no writing; another seed begins anew
    pdf = tmp_path / "page.pdf"
    paper = ("--width", "20ex", "--paper", "letter", "--out", str(pdf))
    assert main([*command, *paper]) == 0
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(calls) == 3
    assert json.loads(page.read_text())["layout"]["width"] == 50
    # and where saving takes long beside writing, it is done less often
    monkeypatch.setattr("handwriting_lib.cli.LEISURE", 1e9)
    kept.clear()
    assert main([*command, "--seed", "2"]) == 0
    assert len(calls) == 6
    assert kept == [4, 2, 2] and json.loads(page.read_text())["missing"] == []


def test_bad_input_to_a_page(tmp_path, capsys):
    letter = tmp_path / "letter.txt"
    letter.write_text("a")
    page = ("write", "--page", str(letter))
    assert "one file and writes it once" in fails(capsys, *page, "more")
    assert "one file and writes it once" in fails(capsys, *page, "--samples", "2")
    assert "give its text with --page" in fails(capsys, "write", "a", "--size", "3")
    assert "cannot be read" in fails(capsys, "write", "--page", str(tmp_path / "no"))
    model = ("--model", "unipen-184")
    assert "not 'a9'" in fails(capsys, *page, *model, "--paper", "a9")
    assert "too short" in fails(capsys, *page, *model, "--width", "5mm")
    letter.write_text(" \n")
    assert "empty" in fails(capsys, *page, *model)
