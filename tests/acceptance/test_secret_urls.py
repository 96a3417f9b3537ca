"""What a URL holds that opens something is in no log line, no error and no trace (vertesia.md 3.5)."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.acceptance.processes import PROJECT, site

SECRET = "wrong-token-which-nobody-should-read"


def test_a_token_in_a_url_is_written_nowhere(tmp_path: Path) -> None:
    with site(tmp_path, PERDURE_LOG_LEVEL="debug") as at_work:
        process = at_work.serve()
        body = {
            "kind": "agent",
            "owner": {"kind": "project", "id": PROJECT},
            "request": {"mode": "agent", "agent_id": "writer", "initial_status": "running"},
        }
        with at_work.client() as client:
            made = client.post("/keys", json={"name": "k", "kind": "sk"}).raise_for_status().json()
            run_id = client.post("/runs", json=body).raise_for_status().json()["run"]["run_id"]
            client.post(f"/runs/{run_id}/complete", json={"status": "completed"}).raise_for_status()
            issued = client.post("/sts/token/issue", headers={"Authorization": f"Bearer {made['key']}"})
            token = issued.raise_for_status().json()["token"]
        for path in ("stream", "details/stream"):
            where = f"{at_work.url}/api/v1/agents/{run_id}/{path}"
            for good in (made["key"], token):
                answer = httpx.get(where, params={"access_token": good}, timeout=10)
                assert answer.status_code == 200, answer.text
                assert good not in answer.text
            for bad in (f"{where}?access_token={SECRET}", f"{where}?access_token={SECRET}&since=%00&more[=%zz"):
                refused = httpx.get(bad, timeout=10)
                assert refused.status_code == 401
                assert SECRET not in refused.text
            assert httpx.get(f"{where}/nothing?access_token={SECRET}").status_code == 404
            assert httpx.delete(f"{where}?access_token={SECRET}").status_code == 405
            assert httpx.get(f"{where}?since=x&access_token={token}").status_code == 400
        assert process.stop() == 0
        written = process.log.read_text()
        assert "/api/v1/agents/{run_id}/details/stream" in written, "requests are in the log"
        for secret in (SECRET, made["key"], token):
            assert secret not in written
