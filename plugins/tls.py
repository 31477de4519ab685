"""STARTTLS: the client may ask for encryption before it logs in or sends mail (RFC 3207)."""

from __future__ import annotations

from mta.plugin import (
    DENY,
    DSN,
    OK,
    Address,
    Answer,
    Connection,
    NoTlsHosts,
    Params,
    Plugin,
    TlsSettings,
    ip_in_list,
    parse_network,
)

ALREADY_ON = DSN.create(503, "TLS is on already", 5, 1)
LOGGED_IN = DSN.create(503, "STARTTLS comes before AUTH", 5, 1)
FIRST = DSN.sec_unspecified("Must issue a STARTTLS command first", 530)  # RFC 3207 4
NO_ARGUMENT = DSN.create(501, "STARTTLS takes no argument", 5, 4)
NOT_NOW = DSN.create(454, "TLS not available due to temporary reason", 7, 0)

SUBMISSION = 587  # who logs in there shall do it by TLS, whatever went wrong before


class Tls(Plugin):
    """Offers STARTTLS and answers it. Certificates, and the ports where TLS begins at once, are the server's affair."""

    timeout = 0.0  # the server limits the handshake itself; to cut it in the middle would help nobody

    cfg: TlsSettings = TlsSettings()
    no_tls_hosts: tuple[str, ...] = ()
    failed: NoTlsHosts

    def register(self) -> None:
        self.failed = NoTlsHosts(self.logger, inbound=True)
        self.load(self.config.settings(TlsSettings, on_change=self.load))
        self.register_hook("mail", self.mail, -100)  # before anybody accepts the sender

    def load(self, settings: TlsSettings) -> None:
        for entry in settings.no_tls_hosts:
            if parse_network(entry) is None:
                self.logerror(
                    f"tls.ini [no_tls_hosts]: {entry!r} is neither an address nor a network and is left out"
                )
        self.no_tls_hosts = tuple(
            entry for entry in settings.no_tls_hosts if parse_network(entry) is not None
        )
        self.failed.settings = settings.redis
        self.cfg = settings

    def hook_capabilities(self, connection: Connection) -> Answer:
        connection.tls.advertised = self.offers(connection)
        if connection.tls.advertised:
            connection.capabilities.append("STARTTLS")
        return None

    def offers(self, connection: Connection) -> bool:
        return (
            connection.can_start_tls
            and connection.local.port not in self.cfg.no_starttls_ports
            and not ip_in_list(connection.remote.ip, self.no_tls_hosts)
            and not self.has_failed(connection)
        )

    def has_failed(self, connection: Connection) -> bool:
        """True when the client could not do it lately, as far as that is remembered."""
        return self.remembers(connection) and connection.remote.ip in self.failed

    def remembers(self, connection: Connection) -> bool:
        return self.cfg.redis.disable_for_failed_hosts and connection.local.port != SUBMISSION

    def must_start(self, connection: Connection) -> bool:
        """True for clients that need a certificate: without TLS they can't have shown it."""
        ip = connection.remote.ip
        return ip_in_list(ip, self.cfg.authorized_hosts) and not ip_in_list(
            ip, self.cfg.authorized_hosts_exclude
        )

    def mail(self, connection: Connection, sender: Address, params: Params) -> Answer:
        return (DENY, FIRST) if not connection.tls.enabled and self.must_start(connection) else None

    def hook_unrecognized_command(self, connection: Connection, verb: str, argument: str) -> Answer:
        if verb != "STARTTLS":
            return None
        if connection.tls.enabled:
            return DENY, ALREADY_ON
        if not connection.tls.advertised:
            return None
        if argument:
            return DENY, NO_ARGUMENT
        if connection.notes.get("auth_user"):
            return DENY, LOGGED_IN  # what was learnt in clear would have to be forgotten (RFC 3207 4.2)
        if not connection.can_start_tls:
            return DENY, NOT_NOW
        try:
            connection.start_tls()
        except OSError:
            if self.remembers(connection):
                self.failed.add(connection.remote.ip)
            raise
        return OK
