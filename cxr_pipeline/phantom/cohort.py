"""Who is in a phantom collection: patients with several studies, findings that stay, and findings that come together.

Rates are far above a hospital's, so that a few hundred patients show every finding. Nothing is rendered here.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.anatomy import Thorax, draw_thorax
from cxr_pipeline.phantom.findings import CHRONIC
from cxr_pipeline.phantom.render import STYLES, View

RATES = {
    "Atelectasis": 0.14,
    "Cardiomegaly": 0.13,
    "Consolidation": 0.10,
    "Edema": 0.09,
    "Effusion": 0.13,
    "Emphysema": 0.10,
    "Fibrosis": 0.10,
    "Hernia": 0.07,
    "Infiltration": 0.14,
    "Mass": 0.10,
    "Nodule": 0.13,
    "Pleural_Thickening": 0.11,
    "Pneumonia": 0.09,
    "Pneumothorax": 0.10,
}
"""Chance of a finding in a patient of average frailty: once for chronic ones, in every study for the others."""

COMPANIONS = (
    ("Cardiomegaly", "Edema", 0.15),
    ("Edema", "Effusion", 0.50),
    ("Pneumonia", "Infiltration", 0.25),
    ("Pneumonia", "Effusion", 0.15),
    ("Mass", "Atelectasis", 0.20),
    ("Emphysema", "Pneumothorax", 0.15),
)
"""Cause, companion, chance that it comes along: the pairs that radiologists see together, roughly."""

HEALTHY_SHARE = 0.25  # patients of whom no study shows anything
MAX_STUDIES = 6
LATERAL_SHARE = 0.25
MAX_AGE_YEARS = 94


@dataclass(frozen=True)
class Study:
    """One visit: `number` counts from 0, `findings` are in the order of PATHOLOGIES, `seed` is for the pixels."""

    number: int
    age_years: int
    view: View
    has_lateral: bool
    findings: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Patient:
    """One invented person; `index` counts from 0 within the collection."""

    index: int
    thorax: Thorax
    studies: tuple[Study, ...]

    @property
    def sex(self) -> str:
        return "M" if self.thorax.is_male else "F"


def draw_patient(source: str, seed: int, index: int) -> Patient:
    """The patient at `index`: depends on these three values alone, never on how many patients there are."""
    rng = np.random.default_rng([seed, zlib.crc32(source.encode()), index])
    thorax = draw_thorax(rng)
    frailty = 0.0 if rng.random() < HEALTHY_SHARE else rng.uniform(0.5, 1.5)
    age = int(np.clip(rng.normal(42 + 12 * frailty, 16), 18, MAX_AGE_YEARS))
    chronic = {finding for finding in PATHOLOGIES if finding in CHRONIC and rng.random() < RATES[finding] * frailty}
    studies = []
    for number in range(min(int(rng.geometric(0.5)), MAX_STUDIES)):
        studies.append(_draw_study(rng, number, age, _draw_findings(rng, chronic, frailty), STYLES[source].ap_share))
        age = min(age + int(rng.integers(0, 3)), MAX_AGE_YEARS)
    return Patient(index, thorax, tuple(studies))


def _draw_study(rng: np.random.Generator, number: int, age: int, findings: tuple[str, ...], ap_share: float) -> Study:
    return Study(
        number=number,
        age_years=age,
        view="AP" if rng.random() < ap_share else "PA",
        has_lateral=bool(rng.random() < LATERAL_SHARE),
        findings=findings,
        seed=int(rng.integers(2**62)),
    )


def _draw_findings(rng: np.random.Generator, chronic: set[str], frailty: float) -> tuple[str, ...]:
    acute = {finding for finding in PATHOLOGIES if finding not in CHRONIC and rng.random() < RATES[finding] * frailty}
    findings = chronic | acute
    for cause, companion, chance in COMPANIONS:
        if rng.random() < chance and cause in findings:
            findings = findings | {companion}
    return tuple(finding for finding in PATHOLOGIES if finding in findings)
