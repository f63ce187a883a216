"""What Prometheus reads, and that it stays bounded."""

from __future__ import annotations

import subprocess
import sys

from evertick.web.metrics import BUCKETS, Traffic


async def test_a_scrape(client):
    for _ in range(3):
        await client.get("/api/v1/indices")
    await client.get("/reports/none")
    answer = await client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'evertick_info{version="0.1.0"} 1.0' in lines
    assert 'evertick_http_requests_total{method="GET",route="/api/v1/indices",status="200"} 3.0' in lines
    assert 'evertick_http_requests_total{method="GET",route="/reports/{id}",status="404"} 1.0' in lines
    assert 'evertick_http_first_byte_seconds_count{route="/api/v1/indices"} 3.0' in lines
    assert "evertick_fds 19.0" in lines and "evertick_memory_limit_bytes 2.68435456e+08" in lines
    assert 'evertick_job_runs_total{job="report",outcome="ok"} 8.0' in lines
    assert 'evertick_source_up{source="yahoo"} 1.0' in lines and 'evertick_source_up{source="coingecko"} 0.0' in lines
    assert "evertick_snapshot_age_seconds 0.0" in lines
    assert 'evertick_memory_state{state="ok"} 1.0' in lines and 'evertick_memory_state{state="over"} 0.0' in lines
    assert "evertick_memory_restarts 0.0" in lines
    assert 'evertick_job_seconds_total{job="report"} 20.5' in lines
    assert 'evertick_job_retained_bytes{job="report"} -300.0' in lines
    assert "evertick_start_time_seconds 1.7955198e+09" in lines
    assert "evertick_stream_clients 0.0" in lines


async def test_a_second_scrape_counts_the_first(client):
    await client.get("/metrics")
    assert 'route="/metrics",status="200"} 1.0' in (await client.get("/metrics")).text


async def test_any_number_of_paths_is_one_route(client):
    for i in range(30):
        await client.get(f"/nothing/{i}")
        await client.request(f"VERB{i}", "/healthz")
    text = (await client.get("/metrics")).text
    assert 'route="unmatched",status="404"} 30.0' in text
    assert (
        'method="OTHER",route="/healthz",status="405"} 30.0' in text
        or 'method="OTHER",route="unmatched",status="405"} 30.0' in text
    )
    assert "VERB" not in text


def test_buckets_are_cumulative_in_the_format_only():
    traffic = Traffic()
    for seconds in (0.0005, 0.002, 99.0):
        traffic.seen({"method": "GET"}, 200, seconds)
    assert traffic.buckets["unmatched"][0] == 1
    assert traffic.buckets["unmatched"][1] == 1
    assert traffic.buckets["unmatched"][len(BUCKETS)] == 1


def test_the_application_does_not_import_what_only_scrapes_and_pages_need():
    script = (
        "import sys, evertick.web.app;"
        "print([m for m in ('prometheus_client', 'jinja2', 'redis', 'sqlalchemy', 'uvicorn', 'isal.igzip') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
