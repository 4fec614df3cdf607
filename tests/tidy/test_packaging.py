"""Are all packages listed, and does nobody else own our names?"""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTED = set(PYPROJECT["tool"]["setuptools"]["packages"])
# Folders that are run from the repository and never installed.
NOT_INSTALLED = {"bench", "services"}


def test_the_listed_packages_are_the_folders_with_code_or_what_it_reads() -> None:
    packages = {init.relative_to(ROOT).parts[0] for init in ROOT.glob("[a-z]*/__init__.py")}
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for name in packages - {"tests", "build", *NOT_INSTALLED}
        for file in (ROOT / name).rglob("*")
        if file.suffix in {".py", ".lua", ".toml"}
    }

    assert folders == LISTED


def test_models_and_tests_are_data_and_never_importable() -> None:
    assert not (ROOT / "models" / "__init__.py").exists()
    assert list((ROOT / "models").rglob("*.py")) == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_installed_distribution_supplies_one_of_our_names() -> None:
    owners = packages_distributions()

    for name in {package.split(".")[0] for package in LISTED}:
        assert set(owners.get(name, [])) <= {"haat"}, f"{name} is also a package of {owners[name]}"


def test_the_layers_name_every_package() -> None:
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}

    assert named | {"protos"} == {package.split(".")[0] for package in LISTED}
