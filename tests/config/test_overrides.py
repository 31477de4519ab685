"""smtp.yaml, smtp.json and smtp.toml as the whole configuration."""

from __future__ import annotations

import json

import pytest

from mta.config.schema import ME, ConnectionSettings, OutboundSettings, RelaySettings
from tests.support.install import Install

YAML = """\
"!outbound.ini":
  main:
    concurrency_max: 5
    enable_tls: off
  smarthost:
    host: [a:587, "b"]
    tls: off
    auth_pass: 0123
"!plugins":
  - relay
  - queue/test
"!me": mail.example.com
"!relay_acl_allow": ["10.0.0.0/8"]
"!x.json": {a: [1]}
"!connection.ini":
  message:
    greeting: [one, 2]
"""

TOML = """\
"!me" = "mail.example.com"
"!plugins" = ["relay", "queue/test"]
"!relay_acl_allow" = ["10.0.0.0/8"]

["!outbound.ini".main]
concurrency_max = 5
enable_tls = false

["!outbound.ini".smarthost]
host = ["a:587", "b"]
tls = "off"
auth_pass = "0123"

["!x.json"]
a = [1]

["!connection.ini".message]
greeting = ["one", "2"]
"""

JSON = json.dumps(
    {
        "!outbound.ini": {
            "main": {"concurrency_max": 5, "enable_tls": False},
            "smarthost": {"host": ["a:587", "b"], "tls": "off", "auth_pass": "0123"},
        },
        "!plugins": ["relay", "queue/test"],
        "!me": "mail.example.com",
        "!relay_acl_allow": ["10.0.0.0/8"],
        "!x.json": {"a": [1]},
        "!connection.ini": {"message": {"greeting": ["one", 2]}},
    },
    indent="\t",
)


@pytest.mark.parametrize(("name", "text"), [("smtp.yaml", YAML), ("smtp.toml", TOML), ("smtp.json", JSON)])
def test_one_file_says_it_all(install: Install, name: str, text: str) -> None:
    install.write(name, text)
    config = install.config
    outbound = config.settings(OutboundSettings)
    assert (outbound.concurrency_max, outbound.enable_tls, outbound.connect_timeout) == (5, False, 30)
    assert (outbound.smarthost.host, outbound.smarthost.tls) == (("a:587", "b:25"), "off")
    assert outbound.smarthost.auth_pass == "0123"
    assert config.get("plugins", "list") == ["relay", "queue/test"]
    assert (config.get("me"), config.value(ME)) == ("mail.example.com", "mail.example.com")
    assert config.get("relay_acl_allow", "list") == ["10.0.0.0/8"]
    assert config.get("x.json") == {"a": [1]}
    assert config.settings(ConnectionSettings).greeting == ("one", "2")
    assert config.settings(RelaySettings) == RelaySettings()
    main = config.get("outbound.ini", booleans=["main.enable_tls"])["main"]
    assert (main["concurrency_max"], main["enable_tls"], main["always_split"]) == (5, False, "false")
    assert install.problems == []


def test_the_file_that_is_replaced_is_not_read(install: Install) -> None:
    install.write("outbound.ini", "concurrency_max=7\nconnect_timeout=7")
    install.write("smtp.yaml", '"!outbound.ini": {main: {concurrency_max: 5}}')
    settings = install.config.settings(OutboundSettings)
    assert (settings.concurrency_max, settings.connect_timeout) == (5, 30)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("smtp.yaml", '"!outbound.ini":\n  main:\n    always_split: true\n    concurrency_max: many\n', 4),
        (
            "smtp.json",
            '{\n\t"!outbound.ini": {\n\t\t"main": {\n\t\t\t"concurrency_max": "many"\n\t\t}\n\t}\n}',
            4,
        ),
        ("smtp.toml", '["!outbound.ini"]\nmain.always_split = true\nmain.concurrency_max = "many"\n', 3),
        ("smtp.toml", '["!outbound.ini".main]\n# many\nconcurrency_max = "many" # x\n', 3),
    ],
)
def test_mistakes_are_found_by_line(install: Install, name: str, text: str, line: int) -> None:
    install.write(name, text)
    assert install.config.settings(OutboundSettings).concurrency_max == 100
    assert install.problems == [
        f"{name}:{line}: [main] concurrency_max: 'many' is not a whole number; allowed: a whole number from 1 up"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("main: {listen: 25}", 'smtp.yaml:1: main: ignored; allowed: names with a "!", such as "!smtp.ini"'),
        ('\n"!smtp.ini": 5', "smtp.yaml:2: !smtp.ini: wrong shape, ignored; allowed: sections with keys"),
        ('"!me": {a: 1}', "smtp.yaml:1: !me: wrong shape, ignored; allowed: a value or a list"),
        ("[1]", 'smtp.yaml: not a set of keys; allowed: "!smtp.ini" and other names'),
        ("a: [", "smtp.yaml:1: not valid YAML: "),
        (
            '"!smtp.ini": {main: {smtputf8: no}}',
            "smtp.yaml:1: [main] smtputf8: not read here; Haraka 3.1 moved it",
        ),
    ],
)
def test_what_makes_no_sense_is_said(install: Install, text: str, problem: str) -> None:
    from mta.config.schema import SmtpSettings

    install.write("smtp.yaml", text)
    assert install.config.settings(SmtpSettings) == SmtpSettings()
    assert len(install.problems) == 1
    assert install.problems[0].startswith(problem)


def test_a_problem_is_one_line_whatever_the_key_is(install: Install) -> None:
    install.write("smtp.json", '{"!smtp.ini": {"main": {"a\\nb\\u001b": 1}}}')
    install.config.get("smtp.ini")
    assert len(install.problems) == 1
    assert install.problems[0].startswith("smtp.json:1: [main] a\\nb\\x1b: unknown key; allowed: ")


def test_a_second_file_of_the_kind_is_not_read_and_said_so(install: Install) -> None:
    install.write("smtp.json", '{"!me": "json.example"}')
    install.write("smtp.yaml", '"!me": yaml.example')
    assert install.config.get("me") == "json.example"
    assert install.problems == ["smtp.yaml: not read, because there is a smtp.json"]


def test_a_reader_of_another_shape_gets_the_file(install: Install) -> None:
    install.write("smtp.yaml", '"!a.ini": {main: {x: 1}}\n"!b": [one, two]\n"!c.yaml": {x: 1}\n')
    install.write("a.ini", "x=2")
    assert install.config.get("a.ini", "data") == ["x=2"]
    assert install.config.get("b", "ini") == {"main": {}}
    assert install.config.get("b", "data") == ["one", "two"]
    assert (install.config.get("b"), install.config.get("b", "binary")) == ("one", b"one\ntwo")
    assert install.config.get("c.yaml", "list") == []
    assert install.config.get("c.yaml", "json") == {"x": 1}


def test_an_empty_list_means_none_of_the_shipped_entries(install: Install) -> None:
    install.write("smtp.yaml", '"!plugins": []')
    assert install.config.get("plugins", "list") == []


def test_a_null_leaves_the_default(install: Install) -> None:
    install.write("smtp.yaml", '"!outbound.ini": {main: {concurrency_max: ~}}')
    assert install.config.settings(OutboundSettings) == OutboundSettings()
    assert install.problems == []


def test_a_broken_override_keeps_what_it_said(install: Install) -> None:
    install.write("smtp.yaml", '"!me": one.example')
    assert install.config.get("me") == "one.example"
    install.write("smtp.yaml", '"!me": [')
    assert install.config.get("me") == "one.example"
    assert len(install.problems) == 1
    install.path("smtp.yaml").unlink()
    assert install.config.get("me") != "one.example"
