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


def test_the_table_is_what_the_benchmark_wrote():
    found = re.search(
        r"^RECORDED = (\[\n.*?^\])", CHAPTER.read_text(encoding="utf-8"), re.M | re.S
    )
    assert found, f"{CHAPTER.name} has no list RECORDED"
    assert ast.literal_eval(found[1]) == list(expected()), (
        f"the table RECORDED of {CHAPTER.name} is not that of {RESULT.name}: "
        "copy the new figures and read the text around it again"
    )
