"""Mail that tells its number, and whose recipients follow from it."""

from __future__ import annotations

END = b"that is all\r\n"
SIZES = (0, 500, 1000, 1000, 3000, 20_000, 200_000)


def recipients(number: int) -> list[str]:
    """Who gets a message: one domain or two; some say later at first, some never take mail."""
    second = [f"later{number}@two.test", f"no{number}@one.test", f"yes{number}@two.test"][number % 3]
    return [f"yes{number}@one.test", second] if number % 2 else [f"yes{number}@one.test"]


def sender(number: int) -> str:
    return f"sender{number}@senders.test"


def message(number: int) -> bytes:
    filling = b"x" * 70 + b"\r\n"
    body = filling * (SIZES[number % len(SIZES)] // len(filling))
    return b"X-Number: %d\r\nSubject: load\r\n\r\n" % number + body + END
