"""Names in config/plugins: older ones have a successor, npm's prefix is not part of them."""

from __future__ import annotations

import re
from typing import Final

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


def is_plugin_name(name: str) -> bool:
    """True for what may stand in config/plugins, such as `rcpt_to.in_host_list` or `queue/smtp_forward`."""
    return _NAME.fullmatch(name) is not None


def without_prefix(name: str) -> str:
    """`haraka-plugin-relay` is `relay`."""
    return name.removeprefix(_PREFIX)


def successor(name: str) -> str | None:
    """The plugin that does what `name` once did, None when the name is current."""
    return DEPRECATED.get(name)
