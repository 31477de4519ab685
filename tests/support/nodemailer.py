"""nodemailer from npm, the client of most programs written for node.

`python -m tests.support.nodemailer` installs it; nothing else of the suite touches the network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.haraka_js import WORK
from tests.support.needs import missing, program

VERSION = "10.6.0"
HOME = WORK / "nodemailer"
PACKAGE = {"private": True, "dependencies": {"nodemailer": VERSION}}

# Reads {transport, messages} as JSON, sends every message, prints what came of each; errors have code and response.
SCRIPT = """
const nodemailer = require('nodemailer')
const { transport, messages } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
async function main () {
  const transporter = nodemailer.createTransport(transport)
  const results = await Promise.all(messages.map(message => transporter.sendMail(message).then(
    info => ({ accepted: info.accepted, rejected: info.rejected, response: info.response }),
    error => ({ error: error.code, response: error.response || error.message }))))
  transporter.close()
  console.log(JSON.stringify(results))
}
main()
"""


def installed() -> bool:
    """Say whether the right version is there."""
    package = HOME / "node_modules" / "nodemailer" / "package.json"
    return package.is_file() and json.loads(package.read_text())["version"] == VERSION


def install() -> None:
    """Install nodemailer with npm, once. Raises subprocess.CalledProcessError, OSError."""
    if installed():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "package.json").write_text(json.dumps(PACKAGE, indent=2))
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(["npm", "install", *options], cwd=HOME, check=True)


def send(transport: Mapping[str, Any], *messages: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Send messages over one transport; what came of each. Ends the test where node or nodemailer is missing."""
    node = program("node", "nodejs")
    if not installed():
        missing("nodemailer from npm", "python -m tests.support.nodemailer installs it")
    order = json.dumps({"transport": transport, "messages": messages})
    done = subprocess.run(
        [node, "-e", SCRIPT], input=order, cwd=HOME, capture_output=True, text=True, timeout=40
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def main() -> int:
    """Install from the command line; exit status 2 when npm is missing."""
    if shutil.which("npm") is None:
        print("npm is not here: apt-get install npm", file=sys.stderr)
        return 2
    install()
    print(f"nodemailer {VERSION} is in {HOME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
