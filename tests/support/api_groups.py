"""The chapters of docs/plugins/API.md, and what `mta.plugin` exports for each."""

from __future__ import annotations

# A name that is not exported is passed over, one that stands in no chapter gets into a last one.
GROUPS: dict[str, tuple[str, ...]] = {
    "The plugin": ("Plugin", "PluginError", "plugin_class", "AuthPlugin", "HOOKS"),
    "Answers": ("Answer", "Code", "DSN", "Reply", "Denial"),
    "The session": (
        *("Connection", "Endpoint", "Hello", "Tls", "TlsSession", "Proxy", "Counts", "ClientGone"),
        *("Params", "new_uuid", "endpoint"),
    ),
    "The mail": ("Transaction", "Address", "AddressError", "NULL", "decode_xtext"),
    "The message": ("Header", "Mailbox", "Body", "TooManyParts", "MessageStream"),
    "What plugins remember and find out": ("Notes", "Results"),
    "The server": (
        "Server",
        "Http",
        "OutboundQueue",
        "QueueError",
        "Secret",
        "Config",
        "DirFile",
        "Logger",
        "Record",
    ),
    "On the way out": ("HMail", "Todo", "Deferral", "Failure", "Receipt", "NextHop", "NextHopError"),
    "Programs": ("Finished", "ProgramError", "ProgramNotStarted", "ProgramTimeout", "OutputTooLarge"),
    "Logging": (
        *(
            "LogPlugin",
            "StandardErrorPlugin",
            "LogWriter",
            "LogFiles",
            "LogSender",
            "record_line",
            "record_text",
        ),
        *("passes", "LEVELS", "LEVEL_NAMES", "FACILITIES"),
    ),
    "Addresses and domains": (
        *("ip_in_list", "is_ip", "is_local", "is_our_own", "is_private", "parse_network"),
        *("domain_key", "organizational_domain", "HostList"),
    ),
    "Titles of processes": ("Title", "TitleBar"),
    "Rates": ("Rate", "parse_rate", "RateLimit"),
    "Sending to another server": (
        *("Forwarder", "ConnectionPoolSettings"),
        *("SmtpClient", "Timeouts", "ClientError", "ConnectFailed", "ConnectionLost", "BrokenConversation"),
        *("MalformedReply", "Rejected", "TlsFailed", "HostHealth", "read_pool", "taking_turns"),
    ),
    "Passwords": (
        *("StoredPassword", "verify_password", "missing_packages", "stored_credentials"),
        *("ScramCredentials", "make_credentials", "invented_salt", "scram_available"),
    ),
    "Settings of bundled plugins": (
        *("ANTI_SPOOF", "AuthFlatFileSettings", "RelayDestDomainsSettings", "RelaySettings", "Route"),
        *("TlsSettings", "NoTlsHosts"),
        *("DelayDenySettings", "EarlyTalkerSettings", "ProfileSettings", "StatusSettings", "TarpitSettings"),
        *("TooBusySettings", "RecordEnvelopeAddressesSettings", "BLOCK_ME_RECIPIENT"),
        *("HeadersSettings", "LimitPluginSettings"),
        *("LoggingAdaptiveSettings", "LoggingApacheSettings", "LoggingConnectionIdSettings"),
        *(
            "LoggingFileSettings",
            "LoggingJournaldSettings",
            "LoggingTransactionIdSettings",
            "LoggingWarnSettings",
        ),
        "SyslogSettings",
    ),
}

# Methods by which the server itself tells an object something.
WIRING = frozenset(
    {
        *(
            "Connection.on_client",
            *("Server.on_figures", "Server.reopen"),
            "Server.on_mail",
            "Plugin.registrations",
        ),
        *("Logger.configure", "Logger.plugins_ready", "Logger.render"),
        *("Config.for_plugin", "Config.survey", "Config.watch", "Config.catch_up", "Config.close"),
    }
)
