"""Ask each argument as a turn of one talk, and print the replies as they come."""

import os
import sys
from typing import Any

from openai import OpenAI


def main() -> None:
    """Ask, print, remember."""
    client = OpenAI()
    messages: list[Any] = []
    for prompt in sys.argv[1:]:
        messages.append({"role": "user", "content": prompt})
        stream = client.chat.completions.create(
            model=os.environ["CHATREPL_MODEL"],
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = []
        for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                pieces.append(piece)
                print(piece, end="", flush=True)
        print()
        messages.append({"role": "assistant", "content": "".join(pieces)})


if __name__ == "__main__":
    main()
