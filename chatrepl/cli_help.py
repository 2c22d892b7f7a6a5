"""What --help, the manual page and docs/reference say besides the options' own few words."""

import textwrap
from typing import NamedTuple


class Variable(NamedTuple):
    """Variables of the environment, and what they are for."""

    names: tuple[str, ...]
    meaning: str


VARIABLES = (
    Variable(
        ("OPENAI_API_KEY", "OPENAI_BASE_URL"), "the key and the address for the provider openai"
    ),
    Variable(
        ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
        "the key, the address and the version of the API for the provider azure",
    ),
    Variable(
        ("OPENAI_API_BASE", "OPENAI_API_TYPE=azure"),
        "the names before openai 1.0, which still work",
    ),
    Variable(("CHATREPL_MODEL",), "the model; a flag goes before it"),
    Variable(("CHATREPL_CONFIG",), "the config file; --config goes before it"),
    Variable(("CHATREPL_HOME",), "one folder for config, data and cache"),
    Variable(
        ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
        "on Linux, the folders in which its own are, unless CHATREPL_HOME is set",
    ),
    Variable(
        ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"),
        "the proxy for such addresses or for all, and the hosts that are asked without one; "
        "a server on loopback always is",
    ),
    Variable(
        ("SSL_CERT_FILE", "SSL_CERT_DIR"),
        "a file or a folder of certificates to trust in the place of the usual ones",
    ),
    Variable(("ACCESSIBLE",), "for a screen reader, in every command, unless it is empty or 0"),
    Variable(("NO_COLOR",), "no colours"),
    Variable(
        ("FORCE_COLOR",),
        "colours in a pipe too, where there are any (a reply in a pipe has none)",
    ),
    Variable(("COLORFGBG",), "whether the background is dark or light, as some terminals tell"),
    Variable(("TERM",), "dumb: no control sequence at all"),
    Variable(
        ("LANG", "LC_ALL"),
        "what characters the output can have; another one becomes a question mark",
    ),
    Variable(("VISUAL", "EDITOR"), "the editor, the first that is set; else a usual one"),
    Variable(("PAGER",), "the pager; else less -R or more"),
    Variable(
        ("TMUX", "SSH_CONNECTION"),
        "whether /copy has to go through tmux, or through the terminal to another machine",
    ),
    Variable(
        ("SHELL", "ZDOTDIR"),
        "for --install-completion: the shell, if nothing else tells, and the folder of .zshrc",
    ),
)
"""The variables that are looked at. A provider of the config file may name one for its key."""


def places() -> str:
    """Give the end of --help: where settings come from."""
    names = ", ".join(name for variable in VARIABLES for name in variable.names)
    listed = textwrap.wrap(f"Variables: {names}.", 76, subsequent_indent="  ")
    config = "config.toml in the platform's config directory, or --config, or CHATREPL_CONFIG"
    return "\n".join(["", f"Settings: {config}.", *listed, ""])


FULLER = {
    "--system": "the system message, which sets a persona; @FILE reads it from a file",
    "--persona": "a persona: system message, examples, settings; chatrepl personas lists them",
    "--model": "the model; provider/model and the path of a GGUF file work too",
    "--provider": "who answers: openai, azure, embedded, or one of the config file",
    "--base-url": "where an OpenAI-compatible API is, such as http://localhost:11434/v1",
    "--max-tokens": "the longest reply, in tokens; by default a quarter of the window, at most "
    "4,096 and what the model can give",
    "--temperature": "how freely words are picked, from 0 to 2; not sent to reasoning models, "
    "which refuse it",
    "--top-p": "the likeliest words that together have this share are picked from, 0 to 1",
    "--seed": "a number: the same request then mostly has the same reply",
    "--stop": "where a reply ends; may be given again",
    "--reasoning-effort": "how long a reasoning model thinks: none, minimal, low, medium, high, "
    "xhigh, as far as it knows them",
    "--set": "any of these, or any other parameter of the API, sent as it is: a value of JSON, "
    "else text. A name close to that of a setting is taken for a slip; may be given again",
    "--schema": "ask for JSON by the JSON Schema in FILE, or by fields: "
    "name:str,age:int,tags:list[str]",
    "--context-window": "the model's context window in tokens, where it is not known or not wanted "
    "whole",
    "--overflow": "what to do when the window is full: trim, ask or summarize",
    "--file": "attach a file, a folder or a pattern ('src/*.py') to the message; may be repeated",
    "--load": "begin with a JSON array of OpenAI messages; without a prompt, a user message at "
    "its end is answered",
    "--resume": "go on with a session: its id, or words of its title or of a message",
    "--code": "print only the fenced code blocks of the reply, once it is whole",
    "--quiet": "no notices, only errors; for one answer, so it needs a prompt or standard input",
    "--dry-run": "show what would be sent and send nothing; with the parameters as the model gets "
    "them; with --json as one object, with the counts and what is left out",
    "--plain": "show replies as text, without a spinner",
    "--verbose": "show every request on standard error as it leaves, without the secrets, and the "
    "status of the answer",
    "--install-completion": "have SHELL complete chatrepl by Tab: bash, zsh or fish; unless named, "
    "the shell that runs this; what is written is said",
    "--show-completion": "print the script that does that",
}
"""What options of `chatrepl` mean, where there is more to say than --help has room for."""

TAKES = {"--install-completion": "[SHELL]", "--show-completion": "[SHELL]"}
"""What may stand behind an option that has no value by typer's rules."""
