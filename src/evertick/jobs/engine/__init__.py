"""Jobs on several machines: SAQ carries slots from the ledger to workers. Imported in the distributed mode only.

`enqueuer` writes into SAQ's queue what the ledger says is ready, `worker` leases what SAQ delivers and runs it, `queue`
is SAQ's queue on PostgreSQL, counting in the database's time. The ledger decides: whatever SAQ loses, repeats or delivers
late changes nothing but when something runs.
"""
