"""Do the documents say what is so?"""

import re
from pathlib import Path

import pytest
import typer.main

from app import reference
from app.cli import haat

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")])
# The others name files that were, or that are to be written.
OF_TODAY = [found for found in DOCUMENTS if found.name != "CHANGELOG.md" and found.parent.name != "how-to"]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_made_from_the_code_is_up_to_date(name: str) -> None:
    page = reference.FOLDER / name

    assert page.read_text(encoding="utf-8") == reference.PAGES[name](), "run `python -m app.reference`"


def test_writing_the_pages_twice_changes_nothing(tmp_path: Path) -> None:
    reference.write_pages(tmp_path)
    first = {page.name: page.stat().st_mtime_ns for page in tmp_path.iterdir()}

    reference.write_pages(tmp_path)

    assert {page.name: page.stat().st_mtime_ns for page in tmp_path.iterdir()} == first
    assert set(first) == set(reference.PAGES)


def test_a_test_that_a_document_names_is_there() -> None:
    named = [found for page in OF_TODAY for found in NAMED_TEST.findall(page.read_text(encoding="utf-8"))]

    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in read(file)]
    assert len(named) > 20
    assert missing == []


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 150


def test_decisions_are_numbered_once() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    titles = [page.read_text(encoding="utf-8").splitlines()[0] for page in pages]

    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    assert [title.partition(".")[0] for title in titles] == [f"# {number}" for number in numbers]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])
def test_links_to_our_own_files_lead_somewhere(document: Path) -> None:
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    targets = [(match[1] or match[2]).partition("#")[0] for match in LINK.finditer(text)]
    ours = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]

    assert [target for target in ours if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", OF_TODAY, ids=[str(document.relative_to(ROOT)) for document in OF_TODAY])
def test_files_that_are_named_are_there(document: Path) -> None:
    folders = "|".join(
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and path.name[0].isalpha() and path.name not in {"var", "build"}
    )
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text(encoding="utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))

    named = set(re.findall(r"\bmake ([a-z-]+)\b", " ".join(code_of(read(name)))))

    assert named - targets == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_haat_command_that_is_named_exists(name: str) -> None:
    known = commands()
    for piece in code_of(read(name)):
        for words in re.findall(r"(?:^|[\s/])haat((?: [a-z][a-z-]*)+)", piece):
            first, *rest = words.split()
            assert first in known, f"`haat {first}` is not a command"
            if known[first] and rest:
                assert rest[0] in known[first], f"`haat {first} {rest[0]}` is not a command"


def code_of(text: str) -> list[str]:
    """Fenced blocks and what stands between backticks."""
    fenced = [block for block in FENCED.findall(text) if "<!--" not in block]
    return [*fenced, *re.findall(r"`([^`\n]+)`", FENCED.sub("", text))]


def commands() -> dict[str, set[str]]:
    """The names of all commands, with those of their sub-commands."""
    group = typer.main.get_group(haat)
    return {name: set(getattr(command, "commands", {})) for name, command in group.commands.items()}


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", read("docs/glossary.md"), re.MULTILINE)

    assert words == sorted(set(words), key=str.lower)
