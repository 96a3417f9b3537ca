"""One delivery at two servers at once has one run."""

from __future__ import annotations

import base64
import hmac
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx

from tests.acceptance.processes import free_port, site


def test_a_delivery_at_two_servers(tmp_path: Path) -> None:
    with site(tmp_path) as one:
        two = replace(one, port=free_port())
        one.serve()
        two.serve()
        one.worker().stop()  # what it served stays known
        template = {"target": {"kind": "agent", "id": "two_tools"}}
        with one.client() as client:
            body = {"name": "hook", "template": template}
            made = client.post("/projects/default/webhooks", json=body).raise_for_status().json()
        key = base64.b64decode(made["secret"].removeprefix("whsec_"))

        def deliver(url: str, number: int) -> tuple[str, bool]:
            now = str(int(time.time()))
            signature = base64.b64encode(hmac.digest(key, f"msg_{number}.{now}.{{}}".encode(), "sha256")).decode()
            headers = {"webhook-id": f"msg_{number}", "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
            answer = httpx.post(url + made["path"], content=b"{}", headers=headers).raise_for_status().json()
            return answer["run_id"], answer["duplicate"]

        with ThreadPoolExecutor(8) as pool:
            for number in range(10):
                answers = list(pool.map(deliver, [one.url, two.url] * 4, [number] * 8))
                assert len({run_id for run_id, _ in answers}) == 1
                assert sorted(duplicate for _, duplicate in answers) == [False] + [True] * 7
        with two.client() as client:
            listed = client.get(f"/projects/default/webhooks/{made['id']}/runs").raise_for_status().json()["runs"]
        assert len(listed) == 10
