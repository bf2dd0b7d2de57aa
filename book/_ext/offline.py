"""Pack the site into an archive whose pages open from a disk.

Browsers load neither modules nor other pages from a disk.  So figures show their first state there,
and search is missing.
"""

import io
import zipfile
from pathlib import Path

from autograder.handout.notebooks import DOWNLOADS

NAME = "site.zip"
FOLDER = "regularizing-neural-networks"
LEFT_OUT = (DOWNLOADS, "pagefind")


def packed(site):
    """Return the bytes of the archive; the same pages give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(site.rglob("*")):
            place = path.relative_to(site)
            if path.is_file() and place.parts[0] not in LEFT_OUT:
                entry = zipfile.ZipInfo(f"{FOLDER}/{place.as_posix()}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def write_archive(app, exception):
    """Put the archive beside the others, unless it is there already."""
    if exception is not None or app.builder.name != "html":
        return
    target, content = Path(app.outdir) / DOWNLOADS / NAME, packed(Path(app.outdir))
    if not target.is_file() or target.read_bytes() != content:
        target.write_bytes(content)


def setup(app):
    """Register the extension with Sphinx."""
    # Last, when everything else is written.
    app.connect("build-finished", write_archive, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
