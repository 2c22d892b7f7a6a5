"""docs/library.md: a talk, of which the lines below stand there."""

from chatrepl.chat import Chat, Conversation, Message, TextDelta, card_for
from chatrepl.providers.scripted import ScriptedProvider

provider = ScriptedProvider("Lima.", "About ten million.")
talk = Conversation(system=Message("system", "Answer briefly."))
chat = Chat(provider, card_for("gpt-4"), talk)
for question in ("The capital of Peru?", "How many people live there?"):
    print("you:", question)
    for event in chat.say(question):
        if isinstance(event, TextDelta):
            print(event.text, end="")
    print()
