from email.message import EmailMessage

import pytest

from mta.testing import StartServer

LIST = {"block_attachments.list": ".exe\n.js\napplication/java-archive\n"}


def mail_with(name: str, kind: str = "application/octet-stream") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "look at this"
    message.set_content("Here it is.")
    maintype, _, subtype = kind.partition("/")
    message.add_attachment(b"contents", maintype=maintype, subtype=subtype, filename=name)
    return message


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("report.pdf", "application/pdf", 250),
        ("report.pdf.exe", "application/pdf", 550),
        ("REPORT.EXE", "application/octet-stream", 550),
        ("report.exe. .", "application/octet-stream", 550),
        ("räport.js", "text/plain", 550),
        ("library", "application/java-archive", 550),
        ("exe", "application/octet-stream", 250),
    ],
)
def test_names_and_types(mail_server: StartServer, name: str, kind: str, code: int) -> None:
    client = mail_server("block_attachments", config=LIST).connect()
    assert client.send_mail(message=mail_with(name, kind)).code == code


def test_an_attachment_of_a_forwarded_mail(mail_server: StartServer) -> None:
    outer = EmailMessage()
    outer.set_content("forwarded")
    outer.add_attachment(mail_with("tool.exe"))
    reply = mail_server("block_attachments", config=LIST).connect().send_mail(message=outer)
    assert (reply.code, reply.text) == (550, "attachments such as tool.exe are refused")


def test_the_list_is_followed(mail_server: StartServer) -> None:
    server = mail_server("block_attachments", config=LIST)
    server.configure({"block_attachments.list": ".pdf\n"})
    assert server.connect().send_mail(message=mail_with("tool.exe")).code == 250
    assert server.connect().send_mail(message=mail_with("report.pdf")).code == 550
