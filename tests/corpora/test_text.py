"""Texts to learn from: the book, files, chats, and what is none of these."""

import json
import zipfile

import pytest

from handwriting_lib import alphabet
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.text import TextCorpus, load_text
from handwriting_lib.tokens.characters import Vocabulary


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


# --- prose ---------------------------------------------------------------------------


def test_the_book_is_prose_that_the_hand_can_write():
    corpus = load_text("book")
    assert corpus.name == "book" and not corpus.skipped
    assert len(corpus.text) > 100_000
    assert alphabet.missing(corpus.text) == ["\n"]
    lines = corpus.text.splitlines()
    assert all(line.endswith((".", "?", "!", ")", '"', "'")) for line in lines)
    assert not set("$`\\") & set(corpus.text) and "  " not in corpus.text


def test_the_book_comes_back_from_its_vocabulary():
    text = load_text("book").text
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_the_last_tenth_is_held_out():
    train, held_out = TextCorpus("x", "".join(map(chr, range(100, 205)))).split()
    assert train + held_out == "".join(map(chr, range(100, 205)))
    assert len(held_out) == 11 and not set(train) & set(held_out)


def test_a_file_is_read_as_it_stands(tmp_path):
    prose = "# Title\n\n  Käse, *now*:\n\n$x$\n"
    for name in ("a.txt", "a.md", "no_ending"):
        assert load_text(write(tmp_path, name, prose)).text == prose
    for name in ("prose.txt", "prose.TXT"):
        read = load_text(write(tmp_path, name, "\n\na\r\nb\rc"))
        assert read.text == "a\nb\nc\n" and read.name == name


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_error(tmp_path, encoding):
    content = "Grüße, 世界\n".encode(encoding)
    assert load_text(write(tmp_path, "a.txt", content)).text == "Grüße, 世界\n"


def test_a_folder_or_an_archive_is_read_in_the_order_of_the_names(tmp_path):
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    files = {"b.md": "two", "a.txt": "one\n\n", "sub/c.txt": "three", "empty.txt": ""}
    for name, text in (files | {"picture.png": b"\x89PNG\xff"}).items():
        write(folder, name, text)
    assert load_text(folder).text == "one\n\ntwo\n\nthree\n"
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    assert load_text(tmp_path / "texts.zip").text == "one\n\ntwo\n\nthree\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", "", "a.txt holds no text: give a file with some"),
        ("a.txt", " \n\t\n", "a.txt holds no text"),
        ("a.txt", b"caf\xe9 au lait", r"a.txt is not in UTF-8 \(at byte 4\): save it"),
        ("a.txt", b"\xff\xfea", "a.txt is not in UTF-8"),
        ("a.json", "{", "a.json is not JSON"),
        ("a.json", "[" * 200_000, "a.json is not JSON"),
        ("a.json", "[]", "a.json holds no messages: a chat in JSON is a list"),
        ("a.json", '{"messages": 3}', "a.json holds no messages"),
        ("a.json", '[{"x": 1}]', "left out 1: message of the messenger itself"),
        ("a.zip", b"PK", "a.zip is damaged"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(tmp_path, name, content, told):
    with pytest.raises(CorpusError, match=told) as error:
        load_text(write(tmp_path, name, content))
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="there is no file or folder"):
        load_text(tmp_path / "none.txt")
    with pytest.raises(CorpusError, match=r"holds no \.txt or \.md or \.json file"):
        load_text(tmp_path)


# --- chats ---------------------------------------------------------------------------

ANDROID = """31/12/2023, 23:58 - Messages are end-to-end encrypted.
31/12/2023, 23:59 - Ann Lee: Happy new year!
12/31/23, 11:59\u202fPM - Bob: and
to you: all
1/1/2024, 0:00 - Bob added Cy
1/1/2024, 0:00 - Bob: <Media omitted>
1/1/2024, 0:01 - Ann Lee: Bob, Bobby and Ann Lee  say: hi
"""
IPHONE = """[31.12.23, 23:59:12] ~ Zoë: Hallo 12:30?
\u200e[31.12.23, 23:59:20] Bob: \u200eimage omitted
[2024-01-01, 00:00:01] Bob: ja
"""


def test_a_chat_in_lines_has_numbers_for_names(tmp_path):
    read = load_text(write(tmp_path, "chat.txt", ANDROID))
    assert read.text == (
        "1: Happy new year!\n2: and to you: all\n1: 2, Bobby and 1 say: hi\n"
    )
    assert read.skipped == {
        "message of the messenger itself": 2, "message without text": 1,
    }  # fmt: skip
    read = load_text(write(tmp_path, "phone.txt", "\ufeff\n" + IPHONE))
    assert read.text == "1: Hallo 12:30?\n2: ja\n"


def test_names_are_kept_if_asked(tmp_path):
    read = load_text(write(tmp_path, "chat.txt", IPHONE), keep_names=True)
    assert read.text == "Zoë: Hallo 12:30?\nBob: ja\n"


def test_prose_that_begins_with_a_date_is_prose(tmp_path):
    prose = "1.2.2023, 14:00\nA day like any other.\n"
    assert load_text(write(tmp_path, "diary.txt", prose)).text == prose


TELEGRAM = {"name": "us", "messages": [
    {"type": "service", "actor": "Ann", "action": "create_group", "text": ""},
    {"type": "message", "from": "Ann", "date": "2024-01-01T00:00:00",
     "text": ["see ", {"type": "link", "text": "a.org"}, " "]},
    {"from": "Bob", "date": "2024-01-01T00:00:05", "text": "ok\nAnn"},
]}  # fmt: skip
META = {"participants": [], "messages": [
    {"sender_name": "Zo\u00c3\u00ab", "timestamp_ms": 9, "content": "gr\u00c3\u00bcn"},
    {"sender_name": "Bob", "timestamp_ms": 5, "content": "first"},
    {"sender_name": "Bob", "timestamp_ms": 4, "photos": []},
]}  # fmt: skip
DISCORD = {"messages": [
    {"timestamp": "2024", "content": "hi", "author": {"id": "1", "nickname": "Ann"}},
]}  # fmt: skip
PLAIN = [{"user": "Ann", "message": "half \ud800"}, {"sender": "B\nC", "body": "x"}]


@pytest.mark.parametrize(
    ("chat", "wanted"),
    [
        (TELEGRAM, "Ann: see a.org\nBob: ok Ann\n"),
        (META, "Bob: first\nZoë: grün\n"),
        (DISCORD, "Ann: hi\n"),
        (PLAIN, "Ann: half ?\nB C: x\n"),
    ],
)
def test_a_chat_in_json(tmp_path, chat, wanted):
    file = write(tmp_path, "chat.json", json.dumps(chat))
    assert load_text(file, keep_names=True).text == wanted
    assert load_text(file).text.startswith("1: ")


def test_names_in_messages_become_numbers_too(tmp_path):
    file = write(tmp_path, "chat.json", json.dumps(TELEGRAM))
    assert load_text(file).text == "1: see a.org\n2: ok 1\n"
