"""Chapter 11 shows recorded figures in a cell, so that its notebook needs no file.

A table that was copied goes stale when the benchmark runs again: this says so.
"""

import ast
import json
import re

from places import BOOK

CHAPTER = BOOK / "book" / "11_sampling.md"
RESULT = BOOK / "benchmarks" / "results" / "legibility.json"


def expected():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    for row in [result["human"], *result["rows"]]:
        mean = row["legibility"]["mean"]
        yield (
            row.get("bias"),
            row.get("temperature"),
            *(round(mean[key], 3) for key in ("value", "low", "high")),
            round(row["legibility"]["median"]["value"], 3),
            round(row["speed_variation"]["mean"], 2),
        )


def recorded(name, value):
    """What the chapter's cells set `name` to: a literal that `value` matches."""
    text = CHAPTER.read_text(encoding="utf-8")
    found = re.search(rf"^{name} = ({value})", text, re.M | re.S)
    assert found, f"{CHAPTER.name} has no {name}"
    return ast.literal_eval(found[1])


def test_the_range_of_human_lines_is_that_of_the_benchmark():
    human = json.loads(RESULT.read_text(encoding="utf-8"))["human"]["speed_variation"]
    expected = round(human["low"], 2), round(human["high"], 2)
    assert recorded("HUMAN", r"[\d., ]+") == expected


def test_the_table_is_what_the_benchmark_wrote():
    assert recorded("RECORDED", r"\[\n.*?^\]") == list(expected()), (
        f"the table RECORDED of {CHAPTER.name} is not that of {RESULT.name}: "
        "copy the new figures and read the text around it again"
    )
