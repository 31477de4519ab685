"""What a plugin may import: everything here, and nothing from deeper inside the package."""

from mta.config import Config, DirFile
from mta.config.log_kinds import FACILITIES
from mta.config.passwords import StoredPassword
from mta.config.rate import Rate, parse_rate
from mta.config.routes import Route
from mta.config.schema import (
    ANTI_SPOOF,
    BLOCK_ME_RECIPIENT,
    AuthFlatFileSettings,
    ConnectionPoolSettings,
    DelayDenySettings,
    EarlyTalkerSettings,
    HeadersSettings,
    LimitPluginSettings,
    LoggingAdaptiveSettings,
    LoggingApacheSettings,
    LoggingConnectionIdSettings,
    LoggingFileSettings,
    LoggingJournaldSettings,
    LoggingTransactionIdSettings,
    LoggingWarnSettings,
    ProfileSettings,
    RecordEnvelopeAddressesSettings,
    RelayDestDomainsSettings,
    RelaySettings,
    StatusSettings,
    SyslogSettings,
    TarpitSettings,
    TlsSettings,
    TooBusySettings,
)
from mta.connection import ClientGone, Connection, Endpoint, Hello, Proxy, Tls, TlsSession, new_uuid
from mta.counts import Counts
from mta.log_files import LogFiles
from mta.log_format import record_line, record_text
from mta.log_writer import LogWriter
from mta.logger import LEVEL_NAMES, LEVELS, Logger, Record
from mta.message.addresses import Mailbox
from mta.message.body import Body
from mta.message.header import Header
from mta.message.mime import TooManyParts
from mta.message.stream import MessageStream
from mta.net.hop_list import read_pool, taking_turns
from mta.net.host_health import HostHealth, is_our_own
from mta.net.ip import ip_in_list, is_ip, is_local, is_private, parse_network
from mta.net.next_hop import NextHop, NextHopError
from mta.net.no_tls import NoTlsHosts
from mta.net.smtp_client import (
    BrokenConversation,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    MalformedReply,
    Rejected,
    SmtpClient,
    Timeouts,
    TlsFailed,
)
from mta.notes import Notes
from mta.plugin.auth import AuthPlugin
from mta.plugin.denial import Denial
from mta.plugin.domains import domain_key, organizational_domain
from mta.plugin.endpoints import endpoint
from mta.plugin.errors import PluginError
from mta.plugin.forwarder import Forwarder
from mta.plugin.hooks import HOOKS, Params, Plugin
from mta.plugin.host_list import HostList
from mta.plugin.inherit import plugin_class
from mta.plugin.log_plugin import LogPlugin, StandardErrorPlugin, passes
from mta.plugin.log_sender import LogSender
from mta.plugin.outbound_queue import OutboundQueue, QueueError
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.plugin.passwords import missing_packages, stored_credentials, verify_password
from mta.plugin.program import (
    Finished,
    OutputTooLarge,
    ProgramError,
    ProgramNotStarted,
    ProgramTimeout,
)
from mta.plugin.queued import HMail, Todo
from mta.plugin.rate_limit import RateLimit
from mta.plugin.scram import ScramCredentials, invented_salt, make_credentials, scram_available
from mta.plugin.secret import Secret
from mta.plugin.server import Http, Server
from mta.plugin.verdict import (
    CONT,
    DELAY,
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    DISCONNECT,
    NEXT_HOOK,
    OK,
    STOP,
    Answer,
    Code,
)
from mta.process_title import Title, TitleBar
from mta.results import Results
from mta.smtp.address import NULL, Address, AddressError
from mta.smtp.dsn import DSN
from mta.smtp.parameters import decode_xtext
from mta.smtp.reply import Reply
from mta.transaction import Transaction

__all__ = [
    "ANTI_SPOOF",
    "BLOCK_ME_RECIPIENT",
    "CONT",
    "DELAY",
    "DENY",
    "DENYDISCONNECT",
    "DENYSOFT",
    "DENYSOFTDISCONNECT",
    "DISCONNECT",
    "DSN",
    "FACILITIES",
    "HOOKS",
    "LEVELS",
    "LEVEL_NAMES",
    "NEXT_HOOK",
    "NULL",
    "OK",
    "STOP",
    "Address",
    "AddressError",
    "Answer",
    "AuthFlatFileSettings",
    "AuthPlugin",
    "Body",
    "BrokenConversation",
    "ClientError",
    "ClientGone",
    "Code",
    "Config",
    "ConnectFailed",
    "Connection",
    "ConnectionLost",
    "ConnectionPoolSettings",
    "Counts",
    "Deferral",
    "DelayDenySettings",
    "Denial",
    "DirFile",
    "EarlyTalkerSettings",
    "Endpoint",
    "Failure",
    "Finished",
    "Forwarder",
    "HMail",
    "Header",
    "HeadersSettings",
    "Hello",
    "HostHealth",
    "HostList",
    "Http",
    "LimitPluginSettings",
    "LogFiles",
    "LogPlugin",
    "LogSender",
    "LogWriter",
    "Logger",
    "LoggingAdaptiveSettings",
    "LoggingApacheSettings",
    "LoggingConnectionIdSettings",
    "LoggingFileSettings",
    "LoggingJournaldSettings",
    "LoggingTransactionIdSettings",
    "LoggingWarnSettings",
    "Mailbox",
    "MalformedReply",
    "MessageStream",
    "NextHop",
    "NextHopError",
    "NoTlsHosts",
    "Notes",
    "OutboundQueue",
    "OutputTooLarge",
    "Params",
    "Plugin",
    "PluginError",
    "ProfileSettings",
    "ProgramError",
    "ProgramNotStarted",
    "ProgramTimeout",
    "Proxy",
    "QueueError",
    "Rate",
    "RateLimit",
    "Receipt",
    "Record",
    "RecordEnvelopeAddressesSettings",
    "Rejected",
    "RelayDestDomainsSettings",
    "RelaySettings",
    "Reply",
    "Results",
    "Route",
    "ScramCredentials",
    "Secret",
    "Server",
    "SmtpClient",
    "StandardErrorPlugin",
    "StatusSettings",
    "StoredPassword",
    "SyslogSettings",
    "TarpitSettings",
    "Timeouts",
    "Title",
    "TitleBar",
    "Tls",
    "TlsFailed",
    "TlsSession",
    "TlsSettings",
    "Todo",
    "TooBusySettings",
    "TooManyParts",
    "Transaction",
    "decode_xtext",
    "domain_key",
    "endpoint",
    "invented_salt",
    "ip_in_list",
    "is_ip",
    "is_local",
    "is_our_own",
    "is_private",
    "make_credentials",
    "missing_packages",
    "new_uuid",
    "organizational_domain",
    "parse_network",
    "parse_rate",
    "passes",
    "plugin_class",
    "read_pool",
    "record_line",
    "record_text",
    "scram_available",
    "stored_credentials",
    "taking_turns",
    "verify_password",
]
