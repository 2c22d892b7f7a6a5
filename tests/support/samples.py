"""Replies as models write them, and the corners of Markdown, to split and to render.

None of them uses a link definition before it comes: a reply that streams can't know it yet.
"""

SAMPLES: dict[str, str] = {
    "one line": "Paris.",
    "one ended line": "Paris.\n",
    "paragraphs": "One sentence.\n\nAnother, of several words,\non two lines.\n\n\nThe last.\n",
    "hard breaks": "Roses are red,  \nviolets are blue,\\\nsugar is sweet.\n",
    "emphasis": "*em* **strong** ***both*** ~~gone~~ `code` _under_ __more__ snake_case 2*3*4\n",
    "headings": "# One\n\nText.\n## Two\nText.\n\nThree\n=====\n\nFour\n----\n\n###### Six\n",
    "a heading without a text": "Before.\n\n##\n\nAfter.\n",
    "rules": "Above.\n\n---\n\nBetween.\n\n***\nBelow.\n\n___\n",
    "tight list": "Three things:\n\n- one\n- two\n- three\n\nAnd done.\n",
    "loose list": "* one\n\n* two\n\n  with a second paragraph\n\n* three\n",
    "nested list": "1. first\n   - inner\n     - innermost\n   - inner too\n2. second\n10. third\n",
    "a list that begins at 7": "7. seven\n8. eight\n\n9. nine, after a blank line\n",
    "two lists": "- a\n- b\n\n* c\n* d\n\n1) e\n2) f\n",
    "tasks": "- [ ] open\n- [x] done\n",
    "a list at once after text": "The colours are\n- red\n- green\nand lazily this.\n",
    "fence": "Run:\n\n```sh\npip install x\n```\n\nThen:\n\n```\nplain\n```\n",
    "a fence with blank lines and Markdown": (
        "```md\n# no heading\n\n\n- no list\n\n---\n```\nAfter.\n"
    ),
    "a fence of tildes around one of ticks": "~~~~ text\n```\ninner\n```\n~~~~\nAfter.\n",
    "a fence that nobody closes": "Code:\n\n```python\ndef f():\n\n    return 1\n",
    "a fence in a list": (
        "1. Install:\n   ```sh\n   pip install x\n\n   pip list\n   ```\n2. Run.\n\nEnd.\n"
    ),
    "a fence on a bullet's line": "- ```sh\n  ls\n  ```\n- next\n\nText.\n\nMore text.\n",
    "ticks that open no fence": "```x``` is inline code.\n\nText.\n\nMore text.\n",
    "indented code": "Code:\n\n    x = 1\n\n    y = 2\n\nText.\n",
    "indented code first": "    x = 1\n    y = 2\n\nText.\n",
    "a list with a space before it": " - one\n   two\n\n     code?\n - three\n",
    "quotes": (
        "> A quote\n> of two lines\nand a lazy third.\n>\n> > Deeper.\n\nText.\n\n> Another.\n"
    ),
    "a quote of nothing": "Before.\n\n>\n\nAfter.\n",
    "a quote with a list and code": "> - a\n> - b\n>\n> ```py\n> x = 1\n> ```\n\nText.\n",
    "table": (
        "Sizes:\n\n| name | size | note |\n|:-----|-----:|:----:|\n| a | 1 | `x` |\n"
        "| bb | 22 | **y** |\n| c \\| d | | z |\n\nAfter the table.\n"
    ),
    "a table at once after text": "Sizes\nname | size\n---|---\na | 1\n\n- and a list\n",
    "links": (
        "[text](http://example.com/a?b=c) <http://example.com> [**bold**](/x 'title')\n\n"
        "[ref]: http://example.com/ref\n\nA [ref] and a [second][ref].\n"
    ),
    "images": (
        "![alt](http://example.com/a.png)\n\nText ![b](c.png) goes on.\n\n- ![d](e.png)\n- f\n"
    ),
    "html": (
        "<div>\nblock\n</div>\n\nText with <b>inline</b> and <kbd>Ctrl</kbd>.<br>\n\n"
        "<!-- gone -->\n"
    ),
    "entities": "&lt;tag&gt; &amp; &copy; &#8212; \\*no em\\* \\# no heading\n",
    "CJK and emoji": (
        "# 日本語\n\n東京は日本の首都です。人口は約千四百万人で、"
        "世界最大級の都市圏を形成しています。\n\n"
        "- 👍 good\n- 🎉 party\n\n| 名前 | 値 |\n|---|---|\n| 東京 | 🗼 |\n"
    ),
    "a long word": "http://example.com/" + "path/" * 30 + "end is long.\n\n`" + "x" * 150 + "`\n",
    "long paragraphs": "\n\n".join(
        " ".join(f"word{number}.{i}" for i in range(40)) for number in range(4)
    ),
    "a long list": "Steps:\n\n" + "".join(f"{n}. Step {n} of the list.\n" for n in range(1, 41)),
    "a long table": "| n | square |\n|---|---|\n"
    + "".join(f"| {n} | {n * n} |\n" for n in range(40)),
    "a long fence": "Code:\n\n```python\n"
    + "".join(f"line_{n} = {n}\n" for n in range(60))
    + "```\n\nThat was it.\n",
    "blank lines first": "\n\n  \nText.\n\n\n",
    "a README": (
        "# project\n\nWhat it does, in a line.\n\n## Install\n\n```sh\npip install project\n```\n\n"
        "## Use\n\n1. Import it:\n\n"
        "   ```python\n   import project\n   project.run(fast=True)\n   ```\n\n"
        "2. Read the *output*.\n\n| option | meaning |\n|---|---|\n| `-v` | more words |\n\n"
        "> Note: it is **beta**.\n\n---\n\nMIT.\n"
    ),
}
"""Each under a few words that say what is in it."""
