"""The benchmarks at toy sizes: what they print and write, not how fast they are."""

import json
import platform
import re
import shutil
import subprocess
import time

import pytest
import torch
from scipy.stats import multivariate_normal

import benchmarks
import handwriting_lib as hw
from benchmarks import __main__ as door
from benchmarks import browser, ladder, lstm, measure, sample
from handwriting_lib import Normalisation, SynthesisConfig, SynthesisNetwork, make_batch


def test_ratios_are_taken_against_the_baseline():
    functions = {"slow": lambda: time.sleep(0.02), "fast": lambda: time.sleep(0.002)}
    slow, fast = measure(functions, "slow", rounds=3)
    assert slow.ratio == slow.ratio_of_medians == 1
    assert fast.ratio == slow.minimum / fast.minimum > 2


def test_rows_are_measured_by_turns():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    measure(functions, "a", rounds=3)
    assert calls == ["a", "b"] * 4  # once beforehand, then each round


def test_a_result_names_command_commit_and_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(door, "RESULTS", tmp_path)
    for name, size in {"POINTS": 3, "BATCH": 2, "INPUTS": 4, "HIDDEN": 5}.items():
        monkeypatch.setattr(lstm, name, size)
    assert door.main(["lstm", "--rounds", "1"]) == 0
    written = json.loads((tmp_path / "lstm.json").read_text())
    assert written["command"] == "python -m benchmarks lstm --rounds 1"
    assert set(written["machine"]) == {
        "processor", "cores", "threads", "system", "python", "torch", "backend"
    }  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{40}\+?|unknown", written["commit"])
    assert written["setting"]["hidden"] == 5
    names = [row["name"] for row in written["rows"]]
    assert names[0] == written["baseline"] == lstm.LOOP
    assert platform.node() not in json.dumps(written) or len(platform.node()) < 4
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert "the baseline" in printed


def test_the_commit_says_whether_the_measured_code_differs_from_it(
    tmp_path, monkeypatch
):
    def git(*words):
        who = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false".split()
        command = ["git", *who, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        return done.stdout.decode().strip()

    monkeypatch.setattr(benchmarks, "ROOT", tmp_path)
    assert benchmarks.commit() == "unknown"
    (tmp_path / "handwriting_lib").mkdir()
    code, other = tmp_path / "handwriting_lib/a.py", tmp_path / "other.txt"
    code.write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    other.write_text("not measured")
    assert benchmarks.commit() == head
    code.write_text("2")
    assert benchmarks.commit() == head + "+"


def test_there_is_a_list_of_benchmarks(capsys):
    assert "lstm" in door.names()
    with pytest.raises(SystemExit):
        door.main(["nonsense"])
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err


def test_all_means_those_of_speed(monkeypatch):
    ran = []
    monkeypatch.setattr(door, "measure", lambda name, _: ran.append(name))
    assert door.main(["all"]) == 0
    assert "lstm" in ran and "ladder" not in ran


# --- the ladder ----------------------------------------------------------------------


@pytest.fixture
def small_ladder(tmp_path, monkeypatch):
    sizes = {"BUDGETS": (4, 8), "HIDDEN": 6, "POINTS": 1500, "LINES": 2}
    equal = {"feedforward": 9, "recurrent": 9, "prediction": 7}
    folders = {"RECORDS": tmp_path / "records", "NETWORKS": tmp_path / "networks"}
    others = {"LONGEST": 500, "CURVE": 2, "EQUAL": equal}
    for name, value in (sizes | folders | others).items():
        monkeypatch.setattr(ladder, name, value)
    options = {"samples": 80, "writers": 30, "kinds": ("line", "word"), "seed": 3}
    monkeypatch.setattr(ladder, "CORPUS_OPTIONS", {"synthetic": options})
    monkeypatch.setattr(door, "RESULTS", tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_the_ladder_asks_every_rung_the_same(small_ladder, monkeypatch, capsys):
    assert door.main(["ladder", "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    result = ladder.collected(ladder.RECORDS)
    assert result["budgets"] == [4, 8] and result["seeds"] == [1, 2]
    names = [
        "constant Gaussian", "feedforward", "plain recurrent", "LSTM", "peephole LSTM",
        "three layers", "synthesis", "wide feedforward", "wide plain recurrent",
        "wide LSTM", "wide peephole LSTM", "three layers, trained on",
        "three layers, weight noise", "synthesis, trained on",
        "synthesis, weight noise",
    ]  # fmt: skip
    assert list(result["rungs"]) == names
    assert all(name in printed for name in names)
    held_out = result["split"]["validation"]
    assert held_out["lines"] == 2 and held_out["words"] == 0
    for name, rung in result["rungs"].items():
        for steps, runs in rung["runs"].items():
            assert [run["seed"] for run in runs] == [1, 2][: len(runs)]
            assert (len(runs) == 1) == (name == "constant Gaussian")
            for run in runs:
                line = run["nats_per_point"] * held_out["points"] / held_out["lines"]
                assert run["nats_per_line"] == pytest.approx(line)
                assert run["command"].endswith("ladder --corpus synthetic --resume")
                if run["curve"]:
                    last = steps // 2 if run["begins_with"] else steps
                    step, nats = run["curve"][-1]
                    assert step == last
                    assert nats == pytest.approx(run["nats_per_point"], abs=1e-4)
    rates = {ladder.RATE, *ladder.OTHER_RATES}
    assert set(result["rungs"]["LSTM"]["rates"]) == rates
    assert set(result["rungs"]["synthesis"]["rates"]) == {ladder.RATE}
    weights = {name: rung["weights"] for name, rung in result["rungs"].items()}
    assert weights["peephole LSTM"] == weights["LSTM"] + 3 * 6
    seen = {
        name: rung["runs"][8][0]["points_seen"]
        for name, rung in result["rungs"].items()
        if name != "constant Gaussian"
    }
    assert len({seen[name] for name in names[1:11]}) == 1  # the same batches
    assert seen["synthesis, trained on"] == seen["synthesis, weight noise"]

    # what is recorded stays; what is missing is made again, and the same
    lost = ladder.RECORDS / "three-layers-trained-on-8-2.json"
    old, kept = json.loads(lost.read_text()), ladder.RECORDS / "LSTM-4-1.json"
    lost.unlink()
    shutil.rmtree(ladder.NETWORKS / lost.stem)
    before = kept.stat().st_mtime_ns
    assert door.main(["ladder", "--seeds", "2", "--resume"]) == 0
    assert kept.stat().st_mtime_ns == before
    new = json.loads(lost.read_text())
    assert new["nats_per_point"] == pytest.approx(old["nats_per_point"], abs=1e-6)
    with pytest.raises(ValueError, match="already holds a training run"):
        door.main(["ladder", "--seeds", "2"])
    capsys.readouterr()

    with pytest.raises(SystemExit, match="holds no records: run python -m benchmarks"):
        ladder.collected(ladder.RECORDS / "empty")

    # records of another ladder are not mixed in
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"corpus": "iam"}))
    with pytest.raises(SystemExit, match=r"LSTM-4-1\.json.* differ in corpus"):
        ladder.collected(ladder.RECORDS)


def test_the_ladder_does_not_tell_where_a_corpus_lies(small_ladder, monkeypatch):
    constant = ladder.rungs()[0]
    one = ladder.Training(constant, 4, 1)
    monkeypatch.setattr(ladder, "trainings", lambda seeds: [one])
    ink = hw.load_corpus("synthetic", samples=80, writers=30, seed=3)
    monkeypatch.setattr(ladder.hw, "load_corpus", lambda corpus, **_: ink)
    door.main(["ladder", "--corpus", "unipen:/home/me/release.tgz", "--seeds", "1"])
    (record,) = ladder.RECORDS.glob("*.json")
    assert "/home/me" not in record.read_text()
    assert "--corpus unipen:PATH --resume" in record.read_text()


def test_the_constant_gaussian_is_fitted_to_its_points():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(5000, 3, generator=generator)
    points[:, 1] = 0.4 * points[:, 0] + 0.7 * points[:, 1] - 0.3
    points[:, 2] = (points[:, 2] > 1).float()
    constant = ladder.ConstantGaussian(points)
    xy = points[:, :2].double().numpy()
    normal = multivariate_normal(xy.mean(0), torch.cov(points[:, :2].T).numpy())
    share = points[:, 2].mean().item()
    wanted = normal.logpdf(xy) + torch.where(
        points[:, 2] > 0, torch.tensor(share), torch.tensor(1 - share)
    ).log().numpy()  # fmt: skip
    ours = constant(points[None]).mixture().log_prob(points[None])[0]
    assert ours.numpy() == pytest.approx(wanted, abs=1e-3)
    assert 0.1 < share < 0.2


@torch.no_grad()
def test_figures_are_means_over_points_and_lines(scribble):
    samples = [scribble(points=n, seed=n) for n in (20, 31, 50)]
    unit = Normalisation((0.1, 0.0), (0.4, 0.5))
    constant = ladder.ConstantGaussian(torch.cat([s.ink for s in samples]))
    apart = [make_batch([s], unit) for s in samples]
    together = [make_batch(samples, unit)]
    one, other = (ladder.figures(constant, side, unit) for side in (apart, together))
    assert one == pytest.approx(other, rel=1e-5)
    assert one["nats_per_line"] == pytest.approx(one["nats_per_point"] * 98 / 3)
    ink = torch.cat([unit.apply(s.ink)[1:, :2] for s in samples])
    mean = constant(ink[None]).mixture().mean[0, :, :2]
    apart = (mean - ink) * torch.tensor(unit.std)
    wanted = apart.square().sum(1).mean().item()
    assert one["squared_error"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.book
def test_the_browser_benchmark_compares_engines_that_agree(monkeypatch):
    pytest.importorskip("selenium")
    import browser as chromium  # of book/_tools

    if reason := chromium.why_no_browser():
        pytest.skip(reason)
    monkeypatch.delenv("ONNXRUNTIME_WEB", raising=False)
    monkeypatch.setattr(browser, "POINTS", 5)
    monkeypatch.setattr(browser, "SIZES", SynthesisConfig(hidden=16, layers=2))
    result = browser.run(1)
    assert result.baseline == browser.PLAIN
    assert [row.name for row in result.rows] == [
        browser.OURS, browser.INT8, browser.PLAIN
    ]  # fmt: skip
    assert result.notes["onnxruntime-web"].startswith("not measured")
    apart = result.notes["largest difference of the raw output from the baseline's"]
    assert apart[browser.OURS] < 1e-5 < apart[browser.INT8] < 0.1
    assert result.notes["points per second"][browser.OURS] > 0


# --- sampling ------------------------------------------------------------------------


@pytest.mark.slow  # torch.compile takes its time
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile's own
def test_ways_of_writing_agree_and_are_compared_with_streaming(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(door, "RESULTS", tmp_path)
    monkeypatch.setattr(sample, "SIZES", SynthesisConfig(hidden=16, layers=2))
    monkeypatch.setattr(sample, "POINTS", 5)
    assert door.main(["sample", "--rounds", "2"]) == 0
    written = json.loads((tmp_path / "sample.json").read_text())
    names = [row["name"] for row in written["rows"]]
    assert names == [
        sample.LOOP, sample.COMPILED, sample.STREAM, sample.PRODUCTS, *sample.WRITERS,
        sample.NO_LOOP, *sample.ABLATIONS,
    ]  # fmt: skip
    notes = written["notes"]
    apart = notes["largest difference of the last point from the plain loop's"]
    assert max(apart.values()) < 1e-5
    seconds = {row["name"]: row["median"] for row in written["rows"]}
    rates, ratios = notes["points per second"], notes["ratios of points per second"]
    assert rates[sample.MANY] == pytest.approx(5 * 64 / seconds[sample.MANY], rel=1e-3)
    passes = 5 / seconds[sample.STREAM]
    assert ratios["one line over streaming"] == pytest.approx(
        rates[sample.ONE] / passes, abs=1e-3
    )
    faster = seconds[sample.ONE] / seconds[sample.ONE_INT8]
    assert ratios["one line, int8 over float32"] == pytest.approx(faster, abs=0.01)
    together = 64 * seconds[sample.ONE] / seconds[sample.MANY]
    assert ratios["64 lines over one"] == pytest.approx(together, abs=0.01)
    most = 64 * seconds[sample.ONE] / seconds[sample.PRODUCTS]
    bound = ratios["64 lines, products alone, over one"]
    assert bound == pytest.approx(most, abs=0.01)
    network = SynthesisNetwork(SynthesisConfig(hidden=16, layers=2))
    counted = sum(p.numel() for p in network.parameters())
    assert written["setting"]["weights"] == counted
    assert all(name in capsys.readouterr().out for name in names[:1])
