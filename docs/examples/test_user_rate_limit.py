from mta.testing import StartServer

FOUR = [f"user{number}@example.com" for number in range(4)]


def test_each_user_has_so_many_recipients(mail_server: StartServer) -> None:
    server = mail_server("user_rate_limit", config={"user_rate_limit.ini": "rate=4/1h\n"})
    client = server.connect(auth_user="alice")
    assert client.send_mail(rcpt_to=FOUR).code == 250
    reply = client.send_mail()
    assert (reply.code, reply.text) == (450, "no more than 4/h recipients, try again later")
    assert server.connect(auth_user="carol").send_mail().code == 250
    assert server.logged("too many recipients")[0].fields["user"] == "alice"
    server.clock.advance(hours=2)
    assert client.send_mail(rcpt_to=FOUR).code == 250


def test_others_are_not_counted(mail_server: StartServer) -> None:
    client = mail_server("user_rate_limit", config={"user_rate_limit.ini": "rate=1/1d\n"}).connect()
    assert [client.send_mail().code for _ in range(3)] == [250, 250, 250]
