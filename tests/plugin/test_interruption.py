"""A plugin whose time is up is interrupted wherever it waits, and cleans up after itself."""

from __future__ import annotations

import queue
import select
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from mta.plugin import OK
from mta.plugin.verdict import DENYSOFT
from tests.support.late import LONG, SHORT, Late, ask


def for_a_socket() -> None:
    ours, theirs = socket.socketpair()
    try:
        ours.recv(1)
    finally:
        ours.close()
        theirs.close()


def for_a_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()


def for_select() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        select.select([ours], [], [], LONG)


def for_a_queue() -> None:
    queue.Queue[int]().get()


def for_an_event() -> None:
    threading.Event().wait(LONG)


def for_a_thread() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()
    try:
        thread.join()
    finally:
        stop.set()


def for_a_program() -> None:
    with subprocess.Popen(["sleep", "30"]) as program:
        try:
            program.wait()
        finally:
            program.kill()


def for_time_to_pass() -> None:
    time.sleep(LONG)


WAITS = [
    for_a_socket,
    for_a_client,
    for_select,
    for_a_queue,
    for_an_event,
    for_a_thread,
    for_a_program,
    for_time_to_pass,
]


@pytest.mark.parametrize("wait", WAITS)
def test_it_is_interrupted_wherever_it_waits_and_cleans_up(wait: Callable[[], None]) -> None:
    def do(plugin: Late) -> object:
        try:
            wait()
            plugin.said.append("went on")
        finally:
            plugin.said.append("cleaned up")
        return OK

    timeout = 1.0 if wait is for_a_program else SHORT  # which takes time to start
    plugin, verdict, crits = ask(do, timeout)
    assert (verdict.code, verdict.message) == (DENYSOFT, "plugin timeout")
    assert plugin.said == ["cleaned up"]
    assert len(crits) == 1 and f"Plugin late timed out on hook data after {timeout:g} s" in crits[0]


def test_a_finally_block_may_wait_too() -> None:
    def do(plugin: Late) -> object:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                ours.recv(1)
            finally:
                time.sleep(2 * SHORT)
                theirs.sendall(b"x")
                plugin.said.append(ours.recv(1).decode())

    plugin, verdict, _ = ask(do)
    assert (verdict.code, plugin.said) == (DENYSOFT, ["x"])


def test_context_managers_of_libraries_do_their_work(tmp_path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("create table seen (who text)")
    lock = threading.Lock()

    def do(plugin: Late) -> object:
        with lock, database:
            database.execute("insert into seen values ('x')")
            time.sleep(LONG)

    _, verdict, _ = ask(do)
    assert verdict.code is DENYSOFT
    assert database.execute("select count(*) from seen").fetchone() == (0,)  # rolled back
    assert lock.acquire(blocking=False)
