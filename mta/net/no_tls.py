"""Peers whose TLS fails in the handshake: where TLS is optional, it is not tried with them again for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mta.config.schema import TlsRedisSettings

if TYPE_CHECKING:
    from mta.logger import Logger

SECONDS = 3600.0
MAX_HOSTS = 10_000
REDIS_TIMEOUT = 2.0
REDIS_PAUSE = 60.0  # without asking again after a failure


class NoTlsHosts:
    """Remembers hosts, or with `inbound` the addresses of clients, for an hour, and in Redis, as Haraka does, for as long as tls.ini [redis] says.

    A Redis that can not be reached is one line in the log, and nothing else. Change `settings` at any time.
    """

    def __init__(
        self, logger: Logger | None, settings: TlsRedisSettings | None = None, *, inbound: bool = False
    ) -> None:
        self._logger = logger
        self._until: OrderedDict[str, float] = OrderedDict()
        self._settings = settings or TlsRedisSettings()
        self._inbound = inbound
        self._redis: Any = None
        self._resting_until = 0.0
        self._silent = False

    @property
    def settings(self) -> TlsRedisSettings:
        """tls.ini [redis]."""
        return self._settings

    @settings.setter
    def settings(self, settings: TlsRedisSettings) -> None:
        if settings != self._settings:
            self._settings, self._redis, self._resting_until = settings, None, 0.0

    def __contains__(self, host: str) -> bool:
        until = self._until.get(host)
        if until is not None and time.monotonic() < until:
            return True
        return self._settings.disable_for_failed_hosts and self._ask("exists", _key(host)) == 1

    def add(self, host: str) -> None:
        """Remember a host whose handshake has failed."""
        expiry = self._settings.disable_inbound_expiry if self._inbound else self._settings.disable_expiry
        self._until[host] = time.monotonic() + min(SECONDS, expiry)
        self._until.move_to_end(host)
        if len(self._until) > MAX_HOSTS:
            self._until.popitem(last=False)
        if self._settings.disable_for_failed_hosts:
            now = datetime.now(UTC).isoformat()
            self._ask("set", _key(host), now, ex=expiry)

    def _ask(self, command: str, *arguments: object, **options: object) -> object:
        """Redis' answer, None when there is none."""
        if time.monotonic() < self._resting_until:
            return None
        try:
            if self._redis is None:
                self._redis = _connected(self._settings)
            answer: object = getattr(self._redis, command)(*arguments, **options)
        except Exception as error:  # whatever is wrong with Redis must not keep mail
            self._complain(error)
            return None
        self._silent = False
        return answer

    def _complain(self, error: Exception) -> None:
        self._redis = None
        self._resting_until = time.monotonic() + REDIS_PAUSE
        if not self._silent and self._logger is not None:
            self._silent = True
            text = f"tls.ini [redis]: {' '.join(str(error).split()) or type(error).__name__}; going on without Redis"
            self._logger.warn(text, origin="tls")


def _key(host: str) -> str:
    return f"no_tls|{host}"


def _connected(settings: TlsRedisSettings) -> Any:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise RuntimeError("the package redis is not installed (pip install haraka-mta[redis])") from None
    return redis.Redis(
        host=settings.host,
        port=settings.port,
        db=settings.db,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),  # mail waits meanwhile
    )
