"""The header: fields found, added, removed; what nobody touched stays; no value gets out of its field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.header import Header, put_first, split_header

RAW = (
    b"Received: from a\r\n\tby b;\r\n\tdate\r\n"
    b"RECEIVED : from c\r\n"
    b"Subject:  =?utf-8?Q?Gr=C3=BC?=\r\n =?utf-8?Q?=C3=9Fe?= \r\n"
    b"To: a@b\r\n"
    b"X-Raw: \xc3\xbc\r\n"
    b"X-Latin: \xfc\r\n"
    b"X-Empty:\r\n"
    b"..dot: dotted\r\n"
    b"X-Received: not that one\r\n"
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Received", ["from a\r\n\tby b;\r\n\tdate", "from c"]),
        ("received", ["from a\r\n\tby b;\r\n\tdate", "from c"]),
        ("subject", ["=?utf-8?Q?Gr=C3=BC?=\r\n =?utf-8?Q?=C3=9Fe?="]),
        ("TO", ["a@b"]),
        ("x-raw", ["ü"]),
        ("x-latin", ["ü"]),
        ("x-empty", [""]),
        (".dot", ["dotted"]),
        ("dot", []),
        ("from a", []),
        ("by b;", []),
        ("X-Rece", []),
        ("", []),
        ("To:", []),
        (".*", []),
    ],
)
def test_get(name: str, expected: list[str]) -> None:
    header = Header(RAW)
    assert header.get_all(name) == expected
    assert header.get(name) == "\n".join(expected)
    assert header.count(name) == len(expected)
    assert (name in header) is header.has(name) is bool(expected)


def test_get_decoded() -> None:
    header = Header(RAW)
    assert header.get_decoded("Subject") == "Grüße"
    assert header.get_decoded("Received") == "from a\tby b;\tdate\nfrom c"
    assert header.get_decoded("none") == ""


def test_lines() -> None:
    lines = Header(RAW).lines()
    assert lines[0] == "Received: from a\r\n\tby b;\r\n\tdate\r\n"
    assert lines[-2:] == [".dot: dotted\r\n", "X-Received: not that one\r\n"]
    assert len(lines) == 9


def test_untouched_is_exact() -> None:
    header = Header(RAW)
    header.get("Subject")
    header.lines()
    assert header.to_bytes() == RAW
    assert Header().to_bytes() == b""
    assert Header(b"To: a").to_bytes() == b"To: a\r\n"


def test_add_and_remove_leave_the_rest_alone() -> None:
    header = Header(RAW)
    header.add_leading("Received", "from me\r\n\tby you")
    header.add("X-Spam", "no")
    assert header.to_bytes() == b"Received: from me\r\n\tby you\r\n" + RAW + b"X-Spam: no\r\n"
    assert (header.count("received"), header.get("x-spam")) == (3, "no")
    header.remove("x-spam")
    header.remove("Nothing")
    header.remove("received")
    assert header.to_bytes() == RAW[RAW.index(b"Subject") :]
    assert not header.has("Received")
    header.remove(".dot")
    assert b"dotted" not in header.to_bytes()


def test_what_is_added_is_found_whoever_has_looked_before() -> None:
    header = Header(b"Date-Of-Birth: x\r\nSubject : a\r\n")
    assert header.has("subject") and not header.has("Date") and not header.has("Received")
    header.add("Date", "now")
    header.add_leading("Received", "one")
    put_first(header, b"Received: two\r\n")
    assert header.has("date") and header.has("subject") and header.count("Received") == 2
    assert header.to_bytes().startswith(b"Received: two\r\nReceived: one\r\nDate-Of-Birth: x\r\n")
    header.remove("Received")
    assert not header.has("Received") and header.get("Date") == "now"


def test_aliases() -> None:
    header = Header(b"B: 2\r\n")
    header.prepend("A", "1")
    header.add_end("C", "3")
    assert header.to_bytes() == b"A: 1\r\nB: 2\r\nC: 3\r\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", b""),
        ("plain\tvalue", b"plain\tvalue"),
        ("a\r\n b", b"a\r\n b"),
        ("a\nEvil: b", b"a\r\n Evil: b"),
        ("a\r\n\r\nbody", b"a\r\n body"),
        ("a\rb", b"a\r\n b"),
        ("a\r\n \r\n b", b"a\r\n b"),
        ("a\r\n", b"a"),
        ("a\n.\n", b"a\r\n ."),
        ("\r\nb", b"\r\n b"),
        ("a\0\x1b\x7fb", b"a   b"),
        ("Grüße", b"=?utf-8?B?R3LDvMOfZQ==?="),
        ("a\nGrüße", b"a\r\n =?utf-8?B?R3LDvMOfZQ==?="),
        ("\ud800", b"=?utf-8?B?Pw==?="),
    ],
)
def test_value(value: str, expected: bytes) -> None:
    header = Header()
    header.add("X", value)
    assert header.to_bytes() == b"X: " + expected + b"\r\n"


def test_value_in_utf8() -> None:
    header = Header(utf8=True)
    header.add("X", "Grüße\nEvil: ö")
    assert header.to_bytes() == "X: Grüße\r\n Evil: ö\r\n".encode()


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize(
    "value", ["word " * 500, "wörd " * 500, "x" * 2000, "a\r\n" + "word " * 500, " " * 3000 + "x"]
)
def test_long_value_is_folded_where_it_can_be(value: str, utf8: bool) -> None:
    header = Header(utf8=utf8)
    header.add("X-Long", value)
    lines = header.to_bytes().split(b"\r\n")
    assert all(len(line) <= 998 for line in lines) or "x" in value
    assert header.get_decoded("x-long").split() == value.split()
    assert len(header.lines()) == 1


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\n", "ä", "a\0", ":", " a"])
@pytest.mark.parametrize("method", ["add", "add_leading"])
def test_bad_name(name: str, method: str) -> None:
    header = Header(RAW)
    with pytest.raises(ValueError, match="field name"):
        getattr(header, method)(name, "x")
    assert header.to_bytes() == RAW


def test_name_that_begins_with_a_dot_is_stuffed() -> None:
    header = Header()
    header.add(".x", "y")
    assert header.to_bytes() == b"..x: y\r\n"
    assert header.lines() == [".x: y\r\n"]
    assert header.get(".X") == "y"


@settings(deadline=None)
@given(st.text(), st.booleans())
def test_no_value_gets_out_of_its_field(value: str, utf8: bool) -> None:
    header = Header(b"To: x\r\n", utf8)
    header.add("X-Value", value)
    header.add("End", "1")
    raw = header.to_bytes()
    assert split_header(raw + b"\r\nbody", False) == (raw, b"\r\n", len(raw) + 2)
    assert [line.partition(":")[0] for line in header.lines()] == ["To", "X-Value", "End"]
    assert raw.replace(b"\r\n", b"").translate(None, b"\r\n\0") == raw.replace(b"\r\n", b"")
    if value.isprintable() and not value.startswith(" ") and "=?" not in value:
        assert header.get_decoded("X-Value").split() == value.split()


@pytest.mark.parametrize(
    ("data", "complete", "expected"),
    [
        (b"A: 1\r\n\r\nbody", False, (b"A: 1\r\n", b"\r\n", 8)),
        (b"A: 1\r\nB : 2\r\n\tfold\r\n\r\n", False, (b"A: 1\r\nB : 2\r\n\tfold\r\n", b"\r\n", 22)),
        (b"\r\nbody", False, (b"", b"\r\n", 2)),
        (b"A: 1\r\nno header\r\n", False, (b"A: 1\r\n", b"", 6)),
        (b"A: 1\r\nno header", False, (b"A: 1\r\n", b"", 6)),
        (b"A: 1\r\nMaybe", False, None),
        (b"A: 1\r\nMaybe ", False, None),
        (b"A: 1\r\nYes:", False, None),
        (b"A: 1\r\nYes: x", False, None),
        (b"A: 1\r\n fold", False, None),
        (b"A: 1\r\n\r", False, None),
        (b"A: 1\r\n", False, None),
        (b"A: 1\r", False, None),
        (b"", False, None),
        (b"", True, (b"", b"", 0)),
        (b"A: 1\r\n", True, (b"A: 1\r\n", b"", 6)),
        (b"A: 1\r\nB: 2", True, (b"A: 1\r\n", b"", 6)),
        (b"just text\r\n", False, (b"", b"", 0)),
        (b" fold first\r\n", False, (b"", b"", 0)),
        (b" fold first", False, (b"", b"", 0)),
        (b"From joe Mon Jan 1\r\nA: 1\r\n\r\n", False, (b"", b"", 0)),
        (b": no name\r\n", False, (b"", b"", 0)),
        (b"..dot: 1\r\n\r\n", False, (b"..dot: 1\r\n", b"\r\n", 12)),
        (b"A: 1\r\n..\r\n\r\n", False, (b"A: 1\r\n", b"", 6)),
        (b"\xc3\xbc: 1\r\n\r\n", False, (b"", b"", 0)),
        (b"A: \xff\0\r\n\r\n", False, (b"A: \xff\0\r\n", b"\r\n", 9)),
        (b"A:\r\n \r\n\r\n", False, (b"A:\r\n \r\n", b"\r\n", 9)),
        (b"x" * 998, False, None),
        (b"x" * 999, False, (b"", b"", 0)),
        (b"A: " + b"x" * 5000, False, None),
    ],
)
def test_split(data: bytes, complete: bool, expected: object) -> None:
    assert split_header(data, complete) == expected


LINES = st.lists(
    st.sampled_from([b"A: 1\r\n", b" fold\r\n", b"\r\n", b"text\r\n", b"B", b":", b"\r\n"]), max_size=8
)


@settings(deadline=None)
@given(LINES.map(b"".join))
def test_split_early_is_split_late(data: bytes) -> None:
    data = data if data.endswith(b"\r\n") else data + b"\r\n"
    whole = split_header(data, True)
    assert whole is not None
    for end in range(len(data) + 1):
        early = split_header(data[:end], False)
        assert early is None or early == whole
    assert whole[0] + whole[1] == data[: whole[2]]


@pytest.mark.parametrize(
    "line", [b"A: 1\r\n", b" fold\r\n", b"A" * 900 + b"\r\n", b" " * 900 + b"\r\n", b"A " * 400]
)
def test_split_takes_linear_time(line: bytes) -> None:
    data = b"A: 1\r\n" + line * (4_000_000 // len(line))
    split_header(data, False)  # quadratic time would run into the timeout


def test_decoded_values_have_their_parameters_decoded() -> None:
    header = Header(
        b"Content-Disposition: attachment;\r\n filename*0*=utf-8''%E2%82;\r\n filename*1*=%AC.txt\r\n"
    )
    assert header.get_decoded("Content-Disposition") == 'attachment; filename="€.txt"'


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ü"])
def test_a_field_cannot_get_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="not a header field name"):
        Header(b"A: 1\r\n").rename("A", name)


def test_renamed_fields_keep_value_and_place() -> None:
    header = Header(b"X: 1\r\n..y: 2\r\na: 3\r\n 4\r\n")
    header.rename("A", ".b")
    header.rename(".Y", "y")
    header.rename("none", "z")
    assert header.to_bytes() == b"X: 1\r\ny: 2\r\n..b: 3\r\n 4\r\n"


def test_a_replaced_field_stays_in_its_place() -> None:
    header = Header(b"A: 1\r\nSubject: old\r\n folded\r\nB: 2\r\nsubject: second\r\nC: 3\r\n")
    header.replace("Subject", "new\r\nX-Evil: 1")
    assert header.to_bytes() == b"A: 1\r\nSubject: new\r\n X-Evil: 1\r\nB: 2\r\nC: 3\r\n"
    assert header.count("subject") == 1
    header.replace("D", "4")
    assert header.lines()[-1] == "D: 4\r\n"
    header.replace(".dot", "5")
    header.replace(".dot", "6")
    assert header.to_bytes().endswith(b"\r\n..dot: 6\r\n")
    with pytest.raises(ValueError):
        header.replace("A:", "1")


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        (b"", set()),
        (b"DKIM-Signature: v=1; a=rsa-sha256\r\n", set()),
        (b"DKIM-Signature: v=1; h=From:to : Subject; bh=h=x:y\r\n", {"from", "to", "subject"}),
        (b"DKIM-Signature: v=1;\r\n\th=from:\r\n\t date;b=a\r\n", {"from", "date"}),
        (b"DKIM-Signature: h=from\r\ndkim-signature: H=no; h=to\r\n", {"from", "to"}),
        (b"ARC-Message-Signature: i=1; h=x-a\r\nX: h=y\r\n", {"x-a"}),
    ],
)
def test_which_fields_are_signed(raw: bytes, signed: set[str]) -> None:
    assert Header(raw).signed_fields() == signed
