"""Where a provider is and how it is spoken to."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from chatrepl.errors import SettingsError

OPENAI_URL = "https://api.openai.com/v1"

NO_KEY = "none"
"""What is sent as a key where there is none: the client insists on one."""

CHECK_URL = "Check base_url: it must be an OpenAI-compatible API (it usually ends in /v1)."

_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1)$")
_VISIBLE = re.compile(r"[!-~]+")
_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is and how it is spoken to.

    `api_key` is NO_KEY for a server without keys, `base_url` None for OpenAI itself. `key_hint`
    says where the key is set, `model_hint` what to do when the server does not know the model.
    `timeout` is how many seconds the server may be silent.
    """

    name: str
    api_key: str
    key_hint: str
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 120.0
    model_hint: str = f"Set another model with -m. {CHECK_URL}"

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


def host_of(url: str | None) -> str:
    """Give host and port of a URL, without a name and password that may stand before them."""
    return re.sub(r"^\w+://([^/@]*@)?([^/?#]*).*", r"\2", url or "", flags=re.DOTALL)


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
