"""The checks that a start goes through and `haraka check` tells about, one mistake at a time."""

from __future__ import annotations

import json
import os
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from mta.check.findings import Severity
from mta.check.installation import check_installation
from mta.net.endpoint import Endpoint
from mta.net.occupant import kin, occupants
from mta.processes.errors import StartError
from mta.worker import Worker
from tests.support.install import eventually
from tests.support.needs import program
from tests.support.ports import free_port

GOOD = {
    "smtp.ini": "listen=127.0.0.1:0\n",
    "plugins": "relay\nrcpt_to.in_host_list\n",
    "me": "mx.example.test\n",
    "log.ini": "level=warn\n",
}
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An installation without a mistake."""
    for folder in ("config", "plugins", "queue"):
        (tmp_path / folder).mkdir()
    (tmp_path / "queue").chmod(0o750)
    for name, text in GOOD.items():
        (tmp_path / "config" / name).write_text(text)
    return tmp_path


def write(house: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = house / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)


def found(house: Path) -> list[str]:
    """What the check says, without the directory."""
    return [str(finding).replace(f"{house}/", "") for finding in check_installation(house)]


def start(house: Path) -> str | None:
    """Start a server: the line it gives up with, None when it started (and was stopped again)."""
    null = os.open(os.devnull, os.O_WRONLY)
    worker = Worker(house, null)
    try:
        worker.start()
    except StartError as error:
        return str(error).replace(f"{house}/", "")
    else:
        worker.stop()
        return None
    finally:
        os.close(null)


def test_nothing_is_wrong_with_a_good_installation(house: Path) -> None:
    assert found(house) == []
    assert start(house) is None


# -- errors: a check tells them, and no server starts with them

FORWARD = {"plugins": "queue/smtp_forward\n"}

ERRORS: list[tuple[dict[str, str], str]] = [
    ({"smtp.ini": "listen=127.0.0.1:0\ninactivity_timeout=soon\n"}, "config/smtp.ini:2: error: [main] inactivity_timeout: 'soon' is not a whole number"),
    ({"smtp.ini": "listen=127.0.0.1:99999\n"}, "config/smtp.ini:1: error: [main] listen: port out of range"),
    ({"smtp.ini": "\nlisten=mail.example.com:x\n"}, "config/smtp.ini:2: error: [main] listen: not an address"),
    ({"smtp.ini": "listen=127.0.0.1:2599, [::0]:2599\n"}, "config/smtp.ini:1: error: [main] listen: 127.0.0.1:2599 and [::0]:2599 cannot both be listened on"),
    ({"smtp.ini": "listen_host=::1:\nport=2599\n"}, "config/smtp.ini:2: error: [main] port: not an address"),
    ({"smtp.ini": "listen=127.0.0.1:0\nno setting\n"}, "config/smtp.ini:2: error: invalid line"),
    ({"connection.ini": "[max]\nbytes=many\n"}, "config/connection.ini:2: error: [max] bytes: 'many' is not a whole number"),
    ({"connection.ini": "bare_newline=ignore\n"}, "config/connection.ini:1: error: [main] bare_newline: 'ignore' is not one of them"),
    ({"connection.ini": "spool_after=0\nspool_dir=/no/such/place\n"}, "config/connection.ini:2: error: [main] spool_dir: /no/such/place is not a directory"),
    ({"log.ini": "level=loud\n"}, "config/log.ini:1: error: [main] level: 'loud' is not a log level"),
    ({"log.ini": "[events]\nfile=no/such/place/events\n"}, "config/log.ini:2: error: [events] file: no/such/place is not a directory"),
    ({"log.ini": "[events]\nfile=config\n"}, "config/log.ini:2: error: [events] file: config is a directory"),
    ({"plugin_timeout": "soon\n"}, "config/plugin_timeout:1: error: 'soon' is not a number of seconds"),
    ({"host_list.anti_spoof": "; ours\nmaybe\n"}, "config/host_list.anti_spoof:2: error: 'maybe' is neither true nor false"),
    ({"relay_acl_allow": "10.0.0.0/8\n10.0.0.0/99\n"}, "config/relay_acl_allow:2: error: '10.0.0.0/99' is neither an address nor a network"),
    ({"host_list_regex": "a\n(b\n"}, "config/host_list_regex:2: error: '(b' is not a regular expression"),
    ({"relay.ini": "[relay]\nall=perhaps\n"}, "config/relay.ini:2: error: [relay] all: 'perhaps' is neither true nor false"),
    ({"plugins": "relay\nnosuch\n"}, "config/plugins:2: error: Loading plugin nosuch failed: No plugin with this name found"),
    ({**FORWARD, "smtp_forward.ini": "connect_timeout=0\n"}, "config/smtp_forward.ini:1: error: [main] connect_timeout: 0 is out of range"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_pass=x\n"}, "config/outbound.ini:3: error: [smarthost] has a password but no auth_user"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\n"}, "config/outbound.ini:3: error: [smarthost] has auth_user but no auth_pass"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass_file=pw\n"}, "config/outbound.ini:4: error: [smarthost] auth_pass_file: pw holds no password"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass_env=NO_SUCH_VARIABLE\n"}, "config/outbound.ini:4: error: [smarthost] auth_pass_env: NO_SUCH_VARIABLE holds no password"),
    ({"outbound.ini": "[smarthost]\nhost=a.test, joe:hunter2@b.test\n"}, "config/outbound.ini:2: error: [smarthost] host: ***@b.test: user and password are written as auth_user"),
    ({"outbound.ini": "pool=p\n"}, "config/outbound.ini:1: error: [main] pool: there is no [p] in outbound_pools.ini"),
    ({"outbound_pools.ini": "[p]\nsource[]=127.0.0.1 0\n"}, "config/outbound_pools.ini:2: error: [p]: has no source with a weight"),
    ({"outbound_routes.ini": "[r]\nmx=true\n"}, "config/outbound_routes.ini:2: error: [r]: needs recipients or senders"),
    ({"outbound_routes.ini": "[r]\nrecipients=*\nhost=a b:c\n"}, "config/outbound_routes.ini:3: error: [r] host: b:c is not a host name"),
    ({"outbound_routes.ini": "[r]\nrecipients=*\nhost=a\npool=p\n"}, "config/outbound_routes.ini:2: error: [r]: pool: there is no [p] in outbound_pools.ini"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\noauth_token_url=https://x.test/\n"}, "config/outbound.ini:3: error: [smarthost] has oauth_token_url but no auth_user"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\noauth_token_url=http://x.test/\n"}, "config/outbound.ini:3: error: [smarthost] OAuth: a token endpoint is reached by https"),
    ({"outbound.ini": "[smarthost]\nhost=a b:c\n"}, "config/outbound.ini:2: error: [smarthost] host: b:c is not a host name"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "line"), ERRORS, ids=[line for _, line in ERRORS])
def test_an_error_is_told_with_its_place_and_keeps_a_server_from_starting(
    house: Path, files: dict[str, str], line: str
) -> None:
    write(house, files)
    errors = [text for text in found(house) if ": error: " in text]
    assert any(text.startswith(line) for text in errors), errors
    said = start(house)
    assert said is not None and "\n" not in said


def test_the_start_says_the_first_error_and_how_many_there_are(house: Path) -> None:
    write(house, {"smtp.ini": "listen=127.0.0.1:0\nport=x\ninactivity_timeout=y\n"})
    said = start(house)
    assert said is not None and said.startswith("config/smtp.ini:2: [main] port: 'x' is not a whole number")
    assert said.endswith(f"(and 1 more, see haraka check -c {house})")


def test_a_password_in_a_file_is_used(house: Path) -> None:
    write(
        house,
        {"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass_file=pw\n", "pw": "sesame\n"},
    )
    assert found(house) == []
    assert start(house) is None


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o640, True), (0o644, False), (0o660, False)])
def test_who_may_read_a_password_file(house: Path, mode: int, good: bool) -> None:
    write(
        house,
        {"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass_file=pw\n", "pw": "sesame\n"},
    )
    (house / "config" / "pw").chmod(mode)
    line = (
        f"config/pw: error: holds a password and is open to other users (mode {mode:04o}): chmod 600 or 640"
    )
    assert found(house) == ([] if good else [line])
    assert (start(house) is None) is good


def test_who_may_read_the_passwords_of_routes(house: Path) -> None:
    route = "[r]\nrecipients=*\nhost=127.0.0.1\nauth_user=x\n"
    write(house, {"outbound_routes.ini": f"{route}auth_pass=hunter2\n"})
    (house / "config" / "outbound_routes.ini").chmod(0o644)
    assert found(house) == [
        "config/outbound_routes.ini: warning: holds secrets and is open to other users (mode 0644): chmod 600 or 640"
    ]
    write(house, {"outbound_routes.ini": f"{route}auth_pass_file=pw\n", "pw": "sesame\n"})
    assert found(house) == []
    (house / "config" / "pw").chmod(0o644)
    assert found(house)[0].startswith("config/pw: error: holds a password and is open to other users")


def test_a_refresh_token_that_others_may_read(house: Path) -> None:
    token = house / "config" / "refresh"
    section = f"[smarthost]\nhost=a.test\nauth_user=x\noauth_token_url=https://x.test/\noauth_client_id=me\noauth_refresh_token_file={token}\n"
    write(house, {"outbound.ini": section, "refresh": "r\n"})
    token.chmod(0o600)
    assert found(house) == []
    token.chmod(0o644)
    assert found(house) == [
        "config/refresh: error: holds a password and is open to other users (mode 0644): chmod 600 or 640"
    ]


@pytest.mark.parametrize(
    ("content", "doubt"),
    [
        (None, "can not be read: No such file or directory"),
        ("\n", "holds no token: its first line is empty or too long"),
    ],
)
def test_a_refresh_token_that_is_not_there(house: Path, content: str | None, doubt: str) -> None:
    token = house / "config" / "refresh"
    section = f"[smarthost]\nhost=a.test\nauth_user=x\noauth_token_url=https://x.test/\noauth_client_id=me\noauth_refresh_token_file={token}\n"
    write(house, {"outbound.ini": section})
    if content is not None:
        write(house, {"refresh": content})
        token.chmod(0o600)
    (line,) = found(house)
    assert line.startswith("config/outbound.ini:6: ") and line.endswith(
        f"[smarthost] oauth_refresh_token_file: config/refresh {doubt}"
    )
    assert ": error: " not in line and start(house) is None


def test_a_running_server_keeps_what_it_had_when_a_value_becomes_wrong(house: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    fd = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
    write(house, {"connection.ini": "[max]\nbytes=1000\n"})
    worker = Worker(house, fd)
    worker.start()
    try:
        write(house, {"connection.ini": "[max]\nbytes=many\n", "relay_acl_allow": "everybody\n"})
        assert eventually(lambda: "connection.ini:2: [max] bytes: 'many'" in log.read_text())
        assert eventually(lambda: "relay_acl_allow:1: 'everybody'" in log.read_text())
        assert all(line.startswith("[ERROR] [-] [config] ") for line in log.read_text().splitlines())
        with smtplib.SMTP("127.0.0.1", worker.addresses[0][1]) as smtp:
            assert b"SIZE 1000" in smtp.ehlo("client.test")[1]
    finally:
        worker.stop()
        os.close(fd)


# -- warnings: a server starts with them

WARNINGS: list[tuple[dict[str, str], str]] = [
    ({"smtp.ini": "listen=127.0.0.1:0\nlissten=25\n"}, "config/smtp.ini:2: warning: [main] lissten: unknown key, did you mean listen?"),
    ({"smtp.ini": "listen=127.0.0.1:0\nsmtps_port=4650\n"}, "config/smtp.ini:2: warning: [main] smtps_port: no address of listen has this port"),
    ({"me": "; our name\nthe best server\n"}, "config/me:2: warning: 'the best server' is not a host name"),
    ({"databytes": "1000\n"}, "config/databytes: warning: an old file, whose place is taken by [max] bytes in connection.ini"),
    ({"outbound.ini": "pool_timeout=5\n"}, "config/outbound.ini:1: warning: [main] pool_timeout: Haraka 3 dropped this setting"),
    ({"smtp_forward.ini": "port=many\n"}, "config/smtp_forward.ini:1: warning: [main] port: 'many' is not a whole number (no plugin in use reads this file)"),
    ({"plugins": "rcpt_to.in_host_list\n", "relay_acl_allow": "everybody\n"}, "config/relay_acl_allow:1: warning: 'everybody' is neither an address nor a network (no plugin in use reads this file)"),
    ({"plugins": "relay\n\nrelay\n"}, "config/plugins:3: warning: relay is listed twice"),
    ({"plugins": "relay_acl\n"}, "config/plugins:1: warning: relay_acl has been replaced by 'relay'"),
    ({"smtp.ini": "listen=127.0.0.1:0\nignore_bad_plugins=true\n", "plugins": "nosuch\n"}, "config/plugins:1: warning: Loading plugin nosuch failed"),
    ({"relay_acl_alow": "::1\n"}, "config/relay_acl_alow: warning: nothing reads a file of this name, did you mean relay_acl_allow?"),
    ({"outbound.ini": "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass=y\ntls=off\n"}, "config/outbound.ini:3: warning: [smarthost] auth_user: the password crosses the network in the clear"),
    ({"outbound_pools.ini": "[p]\nsource[]=127.0.0.1\nsource[]=192.0.2.77\n"}, "config/outbound_pools.ini:2: warning: [p]: this machine has no address 192.0.2.77 to send from"),
    ({"outbound_routes.ini": "[r]\nrecipients=*\nhost=127.0.0.1\nbind=192.0.2.77\n"}, "config/outbound_routes.ini:2: warning: [r]: this machine has no address 192.0.2.77"),
    ({"outbound_routes.ini": "[r]\nsenders=<>\nhost=a.test\ntls=off\nauth_user=x\nauth_pass=hunter2\n"}, "config/outbound_routes.ini:2: warning: [r]: the password crosses the network in the clear"),
    ({"relay_dest_domains.ini": '[domains]\na.test={"nexthop":"a:b:c"}\n'}, "config/plugins:1: warning: plugin relay: relay_dest_domains.ini: a.test: "),
]  # fmt: skip


@pytest.mark.parametrize(("files", "line"), WARNINGS, ids=[line for _, line in WARNINGS])
def test_a_warning_is_told_with_its_place_and_a_server_starts(
    house: Path, files: dict[str, str], line: str
) -> None:
    write(house, files)
    findings = check_installation(house)
    assert [finding.severity for finding in findings] == [Severity.WARNING], found(house)
    assert found(house)[0].startswith(line)
    assert start(house) is None


@pytest.mark.parametrize(
    "name", ["plugins.bak", "smtp.ini~", "smtp.ini.dpkg-old", ".smtp.ini.swp", "greylist.ini", "lmtp.ini"]
)
def test_a_copy_of_a_file_is_no_slip_of_the_pen(house: Path, name: str) -> None:
    write(house, {name: "x\n"})
    assert found(house) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("outbound.ini", "[smarthost]\nhost=a.test\nauth_user=x\nauth_pass=y\n"),
        ("internalcmd_key", "abc\n"),
        ("keys/mx.pem", KEY),
        ("auth_flat_file.ini", "[users]\nbob=$6$salt$" + "x" * 86 + "\n"),
    ],
)
def test_secrets_that_others_may_read(house: Path, name: str, text: str) -> None:
    write(house, {name: text})
    assert not [line for line in found(house) if "open to other users" in line]
    (house / "config" / name).chmod(0o644)
    line = f"config/{name}: warning: holds secrets and is open to other users (mode 0644): chmod 600 or 640"
    assert line in found(house)


# -- certificates


def certify(house: Path, *names: str, days: tuple[int, int] = (-1, 90), folder: str = "config") -> None:
    """Put a key and its certificate where tls.ini expects them; `days` from now, first and last."""
    now = datetime.now(UTC)
    first, last = (now + timedelta(days=day) for day in days)
    made = trustme.CA().issue_cert(*names, not_before=first, not_after=last)
    (house / folder).mkdir(exist_ok=True)
    key = house / folder / "tls_key.pem"
    key.write_bytes(made.private_key_pem.bytes())
    key.chmod(0o640)
    (house / folder / "tls_cert.pem").write_bytes(made.cert_chain_pems[0].bytes())


def without_tls(house: Path) -> None:
    """The plugin is listed, and there is no certificate."""


def expired(house: Path) -> None:
    certify(house, "mx.example.test", days=(-90, -2))


def too_early(house: Path) -> None:
    certify(house, "mx.example.test", days=(2, 90))


def of_another_key(house: Path) -> None:
    certify(house, "mx.example.test")
    certificate = (house / "config" / "tls_cert.pem").read_bytes()
    certify(house, "mx.example.test")
    (house / "config" / "tls_cert.pem").write_bytes(certificate)


def missing_file(house: Path) -> None:
    certify(house, "mx.example.test")
    write(house, {"tls.ini": "key=tls_key.pem, other.pem\n"})


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (without_tls, "config/tls.ini: error: there is no usable certificate"),
        (expired, "config/tls_cert.pem: error: the certificate for mx.example.test expired on "),
        (too_early, "config/tls_cert.pem: error: the certificate is not valid before "),
        (of_another_key, "config/tls_key.pem: error: there is no certificate for the private key"),
        (missing_file, "config/tls.ini:1: error: [main] key: there is no file other.pem"),
    ],
)
def test_certificates_where_tls_is_wanted(house: Path, spoil: Callable[[Path], None], line: str) -> None:
    write(house, {"plugins": "tls\n"})
    spoil(house)
    lines = found(house)
    assert any(text.startswith(line) for text in lines), lines
    assert start(house) is None  # mail without encryption is better than none
    write(house, {"plugins": "relay\n"})
    assert not [text for text in found(house) if ": error: " in text]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("ca=missing.pem", "config/tls.ini:2: error: [outbound] ca: there is no file missing.pem: no certificate proves anything until it is there, and mail that needs proof waits; put the PEM file there, or leave `ca` empty for the system's authorities"),
        ("key=own.pem", "config/tls.ini:2: error: [outbound] key: there is no key and certificate in own.pem, tls_cert.pem"),
        ("ciphers=NONE-SUCH", "config/tls.ini:2: error: [outbound] ciphers: no cipher match"),
    ],
)  # fmt: skip
def test_what_we_show_and_believe_when_we_open_a_connection(house: Path, setting: str, line: str) -> None:
    write(house, {"tls.ini": f"[outbound]\n{setting}\n"})
    assert found(house) == [line]
    assert start(house) is None


@pytest.mark.parametrize(
    ("ini", "line"),
    [
        ("ca=missing.pem\n", "config/tls.ini:1: error: [main] ca: there is no file missing.pem: no client is authorised"),
        ("[mutual_auth_hosts]\na.test=\nmx.test=c.test\n", "config/tls.ini:3: error: [mutual_auth_hosts] mx.test: there is no key and certificate for c.test in "),
    ],
)  # fmt: skip
def test_what_is_an_error_in_any_case(house: Path, ini: str, line: str) -> None:
    certify(house, "mx.example.test")
    write(house, {"tls.ini": ini})
    (said,) = found(house)
    assert said.startswith(line)
    assert start(house) is None


def test_a_port_for_tls_wants_a_certificate(house: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    write(house, {"smtp.ini": f"listen=127.0.0.1:{port}\nsmtps_port={port}\n"})
    assert found(house)[0].startswith("config/tls.ini: error: there is no usable certificate")
    certify(house, "mx.example.test")
    assert found(house) == []


@pytest.mark.parametrize(
    ("names", "days", "line"),
    [
        (("mx.example.test",), (-1, 90), ""),
        (("*.example.test",), (-1, 90), ""),
        (("mx.example.test",), (-80, 5), "config/tls_cert.pem: warning: the certificate expires on "),
        (("other.test",), (-1, 90), "config/tls_cert.pem: warning: the certificate is for other.test, and this server is called mx.example.test"),
    ],
)  # fmt: skip
def test_a_certificate_that_is_used_but_not_for_long_or_not_for_us(
    house: Path, names: tuple[str, ...], days: tuple[int, int], line: str
) -> None:
    write(house, {"plugins": "tls\n"})
    certify(house, *names, days=days)
    lines = found(house)
    assert len(lines) == bool(line) and all(text.startswith(line) for text in lines), lines


# -- plugins

BROKEN = {
    "syntax.py": ("def oops(:\n", "plugins/syntax.py:1: "),
    "imports.py": ("\nimport no_such_module\n", "plugins/imports.py:2: ModuleNotFoundError"),
    "misspelt.py": ("from mta.plugin import Plugin\nclass P(Plugin):\n    def hook_recpt(self, c): ...\n", "plugins/misspelt.py:3: there is no hook hook_recpt"),
    "refuses.py": ("from mta.plugin import Plugin\nclass P(Plugin):\n    def register(self):\n        raise OSError('no db')\n", "plugins/refuses.py:4: OSError: no db"),
}  # fmt: skip


def test_every_plugin_that_does_not_load_is_named(house: Path) -> None:
    for name, (source, _) in BROKEN.items():
        (house / "plugins" / name).write_text(source)
    write(house, {"plugins": "".join(f"{name.removesuffix('.py')}\n" for name in BROKEN)})
    lines = found(house)
    assert len(lines) == len(BROKEN)
    for number, ((name, (_, said)), line) in enumerate(zip(BROKEN.items(), lines, strict=True), 1):
        plugin = name.removesuffix(".py")
        assert line.startswith(f"config/plugins:{number}: error: Loading plugin {plugin} failed: {said}")


def test_plugins_are_let_go_again(house: Path) -> None:
    (house / "plugins" / "opens.py").write_text(
        "from pathlib import Path\nfrom mta.plugin import Plugin\n\n\nclass Opens(Plugin):\n"
        "    def register(self):\n        self.logwarn('a word')\n\n"
        f"    def shutdown(self):\n        Path({str(house / 'gone')!r}).touch()\n"
    )
    write(house, {"plugins": "opens\n"})
    assert found(house) == ["config/plugins:1: warning: plugin opens: a word"]
    assert (house / "gone").exists()


def test_loggers_that_see_everything_say_nothing(house: Path) -> None:
    write(house, {"plugins": "logging/file\nlogging/syslog\nlogging/adaptive\nrelay\n"})
    write(house, {"logging_file.ini": f"path=| touch {house}/started; cat\nloglevel=data\n"})
    assert found(house) == []
    assert not (house / "started").exists()


# -- ports and the queue directory


@pytest.mark.parametrize("file", ["smtp.ini", "http.ini"])
def test_a_port_that_somebody_else_has(house: Path, file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write(house, {file: f"listen=127.0.0.1:{port}\n"})
        assert found(house) == [
            f"config/{file}:1: error: [main] listen: cannot listen on 127.0.0.1:{port}: "
            f"another process listens there already (process {os.getpid()})"
        ]


def test_a_port_for_mail_and_pages(house: Path) -> None:
    write(house, {"smtp.ini": "listen=127.0.0.1:2525\n", "http.ini": "listen=2525\n"})
    assert found(house)[0] == (
        "config/http.ini:1: error: [main] listen: 127.0.0.1:2525 and [::0]:2525 cannot both be listened on, "
        "one includes the other"
    )


def test_a_unix_socket_that_somebody_else_has(house: Path) -> None:
    path = house / "mail.sock"
    write(house, {"smtp.ini": f"listen={path}\n"})
    assert found(house) == []
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert f"(process {os.getpid()})" in found(house)[0]
    assert found(house) == []  # a stale socket file is removed by the start
    path.unlink()
    path.write_text("")
    assert "a file that is not a socket is in the way" in found(house)[0]


def test_the_running_server_of_the_same_installation_is_no_problem(house: Path) -> None:
    port = free_port()
    write(house, {"smtp.ini": f"listen=127.0.0.1:{port}\n"})
    null = os.open(os.devnull, os.O_WRONLY)
    worker = Worker(house, null)
    worker.start()
    try:
        findings = check_installation(house)
    finally:
        worker.stop()
        os.close(null)
    assert {finding.severity for finding in findings} == {Severity.NOTE}
    pid = os.getpid()
    assert [finding.problem.message for finding in findings] == [
        f"127.0.0.1:{port} is in use by the running server of this installation (process {pid})",
        f"the server of this installation is running (process {pid})",
    ]


def test_the_check_leaves_no_trace(house: Path) -> None:
    (house / "queue").rmdir()
    before = sorted(house.rglob("*"))
    assert found(house) == []
    assert sorted(house.rglob("*")) == before


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda queue: queue.write_text(""), "queue: error: queue directory is not a directory"),
        (lambda queue: queue.mkdir(mode=0o755), "queue: warning: queue directory other users may look into it (mode 0755)"),
        (lambda queue: (queue.parent / "config" / "queue_dir").write_text("no/such"), "no/such: error: queue directory does not exist and cannot be made"),
    ],
)  # fmt: skip
def test_the_queue_directory(house: Path, spoil: Callable[[Path], object], line: str) -> None:
    (house / "queue").rmdir()
    spoil(house / "queue")
    lines = found(house)
    assert len(lines) == 1 and lines[0].startswith(line), lines


AS_NOBODY = """
import json, sys
from pathlib import Path
from mta.check.installation import check_installation
print(json.dumps([str(finding) for finding in check_installation(Path(sys.argv[1]))]))
"""


def test_what_another_user_may_not_do(house: Path) -> None:
    """Run without the rights of root: a directory and a file that are not ours to use."""
    (house / "config" / "me").chmod(0)
    (house / "queue").chmod(0o500)
    rights = "-dac_override,-dac_read_search"
    setpriv = [program("setpriv", "util-linux"), f"--inh-caps={rights}", f"--bounding-set={rights}"]
    as_root = os.geteuid() == 0
    command = [*(setpriv if as_root else ()), sys.executable, "-c", AS_NOBODY, str(house)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    lines = [line.replace(f"{house}/", "") for line in json.loads(result.stdout)]
    assert "config/me: error: cannot be read: Permission denied" in lines
    assert any(line.startswith("queue: error: queue directory is not writable for user ") for line in lines)


# -- the small pieces


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("127.0.0.1:25", "127.0.0.1:25", True),
        ("127.0.0.1:25", "127.0.0.1:26", False),
        ("127.0.0.1:25", "127.0.0.2:25", False),
        ("0.0.0.0:25", "127.0.0.2:25", True),
        ("0.0.0.0:25", "[::1]:25", False),
        ("25", "127.0.0.1:25", True),
        ("[::0]:25", "[::1]:25", True),
        ("[::1]:25", "[0:0::1]:25", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("/run/a.sock", "/run/a.sock:660", True),
        ("/run/a.sock", "25", False),
    ],
)
def test_addresses_that_exclude_each_other(one: str, other: str, overlap: bool) -> None:
    first, second = Endpoint.parse(one), Endpoint.parse(other)
    assert first.overlaps(second) is second.overlaps(first) is overlap


def test_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = Endpoint.parse(f"127.0.0.1:{server.getsockname()[1]}")
        assert occupants(endpoint) == {os.getpid()}
    assert occupants(endpoint) == set()


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "[::1]", False),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "[::0]", True),
        ("127.0.0.1", "localhost", True),
        ("0.0.0.0", "127.0.0.2", True),
        ("::1", "[::1]", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_who_listens_at_an_address(there: str, asked: str, found: bool) -> None:
    """Another process may have the same port at another address, and is not in the way."""
    family = socket.AF_INET6 if ":" in there else socket.AF_INET
    with socket.create_server((there, 0), family=family) as server:
        endpoint = Endpoint.parse(f"{asked}:{server.getsockname()[1]}")
        assert (os.getpid() in occupants(endpoint)) is found


def test_a_child_with_the_socket_of_its_parent_is_not_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = Endpoint.parse(f"127.0.0.1:{server.getsockname()[1]}")
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[server.fileno()])
        try:
            assert occupants(endpoint) == {os.getpid()}
            server.close()
            assert occupants(endpoint) == {child.pid}
        finally:
            child.communicate()


def test_kin() -> None:
    me, parent = os.getpid(), os.getppid()
    assert kin(me, me) and kin(me, parent) and kin(parent, me)
    assert not kin(me, 2**22 + 1)
