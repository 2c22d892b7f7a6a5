"""A conversation as a file for others to read: Markdown, OpenAI's JSON, or one HTML page.

A page holds no script and loads nothing, and what was said in it is inert: markup becomes text,
a link leads to http, https or mailto and shows where, an image is a link. The policy in its head
would stop whatever came through all the same.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message
from chatrepl.errors import SettingsError

Form = Literal["md", "json", "html"]

_FORMS: dict[str, Form] = {
    ".md": "md",
    ".markdown": "md",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}

# C0 but tab and newline, DEL, C1, bidi overrides and isolates, lone surrogates, tag characters.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)

# How a reply is marked that did not end by itself.
_CUTS = {
    None: "(interrupted)",
    "length": "(cut off: it reached max_tokens)",
    "content_filter": "(cut off by the server's content filter)",
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
    about = " · ".join(_one_line(part) for part in (time, model) if part)
    compose = _markdown if form == "md" else _html
    return compose(_one_line(title) or "Conversation", about, list(_sections(conversation)))


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
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n"


@dataclass(frozen=True, slots=True)
class _Section:
    """A message as a reader sees it: `cut` is what to say of a reply that was cut off."""

    role: str
    heading: str
    text: str
    cut: str


def _sections(conversation: Conversation) -> Iterator[_Section]:
    for message in conversation.preamble:
        yield _section(message, "")
    for exchange in conversation.exchanges:
        for message in exchange.messages:
            is_reply = message is exchange.reply
            yield _section(message, _CUTS.get(exchange.finish_reason, "") if is_reply else "")


def _section(message: Message, cut: str) -> _Section:
    heading = message.role.capitalize()
    if message.name:
        heading += f" ({_one_line(message.name)})"
    return _Section(message.role, heading, _safe(message.content), cut)


def _one_line(text: str) -> str:
    return " ".join(_safe(text).split())


def _safe(text: str) -> str:
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


# Markdown

# What a text left open ends with; what begins with a tag ends with the same.
_ENDS = ("-->", "?>", "]]>")
_RAW_TAG = re.compile(r"\s*<(script|pre|style|textarea)", re.IGNORECASE)
_MARKUP = re.compile(r"[\\`*_~\[\]<&|]|#(?=#*$)")


def _markdown(title: str, about: str, sections: Sequence[_Section]) -> str:
    parts = [f"# {_MARKUP.sub(_escaped, title)}"]
    if about:
        parts.append(_MARKUP.sub(_escaped, about))
    for section in sections:
        parts.append(f"## {_MARKUP.sub(_escaped, section.heading)}")
        parts.append(section.text + _closing(section.text))
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


# HTML

_DEEPEST = 100
_LONGEST_CODE = 100_000  # characters; some of Pygments' lexers take quadratic time
_LINK = re.compile(r"https?://|mailto:", re.IGNORECASE)


class _Parser(MarkdownIt):
    """Markdown in which HTML is text and a link that leads elsewhere is no link."""

    def __init__(self) -> None:
        options = {"html": False, "maxNesting": _DEEPEST, "highlight": _code}
        super().__init__("commonmark", options, renderer_cls=_Renderer)
        self.enable(["strikethrough", "table"])

    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Take an absolute address only. Entities are decoded by now, odd characters encoded."""
        return _LINK.match(url) is not None


class _Renderer(RendererHTML):
    """What differs from the parser's own rendering. `env` has what is known of the message."""

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        env["link"] = idx
        return _opening(str(tokens[idx].attrs["href"]))

    def link_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        start = env.pop("link")
        shown = self.renderInlineAsText(tokens[start + 1 : idx], options, env)
        address = str(tokens[start].attrs["href"])
        return _target(address, shown) + "</a>" if address else ""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        address = str(tokens[idx].attrs["src"])
        alt = self.renderInlineAsText(tokens[idx].children, options, env)
        text = escape(f"Image: {alt}".strip()) + _target(address, "")
        # A link in a link would end the outer one before the place where its target is told.
        if "link" in env or not address:
            return text
        return f"{_opening(address)}{text}</a>"

    def softbreak(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "\n" if env["flows"] else "<br>\n"

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return _code(tokens[idx].content, "", "")

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return '<div class="wide"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</table></div>\n"


def _opening(address: str) -> str:
    """Begin a link, or nothing where it leads nowhere, as []() does."""
    return f'<a href="{escape(address)}" rel="noopener noreferrer">' if address else ""


def _target(address: str, shown: str) -> str:
    """Tell where a link leads, unless its text says just that."""
    if not address or (shown and address in {shown, f"mailto:{shown}"}):
        return ""
    return f' <bdi class="target">({escape(address)})</bdi>'


def _code(text: str, language: str, _attributes: str) -> str:
    shown = escape(text)
    if language and len(text) <= _LONGEST_CODE:
        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound:
            pass
        else:
            shown = highlight(text, lexer, HtmlFormatter(nowrap=True))
    label = f' data-language="{escape(language)}"' if language else ""
    # HTML takes away a newline at once after <pre>.
    return f'<pre class="code"{label}>\n{shown}</pre>'


def _rendered(section: _Section, parser: _Parser) -> str:
    """Render a text, or show its source where it nests deeper than the parser follows."""
    # A person's line break is meant; a model's paragraph flows.
    env = {"flows": section.role == "assistant"}
    try:
        tokens = parser.parse(section.text, env)
        if all(token.level < _DEEPEST - 1 for token in tokens):
            for token in tokens:
                if token.type in {"heading_open", "heading_close"}:
                    token.tag = f"h{min(int(token.tag[1:]) + 2, 6)}"  # below the page's own two
            return str(parser.renderer.render(tokens, parser.options, env))
    except RecursionError:
        pass
    return _code(section.text, "", "")


def _html(title: str, about: str, sections: Sequence[_Section]) -> str:
    parser = _Parser()
    light, dark = (
        HtmlFormatter(style=style).get_token_style_defs(".code")
        for style in ("xcode", "github-dark")
    )
    style = _STYLE % {"light": "\n".join(light), "dark": "\n".join(dark)}
    articles = "".join(
        f'<article class="{section.role}">\n<h2>{escape(section.heading)}</h2>\n'
        f'<div class="text" dir="auto" lang="">\n{_rendered(section, parser)}</div>\n'
        + (f'<p class="cut">{escape(section.cut)}</p>\n' if section.cut else "")
        + "</article>\n"
        for section in sections
    )
    page = _PAGE.format(
        title=escape(title),
        about=f'<p class="about">{escape(about)}</p>' if about else "",
        style=style,
        articles=articles,
    )
    return _UNSAFE.sub("\ufffd", page)  # once more: the parser has decoded entities


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1 dir="auto">{title}</h1>
{about}
</header>
<main>
{articles}</main>
</body>
</html>
"""

_STYLE = """\
:root {
  color-scheme: light dark;
  --page: #fff; --tint: #f6f8fa; --line: #d1d9e0; --ink: #1f2328; --dim: #59636e; --link: #0550ae;
}
* { box-sizing: border-box; }
body {
  max-width: 48rem; margin: 0 auto; padding: 2rem 1rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.6rem; line-height: 1.3; }
.about, .target, .cut, h2 { color: var(--dim); }
.about { margin: .3rem 0 0; font-size: .9rem; }
body > header { margin-bottom: 2rem; padding-bottom: 1rem; border-bottom: 1px solid var(--line); }
article { margin: 1.5rem 0; }
article.user, article.system {
  padding: .8rem 1rem; border-radius: .5rem; background: var(--tint); border: 1px solid var(--line);
}
article.system { border-style: dashed; }
h2 { margin: 0 0 .4rem; font-size: .85rem; line-height: 1.4; }
.text > :first-child { margin-top: 0; }
.text > :last-child, blockquote > :last-child { margin-bottom: 0; }
.cut { margin: .6rem 0 0; font-size: .9rem; font-style: italic; }
.text h3, .text h4, .text h5, .text h6 { margin: 1.4rem 0 .5rem; line-height: 1.3; }
.text h3 { font-size: 1.3rem; }
.text h4 { font-size: 1.15rem; }
.text h5, .text h6 { font-size: 1rem; }
p, ul, ol, blockquote, pre, .wide { margin: 0 0 .9rem; }
ul, ol { padding-inline-start: 1.6rem; }
li > p { margin-bottom: .4rem; }
li > pre.code { margin-top: .4rem; }
li > ul, li > ol { margin-bottom: 0; }
a { color: var(--link); }
.target { font-size: .9em; display: inline; }
blockquote {
  margin-inline: 0; padding-inline-start: 1rem; border-inline-start: 3px solid var(--line);
}
hr { border: 0; border-top: 1px solid var(--line); margin: 1.5rem 0; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
code { font-size: .9em; padding: .1em .3em; border-radius: .25rem; background: var(--tint); }
.user code, .system code, .user pre.code, .system pre.code { background: var(--page); }
pre.code {
  direction: ltr; text-align: left; overflow-x: auto; overflow-wrap: normal; tab-size: 4;
  padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--tint); font-size: .875rem; line-height: 1.45;
}
pre.code[data-language]::before {
  content: attr(data-language); display: block; overflow: hidden; text-overflow: ellipsis;
  margin-bottom: .4rem; color: var(--dim); font: .75rem/1.4 system-ui, sans-serif;
}
.wide { overflow-x: auto; }
table { border-collapse: collapse; overflow-wrap: normal; }
th, td {
  padding: .3rem .7rem; border: 1px solid var(--line); text-align: start; vertical-align: top;
}
th { background: var(--tint); }
@media screen and (max-width: 30rem) {
  body { padding: 1rem .75rem 2rem; }
  article.user, article.system { padding: .6rem .75rem; }
  pre.code { padding: .6rem .75rem; }
}
@media print, (prefers-color-scheme: light) {
%(light)s
}
@media screen and (prefers-color-scheme: dark) {
:root {
  --page: #0d1117; --tint: #161b22; --line: #30363d; --ink: #e6edf3; --dim: #9198a1;
  --link: #79b8ff;
}
%(dark)s
}
.code .err { color: inherit; background: none; border: 0; }
@media print {
  :root { color-scheme: light; }
  @page { margin: 2cm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h1, h2, h3, h4, h5, h6 { break-after: avoid; }
  pre.code { white-space: pre-wrap; overflow-wrap: anywhere; box-decoration-break: clone; }
  tr, blockquote { break-inside: avoid; }
  .wide { overflow: visible; }
}
"""
