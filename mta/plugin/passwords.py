"""Compare a password with what a file stores of it. Hashes take tens of milliseconds on purpose: see Plugin.offload."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable
from importlib.util import find_spec

from mta.config.passwords import ARGON2, BCRYPT, PLAIN, SCRAM, SHA_CRYPT, StoredPassword
from mta.plugin.scram import ScramCredentials, make_credentials

# Scheme to (module, package): extras of this distribution, needed by those who use them.
_NEEDS = {
    ARGON2: ("argon2", "argon2-cffi"),
    BCRYPT: ("bcrypt", "bcrypt"),
    SHA_CRYPT: ("passlib", "libpass"),
    SCRAM: ("scramp", "scramp"),
}
BCRYPT_OCTETS = 72  # what bcrypt hashes; programs that made the hash have cut the rest off


def missing_packages(schemes: Iterable[str]) -> list[str]:
    """The packages to install before passwords of these schemes can be checked."""
    needed = [_NEEDS[scheme] for scheme in sorted(set(schemes)) if scheme in _NEEDS]
    return [package for module, package in needed if find_spec(module) is None]


def verify_password(stored: StoredPassword, password: str) -> bool:
    """True when this is the password; computes for long unless `stored.is_plain`.

    How long it takes does not depend on how much of the password is right.
    """
    return _VERIFIERS[stored.scheme](stored.text, password)


def stored_credentials(stored: StoredPassword) -> ScramCredentials:
    """What `SCRAM-SHA-256$iterations:salt$stored:server` says."""
    _, count_and_salt, keys = stored.text.split("$")
    count, salt = count_and_salt.split(":")
    stored_key, server_key = map(base64.b64decode, keys.split(":"))
    return ScramCredentials(base64.b64decode(salt), int(count), stored_key, server_key)


def _verify_plain(text: str, password: str) -> bool:
    return hmac.compare_digest(text.encode(), password.encode())


def _verify_argon2(text: str, password: str) -> bool:
    from argon2 import PasswordHasher, exceptions

    try:
        return PasswordHasher().verify(text, password)
    except (exceptions.VerificationError, exceptions.InvalidHashError):
        return False


def _verify_bcrypt(text: str, password: str) -> bool:
    import bcrypt

    return bcrypt.checkpw(password.encode()[:BCRYPT_OCTETS], text.encode())


def _verify_sha_crypt(text: str, password: str) -> bool:
    from passlib.hash import sha256_crypt, sha512_crypt

    handler = sha512_crypt if text.startswith("$6$") else sha256_crypt
    return bool(handler.verify(password, text))


def _verify_scram(text: str, password: str) -> bool:
    known = stored_credentials(StoredPassword(SCRAM, text))
    made = make_credentials(password, known.salt, known.iterations)
    return hmac.compare_digest(made.stored_key, known.stored_key)


_VERIFIERS: dict[str, Callable[[str, str], bool]] = {
    PLAIN: _verify_plain,
    ARGON2: _verify_argon2,
    BCRYPT: _verify_bcrypt,
    SHA_CRYPT: _verify_sha_crypt,
    SCRAM: _verify_scram,
}
