"""`haraka tls self-signed` makes a pair that the server uses and a client can verify."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mta.cli import main
from tests.support.command import haraka
from tests.support.service import Inbound
from tests.support.tls import Site, TlsClient, trusting

KEY, CERTIFICATE = "tls_key.pem", "tls_cert.pem"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def greeted(inbound: Inbound, site: Site, name: str) -> str:
    context = trusting()
    context.load_verify_locations(site.install.path(CERTIFICATE))
    context.verify_mode = 2
    context.check_hostname = True
    with inbound:
        return TlsClient(inbound.port, context, name).banner


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["mail.example.com"], "mail.example.com"),
        (["mail.example.com", "*.example.org"], "www.example.org"),
        (["bücher.example"], "xn--bcher-kva.example"),
        (["x" * 60 + ".a-rather-long-domain-name.example"], "x" * 60 + ".a-rather-long-domain-name.example"),
    ],
)
def test_the_server_uses_it_and_a_client_believes_it(site: Site, hosts: list[str], name: str) -> None:
    arguments = [part for host in hosts for part in ("--host", host)]
    assert main(["tls", "self-signed", "-c", str(site.directory), *arguments]) == 0
    assert greeted(site.inbound(smtps=True, plugin=False), site, name).startswith("220 ")


def test_without_a_host_it_is_for_me(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.write("me", "mx.example.net\n")
    assert main(["tls", "self-signed", "-c", str(site.directory)]) == 0
    assert "are for mx.example.net and last 3650 days." in capsys.readouterr().out
    assert stat.S_IMODE(site.install.path(KEY).stat().st_mode) == 0o600
    assert greeted(site.inbound(smtps=True, plugin=False), site, "mx.example.net").startswith("220 ")


def test_without_an_installation_it_goes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tls", "self-signed", "--host", "a.test"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERTIFICATE, KEY]


def test_what_is_there_stays_unless_forced(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tls", "self-signed", "-c", str(site.directory), "--host", "a.test"]
    key = site.write(KEY, "precious")
    key.chmod(0o644)
    assert main(command) == 1
    assert "tls_key.pem is there already; -f replaces it" in capsys.readouterr().err
    assert key.read_text() == "precious" and not site.install.path(CERTIFICATE).exists()
    assert main([*command, "-f"]) == 0
    assert "PRIVATE KEY" in key.read_text() and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in key.parent.iterdir()) == [CERTIFICATE, KEY]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "haraka tls knows one command"),
        (["signed"], "haraka tls knows one command"),
        (["self-signed", "--hots", "x"], "unrecognized arguments"),
        (["self-signed", "-c", "/no/such/place"], "/no/such/place is not a directory"),
        (["self-signed", "--host", "not a name"], "'not a name' is not a host name"),
        (["self-signed", "--host", ""], "'' is not a host name"),
        (["self-signed", "--host", "a..b"], "'a..b' is not a host name"),
    ],
)
def test_usage_errors(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tls", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_as_an_operator_runs_it(site: Site) -> None:
    done = haraka("tls", "self-signed", "-c", str(site.directory), "--host", "a.test")
    assert (done.returncode, done.stderr) == (0, "")
