"""The program put together: what switching persona or model changes, and what it leaves."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from chatrepl.app import App
from chatrepl.chat.turn import Chat
from chatrepl.config import parse_config
from chatrepl.errors import ChatreplError, SettingsError
from chatrepl.paths import Paths
from chatrepl.settings import Flags, Sources
from chatrepl.terminal.screen import Screen

FILE = """
model = "gpt-4"
[providers.mine]
base_url = "http://127.0.0.1:9/v1"
[personas.small]
context_window = 2000
plain = true
system = "Be small."
examples = [{ user = "Ping", assistant = "Pong" }]
[personas.broken]
temperature = 0.1
system = "@/no/such/file"
[personas.silent]
temperature = 0.2
"""


def app(folder: Path, file: str = FILE, *, load: Path | None = None, **flags: Any) -> App:
    paths = Paths(folder, folder, folder)
    sources = Sources(parse_config(file, "config"), folder / "personal.toml", {}, Flags(**flags))
    return App(sources, paths, Screen(), load)


def opened(program: App) -> Chat:
    program.ready()
    return program.open_chat()


def test_a_persona_brings_its_window_its_examples_and_its_look(tmp_path: Path) -> None:
    program = app(tmp_path)
    chat = opened(program)
    program.use_persona(chat, "small")
    assert (chat.card.context_window, chat.max_tokens, program.plain) == (2_000, 500, True)
    assert [m.content for m in chat.conversation.messages] == ["Be small.", "Ping", "Pong"]


def test_json_by_a_schema_is_shown_as_the_text_that_it_is(tmp_path: Path) -> None:
    assert not app(tmp_path).plain
    assert app(tmp_path, schema="a:int").plain


def test_a_persona_that_can_not_be_taken_changes_nothing(tmp_path: Path) -> None:
    program = app(tmp_path, system="Be kind.")
    chat = opened(program)
    before = (chat.conversation, chat.parameters, program.settings)
    with pytest.raises(SettingsError, match="/no/such/file"):
        program.use_persona(chat, "broken")
    assert (chat.conversation, chat.parameters, program.settings) == before


@pytest.mark.parametrize(
    ("flags", "system"),
    [
        ({}, "Loaded."),
        ({"persona": "silent"}, "Loaded."),
        ({"persona": "small"}, "Be small."),
        ({"system": "Asked for."}, "Asked for."),
    ],
)
def test_a_loaded_system_message_stands_unless_another_is_asked_for(
    tmp_path: Path, flags: dict[str, str], system: str
) -> None:
    talk = tmp_path / "talk.json"
    talk.write_text(json.dumps([{"role": "system", "content": "Loaded."}]))
    program = app(tmp_path, 'system = "Of the file."\n' + FILE, load=talk, **flags)
    assert program.conversation.system is not None
    assert program.conversation.system.content == system


def test_a_model_is_switched_with_its_provider_and_without_the_window_of_the_last(
    tmp_path: Path,
) -> None:
    program = app(tmp_path, context_window=3_000)
    chat = opened(program)
    program.use_model(chat, "mine/gpt-4-32k")
    assert (chat.provider.name, chat.card.name) == ("mine", "gpt-4-32k")
    assert chat.card.context_window == 32_768
    with pytest.raises(ChatreplError, match="no model 'nope'"):
        program.use_model(chat, "embedded/nope")
    assert (chat.provider.name, chat.card.name) == ("mine", "gpt-4-32k")


def test_a_key_that_is_named_and_not_there_is_missed(tmp_path: Path) -> None:
    file = '[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "NOT_SET"'
    with pytest.raises(SettingsError) as caught:
        app(tmp_path, file).ready()
    assert "NOT_SET" in caught.value.hint


def test_a_provider_that_is_closed_while_it_is_asked_offers_nothing(tmp_path: Path) -> None:
    program = app(tmp_path)
    chat = opened(program)
    chat.provider.prepare()
    chat.provider.close()
    program.models()
    for thread in threading.enumerate():
        if "_ask_offers" in thread.name:
            thread.join(10)  # an exception in it would fail this test
    assert [name for name, words in program.models() if "tokens" in words] == []


def test_a_schema_is_read_again_only_when_another_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text('{"type": "object"}')
    program = app(tmp_path, schema=str(file))
    chat = opened(program)
    file.unlink()
    program.set_parameter(chat, "temperature", "1")
    program.use_model(chat, "gpt-4-32k")
    assert chat.schema is not None
    with pytest.raises(SettingsError, match=r"s\.json"):
        program.use_persona(chat, "silent")


def test_many_fields_are_no_file_with_too_long_a_name(tmp_path: Path) -> None:
    program = app(tmp_path, schema=",".join(f"field_{n}:str" for n in range(999)))
    schema = opened(program).schema
    assert schema is not None
    assert len(schema.rules["properties"]) == 999


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ("prompt = 5", "line 3: styles.prompt: Expected text, got a whole number"),
        (
            'markdown.code = "bold"',
            'styles.markdown: a name with a dot has quotes: "markdown.code"',
        ),
        ('promt = "bold"', "line 3: unknown style 'promt'"),
        ('error = "x y"', "line 3: [styles] error = 'x y' is no style"),
    ],
)
def test_a_wrong_style_is_told_with_its_line(tmp_path: Path, styles: str, words: str) -> None:
    text = f'model = "gpt-4"\n[styles]\n{styles}\n'
    (tmp_path / "personal.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        app(tmp_path, text)
    assert words in caught.value.text
