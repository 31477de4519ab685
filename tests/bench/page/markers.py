"""The parts of a page that are made, between `<!-- made: NAME -->` and `<!-- end -->`; what else it says is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PART = re.compile(r"(<!-- made: ([a-z]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class PageBroken(Exception):
    """The markers of a page are not those that are needed."""


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with these parts in their places. Raises PageBroken when one has no place, or a place nothing to hold."""
    found = [name for _, name, _, _ in _PART.findall(page)]
    if sorted(found) != sorted(parts) or page.count("<!-- made:") != len(found):
        raise PageBroken(f"the page has places for {', '.join(found)}, there are {', '.join(parts)}")
    return _PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]}\n{match[4]}", page)
