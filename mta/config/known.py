"""What Haraka knows and this release does not honour yet: said plainly, instead of `unknown key`."""

from __future__ import annotations

_NOT_NEEDED = "not honoured; minVersion and ciphers say what is spoken"
_SERVER_ONLY = "not honoured: who opens a connection does not decide this"
_NO_OCSP = "not honoured: authorities have given up OCSP"
_MOVED = "not read here; Haraka 3.1 moved it to connection.ini"
_IN_MEMORY = "not honoured: what is counted is kept in memory, by each worker"
_OTHER_FILE = "not honoured; write rate and concurrency in outbound_limits.ini"
_NO_REJECT = "not honoured: what this check finds is noted only"
_GONE = "Haraka 3 dropped this setting; it has no effect"


# By file, then (section, key); the key * stands for every key of that section.
NOT_YET: dict[str, dict[tuple[str, str], str]] = {
    "smtp.ini": {("main", key): _MOVED for key in ("smtputf8", "strict_rfc1869", "spool_dir", "spool_after")}
    | {("headers", "*"): _MOVED},
    "tls.ini": {("main", key): _NOT_NEEDED for key in ("secureProtocol", "secureOptions", "ecdhCurve")}
    | {("main", key): _NO_OCSP for key in ("requestOCSP", "enableOCSPStapling")}
    | {("outbound", key): _SERVER_ONLY for key in ("dhparam", "requestCert", "honorCipherOrder")},
    "outbound.ini": {
        ("main", key): _GONE for key in ("pool_timeout", "pool_concurrency_max", "ipv6_enabled")
    },
    "limit.ini": {
        ("redis", "*"): _IN_MEMORY,
        ("outbound", "*"): _OTHER_FILE,
        ("rate_outbound", "*"): _OTHER_FILE,
    },
    "headers.ini": {
        ("reject", key): _NO_REJECT for key in ("user_agent", "direct_to_mx", "from_match", "mailing_list")
    }
    | {("phish_domains", "*"): "not honoured; write NAME=DOMAIN in [phish_targets]"},
}

# Files of Haraka's core in an install directory. Files of plugins are their plugin's affair.
_FILES = ("internalcmd_key", "results.ini", "net-utils.ini")
# Files of Haraka before 3.1 that said yes or no where there is a number in connection.ini today; see old_files for the rest.
_MOVED_FILES = {
    "banner_includes_uuid": "[uuid] banner_chars",
    "deny_includes_uuid": "[uuid] deny_chars",
}

FILES_NOT_YET: dict[str, str] = {
    **dict.fromkeys(_FILES, "a Haraka file that this release does not read yet"),
    "data.headers.ini": "not read: the plugin data.headers is called headers today, and its file headers.ini",
    **{name: f"not read; write {key} in connection.ini" for name, key in _MOVED_FILES.items()},
}
