"""The service as `transom demo` runs it, for checks from outside: on a free loopback port, with platforms that answer."""

import contextlib
import pathlib
import re
import signal
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATIENCE = 180


@contextlib.contextmanager
def demo():
    """(base URL, administrator's token) of a service that runs until the block ends."""
    program = ROOT / "target/debug/transom"
    if not program.exists():
        sys.exit("build the program first: cargo build --bin transom")
    process = subprocess.Popen([program, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
    reader.start()
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        base = token = None
        for line in process.stdout:
            base = base or (found := re.match(r"Service +(http\S+)", line)) and found[1]
            token = token or (found := re.match(r"Token +(\S+)", line)) and found[1]
            if base and token:
                break
        watchdog.cancel()
        if not token:
            process.wait()
            reader.join()
            sys.exit("the demo did not start:\n" + "".join(log))
        yield base, token
        if process.poll() is not None:
            sys.exit("the service died:\n" + "".join(log[-100:]))
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
