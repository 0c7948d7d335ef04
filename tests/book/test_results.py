"""The page of results: made of what the benchmarks wrote, and not out of date."""

import json
import shutil

import pytest
import write_results
from places import BOOK


def rung(name, mean, spread):
    return {
        "name": name,
        "mean": {"nats_per_point": mean},
        "spread": {"nats_per_point": spread},
        "runs": [{}] * 4,
    }


def test_the_page_is_not_stale():
    assert write_results.main(["--check", "--root", str(BOOK)]) == 0


def test_a_figure_that_changes_makes_the_page_stale(tmp_path, capsys):
    for folder in ("benchmarks/results", "book"):
        (tmp_path / folder).mkdir(parents=True)
    results = tmp_path / "benchmarks/results"
    shutil.copytree(BOOK / "benchmarks/results", results, dirs_exist_ok=True)
    arguments = ["--root", str(tmp_path)]
    assert write_results.main([*arguments, "--check"]) == 1
    assert write_results.main(arguments) == 0
    assert write_results.main([*arguments, "--check"]) == 0
    path = results / "ladder.json"
    found = json.loads(path.read_text())
    found["rungs"][2]["mean"]["nats_per_point"] = 7.654321
    path.write_text(json.dumps(found))
    assert write_results.main([*arguments, "--check"]) == 1
    assert "make results" in capsys.readouterr().out
    assert write_results.main(arguments) == 0
    assert "7.654" in (tmp_path / "book/results.md").read_text()


def test_a_rung_that_is_no_better_gets_a_sentence():
    rungs = [rung("a", 3, 0), rung("b", 2, 0.01), rung("c", 1.99, 0.02)]
    told = write_results.ladder_sentences({"rungs": [*rungs, rung("d", 2.5, 0.1)]})
    assert len(told) == 2
    assert told[0].startswith("*C* is ahead of *b* by 0.010") and "within" in told[0]
    assert told[1].startswith("*D* is not better than *c*: it is worse by 0.510")


def test_words_and_figures_must_match():
    template = write_results.TEMPLATE.read_text()
    with pytest.raises(ValueError, match="no-such-figure"):
        write_results.page(BOOK / "benchmarks/results", f"{template}<<no-such-figure>>")
