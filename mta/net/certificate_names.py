"""Whether a certificate names a host: RFC 9525, RFC 7672 3.2.3; pure."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from mta.net.host_names import matches
from mta.net.ip import parse_ip


def names(certificate: x509.Certificate, hosts: Iterable[str], *, common_name: bool = False) -> bool:
    """True when the certificate is for one of the hosts, each a name or an address.

    common_name: in a certificate without any alternative DNS name the subject's common name counts too.
    """
    dns, addresses = _alternative_names(certificate)
    if common_name and not dns:
        dns = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    for host in hosts:
        address = parse_ip(host)
        if address in addresses if address else any(matches(pattern, host) for pattern in dns):
            return True
    return False


def _alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[object]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):  # ValueError: one that can not be read names nobody
        return [], []
    return found.get_values_for_type(x509.DNSName), list(found.get_values_for_type(x509.IPAddress))
