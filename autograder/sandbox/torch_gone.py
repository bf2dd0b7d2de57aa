"""A stand-in for PyTorch in a process that never imported it.

Importing it, looking at what it holds, deriving a class and asking `isinstance` work, because a
notebook does so beside its NumPy answers.  Calling anything raises what `wall.MESSAGES` says.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.judging.wall import TORCH, refusal

_PACKAGES = ("torch", "torchgen", "functorch", "torchvision", "torchaudio")

_refuse = refusal(TORCH)


def install() -> None:
    """Make imports of PyTorch find the stand-in."""
    if TORCH in sys.modules:
        raise RuntimeError("PyTorch has been imported already.")
    sys.meta_path.insert(0, _Finder())


def folders() -> list[str]:
    """Return the folders of PyTorch, which must not be readable; call it before `install`."""
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    return [str(Path(spec.origin).parent) for spec in specs if spec and spec.origin]


class _Finder(MetaPathFinder, Loader):
    """Finds every module of PyTorch, and creates it out of nothing."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in _PACKAGES:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Module(spec.name)
        module.__version__ = "0.0"
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Module(ModuleType):
    __version__: str

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _found(f"{self.__name__}.{name}")


def _found(name: str) -> Any:
    """Return a class for a name that is written like one, and something else for any other."""
    last = name.rpartition(".")[2]
    return _Class(last, (), {"__module__": "torch"}) if last[0].isupper() else _Value(name)


class _Class(type):
    """Makes classes that can be derived from and asked for, but have no objects."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        _refuse()

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _found(name)


class _Value:
    """A function, a number or a dtype of PyTorch; only its name is known."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name} is not here>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _found(f"{self._name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        _refuse()

    def __array__(self, *_: Any, **__: Any) -> Any:
        _refuse()

    def __float__(self) -> float:
        _refuse()

    def __iter__(self) -> Iterator[Any]:
        _refuse()
