"""How everything looks: one table of rich styles, and which of its columns holds.

rich itself is not imported here, for the first prompt needs these styles too.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from chatrepl.errors import SettingsError

Shade = Literal["dark", "light"]
Choice = Literal["auto", "dark", "light", "plain"]

STYLES: Mapping[str, tuple[str, str]] = {
    # name: on a dark background (or on one that nobody knows), on a light one
    "prompt": ("bold cyan", "bold blue"),
    "toolbar": ("bright_black", "bright_black"),
    "suggestion": ("bright_black", "bright_black"),  # how the line may go on, as one before
    "menu": ("default", "default"),  # what Tab offers
    "menu.help": ("bright_black", "bright_black"),
    "menu.selected": ("reverse", "reverse"),
    "notice": ("dim", "dim"),
    "error": ("red", "red"),
    "hint": ("dim", "dim"),  # below an error: what to do next
    "thought": ("dim", "dim"),
    "role": ("bold cyan", "bold blue"),  # "user", "assistant", and ">" before a message
    "name": ("bold", "bold"),  # of a command, a session, a model
    "faint": ("dim", "dim"),  # what matters less in a list
    "found": ("bold yellow", "bold red"),  # the words that were searched for
    # what chatrepl doctor found
    "check.ok": ("green", "green"),
    "check.wrong": ("bold red", "bold red"),
    "check.skipped": ("dim", "dim"),
    # the bar of /context
    "context.system": ("magenta", "magenta"),
    "context.note": ("blue", "blue"),
    "context.examples": ("yellow", "red"),
    "context.pins": ("cyan", "cyan"),
    "context.history": ("green", "green"),
    "context.frame": ("dim", "dim"),
    "context.reply": ("dim", "dim"),
    "context.free": ("dim", "dim"),
    # a reply, as rich.markdown names its parts
    "markdown.paragraph": ("none", "none"),
    "markdown.em": ("italic", "italic"),
    "markdown.strong": ("bold", "bold"),
    "markdown.s": ("strike", "strike"),
    "markdown.code": ("cyan", "magenta"),
    "markdown.block_quote": ("italic", "italic"),
    "markdown.item.bullet": ("bold", "bold"),
    "markdown.item.number": ("default", "default"),
    "markdown.hr": ("dim", "dim"),
    "markdown.h1": ("bold underline", "bold underline"),
    "markdown.h2": ("bold", "bold"),
    "markdown.h3": ("bold", "bold"),
    "markdown.h4": ("italic", "italic"),
    "markdown.h5": ("italic", "italic"),
    "markdown.h6": ("dim", "dim"),
    "markdown.link": ("default", "default"),
    "markdown.link_url": ("blue underline", "blue underline"),
    "markdown.table.header": ("bold", "bold"),
    "markdown.table.border": ("dim", "dim"),
    # code, as Pygments names its tokens; what has no line is as what it is a kind of
    "code.comment": ("dim", "dim"),
    "code.comment.preproc": ("bright_cyan", "magenta"),
    "code.keyword": ("bright_blue", "blue"),
    "code.keyword.type": ("bright_cyan", "blue"),
    "code.operator.word": ("bright_magenta", "magenta"),
    "code.name.builtin": ("bright_cyan", "blue"),
    "code.name.function": ("bright_green", "bold"),
    "code.name.namespace": ("bright_cyan underline", "underline"),
    "code.name.class": ("bright_green underline", "bold underline"),
    "code.name.exception": ("bright_cyan", "blue"),
    "code.name.decorator": ("bold bright_magenta", "bold magenta"),
    "code.name.variable": ("bright_red", "red"),
    "code.name.constant": ("bright_red", "red"),
    "code.name.attribute": ("bright_cyan", "blue"),
    "code.name.tag": ("bright_blue", "blue"),
    "code.string": ("yellow", "red"),
    "code.number": ("bright_blue", "blue"),
    "code.generic.deleted": ("bright_red", "red"),
    "code.generic.inserted": ("bright_green", "green"),
    "code.generic.heading": ("bold", "bold"),
    "code.generic.subheading": ("bold bright_magenta", "bold magenta"),
    "code.generic.prompt": ("bold", "bold"),
    "code.generic.error": ("bright_red", "red"),
    "code.error": ("red underline", "red underline"),
}
"""Every style that the program uses. `theme = "plain"` leaves out the colours of the first."""

_ATTRIBUTES = {
    name: word
    for word in ("bold", "dim", "italic", "underline", "blink", "reverse", "strike")
    for name in (word, word[0])
} | {"b": "bold"}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan")


def from_environment(environment: Mapping[str, str]) -> Shade | None:
    """Read COLORFGBG, which rxvt, Konsole and others set: "15;0" is white on black.

    >>> from_environment({"COLORFGBG": "0;default;15"}), from_environment({"COLORFGBG": "x"})
    ('light', None)
    """
    last = environment.get("COLORFGBG", "").rpartition(";")[2]
    if not (last.isdecimal() and int(last) < 16):
        return None
    return "light" if int(last) in {7, *range(9, 16)} else "dark"


class Theme:
    """Which styles hold just now: as the user wants it, else as suits the terminal's background.

    `styles` maps each name of the table to a rich style; it is another object once it differs.
    """

    def __init__(self, background: Shade | None = None) -> None:
        self._choice: Choice = "auto"
        self._background = background
        self._own: Mapping[str, str] = {}
        self.styles = self._resolve()

    @property
    def column(self) -> Literal["dark", "light", "plain"]:
        """Name the column of the table that holds."""
        return (self._background or "dark") if self._choice == "auto" else self._choice

    @property
    def description(self) -> str:
        """Say which theme holds, and why."""
        if self._choice != "auto":
            return self._choice
        if self._background is None:
            return f"auto ({self.column}: the terminal does not say what its background is)"
        return f"auto ({self.column}, as the terminal's background)"

    def choose(
        self,
        choice: Choice,
        own: Mapping[str, str] | None = None,
        place: Callable[[str], str] = str,
    ) -> None:
        """Do as the user wants: a column, and styles of their own; `place` says where one stands.

        Without `own` those stay as they are. Raises SettingsError for a name that the table does
        not have and for a style that is none.
        """
        if own is not None:
            _check(own, place)
            self._own = own
        self._choice = choice
        self.styles = self._resolve()

    def seen(self, background: Shade) -> None:
        """Note what the terminal says of its background."""
        self._background = background
        self.styles = self._resolve()

    def _resolve(self) -> Mapping[str, str]:
        column = self.column
        number = 1 if column == "light" else 0
        chosen = {name: styles[number] for name, styles in STYLES.items()}
        if column == "plain":
            chosen = {name: _colourless(style) for name, style in chosen.items()}
        return chosen | dict(self._own)


def _check(own: Mapping[str, str], place: Callable[[str], str]) -> None:
    if not own:
        return
    import difflib  # noqa: PLC0415 - few have styles of their own

    from rich.errors import StyleSyntaxError  # noqa: PLC0415
    from rich.style import Style  # noqa: PLC0415

    for name, style in own.items():
        if name not in STYLES:
            near = difflib.get_close_matches(name, STYLES, 1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            text = f"{place(name)}: unknown style '{name}' in [styles].{meant}"
            raise SettingsError(text, "" if near else f"Known: {', '.join(STYLES)}.")
        try:
            Style.parse(style)
        except StyleSyntaxError as error:
            raise SettingsError(
                f"{place(name)}: [styles] {name} = '{style}' is no style: {error}",
                "A style is like: bold, dim italic, bright_red, #5f87ff, black on yellow.",
            ) from error


def _colourless(style: str) -> str:
    """Leave out the colours of a style of the table.

    >>> _colourless("bold bright_red on blue"), _colourless("cyan")
    ('bold', 'none')
    """
    return " ".join(word for word in style.split() if word in _ATTRIBUTES) or "none"


def for_prompt(styles: Mapping[str, str]) -> dict[str, str]:
    """Give prompt_toolkit's names their styles, in its own words."""
    names = ("prompt", "toolbar", "suggestion", "menu")
    said = {name: _in_prompts_words(styles[name]) for name in names}
    chosen = _in_prompts_words(styles["menu.selected"])
    return {
        "prompt": said["prompt"],
        "bottom-toolbar": f"noreverse {said['toolbar']}",
        "auto-suggestion": said["suggestion"],
        "completion-menu": f"bg:default default {said['menu']}",
        "completion-menu.completion.current": chosen,
        "completion-menu.meta.completion": (f"bg:default {_in_prompts_words(styles['menu.help'])}"),
        "completion-menu.meta.completion.current": chosen,
    }


def _in_prompts_words(style: str) -> str:
    """Say a rich style as prompt_toolkit does.

    >>> _in_prompts_words("bold not dim bright_blue on white")
    'bold nodim ansibrightblue bg:ansigray'
    """
    words = iter(style.lower().split())
    return " ".join(filter(None, (_in_prompts_word(word, words) for word in words)))


def _in_prompts_word(word: str, more: Iterator[str]) -> str:
    if word in {"none", "null"}:
        return ""
    if word == "not":
        return f"no{_ATTRIBUTES.get(next(more), 'blink')}"
    if word == "on":
        return f"bg:{_colour(next(more))}"
    if word in _ATTRIBUTES:
        return _ATTRIBUTES[word]
    if word == "link":
        next(more)
        return ""
    return _colour(word)


def _colour(name: str) -> str:
    """Name a colour as prompt_toolkit does; one that it has no name for is what rich makes of it.

    An attribute that only rich knows is nothing.
    """
    if name == "default" or name.startswith("#"):
        return name
    if name in {"white", "bright_white"}:
        return "ansigray" if name == "white" else "ansiwhite"
    if name.removeprefix("bright_") in _COLOURS:
        return f"ansi{name.replace('_', '')}"
    from rich.color import Color, ColorParseError  # noqa: PLC0415 - see the top

    try:
        return Color.parse(name).get_truecolor().hex
    except ColorParseError:
        return ""
