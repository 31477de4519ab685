"""Where the shipped configuration, plugins and documentation lie: in the checkout, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "shipped"
_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent

ETC = _ROOT / "etc"
PLUGINS = _ROOT / "plugins"
DOCS = _ROOT / "docs"
