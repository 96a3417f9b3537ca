"""Which server and key a command uses, and the file through which `perdure dev` lends its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.cli.access import DEFAULT_URL, Access, Target, target_of
from perdure.cli.dev_access import DevAccess, read_dev_access, write_dev_access

DEV_URL = "http://127.0.0.1:4001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dev_access(tmp_path / "data", DEV_URL, "pd_dev")
    return tmp_path / "data"


def test_the_file_is_for_its_owner_only_and_is_replaced_whole(folder: Path) -> None:
    assert read_dev_access(folder) == DevAccess(DEV_URL, "pd_dev")
    assert (folder / "dev.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    write_dev_access(folder, DEV_URL, "pd_other")
    assert read_dev_access(folder) == DevAccess(DEV_URL, "pd_other")
    assert [file.name for file in folder.iterdir()] == ["dev.json"]


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o666])
def test_a_file_that_others_may_use_does_not_count(folder: Path, mode: int) -> None:
    (folder / "dev.json").chmod(mode)
    assert read_dev_access(folder) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"url": 1, "api_key": 2}', b"\xff"])
def test_a_file_of_another_form_does_not_count(folder: Path, content: bytes) -> None:
    (folder / "dev.json").write_bytes(content)
    assert read_dev_access(folder) is None


def test_no_file(tmp_path: Path) -> None:
    assert read_dev_access(tmp_path) is None
    assert target_of(Access(data_dir=tmp_path)) == Target(DEFAULT_URL, None)
    assert target_of(Access("http://far.test", "key", tmp_path)) == Target("http://far.test", "key")


@pytest.mark.parametrize(
    ("url", "key", "target"),
    [
        (None, None, Target(DEV_URL, "pd_dev")),
        (None, "mine", Target(DEFAULT_URL, "mine")),
        (DEV_URL, None, Target(DEV_URL, "pd_dev")),
        ("http://localhost:4001/", None, Target("http://localhost:4001/", "pd_dev")),
        ("http://127.0.0.1:4002", None, Target("http://127.0.0.1:4002", None)),
        ("https://127.0.0.1:4001", None, Target("https://127.0.0.1:4001", None)),
        ("http://far.test:4001", None, Target("http://far.test:4001", None)),
        ("http://[nonsense", None, Target("http://[nonsense", None)),
        (DEV_URL, "mine", Target(DEV_URL, "mine")),
    ],
)
def test_the_key_of_a_dev_server_goes_nowhere_else(
    folder: Path, url: str | None, key: str | None, target: Target
) -> None:
    assert target_of(Access(url, key, folder)) == target
