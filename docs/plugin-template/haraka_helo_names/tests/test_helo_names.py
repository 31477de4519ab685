from __future__ import annotations

from mta.testing import StartServer


def test_the_default_names_are_refused(mail_server: StartServer) -> None:
    client = mail_server("helo_names").connect()
    assert client.ehlo("LocalHost").text == "Nobody is called LocalHost"
    assert client.helo("localhost.localdomain").code == 550
    assert client.ehlo("client.example").code == 250


def test_who_may_relay_may_be_called_anything(mail_server: StartServer) -> None:
    assert mail_server("helo_names").connect(relaying=True).ehlo("localhost").code == 250


def test_the_list_is_followed(mail_server: StartServer) -> None:
    server = mail_server("helo_names", config={"helo_names.list": "one.example\n"})
    client = server.connect()
    assert client.ehlo("one.example").code == 550
    server.configure({"helo_names.list": "two.example\n", "helo_names.ini": "message=no\n"})
    assert client.ehlo("one.example").code == 250
    assert client.ehlo("two.example").text == "no"
