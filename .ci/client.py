"""A client that a stock generator makes of docs/openapi.json compiles, and completes a session with the running service."""

import os
import shutil
import subprocess
import sys

from service import ROOT, demo

SOURCES = ROOT / ".ci/client"
FOLDER = ROOT / "target/client"


def run(*command, **more):
    subprocess.run(command, cwd=FOLDER, check=True, **more)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCES / "package-lock.json").read_text()
    stamp = FOLDER / "installed.json"
    for source in SOURCES.iterdir():
        shutil.copy(source, FOLDER)
    if not stamp.exists() or stamp.read_text() != wanted:
        run("npm", "ci", "--no-audit", "--no-fund", "--silent")
        stamp.write_text(wanted)
    shutil.rmtree(FOLDER / "api", ignore_errors=True)
    shutil.rmtree(FOLDER / "out", ignore_errors=True)
    run("node_modules/.bin/openapi-ts", "-i", str(ROOT / "docs/openapi.json"), "-o", "api", "--silent")
    run("node_modules/.bin/tsc", "-p", ".")
    with demo() as (base, token):
        run("node", "out/session.js", env={**os.environ, "TRANSOM_URL": base, "TRANSOM_TOKEN": token})


try:
    main()
except subprocess.CalledProcessError as error:
    sys.exit(f"{error.cmd[0]} failed")
