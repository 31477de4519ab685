"""What a plugin may import: everything here, and nothing from deeper inside the package."""

from mta.config import Config, DirFile
from mta.config.passwords import StoredPassword
from mta.config.rate import Rate, parse_rate
from mta.config.routes import Route
from mta.config.schema import (
    ANTI_SPOOF,
    AuthFlatFileSettings,
    RelayDestDomainsSettings,
    RelaySettings,
    TlsSettings,
)
from mta.connection import ClientGone, Connection, Endpoint, Hello, Proxy, Tls, TlsSession, new_uuid
from mta.counts import Counts
from mta.logger import Logger, Record
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
from mta.plugin.hooks import Params, Plugin
from mta.plugin.inherit import plugin_class
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.plugin.passwords import missing_packages, stored_credentials, verify_password
from mta.plugin.queued import HMail, Todo
from mta.plugin.rate_limit import RateLimit
from mta.plugin.scram import ScramCredentials, invented_salt, make_credentials, scram_available
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
from mta.results import Results
from mta.smtp.address import NULL, Address, AddressError
from mta.smtp.dsn import DSN
from mta.smtp.parameters import decode_xtext
from mta.smtp.reply import Reply
from mta.transaction import Transaction

__all__ = [
    "ANTI_SPOOF",
    "CONT",
    "DELAY",
    "DENY",
    "DENYDISCONNECT",
    "DENYSOFT",
    "DENYSOFTDISCONNECT",
    "DISCONNECT",
    "DSN",
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
    "Counts",
    "Deferral",
    "Denial",
    "DirFile",
    "Endpoint",
    "Failure",
    "HMail",
    "Header",
    "Hello",
    "HostHealth",
    "Http",
    "Logger",
    "Mailbox",
    "MalformedReply",
    "MessageStream",
    "NextHop",
    "NextHopError",
    "NoTlsHosts",
    "Notes",
    "Params",
    "Plugin",
    "PluginError",
    "Proxy",
    "Rate",
    "RateLimit",
    "Receipt",
    "Record",
    "Rejected",
    "RelayDestDomainsSettings",
    "RelaySettings",
    "Reply",
    "Results",
    "Route",
    "ScramCredentials",
    "Server",
    "SmtpClient",
    "StoredPassword",
    "Timeouts",
    "Tls",
    "TlsFailed",
    "TlsSession",
    "TlsSettings",
    "Todo",
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
    "plugin_class",
    "read_pool",
    "scram_available",
    "stored_credentials",
    "taking_turns",
    "verify_password",
]
