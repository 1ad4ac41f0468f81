"""The readable text of a web page.

A scanner of our own, because its time grows with the page's length only, whatever the page holds.
The standard library's parser can be kept busy for minutes by two megabytes of unclosed markup.
"""

from __future__ import annotations

import re
from html import unescape

_START = re.compile(r"<(?=/?[a-zA-Z]|[!?])")
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*)")
_LINK = re.compile(r"""\bhref\s{0,9}=\s{0,9}["']?([^"'\s>]{1,2000})""", re.IGNORECASE)
_BREAKS = re.compile(
    "address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|footer|form|h[1-6]|header|hr|li|main"
    "|nav|ol|option|p|pre|section|table|tbody|td|th|title|tr|ul"
)
_HIDDEN = frozenset({"script", "style", "template", "svg"})
_SPACES = re.compile(r"[ \t\r\f\v\xa0]+")
_EMPTY_LINES = re.compile(r"\n\s*\n")


def page_text(page: str) -> str:
    """Text of an HTML page: tags left out, one block a line, the address after each link's text."""
    parts: list[str] = []
    at = 0
    link = ""
    while found := _START.search(page, at):
        start = found.start()
        parts.append(_plain(page[at:start]))
        name, closing, at = _tag(page, start)
        if _BREAKS.fullmatch(name):
            parts.append("\n")
        elif name == "a":
            if closing and link:
                parts.append(f" <{link}>")
            target = None if closing else _LINK.search(page, start, at)
            link = unescape(target[1]) if target else ""
    parts.append(_plain(page[at:]))
    lines = (line.strip() for line in _SPACES.sub(" ", "".join(parts)).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


def _plain(text: str) -> str:
    """Text between tags: line ends of the source mean no more than spaces."""
    return unescape(text.replace("\n", " "))


def _tag(page: str, start: int) -> tuple[str, bool, int]:
    """The name of the tag at `start` in lower case, whether it closes, and where it ends.

    A comment or declaration has no name. What a hidden element holds counts as part of its tag.
    """
    if page.startswith("<!--", start):
        return "", False, _after(page, "-->", start + 4)
    if page.startswith(("<!", "<?"), start):
        return "", False, _after(page, ">", start)
    found = _NAME.match(page, start + 1)
    if not found:
        return "", False, _after(page, ">", start)
    name = found[1].lower()
    closing = page[start + 1] == "/"
    end = _after(page, ">", found.end())
    if name in _HIDDEN and not closing:
        close = re.compile(f"</{name}", re.IGNORECASE).search(page, end)
        end = _after(page, ">", close.end()) if close else len(page)
    return name, closing, end


def _after(page: str, mark: str, start: int) -> int:
    """Where the text after the next `mark` begins; the end of the page if there is none."""
    found = page.find(mark, start)
    return len(page) if found < 0 else found + len(mark)
