"""Tree: every exchange of a session. A conversation is one path through it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.exchanges import Exchange, Exchanges


@dataclass(slots=True)
class Tree:
    """The exchanges by id, and which one each follows; 0 stands for the beginning.

    Nothing is ever taken out of it: another reply, or another message in the same place, is one
    more child. What the user pinned and dropped is kept for the paths that are not gone now.
    """

    exchanges: dict[int, Exchange] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    _children: dict[int, list[int]] = field(default_factory=dict)
    _gone_to: dict[int, int] = field(default_factory=dict)
    _pins: set[int] = field(default_factory=set)
    _drops: list[int] = field(default_factory=list)
    _last_id: int = 0

    def new_id(self) -> int:
        """Give an id that nothing has."""
        self._last_id += 1
        return self._last_id

    def reserve(self, exchange: int) -> None:
        """Leave an id to somebody else, and all before it."""
        self._last_id = max(self._last_id, exchange)

    def put(self, parent: int, exchange: Exchange) -> None:
        """Take in an exchange that follows `parent`, or its new state."""
        if exchange.id not in self.exchanges:
            self._children.setdefault(parent, []).append(exchange.id)
            self.parents[exchange.id] = parent
            self.reserve(exchange.id)
        self.exchanges[exchange.id] = exchange
        self._gone_to[parent] = exchange.id

    def adopt(self, conversation: Conversation) -> Conversation:
        """Take in a whole conversation whose exchanges have no ids yet, and give them theirs."""
        parent, said = 0, []
        for exchange in conversation.exchanges:
            said.append(replace(exchange, id=self.new_id()))
            self.put(parent, said[-1])
            parent = said[-1].id
        return replace(conversation, exchanges=said)

    def siblings(self, exchange: int) -> list[int]:
        """List what stands in one place, oldest first: the exchange itself and its alternatives."""
        return self._children[self.parents[exchange]]

    def place(self, exchange: int) -> tuple[int, int]:
        """Say which of its siblings an exchange is, from 1, and of how many."""
        if exchange not in self.exchanges:
            return 1, 1
        siblings = self.siblings(exchange)
        return siblings.index(exchange) + 1, len(siblings)

    def onward(self, exchange: int) -> int | None:
        """Give the child that was gone to last, if there is one."""
        return self._gone_to.get(exchange)

    def tip(self, exchange: int) -> int:
        """Follow what was gone to last, to its end."""
        while (child := self._gone_to.get(exchange)) is not None:
            exchange = child
        return exchange

    def leaves(self) -> list[int]:
        """List the ends of all paths, in the order in which they were begun."""
        return sorted(set(self.exchanges) - {p for p, below in self._children.items() if below})

    def path(self, exchange: int) -> list[Exchange]:
        """List the exchanges from the beginning up to one."""
        path = []
        while exchange:
            path.append(self.exchanges[exchange])
            exchange = self.parents[exchange]
        return path[::-1]

    def marked(self, pins: Iterable[int], drops: Iterable[int]) -> None:
        """Take in what was pinned and dropped, by ids; it holds for `follow`."""
        self._pins, self._drops = set(pins), list(drops)

    def marks(self, talk: Conversation) -> tuple[list[int], list[int]]:
        """Give what is pinned and what is dropped, by ids: on the talk's path, and elsewhere."""
        pins, drops = self._pins, self._drops
        if pins or drops or talk.pins or talk.drops:
            here = {exchange.id for exchange in talk.exchanges}
            pins = (pins - here) | {talk.exchanges[index].id for index in talk.pins}
            drops = [i for i in drops if i not in here]
            drops += [talk.exchanges[index].id for index in talk.drops]
        return sorted(pins), drops

    def follow(self, talk: Conversation, exchange: int) -> Conversation:
        """Leave the talk's path for the one that ends with an exchange (0: the beginning).

        System message and examples stay; a note stays if what it tells of is on both paths.
        """
        self.marked(*self.marks(talk))
        path = self.path(exchange)
        for each in path:
            self._gone_to[self.parents[each.id]] = each.id
        place = {each.id: index for index, each in enumerate(path)}
        said, note = Exchanges(path), talk.note
        if note is not None and [e.id for e in talk.exchanges[: note.end]] != [
            e.id for e in path[: note.end]
        ]:
            note = None
        return replace(
            talk,
            exchanges=said,
            pins=frozenset(place[i] for i in self._pins if i in place),
            drops=tuple(place[i] for i in self._drops if i in place),
            reminders=frozenset(
                index
                for index, each in enumerate(path)
                if any(message.role == "system" for message in each.messages)
            ),
            note=note,
        )
