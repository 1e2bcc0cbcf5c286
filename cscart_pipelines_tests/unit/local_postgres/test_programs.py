"""Programs of the system are found with whatever PATH there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cscart_pipelines.local_postgres import programs, service_account


@pytest.mark.parametrize("path", ["", "/nowhere", "/usr/bin:/bin", None])
def test_a_program_is_found_without_its_folder_in_the_path(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cron and `su` leave /usr/sbin out."""
    program = tmp_path / "useradd-of-this-test"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(programs, "USUAL_FOLDERS", (str(tmp_path),))
    if path is None:
        monkeypatch.delenv("PATH", raising=False)
    else:
        monkeypatch.setenv("PATH", path)
    assert programs.find_program(program.name) == str(program)
    assert programs.find_program("a-program-that-no-system-has") is None


def test_the_account_is_made_with_the_bare_path_of_cron(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is called by its path: PATH would not find it either."""
    made = tmp_path / "made"
    program = tmp_path / "useradd"
    program.write_text(f'#!/bin/sh\necho "$@" > {made}\n')
    program.chmod(0o755)
    monkeypatch.setattr(programs, "USUAL_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(service_account, "SERVICE_ACCOUNT", "account-of-this-test")
    monkeypatch.setattr(service_account, "_exists", made.exists)
    service_account.ensure_service_account()
    assert made.read_text().endswith("account-of-this-test\n")

    made.unlink()
    program.unlink()
    with pytest.raises(
        service_account.UnusableHomeError, match="neither useradd nor adduser is in PATH or"
    ):
        service_account.ensure_service_account()
