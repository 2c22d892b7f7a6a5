"""The scripted provider, which other tests lean on."""

import pytest

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.events import Event, Finished, TextDelta
from chatrepl.chat.messages import Message
from chatrepl.chat.ports import Request
from chatrepl.errors import ServerError
from chatrepl.providers.scripted import ScriptedProvider

REQUEST = Request(card_for("gpt-4"), (Message("user", "Hi"),), 100)


@pytest.mark.parametrize("text", ["Hello", "Two  words\nand a line\n", "  # Title\n\n- a\n", "…"])
def test_a_text_is_streamed_word_by_word_and_whole(text: str) -> None:
    *pieces, end = ScriptedProvider(text).stream(REQUEST)
    assert end == Finished("stop")
    words = [piece.text for piece in pieces if isinstance(piece, TextDelta)]
    assert "".join(words) == text
    assert len(words) == len(text.split())


def test_events_are_played_as_written_and_an_error_is_raised_in_its_place() -> None:
    error = ServerError("It broke.")
    provider = ScriptedProvider([TextDelta("a"), error], "Next")
    played: list[Event] = []
    with pytest.raises(ServerError) as caught:
        played.extend(provider.stream(REQUEST))
    assert caught.value is error
    assert list(provider.stream(REQUEST)) == [TextDelta("Next"), Finished("stop")]
    assert provider.requests == [REQUEST, REQUEST]


def test_a_script_that_has_run_out_fails_the_test_that_asks() -> None:
    with pytest.raises(IndexError):
        list(ScriptedProvider().stream(REQUEST))
