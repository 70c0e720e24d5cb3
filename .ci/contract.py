"""Asks the running service everything that docs/openapi.json allows, and much that it forbids (schemathesis): no answer may be
a 500, of a status, type or shape that the document does not name, or an acceptance of what it forbids. The seed is fixed."""

import os
import subprocess
import sys
import venv

from service import ROOT, demo

# The stream of events never ends; a token that is revoked may be the one in use.
LEFT_OUT = ["followEvents"]
HARMFUL_WITH_REAL_IDS = ["revokeToken", "changeAgent"]
SEED = os.environ.get("TRANSOM_CONTRACT_SEED", "4")
EXAMPLES = os.environ.get("TRANSOM_CONTRACT_EXAMPLES", "10")


def installed():
    """schemathesis in an environment of its own under target/."""
    folder = ROOT / "target/contract"
    wanted = (ROOT / ".ci/contract.txt").read_text()
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", ROOT / ".ci/contract.txt"], check=True)
        stamp.write_text(wanted)
    return folder / "bin/schemathesis"


def main():
    program = installed()
    failed = False
    for phases, left_out in [
        ("examples,coverage,fuzzing", LEFT_OUT),
        ("stateful", LEFT_OUT + HARMFUL_WITH_REAL_IDS),
    ]:
        with demo() as (base, token):
            command = [
                program, "--config-file", ROOT / ".ci/schemathesis.toml", "run", ROOT / "docs/openapi.json", "--url", f"{base}/v1",
                "--header", f"Authorization: Bearer {token}",
                "--phases", phases, "--seed", SEED, "--max-examples", EXAMPLES,
                "--continue-on-failure", "--request-timeout", "30", "--no-shrink", "--warnings", "off",
                "--suppress-health-check", "all", "--generation-database", "none",
            ]
            for operation in left_out:
                command += ["--exclude-operation-id", operation]
            failed |= subprocess.run(command + sys.argv[1:], cwd=ROOT / "target/contract").returncode != 0
    sys.exit(1 if failed else 0)


main()
