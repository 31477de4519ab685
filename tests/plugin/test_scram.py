"""The server's side of SCRAM against RFC 7677's example, scramp's client, and any bytes at all."""

from __future__ import annotations

import base64

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.plugin import ScramCredentials, invented_salt, make_credentials
from mta.plugin.scram import Scram, WrongProof
from mta.smtp.sasl_server import BadResponse, Claim

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CREDENTIALS = make_credentials("pencil", SALT)


def lookup(user: str) -> ScramCredentials:
    return CREDENTIALS


def test_the_example_of_rfc_7677() -> None:
    server = Scram("SCRAM-SHA-256", lookup)
    assert server.step(None) == b""
    first = server.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert isinstance(first, bytes)
    nonce = first.split(b",")[0].removeprefix(b"r=")
    assert nonce.startswith(b"rOprNGfwEbeRWgbNEkqO") and len(nonce) > 40
    assert first.endswith(b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")


def test_the_whole_exchange() -> None:
    server, client = Scram("SCRAM-SHA-256", lookup), scramp.ScramClient(["SCRAM-SHA-256"], "user", "pencil")
    client.set_server_first(server.step(client.get_client_first().encode()).decode())
    client.set_server_final(server.step(client.get_client_final().encode()).decode())
    assert server.step(b"") == Claim("user", proven=True)


def test_the_wrong_password_names_who_tried() -> None:
    server, client = Scram("SCRAM-SHA-256", lookup), scramp.ScramClient(["SCRAM-SHA-256"], "user", "pen")
    client.set_server_first(server.step(client.get_client_first().encode()).decode())
    with pytest.raises(WrongProof) as caught:
        server.step(client.get_client_final().encode())
    assert caught.value.user == "user"


def test_a_lookup_that_fails_is_not_taken_for_a_wrong_password() -> None:
    def fails(user: str) -> ScramCredentials:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        Scram("SCRAM-SHA-256", fails).step(b"n,,n=user,r=nonce")


def test_what_follows_the_proof_is_nothing() -> None:
    server, client = Scram("SCRAM-SHA-256", lookup), scramp.ScramClient(["SCRAM-SHA-256"], "user", "pencil")
    client.set_server_first(server.step(client.get_client_first().encode()).decode())
    server.step(client.get_client_final().encode())
    with pytest.raises(BadResponse):
        server.step(b"x")


def test_an_impossible_password_has_no_keys() -> None:
    with pytest.raises(ValueError):
        make_credentials("\x07", SALT)


def test_keys_show_in_no_repr() -> None:
    assert repr(CREDENTIALS.stored_key) not in repr(CREDENTIALS)


def test_invented_salts() -> None:
    assert invented_salt(b"secret", "a") == invented_salt(b"secret", "a") != invented_salt(b"secret", "b")
    assert invented_salt(b"secret", "a") != invented_salt(b"other", "a")
    assert [len(invented_salt(b"secret", "a", octets)) for octets in (12, 16, 32, 64)] == [12, 16, 32, 64]


_FIELDS = st.sampled_from(
    [
        "n,,",
        "y,,",
        "p=tls-unique,,",
        "n=user",
        "n=a=2Cb",
        "n==",
        "r=x",
        "c=biws",
        "p=AA==",
        "m=x",
        ",",
        "s=",
        "\x00",
    ]
)
_MESSAGES = st.one_of(
    st.binary(max_size=60), st.lists(_FIELDS, max_size=6).map(lambda parts: ",".join(parts).encode())
)


@settings(max_examples=300, deadline=None)
@given(_MESSAGES, _MESSAGES)
def test_no_bytes_bring_it_down(first: bytes, second: bytes) -> None:
    server = Scram("SCRAM-SHA-256", lookup)
    try:
        assert isinstance(server.step(first), bytes)
        nonce = b"c=biws,r=" + server._server.nonce.nonce.encode() + b",p=" + base64.b64encode(second)
        server.step(nonce if len(first) % 2 else second)
    except (BadResponse, WrongProof):
        pass
    else:
        raise AssertionError("somebody logged in without the password")
