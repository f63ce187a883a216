import json
from dataclasses import asdict

from evertick.soak.tape import LOOKS, Bound, Growth, Injury, Look, Moment, Soak, Tape, thinned


def soak() -> Soak:
    tape = Tape(
        "evertick", 1.0, 60.0, (Look(0.0, 5, None, 3, 1), Look(180.0, 6, 4, 3, 1)), (Moment(180.0, "report"),),
        runs={"report": {"done": 1}}, indices=Growth(1.0, -1.0, 2.0), notes=("a note",),
    )  # fmt: skip
    return Soak(
        "evertick soak --days 1", "2026-11-28T07:00:00Z", 61.0, 7, "0.1.0", {"cpus": 2}, {"python": "3.11"}, {"days": 1.0},
        {"evertick": tape}, (Bound("kept", 1.0, 2.0, "bytes", True),), (Injury(1.0, "kill", "the server", 2.0, {"slots": True}),),
    )  # fmt: skip


def test_a_soak_comes_back_from_its_json() -> None:
    read = json.loads(json.dumps(soak().as_json()))
    assert Soak.of(read) == Soak.of({**read, "something": "newer"})
    assert json.loads(json.dumps(Soak.of(read).as_json())) == read
    assert Soak.of(read).variants["evertick"].looks[1].rss == 6
    assert read["variants"]["evertick"]["indices"] == {"per_day": 1.0, "low": -1.0, "high": 2.0}
    assert Tape.of(json.loads(json.dumps(asdict(soak().variants["evertick"])))) == Soak.of(read).variants["evertick"]


def test_thinning_never_loses_the_highest_rss() -> None:
    looks = [Look(float(n), 100 + (900 if n == 4_567 else n % 7), None, None, None) for n in range(14_400)]
    thin = thinned(looks)
    assert len(thin) <= LOOKS
    assert max(look.rss or 0 for look in thin) == 1000
    assert [look.at for look in thin] == sorted(look.at for look in thin)
    assert thinned(looks[:LOOKS]) == tuple(looks[:LOOKS])
