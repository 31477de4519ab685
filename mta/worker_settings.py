"""The settings of a worker, and who is told when they change while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.config.schema import (
    ConnectionSettings,
    LimitSettings,
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    SmtpSettings,
)
from mta.outbound.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mta.config import Config
    from mta.inbound.service import Service
    from mta.outbound.service import Outbound
    from mta.outbound.share import Share

BOUNCE_RULES = "outbound.bounce_rules"

Routes = list[tuple[str, OutboundRouteSettings]]
Pools = list[tuple[str, OutboundPoolSettings]]


class WorkerSettings:
    """Reads all there is to read; from follow() to leave() what changes is passed on. share: of common limits."""

    def __init__(self, config: Config, share: Share) -> None:
        self._share = share
        self._service: Service | None = None
        self._outbound: Outbound | None = None
        self.smtp = config.settings(SmtpSettings)
        self.connection = config.settings(ConnectionSettings, self._on_connection)
        self.outbound = config.settings(OutboundSettings, self._on_outbound)
        self._common_limits = config.settings(LimitSettings, self._on_common_limits)
        self._named_limits = config.named(LimitSettings, self._on_named_limits)
        self.bounce_rules: Sequence[str] = config.get(BOUNCE_RULES, "list", on_change=self._on_bounce_rules)
        self.routes: Routes = config.sections(OutboundRouteSettings, self._on_routes)
        self.pools: Pools = config.sections(OutboundPoolSettings, self._on_pools)

    @property
    def limits(self) -> Limits:
        """Our part of outbound_limits.ini."""
        return Limits(self._common_limits, self._named_limits, self._share)

    def follow(self, service: Service, outbound: Outbound) -> None:
        """Pass on what changes from now on."""
        self._service, self._outbound = service, outbound

    def leave(self) -> None:
        """Pass nothing on any more."""
        self._service = self._outbound = None

    def _on_connection(self, settings: ConnectionSettings) -> None:
        self.connection = settings
        if self._service:
            self._service.settings = settings

    def _on_outbound(self, settings: OutboundSettings) -> None:
        self.outbound = settings
        if self._outbound:
            self._outbound.configure(settings)

    def _on_common_limits(self, limits: LimitSettings) -> None:
        self._common_limits = limits
        self._on_limits()

    def _on_named_limits(self, limits: dict[str, LimitSettings]) -> None:
        self._named_limits = limits
        self._on_limits()

    def _on_limits(self) -> None:
        if self._outbound:
            self._outbound.limit(self.limits)

    def _on_bounce_rules(self, lines: list[str]) -> None:
        self.bounce_rules = lines
        if self._outbound:
            self._outbound.set_bounce_rules(lines)

    def _on_routes(self, routes: Routes) -> None:
        self.routes = routes
        if self._outbound:
            self._outbound.change_routes(routes)

    def _on_pools(self, pools: Pools) -> None:
        self.pools = pools
        if self._outbound:
            self._outbound.change_pools(pools)
