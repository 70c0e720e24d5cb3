"""Rules of the house that no compiler checks. Prints what is broken, and exits with 1 if anything is."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLATFORMS = "whatsapp messenger instagram viber wechat tiktok telegram line sms email webchat".split()
broken = []


def tree(package):
    """Every crate that a package's library needs, by name."""
    out = subprocess.run(
        ["cargo", "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return {line.split()[0] for line in out.splitlines() if line.strip()}


def directions():
    """Who may know whom (docs/architecture.md)."""
    pure = ["tokio", "sea-orm", "sqlx", "hyper", "reqwest", "poem", "http", "chrono"]
    for package in ("transom-domain", "transom-windows"):
        for name in sorted(tree(package) & set(pure)):
            broken.append(f"{package} must stay pure and depends on {name}")
    meta = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout)
    ours = {package["name"]: package for package in meta["packages"]}
    channels = {name for name, package in ours.items() if "/channels/" in package["manifest_path"]}
    allowed = {
        "transom-domain": set(),
        "transom-windows": {"transom-domain"},
        "transom-channel": {"transom-domain", "transom-windows"},
        "transom-storage": {"transom-domain", "transom-windows"},
        "transom-desk": {"transom-domain", "transom-windows", "transom-channel", "transom-storage"},
        "transom-sandbox": {"transom-domain"},
    }
    for name in channels:
        allowed[name] = {"transom-domain", "transom-windows", "transom-channel", "transom-meta"} - {name}
    for name, may in allowed.items():
        for dependency in ours[name]["dependencies"]:
            known = dependency["name"].startswith("transom") and dependency["kind"] is None
            if known and dependency["name"] not in may:
                broken.append(f"{name} must not know {dependency['name']}")


def banned():
    """One TLS stack, one crypto provider."""
    lock = (ROOT / "Cargo.lock").read_text()
    for name in ("aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"):
        if f'name = "{name}"' in lock:
            broken.append(f"Cargo.lock holds {name}")


def code_lines(path):
    """(number, line) of the lines that are code, without the tests at the end of a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() == "#[cfg(test)]":
            return
        if not line.lstrip().startswith(("//", "#!")):
            yield number, line


def platform_names():
    """No platform's name outside its rooms; a `match` on one least of all."""
    name = re.compile(r"\b(" + "|".join(p for p in PLATFORMS if p not in ("line", "email", "messenger")) + r")\b", re.I)
    # `line` and `email` are words of their own: a line of a file, a kind of address.
    quoted = re.compile(r'"messenger"|== "line"')
    rooms = ("demo/", "registry.rs")
    for folder in ("crates/domain", "crates/windows", "crates/channel", "crates/storage", "crates/desk", "bins/server"):
        for path in sorted((ROOT / folder / "src").rglob("*.rs")):
            inside = str(path.relative_to(ROOT / folder / "src"))
            if inside.startswith(rooms) or inside.startswith("conformance"):
                continue
            if folder == "crates/windows" and inside == "policies.rs":
                continue  # the list of built-in policy files
            for number, line in code_lines(path):
                if name.search(line) or quoted.search(line):
                    broken.append(f"{path.relative_to(ROOT)}:{number} names a platform: {line.strip()}")


def leftovers():
    """Nothing of one machine, and nothing unfinished."""
    bad = re.compile(r"/(work|root|farm)/|\btodo!\(|\bunimplemented!\(|\bTODO\b|\bFIXME\b|#\[ignore\]")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    for name in files:
        path = ROOT / name
        if path.suffix not in (".rs", ".toml", ".md", ".json", ".html", ".sh", "") or name == ".ci/house.py" or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if bad.search(line):
                broken.append(f"{name}:{number}: {line.strip()[:120]}")


for check in (directions, banned, platform_names, leftovers):
    check()
for line in broken:
    print(line)
sys.exit(1 if broken else 0)
