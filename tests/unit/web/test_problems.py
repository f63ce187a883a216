"""Every error is a problem document, or a page for a browser."""

from __future__ import annotations

import pytest

from evertick import errors
from evertick.web.problems import Problem, problem_of, reads_pages, title


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("no"), 404),
        (errors.BadCursor("no"), 400),
        (errors.ArchiveFull("no"), 507),
        (errors.ArchiveReadOnly("no"), 503),
        (errors.ArchiveLocked("no"), 503),
        (errors.ArchiveUnavailable("no"), 503),
        (errors.SchemaMismatch("no"), 503),
        (errors.BoardUnavailable("no"), 503),
        (errors.AssetsMissing("no"), 503),
        (errors.JobRefused("no"), 503),
        (errors.SourceUnavailable("yahoo", "/v7", "no answer"), 500),
    ],
)
def test_statuses(error, status):
    problem = problem_of(error)
    assert problem.status == status
    assert ("Retry-After" in problem.headers) is (status == 503)


def test_the_hint_is_a_member():
    assert problem_of(errors.NotFound("gone", hint="Look elsewhere.")).extra == {"hint": "Look elsewhere."}
    assert problem_of(errors.NotFound("gone")).extra == {}


def test_titles():
    assert (title(404), title(599)) == ("Not Found", "Error")


@pytest.mark.parametrize(
    ("path", "accept", "page"),
    [("/", "text/html,*/*", True), ("/reports/x", "*/*", False), ("/api/v1/x", "text/html", False), ("/x", "", False)],
)
def test_who_reads_pages(path, accept, page):
    assert reads_pages(path, accept) is page


async def test_documents_are_complete(client):
    answer = await client.get("/api/v1/reports/none")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no report none.",
        "instance": "/api/v1/reports/none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        ("GET", "/api/v1/nothing", 404, "There is nothing at /api/v1/nothing."),
        ("DELETE", "/api/v1/indices", 405, "DELETE is not possible here."),
        ("GET", "/api/v1/reports?limit=0", 422, "limit: "),
        ("GET", "/api/v1/reports?limit=many", 422, "limit: "),
        ("GET", "/api/v1/reports?cursor=wrong", 400, "The cursor is not one of this list."),
        ("GET", "/api/v1/slots?cursor=wrong", 400, "start without one"),
        ("GET", "/api/v1/slots?state=sleeping", 422, "state: "),
        ("GET", "/api/v1/memory/receipts?cursor=wrong", 400, "The cursor is not one of this list."),
        ("GET", "/api/v1/jobs/none", 404, "there is no job 'none'"),
        ("GET", f"/api/v1/jobs/{'x' * 97}", 422, "id: "),
    ],
)
async def test_problems(client, method, path, status, part):
    answer = await client.request(method, path)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert part in answer.json()["detail"]
    assert answer.json()["status"] == status


async def test_405_says_what_is_allowed(client):
    assert "GET" in (await client.delete("/api/v1/indices")).headers["allow"]


async def test_a_browser_gets_a_page(client):
    answer = await client.get("/reports/none", headers={"Accept": "text/html"})
    assert answer.status_code == 404 and answer.headers["content-type"].startswith("text/html")
    assert "There is no report none." in answer.text


async def test_what_was_asked_for_is_escaped(client):
    answer = await client.get("/<script>alert(1)</script>", headers={"Accept": "text/html"})
    assert answer.status_code == 404 and "<script>alert" not in answer.text


def test_a_problem_carries_what_it_is_given():
    problem = Problem(418, "tea", headers={"a": "b"}, extra={"slot": "x"})
    assert (problem.status, problem.detail, problem.headers, problem.extra) == (418, "tea", {"a": "b"}, {"slot": "x"})
