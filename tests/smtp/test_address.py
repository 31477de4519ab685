"""Envelope addresses: the grammar by a corpus, the value by a table and by properties."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.smtp.address import NULL, Address, AddressError, parse_path

CORPUS = Path(__file__).parents[1] / "corpus" / "addresses"


def corpus(name: str) -> list[str]:
    lines = (CORPUS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("# ")]


@pytest.mark.parametrize("line", corpus("valid.txt"))
def test_valid(line: str) -> None:
    path, user, host = line.split(" | ")
    address, rest = parse_path(path + " SIZE=1")
    assert (address.user, address.host, rest) == (user, host, " SIZE=1")
    assert (
        address.original == ("postmaster" if address.host == "" and user else path[1:-1])
        or path[1:-1] == "PostMaster"
    )
    assert Address.parse(path) == address


@pytest.mark.parametrize("line", corpus("valid.txt"))
def test_what_is_written_reads_back_as_the_same_address(line: str) -> None:
    address = Address.parse(line.split(" | ")[0])
    assert Address.parse(str(address)) == address
    assert Address.parse(address.address) == address
    assert Address.from_json(json.loads(json.dumps(address.to_json()))) == address


@pytest.mark.parametrize("path", corpus("invalid.txt"))
def test_invalid(path: str) -> None:
    with pytest.raises(AddressError):
        parse_path(path)


@pytest.mark.parametrize("code", [*range(32), 0x7F, 0x80, 0x9F, 0xD800])
@pytest.mark.parametrize(
    "form", ["<us{}er@example.com>", '<"us{}er"@example.com>', "<user@exa{}mple.com>", "<user@[t:{}]>"]
)
def test_no_control_character_anywhere(form: str, code: int) -> None:
    with pytest.raises(AddressError):
        parse_path(form.format(chr(code)))


@pytest.mark.parametrize("text", ["u@h", "<u@h>"])
def test_parse_takes_both_forms(text: str) -> None:
    assert Address.parse(text) == Address("u", "h")


@pytest.mark.parametrize("text", ["", "<>"])
def test_parse_null(text: str) -> None:
    assert Address.parse(text) is NULL


@pytest.mark.parametrize("text", ["<u@h> ", "<u@h>x", "u@h>", "<u@h", "u"])
def test_parse_wants_the_whole_text(text: str) -> None:
    with pytest.raises(AddressError):
        Address.parse(text)


def test_null() -> None:
    assert NULL.is_null
    assert (NULL.address, str(NULL), NULL.original) == ("", "<>", "")
    assert not Address("", "example.com").is_null  # ""@example.com is odd, but somebody
    assert not Address("postmaster", "").is_null


def test_equal_by_user_and_host() -> None:
    assert Address.parse("<@a,@b:joe@EXAMPLE.com>") == Address("joe", "example.COM")
    assert len({Address("u", "h"), Address("u", "H"), Address("U", "h")}) == 2
    assert Address("u", "h") != "u@h"


def test_what_was_written_is_kept() -> None:
    address = Address.parse("<User@Müller.DE>")
    assert (address.original, address.original_host, address.host) == (
        "User@Müller.DE",
        "Müller.DE",
        "xn--mller-kva.de",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("<u@h>", False), ("<ü@h>", True), ("<u@ü.de>", True), ("<u@xn--tda.de>", False), ("<>", False)],
)
def test_is_utf8(text: str, expected: bool) -> None:
    assert Address.parse(text).is_utf8 is expected


@pytest.mark.parametrize(
    ("user", "address"),
    [
        ("a.b", "a.b@h"),
        ("a b", '"a b"@h'),
        ('a"b\\', r'"a\"b\\"@h'),
        ("a..b", '"a..b"@h'),
        ("", '""@h'),
        ("ö", "ö@h"),
    ],
)
def test_user_is_quoted_when_needed(user: str, address: str) -> None:
    assert Address(user, "h").address == address
    assert Address.parse(address).user == user


@pytest.mark.parametrize(
    ("user", "host"), [("a\r\nRCPT", "h"), ("a", "h>\r\n"), ("a", "h h"), ("a", "a@b"), ("a\0", "h")]
)
def test_constructor_refuses_what_could_inject(user: str, host: str) -> None:
    with pytest.raises(AddressError):
        Address(user, host)


def test_json_is_that_of_haraka() -> None:
    assert json.dumps(Address.parse("<Joe@Example.com>").to_json()) == (
        '{"original": "<Joe@Example.com>", "original_host": "Example.com", "host": "example.com", "user": "Joe"}'
    )
    assert Address.parse("<>").to_json() == {"original": "<>", "user": None, "host": None}
    assert Address.parse('<"a b"@h>').to_json()["user"] == '"a b"'
    assert Address.parse("<u@ü.de>").to_json()["is_utf8"] is True


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"original": "<>", "user": None, "host": None}, NULL),
        ({"original": "<>", "user": "", "host": ""}, NULL),
        ({"original": "<a@B>", "original_host": "B", "host": "b", "user": "a"}, Address("a", "b")),
        ({"original": "a@b", "host": "b", "user": "a"}, Address("a", "b")),
        ({"original": '<"a b"@c>', "original_host": "c", "host": "c", "user": '"a b"'}, Address("a b", "c")),
        ({"original": "<postmaster>", "user": "postmaster", "host": ""}, Address("postmaster", "")),
    ],
)
def test_from_json(record: dict[str, object], expected: Address) -> None:
    assert Address.from_json(record) == expected


@pytest.mark.parametrize(
    "record", [{"user": 1, "host": "h"}, {"user": "u", "host": ["h"]}, {"user": "u\r\n", "host": "h"}]
)
def test_from_json_refuses_nonsense(record: dict[str, object]) -> None:
    with pytest.raises(AddressError):
        Address.from_json(record)


def test_immutable_and_copyable() -> None:
    address = Address.parse("<Joe@Example.com>")
    with pytest.raises(AttributeError):
        address.user = "eve"
    for twin in (copy.deepcopy(address), pickle.loads(pickle.dumps(address))):
        assert twin == address
        assert twin.original == address.original


# st.text() would hardly ever hit the grammar: these are its own characters.
PIECES = st.lists(
    st.sampled_from(["<", ">", "@", '"', "\\", ".", ":", ",", "[", "]", " ", "a", "ü", "IPv6:", "1", "\r\n"])
)


@settings(deadline=None)
@given(PIECES.map("".join))
def test_any_text_parses_or_raises_address_error(text: str) -> None:
    try:
        address, rest = parse_path(text)
    except AddressError:
        return
    assert text.endswith(rest)
    assert "\r" not in address.address
    assert Address.parse(str(address)) == address


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=30))
def test_any_printable_user_survives(user: str) -> None:
    address = Address(user, "example.com")
    try:
        assert Address.parse(str(address)) == address
    except AddressError:
        assert len(address.address.encode()) - len("@example.com") > 64
