"""A next hop as a process of its own, on gevent: it refuses some mail, and times what has a stamp.

Run as `hop_server.py PORT FILE`. FILE is an array of doubles that the parent reads while it grows: the settled messages, the number
of times, then the times in ms. What a recipient whose name begins with a number N is answered depends on N % 20 alone, see REFUSALS:
5 % are refused for good, 10 % for now, the one half at RCPT and the other at the end of data.
"""

from __future__ import annotations

import mmap
import re
import sys
import time
from pathlib import Path

from gevent.server import StreamServer
from gevent.socket import IPPROTO_TCP, TCP_NODELAY, socket

CRLF = b"\r\n"
END_OF_DATA = b"\r\n.\r\n"
CHUNK = 65536
TIMES = 1_000_000  # that the file has room for
REFUSALS = {3: b"550 5.1.1 no such user", 8: b"450 4.2.2 mailbox is full", 13: b"451 4.3.0 try again"}
AT_END_OF_DATA = 13
NUMBER = re.compile(rb"<(\d+)")
STAMP = re.compile(rb"^X-Stamp: (\d+)\r$", re.MULTILINE)
HEAD = 8192  # octets of a message in which a stamp is looked for
EHLO = b"250-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0"


class Record:
    """What the parent reads: how many messages are settled, and how long those with a stamp took."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")

    def settle(self) -> None:
        self._slots[0] += 1

    def time(self, head: bytes) -> None:
        if stamp := STAMP.search(head):
            number = int(self._slots[1])
            self._slots[2 + number] = (time.monotonic_ns() - int(stamp[1])) / 1e6
            self._slots[1] = number + 1


class Session:
    """One connection. Replies leave together when there is nothing more to read (RFC 2920)."""

    def __init__(self, sock: socket, record: Record) -> None:
        self.sock = sock
        self.record = record
        self.buffer = bytearray()
        self.replies = [b"220 hop.test ESMTP"]
        self.rcpts = 0
        self.refusal = b""

    def run(self) -> None:
        while True:
            line = self.line()
            verb = bytes(line[:4]).upper()
            if verb == b"EHLO":
                self.replies.append(EHLO)
            elif verb == b"RCPT":
                self.rcpt(line)
            elif verb == b"DATA":
                self.data()
            elif verb == b"QUIT":
                self.replies.append(b"221 2.0.0 bye")
                self.flush()
                return
            else:
                if verb == b"MAIL":
                    self.rcpts, self.refusal = 0, b""
                self.replies.append(b"250 2.0.0 ok")

    def rcpt(self, line: bytearray) -> None:
        number = NUMBER.search(line)
        residue = int(number[1]) % 20 if number else -1
        refusal = REFUSALS.get(residue, b"")
        if refusal and residue != AT_END_OF_DATA:
            self.replies.append(refusal)
            if refusal.startswith(b"4"):
                self.record.settle()
            return
        self.refusal = refusal
        self.rcpts += 1
        self.replies.append(b"250 2.1.5 ok")

    def data(self) -> None:
        if not self.rcpts:
            self.replies.append(b"554 5.5.1 no valid recipients")
            return
        self.replies.append(b"354 go ahead")
        self.record.time(self.message())
        self.record.settle()  # a report about a refused message is what settles that
        self.replies.append(self.refusal or b"250 2.0.0 ok")

    def message(self) -> bytes:
        """Read to the end of data; returns the beginning of the message."""
        self.buffer[:0] = CRLF  # so that a message of no line ends as any other
        head = b""
        while (end := self.buffer.find(END_OF_DATA)) < 0:
            if len(head) < HEAD:
                head += self.buffer[:-4]
            del self.buffer[:-4]
            self.receive()
        if len(head) < HEAD:
            head += self.buffer[: end + 2]
        del self.buffer[: end + len(END_OF_DATA)]
        return head

    def line(self) -> bytearray:
        while (end := self.buffer.find(CRLF)) < 0:
            self.receive()
        line = self.buffer[:end]
        del self.buffer[: end + 2]
        return line

    def receive(self) -> None:
        self.flush()
        chunk = self.sock.recv(CHUNK)
        if not chunk:
            raise ConnectionResetError
        self.buffer += chunk

    def flush(self) -> None:
        if self.replies:
            self.replies.append(b"")
            self.sock.sendall(CRLF.join(self.replies))
            self.replies.clear()


def main(port: int, path: Path) -> None:
    record = Record(path)

    def serve(sock: socket, _: object) -> None:
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        try:
            Session(sock, record).run()
        except OSError:
            pass  # the server hung up, as it may

    StreamServer(("127.0.0.1", port), serve, backlog=1024).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
