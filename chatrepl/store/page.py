"""A conversation as one HTML page.

It holds no script and loads nothing, for attached images are in it, and what was said in it is
inert: markup becomes text, a link leads to http, https or mailto and shows where, an image of the
text is a link. The policy in its frame would stop whatever came through all the same.
"""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from chatrepl.store.frame import framed
from chatrepl.store.sections import Section, one_line

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


def _rendered(text: str, parser: _Parser, *, flows: bool) -> str:
    """Render a text, or show its source where it nests deeper than the parser follows."""
    env = {"flows": flows}
    try:
        tokens = parser.parse(text, env)
        if all(token.level < _DEEPEST - 1 for token in tokens):
            for token in tokens:
                if token.type in {"heading_open", "heading_close"}:
                    token.tag = f"h{min(int(token.tag[1:]) + 2, 6)}"  # below the page's own two
            return str(parser.renderer.render(tokens, parser.options, env))
    except RecursionError:
        pass
    return _code(text, "", "")


def _whole(section: Section, parser: _Parser) -> str:
    """Render what was said and what was attached, each for itself."""
    # A person's line break is meant; a model's paragraph flows.
    said = _rendered(section.text, parser, flows=section.role == "assistant")
    images = "".join(
        f'<p><img alt="{escape(one_line(each.name))}" width="{each.width}" height="{each.height}" '
        f'src="{escape(each.url)}"></p>\n'
        for each in section.images
    )
    return said + _rendered(section.attached, parser, flows=True) + images


def page(title: str, about: str, sections: Sequence[Section]) -> str:
    """Give the whole page."""
    parser = _Parser()
    light, dark = (
        HtmlFormatter(style=style).get_token_style_defs(".code")
        for style in ("xcode", "github-dark")
    )
    style = _STYLE % {"light": "\n".join(light), "dark": "\n".join(dark)}
    articles = "".join(
        f'<article class="{section.role}">\n<h2>{escape(section.heading)}</h2>\n'
        f'<div class="text" dir="auto" lang="">\n{_whole(section, parser)}</div>\n'
        + (f'<p class="cut">{escape(section.cut)}</p>\n' if section.cut else "")
        + "</article>\n"
        for section in sections
    )
    images = "data:" if any(section.images for section in sections) else ""
    return framed(title, about, articles, style, images)


_STYLE = """\
.target, .cut { color: var(--dim); }
article { margin: 1.5rem 0; }
article.user, article.system {
  padding: .8rem 1rem; border-radius: .5rem; background: var(--tint); border: 1px solid var(--line);
}
article.system { border-style: dashed; }
.text > :first-child { margin-top: 0; }
.text > :last-child, blockquote > :last-child { margin-bottom: 0; }
.cut { margin: .6rem 0 0; font-size: .9rem; font-style: italic; }
.text h3, .text h4, .text h5, .text h6 { margin: 1.4rem 0 .5rem; line-height: 1.3; }
.text h3 { font-size: 1.3rem; }
.text h4 { font-size: 1.15rem; }
.text h5, .text h6 { font-size: 1rem; }
ul, ol, blockquote, pre { margin: 0 0 .9rem; }
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
img { max-width: 100%%; height: auto; }
@media screen and (max-width: 30rem) {
  article.user, article.system { padding: .6rem .75rem; }
  pre.code { padding: .6rem .75rem; }
}
@media print, (prefers-color-scheme: light) {
%(light)s
}
@media screen and (prefers-color-scheme: dark) {
%(dark)s
}
.code .err { color: inherit; background: none; border: 0; }
@media print {
  pre.code { white-space: pre-wrap; overflow-wrap: anywhere; box-decoration-break: clone; }
  blockquote { break-inside: avoid; }
}
"""
