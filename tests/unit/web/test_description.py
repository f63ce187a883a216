"""A server without docstrings says of its API what one with them says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from evertick.errors import EvertickError
from evertick.web import description
from evertick.web.app import bare_app
from evertick.web.description import Description, described


async def test_another_process_makes_the_same_document() -> None:
    document = await described("1.2.3")
    assert json.loads(document) == bare_app("1.2.3").openapi()


def test_without_docstrings_it_would_say_less() -> None:
    """Else there would be no need for another process."""
    code = "from evertick.web.app import bare_app; import json; print(len(json.dumps(bare_app('1').openapi())))"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < len(json.dumps(bare_app("1").openapi()))


def test_a_lean_process_can_make_it_after_all() -> None:
    code = (
        "from evertick.lean import start_lean; start_lean(); from fastapi.openapi.models import Contact; "
        "from pydantic import BaseModel; import json; assert not Contact.__pydantic_complete__; assert not BaseModel.model_config; "
        "from evertick.web.app import bare_app; print(json.dumps(bare_app('1').openapi()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == bare_app("1").openapi()


async def test_it_is_made_once() -> None:
    times = 0

    def here() -> dict[str, str]:
        nonlocal times
        times += 1
        return {"openapi": "é"}

    made = Description("1", here)
    assert await made.document() == await made.document() == '{"openapi":"é"}'.encode()
    assert times == 1


async def test_what_went_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description.sys, "executable", "/bin/false")
    with pytest.raises(EvertickError, match="could not be made: exit code 1"):
        await described("1")
