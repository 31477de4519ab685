"""What is kept for a client that says nothing: the rest of it are objects."""

from __future__ import annotations

import resource
import sys
from types import CodeType, FrameType

import gevent
from gevent import get_hub
from greenlet import greenlet

from mta.plugin.hooks import Plugin
from tests.support.service import Inbound, Local

IDLE = ("EHLO client.test", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>", "RSET", "NOOP")
HEAD = 32  # bytes in front of the frames: struct _stack_chunk in CPython's pystate.h, and one word
FIXED = 10  # words of a frame besides its variables and its stack: struct _PyInterpreterFrame
WORD = 8
GENERATORS = 0x20 | 0x80 | 0x200  # their frames are elsewhere


def size(code: CodeType) -> int:
    """How many bytes a call takes on the stack of frames."""
    if code.co_flags & GENERATORS:
        return 0
    cells = set(code.co_cellvars) - set(code.co_varnames)
    return (FIXED + code.co_nlocals + len(cells) + len(code.co_freevars) + code.co_stacksize) * WORD


class Deepest(Plugin):
    """Finds the most that the frames of a session take, by verb; is asked at each hook as well."""

    name = "deepest"

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, list[str]]] = {}
        for hook in ("ehlo", "capabilities", "mail", "rcpt", "rcpt_ok", "reset_transaction", "rset", "noop"):
            self.register_hook(hook, self.nothing)

    def hook_connect(self, connection) -> None:
        sys.setprofile(self.look)

    def hook_disconnect(self, connection) -> None:
        sys.setprofile(None)

    def nothing(self, *_: object) -> None:
        pass

    def look(self, frame: FrameType, event: str, _: object) -> None:
        verb, within, names, here = "", 0, [], frame
        while here is not None:
            within += size(here.f_code)
            names.append(here.f_code.co_qualname)
            if here.f_code.co_qualname == "Session.obey":
                verb = here.f_locals["verb"]
            here = here.f_back
        serves = names[-1] == "Greenlets._call"  # the test's own greenlet is seen, too
        if serves and event == "call" and within > self.found.get(verb, (0, []))[0]:
            self.found[verb] = within, names


def test_the_frames_of_a_session_fit_a_page() -> None:
    """CPython has 16 KB for the frames of each greenlet, of which the system gives a page when it is first touched, for good."""
    deepest = Deepest()
    with Inbound([deepest, Local()]) as inbound:
        client = inbound.client()
        assert client.say(*IDLE).startswith("250 ")
        client.ask("QUIT")
        gevent.sleep(0.01)
    assert {line.split(" ")[0] for line in IDLE} <= deepest.found.keys()
    for used, names in deepest.found.values():
        assert HEAD + used <= resource.getpagesize(), names


class Bare:
    """What a greenlet keeps of the C stack that waits in a call of a method, in a method."""

    def run(self) -> None:
        self.wait()

    def wait(self) -> None:
        get_hub().switch()


def test_a_client_that_says_nothing_keeps_the_c_stack_of_one_call() -> None:
    """A call with `*args`, or by way of C, would add a frame of the interpreter to what is copied whenever a client is waited for."""
    bare = greenlet(Bare().run, get_hub())
    get_hub().loop.run_callback(bare.switch)
    with Inbound([Local()]) as inbound:
        client = inbound.client()
        client.say(*IDLE)
        gevent.sleep(0.01)
        (serving,) = inbound.listener._greenlets._members
        assert 0 < serving._stack_saved <= bare._stack_saved + 256
        client.ask("QUIT")
    get_hub().loop.run_callback(bare.switch)
    gevent.sleep(0.01)
