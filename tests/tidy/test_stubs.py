"""Are the committed stubs what protoc makes of protos/ today?"""

import subprocess
import sys
from pathlib import Path

import google.rpc

ROOT = Path(__file__).parents[2]
STUB_ENDS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def test_stubs_are_up_to_date(tmp_path: Path) -> None:
    protos = sorted(f"protos/{file.name}" for file in (ROOT / "protos").glob("*.proto"))
    google = Path(next(iter(google_path()))).parents[1]
    scripts = Path(sys.executable).parent

    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", "-I.", f"-I{google}"),
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            *(f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"),
            *(f"--mypy_out=quiet:{tmp_path}", f"--mypy_grpc_out=quiet:{tmp_path}"),
            *protos,
        ],
        cwd=ROOT,
        check=True,
        timeout=120,
    )

    made = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "protos").iterdir()}
    committed = {
        file.name: file.read_text(encoding="utf-8")
        for file in (ROOT / "protos").iterdir()
        if file.name.endswith(STUB_ENDS)
    }
    assert set(made) == set(committed)
    stale = [name for name in made if made[name] != committed[name]]
    assert stale == [], "run `make protos`"


def google_path() -> list[str]:
    return list(google.rpc.__path__)
