"""Index the pages section by section, for the page of the search (`_templates/search.html`).

Sphinx's own search finds pages, not sections, for most words: "keep probability" led to the top of
a page that is 26 screens long.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from docutils import nodes
from pagefind.service import get_executable
from questions import question
from sphinx.addnodes import pending_xref

# A reader looks for words and not for code; and no answer is given away.
LEFT_OUT = (
    nodes.section,
    nodes.literal_block,
    nodes.raw,
    question,
)
SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "sigma": "σ", "tau": "τ", "theta": "θ", "Phi": "Φ", "star": "*",
    "cdot": "·", "approx": "≈", "lVert": "‖", "rVert": "‖", "odot": "⊙", "partial": "∂",
}  # fmt: skip
NOT_SHOWN = "…"


def signs(latex):
    """Return a short formula as plain text, and an ellipsis for any other."""
    text = re.sub(r"\\(?:mathbf|boldsymbol|text)\b ?|\\[,;!]", "", latex)
    text = re.sub(r"\\hat ?(?:\{ ?(\w)\}|(\w))", "\\1\\2\u0302", text)
    text = re.sub(r"\\([a-zA-Z]+)", lambda found: SIGNS.get(found[1], found[0]), text)
    text = text.replace("^2", "²").replace("{", "").replace("}", "")
    return NOT_SHOWN if "\\" in text or len(text) > 24 else text.strip()


def is_left_out(node):
    """Tell whether a node has no words, or only the name of a work or a place to be filled in."""
    named_only = isinstance(node, pending_xref) and not node.get("refexplicit")
    return named_only or isinstance(node, LEFT_OUT)


def text_of(node):
    """Return the words of a section, without those of the sections within it."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math_block):
        return NOT_SHOWN
    if isinstance(node, nodes.math):
        return signs(node.astext())
    parts = (text_of(child) for child in node.children if not is_left_out(child))
    # Words of neighboring paragraphs stay apart; those of a sentence stay as they are.
    text = ("" if isinstance(node, nodes.TextElement) else "\n").join(parts)
    return f"{text}." if isinstance(node, nodes.title) and text[-1:] not in "?!." else text


def sections(env):
    """Yield address, words, title and title of the page of each section of the site.

    The words begin with the page's title, so that "batch norm backward" finds its backward pass.
    """
    for name in sorted(env.found_docs):
        doctree = env.get_doctree(name)
        page = env.titles[name].astext()
        for section in doctree.findall(nodes.section):
            title = section.next_node(nodes.title).astext()
            top = section.parent is doctree
            place = f"{name}.html" if top else f"{name}.html#{section['ids'][0]}"
            yield place, f"{page}. {text_of(section)}", title, page


def ask(service, request):
    """Send a request to Pagefind's service and return its answer; a comma ends either.

    Pagefind's own client waits for a tenth of a second before it reads an answer, and a site has
    two hundred sections.
    """
    message = json.dumps({"message_id": 1, "payload": request}).encode()
    service.stdin.write(base64.b64encode(message) + b",")
    service.stdin.flush()
    answer = b""
    while not answer.endswith(b","):
        part = service.stdout.read1()
        if not part:
            raise RuntimeError("Pagefind has stopped while it made the index of the search.")
        answer += part
    given = json.loads(base64.b64decode(answer[:-1]))["payload"]
    if given["type"] == "Error":
        raise RuntimeError(f"Pagefind cannot index the site: {given['message']}")
    return given


def write_index(found, folder):
    """Write Pagefind's index of sections into a folder."""
    with subprocess.Popen(
        [get_executable(), "--service"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        index = {"index_id": ask(service, {"type": "NewIndex"})["index_id"]}
        for place, words, title, page in found:
            section = {"url": place, "content": words, "language": "en"}
            meta = {"title": title, "page": page}
            ask(service, {"type": "AddRecord", **index, **section, "meta": meta})
        ask(service, {"type": "WriteFiles", **index, "output_path": str(folder)})


def index_pages(app, error):
    """Write the index into the site, without the programs that show it: the course has its own."""
    if error or app.builder.name != "html":
        return
    folder = Path(app.outdir) / "pagefind"
    found = list(sections(app.env))
    digest = hashlib.sha256(repr(found).encode()).hexdigest()
    mark = folder / "sections.txt"
    # A site that is being looked at keeps its index while nothing has changed.
    if mark.is_file() and mark.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_index(found, folder)
    mark.write_text(digest)
    for superfluous in (*folder.glob("*-ui.*"), folder / "pagefind-highlight.js"):
        superfluous.unlink(missing_ok=True)


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("build-finished", index_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
