"""Whether the name in a certificate or a policy is a host's: RFC 9525, RFC 8461 4.1; pure."""

from __future__ import annotations


def matches(pattern: str, host: str) -> bool:
    """True when the pattern is the host's name, or has `*` for exactly its first label; in any case."""
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host != ""
    label, dot, parent = host.partition(".")
    return bool(label and dot) and pattern[2:] == parent != ""
