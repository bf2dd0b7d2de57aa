"""Small mistakes made of a right answer: each mutant differs from it in one place."""

import difflib
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutants.describe import Describer, is_but_for_parentheses
from mutants.wider import replacements

from autograder.intake.exercise import BEGIN, END

BINARY = {
    cst.Add: (cst.Subtract, cst.Multiply),
    cst.Subtract: (cst.Add,),
    cst.Multiply: (cst.Divide, cst.Add),
    cst.Divide: (cst.Multiply, cst.FloorDivide),
    cst.Power: (cst.Multiply,),
    cst.MatrixMultiply: (cst.Multiply,),
}
IN_PLACE = {
    cst.AddAssign: (cst.SubtractAssign,),
    cst.SubtractAssign: (cst.AddAssign,),
    cst.MultiplyAssign: (cst.DivideAssign,),
    cst.DivideAssign: (cst.MultiplyAssign,),
}
COMPARISON = {
    cst.LessThan: (cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual),
    cst.LessThanEqual: (cst.LessThan, cst.GreaterThan, cst.GreaterThanEqual),
    cst.GreaterThan: (cst.GreaterThanEqual, cst.LessThan, cst.LessThanEqual),
    cst.GreaterThanEqual: (cst.GreaterThan, cst.LessThan, cst.LessThanEqual),
    cst.Equal: (cst.NotEqual, cst.LessThanEqual, cst.GreaterThanEqual),
}
FUNCTIONS = {
    "mean": ("sum", "std"),
    "sum": ("mean", "max"),
    "max": ("min", "mean"),
    "var": ("std",),
    "std": ("var",),
    "exp": ("expm1",),
    "log": ("log1p", "log2"),
    "sqrt": ("square", "cbrt"),
    "maximum": ("minimum",),
    "random": ("standard_normal",),
    "rand_like": ("randn_like",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "ValueError": ("TypeError", "Exception"),
    "stack": ("cat",),
    "parameters": ("buffers",),
    "modules": ("children",),
    "append": ("extend",),
}


@dataclass(frozen=True)
class Mutant:
    """A changed answer, the lines that changed as `diff` shows them, and the change in words.

    `wider` says whether only the tables know this kind of change.
    """

    source: str
    change: str
    words: str = ""
    wider: bool = False


def mutants(source: str, alike: Mapping[str, set[str]], every: int = 1) -> list[Mutant]:
    """Return the mutants of an answer cell, changed inside its solution regions only.

    Parameters
    ----------
    source
        The cell, solution regions marked.
    alike
        For each local name the other names that hold values of the same kind.
    every
        Make only every so many of them.
    """
    return _Mutation(source, alike, lines_of_solutions(source)).mutants(every)


def described_mutants(
    source: str,
    alike: Mapping[str, set[str]],
    lines: set[int],
    returns: Mapping[str, tuple[str, ...]],
    every: int = 1,
    broadcast: Mapping[str, set[str]] | None = None,
) -> list[Mutant]:
    """Return the mutants of some lines with their changes in words, and a few kinds more.

    Parameters
    ----------
    source, alike, every
        As for `mutants`; `source` may be a whole module.
    lines
        The lines to change.
    returns
        For each function the names of what it returns.
    broadcast
        If given, there are also the changes of `mutants.wider`: for each local name of a number or
        an array the names of others that could be added to it.
    """
    mutation = _Mutation(source, alike, lines, broadcast)
    return mutation.mutants(every, Describer(mutation.parents, returns))


def lines_of_solutions(source: str) -> set[int]:
    """Return the numbers of the lines in solution regions."""
    found, inside = set(), False
    for number, line in enumerate(source.splitlines(), start=1):
        inside = (inside or BEGIN in line) and END not in line
        if inside:
            found.add(number)
    return found


class _Mutation:
    def __init__(
        self,
        source: str,
        alike: Mapping[str, set[str]],
        lines: set[int],
        broadcast: Mapping[str, set[str]] | None = None,
    ) -> None:
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.alike = alike
        self.broadcast = broadcast or {}
        wrapper = MetadataWrapper(cst.parse_module(source))
        self.module = wrapper.module
        self.positions = wrapper.resolve(PositionProvider)
        self.parents = wrapper.resolve(ParentNodeProvider)
        self.region = lines
        nodes = [node for node in _walk(self.module) if self._is_answer(node)]
        self.attributes = sorted({n.attr.value for n in nodes if _is_of_self(n)})
        # A name may take another's place only where that other one has been given a value.
        self.first_line: dict[str, int] = {}
        for node in _walk(self.module):
            if isinstance(node, cst.Param):
                self.first_line.setdefault(node.name.value, 0)
            elif isinstance(node, cst.Name) and self._is_stored(node):
                line = self.positions[node].start.line
                self.first_line[node.value] = min(line, self.first_line.get(node.value, line))
        self.nodes = nodes

    def mutants(self, every: int, describer: Describer | None = None) -> list[Mutant]:
        places = [(node, new) for node in self.nodes for new in self._replacements(node)]
        if describer is not None:
            # Nobody writes the divisor alone, and a quotient that is rounded may look like it.
            places = [pair for pair in places if not _is_divisor_alone(*pair)]
            places += [(node, new) for node in self.nodes for new in _further(node)]
        places = [(*place, False) for place in places]
        if describer is not None:
            places += [(node, new, True) for node in self.nodes for new in self._wider(node)]
        found: dict[str, Mutant] = {}
        for node, replacement, wider in places[::every]:
            changed = self._replaced(node, replacement)
            if changed != self.source and changed not in found and _compiles(changed):
                words = describer.describe(node, replacement) if describer else ""
                found[changed] = Mutant(changed, _diff(self.source, changed), words, wider)
        return list(found.values())

    def _replaced(self, node: cst.CSTNode, replacement: cst.CSTNode) -> str:
        line = node
        while not isinstance(line, cst.SimpleStatementLine):
            if line not in self.parents:
                return self.module.deep_replace(node, replacement).code
            line = self.parents[line]
        # To write one line is faster than to write all of them.
        position = self.positions[line]
        before, after = position.start.line - 1, position.end.line
        indent = self.lines[before][: position.start.column]
        changed = line.deep_replace(node, replacement).with_changes(leading_lines=[])
        block = cst.Module([]).code_for_node(cst.IndentedBlock([changed], indent=indent or None))
        written = block.split("\n", 1)[1]
        if not indent:
            written = textwrap.dedent(written)
        return "".join([*self.lines[:before], written, *self.lines[after:]])

    def _is_answer(self, node: cst.CSTNode) -> bool:
        position = self.positions.get(node)
        if position is None or position.start.line not in self.region:
            return False
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, cst.Raise):
            parent = self.parents.get(parent)
        # What an error says is not graded; which error it is, is.
        return parent is None or self._is_name_of_error(node, parent)

    def _is_name_of_error(self, node: cst.CSTNode, raised: cst.Raise) -> bool:
        return isinstance(raised.exc, cst.Call) and node is raised.exc.func

    def _is_stored(self, node: cst.Name) -> bool:
        child, parent = node, self.parents[node]
        while isinstance(parent, cst.Tuple | cst.Element):
            child, parent = parent, self.parents[parent]
        return isinstance(parent, cst.AssignTarget) or (
            isinstance(parent, cst.For | cst.CompFor) and parent.target is child
        )

    def _wider(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        line = self.positions[node].start.line
        return replacements(
            node,
            self.parents.get(node),
            self.broadcast,
            lambda name: self.first_line.get(name, line) < line,
        )

    def _replacements(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        for kind, replace in self._TABLE.items():
            if isinstance(node, kind):
                yield from replace(self, node)

    def _statement(self, node: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
        yield node.with_changes(body=[cst.Pass()])

    def _assignment(self, node: cst.Assign) -> Iterator[cst.CSTNode]:
        """Turn `a = a - b` into `a -= b`, which changes the array itself."""
        target, value = node.targets[0].target, node.value
        if isinstance(value, cst.BinaryOperation) and value.left.deep_equals(target):
            operator = {cst.Add: cst.AddAssign, cst.Subtract: cst.SubtractAssign}
            in_place = operator.get(type(value.operator), cst.DivideAssign)
            yield cst.AugAssign(target, in_place(), value.right)

    def _block(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Leave a compound statement out, or run what it guards in any case."""
        yield cst.SimpleStatementLine([cst.Pass()], leading_lines=node.leading_lines)
        if isinstance(node, cst.If):
            for condition in ("True", "False"):
                yield node.with_changes(test=cst.Name(condition))
            if not isinstance(node.test, cst.UnaryOperation):
                yield node.with_changes(test=cst.UnaryOperation(cst.Not(), _in_parens(node.test)))
        else:
            yield cst.If(cst.Name("True"), node.body, leading_lines=node.leading_lines)
        if isinstance(node, cst.For):
            yield from _fewer(node)

    def _binary(self, node: cst.BinaryOperation) -> Iterator[cst.CSTNode]:
        for operator in BINARY.get(type(node.operator), ()):
            yield node.with_changes(operator=operator())
        # What the parentheses held together stays together.
        for side in (node.left, node.right):
            yield _in_parens(side) if node.lpar else side
        if not isinstance(node.operator, cst.Add | cst.Multiply):
            yield node.with_changes(left=_in_parens(node.right), right=_in_parens(node.left))
        if isinstance(node.operator, cst.MatrixMultiply):
            for side in ("left", "right"):
                turned = cst.Attribute(_in_parens(getattr(node, side)), cst.Name("T"))
                yield node.with_changes(**{side: turned})
        yield from _regrouped(node)

    def _unary(self, node: cst.UnaryOperation) -> Iterator[cst.CSTNode]:
        yield node.expression

    def _in_place(self, node: cst.AugAssign) -> Iterator[cst.CSTNode]:
        for operator in IN_PLACE.get(type(node.operator), ()):
            yield node.with_changes(operator=operator())
        yield cst.Assign([cst.AssignTarget(node.target)], node.value)

    def _comparison(self, node: cst.Comparison) -> Iterator[cst.CSTNode]:
        for i, target in enumerate(node.comparisons):
            for operator in COMPARISON.get(type(target.operator), ()):
                changed = target.with_changes(operator=operator())
                others = [*node.comparisons[:i], changed, *node.comparisons[i + 1 :]]
                yield node.with_changes(comparisons=others)
        if len(node.comparisons) > 1:
            yield node.with_changes(comparisons=node.comparisons[:-1])
            first, *rest = node.comparisons
            yield node.with_changes(left=first.comparator, comparisons=rest)

    def _boolean(self, node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
        other = cst.Or() if isinstance(node.operator, cst.And) else cst.And()
        yield node.with_changes(operator=other)
        yield node.left
        yield node.right

    def _integer(self, node: cst.Integer) -> Iterator[cst.CSTNode]:
        value = node.evaluated_value
        for other in {0, 1, 2, value - 1, value + 1} - {value}:
            yield _number(other)

    def _float(self, node: cst.Float) -> Iterator[cst.CSTNode]:
        value = node.evaluated_value
        for other in {0.0, 1.0, 0.5, 2 * value, value / 10, round(1 - value, 10)} - {value}:
            yield _number(other)

    def _string(self, node: cst.SimpleString) -> Iterator[cst.CSTNode]:
        others = {n.value for n in self.nodes if isinstance(n, cst.SimpleString)}
        for other in sorted(others - {node.value}):
            yield cst.SimpleString(other)

    def _name(self, node: cst.Name) -> Iterator[cst.CSTNode]:
        parent = self.parents[node]
        if isinstance(parent, cst.Attribute) and parent.attr is node:
            for other in FUNCTIONS.get(node.value, ()):
                yield cst.Name(other)
            if _is_of_self(parent):
                for other in self.attributes:
                    yield cst.Name(other)
        elif isinstance(parent, cst.Arg) and parent.keyword is node:
            return
        elif node.value in ("True", "False", "None"):
            yield cst.Name(str(node.value == "False"))
        elif node.value in FUNCTIONS and node.value not in self.first_line:
            for other in FUNCTIONS[node.value]:
                yield cst.Name(other)
        elif not self._is_stored(node):
            line = self.positions[node].start.line
            for other in sorted(self.alike.get(node.value, set())):
                if self.first_line.get(other, line) < line:
                    yield cst.Name(other)

    def _call(self, node: cst.Call) -> Iterator[cst.CSTNode]:
        if isinstance(node.func, cst.Attribute) and not _is_module(node.func.value):
            yield node.func.value
        if len(node.args) == 1 and node.args[0].keyword is None:
            yield _in_parens(node.args[0].value)
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("var", "std"):
            word = "correction" if any(_is_keyword(arg, "dim") for arg in node.args) else "ddof"
            if not any(_is_keyword(arg, word) for arg in node.args):
                one = cst.Arg(cst.Integer("1"), cst.Name(word))
                yield node.with_changes(args=[*node.args, one])
        if isinstance(node.func, cst.Name) and node.func.value == "len":
            yield cst.parse_expression(f"{node.args[0].value.value}.shape[1]")
        for i, argument in enumerate(node.args):
            yield node.with_changes(args=_without(node.args, i))
            following = node.args[i + 1 : i + 2]
            if following and argument.keyword is None and following[0].keyword is None:
                yield node.with_changes(args=_swapped(node.args, i))
            if _is_keyword(argument, "axis") or _is_keyword(argument, "dim"):
                none = argument.with_changes(value=cst.Name("None"))
                yield node.with_changes(args=[*node.args[:i], none, *node.args[i + 1 :]])

    def _attribute(self, node: cst.Attribute) -> Iterator[cst.CSTNode]:
        if node.attr.value == "T":
            yield node.value

    def _subscript(self, node: cst.Subscript) -> Iterator[cst.CSTNode]:
        yield node.value
        for i in range(len(node.slice) - 1):
            yield node.with_changes(slice=_swapped(node.slice, i))

    def _tuple(self, node: cst.Tuple | cst.List) -> Iterator[cst.CSTNode]:
        for i in range(len(node.elements)):
            if len(node.elements) > 1 or node.lpar:
                yield node.with_changes(elements=_without(node.elements, i))
            if i:
                yield node.with_changes(elements=_swapped(node.elements, i - 1))

    def _dict(self, node: cst.Dict) -> Iterator[cst.CSTNode]:
        for i in range(len(node.elements)):
            yield node.with_changes(elements=_without(node.elements, i))
            if i:
                yield node.with_changes(elements=_swapped(node.elements, i - 1))

    def _conditional(self, node: cst.IfExp) -> Iterator[cst.CSTNode]:
        yield _in_parens(node.body)
        yield _in_parens(node.orelse)
        yield node.with_changes(body=node.orelse, orelse=node.body)

    def _comprehension(self, node: cst.CompFor) -> Iterator[cst.CSTNode]:
        yield from _fewer(node)
        if node.ifs:
            yield node.with_changes(ifs=[])
            (guard,) = node.ifs
            inverted = cst.UnaryOperation(cst.Not(), _in_parens(guard.test))
            yield node.with_changes(ifs=[guard.with_changes(test=inverted)])

    _TABLE = {  # noqa: RUF012 (it refers to the methods above)
        cst.SimpleStatementLine: _statement,
        cst.Assign: _assignment,
        cst.If | cst.For | cst.With | cst.Try: _block,
        cst.BinaryOperation: _binary,
        cst.UnaryOperation: _unary,
        cst.AugAssign: _in_place,
        cst.Comparison: _comparison,
        cst.BooleanOperation: _boolean,
        cst.Integer: _integer,
        cst.Float: _float,
        cst.SimpleString: _string,
        cst.Name: _name,
        cst.Call: _call,
        cst.Attribute: _attribute,
        cst.Subscript: _subscript,
        cst.Tuple | cst.List: _tuple,
        cst.Dict: _dict,
        cst.IfExp: _conditional,
        cst.CompFor: _comprehension,
    }


def _is_divisor_alone(node: cst.CSTNode, new: cst.CSTNode) -> bool:
    is_quotient = isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide)
    return is_quotient and is_but_for_parentheses(new, node.right)


def _further(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Change the sign or the size of what a line computes, or take a term out of a function."""
    if isinstance(node, cst.Assign) and not isinstance(node.value, cst.Tuple | cst.Dict):
        value = _in_parens(node.value)
        yield node.with_changes(value=cst.UnaryOperation(cst.Minus(), value))
        for factor in (cst.Integer("2"), cst.Float("0.5")):
            yield node.with_changes(value=cst.BinaryOperation(factor, cst.Multiply(), value))
    if isinstance(node, cst.Call) and len(node.args) == 1:
        inner = node.args[0].value
        if isinstance(inner, cst.BinaryOperation) and isinstance(inner.operator, cst.Add):
            outer = node.with_changes(args=[node.args[0].with_changes(value=inner.left)])
            yield cst.BinaryOperation(outer, cst.Add(), inner.right, lpar=[_LEFT], rpar=[_RIGHT])
    if isinstance(node, cst.Name) and node.value in ("n", "N"):
        one_less = cst.BinaryOperation(node, cst.Subtract(), cst.Integer("1"))
        yield one_less.with_changes(lpar=[_LEFT], rpar=[_RIGHT])


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _is_of_self(node: cst.CSTNode) -> bool:
    return (
        isinstance(node, cst.Attribute)
        and isinstance(node.value, cst.Name)
        and node.value.value == "self"
    )


def _is_module(node: cst.CSTNode) -> bool:
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name) and node.value in ("np", "torch", "nn")


def _number(value: float) -> cst.BaseExpression:
    if value < 0:
        return cst.UnaryOperation(cst.Minus(), _number(-value), lpar=[_LEFT], rpar=[_RIGHT])
    return cst.Float(repr(value)) if isinstance(value, float) else cst.Integer(str(value))


_LEFT, _RIGHT = cst.LeftParen(), cst.RightParen()


def _in_parens(node: cst.BaseExpression) -> cst.BaseExpression:
    loose = cst.BinaryOperation | cst.UnaryOperation | cst.Comparison | cst.IfExp | cst.Tuple
    if isinstance(node, loose) and not node.lpar:
        return node.with_changes(lpar=[_LEFT], rpar=[_RIGHT])
    return node


def _regrouped(node: cst.BinaryOperation) -> Iterator[cst.CSTNode]:
    """Change what belongs together: (a + b) * c becomes a + b * c, f(a) + b becomes f(a + b)."""
    left, right = node.left, node.right
    if isinstance(left, cst.BinaryOperation) and left.lpar:
        yield left.with_changes(
            right=node.with_changes(left=_in_parens(left.right), lpar=[], rpar=[])
        )
    if isinstance(right, cst.BinaryOperation):
        grouped = node.with_changes(right=_in_parens(right.left), lpar=[_LEFT], rpar=[_RIGHT])
        yield right.with_changes(left=grouped, lpar=node.lpar, rpar=node.rpar)
    if isinstance(left, cst.Call) and len(left.args) == 1:
        inside = cst.Arg(node.with_changes(left=left.args[0].value, lpar=[], rpar=[]))
        yield left.with_changes(args=[inside])


def _fewer(node: cst.For | cst.CompFor) -> Iterator[cst.CSTNode]:
    for part in ("[1:]", "[:-1]", "[::-1]"):
        source = cst.Module([]).code_for_node(node.iter)
        yield node.with_changes(iter=cst.parse_expression(f"list({source}){part}"))


def _is_keyword(argument: cst.Arg, word: str) -> bool:
    return argument.keyword is not None and argument.keyword.value == word


def _without(items, i):
    *others, last = [*items[:i], *items[i + 1 :]] or [None]
    return [*others, last.with_changes(comma=cst.MaybeSentinel.DEFAULT)] if last else []


def _swapped(items, i):
    one, other = items[i], items[i + 1]
    field = "slice" if isinstance(one, cst.SubscriptElement) else "value"
    pair = (
        one.with_changes(**{field: getattr(other, field)}),
        other.with_changes(**{field: getattr(one, field)}),
    )
    return [*items[:i], *pair, *items[i + 2 :]]


def _compiles(source: str) -> bool:
    try:
        compile(source, "<mutant>", "exec")
    except SyntaxError:
        return False
    return True


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(
        f"{line[0]} {line[1:].strip()}"
        for line in lines
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    )
