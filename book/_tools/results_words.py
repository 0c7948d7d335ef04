"""How the pages of results put figures: tables, percentages, lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]

NBSP = "\N{NO-BREAK SPACE}"
NUMBERS = "no one two three four five six seven eight nine ten".split()


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table; its first columns are texts, the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def percent(value: float) -> str:
    """A share, such as 12.3 %."""
    return f"{100 * value:.1f} %"


def count(number: int) -> str:
    """A small number as a word."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def several(words: Sequence[str]) -> str:
    """Put words together: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def capital(words: str) -> str:
    """Begin a sentence with these words."""
    return words[:1].upper() + words[1:]


def machine(found: Found) -> str:
    """Where a benchmark ran, in words."""
    told = found["machine"]
    threads = f"{told['threads']} thread{'s' if told['threads'] > 1 else ''}"
    device = found.get("setting", {}).get("device", "cpu")
    card = "" if device == "cpu" else f", {device}"
    backend = f", {told['backend']} backend" if "backend" in told else ""
    return f"{told['processor']}, {threads}{card}, torch {told['torch']}{backend}"
