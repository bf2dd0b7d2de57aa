"""Leave out of the site what no page uses, and let the browser load pictures when they are seen.

The theme and its extensions give every page all they have: 600 kB of scripts, 2,000 icons.
"""

import re
from functools import partial
from pathlib import Path

import pydata_sphinx_theme
from fontTools import subset

# A script or style sheet, and the text on a page that asks for it; none where no page does.
ASKED_FOR_BY = {
    "design-tabs.js": "sd-tab-",
    "sphinx-design.min.css": 'class="sd-',
    "togglebutton": None,
    "thebe": None,
}
# The theme's templates name these themselves. The page of the search loads the last three.
IN_THE_HEAD = ("fontawesome.js", "searchtools.js", "language_data.js", "searchindex.js")
# Names, punctuation and spaces in code have the color of the code around them.
UNCOLORED = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')
DRAWING = re.compile(r'<img [^>]*?src="[^"]*_images/([^"/]+\.svg)"[^>]*>')
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:("[^"]+")\}')
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
ICON_FONTS = "vendor/fontawesome/webfonts"


def unused(asset, body):
    """Tell whether a page can do without a script or a style sheet."""
    text = f"{asset} {getattr(asset, 'attributes', {})}".lower()
    return any(
        name in text and (sign is None or sign not in body) for name, sign in ASKED_FOR_BY.items()
    )


def without_scripts(markup):
    """Return the head of a page without the scripts that it does not use."""
    files = "|".join(map(re.escape, IN_THE_HEAD))
    return re.sub(rf"\s*<script[^>]*(?:{files})[^>]*></script>", "", markup)


def size_of(drawing):
    """Return an SVG's width and height in CSS pixels, or None where it does not say."""
    head = drawing.read_text(encoding="utf-8")[:2000]
    points = [re.search(rf'<svg[^>]*\s{side}="([\d.]+)pt"', head) for side in ("width", "height")]
    return None if None in points else [round(float(found[1]) * 4 / 3) for found in points]


def lazy(sources, match):
    """Return an image's element with its size, to be loaded when it is about to be seen.

    With the size known, the text does not jump when the picture arrives.
    """
    size = size_of(sources[match[1]])
    sizes = "" if size is None else ' width="{}" height="{}"'.format(*size)
    return match[0].replace("<img ", f'<img loading="lazy"{sizes} ', 1)


def lighten_page(app, pagename, templatename, context, doctree):
    """Reduce what a page loads."""
    context["without_scripts"] = without_scripts
    body = context.get("body", "")
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if not unused(asset, body)]
    if body:
        # The site's own copies are made after the pages are written.
        sources = {name: Path(app.srcdir) / source for source, (_, name) in app.env.images.items()}
        context["body"] = UNCOLORED.sub(r"\1", DRAWING.sub(partial(lazy, sources), body))


def silent_icon(used, rule):
    """Return an icon's rule, with nothing in its place for a screen reader, or nothing if unused.

    A browser that does not know the second form keeps the first.
    """
    if not used & set(re.findall(r"fa-[a-z0-9-]+", rule[1])):
        return ""
    return f'{rule[1]}{{content:{rule[2]};content:{rule[2]}/""}}'


def keep_used_icons(app, error):
    """Reduce the theme's style sheet and its font of icons to those that the site uses."""
    if error or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    (static / "scripts" / "fontawesome.js").unlink(missing_ok=True)
    for superfluous in (*static.rglob("*.map"), *(static / ICON_FONTS).glob("fa-*.ttf")):
        superfluous.unlink()
    texts = [*Path(app.outdir).rglob("*.html"), *(static / "scripts").glob("*.js")]
    used = {
        name for path in texts for name in re.findall(r"\bfa-[a-z0-9-]+", path.read_text("utf-8"))
    }
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    kept = ICON_RULE.sub(partial(silent_icon, used), sheet.read_text("utf-8"))
    kept = kept.replace('fa-solid-900.woff2) format("woff2")', 'fa-solid-900.woff) format("woff")')
    sheet.write_text(re.sub(r",\s*url\([^)]*\.ttf\) format\(\"truetype\"\)", "", kept), "utf-8")
    text = "".join(path.read_text("utf-8") for path in static.rglob("*.css"))
    codes = {int(code, 16) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", text)}
    codes |= {ord(letter) for letter in text if "\ue000" <= letter <= "\uf8ff"}
    # The theme's own copy has all icons; this one may have been reduced before.
    shrink_font(THEME / ICON_FONTS / "fa-solid-900.ttf", codes, static / ICON_FONTS)


def shrink_font(source, codes, folder):
    """Write a font with some characters only into a folder, as WOFF."""
    options = subset.Options(flavor="woff")
    font = subset.load_font(source, options)
    reduced = subset.Subsetter(options)
    reduced.populate(unicodes=codes)
    reduced.subset(font)
    subset.save_font(font, folder / f"{source.stem}.woff", options)
    font.close()
    for other in folder.glob("*.woff2"):
        other.unlink()


def setup(app):
    """Register the extension with Sphinx."""
    # Last, after other extensions have added their scripts to the page.
    app.connect("html-page-context", lighten_page, priority=900)
    app.connect("build-finished", keep_used_icons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
