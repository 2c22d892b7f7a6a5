"""The gauge: what sending the line would cost, counted beside the typing."""

import re
import threading
from pathlib import Path

import pytest

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message
from chatrepl.chat.turn import Chat
from chatrepl.providers.scripted import ScriptedProvider
from chatrepl.terminal.gauge import Gauge, Reading
from tests.support.guide import num_tokens_from_messages
from tests.support.loopback import Loopback, says
from tests.support.processes import wait_until
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk

# In a thread.


class Watched:
    """A gauge, and how often it had something new to show."""

    def __init__(self) -> None:
        self.changes = 0
        self.gauge = Gauge(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def settled(self, chat: Chat, line: str) -> Reading:
        """Read until the reading is of this line, as the toolbar does whenever it is drawn."""
        before = self.changes
        self.gauge.read(chat, line)
        wait_until(lambda: self.changes > before, f"a reading of {line[:20]!r}")
        read = self.gauge.read(chat, line)
        assert read is not None
        return read


def a_chat(model: str = "gpt-4", exchanges: int = 0, window: int = 8_192) -> Chat:
    said = Conversation(Message("system", "Be kind."))
    for number in range(exchanges):
        said = said.asking(Message("user", f"Question {number}" + " ship" * 60))
        said = said.answered(Message("assistant", "Yes." + " sea" * 30), "stop", None)
    return Chat(ScriptedProvider(), card_for(model, context_window=window), said)


def guide(chat: Chat, *texts: str) -> int:
    asked = [{"role": "user", "content": text} for text in texts]
    return num_tokens_from_messages([*(m.as_openai() for m in chat.conversation.messages), *asked])


@pytest.mark.parametrize("line", ["hello", "two\nlines", " ", "Grüße an 東京 👍", "<|im_start|>"])
def test_a_reading_is_what_the_guide_counts(line: str) -> None:
    chat = a_chat(exchanges=2)
    expected = guide(chat, line) if line.strip() else guide(chat)
    assert Watched().settled(chat, line) == Reading(expected, "", 0.0, fits=True)


def test_the_first_reading_is_not_waited_for() -> None:
    held, watched, chat = threading.Event(), Watched(), a_chat()
    chat.counter.load()

    def hold() -> None:
        with chat.measuring:  # as a count of a long text does
            held.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert watched.gauge.read(chat, "hello") is None
    assert watched.gauge.read(chat, "hello you") is None
    held.set()
    holder.join()
    wait_until(lambda: watched.gauge.read(chat, "hello you") is not None, "a reading")
    expected = Reading(guide(chat, "hello you"), "", 0.0, fits=True)
    wait_until(lambda: watched.gauge.read(chat, "hello you") == expected, "one of the last line")


def test_nothing_is_counted_again_while_nothing_changes() -> None:
    watched, chat = Watched(), a_chat()
    first = watched.settled(chat, "hello")
    changes = watched.changes
    for _ in range(100):
        # The prompt gives a new string each time it is drawn.
        assert watched.gauge.read(chat, "".join(["hel", "lo"])) == first
    assert watched.gauge._task is None, "there is nothing to count"
    assert watched.changes == changes


def test_what_else_changes_the_cost_is_followed() -> None:
    watched, chat = Watched(), a_chat(exchanges=3)
    whole = watched.settled(chat, "hello").tokens
    chat.conversation = chat.conversation.dropped(0)
    first = chat.conversation.exchanges[0].messages
    gone = num_tokens_from_messages(m.as_openai() for m in first) - 3
    assert watched.settled(chat, "hello").tokens == whole - gone
    chat.use(chat.provider, card_for("what-1"))
    assert watched.settled(chat, "hello").about == "≈"


def test_the_share_left_out_is_of_all_that_was_said() -> None:
    chat = a_chat(exchanges=10, window=1_000)  # of about 100 tokens each, in a room of 750
    read = Watched().settled(chat, "hello")
    whole = guide(chat, "hello")
    assert read.fits
    assert read.tokens <= 750 < whole
    assert read.share == pytest.approx((whole - read.tokens) / whole, abs=0.005)


def test_a_line_that_can_not_be_sent_is_said_not_to_fit() -> None:
    chat = a_chat(exchanges=1, window=1_000)
    read = Watched().settled(chat, "ship " * 800)
    assert not read.fits
    assert read.tokens > 800


def test_an_exchange_larger_than_the_room_does_not_keep_the_next_line_from_fitting() -> None:
    """Its prompt and its reply fitted; both together are left out of what is sent next."""
    chat = a_chat(window=1_000)
    chat.conversation = chat.conversation.asking(Message("user", "ship " * 700))
    chat.conversation = chat.conversation.answered(Message("assistant", "sea " * 200), "stop", None)
    watched = Watched()
    assert watched.settled(chat, "hello").fits
    assert watched.settled(chat, "").fits


# In the real program.

LINE_START = "\x01"  # Ctrl-A


def shows(count: int, about: str = "") -> str:
    return f"· {about}{count:,} of 8,192 tokens"


def counted(*texts: str) -> int:
    """What the guide counts in these messages, said in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return num_tokens_from_messages(messages)


def toolbar_of(terminal: Terminal) -> str:
    """What the toolbar says, but for the cost of the session at its end."""
    return terminal.screen.rpartition("\n")[2].partition(" · $")[0]


def wait_for_toolbar(terminal: Terminal, text: str) -> None:
    terminal.wait_until(lambda: toolbar_of(terminal).endswith(text), f"the toolbar with {text!r}")


def test_the_number_follows_typing_and_is_what_the_guide_counts(
    home: Path, server: Loopback
) -> None:
    with talk(home, server) as terminal:
        wait_for_toolbar(terminal, shows(3))
        line = ""
        for piece in ("What", " of the s", "even ships?"):
            terminal.type(piece)
            line += piece
            wait_for_toolbar(terminal, shows(counted(line)))
        assert server.requests == []
        terminal.key("enter")
        terminal.wait_for(f"You said: {line}")
        terminal.wait_for_prompt()
        wait_for_toolbar(terminal, shows(counted(line, f"You said: {line}")))
        terminal.type("And?")
        wait_for_toolbar(terminal, shows(counted(line, f"You said: {line}", "And?")))


def test_a_slash_command_is_no_message_and_a_doubled_slash_is(home: Path, server: Loopback) -> None:
    with talk(home, server) as terminal:
        say_and_hear(terminal, "hello")
        talked = ("hello", "You said: hello")
        wait_for_toolbar(terminal, shows(counted(*talked)))
        terminal.type("me")
        wait_for_toolbar(terminal, shows(counted(*talked, "me")))
        terminal.type(f"{LINE_START}/help ")
        wait_for_toolbar(terminal, shows(counted(*talked)))
        terminal.type(f"{LINE_START}/")
        wait_for_toolbar(terminal, shows(counted(*talked, "/help me")))
        terminal.key("enter")
        terminal.wait_for("You said: /help me")
    assert len(server.requests) == 2


def test_an_estimate_is_marked(home: Path, server: Loopback) -> None:
    with talk(home, server, "--context-window", "8192", model="what-1") as terminal:
        terminal.type("hello")
        # Five of tiktoken's tokens with the frame, each reckoned as 1.1, and 3 for the reply.
        wait_for_toolbar(terminal, shows(9, "≈"))


def test_after_a_megabyte_keys_are_still_echoed_and_the_number_follows(
    home: Path, server: Loopback
) -> None:
    text = "seven ships on the wide sea\n" * 36_000 + "and "
    assert len(text) > 1_000_000
    window = ("--context-window", "1000000")
    with talk(home, server, *window, lines=12) as terminal:
        sender = threading.Thread(target=terminal.paste, args=(text,))
        sender.start()
        terminal.wait_for("> [pasted 36,001 lines, ")
        sender.join()
        terminal.type("the end")
        terminal.wait_until(lambda: terminal_end(terminal).endswith("]the end"), "the keys")
        wait_for_toolbar(terminal, f"{counted(text + 'the end'):,} of 1,000,000 tokens")
        terminal.type(" is near")
        wait_for_toolbar(terminal, f"{counted(text + 'the end is near'):,} of 1,000,000 tokens")
    assert server.requests == []


def terminal_end(terminal: Terminal) -> str:
    """The last line of the text at the prompt."""
    lines = [line for line in terminal.screen.split("\n")[:-1] if line]
    return lines[-1] if lines else ""


def test_the_share_left_out_is_shown_before_enter(home: Path, server: Loopback) -> None:
    server.usual = lambda received: says(f"Answer {len(server.requests)}.")
    with talk(home, server, "--context-window", "200", "--max-tokens", "20") as terminal:
        for number in range(1, 4):
            say_and_hear(terminal, "What of it?" + " ship" * 40, f"Answer {number}.")
        terminal.type("and" + " sea" * 20)
        terminal.wait_until(
            lambda: re.search(r"\d+ of 200 tokens · \d+ % left out$", toolbar_of(terminal)),
            "a share",
        )
        before = toolbar_of(terminal)
        terminal.type(" sea" * 250)
        terminal.wait_until(
            lambda: toolbar_of(terminal).endswith("does not fit"), "that it is too long"
        )
        assert before != toolbar_of(terminal)
    assert len(server.requests) == 3
