"""A prompt that has everything ready before it shows: a line is asked at once."""

import os

from openai import OpenAI
from prompt_toolkit import PromptSession


def main() -> None:
    """Ask one line, and print the reply as it comes."""
    client = OpenAI()
    line = PromptSession[str]().prompt("> ")
    stream = client.chat.completions.create(
        model=os.environ["CHATREPL_MODEL"],
        messages=[{"role": "user", "content": line}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)


if __name__ == "__main__":
    main()
