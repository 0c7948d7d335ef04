"""The pages of results: made of what the benchmarks wrote, and true of it."""

import copy
import json
import shutil

import pytest
import results_characters
import results_glyphs
import results_ladder
import results_speed
import write_results
from places import BOOK

import handwriting_lib as hw
from benchmarks import ladder

RESULTS = BOOK / "benchmarks/results"
# Nats per point of the ladder's networks where a test does not say otherwise.
NATS = {
    "constant Gaussian": 0.8, "feedforward": -1.3, "plain recurrent": -1.4,
    "LSTM": -1.5, "peephole LSTM": -1.6, "three layers": -1.7, "synthesis": -1.8,
    "wide feedforward": -1.35, "wide plain recurrent": -1.45, "wide LSTM": -1.55,
    "wide peephole LSTM": -1.65, "three layers, trained on": -1.75,
    "three layers, weight noise": -1.72, "synthesis, trained on": -1.85,
    "synthesis, weight noise": -1.82,
}  # fmt: skip
SHARED = {
    "command": "python -m benchmarks ladder --corpus unipen:PATH --resume",
    "machine": {"processor": "A", "threads": 1, "torch": "2", "backend": "numba"},
    "corpus": "unipen",
    "split": {
        "train": {"lines": 10, "words": 20, "points": 30, "writers": 4},
        "validation": {"lines": 5, "words": 0, "points": 50, "writers": 2},
    },
    "recipe": {"points_per_batch": 9, "longest": 8, "optimiser": "adam",
               "word_share": 0.5, "weight_noise": 0.1},
    "normalisation": {"mean": [0, 0], "std": [1, 1]},
}  # fmt: skip


def records(folder, budgets=(500,), seeds=(1, 2, 3), rates=(ladder.RATE,), **nats):
    """Records of a ladder whose seeds differ by .01; None leaves a network out."""
    values = NATS | {name.replace("_", " "): value for name, value in nats.items()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for training in ladder.trainings(3):
        rung, steps, seed, rate = training
        value = values[rung.name]
        wanted = steps in budgets and seed in seeds and rate in rates
        if not wanted or value is None:
            continue
        value = value[seed - 1] if isinstance(value, tuple) else value + 0.01 * seed
        record = SHARED | {
            "rung": {"name": rung.name, "what": rung.what},
            "weights": 1000, "steps": steps, "seed": seed, "learning_rate": rate,
            "nats_per_point": value - (0.05 if rate == 0.004 else 0),
            "squared_error": 0.1, "seconds": 60,
            "curve": [[steps, value]] if rung.network else [],
        }  # fmt: skip
        (folder / f"{training.label}.json").write_text(json.dumps(record))
    return results_ladder.collected(folder)


@pytest.fixture
def root(tmp_path):
    """A copy of the records, with a ladder of these tests."""
    (tmp_path / "book/data").mkdir(parents=True)
    shutil.copytree(RESULTS, tmp_path / "benchmarks/results")
    records(tmp_path / "benchmarks/results/ladder")
    return tmp_path


def read(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


# --- the files --------------------------------------------------------------------


def test_the_pages_are_not_stale():
    assert write_results.main(["--check", "--root", str(BOOK)]) == 0


def test_a_figure_that_changes_makes_its_page_stale(root, capsys):
    arguments = ["--root", str(root)]
    assert write_results.main([*arguments, "--check"]) == 1
    assert write_results.main(arguments) == 0
    assert write_results.main([*arguments, "--check"]) == 0
    capsys.readouterr()

    def change(path, alter):
        path = root / "benchmarks/results" / path
        found = json.loads(path.read_text())
        alter(found)
        path.write_text(json.dumps(found))
        assert write_results.main([*arguments, "--check"]) == 1
        told = capsys.readouterr().out
        assert "run make results" in told
        assert write_results.main(arguments) == 0
        capsys.readouterr()
        return told

    told = change("ladder/LSTM-500-2.json", lambda f: f.update(squared_error=7.754))
    assert "book/results.md" in told and "book/data/ladder.json" in told
    assert "speed" not in told
    assert "| 2.651 |" in (root / "book/results.md").read_text()
    told = change("train.json", lambda found: found["rows"][2].update(ratio=2.71))
    assert "book/speed.md" in told and "results.md" not in told


def test_words_and_figures_must_match():
    with pytest.raises(ValueError, match="no-such-figure"):
        write_results.filled({"a": "<<b>> <<no-such-figure>>"}, {"b": "c"})
    with pytest.raises(ValueError, match="differ in: unused"):
        write_results.filled({"a": "<<b>>"}, {"b": "c", "unused": "d"})


def test_prose_is_wrapped_and_nothing_else():
    long = "word " * 40
    page = f"---\na: {long}\n---\n\n{long}\n\n- {long}\n- b\n\n| {long} |\n\n"
    fence = f"```{{code-cell}}\n{long}\n```\n"
    told = write_results.wrapped(page + fence)
    wide = [line for line in told.splitlines() if len(line) > 100]
    assert len(wide) == 3 and told.endswith("```\n")
    assert "\n  word" in told and "\n- b\n" in told
    assert write_results.wrapped(told) == told
    told = write_results.wrapped("12.5 % of 3 - 2. " * 30)
    assert len(told.splitlines()) > 4
    assert not [
        line for line in told.splitlines() if line[0] in "%-" or line[:2] == "2."
    ]


# --- the ladder -------------------------------------------------------------------


def test_every_rung_has_its_chapter_and_its_words():
    names = [rung.name for rung in ladder.rungs()]
    assert list(results_ladder.CHAPTERS) == names
    assert list(results_ladder.ADDS) == names[1:]
    for page in results_ladder.CHAPTERS.values():
        assert (BOOK / f"book/{page}.md").exists()


def test_the_finding_follows_the_seeds(tmp_path):
    def told(**nats):
        return results_ladder.finding(records(tmp_path / "ladder", **nats))

    plain = told()
    assert "easier to predict, on every seed, with a network that sees" in plain
    assert "peepholes (0.10)" in plain and "harder" not in plain
    assert "It became harder with peepholes (0.10)" in told(peephole_LSTM=-1.4)
    mixed = told(peephole_LSTM=(-1.9, -1.4, -1.3))
    assert "What peepholes" in mixed and "changed is no larger than" in mixed
    few = told(synthesis=None)
    assert "too few records to judge the text" in few and "text (" not in few


def test_a_step_needs_every_seed(tmp_path):
    found = records(tmp_path / "ladder", seeds=(1, 2))
    assert "Better" not in results_ladder.budgets(
        found, list(results_ladder.CHAPTERS), results_ladder.STEPS
    )
    told = results_ladder.finding(found)
    assert told.startswith("29 of the 86 trainings") and "too few to say" in told


def test_what_has_no_record_is_left_out(tmp_path):
    folder = tmp_path / "ladder"
    found = records(folder, wide_LSTM=None, wide_peephole_LSTM=None, LSTM=None)
    words = results_ladder.ladder_words(found)
    assert "| LSTM |" not in words["ladder-budgets"]
    assert "Not trained at this budget: *LSTM*." in words["ladder-budgets"]
    assert "too few records to judge three layers" in words["ladder-paper"]
    assert words["ladder-rates"] == results_ladder.NOTHING
    assert "LSTM, " not in words["ladder-alt"].replace("peephole LSTM, ", "")
    gone = dict.fromkeys((n.replace(" ", "_") for n in NATS if "," in n), None)
    words = results_ladder.ladder_words(records(folder, **gone))
    assert words["ladder-noise"] == results_ladder.NOTHING
    assert "too few records" in words["ladder-paper-noise"]
    words = results_ladder.ladder_words(records(folder, rates=(0.004,)))
    assert words["ladder-finding"].startswith("0 of the 86")
    assert words["ladder-budgets"] == results_ladder.NOTHING
    shutil.rmtree(folder)
    with pytest.raises(SystemExit, match="holds no records"):
        results_ladder.collected(folder)


def test_budgets_are_told_apart(tmp_path):
    found = records(tmp_path / "ladder", budgets=(500, 5000))
    words = results_ladder.ladder_words(found)
    assert "with 5,000 updates" in words["ladder-finding"]
    assert words["ladder-budgets"].count("updates**") == 2
    for path in tmp_path.glob("ladder/*-5000-3.json"):
        path.unlink()
    words = results_ladder.ladder_words(results_ladder.collected(tmp_path / "ladder"))
    assert "with 500 updates" in words["ladder-finding"]
    assert "- Too few seeds to tell: " in words["ladder-budgets"]


def test_weight_noise_is_judged_beside_as_long_a_training(tmp_path):
    def told(noisy):
        nats = {"three layers, weight noise": noisy, "synthesis, weight noise": -1.7}
        found = records(tmp_path / "ladder", **nats)
        return results_ladder.noise(found), results_ladder.noise_beside_paper(found)

    table, paper = told(-1.72)
    assert "leave *three layers* 0.030 nats per point higher" in table
    assert "on each of the three seeds" in table and "loses at every budget" in paper
    table, paper = told((-1.9, -1.7, -1.7))
    assert "*three layers* higher on some seeds and lower on others" in table
    assert "not on all seeds" in paper


def test_learning_rates_may_change_the_order(tmp_path):
    rates = (ladder.RATE / 4, ladder.RATE)
    told = results_ladder.rates(records(tmp_path / "ladder", rates=rates))
    assert "| LSTM | **-1.540** | -1.490 |" in told and "order is the same" in told
    found = records(tmp_path / "ladder", rates=rates, LSTM=-1.38)
    found["rungs"]["LSTM"]["rates"][0.004] = -3.0
    told = results_ladder.rates(found)
    assert "the order from best to worst would be *LSTM*, *three layers*" in told
    assert "The best rate of" in told and "*LSTM*" in told.partition("The best rate")[2]


# --- the models -------------------------------------------------------------------


def reports():
    return [read(f"evaluation-{name}") for name in write_results.MODELS]


def test_nats_are_in_letter_body_heights():
    for report in reports():
        likelihood = report["measures"]["likelihood"]
        unit = hw.load_pretrained(report["model"]["name"]).normalisation
        nats = likelihood["nats_per_point"] + unit.log_jacobian
        assert likelihood["body_nats_per_point"] == pytest.approx(nats, abs=1e-6)
        told = write_results.models(reports())["models"]
        assert f" {likelihood['body_nats_per_point']:.3f} " in told
        assert f" {likelihood['nats_per_point']:.3f} " not in told
    assert "`unipen-256` is 0.09 behind" in write_results.models_finding(reports())


def test_the_best_model_is_the_one_that_predicts_best():
    changed = reports()
    changed[2]["measures"]["likelihood"]["body_nats_per_point"] = -4.0
    told = write_results.models_finding(changed)
    assert "`unipen-184` is the best" in told and "1.0, 3.8 and 1.7 million" in told
    assert "`unipen-184` on UNIPEN and 6,000 synthetic lines" in told
    assert "`unipen-256` on UNIPEN and `" not in told
    assert "`unipen-256` on UNIPEN" in told


def test_what_the_page_says_of_bias_is_checked():
    found, (report, *_) = read("legibility"), reports()
    words = write_results.bias(found, report)
    assert "recognisers like tidy writing" in words["legibility-finding"]
    human = found["human"]["legibility"]["mean"]["value"]
    assert write_results.percent(human) in words["legibility-finding"]

    changed = copy.deepcopy(found)
    changed["rows"][0]["legibility"]["mean"]["value"] = 0.01
    with pytest.raises(ValueError, match="bias makes lines easier to read"):
        write_results.bias(changed, report)
    changed = copy.deepcopy(found)
    cool = [row for row in changed["rows"] if row["temperature"] < 1]
    cool[0]["legibility"]["mean"]["value"] = 0.01
    with pytest.raises(ValueError, match="lower temperature does not help"):
        write_results.bias(changed, report)
    changed = copy.deepcopy(report)
    changed["measures"]["pace"]["speed_variation"]["mean"] = 0.9
    with pytest.raises(ValueError, match="more evenly than a hand"):
        write_results.bias(found, changed)
    changed = copy.deepcopy(report)
    changed["measures"]["legibility"]["difference"]["mean"].update(low=-0.1, high=0.1)
    told = write_results.bias(found, changed)["legibility-finding"]
    assert "other texts might reverse" in told


# --- speed ------------------------------------------------------------------------


def test_what_is_faster_than_the_products_is_named():
    found = read("train-cuda")
    (told,) = [t for t in results_speed.remarks(found) if "products alone" in t]
    assert "*CUDA graphs*" in told and "large" not in told
    for row in found["rows"]:
        if row["name"] == "the matrix products alone":
            row["ratio"] = 1000
    assert not [t for t in results_speed.remarks(found) if "products alone" in t]


def test_the_page_of_speed_begins_with_what_was_measured():
    benchmarks = {name: read(name) for name in ("train", "sample")}
    told = results_speed.finding(benchmarks)
    assert "an update on a CPU is" in told and "GPU" not in told
    for row in benchmarks["train"]["rows"]:
        row["ratio"] = 0.5
    with pytest.raises(ValueError, match=r"train\.json: whole sequences is not faster"):
        results_speed.finding(benchmarks)


# --- the networks over characters -------------------------------------------------


def character_runs(*bests):
    return [{"curve": [[100, best + 1], [200, best]], "copied": 0.1} for best in bests]


def compared(decoder, lstm, faster=1.5):
    networks = {"decoder": {"runs": decoder}, "LSTM": {"runs": lstm}}
    return results_characters.compared({"networks": networks}, faster)


def test_a_network_is_better_only_if_every_seed_is():
    low, middle, high = (character_runs(n, n + 0.01, n + 0.02) for n in (1, 1.01, 1.5))
    told = compared({4000: high}, {4000: low})
    assert "every seed of the LSTM is better than every seed of the decoder" in told
    assert "by 0.500 nats" in told
    assert "1.5 times as long as one of the LSTM" in told
    told = compared({4000: low}, {4000: high})
    assert "every seed of the decoder is better" in told
    assert "neither network is better" in compared({4000: low}, {4000: middle})
    assert "too few seeds" in compared({4000: low[:2]}, {4000: high})


def test_networks_are_compared_with_counts():
    runs = {4000: character_runs(1.2, 1.2, 1.2)}
    networks = {
        "decoder": {"runs": runs},
        "LSTM": {"runs": {4000: character_runs(1.5, 1.5, 1.5)}},
    }
    result = {"n-grams": {4: 1.5, 5: 1.4}, "networks": networks}
    told = results_characters.beside_n_grams(result)
    assert "order 5, with 1.400 nats" in told
    assert "the LSTM is 0.10 nats above them" in told
    assert "the decoder is 0.20 nats below them" in told


def test_at_equal_time_the_faster_network_has_more_updates():
    def run(seed, *curve):
        return {"recipe": {"seed": seed}, "curve": curve}

    networks = {
        "decoder": {
            "runs": {
                10: [run(1, (5, 3.0), (10, 2.0))],
                40: [run(1, (10, 2.5), (40, 1.0))],
            }
        },
        "LSTM": {"runs": {10: [run(1, (10, 1.5))], 40: [run(1, (20, 1.2), (40, 1.4))]}},
    }
    seconds = {"decoder": 12.0, "LSTM": 6.0}
    assert results_characters.at_equal_time({"networks": networks}, seconds) == [
        ["2.0", "2.000", "1.200"], ["8.0", "1.000", "1.200"]
    ]  # fmt: skip


# --- glyphs -----------------------------------------------------------------------


def styles(**pairs):
    return {
        style: {
            side: {"readable": readable, "nearest": nearest}
            for side, readable, nearest in zip(
                ("drawn", "real"), pair[::2], pair[1::2], strict=True
            )
        }
        for style, pair in pairs.items()
    }


def test_glyphs_are_judged_by_the_figures():
    found = styles(
        all=(0.8, 0.7, 1, 0.8), serif=(0.95, 0.7, 1, 0.8), sans=(0.3, 0.7, 1, 0.8)
    )
    told = results_glyphs._readable(found)
    assert told.startswith("Serif glyphs are read at most 10")
    assert "70 points, is that of sans" in told
    assert "does not copy" in results_glyphs._copied(found)
    found = styles(all=(0.8, 0.9, 1, 0.8), mono=(0.5, 0.9, 1, 0.8))
    assert results_glyphs._readable(found).startswith("In no style")
    assert "the network copies" in results_glyphs._copied(found)
