"""The load of the latency rows, a process of its own: kept connections that send one message after the other at a fixed rate.

Run as `latency_load.py PORT CONNECTIONS COUNT RATE`; it opens the connections, says `ready`, begins at a line on its standard input
and says `done`. Each message has the time just before its MAIL in X-Stamp, in ns of the monotonic clock.
"""

from __future__ import annotations

import sys
import time

import gevent
from gevent.socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket

HEADER = b"From: sender@example.test\r\nTo: rcpt@example.com\r\nSubject: timed\r\nX-Stamp: %d\r\n\r\n"
SIZE = 1024
LINE = 62 * b"x" + b"\r\n"
BODY = (SIZE - len(HEADER)) // len(LINE) * LINE + b".\r\n"


class Client:
    """One connection; it asks a command at a time, as smtp-source does. Raises ValueError for an answer that is not expected."""

    def __init__(self, port: int) -> None:
        self.sock: socket = create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.expect(b"220")
        self.ask(b"EHLO client.test\r\n", b"250")

    def send(self) -> None:
        stamp = time.monotonic_ns()
        self.ask(b"MAIL FROM:<sender@example.test>\r\n", b"250")
        self.ask(b"RCPT TO:<rcpt@example.com>\r\n", b"250")
        self.ask(b"DATA\r\n", b"354")
        self.ask(HEADER % stamp + BODY, b"250")

    def ask(self, octets: bytes, code: bytes) -> None:
        self.sock.sendall(octets)
        self.expect(code)

    def expect(self, code: bytes) -> None:
        reply = b""
        while not (reply.endswith(b"\n") and reply.splitlines()[-1][3:4] == b" "):
            if not (chunk := self.sock.recv(4096)):
                break
            reply += chunk
        if not reply.startswith(code):
            raise ValueError(f"{code!r} expected, not {reply!r}")


def keep_time(client: Client, start: float, interval: float, count: int) -> None:
    """Send at start, start + interval and so on; what is late is sent at once, and never two at a time."""
    for number in range(count):
        gevent.sleep(max(0.0, start + number * interval - time.monotonic()))
        client.send()


def main(port: int, connections: int, count: int, rate: float) -> None:
    """Each connection has its own place in the interval, so that the messages come evenly."""
    clients = [Client(port) for _ in range(connections)]
    print("ready", flush=True)
    sys.stdin.readline()
    now = time.monotonic()
    shares = [count // connections + (place < count % connections) for place in range(connections)]
    running = [
        gevent.spawn(keep_time, client, now + place / rate, connections / rate, share)
        for place, (client, share) in enumerate(zip(clients, shares, strict=True))
    ]
    gevent.joinall(running, raise_error=True)
    print("done", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), float(sys.argv[4]))
