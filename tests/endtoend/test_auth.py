"""A server process whose users log in: swaks sends through it, and the next hop sees who may not be impersonated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bcrypt

from tests.support import server
from tests.support.needs import program
from tests.support.sink import RecordingSink

USER, PASSWORD = "alice@example.test", "0123"


def test_a_user_with_a_hashed_password_sends_mail(tmp_path: Path) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    config = {
        "plugins": "auth/flat_file\n",
        "auth_flat_file.ini": f"[users]\n{USER}={stored}\n",
        "log.ini": "[main]\nlevel=protocol\n",
    }
    with RecordingSink() as sink, server.relay(tmp_path, sink.port, config) as relay:

        def swaks(sender: str, password: str) -> str:
            command = [
                program("swaks", "swaks"),
                "--server",
                f"127.0.0.1:{relay.port}",
                "--helo",
                "client.test",
            ]
            command += ["--from", sender, "--to", "bob@example.com", "--auth", "LOGIN"]
            command += ["--auth-user", USER, "--auth-password", password]
            return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

        assert "535 5.7.8 Authentication failed" in swaks(USER, "123")
        assert "Envelope domain 'example.org' doesn't match" in swaks("eve@example.org", PASSWORD)
        assert "235 2.7.0 Authentication successful" in swaks(USER, PASSWORD)
        [mail] = sink.wait_for(1)
        assert mail.mail_from == USER and b"(authenticated bits=0)" in mail.data
        assert (
            "authentication failed" in relay.log and "MDEyMw==" not in relay.log and "MTIz" not in relay.log
        )
