"""Which libraries an answer uses that grading may not have, and what it is told of them."""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from autograder import distribution

_NEEDED = (distribution.NAME, "numpy", "torch", "matplotlib", "scikit-learn", "ipython")


def do_without(modules: Iterable[str]) -> str:
    """Return what is said of modules that grading may not have."""
    names = ", ".join(f"`{name}`" for name in modules)
    return (
        "Only NumPy, PyTorch, Matplotlib, scikit-learn and what these need are sure to be there "
        f"when your notebook is graded. Do without {names}."
    )


def lacking(modules: Iterable[str]) -> list[str]:
    """Return those of some modules that may not be there when an answer is graded."""
    # Asking what is installed takes a while, and most answers need nothing else.
    unknown = set(modules) - sys.stdlib_module_names - {"numpy", "torch"}
    return sorted(unknown - _installed_with_the_course()) if unknown else []


def used_by(function: Callable[..., Any]) -> set[str]:
    """Return the modules that a function or class uses, without what is below them.

    They are found in its code and in what it calls of the module that defines it.
    """
    found: set[str] = set()
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type):
            waiting += [value for value in vars(one).values() if isinstance(value, FunctionType)]
        elif isinstance(one, FunctionType):
            for code in _codes(one.__code__):
                found.update(_imported(code))
                for name in code.co_names:
                    value = one.__globals__.get(name)
                    if isinstance(value, ModuleType):
                        found.add(_top(value.__name__))
                    elif isinstance(value, FunctionType | BuiltinFunctionType | type):
                        home = value.__module__ or ""
                        if home == one.__module__:
                            waiting.append(value)
                        else:
                            found.add(_top(home))
    return found - {""}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imported(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield _top(instruction.argval)


def _top(module: str) -> str:
    return module.partition(".")[0]


@cache
def _installed_with_the_course() -> set[str]:
    """Return the modules of what the course needs, as far as one can know here."""
    known: set[str] = set()
    waiting = list(_NEEDED)
    while waiting:
        name = _normalized(waiting.pop())
        if name in known:
            continue
        known.add(name)
        try:
            entries = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [
            match[0]
            for entry in entries
            if "extra ==" not in entry and (match := re.match(r"[\w.-]+", entry))
        ]
    return {"autograder"} | {
        module
        for module, owners in metadata.packages_distributions().items()
        if known & set(map(_normalized, owners))
    }


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
