"""A polite end: SIGTERM (a scheduler's notice), SIGUSR1 (Slurm's early warning), SIGINT (Ctrl-C) and SIGHUP (a terminal
that was closed) ask a program to save and leave."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)


@contextmanager
def listen_for_stop() -> Iterator[threading.Event]:
    """An event that is set when one of SIGNALS arrives, which otherwise would end the program.

    One that was ignored from the start stays so, as SIGHUP after `nohup`. Python lets the main thread alone do so; in
    another thread the event stays unset.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(_: int, __: FrameType | None) -> None:
        asked.set()

    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
