"""Bundled plugins are ordinary users of the API: copied into an installation, under other names, they work as well."""

from __future__ import annotations

import base64
import smtplib
from pathlib import Path

import pytest

from mta.paths import PLUGINS
from tests.support.server import RELAY_CONFIG, Server
from tests.support.tls import Authority, trusting

PASSWORD = "correct horse"


@pytest.fixture
def server(tmp_path: Path):
    key, certificate = Authority().pair("localhost")
    config: dict[str, str | bytes] = {
        **RELAY_CONFIG,
        "plugins": "my_tls\nmy_auth\nmy_status\n",
        "tls_key.pem": key,
        "tls_cert.pem": certificate,
        "auth_flat_file.ini": f"[core]\nwithout_tls=never\n[users]\nbob={PASSWORD}\n",
    }
    plugins = {
        "my_tls.py": (PLUGINS / "tls.py").read_text(),
        "my_auth.py": (PLUGINS / "auth" / "flat_file.py").read_text(),
        "my_status.py": (PLUGINS / "status.py").read_text(),
    }
    with Server(tmp_path, config, plugins) as server:
        yield server


def test_starttls_and_auth_and_status(server: Server) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.has_extn("STARTTLS") and not client.has_extn("AUTH")
        assert client.starttls(context=trusting())[0] == 220
        client.ehlo()
        assert not client.has_extn("STARTTLS") and "PLAIN" in client.esmtp_features["auth"]
        plain = base64.b64encode(f"\0bob\0{PASSWORD}".encode()).decode()
        assert client.docmd("AUTH", f"PLAIN {plain}") == (235, b"2.7.0 Authentication successful")
        assert client.docmd("STATUS", "QUEUE STATS") == (211, b'"0/0/0"')
