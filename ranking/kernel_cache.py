"""Is what was compiled still what the source says? Kernels, kept on disk until a source that they are made of changes.

numba keeps a compiled kernel as long as the file that holds it is the same. But names from other files are compiled
into it as well: constants, the fields of a tuple, functions that are copied in. So a kernel's stamp here is a hash over
its own file and all files of the project that this one imports, directly or through others.
"""

# The caching classes of numba carry no types.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numba
from numba.core import caching

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))", re.MULTILINE
)
_NAME = re.compile(r"[\w.]+")

# Every kernel of the modules that are imported so far: numba's dispatchers.
KERNELS: Final[list[Any]] = []


def kernel(function: Callable[..., Any]) -> Any:
    """Compiled on the first call, runs without the interpreter's lock, kept on disk while its sources stay the same."""
    dispatcher = numba.njit(nogil=True)(function)
    dispatcher._cache = _SourcesCache(function)
    KERNELS.append(dispatcher)
    return dispatcher


def inlined(function: Callable[..., Any]) -> Any:
    """Copied into the kernels that call it; never compiled by itself."""
    return numba.njit(nogil=True, inline="always")(function)


def is_compiled(dispatcher: Any) -> bool:
    """Does the disk hold this kernel, compiled from the sources as they are now?"""
    return bool(dispatcher._cache._cache_file._load_index())


def sources_of(path: Path, root: Path) -> frozenset[Path]:
    """The file at `path` and all files under `root` that it imports, directly or through others."""
    found: set[Path] = set()
    ahead = [path]
    while ahead:
        file = ahead.pop()
        if file not in found:
            found.add(file)
            ahead += _imported(file, root)
    return frozenset(found)


@lru_cache(maxsize=4096)
def _imported(file: Path, root: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    for source, imported, modules in _IMPORT.findall(file.read_text(encoding="utf-8")):
        names.update(_NAME.findall(modules))
        if source:
            names.add(source)
            names.update(f"{source}.{name}" for name in _NAME.findall(imported))
    paths = (root.joinpath(*name.split(".")) for name in sorted(names) if not name.startswith("."))
    either = ((path.with_suffix(".py"), path / "__init__.py") for path in paths)
    return tuple(file for pair in either for file in pair if file.is_file())


@lru_cache(maxsize=4096)
def _hash_of(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


class _StampedBySources:
    """A locator whose stamp covers what a kernel's module imports; with one of numba's it says where files go."""

    def __init__(self, function: Any, path: str) -> None:
        super().__init__(function, path)  # type: ignore[call-arg]
        self._file = Path(path).resolve()
        # The folder from which the module is imported by its full name.
        self._root = self._file.parents[function.__module__.count(".")]

    def get_source_stamp(self) -> str:
        digest = hashlib.sha256()
        for file in sorted(sources_of(self._file, self._root)):
            digest.update(str(file.relative_to(self._root)).encode() + b"\0" + _hash_of(file))
        return digest.hexdigest()


class _Chosen(_StampedBySources, caching.UserProvidedCacheLocator): ...  # type: ignore[misc]


class _Beside(_StampedBySources, caching.InTreeCacheLocator): ...  # type: ignore[misc]


class _UserWide(_StampedBySources, caching.UserWideCacheLocator): ...  # type: ignore[misc]


class _Impl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Chosen, _Beside, _UserWide)


class _Index(caching.IndexDataCacheFile):  # type: ignore[misc]
    def _load_index(self) -> dict[Any, str]:
        try:
            return super()._load_index()
        except Exception:
            # Damaged or half written, which shows in any error there is: as if there were none.
            return {}


class _SourcesCache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Impl

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _Index(locator.get_cache_path(), self._impl.filename_base, locator.get_source_stamp())
