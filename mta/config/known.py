"""What Haraka knows and this release does not honour yet: said plainly, instead of `unknown key`."""

from __future__ import annotations

_LATER = "a Haraka setting that this release does not honour yet"
_GONE = "Haraka 3 dropped this setting; it has no effect"


def _later(section: str, *keys: str) -> dict[tuple[str, str], str]:
    return {(section, key): _LATER for key in keys}


# By file, then (section, key); the key * stands for every key of that section.
NOT_YET: dict[str, dict[tuple[str, str], str]] = {
    "smtp.ini": _later("main", "nodes", "user", "group", "daemonize", "daemon_log_file", "daemon_pid_file")
    | _later("main", "smtps_port", "public_ip"),
    "connection.ini": _later("haproxy", "*")
    | _later("headers", "clean_auth_results")
    | _later("max", "mime_parts", "data_line_length"),
    "outbound.ini": {
        ("main", key): _GONE for key in ("pool_timeout", "pool_concurrency_max", "ipv6_enabled")
    },
    "smtp_forward.ini": _later("main", "queue", "domain_selector", "one_message_per_rcpt", "check_sender")
    | _later(
        "main", "check_recipient", "idle_timeout", "forwarding_host_pool", "dead_forwarding_host_retry_secs"
    )
    | _later("main", "bind", "bind_helo", "using_lmtp"),
}

# The one value of a key above that asks for what this release does anyway: one process.
ALREADY_SO = {("smtp.ini", "main", "nodes"): "0"}

# Files of Haraka's core in an install directory. Files of plugins are their plugin's affair.
_FILES = ("tls.ini", "http.ini", "internalcmd_key", "results.ini", "net-utils.ini")
_TEMPLATES = ("outbound.bounce_message_html", "outbound.bounce_message_image")
_IN_OUTBOUND_INI = ("disabled", "enable_tls", "temp_fail_intervals", "maxTempFailures", "concurrency_max")

FILES_NOT_YET: dict[str, str] = {
    **dict.fromkeys(_FILES + _TEMPLATES, "a Haraka file that this release does not read yet"),
    **{f"outbound.{key}": f"not read; write {key} in outbound.ini" for key in _IN_OUTBOUND_INI},
    "outbound.received_header": "not read; write received_header in outbound.ini",
}
