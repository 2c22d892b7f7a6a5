"""The shelf of personas: built in, of the config file, of the folder; and how one is edited."""

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chatrepl.config import Example, Persona, parse_config, parse_persona
from chatrepl.errors import SettingsError
from chatrepl.paths import Paths
from chatrepl.personas import BUILT_IN, Shelf
from chatrepl.settings import Flags, Sources, read_sources
from chatrepl.texts import schema_of, system_text

CONFIG = """
[personas.pirate]
system = "You are a pirate."
[personas.concise]
system = "Be short."
"""


def shelf(folder: Path, config: str = CONFIG, **files: str) -> Shelf:
    """A shelf with a config file and with files in the folder beside it."""
    (folder / "personas").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "personas" / f"{name}.toml").write_text(text, encoding="utf-8")
    file = folder / "config.toml"
    return Shelf(parse_config(config, str(file)).personas, file, folder / "personas")


def writing(text: str) -> Callable[[str], str]:
    """An editor in which somebody writes a text."""
    return lambda _: text


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_persona_holds_together(name: str) -> None:
    persona = Shelf().find(name)
    assert persona.system
    assert len(persona.system) < 600
    assert Shelf().origin(name) == "built in"
    assert parse_persona(Shelf().text(name), name) == persona


def test_the_issues_personas_are_there_and_the_extractor_is_the_guides() -> None:
    names = ["concise", "tutor", "reviewer", "translator", "shell", "extractor"]
    assert Shelf().names == names
    [example] = BUILT_IN["extractor"].examples
    entities = json.loads(example.assistant)
    assert set(entities) == {"name", "company", "phone_number"}
    assert all(value in example.user for value in entities.values())
    assert [e.assistant[:5] for e in BUILT_IN["shell"].examples] == ["```sh"]


def test_the_folder_goes_before_the_config_file_and_that_before_what_is_built_in(
    tmp_path: Path,
) -> None:
    known = shelf(tmp_path, pirate='system = "Arr."', own='system = "Mine."\nschema = "a:int"')
    assert known.names == [*BUILT_IN, "pirate", "own"]
    said = {name: (words, origin) for name, words, origin in known.described()}
    folder = tmp_path / "personas"
    assert said["pirate"] == ("Arr.", str(folder / "pirate.toml"))
    assert said["own"] == ("Mine.", str(folder / "own.toml"))
    assert said["concise"] == ("Be short.", str(tmp_path / "config.toml"))
    assert said["tutor"][1] == "built in"
    assert said["tutor"][0].endswith("…")
    uncut = {name: words for name, words, _ in known.described(whole=True)}
    assert uncut["tutor"] == " ".join((BUILT_IN["tutor"].system or "").split())
    assert known.whole("own") == {"system": "Mine.", "schema": "a:int"}


def test_one_bad_file_is_told_where_it_is_needed_and_spoils_no_other(tmp_path: Path) -> None:
    known = shelf(tmp_path, bad='system = "x"\ntemprature = 1')
    words = {name: words for name, words, _ in known.described()}
    assert words["bad"].startswith("wrong: line 2: unknown key")
    with pytest.raises(SettingsError) as caught:
        known.find("bad")
    assert "bad.toml, line 2: unknown key 'temprature'" in caught.value.text
    assert "'temperature'" in caught.value.text
    assert known.find("pirate").system == "You are a pirate."


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('schema = "name:strr"', "wrong: schema: 'name:strr' is no field."),
        ('schema = "a b:str"', "wrong: schema: 'a b:str' is no list of fields, and there is no"),
        ('schema = "own.toml"', ""),  # any file that is there
        ("temprature = 1", "wrong: line 1: unknown key 'temprature'."),
        ("\udcff", "wrong: the file is no UTF-8 text."),
    ],
)
def test_what_is_wrong_with_one_is_listed_once_and_raised_where_it_is_needed(
    tmp_path: Path, keys: str, words: str
) -> None:
    known = shelf(tmp_path)
    file = tmp_path / "personas" / "own.toml"
    file.write_bytes(keys.encode(errors="surrogateescape"))
    said = {name: (said, origin) for name, said, origin in known.described()}
    assert said["own"][0].startswith(words)
    assert bool(said["own"][0]) == bool(words)
    assert str(file) not in said["own"][0]
    assert said["own"][1] == str(file)
    if words:
        with pytest.raises(SettingsError) as caught:
            known.check("own")
        assert caught.value.text.startswith(str(file))


def test_only_a_file_is_a_persona(tmp_path: Path) -> None:
    known = shelf(tmp_path, own="")
    (tmp_path / "personas" / "dir.toml").mkdir()
    (tmp_path / "personas" / "gone.toml").symlink_to(tmp_path / "nowhere")
    assert known.names == [*BUILT_IN, "pirate", "own"]
    with pytest.raises(SettingsError, match=r"There is no persona 'dir'\.$"):
        known.find("dir")


@pytest.mark.parametrize("name", ["nobody", "../config", "a/b", "a\nb", "", "\0", "x" * 300])
def test_a_name_that_is_none_is_told_with_the_known_ones(tmp_path: Path, name: str) -> None:
    known = shelf(tmp_path)
    (tmp_path / "config.toml").write_text("seed = 1")
    with pytest.raises(SettingsError, match="There is no persona") as caught:
        known.find(name)
    assert "concise, extractor, pirate" in caught.value.hint
    with pytest.raises(SettingsError):
        known.edited(name, writing("x"), new=False)
    assert list((tmp_path / "personas").iterdir()) == []


def test_a_persona_is_read_anew_each_time_and_a_byte_order_mark_is_no_part_of_it(
    tmp_path: Path,
) -> None:
    known = shelf(tmp_path, own='\ufeffsystem = "One."')
    assert known.find("own").system == "One."
    shelf(tmp_path, own='system = "Two."')
    assert known.find("own").system == "Two."


PERSONA = Persona(
    system='Say "hi".\n\\n is no line end, """ no end.\n',
    temperature=0.5,
    stop=["a", '"'],
    extra_body={"a b": {"c": [1, True]}},
    examples=[Example(user="u\r\n\tx", assistant='"""\x7f')],
)


def test_a_persona_as_a_text_says_the_same() -> None:
    text = Shelf({"p": PERSONA}, Path("c")).text("p")
    assert parse_persona(text, "p") == PERSONA
    assert tomllib.loads(text) == {
        key: value for key, value in msgspec.to_builtins(PERSONA).items() if value is not None
    }


# Editing.


@pytest.mark.parametrize("name", ["tutor", "pirate", "own"])
def test_what_is_edited_begins_as_what_the_persona_is(tmp_path: Path, name: str) -> None:
    known = shelf(tmp_path, own='# mine\nsystem = "Mine."')
    seen: list[str] = []

    def look(text: str) -> str:
        seen.append(text)
        return text.removesuffix("\n")  # as editing a text does

    file, is_changed = known.edited(name, look, new=False)
    assert seen == [known.text(name)]
    assert not is_changed
    assert file.exists() == (name == "own"), "nothing is left behind that nobody wrote"
    file, is_changed = known.edited(name, writing('system = "New."'), new=False)
    assert (is_changed, file) == (True, tmp_path / "personas" / f"{name}.toml")
    assert known.find(name).system == "New."
    assert known.origin(name) == str(file)


def test_a_new_one_begins_with_an_example_that_can_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    known = Shelf(folder=folder)

    def add(text: str) -> str:
        assert parse_persona(text, "as it stands").system == "You are …"
        return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE)

    assert known.edited("my-own_2", add, new=True) == (folder / "my-own_2.toml", True)
    assert known.find("my-own_2").examples, "and all that it shows is right"
    assert known.names[-1] == "my-own_2"


def test_what_is_wrong_in_it_is_told_and_stays_as_it_was_written(tmp_path: Path) -> None:
    known = shelf(tmp_path)
    with pytest.raises(SettingsError, match=r"tutor\.toml, line 1: .*'sytem'"):
        known.edited("tutor", writing('sytem = "x"'), new=False)
    assert known.text("tutor") == 'sytem = "x"\n'
    known.edited("tutor", writing('system = "x"'), new=False)
    assert known.find("tutor").system == "x"


@pytest.mark.parametrize("name", ["show", "new", "edit", "a b", "a/b", ".x", "", "x" * 65])
def test_a_name_that_no_file_or_command_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="can't be the name"):
        shelf(tmp_path).edited(name, writing("x"), new=True)


def test_one_that_is_there_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is a persona 'tutor' already"):
        shelf(tmp_path).edited("tutor", writing("x"), new=True)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "personas").write_text("a file")
    known = Shelf(folder=tmp_path / "personas")
    with pytest.raises(SettingsError, match="can't be written"):
        known.edited("own", writing("x"), new=True)
    assert known.names == list(BUILT_IN)


# What a persona names a file for.


def test_files_are_meant_from_where_they_are_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "personas"):
        place.mkdir(exist_ok=True)
        (place / "a 'b'.txt").write_text(f"Of {place.name}.")
        (place / "s.json").write_text(json.dumps({"title": place.name}))
    keys = 'system = "@a \'b\'.txt"\nschema = "s.json"\n'
    (tmp_path / "personas" / "own.toml").write_text(keys)
    (tmp_path / "config.toml").write_text(f"{keys}[personas.of-file]\n{keys}")
    paths = Paths(tmp_path, tmp_path, tmp_path)

    def read(sources: Sources) -> tuple[str, object]:
        settings = sources.resolve()
        schema = schema_of(settings, sources)
        assert schema is not None
        return system_text(settings, sources), schema.rules["title"]

    beside = (f"Of {tmp_path.name}.", tmp_path.name)
    assert read(read_sources(Flags(), None, {}, paths)) == beside
    assert read(read_sources(Flags(persona="of-file"), None, {}, paths)) == beside
    here = os.path.relpath(tmp_path / "personas")
    flags = Flags(persona="of-file", schema=f"{here}/s.json", system=f"@{here}/a 'b'.txt")
    own = read(read_sources(flags, None, {}, paths))
    assert own == ("Of personas.", "personas"), "as a shell means it"
    own = read(read_sources(Flags(persona="own"), None, {}, paths))
    assert own == ("Of personas.", "personas")
    (tmp_path / "config.toml").unlink()
    assert read(read_sources(Flags(persona="own"), None, {}, paths)) == own


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        (Flags(), "schema (CONFIG)"),
        (Flags(persona="own"), "schema (persona own)"),
        (Flags(schema="VALUE"), "--schema"),
    ],
)
@pytest.mark.parametrize("value", ["name:strr", "none.json", "bad.json"])
def test_a_schema_that_is_wrong_is_told_with_what_set_it(
    tmp_path: Path, flags: Flags, setting: str, value: str
) -> None:
    (tmp_path / "bad.json").write_text("{")
    config = tmp_path / "config.toml"
    config.write_text(f'schema = "{value}"\n[personas.own]\nschema = "{value}"')
    if flags.schema:
        there = tmp_path / value if value == "bad.json" else value
        flags = msgspec.structs.replace(flags, schema=str(there))
    sources = read_sources(flags, None, {}, Paths(tmp_path, tmp_path, tmp_path))
    with pytest.raises(SettingsError) as caught:
        schema_of(sources.resolve(), sources)
    setting = setting.replace("CONFIG", str(config))
    if value == "bad.json":
        where = "" if flags.schema else f" ({setting.removeprefix('schema (')}"
        assert caught.value.text.startswith(f"The schema {flags.schema or value}{where} is no JSON")
    else:
        assert caught.value.text.startswith(f"{setting}: '{value}' is no ")
    if value == "none.json" and not flags.schema:
        assert str(tmp_path / value) in caught.value.text, "where it was looked for"
