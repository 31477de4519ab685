"""Are there certificates, do they fit their keys and our name, and how long do they last?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mta.check.findings import Findings, Severity
from mta.check.preflight import endpoints
from mta.config import Config, Problem
from mta.config.schema import ME, SmtpSettings, TlsSettings
from mta.net.certificates import KeyPair
from mta.net.endpoint import Endpoint
from mta.net.tls_client_material import read_clients
from mta.net.tls_material import read_material

SOON = timedelta(days=14)  # whoever renews certificates by a program does it 30 days before the end
NONE = "there is no usable certificate, so no TLS; haraka tls self-signed -c DIR makes one to begin with"


def check_certificates(config: Config, findings: Findings, now: datetime | None = None) -> None:
    """Report what is wrong with keys and certificates: errors where TLS is wanted, though a server starts without."""
    severity = Severity.ERROR if _wants_tls(config) else Severity.WARNING
    moment = now or datetime.now(UTC)
    material = read_material(config, config.settings(TlsSettings), moment)
    for problem in material.problems:
        findings.add(Severity.ERROR if problem.fatal else severity, problem)
    findings.notices(read_clients(config, config.settings(TlsSettings))[1])
    for pair in material.pairs:
        if pair.chain[0].not_valid_before_utc > moment:
            text = f"the certificate is not valid before {pair.chain[0].not_valid_before_utc:%Y-%m-%d}"
            findings.add(severity, Problem(pair.file, text))
        elif moment <= pair.expires < moment + SOON:
            findings.notice(Problem(pair.file, f"the certificate expires on {pair.expires:%Y-%m-%d}"))
    if severity is Severity.ERROR and not material.pairs:
        findings.add(severity, Problem(str(config.directory / TlsSettings.FILE), NONE))
    findings.notices(_not_ours(config.value(ME).lower(), material.defaults))


def _wants_tls(config: Config) -> bool:
    """True when the operator lists the plugin tls, or listens on a port where TLS begins at once."""
    ports = {end.port for _, end in endpoints(config) if isinstance(end, Endpoint) and not end.path}
    wanted = config.settings(SmtpSettings).smtps_port
    return "tls" in config.get("plugins", "list") or not ports.isdisjoint(wanted)


def _not_ours(me: str, pairs: tuple[KeyPair, ...]) -> Iterator[Problem]:
    """Certificates for clients that name no host, of which none is for the name that we greet with."""
    if "." not in me or any(_is_for(pair, me) for pair in pairs):
        return
    for pair in pairs:
        names = ", ".join(sorted(pair.names)) or "nobody"
        yield Problem(pair.file, f"the certificate is for {names}, and this server is called {me}")


def _is_for(pair: KeyPair, name: str) -> bool:
    return not pair.names.isdisjoint({name, "*", "*." + name.partition(".")[2]})
