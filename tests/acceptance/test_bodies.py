"""Reports whose bodies are in object storage, from outside."""

from __future__ import annotations

import sqlite3
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import obstore
from obstore.store import S3Store

from acceptance.processes import evertick, fetch, get, running


def names(endpoint: str, bucket: str) -> list[str]:
    with urllib.request.urlopen(f"{endpoint}/{bucket}?list-type=2", timeout=20) as answer:
        return [e.text or "" for e in ElementTree.fromstring(answer.read()).iter() if e.tag.endswith("Key")]


def test_a_report_in_a_bucket(folder: Path, against: Mapping[str, str], s3_bucket: tuple[str, str]) -> None:
    endpoint, bucket = s3_bucket
    environment = {
        **against,
        "EVERTICK_REPORT_ON_START": "true",
        "EVERTICK_ARCHIVE__BODIES": f"s3://{bucket}/evertick",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-store",
    }
    with running("serve", cwd=folder, env=environment) as server:
        url = server.address()
        report = server.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")[0]
        stored = names(endpoint, bucket)
        assert {name.rpartition("/")[2] for name in stored} == {"html", "html_en", "facts"}
        with sqlite3.connect(folder / "evertick-data" / "evertick.db") as database:
            assert database.execute("SELECT count(*) FROM report_parts").fetchone() == (0,)
        for language in report["languages"]:
            status, _, body = fetch(f"{url}/reports/{report['id']}/{language}")
            assert status == 200 and body.rstrip().endswith(b"</html>")

        told = evertick("db", "backup", "copy.db", cwd=folder, env=environment)
        assert f"not in it: the bodies of 1 reports in s3://{bucket}/evertick/" in told.stdout
        told = evertick("doctor", cwd=folder, env=environment)
        assert f"s3://{bucket}/evertick" in told.stdout

        page = next(name for name in stored if name.endswith("/html"))
        keys = {"access_key_id": "key", "secret_access_key": "secret", "endpoint": endpoint, "region": "us-east-1"}
        obstore.delete(S3Store(bucket, config=keys, client_options={"allow_http": True}), page)
        status, headers, body = fetch(f"{url}/api/v1/reports/{report['id']}/parts/html")
        assert (status, headers["content-type"]) == (502, "application/problem+json")
        assert b"is not there" in body
        assert fetch(f"{url}/reports/{report['id']}/en")[0] == 200
    assert "a-secret-of-the-store" not in server.output
    assert "Traceback" not in server.output
