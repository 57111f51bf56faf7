import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from cxr_pipeline.training.run.stopping import listen_for_stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_signal_sets_the_event_and_afterwards_means_what_it_did(number):
    before = signal.getsignal(number)
    with listen_for_stop() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) == before


def test_what_nohup_made_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listen_for_stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.wait(0.1)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_listens_to_nothing():
    def listen():
        with listen_for_stop() as stop:
            return stop.is_set()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(listen).result() is False
