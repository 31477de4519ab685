"""`haraka tls self-signed`: a certificate to begin with, until an authority has signed one."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mta.cli.errors import CommandError, UsageError
from mta.cli.installation import open_config
from mta.cli.options import Options, Parser
from mta.config.schema import ME

KEY, CERTIFICATE = "tls_key.pem", "tls_cert.pem"
DAYS = 3650
_LONGEST_NAME = 64  # X.520: the upper bound of a common name


def tls(argv: list[str]) -> int:
    """Run the sub-command; 0 when the files are written. Raises UsageError, CommandError."""
    if argv[:1] != ["self-signed"]:
        raise UsageError(
            "haraka tls knows one command: haraka tls self-signed [-c DIR] [--host NAME]... [-f]"
        )
    parser = Parser("haraka tls self-signed")
    parser.add_argument("-c", "--configs", type=Path)
    parser.add_argument("--host", action="append", default=[])
    parser.add_argument("-f", "--force", action="store_true")
    given = parser.parse_args(argv[1:])
    directory = Options("tls self-signed", given.configs).installation / "config" if given.configs else Path()
    hosts = given.host or [_own_name(given.configs)]
    _write_pair(directory, hosts, force=given.force)
    return 0


def _own_name(installation: Path | None) -> str:
    name = open_config(installation).value(ME) if installation else ""
    return name or socket.gethostname()


def _write_pair(directory: Path, hosts: Sequence[str], *, force: bool) -> None:
    taken = [directory / name for name in (KEY, CERTIFICATE) if (directory / name).exists()]
    if taken and not force:
        raise CommandError(f"{taken[0]} is there already; -f replaces it")
    key, certificate = self_signed(hosts)
    _write(directory / KEY, key, 0o600)
    _write(directory / CERTIFICATE, certificate, 0o644)
    print(f"{directory / KEY} and {directory / CERTIFICATE} are for {', '.join(hosts)} and last {DAYS} days.")


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put a whole file in place, so that a running server never reads half of it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    new.replace(path)


def self_signed(hosts: Sequence[str]) -> tuple[bytes, bytes]:
    """A new key and a certificate for these host names, both in PEM. Raises UsageError for what is no host name."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_dns_name(host) for host in hosts]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0].value[:_LONGEST_NAME])])
    start = datetime.now(UTC) - timedelta(hours=1)  # for clocks that are slow
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret, certificate.public_bytes(Encoding.PEM)


def _dns_name(host: str) -> x509.DNSName:
    try:
        name = host.encode("idna").decode().lower()
        if (
            name
            and not name.startswith(".")
            and not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-_.*")
        ):
            return x509.DNSName(name)
    except UnicodeError:
        pass
    raise UsageError(f"{host!r} is not a host name")
