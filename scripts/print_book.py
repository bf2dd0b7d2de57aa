"""Print the whole book, which was built as a single page, into one PDF with outline and links.

Run `make pdf`, which builds that page first.
"""

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The number of each sheet; the browser fills it in.
FOOTER = (
    '<div style="font: 8px sans-serif; text-align: center; width: 100%">'
    '<span class="pageNumber"></span></div>'
)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line of log for each."""

    def log_message(self, *args):
        """Say nothing."""


def print_page(site, name, target):
    """Print a page of a site.

    Parameters
    ----------
    site : pathlib.Path
        Folder of the site.
    name : str
        The page's path in it.
    target : pathlib.Path
        The PDF.
    """
    handler = functools.partial(QuietHandler, directory=str(site))
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit("No Chromium here. Install it, for example: scripts/system_packages.sh chromium")
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # A container has no room of its own for the browser's sandbox; the page is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        # A page of everything takes its time where others compute, too.
        page.set_default_timeout(180_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/{name}", wait_until="networkidle")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        margins = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
        page.pdf(
            path=target,
            format="A4",
            margin=margins,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
        )
        browser.close()
        server.shutdown()


def main():
    """Print the book."""
    site = Path("_build/singlehtml")
    # Sphinx writes the page into the folder of its source, with addresses as from the root.
    page = shutil.copy(site / "book" / "index.html", site / "book.html")
    target = Path("_build/book.pdf")
    print_page(site, Path(page).name, target)
    print(f"The book is printed to {target}.")


if __name__ == "__main__":
    main()
