"""Schemas: read from fields or a file, told to the API, and held against a reply."""

import json
from typing import Any

import pytest

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.schema import Schema, fault_of_last, looks_like_fields, read_fields, read_rules
from chatrepl.chat.turn import Chat
from chatrepl.errors import SettingsError
from chatrepl.providers.scripted import ScriptedProvider

PERSON = read_fields("name:str, age:int,tags:list[str]")
FENCED = '```json\n{\n  "name": "Ada",\n  "age": 36,\n  "tags": []\n}\n```'


def rules(**parts: Any) -> Schema:
    return read_rules(json.dumps({"type": "object", **parts}), "s.json")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a:str", {"type": "string"}),
        ("a:integer", {"type": "integer"}),
        (" a : float ", {"type": "number"}),
        ("a:bool", {"type": "boolean"}),
        ("a:list[int]", {"type": "array", "items": {"type": "integer"}}),
        (
            "a:list[ list[str] ]",
            {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        ),
    ],
)
def test_fields_are_read(text: str, kind: dict[str, Any]) -> None:
    assert looks_like_fields(text)
    assert read_fields(text).rules["properties"] == {"a": kind}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:int,b", "'b' is no field"),
        ("a:int,", "there is a comma without a field"),
        ("a:date", "'a:date' is no field"),
        ("a:list[int", "'a:list[int' is no field"),
        ("a:int]", "'a:int]' is no field"),
        ("a:list", "'a:list' is no field"),
        ("a:int,a:str", "two fields 'a'"),
    ],
)
def test_bad_fields_are_told(text: str, words: str) -> None:
    assert looks_like_fields(text)
    with pytest.raises(SettingsError, match="--schema") as caught:
        read_fields(text)
    assert words in caught.value.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "--schema: there is nothing in it."),
        (" ", "--schema: there is nothing in it."),
        ("name", "--schema: 'name' is no list of fields, and there is no file 'name'."),
        ("a b:str", "--schema: 'a b:str' is no list of fields, and there is no file 'a b:str'."),
    ],
)
def test_what_is_neither_fields_nor_a_file_is_told_with_the_form_of_fields(
    text: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_fields(text)
    assert caught.value.text == words
    assert "name:type with commas between" in caught.value.hint


@pytest.mark.parametrize("text", ["schema.json", "./a b.json", "/a/b:c.json", "{}", ""])
def test_the_name_of_a_file_is_no_field(text: str) -> None:
    assert not looks_like_fields(text)


def test_fields_are_asked_for_strictly() -> None:
    told = PERSON.response_format
    assert told["type"] == "json_schema"
    assert told["json_schema"]["strict"] is True
    assert told["json_schema"]["schema"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
        "required": ["name", "age", "tags"],
    }


INNER = {"type": "object", "properties": {"c": {"type": "string"}}}


@pytest.mark.parametrize(
    ("parts", "strict"),
    [
        ({"properties": {"a": INNER, "b": {"type": "array", "items": INNER}}}, True),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": INNER}}, True),
        ({"properties": {"a": INNER}, "required": []}, False),
        ({"properties": {"a": INNER}, "additionalProperties": True}, False),
        ({"properties": {"a": {**INNER, "required": []}}}, False),
        ({}, False),  # any object will do
        ({"properties": {"a": {"enum": [{"type": "object"}]}}}, True),
        *(({"properties": {name: INNER}}, True) for name in ("enum", "const", "default")),
        ({"properties": {"examples": {"type": "object"}}}, False),
        ({"properties": {"a": INNER}, "$defs": {"default": {"type": "object"}}}, False),
        ({"properties": {"a": INNER}, "patternProperties": {"const": {"type": "object"}}}, False),
    ],
)
def test_a_files_schema_is_strict_as_far_as_it_does_not_say_otherwise(
    parts: dict[str, Any], strict: bool
) -> None:
    told = rules(**parts).response_format["json_schema"]
    assert told["strict"] is strict
    for value in (told["schema"], told["schema"].get("properties", {}).get("a")):
        if strict and isinstance(value, dict) and "properties" in value:
            assert value["additionalProperties"] is False
            assert value["required"] == list(value["properties"])


@pytest.mark.parametrize("name", ["examples", "default", "const", "enum", "properties", "$ref"])
def test_a_property_may_be_called_as_a_keyword_is(name: str) -> None:
    told = rules(properties={name: INNER}).response_format["json_schema"]
    assert told["strict"] is True
    assert told["schema"]["properties"][name]["required"] == ["c"]


@pytest.mark.parametrize("keyword", ["enum", "const", "default", "examples"])
def test_data_is_left_as_it_is(keyword: str) -> None:
    data = {"$ref": "http://127.0.0.1:9/x", **INNER}
    value = [data] if keyword in {"enum", "examples"} else data
    told = rules(properties={"a": {keyword: value}}).response_format["json_schema"]
    assert told["schema"]["properties"]["a"] == {keyword: value}


def test_what_is_told_is_a_copy() -> None:
    schema = rules(properties={"a": INNER})
    assert schema.response_format["json_schema"]["schema"] != schema.rules
    assert schema.rules == {"type": "object", "properties": {"a": INNER}}


@pytest.mark.parametrize(
    ("title", "name"),
    [(None, "reply"), ("A person's age", "A_person_s_age"), ("x" * 99, "x" * 64), (5, "5")],
)
def test_it_is_told_under_a_name_that_the_api_takes(title: object, name: str) -> None:
    schema = Schema("f", {"type": "object"} | ({"title": title} if title is not None else {}))
    assert schema.response_format["json_schema"]["name"] == name


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ('{"name": "Ada", "age": 36, "tags": []}', None),
        ('\n{"name": "Ada", "age": 36, "tags": ["x"]}\n', None),
        ('{"name": "Ada", "age": "36", "tags": []}', "age: '36' is not of type 'integer'"),
        ('{"name": "Ada", "age": 36, "tags": [1]}', "tags[0]: 1 is not of type 'string'"),
        ('{"name": "Ada", "age": 36}', "'tags' is a required property"),
        ('{"name": "", "age": 1, "tags": [], "x": 1}', "'x' was unexpected"),
        ("[]", "is not of type 'object'"),
        ("Here you are: {}", "it is no JSON: "),
        (FENCED, None),
        (f"\n{FENCED}  \n\n", None),
        (FENCED.replace("```", "~~~~"), None),
        (FENCED.replace("\n", "\r\n"), None),
        (f"{FENCED}`", None),  # the end of a fence may be longer
        (f"`{FENCED}", "it is no JSON: "),
        (FENCED.replace("36", '"36"'), "age: '36' is not of type 'integer'"),
        (f"Here you are:\n{FENCED}", "it is no JSON: "),
        (f"{FENCED}\n{FENCED}", "it is no JSON: "),
        (FENCED.removesuffix("```"), "it is no JSON: "),
        (FENCED.removesuffix("```") + "~~~", "it is no JSON: "),
        ("```json\n```", "it is no JSON: "),
        ("```", "it is no JSON: "),
        ("", "it is no JSON: "),
        ("[" * 100_000, "it is nested too deeply"),
        (json.dumps({"name": "n" * 9_000, "age": 1, "tags": ["\n\x1b" * 9_000, 5]}), "tags[1]: 5"),
        (json.dumps({"name": ["n\n"] * 9_000, "age": 1, "tags": []}), "name: ['n"),
    ],
)
def test_a_reply_is_held_against_it(reply: str, words: str | None) -> None:
    fault = PERSON.fault(reply)
    assert (fault == "") if words is None else (words in fault)
    assert "\n" not in fault
    assert len(fault) < 300


@pytest.mark.parametrize(
    "parts",
    [
        {"properties": {"a": {"$ref": "#/$defs/none"}}},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
    ],
)
def test_a_schema_that_can_not_be_used_is_a_fault_and_no_crash(parts: dict[str, Any]) -> None:
    try:
        schema = rules(**parts)
    except SettingsError as error:
        assert "s.json" in error.text
    else:
        assert "it can't be checked by s.json" in schema.fault('{"a": "x"}')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("name:str", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"type": "objct"}', "is no JSON Schema: 'objct'"),
        ('{"a": [{"$ref": "http://127.0.0.1:9/x.json"}]}', "refers to 'http://127.0.0.1:9/x.json'"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_bad_file_is_told_with_its_name(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_rules(text, "s.json")
    assert "s.json" in caught.value.text
    assert words in caught.value.text


def test_the_last_reply_is_meant_whole_and_where_there_is_none_nothing_is_wrong() -> None:
    schema = read_fields("a:int")
    asked = Exchange((Message("user", "Hi"),))
    answered = Exchange((Message("user", "Hi"), Message("assistant", '{"a": 1}')))
    assert fault_of_last(schema, Conversation()) == ""
    assert fault_of_last(schema, Conversation(exchanges=(answered, asked))) == ""
    assert fault_of_last(schema, Conversation(exchanges=(asked, answered))) == ""
    assert fault_of_last(read_fields("b:int"), Conversation(exchanges=(answered,))) != ""
    assert fault_of_last(None, Conversation(exchanges=(answered,))) == ""


def test_a_chat_asks_for_the_schemas_form_whatever_else_was_asked_for() -> None:
    provider = ScriptedProvider("{}", "{}")
    chat = Chat(provider, card_for("gpt-4"))
    chat.ask_for({"seed": 1, "response_format": {"type": "json_object"}}, PERSON)
    list(chat.say("Hi"))
    assert provider.requests[0].parameters == {"seed": 1, "response_format": PERSON.response_format}
    chat.ask_for({"seed": 1})
    list(chat.say("Hi"))
    assert provider.requests[1].parameters == {"seed": 1}


def test_the_rest_of_a_reply_is_asked_for_without_a_form() -> None:
    provider = ScriptedProvider('{"a": ', "1}", "{}")
    chat = Chat(provider, card_for("gpt-4"))
    chat.ask_for({"seed": 1}, PERSON)
    list(chat.say("Hi"))
    list(chat.go_on())
    assert provider.requests[1].parameters == {"seed": 1}
    list(chat.say("And now?"))
    assert provider.requests[2].parameters["response_format"] == PERSON.response_format
