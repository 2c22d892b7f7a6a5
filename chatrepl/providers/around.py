"""A provider around another one: what it does not do itself, the inner one does."""

from collections.abc import Sequence

from chatrepl.chat.catalogue import Served
from chatrepl.chat.ports import Provider


class Around:
    """All of a provider but `stream`, by the one inside."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """Give the inner provider's name."""
        return self._inner.name

    @property
    def goes_on(self) -> bool:
        """Tell what the inner provider does."""
        return self._inner.goes_on

    def prepare(self) -> None:
        """Prepare the inner provider."""
        self._inner.prepare()

    def served(self) -> Sequence[Served]:
        """Ask the inner provider."""
        return self._inner.served()

    def look_up(self, model: str) -> Served | None:
        """Ask the inner provider."""
        return self._inner.look_up(model)

    def close(self) -> None:
        """Close the inner provider."""
        self._inner.close()
