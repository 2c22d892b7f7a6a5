"""Importing the openai package without the types that a chat never touches: half of its import.

The packages that hold them are put in place unread. A module below one of them is found as usual,
and the package itself is read when anything else of it is first asked for.
"""

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["UNREAD", "import_openai", "openai"]

UNREAD = ("openai.types", "openai.types.shared", "openai.lib")
_FUNCTIONS = {"pydantic_function_tool", "pydantic_responses_function_tool"}  # openai names them


class _Unread(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or PathFinder.find_spec(f"{self.__name__}.{name}", self.__path__):
            raise AttributeError(name)  # there is none; or the import system looks for it now
        if name in _FUNCTIONS:
            return self._once_called(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None and self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)

    def _once_called(self, name: str) -> Callable[..., Any]:
        def function(*args: Any, **kwargs: Any) -> Any:
            _FUNCTIONS.discard(name)
            return getattr(self, name)(*args, **kwargs)

        return function


def import_openai(unread: tuple[str, ...] = UNREAD) -> ModuleType:
    """Import openai; plainly, if a release of it is made in another way."""
    if "openai" in sys.modules:
        return sys.modules["openai"]
    try:
        for name in unread:
            root = find_spec("openai")  # of a top-level package: that does not import it
            assert root is not None and root.submodule_search_locations is not None
            folder = "/".join([root.submodule_search_locations[0], *name.split(".")[1:-1]])
            spec = PathFinder.find_spec(name, [folder])
            assert spec is not None
            module = module_from_spec(spec)
            module.__class__ = _Unread
            sys.modules[name] = module
        importlib.import_module("openai")
        for name in unread:  # as an import does
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, sys.modules[name])
    except Exception:  # noqa: BLE001 - whatever it is, the plain import decides
        for name in [name for name in sys.modules if name.split(".")[0] == "openai"]:
            del sys.modules[name]
    return importlib.import_module("openai")


if TYPE_CHECKING:
    import openai
else:
    openai = import_openai()
