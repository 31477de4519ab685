"""Is this installation fit to be started? What start-up checks, and what `haraka check` finds out besides."""

from mta.check.findings import Finding, Findings, Severity
from mta.check.installation import check_installation
from mta.check.preflight import preflight

__all__ = ["Finding", "Findings", "Severity", "check_installation", "preflight"]
