"""The book on paper."""

import importlib.util
import re

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
    place = root / "scripts" / "print_book.py"
    spec = importlib.util.spec_from_file_location("print_book", place)
    print_book = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(print_book)
    (tmp_path / "book.html").write_text(PAGE)
    print_book.print_page(tmp_path, "book.html", tmp_path / "book.pdf")
    written = (tmp_path / "book.pdf").read_bytes()
    assert written.startswith(b"%PDF")
    assert len(re.findall(rb"/Title \(?[^)]*chapter", written)) == 2
    assert re.search(rb"/Dest|/GoTo", written)
