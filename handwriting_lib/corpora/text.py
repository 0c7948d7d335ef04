"""Texts to learn from: the prose of this book, files of one's own, and group chats.

`load_text` reads

- `"book"`: the prose of this book, a snapshot that comes with the library
  (`book/_tools/write_text.py` makes it; CC BY 4.0, as the book);
- a text file such as `.txt` or `.md`, unchanged;
- a group chat as a messenger exports it: lines that begin with a date, a time and a
  name (WhatsApp and its likes), or JSON with a list of messages (Telegram, Signal,
  Discord, Messenger, Instagram and what is like them);
- a folder or an archive of such files, in the order of their names.

Each message of a chat becomes a line such as `2: see you there`, without its date.
Unless `keep_names` is set, people are numbered in the order in which they first write,
and their names are replaced by these numbers where a message mentions them in full.
Nicknames and other personal details remain in the text. Chapter 13 trains on texts.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .archives import MAX_FILE_BYTES, TAR_ENDINGS, CorpusError, read_files

BOOK = Path(__file__).with_name("book.txt")
ENDINGS = (".txt", ".md", ".json")
HELD_OUT = 0.1  # the share of a text at its end that training does not see

# The marks of direction and the narrow spaces that messengers put between the parts.
DATED = re.compile(
    r"\s*[\u200e\u200f\ufeff]*\[?"
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}[,T]?\s*"
    r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:\.\d+)?Z?(?:\s?[AaPp]\.?\s?[Mm]\.?)?"
    r"\]?\s*(?:[-\u2013\u2014:]\s+)?(?P<rest>.*)",
    re.S,
)
NAMED = re.compile(r"(?P<name>[^:\n]{1,60}):\s(?P<text>.*)", re.S)
# "<Media omitted>" in whatever language, and what stands for a picture on a telephone.
NO_TEXT = re.compile(r"\s*(?:<[^<>]*>|\u200e.*)?\s*", re.S)
NAME_KEYS = ("from", "sender_name", "author", "sender", "name", "user")
TEXT_KEYS = ("text", "content", "body", "message")
TIME_KEYS = ("timestamp_ms", "date_unixtime", "timestamp", "date", "time")


@dataclass(frozen=True)
class TextCorpus:
    """A text, and what its reader left out.

    Attributes:
        name: name of the source.
        text: the whole text.
        skipped: number of messages that were left out, by reason.
    """

    name: str
    text: str
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<TextCorpus {self.name}: {len(self.text):,} characters>"

    def split(self, share: float = HELD_OUT) -> tuple[str, str]:
        """The part of the text for training, and its end, which is held out.

        The text is cut at one position, so the two parts do not overlap.

        Args:
            share: the share of the characters that is held out.

        Example:
            >>> TextCorpus("digits", "0123456789").split()
            ('012345678', '9')
        """
        border = round(len(self.text) * (1 - share))
        return self.text[:border], self.text[border:]


class Message(NamedTuple):
    """One message of a chat."""

    name: str
    text: str


def load_text(source: str | Path = "book", *, keep_names: bool = False) -> TextCorpus:
    """Read a text to learn from.

    Args:
        source: `"book"`, or the path of a text file, of the export of a chat, or of a
            folder or archive of these (see the module's docstring).
        keep_names: keep the names of the people in a chat instead of numbering them.

    Raises:
        CorpusError: there is no such file, it is empty or not in UTF-8, or a JSON file
            holds no messages; the message names the file and says what would be right.

    Example:
        >>> "handwriting" in load_text("book").text
        True
    """
    path = BOOK if source == "book" else Path(source)
    parts, skipped = [], Counter[str]()
    for name, content in _files(path):
        parts.append(_text_of(_decode(content, name), name, keep_names, skipped))
    text = "\n".join(part for part in parts if part)
    if not text:
        reasons = "; ".join(f"{count}: {why}" for why, count in skipped.items())
        left = f" (left out {reasons})" if reasons else ""
        raise CorpusError(f"{source} holds no text{left}: give a file with some")
    return TextCorpus(path.stem if path == BOOK else path.name, text, dict(skipped))


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The name and content of one file, or of each text in a folder or an archive."""
    if path.is_file() and not path.name.lower().endswith((*TAR_ENDINGS, ".zip")):
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise CorpusError(
                    f"{path} has more than the {MAX_FILE_BYTES:,} bytes that a text "
                    "may have: cut it into several files in a folder"
                )
            yield path.name, path.read_bytes()
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error}") from error
        return
    found = False
    for file in read_files(path, lambda name: name.lower().endswith(ENDINGS)):
        found = True
        yield file
    if not found:
        raise CorpusError(f"{path} holds no {' or '.join(ENDINGS)} file: give one")


def _decode(content: bytes, name: str) -> str:
    """A file's text, whatever byte-order mark and ends of lines it has."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name} is not in UTF-8 (at byte {error.start + 1:,}): save it again with "
            "that encoding"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text_of(text: str, name: str, keep_names: bool, skipped: Counter[str]) -> str:
    """The text that a file gives, with an end of line behind it; "" of an empty one."""
    if name.lower().endswith(".json"):
        messages = _from_json(text, name)
    else:
        messages = _from_lines(text) if DATED.match(text) else []
        if not any(message.name for message in messages):  # no chat
            return text.strip("\n") + "\n" if text.strip() else ""
    kept = []
    for message in messages:
        if not message.name:
            skipped["message of the messenger itself"] += 1
        elif NO_TEXT.fullmatch(message.text):
            skipped["message without text"] += 1
        else:
            kept.append(message)
    return _chat(kept, keep_names)


def _chat(messages: list[Message], keep_names: bool) -> str:
    """Messages as lines, `name: text`."""
    if not messages:
        return ""
    names = dict.fromkeys(message.name for message in messages)
    shown = {n: n if keep_names else str(i) for i, n in enumerate(names, 1)}
    longest_first = sorted(names, key=len, reverse=True)
    mentioned = re.compile(
        rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
    )
    lines = []
    for name, text in messages:
        one_line = " ".join(text.replace("\u200e", "").split())
        said = mentioned.sub(lambda found: shown[found[0]], one_line)
        lines.append(f"{shown[name]}: {said}\n")
    return "".join(lines)


def _from_lines(text: str) -> list[Message]:
    """The messages of an export in lines; a line without a date goes on with the last.

    A message of the messenger itself ("Ann left") has no name.
    """
    messages: list[Message] = []
    for line in text.splitlines():
        if dated := DATED.fullmatch(line):
            named = NAMED.fullmatch(dated["rest"])
            name, said = (named["name"], named["text"]) if named else ("", line)
            messages.append(Message(_as_name(name), said))
        elif messages:
            name, said = messages[-1]
            messages[-1] = Message(name, f"{said} {line}")
    return messages


def _from_json(text: str, name: str) -> list[Message]:
    """The messages of an export in JSON.

    Raises:
        CorpusError: it is no JSON, or holds no list of messages.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{name} is not JSON: {error}") from None
    listed = content.get("messages") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not any(isinstance(e, dict) for e in listed):
        raise CorpusError(
            f"{name} holds no messages: a chat in JSON is a list of them, or an object "
            'with the list under "messages"'
        )
    entries = [entry for entry in listed if isinstance(entry, dict)]
    if _is_newest_first(entries):
        entries.reverse()
    return [_message(entry) for entry in entries]


def _message(entry: Mapping[str, Any]) -> Message:
    """One message, under whatever keys a messenger has for its author and its text."""
    author = next((entry[key] for key in NAME_KEYS if entry.get(key)), "")
    if isinstance(author, Mapping):  # Discord
        author = next((author[k] for k in ("nickname", "name") if author.get(k)), "")
    said = next((entry[key] for key in TEXT_KEYS if entry.get(key)), "")
    if isinstance(said, list):  # Telegram: pieces, some of them with a format
        pieces = [p.get("text", "") if isinstance(p, Mapping) else p for p in said]
        said = "".join(piece for piece in pieces if isinstance(piece, str))
    pair = [part if isinstance(part, str) else "" for part in (author, said)]
    if "sender_name" in entry:  # Meta takes the bytes of UTF-8 for characters
        pair = [_repaired(part) for part in pair]
    # half a pair of surrogates is no character
    name, text = (p.encode("utf-16", "replace").decode("utf-16") for p in pair)
    return Message(_as_name(name), text)


def _as_name(name: str) -> str:
    """A name on one line, without the marks that WhatsApp puts before some."""
    return " ".join(name.strip("\u200e\u200f~\u202f ").split())


def _repaired(text: str) -> str:
    """Text whose UTF-8 was taken for Latin-1, as it was meant; other text as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _is_newest_first(entries: list[Any]) -> bool:
    for key in TIME_KEYS:
        times = [entries[i].get(key) for i in (0, -1)]
        if all(isinstance(t, int | float) for t in times) or all(
            isinstance(t, str) for t in times
        ):
            return bool(times[0] > times[1])
    return False
