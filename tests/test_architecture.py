"""The rules that the layout rests on, read from the sources: who may import whom, how large a module is, what no file says."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import metering

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("addons", "metering", "stats_service")
LINES_MAX = 250

MAY_NOT_IMPORT = {
    "addons": ("stats_service", "scripts", "tests"),
    "stats_service": ("addons", "mitmproxy", "scripts", "tests"),
    "metering": ("addons", "stats_service", "mitmproxy", "starlette", "uvicorn", "scripts", "tests"),
}

MONEY = (
    "ledger",
    "batch",
    "windows",
    "rollups",
    "rows",
    "refused",
    "writer",
    "writer_thread",
    "inbox",
    "expiry",
    "figures",
    "verify",
    "retention",
)
PRICES = ("pricing", "estimates", "charging", "asks", "reading", "explain")


NAMED_OTHERWISE = {
    "argon2": "argon2-cffi",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "ruamel": "ruamel.yaml",
}
"""What a package is called where it is installed from, if that is not how it is imported."""


def sources(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            found |= {module} | {f"{module}.{name.name}" for name in node.names}
    return found


def core_imports(path: Path) -> set[str]:
    """The parts of the shared core that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("metering.")}


def part(path: Path) -> str:
    """Which part of the shared core a file belongs to."""
    return path.relative_to(ROOT / "metering").parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_between_packages_run_one_way(package: str) -> None:
    forbidden = MAY_NOT_IMPORT[package]
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imports(path)
        if name.split(".")[0] in forbidden
    }
    assert not wrong


def test_imports_inside_the_core_follow_its_map() -> None:
    lines = re.findall(r"^ {4}\S.*? {2,}(\w.*)$", metering.__doc__ or "", re.MULTILINE)
    order = [name for line in lines for name in line.split(", ")]
    place = {name: number for number, name in enumerate(order)}
    assert sorted(order) == sorted({part(path) for path in sources("metering")} - {"__init__"})
    wrong = {
        f"{path.relative_to(ROOT)} imports metering.{name}"
        for path in sources("metering")
        for name in core_imports(path)
        if part(path) != "__init__" and place[name] > place[part(path)]
    }
    assert not wrong


def test_who_keeps_the_money_knows_no_prices() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports metering.{name}"
        for path in sources("metering")
        if part(path) in MONEY
        for name in core_imports(path)
        if name in PRICES
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_small_and_say_what_they_are(package: str) -> None:
    for path in sources(package):
        text = path.read_text()
        assert len(text.splitlines()) <= LINES_MAX, path
        tree = ast.parse(text)
        assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"


def test_nothing_of_ours_rests_on_assert() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert not wrong


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)
    lines = [line.strip() for line in text.splitlines()]
    for requirement in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        at = lines.index(f'"{requirement}",')
        assert lines[at - 1].startswith("# "), f"{requirement} has no reason"


def test_every_package_that_is_imported_is_declared() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {re.split(r"[<>=~! ]", requirement)[0].lower() for requirement in requirements}
    imported = {name.split(".")[0] for path in sources(*PACKAGES) for name in imports(path)}
    foreign = imported - set(PACKAGES) - sys.stdlib_module_names
    assert {NAMED_OTHERWISE.get(name, name.replace("_", "-")) for name in foreign} == declared


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^(--|-i |-f )", text, re.MULTILINE)
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9,-]+\])?==", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pinned) == len(blocks) > 20
    assert all("--hash=sha256:" in block for block in blocks)


def test_what_is_tested_is_what_runs() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def tracked() -> list[Path]:
    """The files of the repository, those that are about to be added included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_speaks_of_a_machine_or_of_how_it_came_about() -> None:
    # Written in two parts, so that this file does not find itself.
    absolute = r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|tm" + r"p)/\w"
    hosts = r"py" + r"pi\.org|python" + r"hosted|registry\.npm" + r"js|registry\.yarn" + r"pkg"
    documents = r"\bDESIGN\.m" + r"d|\bCASES\b|\bHOTPATH\b|\bMITMPROXY\.m" + r"d"
    wrong = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for found in re.finditer(f"{absolute}|{hosts}|{documents}", text):
            line = text.count("\n", 0, found.start()) + 1
            wrong.append(f"{path.relative_to(ROOT)}:{line} says {found[0]}")
    assert not wrong
