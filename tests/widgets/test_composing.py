"""The button of a Studio that lets a decoder think of a text."""

from __future__ import annotations

import pytest

import handwriting_lib as hw
from handwriting_lib.files import models
from handwriting_lib.widgets.studio import FOLDER, MODEL, write_pack

from .characters import make_decoder, prefer
from .conftest import ROOTS, wait

pytestmark = pytest.mark.book

WORDS = "Let it think of something"
PRESS = f"""
[...roots[0].querySelectorAll('button')]
  .find(one => one.textContent === '{WORDS}').click();
"""
STATE = """
const said = [...roots[0].querySelectorAll('[role=status]')].reverse();
const {value} = roots[0].querySelector('textarea');
return [value, ...said.map(one => one.textContent)];
"""


def letters():
    """It composes of few letters, in sentences that end."""
    return prefer(make_decoder(characters="\n ab.\u00fc"), **{"a": 1, "\u00fc": 9})


def test_it_composes_a_sentence_and_the_studio_writes_it(show):
    studio = hw.Studio(text="hi", precision="int8", styles=[], composer=letters())
    page = show(studio, width=360, dark=True)
    made = ["hi"]
    for _ in range(2):
        page.run(PRESS)
        wait(lambda: page.run(STATE)[0] not in made and not page.run(STATE)[1])
        text = page.run(STATE)[0]
        assert 0 < len(text) <= 60 and set(text) <= set(" ab.")
        made.append(text)
        wait(lambda: made[-1].split()[0] in page.find("code").text)


def test_its_pack_loads_at_the_first_press(driver, tmp_path, monkeypatch):
    from browser import console, requests, serve, visit

    (tmp_path / "models").mkdir()
    shipped = models.PRETRAINED / f"{MODEL}.safetensors"
    (tmp_path / "models" / shipped.name).write_bytes(shipped.read_bytes())
    monkeypatch.setattr(models, "PRETRAINED", tmp_path / "models")
    hw.save_model(letters(), tmp_path / "models" / "letters.safetensors")
    monkeypatch.setenv(FOLDER, "packs")
    options = {"text": "hi", "precision": "int8", "styles": []}
    plain = hw.Studio(**options).html
    studio = hw.Studio(**options, composer="letters").html
    assert WORDS not in plain and "class Decoder" not in plain
    (tmp_path / "packs").mkdir()
    write_pack(f"{MODEL}-int8", tmp_path / "packs")
    (tmp_path / "page.html").write_text(
        f"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>{studio}",
        encoding="utf-8",
    )

    def run(script):
        return driver.execute_script(ROOTS + script)

    def asked():
        return {one.split("/")[-1] for one in requests(driver)}

    def another(text):
        """Press, and wait for another text."""
        run(PRESS)
        wait(lambda: run(STATE)[0] != text)

    with serve(tmp_path) as site:
        for address, ending in [
            (f"{site}/page.html", "bin"),
            ((tmp_path / "page.html").as_uri(), "js"),
        ]:
            requests(driver)
            visit(driver, address)
            wait(lambda: "Loading" not in run(STATE)[2])
            assert asked() == {"page.html", f"{MODEL}-int8.{ending}"}
            assert run(STATE)[1] == ""
            run(PRESS)  # it is not there: it says so, and can be asked again
            wait(lambda: "composes could not be loaded: " in run(STATE)[1])
            assert f"letters-int8.{ending}" in run(STATE)[1]
            assert run(STATE)[0] == "hi"
            write_pack("letters-int8", tmp_path / "packs")
            asked()
            another("hi")
            assert asked() == {f"letters-int8.{ending}"}
            another(run(STATE)[0])
            assert asked() == set()
            for file in (tmp_path / "packs").glob("letters*"):
                file.unlink()
    console(driver)
