"""Text to indices and back, and characters that the alphabet lacks."""

import json
import string

import pytest

import handwriting_lib as hw
from handwriting_lib import alphabet
from handwriting_lib.alphabet import fold
from handwriting_lib.cli import main


def test_all_printable_ascii_goes_there_and_back():
    # others have shipped alphabets without Q, X and Z, mapped silently to nothing
    printable = sorted(set(string.printable) - set("\t\n\r\x0b\x0c"))
    assert sorted(alphabet.CHARACTERS) == printable
    assert alphabet.decode(alphabet.encode(alphabet.CHARACTERS)) == alphabet.CHARACTERS


def test_indices_are_distinct_and_leave_room_for_padding():
    codes = alphabet.encode(alphabet.CHARACTERS)
    assert codes[:-1].tolist() == list(range(1, 96))
    assert alphabet.SIZE == 96
    assert alphabet.PADDING not in codes[:-1]


def test_a_text_ends_with_the_end_slot():
    codes = alphabet.encode("hi")
    assert len(codes) == 3
    assert codes[-1] == alphabet.END_SLOT


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_an_empty_text_is_an_error(text):
    with pytest.raises(ValueError, match="empty"):
        alphabet.encode(text)


def test_a_missing_character_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"'é' .*e with acute.* at position 4"):
        alphabet.encode("caféé")
    with pytest.raises(ValueError, match=r"'\\n'.*position 2.*'漢'.*position 4"):
        alphabet.encode("a\nb漢")


def test_every_missing_character_is_named_once():
    assert alphabet.missing("naïve ïdée") == ["ï", "é"]
    assert alphabet.missing("plain") == []


@pytest.mark.parametrize("index", [-1, 96])
def test_decode_refuses_what_is_no_index(index):
    with pytest.raises(ValueError, match=f"index {index}"):
        alphabet.decode([5, index])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Zürich", "Zurich"),
        ("x\u0301", "x"),  # no letter has this accent
        ("a\U000e0041\u200d\ufe0f\u061cb", "ab"),  # all of them invisible
        ("Zu\u0308rich", "Zurich"),  # the accent as a character of its own
        ("Ångström", "Angstrom"),
        ("\u201cquoted\u201d \u2014 \u2018so\u2019…", "\"quoted\" - 'so'..."),
        ("straße, œuvre, Ærø", "strasse, oeuvre, AEro"),
        ("ﬁne\u00a0print", "fine print"),
        ("x²", "x2"),
        ("漢字", "漢字"),
        ("plain ~!", "plain ~!"),
    ],
)
def test_to_ascii_drops_accents_and_leaves_what_has_no_plain_form(text, plain):
    assert alphabet.to_ascii(text) == plain


# --- text as people have it ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("It\u2019s \u201cquoted\u201d \u2014 done\u2026", 'It\'s "quoted" - done...'),
        ("\u201eHallo\u201c \u2039x\u203a", "\"Hallo\" 'x'"),
        ("co\u2010op \u22125 5\u2032 6\u2033", "co-op -5 5' 6\""),
        ("\ufeffso\u00adft a\u200bb", "soft ab"),
        ("caf\u00e9", "caf\u00e9"),  # only when asked for
        ("e\u0301", "\u00e9"),
    ],
)
def test_typography_is_folded_and_accents_stay(text, plain):
    assert fold(text).text == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\u00bd cup", "1/2 cup"),
        ("3\u00d74", "3x4"),
        ("20\u00b0C", "20 deg C"),
        ("\u0142\u00f3d\u017a \u0111ak \u0131l\u0131k", "lodz dak ilik"),
        ("\u6f22", "\u6f22"),  # has no ASCII form: stays, and is named by encode
    ],
)
def test_accents_and_signs_are_folded_when_asked_for(text, plain):
    assert fold(text, accents=True).text == plain


def test_it_says_what_was_replaced():
    assert fold("it\u2019s\u2026").replaced == {"\u2019": "'", "\u2026": "..."}
    assert fold("plain").replaced == {}


def test_spaces_at_the_ends_and_repeated_ones_change_no_ink():
    plain = hw.write("Dear Anna,", "unipen-184", seed=3)[0]
    for text in ("Dear Anna, ", "  Dear   Anna,", "Dear\u00a0Anna,\u200b"):
        line = hw.write(text, "unipen-184", seed=3)[0]
        assert line.text == "Dear Anna," and line.ink.equal(plain.ink)


def test_a_line_says_what_was_replaced_and_asks_before_it_folds_accents():
    line = hw.write("caf\u00e9 it\u2019s", "unipen-184", ascii=True)[0]
    assert line.text == "cafe it's"
    assert line.replaced == {"\u00e9": "e", "\u2019": "'"}
    with pytest.raises(ValueError, match=r"'\u00e9'.*ascii=True"):
        hw.write("caf\u00e9", "unipen-184")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": ["ok", float("nan")]}, "text 2 must be a string, not nan"),
        ({"texts": "a", "bias": [0.5, 0.9]}, "the bias must be one number"),
    ],
)
def test_natural_calls_say_what_to_give(arguments, message):
    with pytest.raises(ValueError, match=message):
        hw.write(model="unipen-184", **arguments)


def test_a_file_of_texts_with_a_mark_and_without_a_name(tmp_path, monkeypatch, capsys):
    file, out = tmp_path / "t.txt", tmp_path / "o.json"
    file.write_bytes("\ufeffIt\u2019s me\n\n".encode())
    command = ["write", "--model", "unipen-184", "--json", str(out), "--texts-file"]
    assert main([*command, str(file)]) == 0
    (line,) = json.loads(out.read_text())
    assert line["text"] == "It's me" and line["replaced"] == {"\u2019": "'"}
    with file.open("rb") as content:
        monkeypatch.setattr("sys.stdin", type("In", (), {"buffer": content}))
        assert main([*command, "-"]) == 0
    assert json.loads(out.read_text())[0]["strokes"] == line["strokes"]


def test_ink_is_kept_when_the_picture_fails(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("too large")

    monkeypatch.setattr("handwriting_lib.drawing.picture.save", fail)
    out = tmp_path / "o.json"
    command = ["write", "a", "--model", "unipen-184", "--json", str(out)]
    assert main([*command, "--out", str(tmp_path / "o.png")]) == 2
    assert json.loads(out.read_text())[0]["text"] == "a"


def test_a_suffix_that_does_not_fit_its_option_is_an_error(tmp_path, capsys):
    for option, file in (("--out", "a.gif"), ("--json", "a.png"), ("--gif", "a.png")):
        assert main(["write", "a", option, str(tmp_path / file)]) == 2
        assert f"{option} must end in" in capsys.readouterr().err
