"""Say in words what a small change of a program is: which quantity, and on the way to which."""

import re
from collections.abc import Mapping

import libcst as cst

QUANTITIES = {
    "gamma": "γ",
    "beta": "β",
    "mean": "μ",
    "var": "σ²",
    "std": "√(σ² + ε)",
    "inv_std": "1/√(σ² + ε)",
    "x_hat": "x̂",
    "centered": "x − μ",
    "normalized": "ReLU's input",
    "n": "N",
    "count": "the number of values",
    "d_x_hat": "the gradient of x̂",
    "d_gamma": "the gradient of γ",
    "d_beta": "the gradient of β",
    "d_var": "the gradient of σ²",
    "d_mean": "the gradient of μ",
    "d_std": "the gradient of √(σ² + ε)",
    "d_inv_std": "the gradient of 1/√(σ² + ε)",
    "d_centered": "the gradient of x − μ",
    "d_squares": "the gradient of (x − μ)²",
    "batch_mean": "the batch's mean",
    "batch_var": "the batch's variance",
    "running_mean": "the running mean",
    "running_var": "the running variance",
    "unbiased": "the unbiased variance",
    "scale": "the scale",
    "mask": "the mask",
    "keep": "the mask",
    "dropped": "the output of dropout",
    "hidden": "the hidden units",
    "scores": "the scores",
    "shifted": "the shifted scores",
    "exponentials": "the exponentials",
    "totals": "the sums of exponentials",
    "probabilities": "the probabilities",
    "log_probabilities": "the log-probabilities",
    "one_hot": "the one-hot labels",
    "d_scores": "the gradient of the scores",
    "d_score": "the gradient of the scores",
    "products": "the product of x and W",
    "largest": "the largest scores",
    "logarithms": "the logarithms of the sums",
    "position": "the places of the right classes",
    "right": "the scores of the right classes",
    "costs": "the cross-entropies",
    "W_squared": "W²",
    "flat": "the gradient of the scores",
    "d_penalty": "the gradient of the penalty",
    "d_hidden": "the gradient of the hidden units",
    "d_dropped": "the gradient of the dropped-out units",
    "d_activated": "the gradient of ReLU's output",
    "d_normalized": "the gradient of ReLU's input",
    "d_z": "the gradient of the first affine map",
    "z": "the first affine map",
    "activated": "ReLU's output",
    "affine": "ReLU's input",
    "data_loss": "the cross-entropy",
    "penalty": "the penalty",
    "m": "m",
    "v": "v",
    "m_hat": "m̂",
    "v_hat": "v̂",
    "step": "the step count",
    "deviations": "x − μ",
    "kept": "1 − momentum",
    "shifted_var": "σ² + ε",
    "scaled": "the scaled x̂",
    "cube": "the cube of 1/√(σ² + ε)",
    "average": "the mean of the gradient",
    "slope": "the mean of the gradient times x̂",
    "correction": "N/(N − 1)",
    "shift": "the shift",
    "factors": "the scaled mask",
    "draws": "the draws",
    "old_mean": "the old running mean",
    "old_var": "the old running variance",
    "weighted": "the product with W2",
    "squares1": "the sum of the squares of W1",
    "squares2": "the sum of the squares of W2",
    "weights": "the weights",
    "decay": "the weight decay",
    "l2": "the L2 term",
    "g": "the gradient with its L2 term",
    "squared": "the squared gradient",
    "correction1": "the correction of m",
    "correction2": "the correction of v",
    "power1": "the power of β₁",
    "power2": "the power of β₂",
    "root": "the root of v̂",
    "update": "the update",
    "change": "the change",
    "rate": "the corrected step size",
    "new": "the new parameter",
    "labels": "the one-hot labels",
    "log_totals": "the log-sum-exps",
    "errors": "the gradient of the scores",
    "d_w": "the gradient",
    "beta1": "β₁",
    "beta2": "β₂",
    "rows": "the rows",
    "columns": "the columns",
    "images": "the images",
    "d_columns": "the gradient of the columns",
    "gate": "ReLU's mask",
    "z_hat": "x̂",
    "scaled_mask": "the scaled mask",
    "through_mean": "the path through the mean",
    "through_variance": "the path through the variance",
    "data": "the data",
    "trained": "the trained parameters",
    "squares": "(x − μ)²",
    "total": "the sum",
    "classes": "the number of classes",
    "d_W1": "the gradient of W1",
    "d_W2": "the gradient of W2",
    "d_b1": "the gradient of b1",
    "d_b2": "the gradient of b2",
    "grads": "the gradients",
    "gradients": "the gradients",
    "modes": "the modes",
    "samples": "the samples",
    "rms": "the root mean square",
    "inv_rms": "1 over the root mean square",
    "mean_square": "the mean of the squares",
    "x_squared": "x²",
    "d_rms": "the gradient of the root mean square",
    "d_inv_rms": "the gradient of 1 over the root mean square",
    "d_mean_square": "the gradient of the mean of the squares",
    "d_squared": "the gradient of x²",
    "through_rms": "the path through the root mean square",
    "examples": "the axes of the examples",
    "grouped": "the groups",
    "group": "the group",
    "channels": "the channels",
    "size": "the number of channels in a group",
    "number": "the number of the group",
    "divisor": "√v̂ + ε",
    "entries": "the entries of a weight",
    "norms": "the squared norms",
    "d_out_x_hat": "the gradient times x̂",
    "out_columns": "the output in columns",
    "d_flat": "the gradient of the columns",
    "shifted_square": "the mean of the squares plus ε",
    "x_hat_rows": "x̂",
    "new_running": "the new running statistics",
    "j": "the column",
    "k": "the class",
}
"""What a local name stands for; a parameter stands for itself."""

FUNCTIONS = {
    "sqrt": "root",
    "square": "square",
    "cbrt": "cube root",
    "var": "variance",
    "std": "standard deviation",
    "exp": "exponential",
    "expm1": "exponential minus 1",
    "log": "logarithm",
    "log1p": "logarithm of 1 + …",
    "log2": "logarithm to base 2",
    "max": "maximum",
    "min": "minimum",
    "mean": "mean",
    "sum": "sum",
}
SIGNS = {
    cst.LessThan: "<",
    cst.LessThanEqual: "≤",
    cst.GreaterThan: ">",
    cst.GreaterThanEqual: "≥",
    cst.Equal: "=",
    cst.NotEqual: "≠",
}

VERBS = {
    "stands": "stand",
    "is": "are",
    "has": "have",
    "multiplies": "multiply",
    "never reaches": "never reach",
}
PLURAL = re.compile(
    r"^(the (?:(?!of )[\w-]+ )*?(?:[\w-]*probabilities|exponentials|scores|sums|units|labels|"
    r"places|rows|columns|images|parameters|losses|cross-entropies|logarithms|gradients|"
    r"statistics|norms|entries|weights|draws|samples|modes)(?: of [\w ]+?)?)"
    rf" ({'|'.join(VERBS)})\b"
)
"""Clauses whose subject takes a verb in the plural."""


class Describer:
    """Describes changes of one answer.

    Parameters
    ----------
    parents
        The parent of each node.
    returns
        For each function the names of what it returns.
    """

    def __init__(
        self, parents: Mapping[cst.CSTNode, cst.CSTNode], returns: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.parents = parents
        self.returns = returns

    def describe(self, node: cst.CSTNode, new: cst.CSTNode) -> str:
        """Return a clause that follows “in which”."""
        text = self._change(node, new) or "a line is different"
        place = self._place(node)
        text = PLURAL.sub(lambda found: f"{found[1]} {VERBS[found[2]]}", text)
        return f"{text}, {place}" if place else text

    def _change(self, node: cst.CSTNode, new: cst.CSTNode) -> str | None:
        match node:
            case cst.SimpleStatementLine():
                return self._left_out(node)
            case cst.BinaryOperation():
                return self._binary(node, new)
            case cst.UnaryOperation(operator=cst.Not()):
                return f"the “not” before {self.phrase(node.expression)} is missing"
            case cst.UnaryOperation():
                return f"the minus before {self.phrase(node.expression)} is missing"
            case cst.AugAssign() if isinstance(new, cst.Assign):
                return f"{self.phrase(node.target)} is overwritten rather than added to"
            case cst.AugAssign() if isinstance(new, cst.AugAssign):
                kinds = {
                    cst.AddAssign: "added to",
                    cst.SubtractAssign: "subtracted from",
                    cst.MultiplyAssign: "multiplied onto",
                    cst.DivideAssign: "divided out of",
                }
                value, target = self.phrase(node.value), self.phrase(node.target)
                before, after = (kinds.get(type(one.operator)) for one in (node, new))
                return f"{value} is {after} {target} rather than {before} it"
            case cst.Assign() if isinstance(new, cst.Assign):
                return self._of_target(node, new)
            case cst.If():
                return self._branch(node, new)
            case cst.IfExp():
                return (
                    f"whether {self.condition(node.test)} makes no difference or the opposite one"
                )
            case cst.For() | cst.CompFor():
                return "the loop leaves one out or runs the other way"
            case cst.Integer() | cst.Float():
                return self._number(node, new)
            case cst.FunctionDef():
                return self._of_parameter(new)
            case cst.Name() if not isinstance(new, cst.Name):
                return self._size(self.phrase(node), new)
            case cst.Name() if isinstance(self.parents.get(node), cst.AssignTarget):
                return f"what is computed for {self.phrase(node)} overwrites {self.phrase(new)}"
            case cst.Name() | cst.Attribute():
                return self._name(node, new)
            case cst.Call():
                return self._call(node, new)
            case cst.Subscript():
                return f"an index of {self.phrase(node.value)} is missing or in another place"
            case cst.Tuple() | cst.List() | cst.Dict():
                return self._order(node, new)
            case cst.Comparison():
                return self._comparison(node, new)
            case cst.SimpleString() if isinstance(new, cst.SimpleString):
                return f"`{new.evaluated_value}` stands where `{node.evaluated_value}` should"
            case cst.BooleanOperation():
                return "a condition is only half checked"
        return None

    def phrase(self, node: cst.CSTNode) -> str:
        """Say what an expression is, in a few words that give no formula away."""
        match node:
            case cst.Name():
                return QUANTITIES.get(node.value) or f"`{node.value}`"
            case cst.Integer() | cst.Float():
                return node.value
            case cst.UnaryOperation():
                return f"−{self.phrase(node.expression)}"
            case cst.Call():
                name = _function(node)
                word = FUNCTIONS.get(name)
                subject = self._subject(node)
                if word and subject is not None:
                    return f"the {word} of {self.phrase(subject)}"
                return self.phrase(subject) if subject is not None else f"`{name}`"
            case cst.Attribute() if node.attr.value == "T":
                return f"{self.phrase(node.value)}, transposed"
            case cst.Attribute():
                return f"`{node.attr.value}`"
            case cst.Subscript():
                key = node.slice[0].slice
                if isinstance(key, cst.Index) and isinstance(key.value, cst.SimpleString):
                    return f"`{key.value.evaluated_value}`"
                return self.phrase(node.value)
            case cst.BinaryOperation() if isinstance(node.left, cst.BinaryOperation) and isinstance(
                node.right, cst.BinaryOperation
            ):
                return "a term"
            case cst.BinaryOperation():
                words = {
                    cst.Add: "a sum with {}",
                    cst.Subtract: "a difference with {}",
                    cst.Multiply: "a product with {}",
                    cst.MatrixMultiply: "a product with {}",
                    cst.Divide: "a quotient with {}",
                    cst.Power: "a power of {}",
                }
                side = node.left
                if isinstance(side, cst.Integer | cst.Float | cst.BinaryOperation):
                    side = node.right
                return words.get(type(node.operator), "a term with {}").format(self.phrase(side))
            case cst.Comparison():
                return f"a comparison of {self.phrase(node.left)}"
        return "a term"

    def condition(self, node: cst.CSTNode) -> str:
        """Say what a condition asks, or what its contrary does."""
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            node = node.expression
        if "training" in _names(node):
            return "training is on"
        return f"a condition on {self.phrase(node)} holds"

    def _subject(self, call: cst.Call) -> cst.BaseExpression | None:
        function = call.func
        if isinstance(function, cst.Attribute) and not _is_module(function.value):
            return function.value
        return call.args[0].value if call.args else None

    def _left_out(self, line: cst.SimpleStatementLine) -> str | None:
        statement = line.body[0]
        match statement:
            case cst.Assign():
                return f"the line that computes {self._targets(statement)} is left out"
            case cst.AugAssign():
                return (
                    f"{self.phrase(statement.value)} never reaches {self.phrase(statement.target)}"
                )
            case cst.Return():
                return "a `return` is left out"
        return "a line is left out"

    def _targets(self, statement: cst.Assign) -> str:
        return _joined([self.phrase(one) for one in _stored(statement.targets[0].target)])

    def _of_target(self, node: cst.Assign, new: cst.Assign) -> str | None:
        return self._size(self._targets(node), new.value)

    def _size(self, quantity: str, value: cst.CSTNode) -> str | None:
        if isinstance(value, cst.UnaryOperation):
            return f"{quantity} has the wrong sign"
        if isinstance(value, cst.BinaryOperation) and isinstance(value.left, cst.Integer):
            return f"{quantity} is doubled"
        if isinstance(value, cst.BinaryOperation) and isinstance(value.left, cst.Float):
            return f"{quantity} is halved"
        return None

    def _of_parameter(self, new: cst.FunctionDef) -> str | None:
        assignment = new.body.body[0].body[0]
        size = self._size(f"`{assignment.targets[0].target.value}`", assignment.value)
        return size and f"{size} throughout"

    def _binary(self, node: cst.BinaryOperation, new: cst.CSTNode) -> str | None:
        left, right = self.phrase(node.left), self.phrase(node.right)
        kind = type(node.operator)
        if is_but_for_parentheses(new, node.left):
            return {
                cst.Add: f"{right} is missing from a sum with {left}",
                cst.Subtract: f"{right} is not subtracted from {left}",
                cst.Multiply: f"{left} is not multiplied by {right}",
                cst.Divide: f"{left} is not divided by {right}",
                cst.Power: f"{left} is not raised to a power",
            }.get(kind, f"{left} is not multiplied by {right}")
        if is_but_for_parentheses(new, node.right):
            return {
                cst.Add: f"{left} is missing from a sum with {right}",
                cst.Subtract: f"{left} is missing from a difference with {right}",
                cst.Multiply: f"{right} is not multiplied by {left}",
                cst.Divide: f"only the divisor is left of a quotient of {left} and {right}",
            }.get(kind, f"{left} is missing from a product with {right}")
        if not isinstance(new, cst.BinaryOperation):
            return self._regrouped(node)
        if type(new.operator) is not kind:
            return self._operator(left, right, kind, type(new.operator))
        if new.left.deep_equals(node.right) or new.right.deep_equals(node.left):
            return {
                cst.Subtract: f"the difference of {left} and {right} has the wrong sign",
                cst.Divide: f"the quotient of {left} and {right} is upside down",
            }.get(kind, f"the factors {left} and {right} are in the wrong order")
        for side in ("left", "right"):
            one = getattr(new, side)
            if isinstance(one, cst.Attribute) and one.attr.value == "T":
                return f"{self.phrase(getattr(node, side))} is transposed"
        return self._regrouped(node)

    def _operator(self, left: str, right: str, old: type, new: type) -> str:
        return {
            (cst.Add, cst.Subtract): f"{right} is subtracted from {left} rather than added",
            (cst.Add, cst.Multiply): f"{right} multiplies {left} rather than being added to it",
            (cst.Subtract, cst.Add): f"{right} is added to {left} rather than subtracted",
            (cst.Multiply, cst.Divide): f"{left} is divided by {right} rather than multiplied",
            (cst.Multiply, cst.Add): f"{right} is added to {left} rather than multiplied",
            (cst.Divide, cst.Multiply): f"{left} is multiplied by {right} rather than divided",
            (cst.Divide, cst.FloorDivide): f"the quotient of {left} and {right} is rounded down",
            (cst.Power, cst.Multiply): f"{left} is multiplied by {right} rather than raised to it",
        }.get((old, new), f"{left} and {right} are multiplied entry by entry")

    def _regrouped(self, node: cst.BinaryOperation) -> str:
        parts = f"{self.phrase(node.left)} and {self.phrase(node.right)}"
        if any(isinstance(one, cst.Call) for one in (node.left, node.right)):
            return f"{self.phrase(node.right)} stands inside rather than outside of a function"
        return f"parentheses around {parts} stand elsewhere"

    def _number(self, node: cst.CSTNode, new: cst.CSTNode) -> str:
        parent = self.parents.get(node)
        new_value, old_value = (
            cst.Module([]).code_for_node(one).strip("()") for one in (new, node)
        )
        if isinstance(parent, cst.Arg) and parent.keyword is not None:
            call = self.parents[parent]
            word = parent.keyword.value
            if isinstance(call, cst.Call) and word in ("axis", "dim"):
                return f"{self.phrase(call)} is taken along the wrong axis"
            if word in ("ddof", "correction"):
                return f"{self.phrase(call)} divides by another number"
        if isinstance(parent, cst.Index):
            return "an index is another one"
        return f"{new_value} stands where {old_value} should"

    def _name(self, node: cst.CSTNode, new: cst.CSTNode) -> str | None:
        if isinstance(node, cst.Attribute):
            return f"{self.phrase(node.value)} is not transposed"
        parent = self.parents.get(node)
        if isinstance(parent, cst.Attribute) and parent.attr is node:
            call = self.parents.get(parent)
            old, other = (FUNCTIONS.get(one.value) for one in (node, new))
            if old and other and isinstance(call, cst.Call):
                subject = self._subject(call)
                of = f" of {self.phrase(subject)}" if subject is not None else ""
                return f"the {other}{of} is taken rather than the {old}"
            return f"`{new.value}` stands where `{node.value}` should"
        if node.value in ("True", "False"):
            return "a yes is a no, or a no a yes"
        return f"{self.phrase(new)} stands where {self.phrase(node)} should"

    def _call(self, node: cst.Call, new: cst.CSTNode) -> str | None:
        name, subject = _function(node), self._subject(node)
        if isinstance(new, cst.BinaryOperation) and _is_call_of(name, new.left):
            part = self.phrase(new.right)
            return f"{part} stands outside of the {FUNCTIONS.get(name, f'`{name}`')}"
        if not isinstance(new, cst.Call) or _function(new) != name:
            if isinstance(new, cst.Subscript):
                return "the number of columns stands where that of rows should"
            word = FUNCTIONS.get(name, f"`{name}`")
            return f"the {word} of {self.phrase(subject)} is not taken" if subject else None
        if len(new.args) < len(node.args):
            (gone,) = [one for one in node.args if not any(one.deep_equals(a) for a in new.args)][
                :1
            ] or [node.args[-1]]
            word = gone.keyword.value if gone.keyword else ""
            if word in ("axis", "dim"):
                return f"{self.phrase(node)} is taken over everything"
            if word in ("ddof", "correction"):
                return f"{self.phrase(node)} divides by another number"
            if word in ("keepdims", "keepdim"):
                return f"{self.phrase(node)} loses an axis"
            return f"{self.phrase(gone.value)} is not passed on to `{name}`"
        if len(new.args) > len(node.args):
            return f"{self.phrase(node)} divides by N − 1"
        if any(
            one.keyword is not None and one.keyword.value in ("axis", "dim") for one in new.args
        ):
            return f"{self.phrase(node)} is taken over everything"
        changed = [
            self.phrase(one.value)
            for one, other in zip(node.args, new.args, strict=True)
            if not one.deep_equals(other)
        ]
        return f"{_joined(changed)} are swapped in a call of `{name}`"

    def _order(self, node: cst.CSTNode, new: cst.CSTNode) -> str | None:
        elements, others = getattr(node, "elements", ()), getattr(new, "elements", ())
        if len(others) < len(elements):
            kept = {id(one) for one in others}
            gone = [one for one in elements if id(one) not in kept]
            return f"{_joined([self.phrase(one.value) for one in gone[:1]])} is left out"
        changed = [
            self.phrase(one.value)
            for one, other in zip(elements, others, strict=True)
            if not one.deep_equals(other)
        ]
        return f"{_joined(changed)} are swapped {self._whereabouts(node)}"

    def _whereabouts(self, node: cst.CSTNode) -> str:
        """Say which sequence this is: the cache, what a function returns or something else."""
        child, parent = node, self.parents.get(node)
        while parent is not None and not isinstance(parent, cst.SimpleStatementLine):
            if isinstance(parent, cst.Return):
                return "in what is returned" if child is node else "in the cache"
            if isinstance(parent, cst.Assign):
                if child is parent.value:
                    stored = "cache" in _names(parent.targets[0].target)
                    return "in the cache" if stored else "where they are computed"
                return "where they are taken out"
            child, parent = parent, self.parents.get(parent)
        return "in a list"

    def _comparison(self, node: cst.Comparison, new: cst.CSTNode) -> str:
        if isinstance(new, cst.Comparison) and len(new.comparisons) == len(node.comparisons):
            for old, other in zip(node.comparisons, new.comparisons, strict=True):
                if type(old.operator) is not type(other.operator):
                    one, two = (SIGNS.get(type(x.operator), "?") for x in (old, other))
                    return f"{self.phrase(node.left)} is compared by {two} rather than {one}"
        return "a condition is only half checked"

    def _branch(self, node: cst.If, new: cst.CSTNode) -> str:
        condition = self.condition(node.test)
        if not isinstance(new, cst.If):
            if _is_negated(node.test):
                condition = condition.replace(" is on", " is off").replace(" holds", " fails")
            return f"what should happen only when {condition} never happens"
        if isinstance(new.test, cst.Name) and new.test.value in ("True", "False"):
            return f"it makes no difference whether {condition}"
        return f"the two cases of whether {condition} are exchanged"

    def _place(self, node: cst.CSTNode) -> str:
        """Return “on the way to …” and the mode; a whole line names its target itself."""
        if isinstance(
            node,
            cst.SimpleStatementLine
            | cst.Assign
            | cst.AugAssign
            | cst.If
            | cst.For
            | cst.FunctionDef,
        ):
            return self._mode(node)
        if isinstance(node, cst.Tuple | cst.List | cst.Dict):
            return self._mode(node)
        target, position, child = "", None, node
        parent = self.parents.get(node)
        while parent is not None:
            if isinstance(parent, cst.Element) and position is None:
                sequence = self.parents[parent]
                if isinstance(self.parents.get(sequence), cst.Return):
                    position = sequence.elements.index(parent)
            if isinstance(parent, cst.Assign):
                stored = _stored(parent.targets[0].target)
                target = self._targets(parent) if len(stored) < 3 else ""
            elif isinstance(parent, cst.AugAssign):
                target = self.phrase(parent.target)
            elif isinstance(parent, cst.Return):
                target = self._returned(parent, position)
            if isinstance(parent, cst.SimpleStatementLine | cst.BaseCompoundStatement):
                break
            child, parent = parent, self.parents.get(parent)
        places = [f"on the way to {target}" if target else "", self._mode(child)]
        return " ".join(place for place in places if place)

    def _returned(self, statement: cst.Return, position: int | None) -> str:
        function = self.parents.get(statement)
        while function is not None and not isinstance(function, cst.FunctionDef):
            function = self.parents.get(function)
        names = self.returns.get(function.name.value, ()) if function is not None else ()
        if position is not None and position < len(names):
            return _as_code(names[position]) if names[position] != "cache" else "the cache"
        return _as_code(names[0]) if len(names) == 1 else ""

    def _mode(self, node: cst.CSTNode) -> str:
        """Return “in training” or “in evaluation” for code that runs in one mode only."""
        child, parent = node, self.parents.get(node)
        while parent is not None:
            if isinstance(parent, cst.If) and "training" in _names(parent.test):
                negated = isinstance(parent.test, cst.UnaryOperation)
                if child is parent.body:
                    return "in evaluation" if negated else "in training"
                if child is parent.orelse:
                    return "in training" if negated else "in evaluation"
            child, parent = parent, self.parents.get(parent)
        return ""


def is_but_for_parentheses(one: cst.CSTNode, other: cst.BaseExpression) -> bool:
    """Return whether a node is an expression, in parentheses or not."""
    return isinstance(one, cst.BaseExpression) and one.with_changes(lpar=[], rpar=[]).deep_equals(
        other.with_changes(lpar=[], rpar=[])
    )


def _joined(words: list[str]) -> str:
    return " and ".join(dict.fromkeys(words)) or "something"


def _function(call: cst.Call) -> str:
    function = call.func
    if isinstance(function, cst.Attribute):
        return function.attr.value
    return function.value if isinstance(function, cst.Name) else "function"


def _is_module(node: cst.CSTNode) -> bool:
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name) and node.value in ("np", "torch", "nn")


def _names(node: cst.CSTNode) -> set[str]:
    found = {node.value} if isinstance(node, cst.Name) else set()
    for child in node.children:
        found |= _names(child)
    return found


def _stored(target: cst.CSTNode) -> list[cst.CSTNode]:
    if isinstance(target, cst.Tuple):
        return [element.value for element in target.elements]
    return [target]


def _is_negated(node: cst.CSTNode) -> bool:
    negated = isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not)
    return negated or "False" in _names(node)


def _is_call_of(name: str, node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call) and _function(node) == name


def _as_code(name: str) -> str:
    return name if " " in name else f"`{name}`"
