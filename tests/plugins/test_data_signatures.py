"""data.signatures: mail with a known text is refused, however it is encoded."""

from __future__ import annotations

import base64

import pytest

from tests.support.bundled import deliver, inbound_with
from tests.support.service import Client, Local

SIGNATURES = {"data.signatures": "; known ones\nBuy <now> [cheap]\nnigerian prince\n"}
SPAM = "Hello,\r\nyou may Buy <now> [cheap] things.\r\n"


def answer(tmp_path, message, files=SIGNATURES):
    with inbound_with(tmp_path, ["data.signatures"], files, after=[Local()]) as inbound:
        client = Client(inbound.port)
        reply = deliver(client, message)[-1]
        client.close()
    return reply


def in_base64(text):
    head = "Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.b64encode(text.encode()) + b"\r\n"


def in_a_part(text):
    return (
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\n\r\nnothing\r\n--b\r\nContent-Type: text/html\r\n\r\n{text}\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize("message", [b"Subject: x\r\n\r\n" + SPAM.encode(), in_base64(SPAM), in_a_part(SPAM)])
def test_spam_is_refused(tmp_path, message):
    assert answer(tmp_path, message) == "550 5.7.1 Mail matches a known spam signature"


@pytest.mark.parametrize("text", ["hello\r\n", "buy <NOW> [cheap]\r\n", "; known ones\r\n"])
def test_other_mail_is_not(tmp_path, text):
    assert answer(tmp_path, f"Subject: x\r\n\r\n{text}".encode()).startswith("250 ")


def test_without_signatures_nothing_is_searched(tmp_path):
    assert answer(tmp_path, b"Subject: x\r\n\r\n" + SPAM.encode(), {}).startswith("250 ")


def test_much_work_is_done_in_a_thread_with_the_same_result(tmp_path):
    many = "".join(f"never seen {number}\n" for number in range(2000)) + "needle\n"
    text = "hay " * 2000
    files = {"data.signatures": many}
    assert answer(tmp_path, f"Subject: x\r\n\r\n{text}needle\r\n".encode(), files).startswith("550 ")
    assert answer(tmp_path, f"Subject: x\r\n\r\n{text}\r\n".encode(), files).startswith("250 ")
