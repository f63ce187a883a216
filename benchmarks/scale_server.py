"""``evertick serve`` with other limits than it has: ``scale_server.py PLACES CONNECTIONS``.

The limits of streams and connections are constants, and scale.py wants to see what lies beyond them. Nothing else is changed.
"""

from __future__ import annotations

import sys
from functools import partial


def main() -> None:
    import evertick.web.serve as serving
    from evertick.__main__ import main as evertick
    from evertick.web.services import WebSettings

    places, connections = map(int, sys.argv[1:3])
    made = WebSettings.of
    WebSettings.of = classmethod(lambda cls, settings, **more: made(settings, stream_clients=places, **more))  # type: ignore[method-assign,assignment]
    serving.serve = partial(serving.serve, connections=connections)
    sys.argv = ["evertick", "serve"]
    evertick()


if __name__ == "__main__":
    main()
