from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

CODE = "from evertick import terminal; terminal.as_json({'quotes': ['ữ' * 50] * 20_000})"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_gets_all_of_a_long_answer(unbuffered: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": unbuffered, "PYTHONUTF8": "1"}
    )
    assert command.stdout is not None
    time.sleep(0.5)  # the pipe is full by now
    whole = command.stdout.read()
    command.stdout.close()
    assert command.wait(20) == 0
    assert len(json.loads(whole)["quotes"]) == 20_000
