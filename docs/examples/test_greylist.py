from mta.testing import StartServer


def test_a_server_that_tries_again_is_let_in(mail_server: StartServer) -> None:
    server = mail_server("greylist", config={"greylist.ini": "delay=60\n"})
    client = server.connect()
    assert client.send_mail().text == "greylisted, try again later"
    server.clock.advance(59)
    assert client.send_mail().code == 450
    server.clock.advance(2)
    assert client.send_mail().code == 250


def test_each_client_sender_and_recipient_waits_for_itself(mail_server: StartServer) -> None:
    server = mail_server("greylist")
    server.connect().send_mail()
    server.clock.advance(minutes=6)
    assert server.connect().send_mail().code == 250
    assert server.connect(ip="192.0.2.9").send_mail().code == 450
    assert server.connect().send_mail("carol@client.example").code == 450
    assert server.connect().send_mail(rcpt_to="dora@example.com").code == 450


def test_our_own_people_do_not_wait(mail_server: StartServer) -> None:
    assert mail_server("greylist").connect(relaying=True).send_mail().code == 250
