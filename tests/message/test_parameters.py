"""Fields with parameters, as the RFCs write them and as senders do."""

import time

import pytest

from mta.message.parameters import decoded, parse


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ("", "", {}),
        ("text/plain", "text/plain", {}),
        ("TEXT/Plain; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        ("text / plain (a comment);charset=utf-8 (why not)", "text/plain", {"charset": "utf-8"}),
        (
            'multipart/mixed;\r\n\tboundary="a b;c=d"; x=y',
            "multipart/mixed",
            {"boundary": "a b;c=d", "x": "y"},
        ),
        ('a/b; x="a\\"b\\\\c"', "a/b", {"x": 'a"b\\c'}),
        ("a/b; boundary=one; boundary=two", "a/b", {"boundary": "one"}),
        ("attachment; filename=my file.pdf; size=3", "attachment", {"filename": "my file.pdf", "size": "3"}),
        ('a/b; x="never ends', "a/b", {"x": "never ends"}),
        ("a/b;;; ;x=1;=2;y;z=", "a/b", {"x": "1", "z": ""}),
        ("a/b; __proto__=c; constructor=d", "a/b", {"__proto__": "c", "constructor": "d"}),
        # RFC 2231 3, 4, 4.1
        ("a/b; u*0=ftp://; u*1=x/y", "a/b", {"u": "ftp://x/y"}),
        ("a/b; t*=us-ascii'en-us'This%20is%20%2A%2A%2Afun", "a/b", {"t": "This is ***fun"}),
        (
            "a/b; t*0*=us-ascii'en'This%20is; t*1*=%20even%20; t*2=\"more isn't it!\"",
            "a/b",
            {"t": "This is even more isn't it!"},
        ),
        ("a/b; t*1=b; t*0=a; t*3=d", "a/b", {"t": "ab"}),
        ("a/b; t*1=b", "a/b", {}),
        ("a/b; filename=old; filename*=utf-8''n%C3%A9w", "a/b", {"filename": "néw"}),
        ("a/b; t*0*=utf-8''%C3; t*1*=%BC", "a/b", {"t": "ü"}),  # one character cut in two
        ("a/b; t*=x-nothing''%41%zz", "a/b", {"t": "A%zz"}),
        ("a/b; t*=no-quotes", "a/b", {"t": "no-quotes"}),
        ("a/b; t*99999999=x; t**=y; t*a*=z", "a/b", {}),
    ],
)
def test_parse(text: str, value: str, parameters: dict[str, str]) -> None:
    assert parse(text) == (value, parameters)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attachment; filename=a.txt", "attachment; filename=a.txt"),
        ("attachment; filename*=utf-8''%E2%82%AC.txt; size=1", 'attachment; size="1"; filename="€.txt"'),
        ("attachment; filename*=utf-8''a%0D%0AEvil:%22", 'attachment; filename="a  Evil:\\""'),
    ],
)
def test_decoded(text: str, expected: str) -> None:
    assert decoded(text) == expected


@pytest.mark.parametrize("piece", [";", "; a", ";a=b", ';a="', ";a*0*=x", ";a*=", '"', "\\", ";a*1=b", "a "])
def test_time_is_linear(piece: str) -> None:
    text = "text/plain" + piece * (500_000 // len(piece))
    start = time.process_time()
    parse(text)
    decoded(text)
    assert time.process_time() - start < 2
