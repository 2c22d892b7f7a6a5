"""A conversation as a file for others to read: Markdown, OpenAI's JSON, or one HTML page."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatrepl.chat.conversation import Conversation
from chatrepl.errors import SettingsError
from chatrepl.store.page import page
from chatrepl.store.sections import UNSAFE, Section, one_line, sections_of

Form = Literal["md", "json", "html"]

_FORMS: dict[str, Form] = {
    ".md": "md",
    ".markdown": "md",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}


def form_of(file: Path) -> Form | None:
    """Tell the form that a file's name asks for, or None.

    >>> form_of(Path("talk.HTML")), form_of(Path("talk.txt"))
    ('html', None)
    """
    return _FORMS.get(file.suffix.lower())


def export(
    conversation: Conversation,
    form: Form,
    *,
    title: str,
    created: datetime | None = None,
    model: str | None = None,
) -> str:
    """Give the whole of a file, to be written as UTF-8.

    JSON keeps the messages exactly and nothing else. Markdown keeps their texts as they were
    written, and HTML shows them rendered; both name title, time and model, mark a reply that was
    cut off, and show a control character as U+FFFD.
    """
    if form == "json":
        return _json(conversation)
    time = f"{created:%Y-%m-%d %H:%M %Z}".strip() if created else ""
    about = " · ".join(one_line(part) for part in (time, model) if part)
    compose = _markdown if form == "md" else page
    return compose(one_line(title) or "Conversation", about, list(sections_of(conversation)))


def write(  # noqa: PLR0913 - what the file says, and how it is written
    conversation: Conversation,
    file: Path,
    *,
    title: str,
    created: datetime | None = None,
    model: str | None = None,
    form: Form | None = None,
    force: bool = False,
) -> None:
    """Write an export into a file, in the form of its suffix unless another is named.

    A file that is there already is left alone without `force`. Raises SettingsError.
    """
    form = form or form_of(file)
    if form is None:
        text = f"The form of {file} can't be told from its name: nothing was written."
        raise SettingsError(text, "Known: .md, .json and .html.")
    text = export(conversation, form, title=title, created=created, model=model)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        text = f"{file} is there already: nothing was written."
        hint = "Name another file; chatrepl sessions export --force overwrites it."
        raise SettingsError(text, hint) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{file} can't be written: {why}") from error


def _json(conversation: Conversation) -> str:
    messages = [message.as_openai() for message in conversation.messages]
    # What is escaped is the same text to a reader of JSON, and can't steer a terminal.
    text = json.dumps(messages, ensure_ascii=False, indent=2)
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n"


# What a text left open ends with; what begins with a tag ends with the same.
_ENDS = ("-->", "?>", "]]>")
_RAW_TAG = re.compile(r"\s*<(script|pre|style|textarea)", re.IGNORECASE)
_MARKUP = re.compile(r"[\\`*_~\[\]<&|]|#(?=#*$)")


def _markdown(title: str, about: str, sections: Sequence[Section]) -> str:
    parts = [f"# {_MARKUP.sub(_escaped, title)}"]
    if about:
        parts.append(_MARKUP.sub(_escaped, about))
    for section in sections:
        parts.append(f"## {_MARKUP.sub(_escaped, section.heading)}")
        parts.append(section.text + _closing(section.text))
        if section.attached:
            parts.append(section.attached)
        if section.cut:
            parts.append(f"*{section.cut}*")
    return "\n\n".join(parts) + "\n"


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _closing(text: str) -> str:
    """Give what must follow a text so that the next heading is one, and no part of the text.

    >>> _closing("Run:\\n\\n~~~~sh\\nls"), _closing("<!-- a"), _closing("- ```\\n  ends by itself")
    ('\\n~~~~', '\\n-->', '')
    """
    last = _swallowing(text)
    if last is None:
        return ""
    ends: Sequence[str] = _ENDS
    if last.type == "fence":
        ends = (last.markup,)
    elif tag := _RAW_TAG.match(last.content):
        ends = (f"</{tag[1]}>",)
    return next((f"\n{end}" for end in ends if not _swallowing(f"{text}\n{end}")), "")


def _swallowing(text: str) -> Token | None:
    """Find the block that would swallow a heading put under the text."""
    last = MarkdownIt("commonmark").parse(f"{text}\n\n# heading")[-1]
    return None if last.type == "heading_close" and not last.level else last
