"""docs/library.md: OpenAI's API, or any server that speaks it."""

import os

from chatrepl.chat import Chat, ChatreplError, Retrying, TextDelta, card_for
from chatrepl.providers.endpoint import Endpoint
from chatrepl.providers.openai import OpenAIProvider
from chatrepl.providers.retrying import RetryingProvider

endpoint = Endpoint(
    name="openai",
    api_key=os.environ["OPENAI_API_KEY"],
    key_hint="Set OPENAI_API_KEY.",
    base_url=os.environ.get("OPENAI_BASE_URL"),  # None is OpenAI itself
)
provider = RetryingProvider(OpenAIProvider(endpoint), retries=2)
chat = Chat(provider, card_for("gpt-4o-mini"), reply_limit=200)
try:
    for event in chat.say("The capital of Peru?"):
        if isinstance(event, TextDelta):
            print(event.text, end="", flush=True)
        elif isinstance(event, Retrying):
            print(f"[{event.reason} Again in {event.wait:.0f} s.]")
    print()
    print(chat.usage.total_tokens, "tokens")
except ChatreplError as error:
    print(error.text, error.hint)
finally:
    provider.close()
