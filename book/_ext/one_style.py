"""Give the site one style sheet, with the rules and the icons that it uses.

The theme and its extensions bring ten style sheets and 2,000 icons; a page waits for each of them.
"""

import hashlib
import re
from pathlib import Path

import pydata_sphinx_theme
from fontTools import subset
from used_rules import Words, used_rules

# In this order, so that later rules win. What is not named here stays a file of its own.
SHEETS = (
    "basic.css",
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "copybutton.css",
    "mystnb.*.css",
    "sphinx-design.min.css",
    "formulas/formulas.css",
    "course.css",
)
UNUSED = ("sphinx-thebe.css", "togglebutton.css")
# Beside the theme's own, whose addresses of fonts are relative to this folder.
SITE_SHEET = "styles/site.css"
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
ICON_FONTS = "vendor/fontawesome/webfonts"
REPLACED = (
    "scripts/fontawesome.js",
    "**/*.map",
    f"{ICON_FONTS}/*.woff2",
    f"{ICON_FONTS}/*.ttf",
)
FOR_PAPER = re.compile(r"@media (?:only )?print\s*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:("[^"]+")\}')


def merged(sheet):
    """Tell whether a style sheet of a page is in the site's, or not needed."""
    name = Path(str(sheet.filename)).relative_to("_static")
    return any(name.match(pattern) for pattern in SHEETS + UNUSED)


def without_sheets(markup):
    """Return the head of a page without the style sheets that its template names."""
    return re.sub(r"\s*<link[^>]*styles/(?:theme|pydata-sphinx-theme)\.css[^>]*>", "", markup)


def link_one_sheet(app, pagename, templatename, context, doctree):
    """Let a page load the site's style sheet."""
    sheets = context.get("css_files", [])
    context["css_files"] = [
        sheet
        for sheet in sheets
        if not str(sheet.filename).startswith("_static/") or not merged(sheet)
    ]
    context["without_sheets"] = without_sheets
    context["site_sheet"] = f"_static/{SITE_SHEET}"


def link_by_digest(site, text):
    """Let all pages ask for the style sheet by its digest; no browser keeps an old one then."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    for page in site.rglob("*.html"):
        markup = page.read_text("utf-8")
        write_if_new(page, re.sub(rf"({re.escape(SITE_SHEET)}\?v=)\w*", rf"\g<1>{digest}", markup))


def write_one_sheet(app, error):
    """Write the site's style sheet and its font of icons, and delete what they replace."""
    static = Path(app.outdir) / "_static"
    if error or not (static / "course.css").exists():
        return
    for pattern in REPLACED:
        for superfluous in static.glob(pattern):
            superfluous.unlink()
    parts = [path for pattern in SHEETS for path in sorted(static.glob(pattern))]
    text = "\n".join(path.read_text("utf-8") for path in parts)
    # The imported one comes first anyway, and a character set is named at the beginning only.
    text = text.replace('@import "../basic.css";', "").replace('@charset "UTF-8";', "")
    text = ICON_RULE.sub(silent_icon, used_rules(text, words_of(Path(app.outdir))))
    text = text.replace('fa-solid-900.woff2) format("woff2")', 'fa-solid-900.woff) format("woff")')
    text = re.sub(r",\s*url\([^)]*\.ttf\) format\(\"truetype\"\)", "", text)
    text = f'@charset "UTF-8";\n{text}\n{without_script(text)}'
    write_if_new(static / SITE_SHEET, text)
    link_by_digest(Path(app.outdir), text)
    codes = {int(code, 16) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", text)}
    codes |= {ord(letter) for letter in text if "\ue000" <= letter <= "\uf8ff"}
    shrink_font(THEME / ICON_FONTS / "fa-solid-900.ttf", codes, static / ICON_FONTS)


def write_if_new(path, text):
    """Write a file, unless it is there already: somebody may be looking at the site."""
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def without_script(text):
    """Return the rules by which a page is light or dark before, or without, any script.

    The theme's script writes the reader's mode into the page, which says "auto" until then.
    """
    # Taken out of its block, a rule for paper would hold on a screen.
    text = FOR_PAPER.sub("", text)
    found = []
    for mode in ("light", "dark"):
        rules = re.findall(rf'[^{{}}]*\[data-theme="?{mode}"?\][^{{}}]*\{{[^{{}}]*\}}', text)
        for_auto = re.sub(rf'\[data-theme="?{mode}"?\]', "[data-theme=auto]", "".join(rules))
        found.append(f"@media (prefers-color-scheme: {mode}) {{{for_auto}}}")
    return "\n".join(found)


def words_of(site):
    """Return the words of a site's pages and scripts."""
    pages, scripts = (
        [path.read_text("utf-8") for path in site.rglob(pattern)] for pattern in ("*.html", "*.js")
    )
    return Words(pages, scripts)


def silent_icon(rule):
    """Return an icon's rule, with nothing in its place for a screen reader.

    A browser that does not know the second form keeps the first.
    """
    return f'{rule[1]}{{content:{rule[2]};content:{rule[2]}/""}}'


def shrink_font(source, codes, folder):
    """Write a font with some characters only into a folder, as WOFF."""
    options = subset.Options(flavor="woff")
    font = subset.load_font(source, options)
    reduced = subset.Subsetter(options)
    reduced.populate(unicodes=codes)
    reduced.subset(font)
    subset.save_font(font, folder / f"{source.stem}.woff", options)
    font.close()


def setup(app):
    """Register the extension with Sphinx."""
    # Last, after other extensions have added their style sheets.
    app.connect("html-page-context", link_one_sheet, priority=900)
    # After the theme, which writes the colors of the code when the build has finished.
    app.connect("build-finished", write_one_sheet, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
