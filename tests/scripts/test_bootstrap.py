"""`scripts/bootstrap` on a folder of its own, with locks that name nothing: what it makes, keeps and repairs."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two calls at once have set up."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "bootstrap", folder / "scripts")
    (folder / "requirements.lock").write_text("# Nothing is needed.\n")
    (folder / "requirements-dev.lock").write_text("# Nothing is needed for tests.\n")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: bootstrap(folder), range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (first.stderr + second.stderr).count("Installing the dependencies") == 1
    return folder


def bootstrap(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PYTHON": sys.executable, **environ}
    return subprocess.run(
        [folder / "scripts" / "bootstrap", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )


def works(folder: Path) -> bool:
    return subprocess.run([folder / ".venv" / "bin" / "python", "-c", ""]).returncode == 0


def test_a_second_call_does_nothing_and_needs_no_python(made: Path) -> None:
    again = bootstrap(made, PYTHON="/bin/false")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert works(made)


def test_the_environment_for_development_serves_for_running(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder, symlinks=True)
    assert "Installing" in bootstrap(folder, "--dev").stderr
    for arguments in ([], ["--dev"]):
        assert bootstrap(folder, *arguments, PYTHON="/bin/false").stderr == ""
    (folder / "requirements.lock").write_text("# Still nothing is needed.\n")
    assert "Installing" in bootstrap(folder).stderr


@pytest.mark.parametrize("harm", ["its python is gone", "an installation was cut off"])
def test_an_environment_that_is_not_whole_is_made_anew(made: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder, symlinks=True)
    if harm == "its python is gone":
        for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
            (folder / ".venv" / "bin" / name).unlink()
    else:
        (folder / ".venv" / "installed-requirements.lock").unlink()
        (folder / ".venv" / "unfinished").touch()
        shutil.rmtree(folder / ".venv" / "lib")
    repaired = bootstrap(folder)
    assert repaired.returncode == 0, repaired.stderr
    assert works(folder)
    assert bootstrap(folder, PYTHON="/bin/false").stderr == ""


def test_dependencies_without_a_hash_are_refused_and_not_taken_for_installed(
    made: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder, symlinks=True)
    (folder / "requirements.lock").write_text("./nothing-like-this\n")
    failed = bootstrap(folder)
    assert failed.returncode == 1
    assert failed.stderr.endswith("Run scripts/bootstrap again.\n")
    assert list((folder / ".venv").glob("installed-*")) == []


def test_no_suitable_python_is_one_sentence_on_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "bootstrap", tmp_path / "scripts")
    (tmp_path / "requirements.lock").touch()
    failed = bootstrap(tmp_path, PYTHON="/bin/false")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Python 3.12, 3.13 or 3.14 with its venv module is needed")
    assert failed.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


def test_an_argument_that_is_not_known_is_refused(made: Path) -> None:
    assert bootstrap(made, "--help").returncode == 2
