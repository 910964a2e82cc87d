"""Settings of the documentation site, which one command at the project's root makes, warnings being errors:

    sphinx-build -W --keep-going -c docs . build/site

Sphinx, because it is kept well, reads docstrings as they are (NumPy's form) and Markdown as it is (MyST).
The project's root is where it looks for pages, so that README.md, docs/ and the README.md of other folders
are pages with the links that hold on a code host too.  A link to another file leads to its text in the site.
"""

import ast
import posixpath
import re
import sys
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

project = "acdref"
author = "the authors of acdref"
extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "sphinx.ext.napoleon",
]
root_doc = "docs/index"
include_patterns = ["*.md", "*/README.md", "docs/**.md", "api/**.rst"]
exclude_patterns = [".*", "**/.*", "build", "dist", "**/node_modules", "api/modules.rst"]

myst_heading_anchors = 3  # links to a heading, as code hosts make them

# One page for each package, written below api/ by the build; the insides of the command line and of the
# compiled wing are nobody's interface.
apidoc_modules = [{"path": "../acdref", "destination": "api", "module_first": True}]
apidoc_modules[0]["exclude_patterns"] = ["../acdref/commands*", "../acdref/fast*", "../acdref/*main__.py"]
apidoc_modules[0]["automodule_options"] = ["members", "show-inheritance"]
autodoc_default_options = {"ignore-module-all": True}  # an object is described where it is defined, once
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
napoleon_use_param = napoleon_use_rtype = False  # "array, shape (N, C)" is no list of names to link

smartquotes = False  # pages as they are written
highlight_language = "none"  # of what does not name its own

html_theme = "furo"
html_title = "acdref"
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # which a page from the disk may not fetch


SOURCE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{path}</title>
<style>{style} body {{ font: 1rem sans-serif }} pre {{ overflow-x: auto; line-height: 1.4 }}</style>
<p><a href="{up}docs/index.html">acdref</a>: {path}</p>
{text}
</html>
"""


def add_contents(app, docname, source):
    """The headings and links of docs/index.md are the site's navigation too, so that there is one list."""
    if docname != root_doc:
        return
    for section in source[0].split("\n## ")[1:]:
        heading, text = section.split("\n", 1)
        entries = "\n".join(
            f"{name} <{target}>" for name, target in re.findall(r"\[(.+?)\]\((.+?\.md)\)", text)
        )
        entries = entries or "/api/commands\n/api/acdref"  # whose pages only the site has
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{entries}\n```\n"


def write_commands(app):
    """The page of the command line: what each command says of itself."""
    from click import Context, Group

    from acdref.cli import group

    def sections(command, context, mark):
        title = context.command_path
        text = "\n".join(f"    {line}".rstrip() for line in command.get_help(context).splitlines())
        yield f"{title}\n{mark * len(title)}\n\n::\n\n{text}\n"
        for name in command.list_commands(context) if isinstance(command, Group) else ():
            below = command.get_command(context, name)
            inner = Context(below, context, name, max_content_width=80, terminal_width=80)
            yield from sections(below, inner, "-" if mark == "=" else "~")

    outer = Context(group, info_name="acdref", max_content_width=80, terminal_width=80)
    page = ROOT / "api/commands.rst"
    page.parent.mkdir(exist_ok=True)
    # examples are longer than the page is wide
    style = ".. raw:: html\n\n    <style>article pre { white-space: pre-wrap }</style>\n\n"
    page.write_text(style + "\n".join(sections(group, outer, "=")), encoding="utf-8")


class KeepWords(SphinxTransform):
    """Leaves the words of "array, shape (N, C)" as they are: they mean no attribute that is called shape."""

    default_priority = 500

    def apply(self, **_):
        for word in list(self.document.findall(addnodes.pending_xref)):
            if word.get("refspecific"):
                word.replace_self(word.children)


class LinkSources(SphinxTransform):
    """Leads links to files that are no pages of the site to pages with their text."""

    default_priority = 500

    def apply(self, **_):
        for link in list(self.document.findall(addnodes.download_reference)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), link["reftarget"]))
            page = self.app.builder.get_relative_uri(self.env.docname, source_page(self.env, path))
            line = line_of(path, link.astext())
            target = nodes.reference("", "", *link.children, refuri=page + f"#L-{line}" * bool(line))
            link.replace_self(target)


def source_page(env, path):
    """The name of the page with a file's text, which is then made."""
    if not hasattr(env, "shown_sources"):
        env.shown_sources = set()
    env.shown_sources.add(path)
    return f"source/{path}"


@cache
def definitions(path):
    """Lines of functions and classes in a Python file, by their names; of methods also with their class's."""
    if not path.endswith(".py"):
        return {}
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {}
    for outer in ast.walk(tree):
        for node in ast.iter_child_nodes(outer):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.setdefault(node.name, node.lineno)
                found.setdefault(f"{getattr(outer, 'name', '')}.{node.name}", node.lineno)
    return found


def line_of(path, name):
    """Where a file defines a name, or None."""
    return definitions(path).get(name)


def linkcode_resolve(domain, info):
    """What autodoc's [source] leads to, as seen from a page in api/."""
    if not info["module"]:  # an attribute that a docstring lists
        return None
    path = info["module"].replace(".", "/")
    path += "/__init__.py" if (ROOT / path).is_dir() else ".py"
    line = line_of(path, ".".join(info["fullname"].split(".")[-2:]))
    return f"../{source_page(ENVIRONMENT[0], path)}.html" + f"#L-{line}" * bool(line)


ENVIRONMENT = []  # the running build's, of which linkcode is not told


def skip(app, kind, name, found, skipped, options):
    """Fields: the docstring of their class lists them."""
    methods = (FunctionType, property, cached_property, classmethod, staticmethod)
    return True if kind == "class" and not isinstance(found, methods) else None


def write_sources(app, exception):
    """A page for each file that something links to: plain ones, since there are hundreds."""
    if exception is not None:
        return
    form = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True)
    for path in sorted(app.env.shown_sources):
        try:
            lexer = get_lexer_for_filename(path)
        except ClassNotFound:
            lexer = TextLexer()
        text = highlight((ROOT / path).read_text(encoding="utf-8"), lexer, form)
        page = app.outdir / f"source/{path}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (path.count("/") + 1)
        page.write_text(
            SOURCE.format(path=path, up=up, style=form.get_style_defs(), text=text), encoding="utf-8"
        )


def setup(app):
    app.connect("builder-inited", lambda app: ENVIRONMENT.append(app.env))
    app.connect("builder-inited", write_commands)
    app.connect("source-read", add_contents)
    app.add_transform(KeepWords)
    app.add_transform(LinkSources)
    app.connect("autodoc-skip-member", skip)
    app.connect("build-finished", write_sources)
