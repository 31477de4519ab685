"""Find out where the processor time of the server goes: samples of stacks, written to files that flame graphs are made of."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from mta.plugin import Answer, Plugin, ProfileSettings, Server

MAX_STACKS = 20_000  # different ones in one file
MAX_DEPTH = 128
OTHER = "(other)"
SUFFIX = ".folded"

Stack = tuple[CodeType, ...]


class Sampler:
    """Looks every few milliseconds of processor time which Python code is running: in whichever greenlet, it is the one that counts.

    A profiler that follows calls and returns, such as cProfile, sees a switch of greenlets as neither and mixes them up.
    """

    def __init__(self) -> None:
        self.stacks: Counter[Stack] = Counter()

    def start(self, seconds: float) -> None:
        """Begin to take a sample in each of so many seconds of processor time."""
        self.stacks.clear()
        signal.signal(signal.SIGPROF, self.sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, seconds, seconds)

    def stop(self) -> Counter[Stack]:
        """How often each stack was seen."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        # The last signal may be under way: its default would end the process.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        return Counter(self.stacks)

    def sample(self, number: int, frame: FrameType | None) -> None:
        codes: list[CodeType] = []
        while frame is not None and len(codes) < MAX_DEPTH:
            codes.append(frame.f_code)
            frame = frame.f_back
        stack = tuple(reversed(codes))
        if stack not in self.stacks and len(self.stacks) >= MAX_STACKS:
            stack = ()
        self.stacks[stack] += 1


class Profile(Plugin):
    """One file after the other for as long as `enabled` says so, and none while nothing is done."""

    cfg = ProfileSettings()

    def register(self) -> None:
        self.sampler = Sampler()
        self.changed = threading.Event()  # settings, or the end
        self.ending = False
        self.recorder: threading.Thread | None = None
        self.load(self.config.settings(ProfileSettings, on_change=self.load))

    def load(self, cfg: ProfileSettings) -> None:
        self.cfg = cfg
        self.changed.set()

    def hook_init_master(self, server: Server) -> Answer:
        return self.begin()

    def hook_init_child(self, server: Server) -> Answer:
        return self.begin()

    def begin(self) -> Answer:
        if self.recorder is None:
            self.recorder = threading.Thread(target=self.record, name=self.name, daemon=True)
            self.recorder.start()
        return None

    def shutdown(self) -> None:
        """Write what there is: the server ends before the thread would."""
        self.ending = True
        self.changed.set()
        if self.recorder is not None:
            self.recorder.join(1.0)

    def record(self) -> None:
        while not self.ending:
            self.changed.clear()
            cfg = self.cfg
            if not cfg.enabled:
                self.changed.wait()
                continue
            self.sampler.start(cfg.interval / 1000)
            try:
                self.changed.wait(cfg.seconds)
            finally:
                stacks = self.sampler.stop()
            self.save(stacks, cfg)

    def save(self, stacks: Counter[Stack], cfg: ProfileSettings) -> None:
        if not stacks:
            return
        directory = self.config.directory.parent / cfg.directory
        name = f"profile.{os.getpid()}.{time.strftime('%Y%m%dT%H%M%S')}{SUFFIX}"
        try:
            self.offload(write, directory, name, stacks, cfg.keep)
        except OSError as error:
            self.logerror(f"the profile can not be written: {error}")
            return
        self.lognotice("profile written", {"file": str(directory / name), "samples": stacks.total()})


def write(directory: Path, name: str, stacks: Counter[Stack], keep: int) -> None:
    """One line for each stack, outermost function first, as flamegraph.pl and speedscope read it. Raises OSError."""
    directory.mkdir(mode=0o700, exist_ok=True)
    unfinished = directory / f".{name}"
    with open(unfinished, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        for stack, count in stacks.most_common():
            file.write(f"{';'.join(map(named, stack)) or OTHER} {count}\n")
    unfinished.rename(directory / name)
    files = sorted(directory.glob(f"profile.*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for old in files[:-keep]:
        old.unlink(missing_ok=True)


def named(code: CodeType) -> str:
    """`function (directory/file.py:line)`."""
    path = "/".join(Path(code.co_filename).parts[-2:])
    return f"{code.co_qualname} ({path}:{code.co_firstlineno})".replace(";", ",")
