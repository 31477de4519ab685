"""Hands log messages over to whoever sends them, so that nobody who logs waits for a server or a socket."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two attempts to reach a server that does not answer
BATCH = 256  # messages that are sent at once


class LogSender:
    """Sends messages one after the other, in the background; messages over `max_waiting` are dropped and counted.

    send(messages) blocks until it has sent them, and returns how many it could; it may raise OSError when it could
    send none, and is called again with the same ones after a pause. complain(error) is called when that begins,
    told(dropped) when it is over and messages were lost. All three run in the background.
    """

    def __init__(
        self,
        send: Callable[[Sequence[bytes]], int],
        complain: Callable[[OSError], object],
        told: Callable[[int], object],
        max_waiting: int = 10_000,
    ) -> None:
        self.dropped = 0  # messages, from the beginning
        self.max_waiting = max_waiting
        self._send = send
        self._complain = complain
        self._tell = told
        self._told = 0
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()  # now, for it takes a moment, and put() may be called where nothing may wait

    def put(self, message: bytes) -> None:
        """Hand over one message. Never blocks; from any greenlet or thread, and from the event loop itself."""
        if len(self._waiting) >= self.max_waiting or self._ending.is_set():
            self.dropped += 1
        else:
            self._waiting.append(message)
            self._wake.set()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most `timeout` seconds; True when everything is sent."""
        deadline = time.monotonic() + timeout
        while self._waiting and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._waiting

    def close(self, timeout: float = 2.0) -> bool:
        """Send what waits, for at most `timeout` seconds, and end; True when all of it was sent."""
        sent = self.flush(timeout)
        self._ending.set()
        self._wake.set()
        self._thread.join(timeout)
        return sent

    def _run(self) -> None:
        pause = 0.0
        while not self._ending.is_set():
            self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._ending.is_set():
                pause = self._send_some(pause)

    def _send_some(self, pause: float) -> float:
        """Send a batch; how long was waited if that failed, 0 if it did not."""
        batch = [self._waiting[number] for number in range(min(len(self._waiting), BATCH))]
        try:
            sent = self._send(batch)
        except OSError as error:
            if not pause:
                self._complain(error)
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._ending.wait(pause)
            return pause
        for _ in range(sent):
            self._waiting.popleft()
        if self.dropped > self._told:
            lost, self._told = self.dropped - self._told, self.dropped
            with suppress(OSError):
                self._tell(lost)
        return 0.0
