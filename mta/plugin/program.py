"""Run programs for plugins: never a shell, a clean environment, limits on time and output, and nobody waits but who asked.

Started by posix_spawn, which takes half a millisecond; the fork that gevent's subprocess does copies the page tables of the
whole server first, and holds up every session for that long (14 ms with 400 MB).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gevent import get_hub, monkey
from gevent.lock import Semaphore

from mta.connection import ClientGone
from mta.plugin.program_pipes import Inlet, Outlets
from mta.record import record

if TYPE_CHECKING:
    from mta.connection import Connection

Argument = str | bytes | os.PathLike[str]

# What a program is told of our own environment, which may hold secrets.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Python ignores the first two, and a server that drains the others; a program shall not.
OWN_AGAIN = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

# gevent's own keeps a list of all children for os.waitpid, which nobody calls.
_spawn = monkey.get_original("os", "posix_spawnp")

LOOKS_FOR_CLIENT = 0.5  # seconds between two


class ProgramError(Exception):
    """A program could not be run to its end. The text names the program, never its arguments."""


class ProgramNotStarted(ProgramError):
    """There is no such program, or it may not be run."""


class ProgramTimeout(ProgramError):
    """It was killed because it took too long."""


class OutputTooLarge(ProgramError):
    """It was killed because it wrote too much."""


@record
class Finished:
    """A program that has ended by itself. code: its exit status, negative when a signal ended it (-9: SIGKILL)."""

    code: int
    stdout: bytes
    stderr: bytes


class Programs:
    """Runs at most `at_once` programs at a time; who comes later waits for a turn."""

    __slots__ = ("_turns",)

    def __init__(self, at_once: int) -> None:
        self._turns = Semaphore(at_once)
        _keep_descriptors()

    def run(
        self,
        cmd: Sequence[Argument],
        input: bytes | None,
        timeout: float,
        max_output: int,
        env: Mapping[str, str] | None,
        client: Connection | None,
    ) -> Finished:
        """As `Plugin.run`, which says what goes in, what comes out and what is raised."""
        if isinstance(cmd, str | bytes) or not cmd:
            raise TypeError(
                "a program is a list of its name and arguments: there is no shell to take a text apart"
            )
        if not get_hub().loop.default:
            raise RuntimeError("run() belongs into the hook itself, not into a thread of offload()")
        with self._turns:
            program = _Program([os.fsencode(each) for each in cmd], input, max_output, _environment(env))
            try:
                return program.wait(time.monotonic() + timeout, timeout, client)
            finally:
                program.end()


class _Program:
    """One program that runs. end() must be called, whatever happens."""

    __slots__ = ("_child", "_name", "_output", "_pid", "_stdin")

    def __init__(
        self, argv: list[bytes], input: bytes | None, max_output: int, env: Mapping[str, str]
    ) -> None:
        self._name = os.fsdecode(argv[0])
        self._stdin, self._output = Inlet(input), Outlets(max_output)
        loop = get_hub().loop
        loop.install_sigchld()  # before it can end
        try:
            self._pid = self._start(argv, env)
        except OSError as error:
            self._close()
            raise ProgramNotStarted(f"{self._name}: {error.strerror}") from error
        except BaseException:
            self._close()
            raise
        self._child = loop.child(self._pid)
        self._child.start(self._output.changed.set)
        self._stdin.serve()
        self._output.serve()

    def _start(self, argv: list[bytes], env: Mapping[str, str]) -> int:
        actions = [*self._stdin.open(), *self._output.open()]
        pid: int = _spawn(
            argv[0],
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=OWN_AGAIN,
        )
        return pid

    @property
    def _ended(self) -> bool:
        return bool(self._child.rpid)

    def wait(self, deadline: float, timeout: float, client: Connection | None) -> Finished:
        """Until it has ended; raises ProgramTimeout, OutputTooLarge, ClientGone."""
        while not self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ProgramTimeout(f"{self._name} took longer than {timeout:g} s")
            self._output.changed.wait(left if client is None else min(left, LOOKS_FOR_CLIENT))
            self._check_size()
            if client is not None and client.gone:
                raise ClientGone(f"the client went away while {self._name} was running")
        left_over = not self._output.drain()
        self._check_size()
        if left_over:
            self._kill_group()  # somebody it has started still holds its output
        stdout, stderr = self._output.contents()
        return Finished(os.waitstatus_to_exitcode(self._child.rstatus), stdout, stderr)

    def _check_size(self) -> None:
        if self._output.too_much:
            raise OutputTooLarge(f"{self._name} wrote more than {self._output.limit} bytes")

    def end(self) -> None:
        """Kill it and what it has started, unless it has ended by itself; close what led to it."""
        if not self._ended:
            self._kill_group()
        self._child.stop()
        self._child.close()  # the loop reaps it all the same
        self._close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def _close(self) -> None:
        self._stdin.close()
        self._output.close()


def _keep_descriptors() -> None:
    """Python opens files that no program inherits; those that the server was started with are left."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2:
            with contextlib.suppress(OSError):  # the directory that was listed
                os.set_inheritable(number, False)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {"PATH": PATH, **kept, **(more or {})}
