"""A soak as one might have been: three variants, one of which ends early, bounds that hold, break and stay open, faults."""

from math import inf

from evertick.soak.tape import Bound, Growth, Injury, Look, Moment, Soak, Tape

KB, MB = 1 << 10, 1 << 20


def looks(hours: float, start: int, per_hour: float, every_s: int = 180) -> tuple[Look, ...]:
    return tuple(
        Look(
            at, int(start + per_hour * at / 3600), int(start / 2 + per_hour * at / 7200), 31, 8 + int(per_hour > 0) * n
        )
        for n, at in enumerate(map(float, range(0, int(hours * 3600), every_s)))
    )


def evertick(**more: object) -> Tape:
    return Tape(
        **{
            "name": "evertick",
            "days": 1.0,
            "seconds": 71.25,
            "looks": looks(24, 79 * MB, 0),
            "moments": (
                *(Moment(h * 3600.0, "report") for h in range(0, 24, 3)),
                Moment(40_000.0, "restart", "asked by the soak"),
                Moment(50_000.0, "fault", "redis killed"),
            ),
            "runs": {"refresh_indices": {"ok": 478, "failed": 2}, "report": {"ok": 8}},
            "requests": {"pages": 2501, "api": 2203, "slow": 61, "failed": 3},
            "start_rss": 78 * MB, "steady_rss": 79 * MB + 123_456, "peak_rss": 83 * MB, "peak_above_steady": 3 * MB + 7_000,
            "connections_leaked": 0, "kept_per_report": -40, "kept_per_iteration": 312,
            "kept_per_report_95": (-400.0, 777.0), "kept_per_iteration_95": None, "warm_up_s": 7_200.0,
            "indices": Growth(1_234.0, -3_100.0, 5_432.0), "heap": Growth(2_100.0, -9_000.0, 14_321.0),
            "rss": Growth(10_000.0, -60_000.0, inf),
            "receipts": {
                "refresh_indices": {"runs": 480, "failed": 2, "overlapped": 21, "median_s": 0.083, "retained": 65,
                                    "freed": 1_843_211, "release_s": 0.0003},
                "report": {"runs": 8, "failed": 0, "overlapped": 3, "median_s": 4.1, "retained": 313, "freed": 7_143_211,
                           "release_s": 0.003},
            },
            "notes": ("Evertick has a note.",),
        }
        | more
    )  # type: ignore[arg-type]  # fmt: skip


def twin(name: str, per_hour: float, hours: float, **more: object) -> Tape:
    return evertick(
        name=name, days=hours / 24, looks=looks(hours, 91 * MB, per_hour), moments=(), requests={}, receipts={},
        runs={"refresh_indices": {"ok": int(hours * 20)}}, notes=(f"The twin {name} has a note.",),
        kept_per_report=23_385_416, connections_leaked=431, indices=Growth(203e6, 202e6, 204e6), **more,
    )  # fmt: skip


def soak(**more: object) -> Soak:
    return Soak(
        **{
            "command": "evertick soak --days 1 --compare --faults <seeded>",
            "started": "2026-11-28T07:12:03Z",
            "seconds": 312.5,
            "seed": 4711,
            "evertick": "0.1.0",
            "machine": {"cpus": 2, "processor": "a processor", "memory": {"total": "7.8 GB"}},
            "versions": {"python": "3.11.2", "sqlalchemy": "2.0.44"},
            "settings": {"days": 1.0, "real_s": None, "faults": True, "board": "embedded", "languages": ["vi", "en"]},
            "variants": {
                "evertick": evertick(),
                "before": twin("before", 27 * MB, 21.5, crashed="out of memory: 651 MB"),
                "after": twin("after", 1 * MB, 24),
            },
            "bounds": (
                Bound("connections leaked", 0, 0, "count", True),
                Bound("kept per report", -40.0, 1024, "bytes", True, "the median of 8 reports"),
                Bound("growth of RSS, in all", 300_000.0, 262_144, "bytes/day", None, "not settled in 24 hours"),
                Bound("RSS beside an import of the same stack", 1.04, 1.1, "ratio", True),
                Bound("peak above steady", 5.4 * MB, 5 * MB, "bytes", False, "too high"),
                Bound("kept per iteration", None, 1024, "bytes", None, "no report ran alone"),
            ),
            "faults": (
                Injury(20_000.0, "redis killed", "kill -9 & start", 1.4, {"slots lost": True, "reports gone": True}),
                Injury(50_000.0, "disk full", "4 MB left", None, {"slots lost": True, "memory kept": "heap <2.1 MB> higher"}),
            ),
            "notes": ("The soak has a note.",),
        }
        | more
    )  # type: ignore[arg-type]  # fmt: skip
