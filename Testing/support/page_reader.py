"""Reads an HTML page as a browser would show it, and fails where its tags are not closed in order."""

from __future__ import annotations

from collections.abc import Collection
from html.parser import HTMLParser


class PageReader(HTMLParser):
    """Tags with attributes, open tags, and visible text. `void` names the tags that are not closed."""

    def __init__(self, void: Collection[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.void = void
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def read(self, page: str) -> None:
        """Read a whole page; every tag in it is closed."""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
