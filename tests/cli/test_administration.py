"""`perdure keys`, `projects`, `db`, `doctor` and `version`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perdure.cli import checks
from perdure.cli.dev_access import write_dev_access
from perdure.store.server import ServerFacts
from tests.cli.conftest import Terminal

BY_HTTP_AND_DIRECTLY = pytest.mark.parametrize("way", [(), ("--direct",)], ids=["http", "direct"])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMPORTED = "vf_abcd1234_0123456789abcdef0123456789abcdef"


@BY_HTTP_AND_DIRECTLY
async def test_keys(terminal: Terminal, way: tuple[str, ...]) -> None:
    if way:
        terminal.environment |= {"PERDURE_API_KEY": "", "PERDURE_API_URL": "http://127.0.0.1:1"}
    made = await terminal.run("keys", "create", "robot", "--scope", "runs:read", *way)
    token = made.out.strip()
    assert made.code == 0 and token.startswith("pd_")
    assert "may runs:read. It is not shown again." in made.err
    admin = (await terminal.run("keys", "create", "boss", "--admin", "--expires-in-days", "2", "--json", *way)).json
    assert admin["scopes"] == ["admin"] and admin["key"].startswith("pd_")
    expiry = datetime.fromisoformat(admin["expires_at"]) - datetime.fromisoformat(admin["created_at"])
    assert timedelta(days=1, hours=23) < expiry <= timedelta(days=2)
    imported = await terminal.run("keys", "create", "old", "--import", "-", *way, stdin=IMPORTED + "\n")
    assert imported.out.strip() == IMPORTED
    listed = await terminal.run("keys", "list", *way)
    rows = {line.split()[1]: line for line in listed.out.splitlines()[1:]}
    assert set(rows) == {"bootstrap", "robot", "boss", "old"}
    assert token not in listed.out and "until" in rows["boss"]
    assert (await terminal.run("keys", "revoke", token.split("_")[1], *way)).code == 0
    states = {
        key["name"]: key["revoked_at"] for key in (await terminal.run("keys", "list", "--json", *way)).json["data"]
    }
    assert states["robot"] is not None and states["boss"] is None
    unknown = await terminal.run("keys", "revoke", "nothing", *way)
    assert unknown.code != 0 and "key_not_found" in unknown.err


@BY_HTTP_AND_DIRECTLY
async def test_projects(terminal: Terminal, way: tuple[str, ...]) -> None:
    project_id = "7b0a3c9e-5d3f-4f5a-9b1e-0d4c8f6a2b11"
    made = await terminal.run("projects", "create", "other", "--name", "Other one", "--id", project_id, *way)
    assert (made.code, made.out.strip()) == (0, project_id)
    listed = (await terminal.run("projects", "list", "--json", *way)).json["data"]
    assert [(project["slug"], project["name"]) for project in listed][1] == ("other", "Other one")
    assert "Other one" in (await terminal.run("projects", "list", *way)).out
    limited = await terminal.run("projects", "limit", "other", "--max-running", "7", "--json", *way)
    assert limited.json["max_running"] == 7
    assert " 7 " in (await terminal.run("projects", "list", *way)).out
    lifted = await terminal.run("projects", "limit", project_id, *way)
    assert (lifted.code, "Any number" in lifted.err) == (0, True)
    unknown = await terminal.run("projects", "limit", "nowhere", *way)
    assert unknown.code != 0 and "project_not_found" in unknown.err
    taken = await terminal.run("projects", "create", "other", *way)
    assert taken.code != 0 and "already" in taken.err
    key = (await terminal.run("keys", "create", "robot", "--project", "other", "--json", *way)).json
    assert key["project_id"] == project_id


async def test_only_administrators_administer(terminal: Terminal) -> None:
    key = (await terminal.run("keys", "create", "robot")).out.strip()
    terminal.environment["PERDURE_API_KEY"] = key
    refused = await terminal.run("keys", "list")
    assert (refused.code, "--direct" in refused.err) == (4, True)
    assert (await terminal.run("projects", "list", "--json")).json["data"][0]["slug"] == "default"


async def test_the_key_of_a_dev_server_is_found(terminal: Terminal) -> None:
    url, key = terminal.environment.pop("PERDURE_API_URL"), terminal.environment.pop("PERDURE_API_KEY")
    write_dev_access(Path(terminal.environment["PERDURE_DATA_DIR"]), url, key)
    assert (await terminal.run("runs", "list", "--json")).json == {"data": []}


async def test_db(empty_database: str, tmp_path: Path) -> None:
    terminal = Terminal({"PERDURE_DATABASE_URL": empty_database, "PERDURE_DATA_DIR": str(tmp_path)})
    before = await terminal.run("db", "current", "--json")
    assert (before.code, before.json["revision"], before.json["behind"]) == (1, None, True)
    lost = await terminal.run("keys", "list", "--direct")
    assert (lost.code, "perdure db upgrade" in lost.err) == (1, True)
    newest = before.json["newest"]
    assert (await terminal.run("db", "upgrade", "--json")).json == {"before": None, "revision": newest}
    assert (await terminal.run("db", "upgrade")).err == f"Nothing to do: the schema is at {newest}.\n"
    now = await terminal.run("db", "current")
    assert (now.code, now.out) == (0, f"{newest}\n")
    assert (await terminal.run("db", "reindex", "--json")).json == {"runs": 0}
    assert "from the logs of 0 runs" in (await terminal.run("db", "reindex")).err


async def test_doctor_of_an_installation_that_is_well(terminal: Terminal) -> None:
    done = await terminal.run("doctor", "--json")
    assert {check["name"]: check["state"] for check in done.json["checks"]} == dict.fromkeys(
        ("data folder", "disk", "database", "version", "clock", "migrations", "keys", "workers", "queue", "server"),
        "ok",
    )
    assert (done.code, done.json["ok"]) == (0, True)
    assert "✔ workers      1 alive, for agent:echo, " in (await terminal.run("doctor")).out


async def test_doctor_says_what_to_do(empty_database: str, tmp_path: Path) -> None:
    terminal = Terminal({"PERDURE_DATA_DIR": str(tmp_path / "none"), "PERDURE_API_URL": "http://127.0.0.1:1"})
    done = await terminal.run("doctor")
    assert done.code == 1
    assert "✖ database" in done.out and "`perdure dev` or `perdure db upgrade` makes one" in done.out
    assert not (tmp_path / "none").exists()
    terminal.environment["PERDURE_DATABASE_URL"] = empty_database
    assert "Make them: perdure db upgrade" in (await terminal.run("doctor")).out
    await terminal.run("db", "upgrade")
    states = {check["name"]: check for check in (await terminal.run("doctor", "--json")).json["checks"]}
    assert [name for name, check in states.items() if check["state"] == "problem"] == ["keys", "workers", "server"]
    terminal.environment["PERDURE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    lost = await terminal.run("doctor")
    assert "Is it running, and is PERDURE_DATABASE_URL right" in lost.out
    assert "The database does not answer." in lost.out


def test_checks_of_server_and_machine(tmp_path: Path) -> None:
    assert checks.version(ServerFacts(140_011, NOW)).state == "problem"
    assert checks.version(ServerFacts(150_004, NOW)).detail == "PostgreSQL 15.4."
    assert checks.clock(ServerFacts(1, NOW), NOW + timedelta(seconds=1)).state == "ok"
    assert checks.clock(ServerFacts(1, NOW), NOW - timedelta(seconds=3)).state == "problem"
    file = tmp_path / "file"
    file.write_text("")
    assert checks.data_folder(tmp_path).state == "ok"
    assert checks.data_folder(tmp_path / "a" / "b").detail == f"{tmp_path / 'a' / 'b'} will be made."
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert checks.disk(tmp_path / "a").name == "disk"


async def test_wrong_settings_are_named() -> None:
    terminal = Terminal({"PERDURE_DATABASE_URL": "mysql://user:hunter2@host/db"})
    done = await terminal.run("db", "current")
    assert (done.code, "PERDURE_DATABASE_URL: " in done.err, "hunter2" in done.err) == (1, True, False)


async def test_version() -> None:
    plain, as_json = await Terminal().run("version"), await Terminal().run("version", "--json")
    assert as_json.json == {"version": plain.out.strip()}
