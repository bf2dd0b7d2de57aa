"""Talk to a Dask cluster without running what it sends.

distributed unpickles whatever arrives, and has no setting against it.  A pickle can run any
program.  So while a cluster on other machines is in use, distributed unpickles nothing in this
process but the one type that a worker returns.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import distributed.client
import distributed.protocol.pickle
from distributed import Client


class StrictClient(Client):
    """A client that does nothing because a worker says so, such as print or warn."""

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        """Ignore it: Dask's own handlers print to this terminal and unpickle warnings."""

    async def _handle_event(self, topic: str, event: Any) -> None:
        """Ignore what comes without a subscription."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[bytes]:
        if (module, name) != ("builtins", "bytes"):
            # Dask takes a TypeError for an object that is from another version.
            raise TypeError("A worker sent an object, which is refused.")
        return bytes


def _loads(content: Any, *, buffers: Any = ()) -> Any:
    return _Unpickler(io.BytesIO(content), buffers=buffers).load()


@contextmanager
def nothing_unpickled() -> Iterator[None]:
    """Make distributed refuse all pickles but those of bytes, in this process."""
    modules: list[Any] = [distributed.protocol.pickle, distributed.client]
    refusing = SimpleNamespace(**{**vars(pickle), "loads": _loads})
    for module in modules:
        module.pickle = refusing
    try:
        yield
    finally:
        for module in modules:
            module.pickle = pickle
