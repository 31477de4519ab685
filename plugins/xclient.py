"""Let a proxy say who its client is (XCLIENT), and a content filter where a mail came from (XFORWARD)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv6Address, ip_address

from mta.plugin import (
    DENY,
    DSN,
    NEXT_HOOK,
    OK,
    Answer,
    Connection,
    Plugin,
    Reply,
    decode_xtext,
    endpoint,
    ip_in_list,
    new_uuid,
    parse_network,
)

LOCALHOST = ("127.0.0.1", "::1")
XCLIENT = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
UNKNOWN = ("", "[UNAVAILABLE]", "[TEMPUNAVAIL]")
MAX_VALUE = 255  # characters, as in Postfix
RECORDED = Reply(250, "OK", "2.0.0")
AUTH_NOTES = ("auth_user", "auth_passwd", "auth_method", "auth_fails", "authentication_results")

HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
PROTOCOL = re.compile(r"(E?)SMTP[SA]*", re.IGNORECASE)


class BadAttribute(ValueError):
    """The client has to be told what is wrong with its command; the text says it."""


class XClient(Plugin):
    """Both commands are for the hosts in xclient.hosts, and for this machine."""

    hosts: tuple[str, ...] = LOCALHOST

    def register(self) -> None:
        self.load_hosts(self.config.get("xclient.hosts", "list", on_change=self.load_hosts))

    def load_hosts(self, lines: Iterable[str]) -> None:
        entries = tuple(lines)
        for entry in entries:
            if parse_network(entry) is None:
                self.logerror(f"xclient.hosts: {entry!r} is neither an address nor a network and is left out")
        self.hosts = LOCALHOST + tuple(entry for entry in entries if parse_network(entry) is not None)

    def allows(self, connection: Connection) -> bool:
        """Asked about the client as it is now: one that XCLIENT has introduced can introduce nobody."""
        return ip_in_list(connection.remote.ip, self.hosts)

    def hook_capabilities(self, connection: Connection) -> Answer:
        if self.allows(connection):
            connection.capabilities += [f"XCLIENT {' '.join(XCLIENT)}", f"XFORWARD {' '.join(XFORWARD)}"]
        return None

    def hook_unrecognized_command(self, connection: Connection, verb: str, argument: str) -> Answer:
        if verb not in ("XCLIENT", "XFORWARD"):
            return None
        if connection.transaction is not None:
            return DENY, DSN.proto_unspecified("Mail transaction in progress", 503)
        if not self.allows(connection):
            return DENY, DSN.proto_unspecified("Not authorized", 550)
        try:
            return (
                self.xclient(connection, argument)
                if verb == "XCLIENT"
                else self.xforward(connection, argument)
            )
        except BadAttribute as error:
            return DENY, DSN.proto_invalid_cmd_args(str(error), 501)

    def hook_reset_transaction(self, connection: Connection) -> Answer:
        """XFORWARD is about one mail."""
        if "xforward" in connection.notes:
            del connection.notes["xforward"]
            connection.notes.pop("forwarded_for", None)
        return None

    # ---- XCLIENT: from here on the connection is that of somebody else

    def xclient(self, connection: Connection, argument: str) -> Answer:
        said = known(checked(read_attributes("XCLIENT", argument, XCLIENT)))
        if "ADDR" not in said:
            raise BadAttribute("No valid IP address found")
        self.rename(connection, said)
        start_anew(connection)
        move(connection, said)
        greet(connection, said)
        connection.notes["xclient"] = said
        return NEXT_HOOK, "connect" if connection.remote.host else "lookup_rdns"

    def rename(self, connection: Connection, said: dict[str, str]) -> None:
        """Another client, another uuid; the old one's last log line names it."""
        uuid = new_uuid()
        self.lognotice("xclient", {"new_uuid": uuid, **{key.lower(): said[key] for key in said}}, connection)
        connection.uuid = uuid
        connection.tran_count = 0

    # ---- XFORWARD: the connection stays, its next mail is known to come from elsewhere

    def xforward(self, connection: Connection, argument: str) -> Answer:
        said = read_attributes("XFORWARD", argument, XFORWARD)
        noted = known({**connection.notes.get("xforward", {}), **said})
        self.lognotice("xforward", {key.lower(): noted[key] for key in noted}, connection)
        connection.notes["xforward"] = noted
        connection.notes["forwarded_for"] = origin(noted)
        return OK, RECORDED


# ---- parsing


def read_attributes(verb: str, argument: str, names: Collection[str]) -> dict[str, str]:
    """The attributes of a command, `NAME=xtext` each, by their names in upper case. Raises BadAttribute."""
    if not argument:
        raise BadAttribute(f"Syntax: {verb} attribute=value...")
    return dict(read_attribute(verb, word, names) for word in argument.split())


def read_attribute(verb: str, word: str, names: Collection[str]) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    name = name.upper()
    if not equals:
        raise BadAttribute("attribute=value expected")
    if name not in names:
        raise BadAttribute(f"Bad {verb} attribute name: {name[:MAX_VALUE]}")
    if len(text) > MAX_VALUE:
        raise BadAttribute("attribute value too long")
    try:
        value = decode_xtext(text)
    except ValueError:
        raise BadAttribute(f"Bad attribute value syntax: {text}") from None
    if not value.isprintable():
        raise BadAttribute(f"Bad attribute value syntax: {text}")
    return name, value


def known(attributes: dict[str, str]) -> dict[str, str]:
    """Those that have a value."""
    return {name: value for name, value in attributes.items() if value.upper() not in UNKNOWN}


def checked(attributes: dict[str, str]) -> dict[str, str]:
    """XCLIENT decides about rights: every value must be what it should be. Raises BadAttribute."""
    checks = {
        "ADDR": ip_of,
        "DESTADDR": ip_of,
        "PORT": port_of,
        "DESTPORT": port_of,
        "NAME": host_of,
        "PROTO": protocol_of,
    }
    return {
        name: checks[name](value) if name in checks and value.upper() not in UNKNOWN else value
        for name, value in attributes.items()
    }


def ip_of(text: str) -> str:
    """`192.0.2.1`, `IPV6:2001:db8::1`, and, as some proxies write it, the latter without its prefix."""
    plain = text[5:] if text[:5].upper() == "IPV6:" else text
    try:
        address = ip_address(plain)
    except ValueError:
        raise BadAttribute(f"Bad address syntax: {text}") from None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise BadAttribute(f"Bad address syntax: {text}")
        return str(address.ipv4_mapped or address)
    return str(address)


def port_of(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise BadAttribute(f"Bad port syntax: {text}")
    return text


def host_of(text: str) -> str:
    if not HOST_NAME.fullmatch(text):
        raise BadAttribute(f"Bad hostname syntax: {text}")
    return text


def protocol_of(text: str) -> str:
    match = PROTOCOL.fullmatch(text)
    if match is None:
        raise BadAttribute(f"Bad protocol syntax: {text}")
    return f"{match[1]}SMTP".upper()


# ---- applying


def start_anew(connection: Connection) -> None:
    """What the proxy was allowed, its client is not."""
    connection.relaying = False
    for note in AUTH_NOTES:
        connection.notes.pop(note, None)


def move(connection: Connection, said: dict[str, str]) -> None:
    """Put the client's addresses in the place of the proxy's. What it came to may be unsaid: then it is what it was."""
    local = connection.local
    connection.remote = endpoint(said["ADDR"], int(said.get("PORT", 0)))
    connection.remote.host = said.get("NAME")
    connection.remote.info = said.get("NAME", "")
    connection.remote.login = said.get("LOGIN", "")
    if "DESTADDR" in said or "DESTPORT" in said:
        connection.local = endpoint(said.get("DESTADDR", local.ip), int(said.get("DESTPORT", local.port)))
        connection.local.host = local.host


def greet(connection: Connection, said: dict[str, str]) -> None:
    """The client has said HELO to the proxy, or has to say it to us."""
    connection.esmtp = said.get("PROTO") == "ESMTP"
    connection.hello.host = said.get("HELO", "")
    connection.hello.verb = ("EHLO" if connection.esmtp else "HELO") if "HELO" in said else ""


def origin(said: dict[str, str]) -> str:
    """`name [address]` for the Received field. Only what is a name or an address: it stands in a comment there."""
    name, address = said.get("NAME", ""), said.get("ADDR", "")
    shown = name if HOST_NAME.fullmatch(name) else ""
    try:
        return f"{shown} [{ip_of(address)}]".strip()
    except BadAttribute:
        return shown
