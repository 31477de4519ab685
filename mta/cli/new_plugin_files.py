"""The files that `haraka -p NAME` writes; names in braces are filled in."""

CODE = '''\
"""Refuse mail for the users that {ini} names."""

from __future__ import annotations

from typing import Any

from mta.plugin import DENY, Address, Answer, Connection, Params, Plugin


class {class_name}(Plugin):
    """Asked at each recipient; None leaves the decision to the next plugin."""

    def register(self) -> None:
        """Read the settings, and follow them while the server runs."""
        self.load(self.config.get("{ini}", on_change=self.load))

    def load(self, ini: dict[str, Any]) -> None:
        """Take over what the file says now."""
        self.users = set(str(ini["main"].get("users", "")).lower().split())
        self.message = str(ini["main"].get("message", "no such user"))

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        """RCPT came: the whole list of hooks is in `haraka -h Plugins`."""
        if rcpt.user.lower() not in self.users:
            return None
        self.lognotice("refused", {{"rcpt": rcpt}}, connection)
        return DENY, self.message
'''

CONFIG = """\
; Settings of the plugin {name}. A line that begins with a semicolon is a comment.

; The users that get no mail, in lower case, with blanks between them.
users=nobody noreply

; What the client reads.
message=no such user
"""

PAGE = """\
# {name}

Refuses mail for the users that `config/{ini}` names. Changes are followed while the server runs.

To turn it on, add the line `{name}` to `config/plugins`, before the plugin that accepts recipients.

## Configuration

`config/{ini}`:

| key | default | what |
|---|---|---|
| `users` | `nobody noreply` | the users that get no mail, in lower case, with blanks between them |
| `message` | `no such user` | what the client reads after `550` |

## Hooks

| hook | what it does |
|---|---|
| `rcpt` | DENY for one of `users`, else nothing |
"""

TEST = '''\
"""{name}: run with pytest, see `haraka -h Testing`."""

from pathlib import Path

from mta.plugin import DENY
from mta.testing import StartServer, make_address, make_connection

INI = Path(__file__).parent.parent / "config" / "{ini}"
SETTINGS = {{"{ini}": "users=nobody\\nmessage=not here\\n"}}


def test_{function}_refuses_the_users_it_is_told(mail_server: StartServer) -> None:
    server = mail_server("{name}", config=SETTINGS)
    client = server.connect()
    client.mail("alice@client.example")
    reply = client.rcpt("Nobody@example.com")
    assert (reply.code, reply.text) == (550, "not here")
    assert server.logged("refused", "notice")


def test_{function}_lets_others_pass(mail_server: StartServer) -> None:
    server = mail_server("{name}", config=SETTINGS)
    assert server.connect().send_mail(rcpt_to=["nobody@example.com", "bob@example.com"]).code == 250
    assert server.queued[0].recipients == ["bob@example.com"]


def test_{function}_follows_its_file(mail_server: StartServer) -> None:
    server = mail_server("{name}", config=SETTINGS)
    server.configure({{"{ini}": "users=eve\\n"}})
    verdict = server.run("rcpt", make_connection(), make_address("eve@example.com"), {{}})
    assert (verdict.code, verdict.message) == (DENY, "no such user")


def test_{function}_loads_with_the_file_of_this_server(mail_server: StartServer) -> None:
    server = mail_server("{name}", config={{INI.name: INI.read_text(encoding="utf-8")}})
    assert server.connect().banner.code == 220
'''
