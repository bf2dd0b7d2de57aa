"""Find what an answer uses although its task forbids it, in the syntax trees of the cells.

The search starts at the name of the answer.  It goes on to the top-level statements that bind it,
to the names they use, and so on.  Code that is not reached, such as a comparison with PyTorch in
its own cell, costs nothing unless it could replace an answer unseen.

This is a deterrent, not a guarantee: nothing is run, and a determined disguise gets through.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
import warnings
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from autograder.task import Task

_PACKAGE = "autograder"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Why a name or attribute counts.  Within reach of an answer, "hiding" conceals what is called and
# "by name" looks it up by a computed name.  Anywhere in a notebook, "replacing" can replace an
# answer unseen, and so can "shell" as a method of IPython's shell.
_NAMES = {
    "hiding": _set(
        "exec eval compile globals locals vars __import__ __builtins__ __loader__ __spec__ "
        "get_ipython breakpoint"
    ),
    "by name": _set("getattr attrgetter methodcaller"),
    "replacing": _set("exec eval globals __builtins__"),
}
_ATTRIBUTES = {
    "hiding": _set(
        "__dict__ __globals__ __builtins__ __annotations__ __subclasses__ __getattribute__ "
        "__getattr__ __self__ __import__ __loader__ __spec__ __reduce__ __reduce_ex__ f_globals "
        "f_locals f_back f_builtins _getframe _current_frames import_module load_module ctypes "
        "ctypeslib"
    ),
    "by name": _set("attrgetter methodcaller"),
    "replacing": _set(
        "__globals__ __builtins__ f_globals user_ns user_global_ns user_module run_cell "
        "run_cell_async run_code run_ast_nodes safe_execfile safe_execfile_ipy safe_run_module "
        "ast_transformers input_transformers_cleanup input_transformers_post "
        "input_transformer_manager"
    ),
    "shell": _set("ex ev push magic run_line_magic run_cell_magic"),
}
_HIDING_MODULES = _set(
    "importlib runpy ctypes gc inspect pickle _pickle marshal shelve dill cloudpickle joblib imp "
    "pkgutil zipimport code codeop builtins subprocess multiprocessing IPython __main__"
)
_KNOWN_MODULES = sys.stdlib_module_names | _set(
    "numpy scipy sklearn matplotlib mpl_toolkits torch pandas seaborn tqdm PIL sympy autograder"
)

# Methods that store their arguments in the object they are called on.
_MUTATORS = _set("append extend insert add update setdefault __setitem__")
_NAMESPACES = {"globals", "locals", "vars"}
_NAMESPACE_READERS = {"get", "keys", "values", "items", "copy"}
_TIMEIT = {"timeit", "repeat", "Timer"}
_MAGICS_WITHOUT_PYTHON = _set(
    "bash sh script sx system ! cmd html HTML javascript js latex markdown svg SVG writefile file "
    "perl ruby python python2 python3 pypy cd ls pip conda env set_env matplotlib pinfo pinfo2 "
    "psource pdoc pycat load_ext autoreload config who whos run"
)
_MAGIC_LIKE = re.compile(r"^\s*[%!?,;/]|\?\s*$|=\s*[%!]", re.MULTILINE)
_MOST_WORK = 500_000

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Block = ast.stmt | ast.ExceptHandler | ast.match_case


def forbidden_use(task: Task, cells: Sequence[str], setup: Sequence[str]) -> str | None:
    """Return a message about what the answer to a task uses but must not; None if it is fine.

    Parameters
    ----------
    task
        Its `forbidden` names are looked for, as are this package and ways to hide a name.
    cells
        The student's code cells in order, both answers and added cells.  Any text is accepted.
    setup
        The course's own cells that run with them.
    """
    return _notebook(tuple(cells), tuple(setup)).violation(task)


class _Found(NamedTuple):
    """A word that may count: why, its line, and the name that it is an attribute of, if any."""

    kind: str
    word: str
    line: str
    owner: str = ""


class _Code(NamedTuple):
    """A piece of Python and the lines it was read from."""

    nodes: Sequence[ast.AST]
    lines: Sequence[str]

    def backwards(self) -> list[tuple[ast.AST, Sequence[str]]]:
        """Return the nodes in reverse order, each with the lines."""
        return [(node, self.lines) for node in reversed(self.nodes)]


@dataclass(frozen=True)
class _Scope:
    """The scope of a node: the names bound in it, and the scope around it."""

    lines: Sequence[str]
    local: frozenset[str] = frozenset()
    # Attributes of a class are bound here but not visible in functions.
    attributes: frozenset[str] = frozenset()
    declared_global: frozenset[str] = frozenset()
    # In a method, the name of the object itself, such as `self`.
    own: str = ""
    in_class: bool = False
    in_function: bool = False
    outer: _Scope | None = None

    def line(self, node: ast.AST) -> str:
        number = getattr(node, "lineno", 1)
        return self.lines[number - 1] if number <= len(self.lines) else ""

    def _binder(self, name: str) -> _Scope | None:
        scope: _Scope | None = self
        while scope and name not in scope.local:
            scope = None if name in scope.declared_global else scope.outer
        return scope

    def is_local(self, name: str) -> bool:
        return self._binder(name) is not None

    def is_own(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Name):
            return False
        binder = self._binder(node.id)
        return binder is not None and binder.own == node.id


class _Reader:
    """Turns the text of cells into the Python that IPython would run."""

    def __init__(self) -> None:
        self.work_left = _MOST_WORK

    def cell(self, text: str) -> _Code:
        """Return the statements of a cell; none if IPython could not run it either."""
        code = self.python(text)
        if code is None and len(text.split("\n")) == 1:
            # A single line may be a magic without its percent sign.
            code = self.python(f"%{text.strip()}")
        return code or _Code([], [])

    def python(self, text: str) -> _Code | None:
        """Return the statements of a text that may contain magics; None if it is not Python."""
        try:
            self._spend(len(text) // 2)
            return _parsed(text) or _parsed(self._without_magics(text))
        except RecursionError:
            # It could run with a higher recursion limit.
            return _words(text)

    def _spend(self, work: int) -> None:
        self.work_left -= work
        if self.work_left < 0:
            raise RecursionError

    def _without_magics(self, text: str) -> str:
        # IPython rereads the whole text after every magic.
        self._spend(len(text) * (1 + len(_MAGIC_LIKE.findall(text))))
        # Imported here because most notebooks are plain Python.
        from IPython.core.inputtransformer2 import TransformerManager

        try:
            return str(TransformerManager().transform_cell(text))  # type: ignore[no-untyped-call]
        except Exception:
            # IPython does not run a cell whose transformation fails, for whatever reason.
            return text

    def embedded(self, call: ast.Call) -> list[_Code] | None:
        """Return the Python in the literal strings of a magic, exec or timeit; else None."""
        match call:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="get_ipython")),
                    attr="run_line_magic" | "run_cell_magic",
                ),
                args=[ast.Constant(value=str(magic)), *strings],
            ):
                if magic in _MAGICS_WITHOUT_PYTHON:
                    strings = []
            case ast.Call(func=ast.Name(id="exec" | "eval"), args=[string]):
                strings = [string]
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[_, *_] as strings
            ) if name in _TIMEIT:
                pass
            case _:
                return None
        values = [string.value for string in strings if isinstance(string, ast.Constant)]
        if len(values) < len(strings):
            return None
        return [self._without_options(value) for value in values if isinstance(value, str)]

    def _without_options(self, text: str) -> _Code:
        code = self.python(text)
        for _ in range(12):
            if code or not text:
                break
            text = text.lstrip().partition(" ")[2]
            code = _parsed(text)
        return code or _Code([], [])


def _parsed(text: str) -> _Code | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Code(ast.parse(text).body, re.split("\r\n|\r|\n", text))
    except (SyntaxError, ValueError, MemoryError):
        return None


def _words(text: str) -> _Code:
    """Return code that binds and uses every word of a text that is too large to parse."""
    words = {word for word in re.findall(r"\w+", text) if word.isidentifier()}
    names = sorted(word for word in words if not keyword.iskeyword(word)) or ["_"]
    stand_in = f"{', '.join(names)}, = {', '.join(f'{name}.{name}' for name in names)},"
    return _Code(ast.parse(stand_in).body, text.lstrip().split("\n"))


class _Statement:
    """A top-level statement: the names it binds and uses, and the words in it that may count."""

    def __init__(self, nodes: Sequence[ast.AST], lines: Sequence[str], reader: _Reader) -> None:
        self.name = next((node.name for node in nodes if isinstance(node, _Definition)), "")
        self.is_import = any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)
        self.binds: set[str] = set()
        self.uses: dict[str, str] = {}
        self.packages: dict[str, str] = {}
        self.found: list[_Found] = []
        self._reader = reader
        self._imported: dict[str, str] = {}
        todo: list[tuple[ast.AST, _Scope]] = [(node, _Scope(lines)) for node in reversed(nodes)]
        while todo:
            # Iterative, because a student's tree may be deep.
            todo.extend(reversed(list(self._visit(*todo.pop()))))

    def _visit(self, node: ast.AST, scope: _Scope) -> Iterable[tuple[ast.AST, _Scope]]:
        """Note what a node itself does and return what is below it."""
        line = scope.line(node)
        for name in _binds(node):
            if name not in scope.attributes and not scope.is_local(name):
                self.binds.add(name)
        match node:
            case ast.Name(ctx=ast.Load()):
                self._name(node, scope, line)
            case ast.Attribute():
                if not scope.is_own(node.value):
                    self._word(node.attr, node.value, scope, line)
                if not isinstance(node.ctx, ast.Load):
                    self._change(node, scope, line)
                elif node.attr in _NAMESPACE_READERS:
                    return self._reads(node, scope, line, [node.value])
            case ast.Subscript():
                if not isinstance(node.ctx, ast.Load):
                    self._change(node, scope, line)
                return self._reads(node, scope, line, _children(node))
            case ast.Import() | ast.ImportFrom():
                self._import(node, scope, line)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                return self._function(node, scope)
            case ast.ClassDef():
                return self._class(node, scope)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self._comprehension(node, scope)
            case ast.Call():
                return self._call(node, scope, line)
            case ast.Compare():
                return self._reads(node, scope, line, [node.left, *node.comparators])
            case ast.Constant(value="__main__"):
                self._note("__main__", line, "replacing")
            case ast.MatchClass():
                for name in node.kwd_attrs:
                    self._word(name, node.cls, scope, line)
        return [(child, scope) for child in _children(node)]

    def _note(self, word: str, line: str, *kinds: str, owner: str = "") -> None:
        self.found += [_Found(kind, word, line, owner) for kind in kinds]

    def _name(self, node: ast.Name, scope: _Scope, line: str) -> None:
        if not scope.is_local(node.id):
            self.uses.setdefault(node.id, line)
            for kind, names in _NAMES.items():
                if node.id in names:
                    self._note(node.id, line, kind)

    def _word(self, word: str, owner: ast.AST, scope: _Scope, line: str) -> None:
        """Note an attribute, with its owner if that is a global name of the notebook."""
        name = owner.id if isinstance(owner, ast.Name) and not scope.is_local(owner.id) else ""
        self._note(word, line, "word", owner=name)
        for kind, attributes in _ATTRIBUTES.items():
            if word in attributes:
                self._note(word, line, kind, owner=name)
        if word == "modules" and "sys" in (getattr(owner, "id", ""), getattr(owner, "attr", "")):
            self._note("modules", line, "hiding", "replacing", owner=name)

    def _change(self, target: ast.AST, scope: _Scope, line: str) -> None:
        """Note that the object at the root of an expression is changed."""
        while not isinstance(target, ast.Name):
            match target:
                case ast.Call(func=ast.Name(id="vars" | "getattr"), args=[first, *_]):
                    target = first
                case ast.Call(func=inner) | ast.Attribute(value=inner):
                    target = inner
                case ast.Subscript(value=inner):
                    target = inner
                case _:
                    return
        if target.id in self._imported:
            self.binds.add(_contents(self._imported[target.id]))
        if not scope.is_local(target.id):
            self.binds |= {target.id, _contents(target.id)}
            if target.id in _NAMESPACES:
                self._note(target.id, line, "replacing")

    def _import(self, node: ast.Import | ast.ImportFrom, scope: _Scope, line: str) -> None:
        for alias in node.names:
            module = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
            package, *inner = f"{module}{alias.name}".split(".")
            self.packages.setdefault(package, line)
            self._imported[alias.asname or alias.name.split(".")[0]] = package
            self.uses.setdefault(_contents(package), line)
            for word in (package, *inner):
                if word not in _NAMES["by name"] or alias.asname:
                    self._word(word, node, scope, line)
            if package in _HIDING_MODULES or (package == "sys" and alias.asname):
                self._note(package, line, "hiding")
            if alias.name == "__main__" or (package, alias.name) == ("sys", "modules"):
                self._note(alias.name, line, "hiding", "replacing")

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope
    ) -> Iterable[tuple[ast.AST, _Scope]]:
        arguments = node.args
        outside = [*arguments.defaults, *(value for value in arguments.kw_defaults if value)]
        if isinstance(node, ast.Lambda):
            body: Sequence[ast.AST] = [node.body]
        else:
            outside += node.decorator_list
            body = node.body
        bound, declared = _bound(body)
        positional = [*arguments.posonlyargs, *arguments.args]
        others = [*arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        own = positional[0].arg if scope.in_class and positional else ""
        inside = replace(
            scope,
            local=bound - declared | {one.arg for one in (*positional, *others) if one},
            attributes=frozenset(),
            declared_global=declared,
            own="" if own in bound else own,
            in_class=False,
            in_function=True,
            outer=scope,
        )
        return [*((child, scope) for child in outside), *((child, inside) for child in body)]

    def _class(self, node: ast.ClassDef, scope: _Scope) -> Iterable[tuple[ast.AST, _Scope]]:
        bound, declared = _bound(node.body)
        inside = replace(
            scope,
            local=frozenset(),
            attributes=bound - declared,
            declared_global=declared,
            own="",
            in_class=True,
            outer=scope,
        )
        outside = [*node.decorator_list, *node.bases, *node.keywords]
        return [*((child, scope) for child in outside), *((child, inside) for child in node.body)]

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
        scope: _Scope,
    ) -> Iterable[tuple[ast.AST, _Scope]]:
        first = node.generators[0]
        targets, _ = _bound([generator.target for generator in node.generators])
        inside = replace(scope, local=targets, own="", outer=scope)
        below = [child for child in _children(node) if child is not first]
        below += [child for child in _children(first) if child is not first.iter]
        return [(first.iter, scope), *((child, inside) for child in below)]

    def _call(self, node: ast.Call, scope: _Scope, line: str) -> Iterable[tuple[ast.AST, _Scope]]:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        below = _children(node)
        embedded = self._reader.embedded(node)
        if embedded is not None:
            if name in ("exec", "eval"):
                self._note(name, line, "hiding")
            if name == "run_line_magic" and getattr(node.args[0], "value", None) == "run":
                self._note("%run", line, "replacing")
            found = [
                (child, replace(scope, lines=code.lines))
                for code in embedded
                for child in code.nodes
            ]
            return [*found, *self._reads(node, scope, line, [word.value for word in node.keywords])]
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")))) if (
                name in ("system", "getoutput")
            ):
                self._note("!", line, "hiding")
                return [(argument, scope) for argument in node.args]
            case ast.Call(func=ast.Name(id="globals" | "locals" | "vars"), args=[], keywords=[]):
                if name == "globals" or not scope.in_function:
                    self._note(name, line, "hiding", "replacing")
                return []
            case ast.Call(args=[first, *_]) if name == "getattr" and scope.is_own(first):
                below[:1] = _children(node.func)
            case ast.Call(args=[owner, ast.Constant(value=str(word)), *_]) if name == "getattr":
                self._word(word, owner, scope, line)
                below[:1] = _children(node.func)
            case ast.Call(args=[ast.Constant(value=str(path)), *_]) if name in _NAMES["by name"]:
                for word in path.split("."):
                    self._word(word, node, scope, line)
                below[:1] = _children(node.func)
            case ast.Call(args=[first, *_]) if name in ("setattr", "delattr"):
                self._change(first, scope, line)
            case ast.Call(func=ast.Attribute(value=changed)) if name in _MUTATORS:
                self._change(changed, scope, line)
        return [(child, scope) for child in below]

    def _reads(
        self, node: ast.AST, scope: _Scope, line: str, children: Iterable[ast.AST]
    ) -> Iterable[tuple[ast.AST, _Scope]]:
        """Return the children that do more than read from a namespace."""
        below = []
        for child in children:
            match child:
                case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _NAMESPACES:
                    if name == "globals" or not scope.in_function:
                        self._note(name, line, "hiding")
                case ast.Attribute(attr="modules", value=ast.Name(id="sys")) if isinstance(
                    node, ast.Compare
                ):
                    self._note("sys.modules", line, "hiding")
                case ast.Constant(value="__main__") if isinstance(node, ast.Compare):
                    pass
                case _:
                    below.append((child, scope))
        return below


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the direct children of a node, except annotations."""
    below = []
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            below += value if isinstance(value, list) else [value]
    return [child for child in below if isinstance(child, ast.AST)]


def _binds(node: ast.AST) -> list[str]:
    """Return the names that a node binds by itself."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.ClassDef(name=str(name)) | ast.ExceptHandler(name=str(name)):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Import():
            return [alias.asname or alias.name.split(".")[0] for alias in node.names]
        case ast.ImportFrom():
            return [alias.asname or alias.name for alias in node.names]
    return []


def _bound(nodes: Iterable[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that statements bind in their scope, and those they declare global."""
    bound: set[str] = set()
    declared: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        bound.update(_binds(node))
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                continue
            case ast.comprehension():
                todo += [node.iter, *node.ifs]
                continue
            case ast.Global():
                declared.update(node.names)
        todo += ast.iter_child_nodes(node)
    return frozenset(bound), frozenset(declared)


def _contents(name: str) -> str:
    """Return the name that stands for the contents of an object or package."""
    return f"{name}."


def _statements(cell: str, reader: _Reader) -> Iterator[_Statement]:
    """Yield the statements of a cell, including nested ones and magics; definitions stay whole."""
    todo = reader.cell(cell).backwards()
    while todo:
        node, lines = todo.pop()
        match node:
            case ast.Expr(value=ast.Call(keywords=[]) as call):
                embedded = reader.embedded(call)
            case _:
                embedded = None
        if embedded:
            for code in reversed(embedded):
                todo += code.backwards()
            continue
        parts = [] if isinstance(node, _Definition) else _children(node)
        blocks = [part for part in parts if isinstance(part, _Block)]
        todo += _Code(blocks, lines).backwards()
        own = [part for part in parts if not isinstance(part, _Block)] if blocks else [node]
        yield _Statement(own, lines, reader)


class _Notebook:
    """All top-level statements of a notebook, by the names they bind."""

    def __init__(self, cells: Sequence[str], setup: Sequence[str]) -> None:
        reader = _Reader()
        self.files = {name for cell in cells for name in re.findall(r"(\w+)\.py\b", cell)}
        self.students = [one for cell in cells for one in _statements(cell, reader)]
        self.course = {one for cell in setup for one in _statements(cell, reader)}
        self.has_shell = any(
            found.word == "get_ipython" for one in self.students for found in one.found
        )
        self.binding: dict[str, list[_Statement]] = defaultdict(list)
        # Maps the contents of a package to the names through which they may have been changed.
        self.changed_by: dict[str, set[str]] = defaultdict(set)
        for statement in (*self.course, *self.students):
            for name in statement.binds:
                self.binding[name].append(statement)
                for package in statement.packages:
                    self.changed_by[_contents(package)].add(_contents(name))
        self.defined = {
            name
            for name, statements in self.binding.items()
            if all(statement.name == name for statement in statements)
        }

    def violation(self, task: Task) -> str | None:
        """Return a message about what the answer to a task uses but must not."""
        for statement, way in self._reached(task):
            for found in self._problems(statement, task, way):
                place = statement.name
                if way and (statement.is_import or statement in self.course):
                    # Show the student's line that uses it.
                    found, place = found._replace(line=way.line), way.owner
                return _sentences(found, place)
        for statement in self.students:
            for found in self._replacing(statement):
                return _sentences(found._replace(kind="replacing"), statement.name)
        return None

    def _reached(self, task: Task) -> Iterator[tuple[_Statement, _Found | None]]:
        """Yield the statements that an answer can reach, each with how it was reached."""
        start = (task.name, *task.depends_on, _contents("builtins"))
        todo: deque[tuple[str, _Found | None]] = deque((name, None) for name in start)
        names, statements = set(start), set()
        while todo:
            name, way = todo.popleft()
            todo.extend((other, way) for other in self.changed_by.get(name, set()) - names)
            names |= self.changed_by.get(name, set())
            unknown = name not in self.binding and not hasattr(builtins, name)
            for statement in self.binding.get("*" if unknown else name, ()):
                yield statement, way
                if statement in statements:
                    continue
                statements.add(statement)
                for used, line in statement.uses.items():
                    if used not in names:
                        names.add(used)
                        todo.append((used, _Found("way", used, line, statement.name)))

    def _problems(self, statement: _Statement, task: Task, way: _Found | None) -> Iterator[_Found]:
        """Yield what is wrong with a statement that an answer reaches."""
        if way and "*" in statement.binds and _is_forbidden(way.word, task):
            yield way._replace(kind="word", owner="")
        for found in statement.found:
            if found.kind == "word":
                # The body of a class or function of the notebook is searched separately.
                counts = _is_forbidden(found.word, task) and found.owner not in self.defined
            else:
                # If only this package is forbidden, which has to be imported, attributes may be
                # looked up by name.
                kinds = ("hiding", "by name") if task.forbidden else ("hiding",)
                counts = found.kind in kinds and found.word not in self.defined
            if counts:
                yield found
        for package, line in statement.packages.items():
            if package not in _KNOWN_MODULES | _HIDING_MODULES:
                yield _Found("unknown", package, line)

    def _replacing(self, statement: _Statement) -> Iterator[_Found]:
        """Yield what can replace an answer although no answer reaches it."""
        kinds = ("replacing", "shell") if self.has_shell else ("replacing",)
        for found in statement.found:
            if found.kind in kinds and found.word not in self.defined:
                yield found
        for package, line in statement.packages.items():
            if package in self.files - _KNOWN_MODULES:
                yield _Found("replacing", package, line)


@lru_cache(maxsize=2)
def _notebook(cells: tuple[str, ...], setup: tuple[str, ...]) -> _Notebook:
    """Read a notebook once for all of its tasks."""
    return _Notebook(cells, setup)


def _is_forbidden(word: str, task: Task) -> bool:
    plain = word.replace("_", "").lower()
    return word == _PACKAGE or any(part in plain for part in task.forbidden)


_HIDES = (
    "{place} uses `{word}`, which hides from grading what is called: `{line}`. "
    "Call functions by their own names."
)
_SENTENCES = {
    "word": "{place} uses `{word}`, which this task does not allow: `{line}`. "
    "Write it yourself; comparing with PyTorch in a cell of your own is fine.",
    "hiding": _HIDES,
    "by name": _HIDES,
    "unknown": "{place} uses the module `{word}`, which grading does not know: `{line}`. "
    "Copy what you need from it into a cell.",
    "replacing": "{place} uses `{word}`, which can replace any answer, so no task of this notebook "
    "counts: `{line}`. Remove it.",
}


def _sentences(found: _Found, place: str) -> str:
    word = f"{found.owner}.{found.word}" if found.owner else found.word
    return _SENTENCES[found.kind].format(
        place=f"`{_short(place, 40)}`" if place else "A cell",
        word=_short(word, 60),
        line=_short(found.line, 100),
    )


def _short(text: str, length: int) -> str:
    """Return a student's text shortened to fit one line of a report."""
    text = text.strip()
    shown = text if len(text) <= length else f"{text[: length - 1]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
