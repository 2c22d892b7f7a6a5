"""Every fault of a server or a network, as a table: what the server does, what the user sees.

`python -m tests.support.faults` runs each in the real program and prints docs/faults.md.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support.asking import KEY, dead_url, self_signed, wire
from tests.support.loopback import (
    Cut,
    Loopback,
    Part,
    Received,
    Reply,
    chunk,
    fails,
    loopback,
    says,
    with_window,
)
from tests.support.program import run

SILENCE = 30.0  # seconds, much longer than any test waits

Serve = Callable[[Loopback, ExitStack], str]
"""Sets the server up, and gives the address to ask if it is another one."""

NO_PROXIES = dict.fromkeys(
    [name for upper in ("HTTP", "HTTPS", "ALL") for name in (f"{upper}_PROXY", f"{upper}_proxy")]
    + ["http_proxy", "https_proxy", "all_proxy"],
    "",
)


@dataclass(frozen=True, eq=False)
class Case:
    """One fault. `name` says what happens, to somebody who never saw the API.

    `one_shot` are words that must be on stderr, and `step` is a pattern for what to do next;
    `reply` is what stdout must keep. `repl` are words that must be on the screen in the REPL: the
    same, unless it says more. `back` is what the REPL has after it: the text at the prompt, a
    part of the reply kept, or a whole reply. `requests` is how often the server is asked.

    `keys` answer what the REPL asks. `again` is what can be said next where the text itself can
    not. `settings` are lines of the provider's table.
    """

    name: str
    serve: Serve
    status: int
    one_shot: tuple[str, ...] = ()
    step: str = ""
    reply: str = ""
    repl: tuple[str, ...] = ()
    back: Literal["prompt", "partial", "reply"] = "prompt"
    requests: int | None = 1
    prompt: str = "hello"
    again: str = ""
    keys: str = ""
    model: str = "gpt-4"
    provider: str = "openai"
    settings: str = "retries = 2"
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Stage:
    """A server that is about to fail, and how to ask it."""

    server: Loopback
    stranger: Loopback
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    address: str

    @property
    def elsewhere(self) -> bool:
        """Whether the fault is at another address than the server's, where it will stay."""
        return not self.address.startswith(self.server.root)

    def anonymous(self, text: str) -> str:
        """Take the address out of a text, and what differs from run to run."""
        host = re.sub(r"^\w+://([^/]*).*", r"\1", self.address)
        text = text.replace(self.stranger.root, "http://OTHER").replace(host, "HOST")
        text = re.sub(r"Temporary failure in name resolution|No address .*?hostname", NO_NAME, text)
        text = re.sub(r"[^\s(]*/config\.toml", "FILE", text)
        text = re.sub(r" \(_ssl\.c:\d+\)", "", text)
        return re.sub(r"in 0\.[345] s", "in 0.5 s", text)  # the jitter


NO_NAME = "Name or service not known"


@contextmanager
def staged(case: Case, home: Path) -> Iterator[Stage]:
    """Start a server that fails as the case says, with a config file to ask it by."""
    with ExitStack() as stack:
        server = stack.enter_context(loopback())
        stranger = stack.enter_context(loopback())
        server.tells["/other"] = {"root": stranger.root}
        address = case.serve(server, stack) or server.base_url
        if case.provider == "azure":
            address = server.root
        place = "" if case.provider == "azure" else f'base_url = "{address}"\n'
        file = home / "config.toml"
        file.write_text(
            f"[providers.{case.provider}]\n{place}{case.settings}\n"
            f'[providers.other]\nbase_url = "{server.base_url}"\n'
        )
        flags = ("--config", str(file), "--provider", case.provider, "-m", case.model)
        keys = {"OPENAI_API_KEY": KEY, "AZURE_OPENAI_API_KEY": KEY}
        where = {"AZURE_OPENAI_ENDPOINT": server.root} if case.provider == "azure" else {}
        yield Stage(server, stranger, flags, {**keys, **where, **case.env}, address)


@dataclass(frozen=True)
class Seen:
    """What a run showed, without addresses, and what reached the servers."""

    status: int
    stdout: str
    stderr: str
    requests: list[Received]
    strangers: list[Received]


def one_shot(case: Case) -> Seen:
    """Run a case through pipes."""
    with tempfile.TemporaryDirectory() as folder, staged(case, Path(folder)) as stage:
        done = run(*stage.arguments, case.prompt, home=Path(folder), env=stage.env)
        strangers = [*stage.stranger.requests, *stage.stranger.asked]
        return Seen(
            done.returncode,
            stage.anonymous(done.stdout),
            stage.anonymous(done.stderr),
            stage.server.requests,
            strangers,
        )


@contextmanager
def all_running() -> Iterator[Callable[[Case], Seen]]:
    """Run every case through pipes, a few at a time, and give what each has shown."""
    pool = ThreadPoolExecutor(4)
    try:
        runs = {case: pool.submit(one_shot, case) for case in CASES}
        yield lambda case: runs[case].result()
    finally:
        pool.shutdown(cancel_futures=True)


# What servers do.


def answers(*replies: Reply) -> Serve:
    def serve(server: Loopback, _: ExitStack) -> str:
        server.then(*replies)
        return ""

    return serve


def pieces(*parts: Part | str, finish: str | None = "stop", done: bool = True) -> Serve:
    """A stream of texts, and of what happens between them."""
    stream = [chunk({"content": part}) if isinstance(part, str) else part for part in parts]
    return answers(Reply([*stream, *([chunk({}, finish)] if finish else [])], done=done))


def streams(*deltas: dict[str, Any], finish: str = "stop") -> Serve:
    return answers(Reply([*map(chunk, deltas), chunk({}, finish)]))


def nobody(_: Loopback, __: ExitStack) -> str:
    return dead_url() + "/v1"


def no_such_name(_: Loopback, __: ExitStack) -> str:
    return "http://no-such-host.invalid/v1"


def self_made_certificate(_: Loopback, stack: ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port, _got = stack.enter_context(wire(b"", tls=self_signed(folder)))
    return f"https://127.0.0.1:{port}/v1"


def without_the_model(server: Loopback, _: ExitStack) -> str:
    names = ("gpt-4-turbo", "gpt-4o", "o3-mini", "text-embedding-3-small")
    server.tells["/v1/models"] = {"object": "list", "data": [{"id": name} for name in names]}
    words = "The model `gpt-4-tubro` does not exist or you do not have access to it."
    server.then(fails(404, words, code="model_not_found", type="invalid_request_error"))
    return ""


def with_a_small_window(server: Loopback, _: ExitStack) -> str:
    server.usual = with_window(30)
    return ""


def sends_away(server: Loopback, _: ExitStack) -> str:
    told = server.tells["/other"]
    assert isinstance(told, dict)
    location = f"{told['root']}/v1/chat/completions"
    server.then(Reply(status=307, body={}, headers={"location": location}))
    return ""


def split_characters() -> Serve:
    """Each character of several bytes is cut in the middle, and the halves come apart."""
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "Gr\xc3'
    rest = "üße, 漢字 👍".encode().removeprefix(b"\xc3")
    more = [rest[:1], *(rest[n : n + 2] for n in range(1, len(rest), 2))]
    parts: list[Part] = [event]
    for piece in more:
        parts += [0.02, piece]
    return pieces(*parts, b'"}}]}\n\n')


FILTERED: dict[str, Any] = {
    "code": "content_filter",
    "param": "prompt",
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": True, "severity": "high"},
            "jailbreak": {"detected": True, "filtered": True},
            "self_harm": {"filtered": False, "severity": "safe"},
            "violence": {"filtered": True, "severity": "medium"},
        },
    },
}

ROLES = "Conversation roles must alternate user/assistant/user/assistant/..."
ONCE = "retries = 1"
NEVER = "retries = 0"
HALF = "Half a sentence"
HINT = r"^(Ask|Change|Check|Choose|Leave|Look|Remove|Say|Set|Start|Try|Use) "
INVALID: dict[str, Any] = {"type": "invalid_request_error"}


CASES: tuple[Case, ...] = (
    Case(
        "Nobody listens at the address",
        nobody,
        8,
        ("No connection to openai (HOST)", "refused"),
        "base_url",
        requests=0,
        settings=NEVER,
    ),
    Case(
        "The server's name is not found",
        no_such_name,
        8,
        ("No connection to openai (HOST)", "not known"),
        "base_url",
        requests=0,
        settings=NEVER,
        env=NO_PROXIES,
    ),
    Case(
        "Nobody known vouches for the server's certificate (TLS)",
        self_made_certificate,
        8,
        ("No secure connection to openai (HOST)", "certificate"),
        "SSL_CERT_FILE",
        requests=0,
        settings=NEVER,
    ),
    Case(
        "The key is wrong (401)",
        answers(fails(401, "Incorrect API key provided.", code="invalid_api_key")),
        3,
        ("openai (HOST) did not accept the key", "Incorrect API key provided."),
        "OPENAI_API_KEY",
    ),
    Case(
        "The key may not do this (403)",
        answers(fails(403, "Your country is not supported.")),
        3,
        ("openai (HOST) refused access", "Your country is not supported."),
        "OPENAI_API_KEY",
    ),
    Case(
        "The server has no such model (404)",
        without_the_model,
        8,
        ("does not know the model 'gpt-4-tubro'", "gpt-4-turbo"),
        "Did you mean",
        model="gpt-4-tubro",
        settings='[models."gpt-4-tubro"]\ncontext_window = 8192',
    ),
    Case(
        "Too many requests, and the server says how long to wait (429 with Retry-After)",
        answers(fails(429, "Rate limit reached.", {"Retry-After": "1"}), says("Here I am.")),
        0,
        ("Rate limit reached. Trying again in 1.0 s (1 of 2)",),
        reply="Here I am.",
        back="reply",
        requests=2,
    ),
    Case(
        "Too many requests, each time (429)",
        answers(*[fails(429, "Rate limit reached.")] * 2),
        4,
        ("openai (HOST) limits the rate", "Rate limit reached.", "(1 of 1)"),
        "again",
        requests=2,
        settings=ONCE,
    ),
    Case(
        "The account's quota is used up (429 insufficient_quota)",
        answers(fails(429, "You exceeded your current quota.", code="insufficient_quota")),
        4,
        ("The quota at openai (HOST) is used up", "You exceeded your current quota."),
        "billing",
    ),
    Case(
        "The server fails once (500)",
        answers(fails(500, "The server had an error."), says("Here I am.")),
        0,
        ("failed with status 500", "The server had an error. Trying again in 0.5 s (1 of 1)"),
        reply="Here I am.",
        back="reply",
        requests=2,
        settings=ONCE,
    ),
    Case(
        "The server fails each time (500)",
        answers(*[fails(500, "The server had an error.")] * 2),
        8,
        ("openai (HOST) failed with status 500", "The server had an error.", "(1 of 1)"),
        "again",
        requests=2,
        settings=ONCE,
    ),
    Case(
        "The message alone is too long for the server (400 context_length_exceeded)",
        with_a_small_window,
        5,
        ("window", "30"),
        "Shorten",
        requests=None,
        prompt=" ".join("abcdefghijklmnopqrstuvwxyz"),
        again="hi",
        settings=ONCE,
    ),
    Case(
        "The request might pass a cap of the budget",
        answers(),
        10,
        (
            "This request may take up to 2,081 tokens; 0 of the session's 2,070 tokens are spent",
            "(budget.session in FILE)",
        ),
        "Lower --max-tokens",
        requests=0,
        prompt=" ".join("abcdefghijklmnopqrstuvwxyz"),
        again="hi",
        repl=("This request may take up to 2,081 tokens", "send it all the same", "y/n>"),
        keys="n\r",
        settings='[budget]\nsession = "2_070 tokens"',
    ),
    Case(
        "The server does not know a parameter that can be named otherwise or left out (400)",
        answers(
            fails(
                400,
                "Use 'max_completion_tokens'.",
                code="unsupported_parameter",
                param="max_tokens",
            ),
            says("Here I am."),
        ),
        0,
        reply="Here I am.",
        back="reply",
        requests=2,
    ),
    Case(
        "The server does not know a parameter that it needs (400 unknown_parameter)",
        answers(fails(400, "Unknown: 'stream'.", code="unknown_parameter", param="stream")),
        8,
        ("openai (HOST) does not take the parameter 'stream'", "Unknown: 'stream'."),
        "parameters",
    ),
    Case(
        "The server finds the request invalid (400 invalid_request_error)",
        answers(fails(400, "Invalid value for 'temperature'.", param="temperature", **INVALID)),
        8,
        ("openai (HOST) refused the request", "Invalid value for 'temperature'."),
        HINT,
    ),
    Case(
        "The model's template does not take the roles (400)",
        answers(fails(400, ROLES, **INVALID)),
        8,
        ("openai (HOST) refused the request", "Conversation roles must alternate"),
        HINT,
    ),
    Case(
        "The model takes no system message (400 unsupported_value)",
        answers(
            fails(
                400,
                "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                code="unsupported_value",
                param="messages[0].role",
                **INVALID,
            )
        ),
        8,
        ("openai (HOST)", "does not support 'system' with this model."),
        r"^(?!openai).*system",
    ),
    Case(
        "A filter refuses the prompt (400 content_filter)",
        answers(fails(400, "The prompt was flagged.", code="content_filter")),
        6,
        ("The content filter of openai (HOST) refused the prompt",),
        "other words",
    ),
    Case(
        "Azure's filter refuses the prompt, and names the categories",
        answers(fails(400, "The response was filtered.", **FILTERED)),
        6,
        ("The content filter of azure (HOST) refused the prompt (hate, jailbreak, violence)",),
        "other words",
        provider="azure",
    ),
    Case(
        "The connection is reset before anything came",
        answers(*[Reply(status=0)] * 2),
        8,
        ("openai (HOST) closed the connection", "Trying again in 0.5 s (1 of 1)"),
        "again",
        requests=2,
        settings=ONCE,
    ),
    Case(
        "The connection is reset in the middle of the reply",
        pieces("Half a ", "sentence", 0.2, Cut()),
        8,
        ("openai (HOST) closed the connection",),
        "again",
        reply=HALF,
        back="partial",
    ),
    Case(
        "The reply ends without a sign that it is whole (no finish_reason, no [DONE])",
        pieces("Half a ", "sentence", finish=None, done=False),
        8,
        ("may be incomplete",),
        r"/continue|/retry|again",
        reply=HALF,
        back="partial",
    ),
    Case(
        "The server falls silent in the middle of the reply",
        pieces("Half a ", "sentence", SILENCE),
        8,
        ("openai (HOST)", "0.5"),
        r"again|stall_timeout",
        reply=HALF,
        repl=("Nothing has come for", "Still waiting: r asks again, k keeps what came."),
        back="partial",
        keys="k",
        settings="stall_timeout = 0.5",
    ),
    Case(
        "The server is silent from the beginning of the reply",
        pieces(SILENCE),
        8,
        ("openai (HOST)", "0.5"),
        r"again|stall_timeout",
        repl=("Nothing has come for", "Still waiting: r asks again"),
        keys="k",
        settings="stall_timeout = 0.5\nretries = 0",
    ),
    Case(
        "A piece of the reply is broken (no JSON)",
        pieces("Half a ", "sentence", b'data: {"choices": [{"delta\n\n', "never"),
        8,
        ("openai (HOST) sent an event that is no chat completion",),
        HINT,
        reply=HALF,
        back="partial",
    ),
    Case(
        "A web page comes instead of a reply (status 200)",
        answers(Reply(body=b"<!doctype html><html><body>Welcome</body></html>")),
        8,
        ("openai (HOST) answered with something that is no chat completion",),
        "base_url",
    ),
    Case("The reply is empty", pieces(""), 8, ("The reply was empty",), r"/retry|again|Ask"),
    Case(
        "The answer has no choices, and so no reply",
        answers(Reply([chunk()])),
        8,
        ("empty",),
        r"/retry|again|Ask",
    ),
    Case(
        "The reply reaches max_tokens (finish_reason length)",
        pieces("Half a ", "sentence", finish="length"),
        7,
        ("The reply was cut off: it reached max_tokens (2,048)",),
        r"/continue|[Rr]aise|--max-tokens",
        reply=HALF,
        repl=("The reply was cut off: it reached max_tokens (2,048)", "/continue"),
        back="partial",
    ),
    Case(
        "A filter cuts the reply off (finish_reason content_filter)",
        pieces("Half a ", "sentence", finish="content_filter"),
        6,
        ("The reply was cut off by the server's content filter",),
        r"words|/retry|again",
        reply=HALF,
        back="partial",
    ),
    Case(
        "The model refuses (delta.refusal)",
        streams({"refusal": "I can't "}, {"refusal": "help."}),
        0,
        reply="I can't help.",
        back="reply",
    ),
    Case(
        "The model asks for a tool call, which nobody offered",
        streams(
            {"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "search"}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
            finish="tool_calls",
        ),
        8,
        ("tool call",),
        r"/retry|again|Ask|other words",
    ),
    Case(
        "The model reasons before it answers (reasoning_content)",
        streams(
            {"reasoning_content": "They greet me. "},
            {"reasoning_content": "So do I."},
            {"content": "Hello to you."},
        ),
        0,
        reply="Hello to you.",
        back="reply",
    ),
    Case(
        "A character comes in two halves, in two packets",
        split_characters(),
        0,
        reply="Grüße, 漢字 👍",
        back="reply",
    ),
    Case(
        "The server redirects to another host",
        sends_away,
        8,
        ("openai (HOST) redirects to http://OTHER/v1/chat/completions",),
        "base_url",
    ),
)


# The page.

HEAD = """\
# Faults

What can go wrong between chatrepl and a server, what you see then, and the exit status of a
one-shot. No fault ends a chat: the next message works. Italics are what came of a reply, HOST
stands for the server's address, the words after a colon are mostly the server's own, and waits
before a retry vary a little at random.

This page is made from the cases that the tests run, by `python -m tests.support.faults`.

| What happens | What you see | What to do next | Status | In a chat |
|---|---|---|---|---|
"""

BACK = {
    "prompt": "your text is back at the prompt",
    "partial": "what came is kept",
    "reply": "the reply is kept",
}


def page(run_of: Callable[[Case], Seen]) -> str:
    """Give docs/faults.md, of what each case has shown."""
    return HEAD + "".join(row(case, run_of(case)) for case in CASES)


def row(case: Case, seen: Seen) -> str:
    lines = seen.stderr.splitlines()
    has_step = len(lines) > 1 and "Trying again in" not in lines[-1]
    step = lines.pop() if has_step else ""
    said = [f"*{line}*" for line in map(escaped, seen.stdout.splitlines())]
    told = list(map(escaped, lines))
    see = "<br>".join(told + said if case.back == "reply" else said + told)
    in_chat = BACK[case.back]
    if case.repl:
        in_chat = f"“{' … '.join(case.repl)}”; {in_chat}"
    cells = (escaped(case.name), see, escaped(step), str(seen.status), in_chat)
    return f"| {' | '.join(cell or '—' for cell in cells)} |\n"


def escaped(text: str) -> str:
    return re.sub(r"([\\`*|<>\[\]])", r"\\\1", text)


if __name__ == "__main__":
    with all_running() as run_of:
        print(page(run_of), end="")
