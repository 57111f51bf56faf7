from cxr_pipeline.images.prepare.progress import Pace


def _pace(*seconds):
    moments = iter(seconds)
    return Pace(clock=lambda: next(moments))


def test_rate_and_remaining_time_leave_out_what_an_earlier_run_did():
    pace = _pace(100.0, 110.0, 160.0)
    assert pace.describe(5000, 8000, 0) == "0 in quarantine"
    assert pace.describe(5100, 8000, 1) == "10 images/s, 5 min left, 1 in quarantine"
    assert pace.describe(8000, 8000, 1200) == "50 images/s, 1,200 in quarantine"


def test_remaining_time_has_a_fitting_unit():
    assert _described(left=89) == "89 s left"
    assert _described(left=600) == "10 min left"
    assert _described(left=9000) == "2.5 h left"


def _described(left):
    pace = _pace(0.0, 1.0)
    pace.describe(0, left + 1, 0)
    return pace.describe(1, left + 1, 0).split(", ")[1]
