"""Run cells as a notebook does, and keep their outputs.  Runs in the sandbox."""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from autograder.judging.wall import NotAllowedError
from autograder.sandbox.pipe import MAX_OUTPUTS, MAX_PICTURE, MAX_TEXT

ROOM = 2 * MAX_TEXT
"""Characters of text to keep for one cell."""


class Outputs:
    """The outputs of one cell, capped so that a loop that prints cannot fill the memory."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.pictures: list[bytes] = []
        self._room = ROOM

    def text(self, kind: str, text: str, name: str = "") -> None:
        """Add text, appending it to the last output if both are of the same stream."""
        if self._room <= 0 or not text:
            return
        kept = text[: min(self._room, MAX_TEXT)]
        self._room -= len(kept)
        last = self.headers[-1] if self.headers else {}
        if kind in ("stdout", "stderr") and last.get("kind") == kind:
            kept = last.pop("text") + kept
            last["text"] = kept
            if len(kept) > MAX_TEXT:
                self._room = 0
        elif len(self.headers) < MAX_OUTPUTS - 1:
            self.headers.append({"kind": kind, "text": kept, "name": name})
        else:
            self._room = 0
        if self._room <= 0:
            self.headers.append({"kind": "stdout", "text": "\n... (cut off)\n"})

    def picture(self, content: bytes) -> None:
        """Add a PNG unless it is too large for the page."""
        if len(content) <= MAX_PICTURE and len(self.headers) < MAX_OUTPUTS - 1:
            self.headers.append({"kind": "picture"})
            self.pictures.append(content)

    def value(self, data: dict[str, Any]) -> None:
        """Add a displayed value: its PNG if it has one, else its text."""
        picture = data.get("image/png")
        if picture is not None:
            self.picture(picture if isinstance(picture, bytes) else base64.b64decode(picture))
        else:
            self.text("text", str(data.get("text/plain", "")))


class _Stream(io.TextIOBase):
    def __init__(self, outputs: Outputs, kind: str) -> None:
        self._outputs = outputs
        self._kind = kind

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._outputs.text(self._kind, text)
        return len(text)


class _Publisher(DisplayPublisher):
    shell: Shell

    def publish(self, data: dict[str, Any], *args: Any, **options: Any) -> None:
        self.shell._outputs.value(data)

    def clear_output(self, wait: bool = False) -> None:
        pass


class _Hook(DisplayHook):
    shell: Shell

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        self.shell._outputs.value(format_dict)


class Shell(InteractiveShell):
    """IPython's shell without history, with plots as in a notebook."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.xmode = "Context"
        self._lacks = False
        super().__init__(config=config, display_pub_class=_Publisher, displayhook_class=_Hook)

    def enable_gui(self, gui: str | None = None) -> None:
        """Do nothing: there is no screen, and plots do not need one."""

    def system(self, cmd: str) -> None:
        """Run a command and show what it prints; IPython would open a terminal for it."""
        with subprocess.Popen(
            self.var_expand(cmd, depth=1),
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="")
        self.user_ns["_exit_code"] = process.returncode

    def run(self, source: str) -> Outputs:
        """Run a cell and return its outputs."""
        outputs = Outputs()
        self._outputs = outputs
        with _streams(outputs):
            self.run_cell(source)
        return outputs

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run one statement of a cell, and go on after one that needs what is not here.

        From then on others may fail for that reason.
        """
        failed: bool = await super().run_code(code_obj, result, async_=async_)
        if failed and result is not None:
            self._lacks |= isinstance(result.error_in_exec, NotAllowedError)
            if self._lacks:
                result.error_in_exec = None
                return False
        return failed

    def _showtraceback(self, etype: type[BaseException], evalue: Any, stb: Any) -> None:
        """Add a traceback to the cell's outputs."""
        self._outputs.text("error", self.InteractiveTB.stb2text(stb), etype.__name__)


@contextlib.contextmanager
def _streams(outputs: Outputs) -> Iterator[None]:
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(outputs, "stdout"), _Stream(outputs, "stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
