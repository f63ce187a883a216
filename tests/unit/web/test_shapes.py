"""The OpenAPI description tells the truth about what is answered."""

from __future__ import annotations

from evertick.web import shapes
from unit.web.fakes import NOW


async def test_describes_every_route_of_the_design(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths) == {
        "/api/v1/indices", "/api/v1/indices/refresh", "/api/v1/indices/stream", "/api/v1/reports", "/api/v1/reports/{id}",
        "/api/v1/reports/{id}/parts/{part}", "/api/v1/jobs/{id}", "/api/v1/jobs/{id}/stream", "/api/v1/slots", "/api/v1/memory",
        "/api/v1/memory/receipts", "/api/v1/memory/timeline", "/api/v1/memory/components", "/api/v1/memory/web",
        "/api/v1/reports/{id}/pin", "/api/v1/reports/{id}/unpin", "/api/v1/reports/{id}/render",
            "/api/v1/reports/{before}/diff/{after}", "/api/v1/memory/diagnoses", "/api/v1/memory/diagnose", "/api/v1/indices/{id}/history", "/api/v1/sources", "/api/v1/desks", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    for methods in paths.values():
        for operation in methods.values():
            assert operation["summary"] and operation["description"]
            assert operation["responses"]["default"]["content"]["application/problem+json"]


async def test_references_lead_somewhere(client):
    import re

    text = (await client.get("/openapi.json")).text
    schema = (await client.get("/openapi.json")).json()
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in schema["components"]["schemas"], name


async def test_quotes_and_sources_fit_their_shapes(client):
    shapes.Indices.model_validate((await client.get("/api/v1/indices", params={"spark": "true"})).json(), strict=False)
    sources = (await client.get("/api/v1/sources")).json()
    assert shapes.Listed[shapes.SourceShape].model_validate(sources).items[0].name == "yahoo"
    assert sources["next"] is None


def test_a_report_leads_to_its_parts_and_pages(filled):
    meta = filled.reports.add(NOW)
    shape = shapes.report_shape(meta)
    assert shape.href == {"vi": f"/reports/{meta.id}/vi", "en": f"/reports/{meta.id}/en"}
    assert shape.parts[1].href == f"/api/v1/reports/{meta.id}/parts/html_en"
    assert shape.size == meta.size
