"""Conversation: a value whose every change makes another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatrepl.chat.conversation import Conversation, Exchange, from_messages
from chatrepl.chat.messages import Message
from chatrepl.chat.usage import Usage

SYSTEM = Message("system", "Be kind.")
EXAMPLES = (Message("user", "2+2"), Message("assistant", "4"))
HELLO, WORLD = Message("user", "Hello"), Message("assistant", "World")
AGAIN = Message("user", "Again")

ROLES = st.sampled_from(["system", "user", "assistant"])


def test_messages_are_sent_as_system_examples_exchanges() -> None:
    talk = Conversation(SYSTEM, EXAMPLES).asking(HELLO).answered(WORLD, "stop", None).asking(AGAIN)
    assert talk.messages == (SYSTEM, *EXAMPLES, HELLO, WORLD, AGAIN)
    assert talk.preamble == (SYSTEM, *EXAMPLES)


def test_an_answer_joins_the_last_question_with_how_it_ended() -> None:
    usage = Usage(5, 1)
    asked = Conversation().asking(HELLO)
    answered = asked.answered(WORLD, "length", usage)
    assert answered.exchanges == (Exchange((HELLO, WORLD), "length", usage),)
    assert asked.exchanges == (Exchange((HELLO,)),)  # the value it was made from is as it was


def test_stepping_back_and_clearing() -> None:
    talk = Conversation(SYSTEM, EXAMPLES).asking(HELLO).answered(WORLD, "stop", None).asking(AGAIN)
    assert talk.without_last().messages == (SYSTEM, *EXAMPLES, HELLO, WORLD)
    assert talk.cleared() == Conversation(SYSTEM, EXAMPLES)


def test_the_system_message_is_set_replaced_and_removed() -> None:
    talk = Conversation().asking(HELLO)
    assert talk.with_system("Be brief.").messages == (Message("system", "Be brief."), HELLO)
    assert talk.with_system("Be brief.").with_system("Be kind.").system == SYSTEM
    assert talk.with_system("Be brief.").with_system("") == talk


@pytest.mark.parametrize(
    ("messages", "prompt", "reply"),
    [
        ((HELLO,), HELLO, None),
        ((HELLO, WORLD), HELLO, WORLD),
        ((WORLD,), None, WORLD),
        ((SYSTEM,), None, None),
        ((HELLO, SYSTEM), HELLO, None),
    ],
)
def test_an_exchange_knows_its_prompt_and_its_reply(
    messages: tuple[Message, ...], prompt: Message | None, reply: Message | None
) -> None:
    exchange = Exchange(messages)
    assert (exchange.prompt, exchange.reply) == (prompt, reply)


@given(st.lists(ROLES))
@settings(deadline=None)
def test_a_flat_list_keeps_every_message_in_order(roles: list[str]) -> None:
    said = [Message(role, str(number)) for number, role in enumerate(roles)]  # type: ignore[arg-type]  # drawn from the roles
    talk = from_messages(said)
    assert list(talk.messages) == said
    assert (talk.system is not None) == (roles[:1] == ["system"])
    for exchange in talk.exchanges[1:]:
        assert [message.role for message in exchange.messages].index("user") == 0
    for exchange in talk.exchanges:
        assert all(message.role != "user" for message in exchange.messages[1:])
