"""Everything that can go wrong, as one tree.

    ChatreplError                status 1   anything unforeseen
    ├── StorageError                1   the session database can't be read or written
    ├── SettingsError                   2   usage, configuration, an unknown name
    ├── AuthenticationError             3   401, 403
    ├── RateLimitError                  4   429; `QuotaError` when waiting can't help
    │   └── QuotaError                  4
    ├── PromptTooLongError              5   the prompt does not fit the window
    │   ├── WindowFullError             5   something would have to be left out, and the user
    │   │                                   wants to be asked
    │   └── ContextOverflowError        5   the server counted more tokens than its window holds
    ├── ContentFilterError              6   the server's filter refused the prompt
    ├── UnfitReplyError                 9   the reply is whole, but not what was asked for
    ├── BudgetError                     10  the request might pass a cap of the budget
    └── ServerError                     8   network or server
        ├── ConnectionFailedError       8   refused, no such host, TLS, proxy
        ├── StreamInterruptedError      8   the stream was cut or fell silent
        ├── BadReplyError               8   the answer is no chat completion
        └── RequestRefusedError         8   400, 404, 422: the server will not have this request
            └── UnsupportedParameterError   8   it names the parameter that it will not have

Status 7 (the reply was cut off by max_tokens) and status 6 for a filtered reply are
outcomes, not errors: see `chatrepl.chat.events.Finished`. Status 130 is Ctrl-C.

An error's text says what happened and in which setting or server; its hint says what to do
next, in a chat followed by its commands. All are plain text of one line and may be shown as
they are.
"""

from typing import ClassVar


class ChatreplError(Exception):
    """Something a person should be told.

    `hint` is the next step, or empty; `commands` names the slash commands that take it, which
    only a chat has. `retry_after` is how many seconds the server asked to
    wait. `retryable` says whether the same request may succeed a moment later, `checkable` whether
    `chatrepl doctor` finds out more; it also names the page that says the most.
    """

    status: ClassVar[int] = 1
    checkable: ClassVar[bool] = False
    retryable: bool = False
    commands: str = ""

    def __init__(self, text: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.retry_after = retry_after


class SettingsError(ChatreplError):
    """Bad usage or configuration: a flag, a file, a key, a name."""

    status = 2


class StorageError(ChatreplError):
    """The session database can't be opened, read or written. No chat ends for that."""


class AuthenticationError(ChatreplError):
    """The server did not accept the key (401), or the key may not do this (403)."""

    status = 3
    checkable = True


class RateLimitError(ChatreplError):
    """Too many requests (429): the same request may succeed after a wait."""

    status = 4
    retryable = True


class QuotaError(RateLimitError):
    """The account's quota is used up (429 `insufficient_quota`): waiting does not help."""

    retryable = False


class PromptTooLongError(ChatreplError):
    """What must be sent exceeds the window: system message, examples, pins, the new message."""

    status = 5


class WindowFullError(PromptTooLongError):
    """Exchanges would have to be left out, and the user wants to be asked first."""


class ContextOverflowError(PromptTooLongError):
    """The server says that the prompt exceeds its context window.

    `prompt_tokens` and `context_window` are its own numbers, in tokens, where it told them.
    """

    def __init__(
        self, text: str, hint: str, *, prompt_tokens: int | None, context_window: int | None
    ) -> None:
        super().__init__(text, hint)
        self.prompt_tokens = prompt_tokens
        self.context_window = context_window


class ContentFilterError(ChatreplError):
    """The prompt was refused by a content filter (Azure: 400 `content_filter`)."""

    status = 6


class UnfitReplyError(ChatreplError):
    """A whole reply that is not what was asked for: no JSON by the schema, or without code."""

    status = 9


class BudgetError(ChatreplError):
    """What the request may take at most would pass a cap of the budget: it was not sent."""

    status = 10


class ServerError(ChatreplError):
    """The server failed (5xx)."""

    status = 8
    retryable = True


class ConnectionFailedError(ServerError):
    """No connection: refused, no such host, TLS, a proxy, or no answer in time."""

    checkable = True


class StreamInterruptedError(ServerError):
    """The stream broke off, fell silent, or reported an error."""


class BadReplyError(ServerError):
    """The server answered with something that is no chat completion."""

    checkable = True
    retryable = False


class RequestRefusedError(ServerError):
    """The server will not have this request as it is (400, 404, 422)."""

    retryable = False


class UnsupportedParameterError(RequestRefusedError):
    """The server refuses a parameter by name; `parameter` is that name."""

    def __init__(self, text: str, hint: str, *, parameter: str) -> None:
        super().__init__(text, hint)
        self.parameter = parameter
