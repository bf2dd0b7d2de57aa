"""The book on paper."""

import os
import re
import subprocess
import sys

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>A book</title></head><body>
<h1>First chapter</h1><p><a href="#second">On to the next</a></p><details><p>Open me</p></details>
<h1 id="second">Second chapter</h1>
<script>
addEventListener("beforeprint", () => document.querySelector("details").open = true)
</script>
</body></html>
"""


def test_the_book_has_an_outline_and_links(root, tmp_path):
    """A reader of the PDF goes from chapter to chapter as on the site."""
    (tmp_path / "book.html").write_text(PAGE)
    program = "import pathlib, print_book; here = pathlib.Path(); " + (
        "print_book.print_page(here, 'book.html', here / 'book.pdf')"
    )
    environment = {**os.environ, "PYTHONPATH": str(root / "scripts")}
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    written = (tmp_path / "book.pdf").read_bytes()
    assert written.startswith(b"%PDF")
    assert len(re.findall(rb"/Title \(?[^)]*chapter", written)) == 2
    assert re.search(rb"/Dest|/GoTo", written)
