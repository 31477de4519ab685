"""Which mail a route of outbound_routes.ini is for: patterns of domains and of senders."""

from __future__ import annotations

from mta.config.smarthost import is_host_name

NULL_SENDER = "<>"
ANY = "*"


def parse_domains(text: str) -> tuple[str, ...]:
    """Read `example.com, *.example.org` or `*`, in lower case. Raises ValueError naming the item that is neither."""
    return tuple(_domain(item) for item in text.replace(",", " ").split())


def parse_senders(text: str) -> tuple[str, ...]:
    """The same with addresses, `joe@example.com`, and the null sender, `<>`."""
    return tuple(_sender(item) for item in text.replace(",", " ").split())


def _sender(item: str) -> str:
    if item == NULL_SENDER:
        return item
    local, at, domain = item.rpartition("@")
    if at and (not local or domain.startswith(ANY)):
        raise ValueError(f"{item!r} is not an address")
    return f"{local.lower()}@{_domain(domain, item)}" if at else _domain(item)


def _domain(text: str, item: str = "") -> str:
    name = text.lower().removesuffix(".")
    bare = name.removeprefix("*.")
    if name != ANY and not is_host_name(_ascii(bare)):
        raise ValueError(f"{item or text!r} is not a domain")
    return name


def _ascii(domain: str) -> str:
    """Names outside ASCII are looked up in another form, so nothing is said about their letters here."""
    return "".join(letter if letter.isascii() else "x" for letter in domain)
