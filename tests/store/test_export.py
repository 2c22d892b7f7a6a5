"""What an exported conversation holds, and what it must not."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatrepl.chat.conversation import Conversation, from_messages
from chatrepl.chat.messages import Message
from chatrepl.reading import read_image
from chatrepl.store.export import Form, export, form_of
from chatrepl.store.transcript import load_messages
from chatrepl.terminal.sanitize import clean
from tests.support.samples import SAMPLES

FORMS: list[Form] = ["md", "json", "html"]

ODD = ["<|im_start|>system", "<|im_end|>", "\x00", "\x1b]52;c;AA\x07", "\x9b2J", "\u202e", "\r\n"]
ODD += [
    "\ud83d",
    "\ude00",
    "👩‍👩‍👧",
    "\u2028",
    "\ufeff",
    "\U000e0041",
    '"',
    "\\",
    "é",
    "漢",
    "&#27;",
    "&#x202e;",
]
TEXTS = st.lists(st.sampled_from(ODD) | st.text(max_size=5), max_size=8).map("".join)
NAMES = st.none() | TEXTS
MESSAGES = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS, NAMES)

# Pieces that mean something to Markdown, to HTML or to a reader of addresses.
PIECES = [
    *(
        "[",
        "](",
        ")",
        "![",
        "<",
        ">",
        "](<",
        '"',
        "'",
        "`",
        "```",
        "~~~",
        "\n",
        "\n\n",
        " ",
        "    ",
    ),
    *(
        "\\",
        "&",
        "&#x202e;",
        "&quot;",
        "&#1;",
        "&colon;",
        "&Tab;",
        "*",
        "_",
        "~~",
        "# ",
        "> ",
        "- ",
    ),
    *("| ", "|---|---|\n", "[a]: ", "[a]", "1. ", "a", "x=1", "\x00", "\x1b", "\u202e", "\r", "</"),
    *("http://", "https://[", "https://ä.de/", "mailto:", "javascript:", "data:", "//", "@", "%0a"),
    *(
        "<script>",
        "</style>",
        '"onload="',
        "<svg onload=x>",
        "<!--",
        "-->",
        " onclick=",
        "python",
        "diff\n",
    ),
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def talk(reply: str, finish: str | None = "stop", *, prompt: str = "Hello") -> Conversation:
    asked = Conversation().asking(Message("user", prompt))
    return asked.answered(Message("assistant", reply), finish, None)


def page_of(reply: str) -> str:
    return export(talk(reply), "html", title="A talk")


def reply_in(page: str) -> str:
    """The HTML of the last message."""
    return page.rpartition('lang="">\n')[2].partition("</div>\n</article>")[0]


class Markup(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


# The file's name


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.md", "md"),
        ("a.MARKDOWN", "md"),
        ("a.json", "json"),
        ("a.b.html", "html"),
        ("a.htm", "html"),
        ("a.txt", None),
        ("html", None),
    ],
)
def test_a_files_name_tells_the_form(name: str, form: Form | None) -> None:
    assert form_of(Path(name)) == form


# JSON


@given(messages=st.lists(MESSAGES, min_size=1, max_size=6))
def test_json_is_loaded_again_without_loss(
    messages: list[Message], tmp_path_factory: pytest.TempPathFactory
) -> None:
    conversation = from_messages(messages)
    file = tmp_path_factory.mktemp("json") / "talk.json"
    file.write_text(export(conversation, "json", title="t"), encoding="utf-8", newline="")
    assert load_messages(file, read_image) == list(conversation.messages) == messages


def test_json_is_what_the_api_takes() -> None:
    conversation = Conversation(
        Message("system", "Be brief."), (Message("user", "Hi", "example_user"),)
    ).asking(Message("user", "Größe?"))
    text = export(conversation, "json", title="t", created=datetime.now(UTC), model="m")
    assert "Größe?" in text
    assert json.loads(text) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "name": "example_user"},
        {"role": "user", "content": "Größe?"},
    ]


@pytest.mark.parametrize("form", FORMS)
@given(text=TEXTS)
def test_an_export_can_be_shown_in_a_terminal(form: Form, text: str) -> None:
    conversation = talk(text).asking(Message("user", text, text))
    shown = export(conversation, form, title=text, model=text)
    assert clean(shown) == shown
    assert shown.encode().endswith(b"\n")


# Markdown


def test_markdown_is_readable_as_it_is() -> None:
    conversation = Conversation(Message("system", "Be brief.")).asking(
        Message("user", "2 * 3?", "al")
    )
    conversation = conversation.answered(Message("assistant", "It is **6**."), "stop", None)
    text = export(
        conversation,
        "md",
        title="A *talk*\nof C#",
        created=datetime(2026, 3, 1, 9, 5, tzinfo=UTC),
        model="gpt-4o",
    )
    assert text == (
        "# A \\*talk\\* of C\\#\n\n2026-03-01 09:05 UTC · gpt-4o\n\n## System\n\nBe brief.\n\n"
        "## User (al)\n\n2 * 3?\n\n## Assistant\n\nIt is **6**.\n"
    )


OPEN = [
    "```python\nx = 1",
    "~~~~\n```\nx",
    "> ```\n> x",
    "- ```\n  x",
    "   ```\n   x\n",
    "<!-- a",
    "<script>\n\na",
    "<PRE>\n\na",
    "<?php\n\n",
    "<!DOCTYPE\n\na",
    "<![CDATA[\n\na",
    "    code",
    "a | b\n---|---",
    "Heading?\n",
    "<div>",
    "[a]: ",
]


@pytest.mark.parametrize("reply", [*OPEN, *SAMPLES.values()])
def test_what_a_message_leaves_open_swallows_nothing(reply: str) -> None:
    conversation = talk(reply, None).asking(Message("user", "And then?"))
    text = export(conversation, "md", title="t")
    assert f"## Assistant\n\n{reply}" in text
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    tops = [token for token in tokens if token.level == 0 or token.type == "inline"]
    headings = [
        after.content
        for token, after in pairwise(tops)
        if (token.type, token.tag) == ("heading_open", "h2")
    ]
    assert (headings[0], headings[-1]) == ("User", "User")
    assert tokens[-2].content == "And then?"
    assert any(token.content == "*(interrupted)*" for token in tokens)


def test_what_is_closed_is_left_as_it_is() -> None:
    reply = "```\nx\n```\n\n<!-- a -->\n\n<pre>b</pre>"
    assert export(talk(reply), "md", title="t").endswith(f"## Assistant\n\n{reply}\n")


# HTML


def test_a_page_has_a_strict_policy_and_stands_alone() -> None:
    page = page_of(SAMPLES["a README"])
    policies = [each for each in Markup(page).all("meta") if "http-equiv" in each]
    assert policies == [
        {
            "http-equiv": "Content-Security-Policy",
            "content": "default-src 'none'; style-src 'unsafe-inline'",
        }
    ]
    assert not re.search(r"url\(|@import|src=", page)
    assert all(
        word in page for word in ("color-scheme", "prefers-color-scheme: dark", "@media print")
    )


def test_a_page_tells_what_was_said_by_whom() -> None:
    conversation = Conversation(Message("system", "Be *brief*.")).asking(
        Message("user", "Hi", "<al>")
    )
    page = export(
        conversation.answered(Message("assistant", "# Yes"), "stop", None),
        "html",
        title="A & B",
        created=datetime(2026, 3, 1, 9, 5, tzinfo=UTC),
        model="<m>",
    )
    assert "<title>A &amp; B</title>" in page
    assert "2026-03-01 09:05 UTC · &lt;m&gt;" in page
    assert re.findall("<h2>(.*)</h2>", page) == ["System", "User (&lt;al&gt;)", "Assistant"]
    assert "Be <em>brief</em>." in page
    assert reply_in(page) == "<h3>Yes</h3>\n"


@pytest.mark.parametrize("form", ["md", "html"])
@pytest.mark.parametrize(
    ("finish", "mark"),
    [
        (None, "(interrupted)"),
        ("length", "(cut off: it reached max_tokens)"),
        ("content_filter", "(cut off by the server's content filter)"),
        ("stop", None),
        ("eos", None),
    ],
)
def test_a_reply_that_was_cut_off_is_marked(
    form: Form, finish: str | None, mark: str | None
) -> None:
    conversation = talk("Once upon a", finish).asking(Message("user", "Go on."))
    text = unescape(export(conversation, form, title="t"))
    assert re.findall(r"\((?:interrupted|cut off[^)]*)\)", text) == ([mark] if mark else [])


LINKS: dict[str, Any] = {
    "[a](https://b.c/d)": [("https://b.c/d", "a (https://b.c/d)")],
    "<https://b.c/d>": [("https://b.c/d", "https://b.c/d")],
    "[https://b.c](https://evil.c)": [("https://evil.c", "https://b.c (https://evil.c)")],
    "[a](https://b.c?d&lt=e)": [("https://b.c?d&amp;lt=e", "a (https://b.c?d&amp;lt=e)")],
    "[](http://b.c)": [("http://b.c", " (http://b.c)")],
    "<a@b.c>": [("mailto:a@b.c", "a@b.c")],
    "[a][r]\n\n[r]: HTTP://b.c": [("HTTP://b.c", "a (HTTP://b.c)")],
    "<https://exämple.com>": [
        ("https://xn--exmple-cua.com", "https://exämple.com (https://xn--exmple-cua.com)")
    ],
    "[a]() ![b]()": [],
    "![a](https://b.c/d.png)": [("https://b.c/d.png", "Image: a (https://b.c/d.png)")],
    "[![i](https://i.c)](https://b.c)": [
        ("https://b.c", "Image: i (https://i.c) (https://b.c)"),
    ],
}


@pytest.mark.parametrize("text", LINKS)
def test_a_link_shows_where_it_leads(text: str) -> None:
    html = reply_in(page_of(text))
    found = re.findall(r'<a href="([^"]*)" rel="noopener noreferrer">(.*?)</a>', html)
    assert [(href, re.sub("<.*?>", "", shown)) for href, shown in found] == LINKS[text]


@pytest.mark.parametrize(
    "form", ["[a]({})", "[a](<{}>)", "![a](<{}>)", "[a][r]\n\n[r]: <{}>", "<{}>"]
)
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#1;javascript:alert(1)",
        "javascript&colon;alert(1)",
        "data:text/html,x",
        "data:image/png;base64,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "https:evil.example",
        "relative",
        "ftp://a.b",
    ],
)
def test_what_leads_elsewhere_is_text(form: str, address: str) -> None:
    html = reply_in(page_of(form.format(address)))
    assert "<a" not in html
    assert unescape(address) in unescape(html)


@pytest.mark.parametrize("language", ["python", "sh", "json", "nonsense", "", "python {1,2} x=y"])
def test_code_is_kept_to_the_letter(language: str) -> None:
    code = "\n\ndef f(a):\n\treturn \"<b>\" & 'c'  # ä  \n\n"
    html = reply_in(page_of(f"```{language}\n{code}```"))
    found = re.fullmatch(r'<pre class="code"[^>]*>\n(.*)</pre>\n?', html, re.DOTALL)
    assert found
    assert unescape(re.sub("<.*?>", "", found[1])) == code
    assert ("<span" in html) == (language not in {"nonsense", ""})


def test_very_long_code_is_shown_plain() -> None:
    html = reply_in(page_of("```python\n" + "x = 1\n" * 20_000 + "```"))
    assert "<span" not in html
    assert html.count("x = 1") == 20_000


def test_a_persons_line_breaks_are_kept_and_a_models_flow() -> None:
    page = export(talk("c\nd", prompt="a\nb"), "html", title="t")
    assert "<p>a<br>\nb</p>" in page
    assert "<p>c\nd</p>" in page


@pytest.mark.parametrize(
    "text", ["> " * 500 + "deep", "![" * 3000 + "deep" + "](http://b.c)" * 3000]
)
def test_a_text_that_nests_too_deeply_is_shown_whole(text: str) -> None:
    assert "deep" in reply_in(page_of(text))


TAGS = {"a", "article", "bdi", "blockquote", "body", "br", "code", "del", "div", "em", "h1", "h2"}
TAGS |= {"h3", "h4", "h5", "h6", "head", "header", "hr", "html", "li", "main", "meta", "ol", "p"}
TAGS |= {"pre", "s", "span", "strong", "style", "table", "tbody", "td", "th", "thead", "title"}
TAGS |= {"tr", "ul"}
ATTRIBUTES = {"class", "data-language", "dir", "href", "lang", "rel", "start", "style"}


@given(text=HOSTILE, line=HOSTILE)
def test_no_text_becomes_markup(text: str, line: str) -> None:
    conversation = talk(text, None).asking(Message("user", text, line))
    markup = Markup(export(conversation, "html", title=line, model=line))
    for tag, attributes in markup.found:
        assert tag in TAGS
        assert tag == "meta" or set(attributes) <= ATTRIBUTES
        assert re.fullmatch(
            "text-align:(left|right|center)", attributes.get("style") or "text-align:left"
        )
    for link in markup.all("a"):
        assert re.match("(https?://|mailto:)", link["href"] or "", re.IGNORECASE)
        assert link["rel"] == "noopener noreferrer"
    assert (len(markup.all("article")), len(markup.all("style")), len(markup.all("meta"))) == (
        3,
        1,
        4,
    )
