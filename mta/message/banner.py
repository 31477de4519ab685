"""A banner: a text that is put at the end of what people read."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, NamedTuple

from mta.message import charset

if TYPE_CHECKING:
    from mta.message.body import Body

_LINE_END = re.compile(r"\r\n|\r|\n")
_HTML_ENDS = (b"</body", b"</html")
# Charsets in which ASCII is not what it looks like: nothing can be put into such a text octet by octet.
_NOT_ASCII = ("utf_16", "utf_32", "utf_7", "cp037", "cp500", "cp875", "cp1026", "cp1140", "cp273", "cp424")


class Banner(NamedTuple):
    """text goes to text/plain; html, a fragment, to text/html."""

    text: str
    html: str

    @classmethod
    def of(cls, text: str, markup: str | None = None) -> Banner:
        """Without markup the text is used, with its characters escaped and `<br/>` at the ends of lines."""
        if markup is None:
            markup = _LINE_END.sub("<br/>\n", html.escape(text, quote=False))
        return cls(text, markup)

    def put_into(self, part: Body, octets: bytes) -> tuple[bytes, str]:
        """The contents of a part with the banner, and the charset that it is in then: "" when that did not change."""
        kind = part.content_type
        if kind not in ("text/plain", "text/html"):
            return octets, ""
        name = part.charset or "us-ascii"
        codec = charset.codec_of(name) or "ascii"
        if codec.startswith(_NOT_ASCII):
            return octets, ""
        changed = ""
        text = self.html if kind == "text/html" else self.text
        if codec == "ascii" and not text.isascii():
            found = charset.decode(octets)[1]
            codec, changed = charset.codec_of(found) or codec, found if octets.isascii() else ""
        errors = "xmlcharrefreplace" if kind == "text/html" else "replace"
        banner = _LINE_END.sub("\r\n", text).encode(codec, errors)
        return (_in_html if kind == "text/html" else _in_text)(octets, banner), changed


def _in_text(octets: bytes, banner: bytes) -> bytes:
    return octets + b"\r\n" + banner + b"\r\n"


def _in_html(octets: bytes, banner: bytes) -> bytes:
    """In front of the last </body>, or of the last </html>, or at the end."""
    lower = octets.lower()
    places = (lower.rfind(end) for end in _HTML_ENDS)
    place = next((place for place in places if place >= 0), len(octets))
    return octets[:place] + b"<P>" + banner + b"</P>" + octets[place:]
