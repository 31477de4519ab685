"""AUTH for the users in auth_flat_file.ini."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from mta.plugin import (
    Address,
    Answer,
    AuthFlatFileSettings,
    AuthPlugin,
    Connection,
    Params,
    PluginError,
    ScramCredentials,
    StoredPassword,
    invented_salt,
    make_credentials,
    missing_packages,
    scram_available,
    stored_credentials,
    verify_password,
)


class FlatFile(AuthPlugin):
    """Passwords of users, most of them hashed; the file is followed while the server runs."""

    cfg: AuthFlatFileSettings = AuthFlatFileSettings()
    offer: tuple[str, ...] = ()

    def register(self) -> None:
        cfg = self.config.settings(AuthFlatFileSettings, on_change=self.change)
        if lacking := self.lacking(cfg):
            raise PluginError(lacking)
        self.load(cfg)

    def change(self, cfg: AuthFlatFileSettings) -> None:
        if lacking := self.lacking(cfg):
            self.logerror(f"{lacking}; the users stay as they were")
        else:
            self.load(cfg)

    def lacking(self, cfg: AuthFlatFileSettings) -> str:
        missing = missing_packages(stored.scheme for stored in cfg.users.values())
        return f"passwords in {cfg.FILE} need pip install {' '.join(missing)}" if missing else ""

    def load(self, cfg: AuthFlatFileSettings) -> None:
        self.cfg = cfg
        self.offer = tuple(name for name in cfg.methods if self.usable(name))
        self.warn_of_plain()

    def usable(self, name: str) -> bool:
        """CRAM-MD5 needs the password itself, SCRAM that or its own keys: no other hash can be turned into them."""
        users = self.cfg.users.values()
        if name == "CRAM-MD5":
            return any(stored.is_plain for stored in users)
        if not name.startswith("SCRAM-"):
            return bool(users)
        if not scram_available():
            self.lognotice(f"{name} is not offered: it needs pip install scramp")
            return False
        return any(stored.is_plain or stored.is_scram for stored in users)

    def warn_of_plain(self) -> None:
        """Say once where passwords can be read by whoever can read the file."""
        plain = {stored.text for stored in self.cfg.users.values() if stored.is_plain}
        places = [
            f"{entry.file}:{entry.line}"
            for spec, entry in self.config.written(AuthFlatFileSettings)
            if spec.section == "users" and str(entry.text).removeprefix("{PLAIN}") in plain
        ]
        if places:
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            self.logwarn(
                f"{places[0]}{more}: password in plain text, write its hash (haraka -h auth/flat_file)"
            )

    # ---- what AuthPlugin asks

    def methods(self, connection: Connection) -> Sequence[str]:
        return self.offer

    def may_authenticate(self, connection: Connection) -> bool:
        allowed = {"private": connection.remote.is_private, "local": connection.remote.is_local}
        return connection.tls.enabled or allowed.get(self.cfg.without_tls, False)

    def check_password(self, connection: Connection, user: str, password: str) -> bool:
        stored = self.cfg.users.get(user)
        compared = stored or self.decoy(user)
        if compared.is_plain:
            same = verify_password(compared, password)
        else:
            same = self.offload(verify_password, compared, password)
        return stored is not None and same

    def password_of(self, connection: Connection, user: str) -> str | None:
        stored = self.cfg.users.get(user)
        return stored.text if stored is not None and stored.is_plain else None

    def scram_credentials(self, connection: Connection, user: str) -> ScramCredentials | None:
        stored = self.cfg.users.get(user)
        like = stored or self.decoy(user)
        if like.is_scram:
            found = stored_credentials(like)
        else:
            password = like.text if like.is_plain else secrets.token_hex()
            found = self.offload(make_credentials, password, invented_salt(self.secret, user))
        return found if stored is not None else self.invented(user, found)

    def decoy(self, user: str) -> StoredPassword:
        """Somebody's password, to spend as much time on a user that does not exist as on one that does."""
        passwords = list(self.cfg.users.values())
        return passwords[hash(user) % len(passwords)]

    def invented(self, user: str, like: ScramCredentials) -> ScramCredentials:
        """Keys that no password fits, under a salt and a count such as others have."""
        salt = invented_salt(self.secret, user, len(like.salt))
        return ScramCredentials(salt, like.iterations, secrets.token_bytes(32), secrets.token_bytes(32))

    # ---- the sender

    def hook_mail(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        if not self.cfg.constrain_sender:
            return None
        return self.constrain_sender(connection, mail_from, params)
