"""Highlighting code that comes line by line: each line as it looks in the whole."""

from collections.abc import Mapping

from pygments.token import string_to_tokentype
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax, SyntaxTheme
from rich.text import Text

_BATCH = 12  # lines, at least, that are looked at together
_SAMPLE = 16  # of the latest lines: they are a text in the language
_PATIENCE = 3 / 2  # growth after which it is tried again where nothing was certain
_LONG = 4_000  # characters of what is not certain; of more only the last are previewed
_TAB = 4

# What ends a string, a comment or a block in some language. What looks the same with this behind
# it and without depends on nothing that may still come.
_CLOSERS = """\
... '''
... \"\"\"
}
)]
*/
-->
*)
-}
]]
=end
=cut
'
"
`
'''
\"\"\"
%> ?> #} %} }}
</script></style>
EOF
"""

_Line = list[tuple[str, Style]]


def colours_of(styles: Mapping[str, str]) -> SyntaxTheme:
    """Give the colours of code: of the styles named "code.", the rest is a token's name."""
    return ANSISyntaxTheme(
        {
            string_to_tokentype(name.removeprefix("code.").title()): Style.parse(style)
            for name, style in styles.items()
            if name.startswith("code.")
        }
    )


class Highlighter:
    """Gives the lines of a growing code as soon as it is certain how they look.

    Certain are those that a lexer reads in the same way whatever may follow. Where it reads the
    rest in the same way without them they are forgotten, so that the cost does not grow. What
    may follow is tried out: more of the last lines, the latest ones again, and closers.
    """

    def __init__(self, language: str, colours: SyntaxTheme) -> None:
        self._lexer = Syntax("", language).lexer
        self._style_of = colours.get_style_for_token
        self._code = ""  # whole lines; the first ones may have been given
        self._given = 0
        self._latest = ""
        self._try_at = 0.0
        self._is_new = True

    def add(self, code: str) -> list[Text]:
        """Take whole lines and give those that are certain now, less blank ones at the end."""
        self._code += code.expandtabs(_TAB)
        if self._code.count("\n") < self._given + _BATCH or len(self._code) < self._try_at:
            return []
        latest = (self._latest + self._code).split("\n")[-_SAMPLE - 1 : -1]
        self._latest = "".join(f"{line}\n" for line in latest)
        more = "".join(f"{line}\n" for line in latest[-2:]) + self._latest + _CLOSERS
        lines, with_more = self._read(self._code), self._read(self._code + more)
        pairs = enumerate(zip(lines, with_more, strict=False))
        certain = next((i for i, (one, other) in pairs if one != other), len(lines))
        while certain > self._given and not _is_text(lines[certain - 1]):
            certain -= 1  # the last ones of a block are left out
        given, self._given = lines[self._given : certain], certain
        self._is_new = self._is_new and not given
        left = "".join(f"{line}\n" for line in self._code.split("\n")[certain:-1])
        self._try_at = len(self._code) * _PATIENCE
        if certain and self._read(left + more) == with_more[certain:]:
            self._code, self._given, self._try_at = left, 0, 0
        return list(map(_text, given))

    def rest(self) -> list[Text]:
        """Give the lines that have not been given: there are no more.

        Code of blanks only is an empty line.
        """
        left = self._code.rstrip()
        return list(map(_text, self._read(left)[self._given :])) if left or self._is_new else []

    def preview(self, code: str) -> list[Text]:
        """Give those lines, and `code` behind them, for now; of many only the last ones."""
        left, given = (self._code + code.expandtabs(_TAB)).rstrip(), self._given
        if len(left) > _LONG:
            left, given = left[-_LONG:].partition("\n")[2], 0
        return list(map(_text, self._read(left)[given:]))

    def _read(self, code: str) -> list[_Line]:
        """Give the lines of a code, each as texts and their styles."""
        if self._lexer is None:
            return [[(line, Style.null())] for line in code.removesuffix("\n").split("\n")]
        lines: list[_Line] = [[]]
        for kind, text in self._lexer.get_tokens(code):
            style = self._style_of(kind)
            first, *others = text.split("\n")
            lines[-1] += [(first, style)] if first else []
            lines += [[(other, style)] if other else [] for other in others]
        return lines[:-1]  # a lexer ends the last one


def _is_text(line: _Line) -> bool:
    return any(text.strip() for text, _ in line)


def _text(line: _Line) -> Text:
    return Text.assemble(*line, justify="left")
