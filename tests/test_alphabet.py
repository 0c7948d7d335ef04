"""Text to indices and back, and characters that the alphabet lacks."""

import string

import pytest

from handwriting_lib import alphabet


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
