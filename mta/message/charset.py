"""Charsets: octets to text and back, by the names that mail uses.

Only names in a fixed table are looked up. Python keeps every unknown name it is asked for, for good, and knows codecs that
take quadratic time (punycode) or are no charsets at all: neither is for strangers to choose.
"""

from __future__ import annotations

import codecs
import re
import time
from encodings.aliases import aliases
from functools import lru_cache

# What is decoded in one go; other work of the process gets its turn in between.
BLOCK = 128 * 1024

# fmt: off
_NO_CHARSETS = frozenset((
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs", "oem", "tactis",
))
_UNALIASED = (
    "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "utf_8_sig",
    "mac_arabic", "mac_croatian", "mac_farsi", "mac_romanian",
)
# fmt: on

# What senders mean: names from the WHATWG Encoding Standard 4.2 that Python lacks, or takes too narrowly.
_MEANT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "gb_2312_80": "gb18030",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "windows_874": "cp874",
    "tis_620": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_1": "cp1252",
    "latin1": "cp1252",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "x_mac_roman": "mac_roman",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_cp1252": "cp1252",
}
_CODECS: dict[str, str] = {
    **{name: name for name in _UNALIASED},
    **{name: name for name in aliases.values() if name not in _NO_CHARSETS},
    **{alias: name for alias, name in aliases.items() if name not in _NO_CHARSETS},
    **_MEANT,
}
_MAX_NAME = 40
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=256)
def _codec(name: str) -> str | None:
    return _CODECS.get(_NOT_IN_NAMES.sub("_", name).strip("_"))


def codec_of(charset: str) -> str | None:
    """Python's name of a charset, in any case and with any punctuation; None when it is not known."""
    return _codec(charset.lower()) if 0 < len(charset) <= _MAX_NAME else None


def decode(octets: bytes, charset: str = "") -> tuple[str, str]:
    """Text, and the charset it was read in. Never raises; octets that make no sense become U+FFFD.

    Without a charset, or with ASCII, text is UTF-8, or windows-1252 if it cannot be UTF-8. An unknown charset X is read the
    same way, and reported as `broken//X`.
    """
    codec = codec_of(charset)
    if codec is None or codec == "ascii":
        text, found = _guessed(octets)
        if charset and codec is None:
            return text, f"broken//{charset[:_MAX_NAME]}"
        return text, charset.lower() if charset and octets.isascii() else found
    return _decoded(octets, codec, charset)


def _guessed(octets: bytes) -> tuple[str, str]:
    for codec, name in (("utf_8", "utf-8"), ("cp1252", "windows-1252")):
        try:
            return octets.decode(codec), name
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1"), "iso-8859-1"


def _decoded(octets: bytes, codec: str, charset: str) -> tuple[str, str]:
    """In blocks: replacing what is wrong may take a while for each octet."""
    try:
        if len(octets) <= BLOCK:
            return octets.decode(codec, "replace"), charset.lower()
        decoder = codecs.getincrementaldecoder(codec)("replace")
        parts = []
        for start in range(0, len(octets), BLOCK):
            parts.append(decoder.decode(octets[start : start + BLOCK]))
            time.sleep(0)
        return "".join([*parts, decoder.decode(b"", True)]), charset.lower()
    except (LookupError, ValueError):  # a codec that this Python is built without, or that gives up
        return _guessed(octets)[0], f"broken//{charset}"
