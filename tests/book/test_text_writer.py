"""The tool that makes a corpus of the book's prose."""

import write_text
from labels import label_index

PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---

(a-target)=
# A title without an end

The first *sentence* runs
over two lines. It has M = $M = 20$ and a $\\kappa$ in {term}`units <unit>`. This
one has $x^2$. This one calls `hw.write()`. See [the notes](notation.md)
{cite:p}`graves2013generating`.

$$
y = x
$$

where nothing is whole. "Quite so." Is Fig. 2 a sentence?

```{code-cell} python
print("no prose.")
```

```{admonition} Predict: what follows?
:class: predict
- An item that goes
  on. The number is `None`.
```

| A table. | B. |
"""


def test_prose_is_what_is_left_of_a_chapter(tmp_path):
    page = tmp_path / "01_page.md"
    page.write_text(PAGE)
    assert write_text.prose(page, {}) == [
        "The first sentence runs over two lines. It has M = M = 20 and a kappa in "
        "units. See the notes.",
        '"Quite so." Is Fig. 2 a sentence?',
        "An item that goes on. The number is None.",
    ]


def test_every_page_gives_prose_and_the_chapters_come_last():
    pages = write_text.pages()
    assert pages[0].stem == "index" and pages[-1].stem[:2].isdigit()
    labels = label_index(write_text.ROOT / "book")
    assert all(write_text.prose(page, labels) for page in pages)
