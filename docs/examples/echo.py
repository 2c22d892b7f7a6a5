"""docs/library.md: a provider of one's own."""

from collections.abc import Iterator, Sequence

from chatrepl.chat import (
    Chat,
    Event,
    Finished,
    Provider,
    Request,
    Served,
    TextDelta,
    card_for,
)


class Echo(Provider):
    """Says what was said, aloud."""

    name = "echo"
    goes_on = False

    def served(self) -> Sequence[Served]:
        return [Served("echo-1", context_window=8_192)]

    def look_up(self, model: str) -> Served | None:
        return next((one for one in self.served() if one.name == model), None)

    def stream(self, request: Request) -> Iterator[Event]:
        for word in request.messages[-1].content.split():
            yield TextDelta(f"{word.upper()} ")
        yield Finished("stop")

    def prepare(self) -> None:
        pass  # nothing to load before the first request

    def close(self) -> None:
        pass  # nothing to let go of


chat = Chat(Echo(), card_for("echo-1"))
print("".join(event.text for event in chat.say("hello there") if isinstance(event, TextDelta)))
