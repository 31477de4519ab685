"""The policy of a domain from its policy host (RFC 8461 3.3): HTTPS, one answer, nothing that leads elsewhere."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mta.net.dns import LookupFailed
from mta.outbound.sts_policy import MAX_BYTES, StsInvalid, StsPolicy, parse_policy

if TYPE_CHECKING:
    import http.client
    from email.message import Message

PATH = "/.well-known/mta-sts.txt"
HTTPS_PORT = 443
LookupIp = Callable[[str], list[str]]
_MAX_ADDRESSES = 4


class StsFetchFailed(Exception):
    """There is no policy to be had; kind: the word of RFC 8460 4.3.2.2 for it; the text is one line."""

    def __init__(self, message: str, kind: str = "sts-policy-fetch-error") -> None:
        super().__init__(message)
        self.kind = kind


class StsFetcher:
    """Fetches policies. lookup_ip: addresses of a host; ca: PEM file of authorities instead of the system's.

    port: of policy hosts; seconds: for all of one fetch.
    """

    def __init__(
        self, lookup_ip: LookupIp, *, ca: str = "", port: int = HTTPS_PORT, seconds: float = 30.0
    ) -> None:
        self._lookup_ip = lookup_ip
        self._port = port
        self._seconds = seconds
        self._ca = ca
        self._context: ssl.SSLContext | None = None

    def fetch(self, domain: str) -> StsPolicy:
        """The policy of the domain. Raises StsFetchFailed."""
        from http.client import HTTPException  # it brings the package email: no banner waits for that

        host = f"mta-sts.{domain}"
        try:
            return parse_policy(_text(self._get(host), host))
        except StsInvalid as error:
            raise StsFetchFailed(f"the policy of {host}: {error}", "sts-policy-invalid") from None
        except ssl.SSLError as error:
            raise StsFetchFailed(f"{host}: {_why(error)}", _kind_of(error)) from None
        except (OSError, ValueError, HTTPException, LookupFailed) as error:
            raise StsFetchFailed(f"{host}: {_why(error)}") from None

    def _get(self, host: str) -> tuple[Message, bytes]:
        """Header fields and body of a 200. The deadline is kept by closing the connection: a slow peer ends nowhere."""
        connection, sock = self._connect(host)
        alarm = threading.Timer(self._seconds, _shut, (sock,))
        alarm.start()
        try:
            sock.do_handshake()
            connection.request("GET", PATH, headers={"User-Agent": "haraka-mta", "Accept": "text/plain"})
            response = connection.getresponse()
            if response.status != 200:  # RFC 8461 3.3: redirects are not followed either
                raise StsFetchFailed(f"{host} answered {response.status} {response.reason}"[:200])
            body = response.read(MAX_BYTES + 1)
            if response.length and len(body) <= MAX_BYTES:
                raise StsFetchFailed(f"{host} ended in the middle of its answer")
            return response.headers, body
        finally:
            alarm.cancel()
            connection.close()

    def _connect(self, host: str) -> tuple[http.client.HTTPSConnection, ssl.SSLSocket]:
        from http.client import HTTPSConnection

        context = self._trusting()
        failure: OSError = OSError("it has no address")
        for address in self._lookup_ip(host)[:_MAX_ADDRESSES]:
            try:
                plain = socket.create_connection((address, self._port), timeout=self._seconds / 3)
            except OSError as error:
                failure = error
                continue
            connection = HTTPSConnection(host, self._port, context=context)
            connection.sock = sock = _encrypted(plain, context, host)
            return connection, sock
        raise failure

    def _trusting(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=self._ca or None)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context


def _encrypted(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        # Where nothing else tells the end of the policy, an end that was forged must not.
        return context.wrap_socket(
            plain, server_hostname=host, suppress_ragged_eofs=False, do_handshake_on_connect=False
        )
    except BaseException:
        plain.close()
        raise


def _shut(sock: ssl.SSLSocket) -> None:
    try:
        # Below TLS: its own shutdown would take the session away from whoever reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass


def _text(answer: tuple[Message, bytes], host: str) -> str:
    header, body = answer
    if header.get_content_type() != "text/plain" or "Content-Type" not in header:
        raise StsFetchFailed(f"{host} answered with {header.get_content_type()} instead of text/plain")
    if len(body) > MAX_BYTES:
        raise StsInvalid(f"it is larger than {MAX_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise StsInvalid("it is not UTF-8") from None


def _kind_of(error: ssl.SSLError) -> str:
    return (
        "sts-webpki-invalid" if isinstance(error, ssl.SSLCertVerificationError) else "sts-policy-fetch-error"
    )


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
