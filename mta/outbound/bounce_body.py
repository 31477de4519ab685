"""The part of a report that people read: text, or text and HTML, or those with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.message import Message

from mta.outbound.bounce_mime import POLICY, inner, multipart, text_part
from mta.outbound.bounce_report import Templates
from mta.outbound.bounce_text import escaped, fill, split_template


def notification(templates: Templates, values: Mapping[str, str], unique: str) -> Message:
    """The filled body of the templates. unique: becomes a part of boundaries.

    With HTML it is multipart/alternative, with a picture that inside multipart/related (RFC 2387).
    """
    _, lines = split_template(templates.text)
    plain = text_part(_filled(lines, values), "plain")
    if not any(line.strip() for line in templates.html):
        return plain
    html = text_part(_filled(templates.html, escaped(values)), "html")
    both = inner(multipart("alternative", f"alternative_{unique}", plain, html))
    if not any(line.strip() for line in templates.image):
        return both
    picture = message_from_bytes("\r\n".join(templates.image).encode(), policy=POLICY)
    return inner(
        multipart("related", f"related_{unique}", both, inner(picture), type="multipart/alternative")
    )


def _filled(lines: Sequence[str], values: Mapping[str, str]) -> str:
    return "\n".join(fill(line.rstrip("\r\n"), values) for line in lines) + "\n"
