"""Calibration: what a server's own counts teach about how it counts.

tiktoken counts as OpenAI's models do. For any other tokenizer its count is an estimate, which
each reply's `usage.prompt_tokens` corrects: what a message cost is known once it has been sent,
and what a new one will cost is taken from how far the earlier estimates were off.
"""

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from chatrepl.chat.attachments import Attachment
from chatrepl.chat.extras import NOTHING, Extra
from chatrepl.chat.messages import Message
from chatrepl.chat.tokens import PRIMING, TokenCounter

_TELLING = 40  # tokens; a shorter text says less of a tokenizer: much of it is frame
_SHORT = 20  # tokens; what a server counts more in so short a talk is its template's own words
_PLAUSIBLE = (0.5, 4.0)  # tokens of another tokenizer for one of ours
_FRAME = 16  # what a server's template may add to a message or leave out, in tokens
_ROUNDING = 3  # tokens by which a count may be off whatever the tokenizer
_GAIN = 1 / 8
_SETTLED = 1.0  # long messages after which a spread can be believed


@dataclass(slots=True)
class Scale:
    """How many tokens a server makes of one of ours.

    `mean` over the latest messages and `spread`, the mean distance from it, are kept as TCP keeps
    its estimate of how long an answer takes (RFC 6298). `weight` tells how much has taught them.
    The start leaves a tenth of room.
    """

    mean: float = 1.0
    spread: float = 0.05
    weight: float = 0.0

    @property
    def safe(self) -> float:
        """The factor that few messages exceed."""
        spread = self.spread if self.weight >= _SETTLED else max(self.spread, 0.05)
        return 1.02 * self.mean + 2 * spread

    def learn(self, theirs: int, ours: int) -> None:
        """Take in what the server counted in a text of which we counted `ours` tokens."""
        weight = min(1.0, ours / _TELLING)
        self.weight += weight
        gain = weight * max(_GAIN, 1 / self.weight)
        error = theirs / ours - self.mean
        self.mean += error * gain
        distance = max(0.0, abs(error) - _ROUNDING / ours) * (1 - gain)
        self.spread += (distance - self.spread) * min(1.0, 2 * gain)


class Calibration:
    """What messages cost by a server's count, as far as that is known.

    `scale` is what is known from before, `extra` what each request has beside its messages.
    `last` is the latest request's cost as it was estimated and as the server counted it.
    """

    def __init__(
        self, counter: TokenCounter, scale: Scale | None = None, extra: Extra = NOTHING
    ) -> None:
        self.counter = counter
        self.scale = scale or Scale()
        self.extra = extra
        self._counted_extra: tuple[Extra, int] | None = None  # by the server
        self.last: tuple[int, int] | None = None
        self.taught = False
        # A scale was only ever learnt where the name did not say it all.
        self._contradicted = self.scale.weight > 0
        self._frame = 0  # what the server adds to every request
        self._measured: dict[Message, int] = {}
        self._waiting: list[Callable[[], None]] = []
        self._learning = threading.RLock()  # the toolbar counts beside the prompt
        self._catching_up = False

    @property
    def exact(self) -> bool:
        """Whether costs are exact: the model's own encoding, and no server that says otherwise."""
        self._catch_up()
        return self.counter.exact and not self._contradicted

    @property
    def about(self) -> str:
        """Give "≈" where costs are estimates, else nothing."""
        if not self.exact:
            return "≈"
        return "" if not self.extra.text or self._server_counted_extra is not None else "≈"

    @property
    def factor(self) -> float:
        """How many tokens, on the safe side, the server makes of one of ours."""
        return 1.0 if self.exact else self.scale.safe

    def cost(self, message: Message) -> int:
        """Give a message's tokens: as the server counted it, else the estimate, rounded up."""
        if self.exact:
            return self.counter.message(message)
        known = self._measured.get(message)
        if known is not None:
            return known
        return math.ceil(self.counter.message(message) * self.scale.safe)

    def attachment(self, attachment: Attachment) -> int:
        """Give the tokens of what is attached, or the estimate, rounded up."""
        return math.ceil(self.counter.attachment(attachment) * self.factor)

    def request(self, messages: Iterable[Message]) -> int:
        """Give what a whole request costs."""
        return self.overhead + sum(map(self.cost, messages))

    @property
    def overhead(self) -> int:
        """What a request costs beside its messages."""
        return self._own_overhead + self.extra_tokens

    @property
    def extra_tokens(self) -> int:
        """What `extra` costs: as the server counted it last, else as JSON, rounded up."""
        if not self.extra.text:
            return 0
        self._catch_up()
        known = self._server_counted_extra
        if known is not None:
            return known
        return math.ceil(self.counter.text(self.extra.text) * self.factor)

    @property
    def _server_counted_extra(self) -> int | None:
        known = self._counted_extra
        return known[1] if known and known[0] == self.extra else None

    @property
    def _own_overhead(self) -> int:
        return PRIMING + (0 if self.exact else self._frame)

    def _bare(self, messages: Iterable[Message]) -> int:
        return self._own_overhead + sum(map(self.cost, messages))

    def surely_within(self, messages: Iterable[Message], limit: int) -> bool:
        """Whether a request can't exceed a limit, where that is known without counting."""
        if self.counter.loaded:
            self._catch_up()
        more = max(1.0, self.scale.safe) if self._contradicted or self.scale.weight else 1.0
        known = self._server_counted_extra
        extra = len(self.extra.text.encode(errors="replace")) if known is None else 0
        room = limit - self._frame - (known or 0)
        return self.counter.surely_within(messages, int(room / more) - extra)

    def observe(
        self, messages: Sequence[Message], prompt_tokens: int, *, refused: bool = False
    ) -> None:
        """Take in how many tokens the server counted in a request, which it may have refused.

        Nothing is loaded for that: it is kept until something has to be counted.
        """
        self._contradicted = self._contradicted or refused
        self._waiting.append(partial(self._learn, tuple(messages), prompt_tokens, refused))
        if self.counter.loaded:
            self._catch_up()

    def observe_extra(self, messages: Sequence[Message], prompt_tokens: int, extra: Extra) -> None:
        """Take in how many tokens the server counted in a request with something beside.

        That teaches what it costs, and nothing of the tokenizer: who knows how it is written.
        """
        learn = partial(self._learn_extra, tuple(messages), prompt_tokens, extra)
        self._waiting.append(learn)
        if self.counter.loaded:
            self._catch_up()

    def observe_reply(self, reply: Message, completion_tokens: int) -> None:
        """Take in how many tokens the server counted in a reply, which the next request holds."""
        self._waiting.append(partial(self._learn_reply, reply, completion_tokens))

    def _catch_up(self) -> None:
        if not self._waiting:
            return
        with self._learning:
            if self._catching_up:  # learning asks for costs itself
                return
            self._catching_up = True
            try:
                while self._waiting:
                    self._waiting.pop(0)()
            finally:
                self._catching_up = False

    def _learn(self, messages: tuple[Message, ...], theirs: int, refused: bool) -> None:
        ours = self.counter.request(messages)
        if self.counter.exact and not self._contradicted:
            if theirs <= ours * 1.03 + _FRAME:
                return
            self._contradicted = True  # another model than the name says
        if theirs < ours * _PLAUSIBLE[0]:
            return  # the server cut the prompt silently, or left out what it had in its cache
        self.last = self._bare(messages), theirs
        new = [message for message in messages if message not in self._measured]
        share = theirs - self._bare(m for m in messages if m in self._measured)
        raw = sum(map(self.counter.message, new))
        if not new or not _is_plausible(share, raw):
            # What was thought of the earlier messages is wrong: begin again with all of them.
            self._measured.clear()
            self._frame = 0
            new, share, raw = list(messages), theirs - PRIMING, ours - PRIMING
        least, most = _PLAUSIBLE
        if refused:  # what the server adds by itself would have been too much alone
            share = min(share, math.floor(raw * most))
        is_extra = share > raw * most + 4 * _FRAME or (not self._measured and raw < _SHORT)
        if share > raw and is_extra:
            fair = min(share, round(raw * max(1.0, self.scale.mean)))
            self._frame, share = share - fair, fair  # words that the server adds by itself
        elif share >= raw * least and raw >= _SHORT and not any(m.images for m in new):
            self.scale.learn(share, raw)
            self.taught = True
        share = max(share, math.ceil(raw * least))
        for message in new:
            self._measured[message] = max(1, round(share * self.counter.message(message) / raw))

    def _learn_extra(self, messages: tuple[Message, ...], theirs: int, extra: Extra) -> None:
        if theirs < self.counter.request(messages) * _PLAUSIBLE[0]:
            return  # as in `_learn`
        self._counted_extra = extra, max(0, theirs - self._bare(messages))

    def _learn_reply(self, reply: Message, completion_tokens: int) -> None:
        ours = self.counter.message(reply)
        frame = self.counter.message(Message(reply.role, ""))
        theirs = completion_tokens + math.ceil(frame * self.scale.safe)
        if not self.exact and _is_plausible(theirs, ours):
            self._measured[reply] = theirs
            if ours >= _SHORT + frame:  # no template stands around it: the cleanest sample
                self.scale.learn(completion_tokens, ours - frame)
                self.taught = True


def _is_plausible(theirs: int, ours: int) -> bool:
    least, most = _PLAUSIBLE
    return ours * least - _FRAME <= theirs <= ours * most + _FRAME
