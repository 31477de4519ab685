"""Names in config/plugins: older ones have a successor, npm's prefix is not part of them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEPRECATED: Final = {
    "auth/auth_ldap": "auth-ldap",
    "backscatterer": "dns-list",
    "connect.asn": "asn",
    "connect.fcrdns": "fcrdns",
    "connect.geoip": "geoip",
    "connect.p0f": "p0f",
    "connect.rdns_access": "access",
    "data.headers": "headers",
    "data.nomsgid": "headers",
    "data.noreceived": "headers",
    "data.rfc5322_header_checks": "headers",
    "data.uribl": "uribl",
    "dkim_sign": "dkim",
    "dkim_verify": "dkim",
    "dnsbl": "dns-list",
    "dnswl": "dns-list",
    "log.syslog": "logging/syslog",
    "logging/json": "logging/journald",
    "mail_from.access": "access",
    "mail_from.blocklist": "access",
    "mail_from.nobounces": "bounce",
    "rate_limit": "limit",
    "rcpt_to.access": "access",
    "rcpt_to.blocklist": "access",
    "rcpt_to.ldap": "rcpt-ldap",
    "rcpt_to.qmail_deliverable": "qmail-deliverable",
    "rdns.regexp": "access",
    "relay_acl": "relay",
    "relay_all": "relay",
    "relay_force_routing": "relay",
    "syslog": "logging/syslog",
}

# No part starts with a dot, so a name can not lead out of the directory it is looked for in.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_PREFIX: Final = "haraka-plugin-"


class Listed(NamedTuple):
    """One line of config/plugins: `name`, or `name: base` for the plugin `base` under a name of its own."""

    name: str
    base: str

    def __str__(self) -> str:
        return self.name if self.name == self.base else f"{self.name}: {self.base}"


def read_line(line: str) -> Listed:
    """Take a line of config/plugins apart; whether there are such names is not its concern."""
    name, base = _split(line)
    current = successor(base) or base
    return Listed(current if name is None else name, current)


def replaced(line: str) -> str | None:
    """The deprecated name in a line of config/plugins, None when there is none."""
    _, base = _split(line)
    return base if successor(base) else None


def _split(line: str) -> tuple[str | None, str]:
    name, colon, base = map(str.strip, line.partition(":"))
    return (name, without_prefix(base)) if colon else (None, without_prefix(name))


def is_plugin_name(name: str) -> bool:
    """True for what may stand in config/plugins, such as `rcpt_to.in_host_list` or `queue/smtp_forward`."""
    return _NAME.fullmatch(name) is not None


def without_prefix(name: str) -> str:
    """`haraka-plugin-relay` is `relay`."""
    return name.removeprefix(_PREFIX)


def successor(name: str) -> str | None:
    """The plugin that does what `name` once did, None when the name is current."""
    return DEPRECATED.get(name)
