"""Everything that reads bytes from strangers: one function a parser. Each raises only when the parser does what it must not.

`SEEDS` are inputs to start from. They run a little under hypothesis in every test run, and longer under atheris.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

from mta.config.formats import parse as parse_config
from mta.config.ini import parse_ini
from mta.config.problem import ParseError
from mta.message import addresses, mime, parameters
from mta.message.header import Header, split_header
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool_errors import CorruptEntry
from mta.outbound.todo import Todo
from mta.smtp import proxy
from mta.smtp.address import Address, AddressError, parse_path
from mta.smtp.chunks import ChunkDecoder
from mta.smtp.command import parse_command, parse_mail, parse_rcpt
from mta.smtp.data import DataDecoder, has_bare_newline
from mta.smtp.parameters import check_mail_params, check_rcpt_params
from mta.smtp.reply import MalformedReply, ProtocolError, Reply, read_reply
from tests.support.replies import split_replies
from tests.support.smtp_form import assert_sound

Target = Callable[[bytes], None]
END = b"\r\n.\r\n"
OFFERED = frozenset(
    [
        "SIZE",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "BINARYMIME",
        "CHUNKING",
        "DELIVERBY",
        "REQUIRETLS",
        "FUTURERELEASE",
        "MT-PRIORITY",
        "AUTH",
    ]
)

TARGETS: dict[str, Target] = {}
SEEDS: dict[str, list[bytes]] = {}


def target(*seeds: bytes) -> Callable[[Target], Target]:
    """Enter a function into TARGETS, with what it starts from."""

    def enter(function: Target) -> Target:
        TARGETS[function.__name__] = function
        SEEDS[function.__name__] = list(seeds)
        return function

    return enter


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _field_text(data: bytes) -> str:
    """As the header gives it: UTF-8, or else Latin-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _pieces(data: bytes) -> Iterator[bytes]:
    """The data cut at places that its own first bytes tell."""
    sizes, data = [1 + octet % 23 for octet in data[:4]] or [1], data[4:]
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


# ---- commands and replies


def _refused(error: ProtocolError) -> None:
    """What a stranger can write into a refusal must still be a reply."""
    assert error.reply.code >= 400
    assert len(split_replies(error.reply.to_bytes())) == 1


@target(b"MAIL FROM:<a@b.c> SIZE=1", b"NOOP", b"\xff\r\n\0")
def command(data: bytes) -> None:
    try:
        verb, argument = parse_command(data)
    except ProtocolError as error:
        _refused(error)
    else:
        assert " " not in verb
        assert argument == argument.strip()


@target(
    b"FROM:<a@b.c> SIZE=1 BODY=8BITMIME",
    b"FROM: a@b.c RET=HDRS ENVID=x+2Dy",
    b'FROM:<@x,@y:"a b"@[1.2.3.4]> BY=1;R',
)
def mail(data: bytes) -> None:
    for strict in (False, True):
        try:
            address, params = parse_mail(_text(data), strict)
            _check_address(address)
            check_mail_params(params, OFFERED, 1000)
        except ProtocolError as error:
            _refused(error)


@target(
    b"TO:<b@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+40c",
    b"TO:<postmaster>",
    "TO:<ü@ö.test>".encode(),
)
def rcpt(data: bytes) -> None:
    for strict in (False, True):
        try:
            address, params = parse_rcpt(_text(data), strict)
            assert not address.is_null
            _check_address(address)
            check_rcpt_params(params, OFFERED)
        except ProtocolError as error:
            _refused(error)


@target(b"<a@b.c> rest", b'<"a\\"b"@c>', b"<@a,@b:c@d>", b"<a@[IPv6:::1]>", "<ü@ö.test>".encode())
def path(data: bytes) -> None:
    with contextlib.suppress(AddressError):
        address, rest = parse_path(_text(data))
        assert _text(data).endswith(rest)
        _check_address(address)


def _check_address(address: Address) -> None:
    """An address goes into commands, headers, files and logs: it must come back, and never bring a line of its own."""
    for text in (str(address), address.address, address.original):
        assert not set(text) & set("\r\n\0"), f"{address!r} has line ends"
    assert Address.from_json(address.to_json()) == address
    if "@" in str(address) or address.is_null:
        assert parse_path(str(address))[0] == address, f"{address} does not come back"


@target(b"250-2.1.0 a\r\n250 2.1.0 b\r\n", b"550 5.7.26 x\r\n", b"220\r\n", b"250-a\r\n251 b\r\n")
def reply(data: bytes) -> None:
    lines = iter(data.split(b"\r\n"))
    with contextlib.suppress(MalformedReply, StopIteration):
        read = read_reply(lambda: next(lines))
        assert 200 <= read.code <= 599
        if read.code // 10 % 10 <= 5:  # others send what RFC 5321 4.2 does not know
            assert len(split_replies(read.to_bytes())) == 1


@target(b"a text of several\r\nlines", "ü".encode() * 300, b"5.1.1 no")
def reply_text(data: bytes) -> None:
    sent = Reply(550, data.decode("utf-8", "replace"), "5.1.1")
    assert len(split_replies(sent.to_bytes())) == 1
    assert len(split_replies(sent.to_bytes("[A1B2C3@mx] "))) == 1


@target(
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    proxy.SIGNATURE + b"\x21\x11\x00\x0c" + bytes(12),
    proxy.SIGNATURE + b"\x20\x00\x00\x00",
)
def proxy_header(data: bytes) -> None:
    with contextlib.suppress(proxy.ProxyError):
        length = proxy.header_length(data)
        assert 0 <= length <= len(data)
        if length:
            found = proxy.parse(data[:length])
            for peer in (found.source, found.destination):
                assert peer is None or 0 <= peer[1] <= 65535


# ---- messages


def _decode(pieces: Iterator[bytes], repair: bool) -> tuple[bytes, bytes, bool, bool]:
    decoder = DataDecoder(repair)
    message, rest = b"", b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            message += decoder.feed(piece)
    return message, decoder.rest + rest, decoder.done, decoder.bare_newline


@target(b"\1\2\3\4Subject: x\r\n\r\nbody\r\n.\r\nNOOP\r\n", b"\1\1\1\1a\n.\n\r.\r\r\n.\n.\r\n.\r\n")
def data_decoder(data: bytes) -> None:
    for repair in (False, True):
        cut = _decode(_pieces(data), repair)
        whole = _decode(iter([data[4:]]), repair)
        assert cut[1:] == whole[1:], "how it is cut tells where it ends"
        message, _, done, bare = cut
        assert not done or message == whole[0], "how it is cut tells what it says"
        if done and (repair or not bare):
            assert_sound(message)
        assert done == (END in b"\r\n" + data[4:])


@target(b"\1\2\3\4Subject: x\r\n\r\n.\r\n..\r\nbody", b"\1\1\1\1\r\n\r\n.\n\r.\r")
def chunk_decoder(data: bytes) -> None:
    for repair in (False, True):
        cut, whole = ChunkDecoder(repair), ChunkDecoder(repair)
        message = b"".join([*map(cut.feed, _pieces(data)), cut.finish()])
        assert message == whole.feed(data[4:]) + whole.finish()
        assert cut.bare_newline == whole.bare_newline == has_bare_newline(data[4:])
        if repair or not cut.bare_newline:
            assert_sound(message)


@target(
    b"A: b\r\n c\r\nSubject: =?utf-8?q?x?=\r\n\r\nbody", b"__proto__: x\r\n..a: b\r\n", b"From x\r\nA:\r\n"
)
def header(data: bytes) -> None:
    found = split_header(data, True)
    assert found is not None
    raw, separator, offset = found
    assert raw + separator == data[:offset]
    early = split_header(data[: len(data) // 2], False)
    assert early is None or early[0] == raw, "the header ends somewhere else when more has come"
    fields = Header(raw)
    assert fields.to_bytes() == raw
    for line in fields.lines():
        name = line.partition(":")[0].strip()
        if name.isascii() and name:
            fields.get_decoded(name)
            assert fields.count(name) == len(fields.get_all(name))
    with contextlib.suppress(ValueError):
        ours = Header(b"A: b\r\n", utf8=bool(data[:1] > b"m"))
        ours.add_leading("X-Any", _field_text(data))
        ours.add(_field_text(data[:8]), "x")
        _one_header(ours.to_bytes())


def _one_header(raw: bytes) -> None:
    """What was added is part of the header, and nothing else."""
    rest = raw.replace(b"\r\n", b"")
    assert b"\n" not in rest and b"\r" not in rest, f"a value brought a line end: {raw!r}"
    assert b"\r\n\r\n" not in b"\r\n" + raw, f"a value ended the header: {raw!r}"


_PART = b"Content-Type: text/html; charset=x-no\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n"


@target(
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + _PART + b"--b--\r\n",
    b"Content-Type: multipart/mixed; boundary*0*=utf-8''a; boundary*1=b\r\n\r\n--ab\r\n\r\n--ab--\r\n",
    b'Content-Type: multipart/x; boundary=""\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n#0V%T\r\nend\r\n',
)
def mime_tree(data: bytes) -> None:
    raw, _, offset = split_header(data, True) or (b"", b"", 0)
    with contextlib.suppress(mime.TooManyParts):
        stack = [mime.parse(Header(raw), data[offset:], max_parts=50, max_depth=10)]
        while stack:
            body = stack.pop()
            assert 0 <= body.start <= body.end <= len(data) - offset
            assert body.depth <= 10
            stack.extend(body.children)


@target(b'"a \\" b" <x@y>, (c (d)) z@w', b"group: a@b, c@d;", b"=?utf-8?b?w7w=?= <a@b>")
def mailboxes(data: bytes) -> None:
    for mailbox in addresses.parse(_field_text(data)):
        assert str(mailbox).count("\n") <= data.count(b"\n")


@target(
    b"text/plain; charset=\"a\"; name*0*=utf-8''%41; name*1=b", b"attachment; filename*=utf-9'x'%zz", b";;;="
)
def header_parameters(data: bytes) -> None:
    parameters.parse(_field_text(data))


# ---- our own files, written by somebody else


@target(b"1784878079415_1784878079415_0_12_abcDEF_1_mx.test", b"1_2_3_4.host", b"__tmp__.1_2_3_4_5_6_7")
def queue_file_name(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        name = QueueFileName.parse(_text(data))
        assert str(name) == _text(data)
        assert not set(_text(data)) & set("/\0")
        assert name.next_attempt >= 0 and name.attempts >= 0


@target(
    b'{"queue_time":1,"domain":"b.test","rcpt_to":[{"original":"<a@b.test>","original_host":"b.test","host":"b.test","user":"a"}],'
    b'"mail_from":{"original":"<>","original_host":"","host":null,"user":null},"notes":{},"uuid":"U"}',
    b'{"rcpt_to":[[]]}',
    b"[" * 50,
)
def todo(data: bytes) -> None:
    with contextlib.suppress(CorruptEntry):
        found = Todo.decode(data)
        assert found.rcpt_to
        for address in (found.mail_from, *found.rcpt_to):
            assert not set(str(address)) & set("\r\n\0")
        assert Todo.decode(found.encode()).rcpt_to == found.rcpt_to


@target(b"a=1\n[b]\nc[]=2\nc[]=\\\n3\n; x\n", b"[__proto__]\nconstructor=1\n", b"x\\\n")
def ini(data: bytes) -> None:
    sections, problems = parse_ini(_text(data), "x.ini")
    assert "main" in sections
    for name in [*sections, *itertools.chain.from_iterable(sections.values())]:
        assert not (name.startswith("__") and name.endswith("__")), f"unsafe name {name}"
    for problem in problems:
        assert str(problem)


@target(b'{"a": [1, {"b": null}]}', b"a: &x [1]\nb: *x\n", b"a = 1\n[b]\n")
def config_trees(data: bytes) -> None:
    for kind in ("json", "yaml", "toml", "ini", "list", "value", "data"):
        with contextlib.suppress(ParseError):
            parse_config(kind, data, f"x.{kind}")
