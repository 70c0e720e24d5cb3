"""The README's test command, to its end. A test or two that failed beside thousands of others are run once more by themselves: if they
hold, they are named as unsteady and the step is green (docs/decisions/073). Whatever fails again, or is more, is red."""

import re
import subprocess
import sys

COMMAND = ["cargo", "test", "--workspace", "--no-fail-fast"]
# More than so many don't fail by chance.
FEW = 3
PASSED = re.compile(r"^test result: ok\. (\d+) passed")
RERUN = re.compile(r"^error: (?:doc)?test failed, to rerun pass `(.+)`$")


def failed(lines):
    """What failed, by the options that select its program; None among the names for a program that ended before it could say."""
    found, names, listing = {}, [], False
    for line in lines:
        if line == "failures:":
            names, listing = [], True
        elif listing and line.startswith("    ") and not line.startswith("     "):
            names.append(line.strip())
        elif line.startswith("test result:"):
            listing = False
        elif told := RERUN.match(line):
            found.setdefault(told[1], []).extend(names or [None])
            names = []
    return found


def self_test():
    out = """\
---- a::b stdout ----
failures:
    captured: not a name of a test

failures:
    a::b
    c

test result: FAILED. 5 passed; 2 failed
error: test failed, to rerun pass `-p transom-tests --test service`
error: test failed, to rerun pass `-p transom-desk --lib`
error: 2 targets failed:
    `-p transom-tests --test service`
    `-p transom-desk --lib`"""
    wanted = {"-p transom-tests --test service": ["a::b", "c"], "-p transom-desk --lib": [None]}
    assert failed(out.splitlines()) == wanted, failed(out.splitlines())


def run(command):
    """Its status and what it said, which is shown as it comes."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.rstrip("\n"))
    return child.returncode, lines


def main():
    self_test()
    status, lines = run(COMMAND)
    if status == 0:
        return
    red = failed(lines)
    count = sum(len(names) for names in red.values())
    # A doc test is not run by chance, and a program that died says nothing of its tests.
    is_plain = all(None not in names and "--doc" not in options for options, names in red.items())
    if not red or count > FEW or not is_plain:
        sys.exit(f"{count} failed")
    for options, names in red.items():
        # All packages again: of one alone others would be built, with other features.
        program = options.split()[2:]
        print(f"\n!! failed beside all the rest, run again by themselves: {', '.join(names)}", flush=True)
        status, lines = run(["cargo", "test", "--workspace", *program, "--", "--exact", *names])
        passed = sum(int(told[1]) for line in lines if (told := PASSED.match(line)))
        if status != 0 or passed < len(names):
            sys.exit(f"failed twice: {', '.join(names)}")
    for names in red.values():
        print(f"!! unsteady: {', '.join(names)} failed once, and held alone", flush=True)


main()
