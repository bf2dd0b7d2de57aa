"""The parts of an HTML page that tests of the book look at."""

from html.parser import HTMLParser

# Attributes by which a page makes a browser fetch something, as opposed to a link to click on.
FETCHING = {
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("video", "src"),
    ("audio", "src"),
    ("link", "href"),
}
# Links in the head that name a page and fetch nothing.
NAMING = {"index", "search", "prev", "next", "canonical", "author", "copyright", "help"}


class Page(HTMLParser):
    """The parts of an HTML page that these tests look at."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.fetched, self.links, self.ids, self.images = [], [], set(), []
        self.headings = []
        self.heading = None
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        named = tag == "link" and attributes.get("rel") in NAMING
        for name, value in attributes.items():
            if (tag, name) in FETCHING and not named:
                self.fetched.append(value)
        if "id" in attributes:
            self.ids.add(attributes["id"])
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag in ("h1", "h2"):
            self.heading = ""
        if tag == "a" and "headerlink" in (attributes.get("class") or ""):
            # The sign behind a heading by which its address can be copied.
            self.end_heading()

    def handle_endtag(self, tag):
        if tag in ("h1", "h2"):
            self.end_heading()

    def handle_data(self, data):
        if self.heading is not None:
            self.heading += data

    def end_heading(self):
        if self.heading is not None:
            self.headings.append(self.heading.strip())
        self.heading = None
