import re

import numpy as np
import pytest

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.reports import AFFIRMED, DENIED, NORMAL, write_report


def many(findings):
    rng = np.random.default_rng(0)
    return [write_report(rng, findings) for _ in range(200)]


def test_every_class_can_be_affirmed():
    assert tuple(AFFIRMED) == PATHOLOGIES


@pytest.mark.parametrize("finding", PATHOLOGIES)
def test_finding_is_affirmed_and_never_denied(finding):
    sentence, line = AFFIRMED[finding]
    for report in many((finding,)):
        assert sentence in report["findings"]
        assert report["impression"] == line
        denied = " ".join(re.findall(r"No [^.]*\.", report["findings"]))
        assert DENIED.get(finding, "-") not in denied


def test_absent_findings_are_denied_in_about_half_of_the_reports():
    share = np.mean(["pneumothorax" in report["findings"] for report in many(())])
    assert share == pytest.approx(0.5, abs=0.12)


def test_healthy_report_affirms_nothing():
    for report in many(()):
        assert report["impression"] == NORMAL
        assert not any(sentence in report["findings"] for sentence, _ in AFFIRMED.values())
        assert report["findings"].startswith("Heart size is normal.")


def test_indication_asks_only_for_what_is_not_there():
    asked = {report["indication"] for report in many(("Effusion",))}
    assert "Evaluate for pneumonia." in asked
    assert not any("effusion" in text for text in asked)


def test_lists_of_three_have_commas_and_an_or():
    texts = {report["findings"] for report in many(())}
    assert any(re.search(r"No [\w ]+, [\w ]+, or [\w ]+\.", text) for text in texts)


def test_all_findings_together_leave_nothing_to_deny():
    [report, *_] = many(PATHOLOGIES)
    assert "No " not in report["findings"]
