"""Servers with a window of their own, each with its own words for it, and the real program."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.guide import num_tokens_from_messages
from tests.support.loopback import Loopback, Received, Reply, fails, says
from tests.support.program import run
from tests.support.talk import talk

LIMIT = 3_000
HISTORY = 12  # exchanges of 300 tokens and a few
LIST = "/v1/models"
MODEL = "what-1"
SENT_AGAIN = "sent again"
Refusal = Callable[[int, int, int], Reply]
"""How a server says that a prompt, and a reply of at most so many tokens, exceed its window."""


def plain(message: str, status: int = 400, **more: Any) -> Reply:
    return Reply(status=status, body={"object": "error", "message": message, **more})


REFUSALS: dict[str, Refusal] = {
    "OpenAI": lambda prompt, asked, limit: fails(
        400,
        f"This model's maximum context length is {limit} tokens. However, you requested "
        f"{prompt + asked} tokens ({prompt} in the messages, {asked} in the completion). Please "
        "reduce the length of the messages or completion.",
        type="invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    ),
    "Azure": lambda prompt, asked, limit: fails(
        400,
        f"This model's maximum context length is {limit} tokens, however you requested "
        f"{prompt + asked} tokens ({prompt} in your prompt; {asked} for the completion). Please "
        "reduce your prompt; or completion length.",
        type="invalid_request_error",
    ),
    "llama.cpp": lambda prompt, _asked, limit: fails(
        400,
        f"request ({prompt} tokens) exceeds the available context size ({limit} tokens), try "
        "increasing it",
        code=400,
        type="exceed_context_size_error",
        n_prompt_tokens=prompt,
        n_ctx=limit,
    ),
    "llama.cpp, older": lambda *_: fails(
        400,
        "the request exceeds the available context size. try increasing the context size or "
        "enable context shift",
        code=400,
        type="invalid_request_error",
    ),
    "vLLM": lambda prompt, asked, limit: fails(
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: "
        f"{asked}. This model's maximum context length is {limit} tokens and your request has "
        f"{prompt} input tokens ({asked} > {limit} - {prompt}).",
        type="BadRequestError",
        code=400,
    ),
    # It stops counting where the prompt is too long, so that its number says nothing.
    "vLLM, newer": lambda _prompt, asked, limit: fails(
        400,
        f"This model's maximum context length is {limit} tokens. However, you requested {asked} "
        f"output tokens and your prompt contains at least {limit - asked + 1} input tokens, for "
        f"a total of at least {limit + 1} tokens. Please reduce the length of the input prompt "
        f"or the number of requested output tokens. (parameter=input_tokens)",
        type="BadRequestError",
        code=400,
    ),
    "vLLM, older": lambda prompt, asked, limit: plain(
        f"This model's maximum context length is {limit} tokens. However, you requested "
        f"{prompt + asked} tokens ({prompt} in the messages, {asked} in the completion).",
        code=400,
    ),
    "Ollama": lambda *_: Reply(
        status=400, body={"error": "the input length exceeds the context length"}
    ),
}


def enforce(
    server: Loopback, refusal: Refusal, limit: int = LIMIT, *, hunger: float = 1.0
) -> list[int]:
    """Let the server hold its window, counting by itself; give the statuses that it answers.

    As the real ones: llama.cpp and Ollama look at the prompt alone, the others at its reply too.
    """
    statuses: list[int] = []
    alone = refusal in {REFUSALS["llama.cpp"], REFUSALS["llama.cpp, older"], REFUSALS["Ollama"]}

    def usual(received: Received) -> Reply:
        prompt = round(num_tokens_from_messages(received.body["messages"]) * hunger)
        asked = max_tokens(received)
        whole = prompt + (0 if alone else asked)
        reply = refusal(prompt, asked, limit) if whole > limit else says("Aye.", usage=(prompt, 3))
        statuses.append(reply.status)
        return reply

    server.usual = usual
    return statuses


def max_tokens(received: Received) -> int:
    names = received.body.keys() & {"max_tokens", "max_completion_tokens"}
    assert len(names) == 1
    number: int = received.body[names.pop()]
    return number


def history(home: Path, exchanges: int = HISTORY) -> str:
    """A file of messages that are too many for the server."""
    talk: list[dict[str, str]] = [{"role": "system", "content": "Be kind."}]
    for number in range(exchanges):
        talk.append({"role": "user", "content": f"{number} " + "ꙮ" * 100})  # three tokens each
        talk.append({"role": "assistant", "content": f"Noted {number}."})
    file = home / "talk.json"
    file.write_text(json.dumps(talk))
    return str(file)


def configure(home: Path, text: str) -> None:
    file = home / "chatrepl" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def said(stderr: str, words: str) -> list[str]:
    return [line for line in stderr.splitlines() if words in line]


def assert_trimmed(server: Loopback, exchanges: int = HISTORY) -> None:
    """Each request is a smaller one than the one before, and a whole talk; the last one went."""
    sizes = [num_tokens_from_messages(got.body["messages"]) for got in server.requests]
    assert sizes == sorted(sizes, reverse=True)
    assert len(server.requests[0].said) == 2 * exchanges + 2
    for got in server.requests:
        assert got.said[0] == ("system", "Be kind.")
        assert got.said[1][0] == "user"
        assert got.said[-1] == ("user", "and now?")


# A server that refuses


@pytest.mark.parametrize("name", REFUSALS)
def test_the_turn_is_sent_again_trimmed_and_a_line_says_so(
    home: Path, server: Loopback, name: str
) -> None:
    statuses = enforce(server, REFUSALS[name])
    flags = ("--context-window", "8192", "-m", MODEL, "--load", history(home))
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert (done.returncode, done.stdout) == (0, "Aye.\n")
    assert statuses[0] == 400
    assert statuses[-1] == 200
    assert len(statuses) <= 4
    assert_trimmed(server)
    assert len(said(done.stderr, SENT_AGAIN)) == 1
    for word in ("refused", "does not fit", "Traceback"):
        assert word not in done.stderr


def test_a_told_number_is_used_and_one_more_request_is_enough(home: Path, server: Loopback) -> None:
    statuses = enforce(server, REFUSALS["OpenAI"])
    flags = ("--context-window", "8192", "-m", MODEL, "--load", history(home))
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert statuses == [400, 200]
    assert f"window of {LIMIT:,}" in said(done.stderr, SENT_AGAIN)[0]
    last = server.requests[-1]
    assert max_tokens(last) == LIMIT // 4
    used = num_tokens_from_messages(last.body["messages"])
    assert used + 350 > 0.85 * (LIMIT - LIMIT // 4), "no more is left out than must be"


def test_azures_deployments_are_sent_again_too(home: Path, server: Loopback) -> None:
    statuses = enforce(server, REFUSALS["Azure"])
    variables = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": server.root}
    flags = ("--provider", "azure", "-m", MODEL, "--context-window", "8192")
    done = run(*flags, "--load", history(home), "and now?", home=home, env=variables)
    assert (done.returncode, done.stdout) == (0, "Aye.\n")
    assert statuses == [400, 200]
    assert server.requests[0].path.startswith(f"/openai/deployments/{MODEL}/")
    assert server.asked == []
    assert_trimmed(server)
    assert len(said(done.stderr, SENT_AGAIN)) == 1


def test_a_known_model_is_no_exception(home: Path, server: Loopback) -> None:
    statuses = enforce(server, REFUSALS["vLLM"])
    flags = ("-m", "gpt-4", "--load", history(home))
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert done.returncode == 0
    assert statuses == [400, 200]
    assert_trimmed(server)


@pytest.mark.parametrize("name", ["vLLM", "Ollama"])
def test_what_a_refusal_taught_holds_for_the_rest_of_the_talk(
    home: Path, server: Loopback, name: str
) -> None:
    statuses = enforce(server, REFUSALS[name])
    flags = ("--context-window", "8192", "--load", history(home))
    with talk(home, server, *flags, model=MODEL) as terminal:
        for number in range(1, 4):
            terminal.say("and now?")
            terminal.wait_for("Aye.", times=number)
            terminal.wait_for_prompt()
        shown = " ".join(terminal.scrollback.split())
    assert shown.count(SENT_AGAIN) == 1
    assert 400 not in statuses[statuses.index(200) :]


def test_what_a_refusal_taught_goes_before_what_ollama_is_thought_to_do(
    home: Path, server: Loopback
) -> None:
    # Ollama does not say what it runs with until the model runs, and older ones never do. It is
    # asked before each turn, and must not make the same refusal come again in each.
    statuses = enforce(server, REFUSALS["Ollama"], limit=2_048)
    an_ollama(server, 131_072, None)
    with talk(home, server, "--load", history(home), model="llama3.2") as terminal:
        for number in range(1, 4):
            terminal.say("and now?")
            terminal.wait_for("Aye.", times=number)
            terminal.wait_for_prompt()
    assert statuses[0] == 400
    assert 400 not in statuses[statuses.index(200) :]


FOR_EVER: dict[str, Reply] = {
    "without a number": fails(400, "Too long.", code="context_length_exceeded"),
    "with the same numbers": REFUSALS["OpenAI"](4_294, 100, 4_096),
    "with numbers that would fit": REFUSALS["llama.cpp"](10, 10, 8_192),
    "Ollama": REFUSALS["Ollama"](0, 0, 0),
}


@pytest.mark.parametrize(
    ("name", "loaded", "more"),
    [
        *((name, True, ()) for name in FOR_EVER),
        ("with the same numbers", False, ()),
        *((name, False, ("--max-tokens", "100")) for name in FOR_EVER),
    ],
)
def test_a_server_that_refuses_for_ever_is_given_up(
    home: Path, server: Loopback, name: str, loaded: bool, more: tuple[str, ...]
) -> None:
    server.usual = lambda _: FOR_EVER[name]
    flags = ["--context-window", "8192", "-m", MODEL, *more]
    flags += ["--load", history(home)] if loaded else []
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert (done.returncode, done.stdout) == (5, "")
    assert 1 <= len(server.requests) <= 4
    assert "Traceback" not in done.stderr
    assert "unforeseen" not in done.stderr
    assert len(said(done.stderr, SENT_AGAIN)) <= 1
    words = ("Too long.", "maximum context length", "available context size", "input length")
    assert any(word in done.stderr for word in words), "what the server said is not kept back"


def test_a_message_that_is_given_up_comes_back_to_the_prompt(home: Path, server: Loopback) -> None:
    server.usual = lambda _: FOR_EVER["without a number"]
    with talk(home, server, model="gpt-4") as terminal:
        terminal.say("and now?")
        terminal.wait_for("Too long.")
        terminal.wait_for("> and now?", times=2)
        server.usual = lambda _: says("Aye.")
        terminal.key("enter")
        terminal.wait_for("Aye.")
        terminal.wait_for_prompt()
    assert server.requests[-1].said == [("user", "and now?")]


@pytest.mark.parametrize("more", [(), ("--max-tokens", "100")], ids=["", "--max-tokens"])
def test_what_was_guessed_in_vain_is_forgotten(
    home: Path, server: Loopback, more: tuple[str, ...]
) -> None:
    # A window that was only guessed, smaller each time, must not stay when it was of no use.
    server.usual = lambda _: FOR_EVER["without a number"]
    with talk(home, server, *more, model="gpt-4", lines=40) as terminal:
        terminal.say("and now?")
        terminal.wait_for("> and now?", times=2)
        terminal.key("ctrl-c")
        terminal.wait_for_prompt()
        server.usual = lambda _: says("Aye.")
        before = len(server.requests)
        terminal.paste("ꙮ" * 400 + " end")
        terminal.key("enter")
        terminal.wait_until(
            lambda: len(server.requests) > before or "does not fit" in terminal.scrollback,
            "an answer of any kind",
        )
        assert "does not fit" not in terminal.scrollback
        terminal.wait_for("Aye.")
    assert server.requests[-1].said[-1][1].endswith("ꙮ end")


# A server that tells its window


def an_ollama(server: Loopback, window: int, running: int | None) -> None:
    """Tell of llama3.2 as Ollama does: what it could have, and what it runs with."""
    one = {"name": "llama3.2:latest", "context_length": running}
    server.tells |= {
        LIST: {"object": "list", "data": [{"id": "llama3.2:latest"}]},
        "/api/show": {"model_info": {"llama.context_length": window}},
        "/api/ps": {"models": [one] if running else []},
    }


def listed(**more: Any) -> Mapping[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", **more}]}


@pytest.mark.parametrize(
    ("model", "more", "window"),
    [
        pytest.param(MODEL, {"meta": {"n_ctx": LIMIT, "n_ctx_train": 32_768}}, LIMIT, id="llama"),
        pytest.param(MODEL, {"max_model_len": LIMIT}, LIMIT, id="vLLM"),
        pytest.param(MODEL, {"max_model_len": 32_768}, 32_768, id="a large one"),
        pytest.param("gpt-4", {"max_model_len": LIMIT}, LIMIT, id="with the name of a known one"),
    ],
)
def test_a_window_that_the_server_tells_is_used_from_the_first_turn(
    home: Path, server: Loopback, model: str, more: dict[str, Any], window: int
) -> None:
    server.tells[LIST] = {**listed(**more), "data": [{**listed(**more)["data"][0], "id": model}]}
    statuses = enforce(server, REFUSALS["vLLM"], window)
    flags = ("-m", model, "--load", history(home))
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert (done.returncode, statuses) == (0, [200]), done.stderr
    assert max_tokens(server.requests[0]) == min(4_096, window // 4)
    assert (len(server.requests[0].said) < 2 * HISTORY) == (window == LIMIT)
    assert "assumed" not in done.stderr
    assert [got.path for got in server.asked] == [LIST]


@pytest.mark.parametrize(("running", "window"), [(LIMIT, LIMIT), (16_384, 16_384), (None, 4_096)])
def test_ollamas_window_is_the_one_that_it_runs_with(
    home: Path, server: Loopback, running: int | None, window: int
) -> None:
    an_ollama(server, 131_072, running)
    statuses = enforce(server, REFUSALS["Ollama"], window)
    flags = ("-m", "llama3.2", "--load", history(home))
    done = run("--base-url", server.base_url, *flags, "and now?", home=home)
    assert (done.returncode, statuses) == (0, [200]), done.stderr
    assert max_tokens(server.requests[0]) == min(4_096, window // 4)
    assert len(said(done.stderr, "4,096 tokens are assumed")) == (running is None)


def test_ollama_is_believed_as_soon_as_the_model_runs(home: Path, server: Loopback) -> None:
    an_ollama(server, 131_072, None)
    with talk(home, server, model="llama3.2") as terminal:
        terminal.say("one")
        terminal.wait_for("You said: one")
        terminal.wait_for_prompt()
        an_ollama(server, 131_072, 8_192)
        terminal.say("two")
        terminal.wait_for("You said: two")
        terminal.wait_for_prompt()
    assert [max_tokens(got) for got in server.requests] == [1_024, 2_048]


@pytest.mark.parametrize(
    ("config", "flags", "window"),
    [
        pytest.param(f'[models."{MODEL}"]\ncontext_window = 2800', (), 2_800, id="the file"),
        pytest.param("context_window = 2400", (), 2_400, id="the file, for every model"),
        pytest.param("", ("--context-window", "2000"), 2_000, id="the flag"),
        pytest.param(
            f'[models."{MODEL}"]\ncontext_window = 2800',
            ("--context-window", "2000"),
            2_000,
            id="both",
        ),
    ],
)
def test_what_the_user_says_goes_before_what_the_server_says(
    home: Path, server: Loopback, config: str, flags: tuple[str, ...], window: int
) -> None:
    configure(home, config)
    server.tells[LIST] = {**listed(max_model_len=8_192)}
    arguments = ("-m", MODEL, *flags, "--load", history(home))
    done = run("--base-url", server.base_url, *arguments, "and now?", home=home)
    assert done.returncode == 0
    (request,) = server.requests
    assert max_tokens(request) == window // 4
    assert num_tokens_from_messages(request.body["messages"]) <= window - window // 4
    assert server.asked == []
    assert "assumed" not in done.stderr


# A server that says nothing


def test_an_unknown_model_is_given_the_smallest_window_and_that_is_said_once(
    home: Path, server: Loopback
) -> None:
    with talk(home, server, "--load", history(home), model=MODEL) as terminal:
        for number in range(1, 4):
            terminal.say("and now?")
            terminal.wait_for("You said: and now?", times=number)
            terminal.wait_for_prompt()
        shown = " ".join(terminal.scrollback.split())
    assert shown.count("4,096 tokens are assumed") == 1
    assert MODEL in shown
    for request in server.requests:
        assert max_tokens(request) == 1_024
        assert num_tokens_from_messages(request.body["messages"]) <= 3_072
    assert [got.path for got in server.asked] == [LIST]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "answer",
    [
        fails(401, "no"),
        fails(404, "no"),
        fails(500, "no"),
        Reply(body=b"<html>It works</html>"),
        Reply(body=b"{", headers={"content-type": "application/json"}),
        Reply(status=307, body={}, headers={"location": "/v1/models"}),
    ],
    ids=["401", "404", "500", "a web page", "broken JSON", "a redirect"],
)
def test_whatever_the_server_says_of_its_models_the_turn_goes_on(
    home: Path, server: Loopback, answer: Reply
) -> None:
    server.tells[LIST] = answer
    prompt = "and now? " * 900  # more than half of the window that is assumed
    done = run("--base-url", server.base_url, "-m", MODEL, prompt, home=home)
    assert (done.returncode, done.stdout) == (0, f"You said: {prompt}\n")
    assert len(done.stderr.splitlines()) == 1
    assert "4,096 tokens are assumed" in done.stderr
    assert len(server.asked) == len(server.requests) == 1


# The longest reply


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "config", "flags", "name", "tokens"),
    [
        pytest.param("gpt-35-turbo", "", (), "max_tokens", 1_024, id="a quarter of 4,096"),
        pytest.param("gpt-4", "", (), "max_tokens", 2_048, id="a quarter of 8,192"),
        pytest.param("gpt-4o", "", (), "max_tokens", 4_096, id="4,096 of many"),
        pytest.param("gpt-5-mini", "", (), "max_completion_tokens", 4_096, id="by its new name"),
        pytest.param(MODEL, "", (), "max_tokens", 1_024, id="an unknown model"),
        pytest.param("gpt-4", "", ("--max-tokens", "300"), "max_tokens", 300, id="the flag"),
        pytest.param("gpt-4o", "", ("--max-tokens", "9000"), "max_tokens", 9_000, id="more"),
        pytest.param("gpt-4", "max_tokens = 200", (), "max_tokens", 200, id="the file"),
        pytest.param(
            "gpt-4", '[models."gpt-4"]\nmax_output = 500', (), "max_tokens", 500, id="the largest"
        ),
    ],
)
def test_how_long_a_reply_may_be(
    home: Path,
    server: Loopback,
    *,
    model: str,
    config: str,
    flags: tuple[str, ...],
    name: str,
    tokens: int,
) -> None:
    configure(home, config)
    done = run("--base-url", server.base_url, "-m", model, *flags, "hello", home=home)
    assert done.returncode == 0
    (request,) = server.requests
    assert request.body[name] == tokens
    assert max_tokens(request) == tokens, "and under no second name"


def test_no_more_is_asked_for_than_the_server_says_it_gives(home: Path, server: Loopback) -> None:
    server.tells[LIST] = {**listed(context_window=131_072, max_completion_tokens=700)}
    done = run("--base-url", server.base_url, "-m", MODEL, "hello", home=home)
    assert done.returncode == 0
    assert max_tokens(server.requests[0]) == 700


# The next run


def test_a_second_run_begins_with_what_the_first_has_learnt(home: Path, server: Loopback) -> None:
    statuses = enforce(server, REFUSALS["OpenAI"], 4_096, hunger=1.6)
    flags = ("--base-url", server.base_url, "--context-window", "4096", "-m", MODEL)
    for _ in range(2):
        done = run(*flags, "--load", history(home), "and now?", home=home)
        assert done.returncode == 0
    assert statuses == [400, 200, 200], "the second run was refused nothing"
    kept = json.loads((home / "chatrepl" / "data" / "calibrations.json").read_text())
    name = f"{urlsplit(server.root).netloc}/{MODEL}"
    assert kept.keys() == {name}
    assert kept[name]["mean"] == pytest.approx(1.6, rel=0.03)


def test_what_is_learnt_of_one_model_is_not_taken_for_another(home: Path, server: Loopback) -> None:
    enforce(server, REFUSALS["OpenAI"], 4_096, hunger=1.6)
    flags = ("--base-url", server.base_url, "--context-window", "4096")
    first = run(*flags, "-m", MODEL, "--load", history(home), "and now?", home=home)
    assert first.returncode == 0
    plans = [
        json.loads(run(*flags, "-m", model, "--dry-run", "--json", "ꙮ" * 100, home=home).stdout)
        for model in (MODEL, "other-1")
    ]
    learnt, fresh = (plan["prompt_tokens"] for plan in plans)
    assert 1.5 * 300 < learnt < 1.8 * 300 + 40
    assert fresh < 1.15 * 300 + 40


def test_a_damaged_file_is_no_matter(home: Path, server: Loopback) -> None:
    file = home / "chatrepl" / "data" / "calibrations.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"openai/what-1": {"mean": 1e400, "\xff')
    flags = ("--base-url", server.base_url, "-m", MODEL, "--context-window", "4096")
    done = run(*flags, "--load", history(home), "and now?", home=home)
    assert (done.returncode, done.stdout) == (0, "You said: and now?\n")
