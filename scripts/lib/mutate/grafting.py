"""Puts a changed module in the place of the one that was imported; in a fork, for it cannot be undone."""

import ast
import gc
from importlib.machinery import SourceFileLoader
from pathlib import Path
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[3]
_OURS: Final = ("custom_components.jkbms", "tests", "simulator", "scripts.lib.endure")


def stand_in() -> None:
    """Put an empty package in the integration's place: its own module imports Home Assistant."""
    package = ModuleType("custom_components.jkbms")
    package.__path__ = [str(ROOT / "custom_components" / "jkbms")]
    sys.modules[package.__name__] = package


class Functions:
    """The functions of a folder, by the place of their code."""

    def __init__(self, folder: Path) -> None:
        """Look for them among all objects."""
        self._found: dict[tuple[str, int, str], list[FunctionType]] = {}
        start = str(folder)
        for one in gc.get_objects():
            if type(one) is not FunctionType:
                continue
            if one.__code__.co_filename.startswith(start):
                self._found.setdefault(_place(one.__code__), []).append(one)

    def graft(self, code: CodeType) -> bool:
        """Give functions the code of a changed module; tell whether all could take it."""
        done = True
        places: set[tuple[str, int, str]] = set()
        for new in _codes(code):
            place = _place(new)
            for function in self._found.get(place, ()):
                old = function.__code__
                if old == new:
                    continue
                if place in places or old.co_freevars != new.co_freevars:
                    done = False
                    continue
                function.__code__ = new
            places.add(place)
        return done


def _codes(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(deeper for one in inner for deeper in _codes(one))]


def _place(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def compiled(tree: ast.Module, path: Path) -> CodeType:
    """Compile a changed module as if it stood in its file."""
    return compile(tree, str(path), "exec", dont_inherit=True)


def import_anew(path: Path, code: CodeType) -> None:
    """Forget what was imported of this project, so that the changed module is imported."""
    own = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == str(path) else own(self, fullname)

    for name in [name for name in sys.modules if name.startswith(_OURS)]:
        del sys.modules[name]
    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]  # nothing smaller hands out code without a file; the process ends with the mutant
    stand_in()
