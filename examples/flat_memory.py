"""A service of your own with jobs that are measured and released: run it with ``python examples/flat_memory.py``."""

import asyncio
import sys

from evertick.memory import default_keeper, keep, settle

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5


async def import_orders() -> int:
    """Stands for work: 20 MB that the job holds while it runs."""
    orders = [{"id": n, "text": "x" * 100} for n in range(60_000)]
    await asyncio.sleep(0.05)
    return len(orders)


async def main() -> None:
    settle()
    for _ in range(ROUNDS):
        async with keep("import_orders"):
            await import_orders()
    kept = [receipt.retained for receipt in default_keeper().recent]
    print("bytes kept by each run:", kept)


asyncio.run(main())
