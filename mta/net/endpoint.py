"""Where a server listens: one entry of `listen`, and the socket made of it."""

from __future__ import annotations

import _socket
import errno
import os
import re
import socket
import stat
from collections.abc import Iterable

from mta.net.ip import parse_ip
from mta.record import record

BACKLOG = 1024
ANY = "::0"
NO_SOCKET = "a file that is not a socket is in the way"

_UNIX = re.compile(r"(?P<path>.*?)(?::(?P<mode>[0-7]{3}))?\Z", re.DOTALL)
_BRACKETS = re.compile(r"\[(?P<host>[^\[\]]*)\](?::(?P<port>[0-9]{1,5}))?\Z")
_PLAIN = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{1,5}))?\Z")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?\Z")
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class EndpointError(Exception):
    """An endpoint that cannot be understood, or cannot be listened on; the message is one clear line."""


@record
class Endpoint:
    """A TCP host and port, or the path of a unix socket with its file mode."""

    host: str = ""
    port: int = 0
    path: str = ""
    mode: int | None = None

    @classmethod
    def parse(cls, text: str, default_port: int = 25) -> Endpoint:
        """Read `25`, `192.0.2.1:25`, `[::1]:25`, `::1:25`, `name:25` or `/run/lmtp.sock:660`.

        A port alone means every address. Raises EndpointError.
        """
        text = text.strip()
        if "/" in text:
            return _parse_unix(text)
        if text.isdecimal():
            return _checked(text, ANY, text, default_port)
        return _parse_tcp(text, default_port)

    def bind(self) -> _socket.socket:
        """A non-blocking socket that listens here; the caller owns and closes it. Raises EndpointError.

        It is the bare kind from `_socket`: whoever accepts on it decides how to wait.
        """
        try:
            return self._bind_unix() if self.path else self._bind_tcp()
        except OSError as error:
            raise EndpointError(f"cannot listen on {self}: {_reason(error, self)}") from error

    def probe(self) -> None:
        """See that bind() would succeed, without listening and without a change to the file system. Raises EndpointError."""
        try:
            _probe_unix(self.path) if self.path else self._bind_tcp(listen=False).close()
        except OSError as error:
            raise EndpointError(f"cannot listen on {self}: {_reason(error, self)}") from error

    def overlaps(self, other: Endpoint) -> bool:
        """True when the two cannot be listened on at the same time."""
        if self.path or other.path:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        hosts = {_canonical(self.host), _canonical(other.host)}
        same_family = len({":" in host for host in hosts}) == 1
        return len(hosts) == 1 or "::" in hosts or ("0.0.0.0" in hosts and same_family)

    def __str__(self) -> str:
        if self.path:
            return self.path if self.mode is None else f"{self.path}:{self.mode:o}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _bind_tcp(self, *, listen: bool = True) -> _socket.socket:
        family, address = _resolve(self.host, self.port)
        every = family == _socket.AF_INET6 and address[0] in ("::", ANY)
        try:
            return _open_tcp(family, address, dual_stack=every, listen=listen)
        except OSError as error:
            if not every or error.errno not in _NO_IPV6:
                raise
            return _open_tcp(_socket.AF_INET, ("0.0.0.0", self.port), dual_stack=False, listen=listen)

    def _bind_unix(self) -> _socket.socket:
        _remove_stale(self.path)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            listener.bind(self.path)
            if self.mode is not None:
                # Before listen(): nobody can connect while the file still has the mode of the umask.
                os.chmod(self.path, self.mode)
            return _listening(listener)
        except OSError:
            listener.close()
            raise


Bound = tuple[Endpoint, _socket.socket]


def bind_all(texts: Iterable[str], default_port: int = 25) -> list[Bound]:
    """Listen on each of several addresses, or on none. Raises EndpointError."""
    bound: list[Bound] = []
    try:
        for text in texts:
            endpoint = Endpoint.parse(text, default_port)
            bound.append((endpoint, endpoint.bind()))
    except EndpointError:
        for _, sock in bound:
            sock.close()
        raise
    return bound


def _parse_unix(text: str) -> Endpoint:
    match = _UNIX.match(text)
    assert match is not None  # the pattern matches every text
    path, mode = match["path"], match["mode"]
    if not path or "\0" in path:
        raise EndpointError(f"not a socket path: {text!r}")
    return Endpoint(path=path, mode=int(mode, 8) if mode else None)


def _parse_tcp(text: str, default_port: int) -> Endpoint:
    bracketed = _BRACKETS.match(text)
    if bracketed:
        host = bracketed["host"]
        if ":" not in host and parse_ip(host) is None:
            raise EndpointError(f"not an address in brackets: {text!r}")
        return _checked(text, host, bracketed["port"], default_port)
    plain = _PLAIN.match(text)
    assert plain is not None  # the pattern matches every text without a line end
    host, port = plain["host"], plain["port"]
    if ":" in host:
        host, port = _split_bare_ipv6(text)
    return _checked(text, host, port, default_port)


def _split_bare_ipv6(text: str) -> tuple[str, str | None]:
    """`::1:2525` is host ::1, port 2525 (Haraka reads it so); `::1` is only a host."""
    host, _, port = text.rpartition(":")
    if parse_ip(host) is not None and port.isdecimal():
        return host, port
    return text, None


def _checked(text: str, host: str, port: str | None, default_port: int) -> Endpoint:
    number = default_port if port is None else int(port)
    if number > 65535:
        raise EndpointError(f"port out of range 0-65535: {text!r}")
    if parse_ip(host) is None and not _NAME.match(host):
        raise EndpointError(f"not an address, host name or port: {text!r}")
    return Endpoint(host=host, port=number)


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    address = parse_ip(host)
    if address is not None:
        return (_socket.AF_INET6, (host, port)) if ":" in host else (_socket.AF_INET, (host, port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]
    return int(family), (str(place[0]), port)


def _open_tcp(family: int, address: tuple[str, int], *, dual_stack: bool, listen: bool) -> _socket.socket:
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if family == _socket.AF_INET6:
            listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        # Accepted sockets inherit it: one system call for each client saved.
        listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        listener.bind(address)
        # Binding alone fails already when somebody else listens there.
        return _listening(listener) if listen else listener
    except OSError:
        listener.close()
        raise


def _listening(listener: _socket.socket) -> _socket.socket:
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone. Raises OSError when somebody listens or it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, NO_SOCKET)
    except FileNotFoundError:
        return
    if _somebody_listens(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    os.unlink(path)


def _probe_unix(path: str) -> None:
    """Raise the OSError that binding a unix socket would end with."""
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, NO_SOCKET)
        if _somebody_listens(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    parent = os.path.dirname(path) or "."
    os.stat(parent)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _canonical(host: str) -> str:
    return str(parse_ip(host) or host.lower())


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except TimeoutError:
            return True  # its backlog is full: somebody is there, only slow
    return True


def _reason(error: OSError, endpoint: Endpoint) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens there already"
    if error.errno == errno.EACCES and not endpoint.path and endpoint.port < 1024:
        return "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
    return error.strerror or str(error)
