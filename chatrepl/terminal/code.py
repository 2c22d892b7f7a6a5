"""The code blocks of a reply."""

from functools import lru_cache
from typing import NamedTuple


class CodeBlock(NamedTuple):
    """A code block of a reply, less the end of its last line: pasted, it does not run yet."""

    language: str
    code: str


@lru_cache(maxsize=1)
def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Give the fenced code blocks of a text in their order, those in lists and quotes too.

    One that nobody closes goes to the end. What is only indented is none: most of it is no code.

    >>> [block.code for block in code_blocks("```sh\\nls\\n```\\nor\\n- ~~~\\n  pwd\\n  ~~~")]
    ['ls', 'pwd']
    """
    from chatrepl.terminal.blocks import new_parser  # noqa: PLC0415 - imports the parser

    return tuple(
        CodeBlock(token.info.partition(" ")[0], token.content.removesuffix("\n"))
        for token in new_parser().parse(text)
        if token.type == "fence"
    )
