"""The ceiling: the least that answers SMTP in the ordinary gevent style, and throws the mail away. Run with a directory."""

import sys
from pathlib import Path

from gevent.server import StreamServer
from gevent.socket import IPPROTO_TCP, TCP_NODELAY, socket

CHUNK = 65536
END_OF_DATA = b"\r\n.\r\n"
ANSWERS = {
    b"EHLO": b"250-bare.test\r\n250 8BITMIME\r\n",
    b"HELO": b"250 bare.test\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}


def respond(sock: socket, _: object) -> None:
    """One connection: no check, no limit, no timeout."""
    sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    sock.sendall(b"220 bare.test ESMTP\r\n")
    buffer = b""
    while True:
        while b"\r\n" not in buffer:
            if not (chunk := sock.recv(CHUNK)):
                return
            buffer += chunk
        line, _, buffer = buffer.partition(b"\r\n")
        verb = line[:4].upper()
        sock.sendall(ANSWERS.get(verb, b"250 ok\r\n"))
        if verb == b"QUIT":
            return
        if verb == b"DATA":
            buffer = discard(sock, buffer)
            sock.sendall(b"250 ok\r\n")


def discard(sock: socket, buffer: bytes) -> bytes:
    """Read to the end of data; returns what came after it."""
    seam = b"\r\n" + buffer
    while (end := seam.find(END_OF_DATA)) < 0:
        if not (chunk := sock.recv(CHUNK)):
            return b""
        seam = seam[-4:] + chunk
    return seam[end + len(END_OF_DATA) :]


if __name__ == "__main__":
    port = int((Path(sys.argv[1]) / "config" / "port").read_text())
    StreamServer(("127.0.0.1", port), respond, backlog=1024).serve_forever()
