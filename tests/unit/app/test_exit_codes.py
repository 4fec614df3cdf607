"""Does every way to end have its sentence and its exit code?"""

import errno

import grpc
import pytest
import typer

from app.exit_codes import ExitCode, exit_code_of
from client.errors import CallFailed, CallRefused
from common.errors import (
    BackendUnavailable,
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)


def ends(error: BaseException) -> int:
    def command() -> None:
        raise error

    return exit_code_of(command)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), ExitCode.STOPPED, "stopped"),
        (typer.Abort(), ExitCode.STOPPED, "stopped"),
        (InvalidInput([FieldError("a", "1", "less")]), ExitCode.BAD_INPUT, "a: 1 — less"),
        (NotFound("no such auction"), ExitCode.BAD_INPUT, "no such auction"),
        (Conflict("changed meanwhile"), ExitCode.BAD_INPUT, "changed meanwhile"),
        (Unauthenticated("no key"), ExitCode.BAD_INPUT, "no key"),
        (PermissionDenied("not yours"), ExitCode.BAD_INPUT, "not yours"),
        (BackendUnavailable("the disk is full"), ExitCode.UNAVAILABLE, "the disk is full"),
        (OSError(errno.ENOSPC, "No space left on device", "log"), ExitCode.UNAVAILABLE, "No space left on device: log"),
        (CallFailed("HoldAuction", grpc.StatusCode.UNAVAILABLE, "refused"), ExitCode.UNAVAILABLE, "UNAVAILABLE"),
        (CallRefused("HoldAuction", grpc.StatusCode.NOT_FOUND, "none"), ExitCode.BAD_INPUT, "NOT_FOUND"),
    ],
)
def test_trouble_is_one_sentence(
    error: BaseException, code: ExitCode, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(error) == code

    said = capsys.readouterr().err
    assert said.startswith("haat: ")
    assert says in said
    assert said.count("\n") == 1


def test_a_bug_shows_where_it_is_but_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(KeyError("mark-4711")) == ExitCode.BUG

    said = capsys.readouterr().err
    assert "test_exit_codes.py" in said
    assert "mark-4711" not in said
    assert said.splitlines()[-1] == "haat: this is a bug in haat, please report it with the lines above"


def test_a_command_that_returns_nothing_went_well() -> None:
    assert exit_code_of(lambda: None) == ExitCode.OK


def test_an_exit_code_that_a_command_returns_is_kept() -> None:
    assert exit_code_of(lambda: 2) == 2
