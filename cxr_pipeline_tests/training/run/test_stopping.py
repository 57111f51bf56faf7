import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from cxr_pipeline.training.run.stopping import listen_for_stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_sets_the_event_and_afterwards_means_what_it_did(number):
    before = signal.getsignal(number)
    with listen_for_stop() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) == before


def test_another_thread_listens_to_nothing():
    def listen():
        with listen_for_stop() as stop:
            return stop.is_set()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(listen).result() is False
