"""`haraka check -c DIR`: is this installation fit to be started?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mta.check.findings import Finding, Severity
from mta.check.installation import check_installation
from mta.cli.options import Options, Parser


def check(argv: list[str]) -> int:
    """Print what is wrong, one line each; 1 when there is an error, with --strict also when there is a warning."""
    parser = Parser("haraka check")
    parser.add_argument("-c", "--configs", type=Path)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    directory = Options("check", given.configs).installation
    findings = check_installation(directory)
    print(_as_json(directory, findings) if given.json else _as_text(directory, findings))
    return (
        1 if _count(findings, Severity.ERROR) or (given.strict and _count(findings, Severity.WARNING)) else 0
    )


def _as_text(directory: Path, findings: Sequence[Finding]) -> str:
    return "\n".join([*map(str, findings), f"{directory}: {_summary(findings)}"])


def _as_json(directory: Path, findings: Sequence[Finding]) -> str:
    report = {
        "installation": str(directory),
        "errors": _count(findings, Severity.ERROR),
        "warnings": _count(findings, Severity.WARNING),
        "findings": [finding.to_json() for finding in findings],
    }
    return json.dumps(report, indent=2)


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    wanted = (Severity.ERROR, Severity.WARNING)
    said = [_plural(counts[severity], severity) for severity in wanted if counts[severity]]
    return ", ".join(said) or "no problems found"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _count(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(finding.severity is severity for finding in findings)
