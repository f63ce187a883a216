"""Eight job engines behind three verbs, for `trial.py`: ``python adapters.py ENGINE setup|worker|enqueue FIRST COUNT SECONDS``.

Each is set up as its documentation advises for jobs that must not be lost (late acknowledgement, heartbeats or idle time-outs as
short as it lets them be chosen), with at most four jobs at a time in a worker. A job writes down when it began and when it ended.
``REDIS_URL``, ``DATABASE_URL`` and ``TRIAL_LOG`` are in the environment. Runs in an environment of its own, `requirements/engines.txt`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

REDIS, DATABASE, LOG = (os.environ.get(name, "") for name in ("REDIS_URL", "DATABASE_URL", "TRIAL_LOG"))
AT_ONCE = 4
DEAD_AFTER_S = 10


def told(what: str, number: int) -> None:
    """One short write in append mode: whole lines, also from several processes."""
    line = f"{what} {number} {os.getpid()} {time.time():.3f}\n".encode()
    handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line)
    os.close(handle)


async def work(number: int, seconds: float) -> None:
    told("began", number)
    await asyncio.sleep(seconds)
    told("ended", number)


def blocking(number: int, seconds: float) -> None:
    told("began", number)
    time.sleep(seconds)
    told("ended", number)


# --- SAQ on PostgreSQL -----------------------------------------------------------------------------------------------


def saq(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    from saq import Queue, Worker

    queue = Queue.from_url(DATABASE)

    async def task(context: Any, *, number: int, seconds: float) -> None:
        async def alive() -> None:
            while True:
                await asyncio.sleep(2)
                await context["job"].update()

        beating = asyncio.ensure_future(alive())
        try:
            await work(number, seconds)
        finally:
            beating.cancel()

    async def enqueue() -> None:
        await queue.connect()
        for number, seconds in jobs:
            await queue.enqueue("task", number=number, seconds=seconds, retries=5, timeout=0, heartbeat=6)
        await queue.disconnect()

    async def run() -> None:
        await queue.connect()
        await Worker(queue, [("task", task)], concurrency=AT_ONCE, timers={"sweep": 5}).start()

    asyncio.run(run() if verb == "worker" else enqueue())


# --- Celery on Redis -------------------------------------------------------------------------------------------------


def celery(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    from celery import Celery

    app = Celery("trial", broker=REDIS)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_transport_options={"visibility_timeout": DEAD_AFTER_S},
        broker_connection_retry_on_startup=True,
        task_ignore_result=True,
    )
    task = app.task(blocking, name="task")
    if verb == "worker":
        name = f"trial{os.getpid()}@%h"
        app.worker_main(["worker", f"--concurrency={AT_ONCE}", "--loglevel=critical", "-n", name])
    for number, seconds in jobs:
        task.delay(number, seconds)


# --- Taskiq on Redis streams -----------------------------------------------------------------------------------------


def taskiq(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    from taskiq.api import run_receiver_task
    from taskiq_redis import RedisStreamBroker

    broker = RedisStreamBroker(REDIS, idle_timeout=DEAD_AFTER_S * 1000, consumer_id="0")
    task = broker.register_task(work, task_name="task")

    async def run() -> None:
        broker.is_worker_process = verb == "worker"
        await broker.startup()
        if verb == "worker":
            await run_receiver_task(broker, max_async_tasks=AT_ONCE)
        for number, seconds in jobs:
            await task.kiq(number, seconds)
        await broker.shutdown()

    asyncio.run(run())


# --- Dramatiq on Redis -----------------------------------------------------------------------------------------------


def dramatiq(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=REDIS, heartbeat_timeout=DEAD_AFTER_S * 1000, maintenance_chance=100_000)
    dramatiq.set_broker(broker)
    task = dramatiq.actor(blocking, actor_name="task", max_retries=5)
    if verb == "worker":
        worker = dramatiq.Worker(broker, worker_threads=AT_ONCE)
        worker.start()
        while True:
            time.sleep(60)
    for number, seconds in jobs:
        task.send(number, seconds)


# --- Procrastinate on PostgreSQL -------------------------------------------------------------------------------------


def procrastinate(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DATABASE))
    task = app.task(work, name="task", retry=5)

    @app.periodic(cron="* * * * * */5")
    @app.task(queueing_lock="rescue", pass_context=True)
    async def rescue(context: Any, timestamp: int) -> None:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_S):
            await app.job_manager.retry_job(job)

    async def run() -> None:
        async with app.open_async():
            if verb == "setup":
                await app.schema_manager.apply_schema_async()
            elif verb == "worker":
                await app.run_worker_async(concurrency=AT_ONCE, update_heartbeat_interval=2, stalled_worker_timeout=6)
            for number, seconds in jobs:
                await task.defer_async(number=number, seconds=seconds)

    asyncio.run(run())


# --- PgQueuer on PostgreSQL ------------------------------------------------------------------------------------------


def pgqueuer(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    import asyncpg
    from pgqueuer import AsyncpgDriver, PgQueuer, Queries

    async def run() -> None:
        connection = await asyncpg.connect(DATABASE)
        queries = Queries(AsyncpgDriver(connection))
        if verb == "setup":
            await queries.install()
        elif verb == "worker":
            engine = PgQueuer(AsyncpgDriver(connection))

            @engine.entrypoint("task")
            async def task(job: Any) -> None:
                number, seconds = (job.payload or b"").decode().split()
                await work(int(number), float(seconds))

            await engine.run(max_concurrent_tasks=2 * AT_ONCE, batch_size=AT_ONCE)
        for number, seconds in jobs:
            await queries.enqueue("task", f"{number} {seconds}".encode())
        await connection.close()

    asyncio.run(run())


# --- streaq on Redis -------------------------------------------------------------------------------------------------


def streaq(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    from streaq import Worker

    worker: Any = Worker(redis_url=REDIS, concurrency=AT_ONCE, idle_timeout=DEAD_AFTER_S)

    @worker.task(name="task", max_tries=5)
    async def task(number: int, seconds: float) -> None:
        await work(number, seconds)

    async def enqueue() -> None:
        async with worker:
            for number, seconds in jobs:
                await task.enqueue(number, seconds)

    if verb == "worker":
        worker.run_sync()
    else:
        asyncio.run(enqueue())


# --- DBOS on PostgreSQL ----------------------------------------------------------------------------------------------


def dbos(verb: str, jobs: Sequence[tuple[int, float]]) -> None:
    from dbos import DBOS, DBOSClient

    url = DATABASE.replace("postgresql://", "postgresql+psycopg://")
    if verb != "worker":
        client = DBOSClient(system_database_url=url)
        for number, seconds in jobs:
            client.enqueue({"queue_name": "trial", "workflow_name": "task"}, number, seconds)
        client.destroy()
        return
    # Each worker is an executor of its own; what a dead one ran is recovered when one of the same name starts again.
    executor = os.environ.get("TRIAL_WORKER", "1")
    DBOS(
        config={
            "name": "trial",
            "system_database_url": url,
            "executor_id": executor,
            "application_version": "1",
            "log_level": "CRITICAL",
            "run_admin_server": False,
        }
    )
    DBOS.workflow(name="task")(blocking)
    DBOS.launch()
    DBOS.register_queue("trial", worker_concurrency=AT_ONCE)
    while True:
        time.sleep(60)


ENGINES: dict[str, Callable[[str, Sequence[tuple[int, float]]], None]] = {
    "saq": saq,
    "celery": celery,
    "taskiq": taskiq,
    "dramatiq": dramatiq,
    "procrastinate": procrastinate,
    "pgqueuer": pgqueuer,
    "streaq": streaq,
    "dbos": dbos,
}


def main() -> None:
    engine, verb, *rest = sys.argv[1:]
    first, count, seconds = (int(rest[0]), int(rest[1]), float(rest[2])) if rest else (0, 0, 0.0)
    ENGINES[engine](verb, [(number, seconds) for number in range(first, first + count)])


if __name__ == "__main__":
    main()
