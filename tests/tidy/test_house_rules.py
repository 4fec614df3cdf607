"""Are the house rules kept that a machine can check?"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    *("accounts", "app", "backends", "bench", "bidders", "client", "common", "exchange", "feed", "loadgen"),
    *("ranking", "services", "simulation", "streams", "tests"),
)
MODULES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
CODE = [file for file in MODULES if file.relative_to(ROOT).parts[0] != "tests"]
LOCK_FILES = ("requirements.lock", "requirements-dev.lock")


def named(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert (
        named([file for file in MODULES if file.stem in {"utils", "util", "helpers", "manager", "base", "misc"}]) == []
    )


def test_no_file_is_longer_than_400_lines() -> None:
    long = [file for file in CODE if len(file.read_text(encoding="utf-8").splitlines()) > 400]

    assert named(long) == []


def test_every_module_says_which_question_it_answers() -> None:
    silent = [
        file
        for file in CODE
        if (text := file.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]

    assert named(silent) == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

    assert named([file for file in MODULES if marks.search(file.read_text(encoding="utf-8"))]) == []


def test_only_settings_reads_the_environment() -> None:
    reads = re.compile(r"os\.(environ|getenv)")
    readers = [file for file in CODE if reads.search(file.read_text(encoding="utf-8"))]

    # The load generator runs on machines without the rest, so it takes its key by itself; the engines' folder is no
    # setting of haat, and their programs are started with our environment.
    others = {"loadgen/__main__.py", "services/folders.py", "services/packages.py", "services/processes.py"}
    assert set(named(readers)) <= {"app/settings.py"} | others
    assert "app/settings.py" in named(readers)


def test_nothing_is_pickled() -> None:
    pickles = re.compile(r"^\s*(import|from) (pickle|joblib|marshal|shelve|dill|cloudpickle)\b", re.MULTILINE)

    assert named([file for file in CODE if pickles.search(file.read_text(encoding="utf-8"))]) == []


@pytest.mark.parametrize("name", [*LOCK_FILES, "requirements-spark.lock"])
def test_lock_files_hold_a_hash_for_each_distribution_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    logical = text.replace("\\\n", " ").splitlines()
    pinned = [line for line in logical if line and not line.lstrip().startswith("#")]

    assert pinned
    for line in pinned:
        assert re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]
    assert "://" not in text
    assert not re.search(r"^--(extra-)?index-url|^--find-links|^--trusted-host", text, re.MULTILINE)


def test_both_lock_files_pin_the_same_versions() -> None:
    run_time, development = (
        dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in LOCK_FILES
    )

    assert {name: development.get(name) for name in run_time} == run_time
