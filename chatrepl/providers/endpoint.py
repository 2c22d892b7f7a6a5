"""Where a provider is and how it is spoken to."""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from chatrepl.errors import ChatreplError, SettingsError

OPENAI_URL = "https://api.openai.com/v1"

NO_KEY = "none"
"""What is sent as a key where there is none: the client insists on one."""

CHECK_URL = "Check base_url: it must be an OpenAI-compatible API (it usually ends in /v1)."

_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1)$")
_VISIBLE = re.compile(r"[!-~]+")
_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_NAME = re.compile(
    r"authorization|cookie|token|secret|passw|credential|api_?-?key|(^|[-_])(auth|key)([-_]|$)",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_HIDDEN = "[hidden]"
_SHORT = 8  # what is shorter is hidden as a word of its own only: it may be part of many words


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is and how it is spoken to.

    `api_key` is NO_KEY for a server without keys, `base_url` None for OpenAI itself. `key_hint`
    says where the key is set, `model_hint` what to do when the server does not know the model.
    `timeout` is how many seconds the server may be silent. `log` is shown every request, `heard`
    is told the headers of every answer.
    """

    name: str
    api_key: str = field(repr=False)
    key_hint: str
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 120.0
    model_hint: str = f"Set another model (-m). {CHECK_URL}"
    log: Callable[[str], None] | None = None
    heard: Callable[[Mapping[str, str]], object] | None = None

    @property
    def has_key(self) -> bool:
        """Whether there is a key, and not just the word that stands for none."""
        return self.api_key != NO_KEY

    @property
    def server(self) -> str:
        """Name the server in messages: its host, or the provider's name."""
        host = host_of(self.base_url)
        return f"{self.name} ({host})" if host else self.name

    def check(self) -> None:
        """Raise SettingsError for a key or a header that HTTP can't carry."""
        if not _VISIBLE.fullmatch(self.api_key):
            text = f"The key of the provider '{self.name}' can't be one: it has odd characters."
            raise SettingsError(text, self.key_hint)
        for name, value in self.headers.items():
            if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
                text = f"The header '{name}' of the provider '{self.name}' can't be sent."
                raise SettingsError(text, "Header values are plain ASCII; check default_headers.")

    def hide(self, text: str) -> str:
        """Take the secrets out of a text: plain, quoted as in URLs, and in base64.

        They are the key, the headers whose names look like one, and what stands before the host
        in `base_url`, or in any other URL.
        """
        text = without_userinfo(text)
        for form in sorted(set(self._secret_forms()), key=len, reverse=True):
            pattern = re.escape(form)
            if len(form) < _SHORT:
                pattern = rf"(?<![\w-]){pattern}(?![\w-])"
            text = re.sub(pattern, _HIDDEN, text)
            if "…" in text:  # where a long text was cut, half a secret may stand
                beginnings = (form[:end] for end in range(len(form) - 1, 3, -1))
                if cut := next((each for each in beginnings if f"{each}…" in text), ""):
                    text = text.replace(f"{cut}…", f"{_HIDDEN}…")
        return text

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Take the secrets out of an error's text and hint as it passes."""
        try:
            yield
        except ChatreplError as error:
            error.text, error.hint = self.hide(error.text), self.hide(error.hint)
            error.args = (error.text,)
            raise

    def _secret_forms(self) -> Iterator[str]:
        user, password = _userinfo(self.base_url)
        secrets = [self.api_key] if self.has_key else []
        for name, value in self.headers.items():
            if is_secret_name(name):
                secrets += [value, *value.split()[-1:]]  # behind "Bearer"
        # A name beside a password is none; alone it is a token.
        secrets += [password] if password else [user]
        for secret in filter(None, secrets):
            yield from (secret, quote(secret, safe=""), quote(secret), _base64(secret))
            for pair in (f"{user}:{secret}", f"{secret}:", f":{secret}"):
                yield _base64(pair)


def without_userinfo(text: str) -> str:
    """Take the names and passwords out of the URLs in a text.

    >>> without_userinfo("http://me:secret@proxy:3128")
    'http://[hidden]@proxy:3128'
    """
    return _USERINFO.sub(f"{_HIDDEN}@", text)


def is_secret_name(name: str) -> bool:
    """Whether a header's name says that its value is a secret."""
    return bool(_SECRET_NAME.search(name))


def holds_secret(url: str | None) -> bool:
    """Whether a name or a password stands before a URL's host."""
    return any(_userinfo(url))


def _userinfo(url: str | None) -> tuple[str, str]:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return "", ""
    return unquote(parts.username or ""), unquote(parts.password or "")


def _base64(text: str) -> str:
    return b64encode(text.encode(errors="replace")).decode().rstrip("=")


def host_of(url: str | None) -> str:
    """Give host and port of a URL, without a name and password that may stand before them."""
    return re.sub(r"^\w+://([^/?#]*@)?([^/?#]*).*", r"\2", url or "", flags=re.DOTALL)


def is_loopback(url: str | None) -> bool:
    """Whether a URL leads to this very machine."""
    return bool(_LOOPBACK.match(_host(url)))


def is_nearby(url: str | None) -> bool:
    """Whether a URL leads to this machine or into its own network."""
    host = _host(url)
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return is_loopback(url) or host.endswith(".local")


def _host(url: str | None) -> str:
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""
