"""Change cells of a CSV file and nothing else: every other byte stays as it is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = ",;\t"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class SheetError(Exception):
    """A sheet cannot be used; the message is one line that says what to do."""


def decoded(content: bytes) -> tuple[str, str, bytes]:
    """Return a text, its encoding and its byte order mark."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding), encoding, mark
    if content[1:2] == b"\0" or content[:1] == b"\0":
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(encoding), encoding, b""
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding), encoding, b""
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1"), "latin-1", b""


@dataclass
class _Field:
    """A cell as it stands in the file, quotes included, and what follows it."""

    text: str
    end: str

    @property
    def value(self) -> str:
        if self.text[:1] == '"':
            return self.text.removeprefix('"').removesuffix('"').replace('""', '"')
        return self.text


class Sheet:
    """A CSV file, whatever its encoding, delimiter, quotes and line ends."""

    def __init__(self, content: bytes) -> None:
        try:
            text, self._encoding, self._mark = decoded(content)
        except UnicodeDecodeError as error:
            raise SheetError(
                f"The sheet is not valid {error.encoding}. Export it again as CSV."
            ) from None
        head = re.sub(r'"[^"]*"', "", text).partition("\n")[0]
        self.delimiter = max(DELIMITERS, key=head.count)
        self._rows = [row for row in self._read(text) if row]
        if not self._rows:
            raise SheetError("The sheet is empty. Export it again.")

    @classmethod
    def open(cls, path: Path) -> Sheet:
        """Read a sheet.

        Raises
        ------
        SheetError
            When it cannot be read as one.
        """
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise SheetError(f"{path} cannot be read: {error.strerror}. Check the name.") from None
        except SheetError as error:
            raise SheetError(f"{path}: {error}") from None

    def _read(self, text: str) -> Iterator[list[_Field]]:
        # A quote inside a field that does not begin with one is a character like others.
        rest = f"[^\r\n{self.delimiter}]*"
        quoted = rf'"(?:[^"]|"")*+"{rest}'
        field = re.compile(rf'({quoted}|(?!"){rest})({self.delimiter}|\r\n|\r|\n|$)')
        row: list[_Field] = []
        place = 0
        while True:
            found = field.match(text, place)
            if found is None:
                raise SheetError("A quote in the sheet is not closed. Export it again.")
            row.append(_Field(*found.groups()))
            place = found.end()
            if found[2] != self.delimiter:
                if place < len(text) or len(row) > 1 or row[0].text or found[2]:
                    yield row
                row = []
                if not found[2] or place == len(text):
                    return

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [field.value for field in self._rows[0]]

    @property
    def rows(self) -> range:
        """The numbers of the rows below the header that are not blank."""
        return range(1, len(self._rows))

    def value(self, row: int, column: int) -> str:
        """Return what a cell says; "" if the row is too short."""
        fields = self._rows[row]
        return fields[column].value if column < len(fields) else ""

    def put(self, row: int, column: int, text: str) -> None:
        """Change a cell; its quotes stay if it has some.

        Raises
        ------
        SheetError
            When the row is too short.
        """
        if column >= len(self._rows[row]):
            raise SheetError(f"Row {row + 1} of the sheet is too short. Export it again.")
        field = self._rows[row][column]
        quoted = field.text[:1] == '"' or any(c in text for c in f'"\r\n{self.delimiter}')
        field.text = '"' + text.replace('"', '""') + '"' if quoted else text

    def find(self, *names: str) -> int | None:
        """Return the first column with one of some names, whatever their case and punctuation."""
        header = [squeezed(name) for name in self.header]
        return next(
            (header.index(squeezed(name)) for name in names if squeezed(name) in header), None
        )

    def content(self) -> bytes:
        """Return the file.

        Raises
        ------
        SheetError
            When its encoding lacks a character.
        """
        text = "".join(field.text + field.end for row in self._rows for field in row)
        try:
            return self._mark + text.encode(self._encoding)
        except UnicodeEncodeError:
            raise SheetError(
                "The sheet's encoding lacks a character. Export it as UTF-8."
            ) from None


def squeezed(name: str) -> str:
    """Return a name in small letters and digits only, to compare it with others."""
    return re.sub(r"[\W_]+", "", name).casefold()


def any_column(sheet: Sheet, names: Sequence[str]) -> int:
    """Return the column, of all, that `one_column` finds."""
    return one_column(sheet, range(len(sheet.header)), names)


def one_column(sheet: Sheet, columns: Sequence[int], names: Sequence[str]) -> int:
    """Return the column, of some, whose title is or has one of an assignment's names.

    Raises
    ------
    SheetError
        When none has, or several have.
    """
    titles = {column: sheet.header[column] for column in columns}
    for fits in (_is, _has):
        found = [column for column, title in titles.items() if any(fits(title, n) for n in names)]
        if len(found) == 1:
            return found[0]
        if found:
            break
    some = ", ".join(repr(titles[column]) for column in (found or columns))
    what = "Several columns are" if found else "No column is"
    raise SheetError(
        f"{what} called {names[0]!r}. Say which with --column TITLE; there are {some or 'none'}."
    )


def _is(title: str, name: str) -> bool:
    return squeezed(re.sub(r"\(\d+\)\s*$", "", title)) == squeezed(name)


def _has(title: str, name: str) -> bool:
    words = [re.escape(word) for word in re.split(r"[\W_]+", name) if word]
    pattern = r"[\W_]*".join(words)
    return bool(words) and bool(re.search(rf"(?<![^\W_]){pattern}(?![^\W_])", title, re.IGNORECASE))


def number(text: str) -> float | None:
    """Return a number that is written with a point or a comma, or None."""
    match = re.fullmatch(r"\s*(\d+)(?:[.,](\d+))?\s*", text)
    return float(f"{match[1]}.{match[2] or 0}") if match else None
