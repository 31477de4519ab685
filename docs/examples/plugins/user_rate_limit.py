"""Let each user who has logged in send to so many recipients in such a time."""

from mta.plugin import DENYSOFT, DSN, Address, Answer, Connection, Plugin, RateLimit


class UserRateLimit(Plugin):
    def register(self) -> None:
        cfg = self.config.get("user_rate_limit.ini")["main"]
        self.limit = RateLimit(cfg.get("rate", "100/1h"))

    def hook_rcpt_ok(self, connection: Connection, rcpt: Address) -> Answer:
        user = connection.notes.get("auth_user")
        if user is None or self.limit.take(user):
            return None
        self.lognotice("too many recipients", {"user": user}, connection)
        return DENYSOFT, DSN.sec_unauthorized(
            f"no more than {self.limit.rate} recipients, try again later", 450
        )
