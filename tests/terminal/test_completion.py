"""What Tab offers, as a pure function of the line."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from chatrepl.terminal.completion import CommandCompleter, Completable, Offer, offers

COMMANDS = [
    Completable("model", "show or switch", lambda _: [("gpt-4", "8,192"), ("GPT-5", "big")]),
    Completable("more", "more of it", None),
    Completable("quit", "leave", None),
]


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("/", ["/model", "/more", "/quit"]),
        ("/mo", ["/model", "/more"]),
        ("/MO", ["/model", "/more"]),
        ("/model", ["/model"]),
        ("/x", []),
        ("/model ", ["gpt-4", "GPT-5"]),
        ("/model gp", ["gpt-4", "GPT-5"]),
        ("/Model gpt-5", ["GPT-5"]),
        ("/model pt", ["gpt-4", "GPT-5"]),
        ("/model gpt-4 and", []),
        ("/more ", []),
        ("/mo ", []),
        ("", []),
        ("model", []),
        ("tell me /mo", []),
        ("//mo", []),
        ("/mo\nmore", []),
        ("/model g\n", []),
        ("/etc/mo", []),
    ],
)
def test_what_is_offered(line: str, texts: list[str]) -> None:
    assert [offer.text for offer in offers(line, COMMANDS)] == texts


@pytest.mark.parametrize(
    ("line", "offer"),
    [
        ("/q", Offer("/quit", 2, "leave")),
        ("/model gpt-4", Offer("gpt-4", 5, "8,192")),
    ],
)
def test_an_offer_replaces_what_was_typed_of_it_and_has_its_help(line: str, offer: Offer) -> None:
    assert list(offers(line, COMMANDS)) == [offer]
    assert line[: len(line) - offer.length] + offer.text == line + offer.text[offer.length :]


def test_values_are_asked_for_only_when_an_argument_is_typed() -> None:
    asked = []

    def values(_: str) -> list[tuple[str, str]]:
        asked.append(1)
        return []

    commands = [Completable("slow", "", values), Completable("other", "", values)]
    list(offers("/slo", commands))
    assert asked == []
    list(offers("/slow x", commands))
    assert asked == [1]


def test_the_prompt_completes_before_the_cursor_only() -> None:
    completer = CommandCompleter(COMMANDS)
    document = Document("/quit now", cursor_position=2)
    [completion] = completer.get_completions(document, CompleteEvent())
    assert (completion.text, completion.start_position) == ("/quit", -2)
    assert completion.display_meta_text == "leave"
