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
    """(number, line) of a file's lines that are code and no test."""
    return code(path.read_text().splitlines())


def code(lines):
    """(number, line) of those that are code, without what stands under `#[cfg(test)]`: the one item that follows."""
    tested = None  # The indent of an item that is for tests, and whether its block has begun.
    for number, line in enumerate(lines, 1):
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if tested is not None:
            depth, begun = tested
            begun = begun or (not text.startswith(("#", "//")) and "{" in text)
            # As rustfmt lays it out: an item ends in its last line by `;`, or by the brace below its beginning.
            ends = text.endswith(("}", "};")) and indent == depth if begun else text.endswith(";")
            tested = None if ends else (depth, begun)
        elif text == "#[cfg(test)]":
            tested = (indent, False)
        elif not text.startswith(("//", "#!")):
            yield number, line


# Names of platforms that are words of their own: a line of a file, a kind of address, a scheme.
WORDS = "line|email|http"
NAMED = re.compile(r"\b(" + "|".join(p for p in PLATFORMS if p not in ("line", "email", "messenger")) + r")\b", re.I)
# Nothing else goes by these between quotes, or is told apart by them.
QUOTED = re.compile(r'"messenger"|[=!]= "line"|"line"\s*(\||=>)')
WORD = re.compile(rf'"({WORDS})"')
ASKED = re.compile(rf'platform.*([=!]= "({WORDS})"|matches!.*"({WORDS})")|matches!\(.*platform.*"({WORDS})"|"({WORDS})" [=!]= .*platform')
MATCH = re.compile(r"\bmatch\s+(.*)\{\s*$")


def naming(lines):
    """Those of (number, line) that name a platform: by a name of its own, or by a word where a platform is asked for."""
    around = []  # The matches that a line stands in, as (indent, what is matched).
    for number, line in lines:
        indent = len(line) - len(line.lstrip())
        while around and line.strip() and indent <= around[-1][0]:
            around.pop()
        arm = around and "platform" in around[-1][1].lower() and WORD.search(line.split("=>")[0])
        if NAMED.search(line) or QUOTED.search(line) or ASKED.search(line) or arm:
            yield number, line
        if found := MATCH.search(line):
            around.append((indent, found.group(1)))


def naming_is_seen():
    """The check checked: what it has to see, and what it must not."""
    seen = [
        'match platform {\n    "line" => 1,', 'match account.platform.as_str() {\n    "sms2" => 1,\n    "email" | "x" => 2,',
        'match self.platform() {\n    "a" => {\n        go()\n    }\n    "http" => 1,', 'if account.platform == "email" {',
        'if "http" != platform {', 'matches!(platform, "x" | "email")', 'if name == "line" {', 'let x = whatsapp();',
        'match name {\n    "line" => 1,',
    ]
    unseen = [
        'match kind.as_str() {\n    "email" => 1,', 'matches!(url.scheme(), "http" | "https")', 'put("email", profile.email)',
        'match platform {\n    _ => 1,\n}\nmatch kind {\n    "email" => 1,', 'json!({ "file": file, "line": line })',
        'match platform {\n    _ => address("email"),',
    ]
    for text, expected in [(text, True) for text in seen] + [(text, False) for text in unseen]:
        if any(naming(enumerate(text.splitlines(), 1))) != expected:
            broken.append(f".ci/house.py: a platform's name is {'not ' if expected else ''}seen in {text!r}")


def tests_are_skipped():
    """The check checked: of each text these lines are code."""
    for text, expected in [
        ("#[cfg(test)]\nmod tests;\nfn a() {}", [3]),
        ("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}", [1, 6]),
        ("#[cfg(test)]\n#[path = \"{x}.rs\"]\nmod x;\nmod y;", [4]),
        ("#[cfg(test)]\n/// Of a {kind}.\npub(crate) mod x;\nmod y;", [4]),
        ("#[cfg(test)]\nuse a::{b, c};\nuse d;", [3]),
        ("#[cfg(test)]\nuse a::{\n    b,\n};\nuse d;", [5]),
        ("#[cfg(test)]\nconst A: &str =\n    \"a\";\nconst B: u8 = 1;", [4]),
        ("impl A {\n    #[cfg(test)]\n    fn a(\n        b: u8,\n    ) -> u8 {\n        b\n    }\n\n    fn c() {}\n}", [1, 8, 9, 10]),
        ("#[cfg(test)]\nfn a() {}\nfn b() {}", [3]),
        ("#[cfg(test)]\nmod a;\n#[cfg(test)]\nmod b {\n}\n// words\nmod c;", [7]),
    ]:
        if [number for number, _ in code(text.splitlines())] != expected:
            broken.append(f".ci/house.py: not lines {expected} are seen as code in {text!r}")


def platform_names():
    """No platform's name outside its rooms; a `match` on one least of all."""
    rooms = ("demo/", "registry.rs")
    crates = ("domain", "windows", "channel", "storage", "desk", "sandbox", "stage")
    for folder in (*(f"crates/{name}" for name in crates), "bins/server"):
        for path in sorted((ROOT / folder / "src").rglob("*.rs")):
            inside = str(path.relative_to(ROOT / folder / "src"))
            if inside.startswith(rooms) or inside.startswith("conformance"):
                continue
            if folder == "crates/windows" and inside == "policies.rs":
                continue  # the list of built-in policy files
            if folder == "crates/sandbox" and inside.startswith("platforms/"):
                continue  # the far sides
            for number, line in naming(code_lines(path)):
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


for check in (directions, banned, naming_is_seen, tests_are_skipped, platform_names, leftovers):
    check()
for line in broken:
    print(line)
sys.exit(1 if broken else 0)
