"""The real model, in the real program: what a newcomer without a key meets."""

import json
import os
import signal
from pathlib import Path

from tests.support.processes import children, command_of, is_alive, needs_proc, wait_until
from tests.support.program import Terminal, run

QUESTION = "What is the capital of France?"
WHO = "SmolLM2-135M-Instruct answers"


def ask_in_the_chat(terminal: Terminal) -> None:
    terminal.wait_for_prompt()
    terminal.say(QUESTION)
    terminal.wait_for("Paris", timeout=120)


def test_a_newcomer_without_a_key_has_a_conversation(home_with_model: Path) -> None:
    with Terminal(home=home_with_model) as terminal:
        terminal.wait_for(WHO)  # above the prompt, once that is known
        ask_in_the_chat(terminal)
        terminal.wait_for_prompt(timeout=60)
        assert terminal.scrollback.count(WHO) == 1
        assert "OPENAI_API_KEY" in terminal.scrollback
        assert terminal.scrollback.index(WHO) < terminal.scrollback.index(QUESTION)
        terminal.wait_for("SmolLM2-135M-Instruct · ≈")
        terminal.say("/quit")
        assert terminal.wait_for_end() == 0


@needs_proc
def test_the_model_is_gone_when_the_program_is_killed(home_with_model: Path) -> None:
    with Terminal(home=home_with_model) as terminal:
        ask_in_the_chat(terminal)
        pid = terminal.process.pid
        assert pid is not None
        [server] = children(pid)
        assert "chatrepl.providers.llama_server" in command_of(server)
        os.kill(pid, signal.SIGKILL)
        assert terminal.wait_for_end() == -signal.SIGKILL
        wait_until(lambda: not is_alive(server), "the end of the model's process")


def test_ctrl_c_stops_the_model_and_the_talk_goes_on(home_with_model: Path) -> None:
    with Terminal(home=home_with_model) as terminal:
        terminal.wait_for_prompt()
        terminal.say("Write a very long story about a king, a dragon and a castle.")
        terminal.wait_for("king", times=2, timeout=120)
        terminal.key("ctrl-c")
        terminal.wait_for("stopped; what came is kept")
        terminal.wait_for_prompt()
        terminal.say("/clear")
        terminal.wait_for("a new conversation")
        ask_in_the_chat(terminal)


def test_a_pipe_gets_the_answer_alone(home_with_model: Path) -> None:
    done = run(home=home_with_model, stdin=QUESTION + "\n", timeout=120)
    assert done.returncode == 0
    assert "Paris" in done.stdout
    assert done.stdout.endswith("\n")
    assert "\x1b" not in done.stdout
    assert WHO not in done.stdout
    assert done.stderr.count(WHO) == 1
    assert done.stderr.count("\n") == 1


def test_a_gguf_file_may_be_named_as_the_model(home: Path, model_file: Path) -> None:
    flags = ("-m", str(model_file), "--temperature", "0", "--max-tokens", "40")
    done = run(*flags, QUESTION, home=home, timeout=120)
    assert "Paris" in done.stdout
    assert done.returncode in {0, 7}, done.stderr
    assert WHO not in done.stderr, "who was asked for by name need not be announced"


def test_a_reply_is_json_by_the_schema_as_the_models_grammar_has_it(home_with_model: Path) -> None:
    question = "Ada is a friendly woman who is 36 years old and likes tea."
    flags = ("--schema", "name:str,age:int", "--max-tokens", "60", "--set", "temperature=0")
    done = run(*flags, "-q", question, home=home_with_model, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    reply = json.loads(done.stdout)
    assert set(reply) == {"name", "age"}
    assert type(reply["age"]) is int
