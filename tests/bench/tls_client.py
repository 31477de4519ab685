"""One client of the session rows, a process of its own: reads `PORT SESSIONS KIND`, holds them one by one, answers `done`."""

from __future__ import annotations

import socket
import ssl
import sys

CREDENTIALS = "AGFubmEAc2VjcmV0"  # base64 of NUL anna NUL secret (RFC 4616)
MESSAGE = b"Subject: one\r\n\r\n" + 15 * (b"x" * 62 + b"\r\n") + b".\r\n"
ENVELOPE = (
    ("MAIL FROM:<sender@example.test>", "250"),
    ("RCPT TO:<rcpt@example.com>", "250"),
    ("DATA", "354"),
)


def context() -> ssl.SSLContext:
    """No session is kept, so that every handshake is a full one; who signed the certificate is not asked."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def session(port: int, tls: ssl.SSLContext, submits: bool) -> None:
    """EHLO, STARTTLS, handshake, EHLO, QUIT; `submits`: between the last two AUTH and one message."""
    with socket.socket() as plain:
        plain.settimeout(60)
        plain.connect(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        expect(plain, "220")
        ask(plain, "EHLO client.test", "250")
        ask(plain, "STARTTLS", "220")
        with tls.wrap_socket(plain) as sock:
            ask(sock, "EHLO client.test", "250")
            if submits:
                submit(sock)
            ask(sock, "QUIT", "221")


def submit(sock: socket.socket) -> None:
    ask(sock, f"AUTH PLAIN {CREDENTIALS}", "235")
    for command, code in ENVELOPE:
        ask(sock, command, code)
    sock.sendall(MESSAGE)
    expect(sock, "250")


def ask(sock: socket.socket, command: str, code: str) -> None:
    sock.sendall(command.encode() + b"\r\n")
    expect(sock, code)


def expect(sock: socket.socket, code: str) -> None:
    """Read one reply. Raises ValueError for another code or none."""
    reply = b""
    while not (reply.endswith(b"\r\n") and reply[reply.rfind(b"\n", 0, -1) + 1 :][3:4] == b" "):
        if not (data := sock.recv(65536)):
            break
        reply += data
    if not reply.startswith(code.encode()):
        raise ValueError(f"{code} expected, not {reply!r}")


def main() -> None:
    tls = context()
    for line in sys.stdin:
        port, count, kind = line.split()
        for _ in range(int(count)):
            session(int(port), tls, kind == "submit")
        print("done", flush=True)


if __name__ == "__main__":
    main()
