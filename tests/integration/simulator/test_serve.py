"""The simulator behind a real socket: what breaks a connection, what is slow, starting and stopping."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from datetime import UTC, datetime

import httpx2
import pytest

from evertick.errors import SettingsError
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve, serve_forever
from unit.simulator.samples import INSTRUMENTS, NOW

FNG = "/alternative/fng/?limit=30"


@pytest.fixture
def market() -> Market:
    return Market(INSTRUMENTS, clock=MarketClock(NOW, 0))


async def test_it_answers_over_http(market: Market) -> None:
    async with serve(market) as address, httpx2.AsyncClient() as client:
        urls = base_urls(address)
        spark = await client.get(f"{urls['yahoo']}/v7/finance/spark", params={"symbols": "^GSPC,BTC-USD"})
        assert [item["symbol"] for item in spark.json()["spark"]["result"]] == ["^GSPC", "BTC-USD"]
        assert spark.headers["content-encoding"] == "gzip"
        coins = await client.get(f"{urls['coingecko']}/coins/markets", params={"vs_currency": "usd"})
        assert coins.json()[0]["id"] == "bitcoin"
        fng = await client.get(f"{urls['alternative']}/fng/")
        assert len(fng.json()["data"]) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", httpx2.ReadError),
        ("close", httpx2.RemoteProtocolError),
        ("garbage", httpx2.RemoteProtocolError),
        ("badchunk", httpx2.RemoteProtocolError),
        ("tls", httpx2.RemoteProtocolError),
        ("cut", httpx2.RemoteProtocolError),
    ],
)
async def test_broken_connections(market: Market, kind: str, error: type[Exception]) -> None:
    async with serve(market, Faults([f"alternative={kind}:x1"])) as address, httpx2.AsyncClient() as client:
        with pytest.raises(error):
            await client.get(address + FNG)
        assert (await client.get(address + FNG)).status_code == 200


async def test_a_reset_is_one_on_the_wire(market: Market) -> None:
    async with serve(market, Faults(["alternative=reset"])) as address:
        port = int(address.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /alternative/fng/ HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_a_drip_is_a_byte_at_a_time_and_ends_with_the_simulator(market: Market) -> None:
    async with serve(market, Faults(["alternative=drip"])) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]))
        writer.write(b"GET /alternative/fng/ HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b"chunked" in head
        assert await asyncio.wait_for(reader.readexactly(6), 5) == b"1\r\n{\r\n"
    assert len(await asyncio.wait_for(reader.read(), 5)) < 100
    writer.close()


async def test_an_endless_body_is_larger_than_any_cap(market: Market) -> None:
    async with serve(market, Faults(["yahoo=endless"])) as address, httpx2.AsyncClient() as client:
        received = 0
        async with client.stream("GET", address + "/yahoo/v8/finance/chart/BTC-USD") as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_raw():
                received += len(piece)
                if received > 3 << 20:
                    break
        assert received > 3 << 20


async def test_who_hangs_is_let_go_by_the_client_or_the_end(market: Market) -> None:
    faults = Faults(["alternative=hang"])
    async with serve(market, faults) as address:
        async with httpx2.AsyncClient() as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get(address + FNG, timeout=0.3)
        waiting = httpx2.AsyncClient()
        request = asyncio.create_task(waiting.get(address + FNG, timeout=30))
        while faults.requests["alternative"] < 2:
            await asyncio.sleep(0.01)
    with pytest.raises(httpx2.HTTPError):
        await asyncio.wait_for(request, 5)
    await waiting.aclose()


async def test_late_is_right_in_the_end(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evertick.simulator.broken.LATE", 0.05)
    async with serve(market, Faults(["alternative=late"])) as address, httpx2.AsyncClient() as client:
        assert len((await client.get(address + FNG)).json()["data"]) == 30


async def test_nothing_stays_behind(market: Market) -> None:
    before = {task for task in asyncio.all_tasks() if not task.done()}
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        async with serve(market, Faults(["all=any:0.5"])) as address, httpx2.AsyncClient() as client:
            for _ in range(10):
                try:
                    await client.get(address + FNG)
                except httpx2.HTTPError:
                    continue
    assert {task for task in asyncio.all_tasks() if not task.done()} == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_a_port_that_is_taken_is_said(market: Market) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*another port"):
            async with serve(market, port=port):
                raise AssertionError("it started")


@pytest.mark.parametrize(("host", "port"), [("no-such-host.invalid", 0), ("127.0.0.1", 70_000)])
async def test_an_impossible_address_is_said(market: Market, host: str, port: int) -> None:
    with pytest.raises(SettingsError, match="cannot listen"):
        async with serve(market, host=host, port=port):
            raise AssertionError("it started")


async def test_serve_forever_until_cancelled() -> None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    start = datetime(2030, 1, 2, 3, tzinfo=UTC)
    task = asyncio.create_task(
        serve_forever(
            INSTRUMENTS, seed=9, start=start, speed=0, fail=["yahoo=404"], ready=address.set_result, signals=False
        )
    )
    base = await asyncio.wait_for(address, 5)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(base + "/control/clock")).json()["now"] == start.isoformat()
        assert (await client.get(base + "/yahoo/v8/finance/chart/BTC-USD")).status_code == 404
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_wrong_is_said_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="typo"):
        await serve_forever(INSTRUMENTS, fail=["yahoo=typo"])
    with pytest.raises(SettingsError, match="speed"):
        await serve_forever(INSTRUMENTS, speed=-1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_process_of_its_own_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    program = "from evertick.simulator import run; from evertick.universe import load; run(load(), ready=lambda a: print(a, flush=True))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    address = b""
    while not address.startswith(b"http://"):
        address = await asyncio.wait_for(process.stdout.readline(), 20)
        assert address, "it ended at its start"
    async with httpx2.AsyncClient() as client:
        assert (await client.get(address.decode().strip() + FNG)).status_code == 200
        process.send_signal(number)
        _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    assert b"Traceback" not in errors
