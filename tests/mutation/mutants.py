"""What mutants a module has: one small change of meaning each, found in its syntax tree.

Left alone are annotations, decorators, docstrings, the names in ``isinstance`` and ``assert_never``, and aliases of
types: they are the type checker's to judge.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.Pow: ast.Mult,
}
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
UNWRAPPED = {"sorted", "reversed"}
TYPED = {"isinstance", "assert_never", "cast", "Literal", "NewType", "TypeVar", "issubclass"}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(slots=True)
class Mutant:
    """One change. ``function``: dotted name of the outermost function it is in, with the line that starts it; None:
    it acts when the module is imported. ``lines``: where a test has to pass to notice it."""

    module: str
    number: int
    place: str
    line: int
    lines: range
    before: str
    after: str
    function: tuple[str, int] | None
    nth: int = 0
    _edit: tuple[Any, Any] = field(default=(None, None), repr=False)
    _spot: tuple[ast.AST, str, int | None] | None = field(default=None, repr=False)
    _tree: ast.Module | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return f"{self.module}/{self.number}"

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What names it also when lines have moved."""
        return (self.module, self.place, self.before, self.after, self.nth)

    def tree(self) -> ast.Module:
        """The module's tree with the change in it, good until ``restore``."""
        assert self._tree is not None
        self._put(self._edit[1])
        return self._tree

    def restore(self) -> None:
        self._put(self._edit[0])

    def _put(self, value: Any) -> None:
        assert self._spot is not None
        node, name, index = self._spot
        if index is None:
            setattr(node, name, value)
        else:
            getattr(node, name)[index] = value


def mutants(module: str, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines.

    >>> [(one.before, one.after) for one in mutants("m", "def few(n):\\n    return n < 3")]
    [('return n < 3', 'return None'), ('n < 3', 'n <= 3'), ('n < 3', 'n >= 3'), ('3', '4')]
    """
    walk = _Walk(module, ast.parse(source))
    walk.body(walk.tree, "body", walk.tree.body)
    seen: dict[tuple[str, str, str], int] = {}
    for number, one in enumerate(walk.found, start=1):
        what = (one.place, one.before, one.after)
        one.number, one.nth = number, seen.get(what, 0)
        seen[what] = one.nth + 1
    return walk.found


class _Walk:
    def __init__(self, module: str, tree: ast.Module) -> None:
        self.module, self.tree = module, tree
        self.found: list[Mutant] = []
        self._place: list[str] = []
        self._function: tuple[str, int] | None = None
        self._lines = range(0)

    # --- statements ---

    def body(self, owner: ast.AST, name: str, statements: list[ast.stmt]) -> None:
        for index, statement in enumerate(statements):
            if not _docstring(statement):
                self._statement(owner, name, index, statement)

    def _statement(self, owner: ast.AST, name: str, index: int, node: ast.stmt) -> None:
        if isinstance(node, (*DEFINITIONS, ast.ClassDef)):
            self._definition(node)
            return
        before, self._lines = self._lines, _header(node)
        inside = self._function is not None
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Global() | ast.Nonlocal() | ast.Pass():
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pass
            case ast.Return(value=value) if value is not None:
                if not (isinstance(value, ast.Constant) and value.value is None):
                    self._add(node, "value", None, ast.Constant(None), shown=node)
                self._expression(node, "value", None)
            case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never")) | ast.Constant()):
                pass
            case ast.Expr() | ast.Raise() | ast.Delete():
                if not isinstance(getattr(node, "value", None), (ast.Yield, ast.YieldFrom)):
                    self._add(owner, name, index, ast.Pass())
                self._children(node)
            case ast.Continue():
                self._add(owner, name, index, ast.Break())
            case ast.Break():
                self._add(owner, name, index, ast.Continue())
            case ast.Assign() | ast.AnnAssign():
                if not inside and _about_types(node):
                    pass
                elif node.value is not None:
                    if inside and not (isinstance(node.value, ast.Constant) and node.value.value is None):
                        self._add(node, "value", None, ast.Constant(None), shown=node)
                    self._expression(node, "value", None)
            case ast.AugAssign(op=op):
                self._operator(node, op, COMPUTED)
                self._expression(node, "value", None)
            case ast.If() | ast.While():
                self._condition(node, "test", None)
                self._expression(node, "test", None)
                self._blocks(node)
            case ast.For() | ast.AsyncFor():
                self._expression(node, "iter", None)
                self._blocks(node)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._expression(item, "context_expr", None)
                self._blocks(node)
            case ast.Match():
                self._expression(node, "subject", None)
                for case in node.cases:
                    self._case(node, case)
            case ast.Try():
                self._blocks(node)
                for handler in node.handlers:
                    self.body(handler, "body", handler.body)
            case _:
                self._children(node)
        self._lines = before

    def _blocks(self, node: Any) -> None:
        for name in ("body", "orelse", "finalbody"):
            self.body(node, name, getattr(node, name, []))

    def _case(self, node: ast.Match, case: ast.match_case) -> None:
        last = case.guard or case.pattern
        self._lines = range(node.lineno, (last.end_lineno or last.lineno) + 1)
        if any(_never(one) for one in case.body):
            return
        if case.guard is not None:
            self._condition(case, "guard", None)
            self._expression(case, "guard", None)
        elif not (isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None):
            shown = f"case {ast.unparse(case.pattern)}"
            self._add(case, "guard", None, ast.Constant(False), before=shown, after=f"{shown} if False")
        self.body(case, "body", case.body)

    def _definition(self, node: Any) -> None:
        self._place.append(node.name)
        outer = self._function
        if isinstance(node, DEFINITIONS):
            if outer is None:
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                self._lines = range(node.lineno, node.lineno + 1)
            for index, _ in enumerate(node.args.defaults):
                self._expression(node.args, "defaults", index)
            for index, default in enumerate(node.args.kw_defaults):
                if default is not None:
                    self._expression(node.args, "kw_defaults", index)
            if outer is None:
                self._function = (".".join(self._place), first)
        self.body(node, "body", node.body)
        self._function = outer
        self._place.pop()

    # --- expressions ---

    def _children(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                self._expression(node, name, None)
            elif isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, ast.expr):
                        self._expression(node, name, index)
                    elif isinstance(one, (ast.keyword, ast.comprehension)):
                        self._children(one)

    def _condition(self, node: ast.AST, name: str, index: int | None) -> None:
        """The other way round, where no operator of its own says so."""
        test = _get(node, name, index)
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return
        self._add(node, name, index, ast.UnaryOp(ast.Not(), test))

    def _expression(self, owner: ast.AST, name: str, index: int | None) -> None:
        node = _get(owner, name, index)
        match node:
            case ast.Constant(value=value):
                self._constant(owner, name, index, value)
                return
            case ast.JoinedStr():
                self._add(owner, name, index, ast.Constant(""))
                self._told(node)
                return
            case ast.Compare(ops=ops):
                for place, op in enumerate(ops):
                    for other in COMPARED[type(op)]:
                        self._add(node, "ops", place, other(), shown=node)
            case ast.BoolOp(op=op, values=values):
                other_op = ast.Or() if isinstance(op, ast.And) else ast.And()
                self._add(node, "op", None, other_op, shown=node)
                for place in range(len(values)):
                    left = values[:place] + values[place + 1 :]
                    rest = left[0] if len(left) == 1 else ast.BoolOp(op, left)
                    self._add(owner, name, index, rest)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                self._add(owner, name, index, operand)
            case ast.BinOp(op=op, left=left_operand):
                self._operator(node, op, COMPUTED)
                self._add(owner, name, index, left_operand)
            case ast.IfExp():
                self._condition(node, "test", None)
            case ast.Slice(lower=lower, upper=upper):
                if lower is not None:
                    self._add(node, "lower", None, None, shown=node)
                if upper is not None:
                    self._add(node, "upper", None, None, shown=node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                for generator in node.generators:
                    for place in range(len(generator.ifs)):
                        self._condition(generator, "ifs", place)
            case ast.Subscript(value=ast.Name(id=named)) if named in TYPED:
                return
            case ast.Call():
                if self._call(owner, name, index, node):
                    return
            case ast.Lambda(args=args):
                for place in range(len(args.defaults)):
                    self._expression(args, "defaults", place)
                self._expression(node, "body", None)
                return
        self._children(node)

    def _constant(self, owner: ast.AST, name: str, index: int | None, value: object) -> None:
        match value:
            case bool():
                self._add(owner, name, index, ast.Constant(not value))
            case int() | float():
                self._add(owner, name, index, ast.Constant(value + 1))
            case str():
                self._add(owner, name, index, ast.Constant("" if value else "XX"))

    def _told(self, node: ast.JoinedStr) -> None:
        """A text that no longer tells one of its values."""
        for place, part in enumerate(node.values):
            if isinstance(part, ast.FormattedValue):
                if len(node.values) > 1:
                    self._add(node, "values", place, ast.Constant(""), shown=node)
                self._expression(part, "value", None)

    def _call(self, owner: ast.AST, name: str, index: int | None, node: ast.Call) -> bool:
        """Mutants of a call; whether its arguments are done with."""
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called in TYPED:
            if called == "isinstance":
                self._expression(node, "args", 0)
            return True
        if isinstance(node.func, ast.Name) and called in CALLED:
            self._add(node, "func", None, ast.Name(CALLED[called], ast.Load()), shown=node)
        if isinstance(node.func, ast.Name) and called in UNWRAPPED and node.args:
            self._add(owner, name, index, ast.Call(ast.Name("list", ast.Load()), node.args[:1], []))
        for place, argument in enumerate(node.args):
            if not isinstance(
                argument, (ast.Constant, ast.JoinedStr, ast.Starred, ast.Lambda, ast.GeneratorExp)
            ):
                self._add(node, "args", place, ast.Constant(None), shown=node)
        for place, keyword in enumerate(node.keywords):
            if keyword.arg is not None and not isinstance(keyword.value, ast.Constant):
                rest = node.keywords[:place] + node.keywords[place + 1 :]
                self._add(node, "keywords", None, rest, shown=node)
        return False

    def _operator(self, node: Any, op: ast.operator, others: dict[Any, Any]) -> None:
        if type(op) in others:
            self._add(node, "op", None, others[type(op)](), shown=node)

    def _add(
        self,
        owner: ast.AST,
        name: str,
        index: int | None,
        new: Any,
        *,
        shown: ast.AST | None = None,
        before: str = "",
        after: str = "",
    ) -> None:
        """Note a change of one field; ``shown``: the node whose text tells it, else what is replaced."""
        old = _get(owner, name, index)
        at: Any = shown or old or owner
        if not before:
            before = ast.unparse(at)
        made = Mutant(
            self.module, 0, ".".join(self._place) or "(module)", 0, self._lines, before, after, self._function
        )
        made._spot, made._edit, made._tree = (owner, name, index), (old, new), self.tree
        made.line = getattr(at, "lineno", 0) or self._lines.start
        if isinstance(new, ast.AST) and not hasattr(new, "lineno"):
            anchor = old if hasattr(old, "lineno") else at
            if hasattr(anchor, "lineno"):
                ast.copy_location(new, anchor)
                ast.fix_missing_locations(new)
        if not after:
            made.tree()
            made.after = ast.unparse(shown) if shown is not None else ast.unparse(new)
            made.restore()
        self.found.append(made)


def compiled(mutant: Mutant, path: str) -> Any:
    """The module's code with the mutant in it."""
    try:
        return compile(ast.fix_missing_locations(mutant.tree()), path, "exec")
    finally:
        mutant.restore()


def _get(owner: Any, name: str, index: int | None) -> Any:
    value = getattr(owner, name)
    return value if index is None else value[index]


def _header(node: ast.stmt) -> range:
    """The lines of a statement, without the blocks in it."""
    body = getattr(node, "body", None)
    if isinstance(node, ast.Match):
        return range(node.lineno, (node.subject.end_lineno or node.lineno) + 1)
    end = body[0].lineno - 1 if isinstance(body, list) and body else (node.end_lineno or node.lineno)
    return range(node.lineno, max(end, node.lineno) + 1)


def _docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _never(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "assert_never"
    )


def _about_types(node: ast.Assign | ast.AnnAssign) -> bool:
    """An alias of types, or what a module gives away."""
    if isinstance(node, ast.Assign) and any(
        isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
    ):
        return True
    return _names_only(node.value)


def _names_only(node: ast.AST | None) -> bool:
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _names_only(left) and _names_only(right)
        case ast.Subscript(value=ast.Name(id=named)):
            return named in TYPED or named[:1].isupper()
        case ast.Name() | ast.Attribute() | ast.Constant(value=None):
            return True
    return False
