"""One answer: what is printed of it, where, and the status that tells how it went."""

import json

import pytest

from chatrepl.chat.catalogue import card_for
from chatrepl.chat.events import Assumed, Finished, TextDelta
from chatrepl.chat.schema import Schema, read_fields
from chatrepl.chat.turn import Chat
from chatrepl.errors import StreamInterruptedError, UnfitReplyError
from chatrepl.providers.scripted import Line, ScriptedProvider
from chatrepl.terminal.oneshot import Form, answer, dry_run
from chatrepl.terminal.screen import Screen

PERSON = read_fields("name:str,age:int")


def ask(
    reply: str | list[Line], form: Form, schema: Schema | None = None, *, quiet: bool = False
) -> int:
    """Answer from a script, and give the status: an error's too, said as the program says it."""
    chat = Chat(ScriptedProvider(reply), card_for("gpt-4"))
    chat.ask_for({}, schema)
    screen = Screen()
    screen.quiet = quiet
    try:
        return answer(chat, "Hi", screen, plain=False, form=form)
    except UnfitReplyError as error:
        screen.error(error)
        return error.status


def fenced(code: str, language: str = "sh") -> str:
    return f"```{language}\n{code}\n```"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (fenced("ls -l"), "ls -l\n"),
        (f"Run this:\n\n{fenced('ls')}\n\nor `pwd`, or\n\n{fenced('df')}\n", "ls\n\ndf\n"),
        (f"1. Do:\n   {fenced('a').replace(chr(10), chr(10) + '   ')}\n2. Done.\n", "a\n"),
        ("~~~\ntwo\n\nlines  \n~~~", "two\n\nlines  \n"),
        ("````md\n```sh\nls\n```\n````", "```sh\nls\n```\n"),
        ("```sh\nnobody closes it", "nobody closes it\n"),
        ("```\n```", "\n"),
        (fenced("printf '\x1b[31m'"), "printf '\x1b[31m'\n"),
    ],
)
def test_only_the_code_is_printed(
    capsys: pytest.CaptureFixture[str], reply: str, code: str
) -> None:
    assert ask(reply, "code") == 0
    assert capsys.readouterr() == (code, "")


@pytest.mark.parametrize("reply", ["Run `ls`.", "    indented", "ls"])
def test_without_code_nothing_is_printed_and_the_status_says_so(
    capsys: pytest.CaptureFixture[str], reply: str
) -> None:
    assert ask(reply, "code") == 9
    out, err = capsys.readouterr()
    assert out == ""
    assert "no code block" in err


CUT: list[Line] = [TextDelta(fenced("rm -r tmp")), Finished("length")]


def test_of_a_reply_that_was_cut_off_no_code_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask(CUT, "code") == 7
    assert capsys.readouterr().out == ""
    with pytest.raises(StreamInterruptedError):
        ask([TextDelta(fenced("rm -r tmp")), StreamInterruptedError("cut")], "code")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", ["reply", "json"])
@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        ('{"name": "Ada", "age": 36}', 0, None),
        ('{"name": "Ada", "age": "36"}', 9, "age: '36' is not of type 'integer'"),
        ("Ada is 36.", 9, "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_reply_is_held_against_the_schema_and_printed_in_any_case(
    capsys: pytest.CaptureFixture[str], form: Form, reply: str, status: int, reason: str | None
) -> None:
    assert ask(reply, form, PERSON) == status
    out, err = capsys.readouterr()
    if form == "json":
        told = json.loads(out)
        assert (told["reply"], told["schema_fault"]) == (reply, reason)
    else:
        assert out == f"{reply}\n"
    assert err.startswith(f"The reply does not hold to the schema: {reason}\n" if reason else "")
    assert bool(err) == bool(reason)


ADA = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    ("reply", "printed", "status"),
    [
        (fenced(ADA, "json"), f"{ADA}\n", 0),
        (f"Here you are:\n\n{fenced(ADA, 'json')}\nThat is all.", f"{ADA}\n", 0),
        (ADA, f"{ADA}\n", 0),  # a server with response_format sends no fence
        (fenced("{}", "json"), "{}\n", 9),
        (f"{fenced(ADA)}\n{fenced(ADA)}", f"{ADA}\n\n{ADA}\n", 9),
        ("{}", "", 9),
    ],
)
def test_with_code_it_is_what_was_printed_that_is_held_against_the_schema(
    capsys: pytest.CaptureFixture[str], reply: str, printed: str, status: int
) -> None:
    assert ask(reply, "code", PERSON) == status
    out, err = capsys.readouterr()
    assert out == printed
    assert bool(err) == bool(status)


def test_what_was_cut_off_is_told_as_that_and_not_as_a_fault_of_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask([TextDelta('{"name": "A'), Finished("length")], "json", PERSON) == 7
    out, err = capsys.readouterr()
    assert json.loads(out)["schema_fault"].startswith("it is no JSON")
    assert "schema" not in err


def test_without_a_schema_json_says_nothing_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("Hi.", "json") == 0
    assert "schema_fault" not in json.loads(capsys.readouterr().out)


def test_quiet_is_without_notices_but_not_without_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notable: list[Line] = [Assumed("m", 9), TextDelta("Half"), Finished("length")]
    assert ask(notable, "reply", quiet=True) == 7
    assert capsys.readouterr() == ("Half\n", "")
    assert ask(notable, "reply") == 7
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert ask("Hi.", "reply", PERSON, quiet=True) == 9
    assert "schema" in capsys.readouterr().err


def test_a_dry_run_shows_the_parameters_as_they_are_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat = Chat(ScriptedProvider(), card_for("o3"))
    chat.ask_for({"temperature": 0.5, "seed": 3, "stop": None}, PERSON)
    assert dry_run(chat, "Hi", Screen(), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == {"seed": 3, "response_format": PERSON.response_format}
    assert told["counted"] == "estimate"
    assert told["prompt_tokens"] > 40, "the schema counts too"
    dry_run(chat, "Hi", Screen(), as_json=False)
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith('parameters: seed=3 response_format={"type": "json_schema"')
    chat.ask_for({"temperature": 0.5})
    dry_run(chat, "Hi", Screen(), as_json=False)
    assert "parameters" not in capsys.readouterr().out
