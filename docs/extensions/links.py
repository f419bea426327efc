"""Links: names of types in signatures, names of the package in texts, and numbers of equations."""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PUBLIC = re.compile(r"(?:nt|neutral)\.([A-Za-z_][\w.]*)")
NUMBER = re.compile(r"\((\d{1,2})\)")
TAG = re.compile(r"\\tag\{(\d+)\}")
TYPES = ("class", "type", "data", "exception", "function")


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make code such as `nt.price` or `neutral.price(...)` a link to the reference."""
    for code in list(doctree.findall(nodes.literal)):
        name = PUBLIC.match(code.astext())
        if name is None or isinstance(code.parent, nodes.reference | addnodes.pending_xref):
            continue
        target = f"neutral.{name[1].rstrip('.')}"
        link = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=target, from_text=True)
        code.replace_self(link)
        link += code


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.Node
) -> nodes.Node | None:
    """Find the public name that ends as a type in a signature does; leave other names as they are."""
    if node.get("refdomain") != "py":
        return None
    last = node["reftarget"].rpartition(".")[2]
    objects: dict[str, Any] = env.get_domain("py").objects  # pyright: ignore[reportAttributeAccessIssue]
    found = [x for x in objects if x.rpartition(".")[2] == last and objects[x].objtype in TYPES]
    if node.get("from_text"):
        found = [x for x in found if x == node["reftarget"]]
        if not found:
            return text
    if not found:
        return None
    place = objects[min(found, key=len)]
    return nodes.reference(
        "",
        "",
        text,
        internal=True,
        refuri=f"{app.builder.get_relative_uri(node['refdoc'], place.docname)}#{place.node_id}",
    )


def number_equations(app: Sphinx, doctree: nodes.document) -> None:
    r"""Give each equation with `\tag{n}` an anchor, and make (n) in the text of its page a link to it."""
    equations = {}
    for block in doctree.findall(nodes.math_block):
        block["nowrap"] = block["no-wrap"] = True
        for number in TAG.findall(block.astext()):
            equations[number] = f"equation-{number}"
            block["ids"].append(equations[number])
    for text in list(doctree.findall(nodes.Text)) if equations else ():
        if isinstance(text.parent, nodes.math_block | nodes.math | nodes.literal | nodes.literal_block):
            continue
        parts = _linked(text.astext(), equations)
        if len(parts) > 1:
            text.parent.replace(text, parts)


def _linked(text: str, equations: dict[str, str]) -> list[nodes.Node]:
    """A text with links in it."""
    parts: list[nodes.Node] = []
    end = 0
    for number in NUMBER.finditer(text):
        if number[1] in equations:
            parts.append(nodes.Text(text[end : number.start()]))
            parts.append(nodes.reference("", number[0], internal=True, refid=equations[number[1]]))
            end = number.end()
    return [*parts, nodes.Text(text[end:])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hooks."""
    app.connect("doctree-read", link_names)
    app.connect("doctree-read", number_equations)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
