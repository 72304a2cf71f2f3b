"""Small changes of a module, each of which some test should notice."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_CALCULATED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_COMPOUND: Final = (
    ast.FunctionDef
    | ast.ClassDef
    | ast.If
    | ast.For
    | ast.While
    | ast.With
    | ast.Try
    | ast.Match
)
_SKIPPED: Final = frozenset({"annotation", "returns", "type_params", "decorator_list"})
"""What types and decorators say is the business of mypy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One change, of one place."""

    module: str
    number: int
    """Its place among the changes of its module."""
    line: int
    what: str
    lines: range
    """Of the statement it is in: whoever runs one of them may notice."""
    inside: bool
    """Whether it is in a function, not in what is executed on import."""
    top: ast.stmt
    """The statement of the module that it is in."""
    apply: Callable[[], None]
    """Change the tree that it was found in, for good."""

    @property
    def name(self) -> str:
        """How a person finds it."""
        return f"{self.module}:{self.line}#{self.number}"


class _Finder:
    """Walks through a module and gathers what could be another way there."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.found: list[Mutant] = []
        self._lines = range(0)
        self._inside = False
        self._top: ast.stmt

    def _add(self, node: Any, what: str, apply: Callable[[], None]) -> None:
        self.found.append(
            Mutant(
                module=self.module,
                number=len(self.found),
                line=node.lineno,
                what=what,
                lines=self._lines,
                inside=self._inside,
                top=self._top,
                apply=apply,
            )
        )

    def _put(self, node: Any, owner: Any, field: str, at: int | None, new: Any) -> None:
        """Offer to put another expression or statement in the place of one."""
        ast.fix_missing_locations(ast.copy_location(new, node))
        before, after = (_text(one) for one in (node, new))

        def apply() -> None:
            if at is None:
                setattr(owner, field, new)
            else:
                getattr(owner, field)[at] = new

        self._add(node, f"{before} → {after}", apply)

    def look(self, tree: ast.Module) -> None:
        """Look through a module."""
        for at, self._top in enumerate(tree.body):
            self._statement(self._top, tree, "body", at)

    def _statement(self, node: ast.stmt, owner: Any, field: str, at: int) -> None:
        if _is_left_alone(node):
            return
        last = node.end_lineno or node.lineno
        if isinstance(node, _COMPOUND):
            last = max(node.lineno, _first_of_body(node) - 1)
        before = self._lines, self._inside
        self._lines = range(node.lineno, last + 1)
        if self._inside and _can_be_left_out(node):
            self._put(node, owner, field, at, ast.Pass())
        match node:
            case ast.Break():
                self._put(node, owner, field, at, ast.Continue())
            case ast.Continue():
                self._put(node, owner, field, at, ast.Break())
            case ast.If() | ast.While():
                self._negated(node, "test", node.test)
            case ast.AugAssign(op=op) if type(op) in _CALCULATED:
                self._operator(node, node, "op", None, _CALCULATED[type(op)])
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                self._put(value, node, "value", None, ast.Constant(None))
            case _:
                pass
        self._children(node)
        self._lines, self._inside = before

    def _children(self, node: ast.AST) -> None:
        """Look through what a statement or an expression is made of."""
        for field, value in ast.iter_fields(node):
            if field in _SKIPPED:
                continue
            inside, lines = self._inside, self._lines
            if field == "body" and isinstance(node, ast.FunctionDef):
                self._inside = True
            many = isinstance(value, list)
            for at, child in enumerate(value if many else [value]):
                if isinstance(child, ast.stmt):
                    self._statement(child, node, field, at)
                elif isinstance(child, ast.AST):
                    if isinstance(child, ast.expr):
                        self._expression(child, node, field, at if many else None)
                    if isinstance(child, ast.match_case):
                        self._lines = range(
                            child.pattern.lineno, child.body[0].lineno + 1
                        )
                    self._children(child)
            self._inside, self._lines = inside, lines

    def _expression(
        self, node: ast.expr, owner: Any, field: str, at: int | None
    ) -> None:
        def put(new: ast.expr) -> None:
            self._put(node, owner, field, at, new)

        match node:
            case ast.Compare(ops=ops):
                for place, op in enumerate(ops):
                    self._operator(node, node, "ops", place, _COMPARED[type(op)])
            case ast.BinOp(op=op) if type(op) in _CALCULATED:
                self._operator(node, node, "op", None, _CALCULATED[type(op)])
            case ast.BoolOp(op=op):
                other = ast.Or if isinstance(op, ast.And) else ast.And
                self._operator(node, node, "op", None, other)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                put(operand)
            case ast.IfExp():
                self._negated(node, "test", node.test)
            case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
                put(ast.Name(_NAMES[name], ast.Load()))
            case ast.Constant(value=bool() as value):
                put(ast.Constant(not value))
            case ast.Constant(value=int() | float() as value):
                put(ast.Constant(value + 1))
            case ast.Constant(value=str() as value) if not _is_prose(owner, field):
                put(ast.Constant(f"x{value}"))
            case ast.Constant(value=bytes() as value):
                put(ast.Constant(b"x" + value))
            case _:
                pass
        if isinstance(owner, ast.comprehension) and field == "ifs":
            put(ast.UnaryOp(ast.Not(), node))
        if isinstance(owner, ast.match_case) and field == "guard":
            put(ast.UnaryOp(ast.Not(), node))

    def _negated(self, owner: Any, field: str, node: ast.expr) -> None:
        new = (
            node.operand
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
            else ast.UnaryOp(ast.Not(), node)
        )
        if not isinstance(node, ast.UnaryOp):
            # Without its `not` it is offered as an expression.
            self._put(node, owner, field, None, new)

    def _operator(
        self, node: Any, owner: Any, field: str, at: int | None, other: type[ast.AST]
    ) -> None:
        before = _text(node)
        old = getattr(owner, field) if at is None else getattr(owner, field)[at]
        new = other()

        def apply() -> None:
            if at is None:
                setattr(owner, field, new)
            else:
                getattr(owner, field)[at] = new

        what = f"{type(old).__name__} → {other.__name__} in {before}"
        self._add(node, what, apply)


def _text(node: Any) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def _first_of_body(node: Any) -> int:
    first = node.cases[0].pattern if isinstance(node, ast.Match) else node.body[0]
    decorators = getattr(first, "decorator_list", ())
    return int(min([first.lineno, *(one.lineno for one in decorators)]))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_left_alone(node: ast.stmt) -> bool:
    """Whether a statement does nothing, or says what mypy already knows."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.TypeAlias() | ast.Assert():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            # What a linter reads.
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.AnnAssign(value=None):
            return True
        case ast.Raise():
            # What an error says is prose; that it is raised is what its `if` decides.
            return True
        case _:
            return False


def _can_be_left_out(node: ast.stmt) -> bool:
    """Whether a program without it can be compiled, and may work."""
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Delete():
            return True
        case ast.Assign(targets=targets):
            return not any(isinstance(one, ast.Name | ast.Tuple) for one in targets)
        case _:
            return False


def _is_prose(owner: Any, field: str) -> bool:
    """Whether a text is part of an f-string, which is shown and never compared."""
    return isinstance(owner, ast.JoinedStr | ast.FormattedValue) or field == "kwd_attrs"


def mutants(tree: ast.Module, module: str) -> list[Mutant]:
    """Return all changes of a module; one tree can take one of them."""
    finder = _Finder(module)
    finder.look(tree)
    return finder.found
