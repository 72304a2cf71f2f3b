"""Puts a changed module in the place of the one that was imported; in a fork, for it cannot be undone."""

import ast
from collections.abc import Container, Iterable, Iterator
import gc
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
import re
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[3]
_STAND_IN: Final = "custom_components.jkbms"
_OURS: Final = (
    *(_STAND_IN, "tests", "simulator"),
    *("scripts.lib.soak", "scripts.lib.generate"),
)


def stand_in() -> None:
    """Put an empty package in the integration's place: its own module imports Home Assistant."""
    package = ModuleType(_STAND_IN)
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


def is_lone_constant(
    tree: ast.Module, top: ast.stmt, others: Iterable[str], imported: Container[int]
) -> bool:
    """Tell whether only functions of its own module read what a statement names.

    Then it is enough to execute it again: nobody else has taken its value along, and
    none of the lines that importing has run.
    """
    match top:
        case ast.AnnAssign(target=ast.Name(id=name)):
            pass
        case ast.Assign(targets=[ast.Name(id=name)]):
            pass
        case _:
            return False
    if any(re.search(rf"\b{name}\b", text) for text in others):
        return False
    early = {node for statement in _early(tree) for node in ast.walk(statement)}
    return not any(
        isinstance(node, ast.Name)
        and node.id == name
        and node is not _target(top)
        and (node in early or node.lineno in imported)
        for node in ast.walk(tree)
    )


def _target(top: ast.stmt) -> ast.expr:
    assert isinstance(top, ast.Assign | ast.AnnAssign)
    return top.target if isinstance(top, ast.AnnAssign) else top.targets[0]


def _early(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what importing a module evaluates: all but the insides of its functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child.args
            yield from child.decorator_list
        elif isinstance(child, ast.ClassDef):
            yield from _early(child)
        else:
            yield child


def execute_again(name: str, top: ast.stmt, path: Path) -> None:
    """Execute one statement of a module that was imported."""
    code = compiled(ast.Module([top], []), path)
    exec(code, vars(sys.modules[name]))  # noqa: S102  # the module's own statement, with one change


def compiled(tree: ast.Module, path: Path) -> CodeType:
    """Compile a changed module as if it stood in its file."""
    return compile(tree, str(path), "exec", dont_inherit=True)


def import_anew(path: Path, code: CodeType) -> None:
    """Import the changed module from now on; what was imported is forgotten."""
    own = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == str(path) else own(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]  # nothing smaller hands out code without a file; the process ends with the mutant
    _forget()


def writes_otherwise() -> bool:
    """Tell whether texts and lists that are written from the package would be others now.

    Names that people read are nowhere else; the whole integration is imported for it.
    """
    del sys.modules[_STAND_IN]
    try:
        generate = import_module("scripts.lib.generate")
        return bool(generate.main(["--check"]))
    except Exception:  # noqa: BLE001  # a change that lets it fail in any way is noticed
        return True
    finally:
        _forget()


def _forget() -> None:
    """Forget what was imported of this project."""
    for name in [name for name in sys.modules if name.startswith(_OURS)]:
        del sys.modules[name]
    stand_in()
