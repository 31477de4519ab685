"""Every setting and its default, written once: one field is one line of an ini file.

The files in etc/ and the tables in docs/CoreConfig.md say the same; a test holds the three together.
"""

from __future__ import annotations

from mta.config.schema.connection import ConnectionSettings, ExtensionSettings
from mta.config.schema.files import (
    ANTI_SPOOF,
    BLOCK_ME_RECIPIENT,
    LISTS,
    LOG_TIMESTAMPS,
    LOGLEVEL,
    ME,
    PLUGIN_TIMEOUT,
    QUEUE_DIR,
    VALUES,
)
from mta.config.schema.outbound import (
    ConnectionPoolSettings,
    LimitSettings,
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    ReportSettings,
    SecuritySettings,
    SmarthostSettings,
    TimeoutSettings,
    TlsReportSettings,
)
from mta.config.schema.plugins import (
    AuthFlatFileSettings,
    RelayDestDomainsSettings,
    RelaySettings,
    SmtpForwardSettings,
)
from mta.config.schema.policies import (
    DelayDenySettings,
    EarlyTalkerSettings,
    ProfileSettings,
    RecordEnvelopeAddressesSettings,
    StatusSettings,
    TarpitSettings,
    TooBusySettings,
)
from mta.config.schema.server import HttpSettings, LogSettings, SmtpSettings
from mta.config.schema.tls import OutboundTlsSettings, TlsRedisSettings, TlsSettings
from mta.config.spec import Settings

__all__ = [
    "ANTI_SPOOF",
    "BLOCK_ME_RECIPIENT",
    "LISTS",
    "LOGLEVEL",
    "LOG_TIMESTAMPS",
    "ME",
    "PLUGIN_TIMEOUT",
    "QUEUE_DIR",
    "SETTINGS",
    "VALUES",
    "AuthFlatFileSettings",
    "ConnectionPoolSettings",
    "ConnectionSettings",
    "DelayDenySettings",
    "EarlyTalkerSettings",
    "ExtensionSettings",
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "OutboundPoolSettings",
    "OutboundRouteSettings",
    "OutboundSettings",
    "OutboundTlsSettings",
    "ProfileSettings",
    "RecordEnvelopeAddressesSettings",
    "RelayDestDomainsSettings",
    "RelaySettings",
    "ReportSettings",
    "SecuritySettings",
    "SmarthostSettings",
    "SmtpForwardSettings",
    "SmtpSettings",
    "StatusSettings",
    "TarpitSettings",
    "TimeoutSettings",
    "TlsRedisSettings",
    "TlsReportSettings",
    "TlsSettings",
    "TooBusySettings",
]

SETTINGS: tuple[type[Settings], ...] = (
    SmtpSettings,
    ConnectionSettings,
    TlsSettings,
    OutboundSettings,
    OutboundRouteSettings,
    OutboundPoolSettings,
    LimitSettings,
    LogSettings,
    HttpSettings,
    RelaySettings,
    RelayDestDomainsSettings,
    SmtpForwardSettings,
    AuthFlatFileSettings,
    DelayDenySettings,
    TarpitSettings,
    EarlyTalkerSettings,
    TooBusySettings,
    RecordEnvelopeAddressesSettings,
    StatusSettings,
    ProfileSettings,
)
