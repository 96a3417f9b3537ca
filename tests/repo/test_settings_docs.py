"""docs/settings.md lists every setting: name, default and meaning."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from perdure.settings import Settings
from perdure.telemetry import LogFormat
from tests.repo.generated import check, table


def shown(field: FieldInfo) -> str:
    default = field.default.value if isinstance(field.default, Enum) else field.default
    return "" if default in (None, ()) else f"`{default}`"


def test_the_documentation_lists_every_setting() -> None:
    rows = [
        (f"`PERDURE_{name.upper()}`", shown(field), " ".join((field.description or "").split()))
        for name, field in Settings.model_fields.items()
    ]
    assert [row[0] for row in rows if not row[2]] == [], "each setting has a docstring"
    check("docs/settings.md", "settings", table(("variable", "default", "meaning"), rows))


def test_they_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_PORT", "4001")
    monkeypatch.setenv("PERDURE_DATA_DIR", "somewhere/else")
    monkeypatch.setenv("PERDURE_EGRESS_ALLOW", "localhost, 10.0.0.0/8")
    monkeypatch.setenv("PERDURE_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("PERDURE_DATABASE_URL", "")
    monkeypatch.setenv("PERDURE_NOT_A_SETTING", "1")
    settings = Settings()
    assert (settings.port, settings.data_dir, settings.log_level) == (4001, Path("somewhere/else"), "warning")
    assert settings.egress_allow == ("localhost", "10.0.0.0/8")
    assert settings.database_url is None, "empty is unset"


def test_they_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings(), "port", 1)  # noqa: B010 (the type checker knows that it is frozen)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERDURE_DATABASE_URL", "mysql://user:hunter2-hunter2@host/db"),
        ("PERDURE_JWT_SECRET", "hunter2-hunter2"),
        ("PERDURE_PORT", "hunter2-hunter2"),
        ("PERDURE_ENGINE", "hunter2-hunter2"),
        ("PERDURE_TEMPORAL_TLS_KEY", "hunter2-hunter2"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    text = str(raised.value)
    assert variable.removeprefix("PERDURE_").lower() in text
    assert "hunter2" not in text


@pytest.mark.parametrize("half", ["CERT", "KEY"])
def test_half_of_a_client_s_certificate_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half: str) -> None:
    (tmp_path / "client.pem").touch()
    monkeypatch.setenv(f"PERDURE_TEMPORAL_TLS_{half}", str(tmp_path / "client.pem"))
    with pytest.raises(ValidationError, match="PERDURE_TEMPORAL_TLS_CERT and PERDURE_TEMPORAL_TLS_KEY go together"):
        Settings()


@pytest.mark.parametrize("which", ["CA", "CERT", "KEY"])
def test_a_file_that_is_not_there_is_named_by_its_setting(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    monkeypatch.setenv(f"PERDURE_TEMPORAL_TLS_{which}", "nowhere.pem")
    with pytest.raises(ValidationError, match=f"(?i)temporal_tls_{which}\n.*not point to a file"):
        Settings()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BOOTSTRAP_API_KEY", "JWT_SECRET"):
        monkeypatch.setenv(f"PERDURE_{name}", "postgresql://u:hunter2-hunter2-hunter2-hunter2@host/db")
    assert "hunter2" not in repr(Settings())


@pytest.mark.parametrize(
    ("chosen", "dev", "pretty"),
    [
        (LogFormat.AUTO, True, True),
        (LogFormat.AUTO, False, False),
        (LogFormat.JSON, True, False),
        (LogFormat.PRETTY, False, True),
    ],
)
def test_logs_are_pretty_in_dev(monkeypatch: pytest.MonkeyPatch, chosen: LogFormat, dev: bool, pretty: bool) -> None:
    monkeypatch.setenv("PERDURE_LOG_FORMAT", chosen)
    assert Settings().pretty_logs(dev=dev) is pretty
