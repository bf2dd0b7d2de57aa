"""Further changes, which only the tables know: nobody makes them in one stroke of a single key.

A program in another style often holds what one of them gives, where one name stands for what is a
whole expression here.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

import libcst as cst

FACTORS = (cst.Integer("2"), cst.Float("0.5"))


def replacements(
    node: cst.CSTNode,
    parent: cst.CSTNode | None,
    broadcast: Mapping[str, set[str]],
    is_given: Callable[[str], bool],
) -> Iterator[cst.CSTNode]:
    """Yield what may stand in the place of a node.

    Parameters
    ----------
    node, parent
        The node, and what it is part of.
    broadcast
        For each local name of a number or an array those of others that could be added to it.
    is_given
        Says of a name whether it has been given a value before this node.
    """
    if isinstance(node, cst.FunctionDef):
        yield from _of_parameters(node, broadcast)
    elif isinstance(node, cst.Name) and node.value in broadcast:
        if isinstance(parent, cst.AssignTarget):
            yield from (cst.Name(one) for one in sorted(broadcast[node.value]) if is_given(one))
        elif not isinstance(parent, _NOT_A_VALUE) and is_given(node.value):
            yield from (cst.Name(one) for one in sorted(broadcast[node.value]) if is_given(one))
            yield from scaled(node)


def scaled(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Yield the negative, the double and the half of an expression."""
    parentheses = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
    yield cst.UnaryOperation(cst.Minus(), node, **parentheses)
    for factor in FACTORS:
        yield cst.BinaryOperation(factor, cst.Multiply(), node, **parentheses)


def _of_parameters(function: cst.FunctionDef, numbers: Collection[str]) -> Iterator[cst.CSTNode]:
    for parameter in function.params.params:
        if parameter.name.value in numbers:
            for value in scaled(cst.Name(parameter.name.value)):
                line = cst.SimpleStatementLine(
                    [cst.Assign([cst.AssignTarget(cst.Name(parameter.name.value))], value)]
                )
                body = function.body.with_changes(body=[line, *function.body.body])
                yield function.with_changes(body=body)


_NOT_A_VALUE = cst.Param | cst.Attribute | cst.FunctionDef | cst.AugAssign
