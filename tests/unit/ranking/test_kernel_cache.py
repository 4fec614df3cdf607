"""A kernel is compiled anew when anything changes that was compiled into it, and only then."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ranking.kernel_cache import KERNELS, _imported, sources_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]

KERNEL = """
from codes import CODE
from ranking.kernel_cache import is_compiled, kernel

@kernel
def answer(of):
    return of + CODE

kept = is_compiled(answer)
print(answer(1), "kept" if kept else "new")
"""


def run(folder: Path) -> str:
    program = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]; import kernels"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_constant_that_changes_in_another_file_changes_what_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNEL)
    (tmp_path / "codes.py").write_text("from numbers_of import CODE\n")
    (tmp_path / "numbers_of.py").write_text("CODE = 10\n")
    assert run(tmp_path) == "11 new"
    assert run(tmp_path) == "11 kept"

    (tmp_path / "numbers_of.py").write_text("CODE = 20\n")

    assert run(tmp_path) == "21 new"
    assert run(tmp_path) == "21 kept"


def test_a_damaged_index_is_no_compiled_kernel(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNEL)
    (tmp_path / "codes.py").write_text("CODE = 10\n")
    assert run(tmp_path) == "11 new"
    (index,) = (tmp_path / "__pycache__").glob("*.nbi")

    index.write_bytes(b"\x80")

    assert run(tmp_path) == "11 new"


def test_clearing_is_stamped_with_the_refusals_and_not_with_the_servers() -> None:
    sources = {str(path.relative_to(ROOT)) for path in sources_of(ROOT / "exchange" / "clearing.py", ROOT)}

    assert {"exchange/clearing.py", "exchange/refusals.py", "exchange/eligibility.py"} <= sources
    assert not sources & {"exchange/server.py", "exchange/auction.py", "app/wiring.py"}


@pytest.mark.parametrize("package", ["exchange", "ranking", "common"])
def test_imports_are_found_as_the_parser_finds_them(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        expected: set[Path] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                file = ROOT.joinpath(*name.split("."))
                expected |= {p for p in (file.with_suffix(".py"), file / "__init__.py") if p.is_file()}
        assert expected <= set(_imported(path, ROOT)), path


def test_every_kernel_of_the_exchange_is_kept_this_way() -> None:
    import exchange.auction  # noqa: F401

    modules = {kernel.py_func.__module__ for kernel in KERNELS}
    assert {"exchange.clearing", "exchange.eligibility", "exchange.record", "exchange.click_chances"} <= modules
