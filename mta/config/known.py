"""What Haraka knows and this release does not honour yet: said plainly, instead of `unknown key`."""

from __future__ import annotations

_LATER = "a Haraka setting that this release does not honour yet"
_NOT_NEEDED = "not honoured; minVersion and ciphers say what is spoken"
_SERVER_ONLY = "not honoured: who opens a connection does not decide this"
_NO_OCSP = "not honoured: authorities have given up OCSP"
_MOVED = "not read here; Haraka 3.1 moved it to connection.ini"
_GONE = "Haraka 3 dropped this setting; it has no effect"


def _later(section: str, *keys: str) -> dict[tuple[str, str], str]:
    return {(section, key): _LATER for key in keys}


# By file, then (section, key); the key * stands for every key of that section.
NOT_YET: dict[str, dict[tuple[str, str], str]] = {
    "smtp.ini": _later("main", "user", "group", "daemonize", "daemon_log_file", "daemon_pid_file")
    | {("main", key): _MOVED for key in ("smtputf8", "strict_rfc1869", "spool_dir", "spool_after")}
    | {("headers", "*"): _MOVED},
    "tls.ini": {("main", key): _NOT_NEEDED for key in ("secureProtocol", "secureOptions", "ecdhCurve")}
    | {("main", key): _NO_OCSP for key in ("requestOCSP", "enableOCSPStapling")}
    | {("outbound", key): _SERVER_ONLY for key in ("dhparam", "requestCert", "honorCipherOrder")},
    "outbound.ini": {
        ("main", key): _GONE for key in ("pool_timeout", "pool_concurrency_max", "ipv6_enabled")
    },
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
    **{name: f"not read; write {key} in connection.ini" for name, key in _MOVED_FILES.items()},
}
