"""What /context shows: every message and where it stands, and the window as a bar."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.messages import Message
from chatrepl.chat.turn import Chat
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.terminal.context import Row, folded, in_lines, rows, table
from tests.support.guide import num_tokens_from_messages

SYSTEM = Message("system", "Be kind.")
EXAMPLES = (Message("user", "Hello"), Message("assistant", "Ahoy"))
WINDOW = 1_000  # of which 250 are kept for the reply


def talk(exchanges: int = 10) -> Conversation:
    """A talk of exchanges of about 100 tokens each: there is room for seven."""
    said = Conversation(SYSTEM, EXAMPLES)
    for number in range(1, exchanges + 1):
        said = said.asking(Message("user", f"Question {number}" + " ship" * 60))
        said = said.answered(Message("assistant", f"Answer {number}" + " sea" * 30), "stop", None)
    return said


def a_chat(conversation: Conversation, window: int = WINDOW, model: str = "gpt-4") -> Chat:
    return Chat(ScriptedProvider(), card_for(model, context_window=window), conversation)


def noted() -> Conversation:
    """A talk of which a note stands for the first two exchanges."""
    return replace(talk(5), note=Note("They talked of ships.", 0, 2))


def all_kinds() -> Conversation:
    """A talk in which every standing is found."""
    return replace(talk(12), note=Note("They talked of ships.", 0, 2)).pinned(3).dropped(9)


def standings(chat: Chat) -> list[str]:
    """Where each message stands, and how often in a row."""
    found: list[list[str]] = []
    for row in rows(chat):
        if not found or found[-1][0] != row.standing:
            found.append([row.standing])
        else:
            found[-1].append(row.standing)
    return [f"{len(group)} {group[0]}" for group in found]


def shown(chat: Chat, width: int) -> list[str]:
    """The lines as they stand on a screen."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(table(chat, width))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def legend(lines: list[str]) -> Mapping[str, int]:
    found = (re.fullmatch(r"\S? +(\w+) +≈?([\d,]+)(?: tokens)?", line.rstrip()) for line in lines)
    return {part[1]: int(part[2].replace(",", "")) for part in found if part}


def bar(lines: list[str]) -> str:
    """The line below the messages, after a blank one."""
    return lines[lines.index("") + 1]


# Where messages stand.


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        (Conversation(), []),
        (Conversation(SYSTEM), ["1 system"]),
        (talk(0), ["1 system", "2 example"]),
        (talk(2), ["1 system", "2 example", "4 sent"]),
        (talk(2).pinned(0), ["1 system", "2 example", "2 pinned", "2 sent"]),
        (talk(3).dropped(1), ["1 system", "2 example", "2 sent", "2 dropped", "2 sent"]),
        (talk(10), ["1 system", "2 example", "8 left out", "12 sent"]),
        (
            talk(10).pinned(0),
            ["1 system", "2 example", "2 pinned", "8 left out", "10 sent"],
        ),
        (noted(), ["1 system", "1 note", "2 example", "4 in the note", "6 sent"]),
        (talk(2).dropped(1), ["1 system", "2 example", "2 sent", "2 dropped"]),
    ],
)
def test_where_each_message_stands(conversation: Conversation, expected: list[str]) -> None:
    assert standings(a_chat(conversation, WINDOW - 60)) == expected


def test_a_system_message_amid_the_talk_is_always_sent() -> None:
    reminder = Message("system", "Speak of ships only.")
    said = talk(12)
    first = replace(said.exchanges[0], messages=(*said.exchanges[0].messages, reminder))
    exchanges = (first, *said.exchanges[1:])
    chat = a_chat(replace(said, exchanges=exchanges, reminders=frozenset({0})))
    assert standings(chat)[:4] == ["1 system", "2 example", "2 left out", "1 system"]


def test_an_exchange_larger_than_the_room_does_not_make_the_others_too_long() -> None:
    """Its prompt and its reply fitted; both together are left out of what is sent next."""
    said = talk(1).asking(Message("user", "ship " * 650))
    said = said.answered(Message("assistant", "sea " * 240), "stop", None)
    assert "too long" not in {row.standing for row in rows(a_chat(said))}


def test_each_message_has_its_tokens_as_the_guide_counts_them() -> None:
    for row in rows(a_chat(all_kinds())):
        assert row.tokens == num_tokens_from_messages([row.message.as_openai()]) - 3


def test_numbers_are_those_of_the_messages_and_a_note_has_none() -> None:
    found = rows(a_chat(noted()))
    assert [row.number for row in found] == ["1", "note", *map(str, range(2, 14))]
    said = [row.message for row in found if row.number != "note"]
    assert said == list(noted().messages)


# How it looks.


@pytest.mark.parametrize("width", [*range(20, 60, 3), 80, 120, 200])
def test_it_is_never_wider_than_the_screen_and_a_message_is_one_line(width: int) -> None:
    chat = a_chat(all_kinds())
    lines = shown(chat, width)
    assert max(map(cell_len, lines)) <= width
    assert lines.index("") == len(rows(chat))


@pytest.mark.parametrize("model", ["gpt-4", "what-1"])
@pytest.mark.parametrize("width", [44, 80, 200])
def test_a_line_has_number_role_words_tokens_and_standing(width: int, model: str) -> None:
    chat = a_chat(all_kinds(), model=model)
    for row, line in zip(rows(chat), shown(chat, width), strict=False):
        number, role, words = line.split(maxsplit=2)
        assert (number, role) == (row.number, row.message.role)
        assert words[:3] == row.message.content[:3]
        end = rf" {chat.calibration.about}{row.tokens:,} {{1,2}}{row.standing}"
        assert re.search(f"{end}$", line.rstrip())


@pytest.mark.parametrize("width", [20, 31, 40, 79, 80, 81, 200])
def test_the_bar_is_as_wide_as_there_is_room_and_no_wider_than_80(width: int) -> None:
    line = bar(shown(a_chat(all_kinds()), width))
    assert cell_len(line) == min(width, 80)
    assert re.fullmatch(r"█+◆+▓+▒+░+.?▁+·*", line)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_parts_of_the_bar_are_as_long_as_they_are_large(width: int) -> None:
    lines = shown(a_chat(all_kinds()), width)
    columns = min(width, 80)
    for sign, name in ("▒", "pins"), ("░", "history"), ("▁", "reply"):
        share = bar(lines).count(sign) / columns
        # A part that is too small to be seen gets a column, which the largest gives.
        assert share == pytest.approx(legend(lines)[name] / WINDOW, abs=5 / columns)


@pytest.mark.parametrize("model", ["gpt-4", "what-1"])
@pytest.mark.parametrize("conversation", [Conversation(), talk(2), talk(12), noted(), all_kinds()])
def test_the_numbers_of_the_legend_add_up_to_the_window(
    conversation: Conversation, model: str
) -> None:
    numbers = dict(legend(shown(a_chat(conversation, model=model), 80)))
    assert numbers.pop("window") == WINDOW
    assert sum(numbers.values()) == WINDOW


def test_the_legend_says_how_much_is_kept_for_what() -> None:
    lines = shown(a_chat(talk(2).pinned(0)), 80)
    pinned, sent = (
        sum(num_tokens_from_messages([m.as_openai()]) - 3 for m in exchange.messages)
        for exchange in talk(2).exchanges
    )
    numbers = legend(lines)
    assert (numbers["pins"], numbers["history"], numbers["reply"]) == (pinned, sent, 250)
    assert "note" not in numbers


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b]52;c;AAAA\x07",
        "\x9b2Jgone\x85",
        "[bold]no markup[/bold] [link=x]y[/link]",
        "two\nlines\r\nand\ttabs",
        "\u202eturned round",
        "東京は日本の首都です。" * 30,
        "",
    ],
)
@pytest.mark.parametrize("width", [44, 80])
def test_whatever_a_message_holds_it_stays_one_plain_line(text: str, width: int) -> None:
    chat = a_chat(Conversation(SYSTEM).asking(Message("user", text)))
    lines = shown(chat, width)
    assert lines.index("") == 2
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", "".join(lines))
    assert cell_len(lines[1]) <= width
    assert lines[1].split()[:2] == ["2", "user"]
    assert lines[1].rstrip().endswith("sent")
    if "[bold]" in text and width == 80:
        assert "[bold]no markup[/bold]" in lines[1]


# A long talk.


def numbers_of(row: Row) -> list[int]:
    """The numbers of the messages that a line stands for."""
    found = [int(number) for number in re.findall(r"\d+", row.folded.split(",")[-1])]
    return list(range(found[0], found[1] + 1)) if found else [int(row.number)]


def test_of_a_long_talk_the_middle_of_what_stands_alike_is_folded() -> None:
    chat = a_chat(talk(200).pinned(100).dropped(197), 4_000)
    everything, short = rows(chat), folded(rows(chat))
    assert len(everything) == 403
    assert len(short) < 50
    assert [n for row in short for n in numbers_of(row)] == list(range(1, 404))
    for row in short:
        meant = [everything[n - 1] for n in numbers_of(row)]
        assert row.tokens == sum(each.tokens for each in meant)
        assert {each.standing for each in meant} == {row.standing}
    for standing in "pinned", "dropped", "example", "system":
        assert not [row for row in short if row.folded and row.standing == standing]
    assert legend(drawn(chat, short)) == legend(shown(chat, 80))
    assert any(re.search(r"… \d+ messages, \d+ to \d+ ", line) for line in drawn(chat, short))


def drawn(chat: Chat, lines: list[Row]) -> list[str]:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(table(chat, 80, lines))
    return capture.get().splitlines()


def test_a_talk_of_two_screens_is_not_folded() -> None:
    assert folded(rows(a_chat(talk(18)))) == rows(a_chat(talk(18)))


def test_a_screen_reader_hears_the_same_in_sentences() -> None:
    chat = a_chat(talk(200).pinned(0), 4_000)
    lines = list(in_lines(chat, folded(rows(chat))))
    assert lines[:2] == [
        "1, system, system, 7 tokens: Be kind.",
        "2, user, example, 5 tokens: Hello",
    ]
    assert any(
        re.fullmatch(r"\d+ messages, \d+ to \d+, left out, [\d,]+ tokens", line) for line in lines
    )
    last = "A window of 4,000 tokens: system 7, examples 11, pins "
    assert lines[-1].startswith(last)
    assert not re.search(r"\S {2}|[▁-▟·]", "".join(lines))
