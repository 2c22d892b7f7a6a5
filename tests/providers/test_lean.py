"""Importing openai without its types: in processes of their own, for what is imported stays."""

import subprocess
import sys
from pathlib import Path

import pytest

import chatrepl
from tests.support.loopback import Loopback, Reply
from tests.support.program import environment

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "created": 0,
    "model": "loop-1",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}
    ],
}

HEAD = """
import sys
from chatrepl.providers import lean

def kinds():
    return [type(sys.modules[name]).__name__ for name in lean.UNREAD]

def loaded():
    return [name for name in sys.modules if name.startswith("openai.types.")]
"""

# What whoever imports openai after us may do with it.
ALL_WORKS = """
from openai.types.chat import ChatCompletion
import openai.types.shared_params
from pydantic import BaseModel

class City(BaseModel):
    "A city."
    name: str

assert openai.pydantic_function_tool(City)["function"]["name"] == "City"
assert openai.types.CompletionUsage.model_fields and openai.types.shared.Metadata
from openai.lib.streaming.chat import ChatCompletionStream
assert set(openai.types.__dict__) > {"Completion", "Embedding"}
assert not hasattr(openai.types, "no_such_thing")
direct = openai.DefaultHttpxClient(trust_env=False)
with openai.OpenAI(api_key="k", base_url=sys.argv[1], http_client=direct) as client:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    answer = client.chat.completions.create(**asked)
    assert isinstance(answer, ChatCompletion), type(answer)
    assert answer.choices[0].message.content == "Paris."
    stream = client.chat.completions.create(**asked, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert said == "You said: Hi", said
print("all works")
"""


def python(code: str, home: Path, *arguments: str, head: str = HEAD) -> str:
    """Run code in a process of its own, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", head + code, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(chatrepl.__file__).parent.parent,
        env=environment(home),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def answering(server: Loopback) -> Loopback:
    """A server that answers first whole, then in a stream."""
    server.then(Reply(body=COMPLETION))
    return server


def test_the_types_are_left_unread_and_all_works_all_the_same(
    home: Path, answering: Loopback
) -> None:
    lean = """
openai = lean.openai
assert kinds() == ["_Unread"] * 3
assert "openai.types.chat" not in sys.modules
assert len(loaded()) < 10, loaded()
from chatrepl.providers import chunks, faults
assert kinds() == ["_Unread"] * 3 and len(loaded()) < 10
assert openai is sys.modules["openai"] and openai.types is sys.modules["openai.types"]
import openai.types.chat
assert "openai.types.chat" in sys.modules
assert kinds() == ["_Unread"] * 3, "a module below is found without what is above it"
"""
    assert python(lean + ALL_WORKS, home, answering.base_url) == "all works\n"


@pytest.mark.parametrize(
    "unread",
    [
        ("openai.types", "openai.no_such_package"),
        ("openai.types", "openai._client"),  # of which something is asked for while it is read
        ("openai",),
    ],
)
def test_where_a_release_is_made_in_another_way_the_import_is_plain(
    home: Path, answering: Loopback, unread: tuple[str, ...]
) -> None:
    fallen_back = f"""
for name in [name for name in sys.modules if name.split(".")[0] == "openai"]:
    del sys.modules[name]  # as if it had not been imported yet
openai = lean.import_openai({unread!r})
assert len(loaded()) > 100, len(loaded())
assert kinds() == ["module"] * 3
assert not [name for name in sys.modules if name.startswith("openai.no_such")]
"""
    assert python(fallen_back + ALL_WORKS, home, answering.base_url) == "all works\n"


def test_an_openai_that_is_there_already_is_left_as_it_is(home: Path) -> None:
    code = """
import openai
before = {name: id(module) for name, module in sys.modules.items() if "openai" in name}
from chatrepl.providers import lean
assert lean.openai is openai and lean.import_openai() is openai
assert kinds() == ["module"] * 3
after = {name: id(module) for name, module in sys.modules.items() if "openai" in name}
assert {name: after[name] for name in before} == before
print("the same")
"""
    assert python(code, home, head=HEAD.replace("from chatrepl", "#")) == "the same\n"
