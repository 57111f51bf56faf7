from collections import Counter
from functools import cache

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.cohort import COMPANIONS, MAX_AGE_YEARS, RATES, draw_patient
from cxr_pipeline.phantom.findings import CHRONIC


@cache
def patients():
    return [draw_patient("nih", 0, index) for index in range(600)]


def studies():
    return [study for patient in patients() for study in patient.studies]


def test_a_patient_is_the_same_whenever_drawn():
    assert draw_patient("nih", 0, 17) == patients()[17]
    assert draw_patient("nih", 1, 17) != patients()[17]
    assert draw_patient("chexpert", 0, 17).thorax.key != patients()[17].thorax.key


def test_every_pathology_has_a_rate_and_enough_positives():
    counts = Counter(finding for study in studies() for finding in study.findings)
    assert tuple(RATES) == PATHOLOGIES
    assert min(counts[finding] for finding in PATHOLOGIES) > 0.03 * len(studies())


def test_a_third_to_a_half_of_the_studies_show_nothing():
    normal = sum(not study.findings for study in studies()) / len(studies())
    assert 0.30 < normal < 0.55


def test_patients_have_several_studies_numbered_from_zero():
    assert 1.5 < len(studies()) / len(patients()) < 2.5
    for patient in patients():
        assert [study.number for study in patient.studies] == list(range(len(patient.studies)))


def test_chronic_findings_stay_and_acute_ones_come_and_go():
    changed = Counter()
    for patient in patients():
        for before, after in zip(patient.studies, patient.studies[1:], strict=False):
            changed.update(set(before.findings) ^ set(after.findings))
    assert not CHRONIC.intersection(changed)
    assert set(changed) == set(PATHOLOGIES) - CHRONIC


def test_companions_come_together_more_often_than_alone():
    for cause, companion, _ in COMPANIONS:
        with_cause = [companion in study.findings for study in studies() if cause in study.findings]
        without = [companion in study.findings for study in studies() if cause not in study.findings]
        assert sum(with_cause) / len(with_cause) > sum(without) / len(without)


def test_ages_are_adult_and_never_decrease():
    for patient in patients():
        ages = [study.age_years for study in patient.studies]
        assert ages == sorted(ages)
        assert ages[0] >= 18
        assert ages[-1] <= MAX_AGE_YEARS


def test_share_of_ap_follows_the_source():
    stanford = [s for index in range(300) for s in draw_patient("chexpert", 0, index).studies]
    assert 0.3 < sum(study.view == "AP" for study in studies()) / len(studies()) < 0.5
    assert 0.78 < sum(study.view == "AP" for study in stanford) / len(stanford) < 0.92
