"""Writes the English report of a phantom study, so that a reader of reports has something to read. No files, no pixels.

The sentences are ours. What is drawn is affirmed; of the rest some is denied, some left out, and some only asked about.
"""

from collections.abc import Collection

import numpy as np

from cxr_pipeline.pathologies import PATHOLOGIES

AFFIRMED = {
    "Atelectasis": ("There is atelectasis at the lung base.", "Basilar atelectasis."),
    "Cardiomegaly": ("The heart is enlarged.", "Cardiomegaly."),
    "Consolidation": ("There is consolidation in the lower lobe.", "Lower lobe consolidation."),
    "Edema": ("There is interstitial pulmonary edema.", "Pulmonary edema."),
    "Effusion": ("There is a small pleural effusion.", "Small pleural effusion."),
    "Emphysema": ("Emphysema is present in both upper lobes.", "Emphysema."),
    "Fibrosis": ("There is pulmonary fibrosis with coarse reticulation.", "Pulmonary fibrosis."),
    "Hernia": ("A hiatal hernia is noted behind the heart.", "Hiatal hernia."),
    "Infiltration": ("There is a patchy infiltrate.", "Patchy infiltrate."),
    "Mass": ("There is a large mass in the lung.", "Lung mass."),
    "Nodule": ("A small pulmonary nodule is seen.", "Pulmonary nodule."),
    "Pleural_Thickening": ("There is apical pleural thickening.", "Pleural thickening."),
    "Pneumonia": ("There is pneumonia in the lower lobe.", "Pneumonia."),
    "Pneumothorax": ("There is a pneumothorax.", "Pneumothorax."),
}
"""Class -> its sentence in the findings, its line in the impression."""

DENIED = {
    "Atelectasis": "atelectasis",
    "Consolidation": "focal consolidation",
    "Edema": "pulmonary edema",
    "Effusion": "pleural effusion",
    "Infiltration": "infiltrate",
    "Mass": "mass",
    "Nodule": "pulmonary nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
"""Class -> how it reads after "No". What is not here is left out where it is not there, as radiologists do."""

DENIED_SHARE = 0.5
INDICATIONS = ("Cough.", "Chest pain.", "Shortness of breath.", "Evaluate for {}.", "History of {}.")
NORMAL = "No acute cardiopulmonary abnormality."


def write_report(rng: np.random.Generator, findings: Collection[str]) -> dict[str, str]:
    """Section -> text: `indication`, `comparison`, `findings`, `impression`.

    Who reads findings and impression as they are meant recovers exactly `findings`; the indication asks for what is
    not there.
    """
    absent = [name for name in DENIED if name not in findings]
    asked = DENIED[absent[rng.integers(len(absent))]] if absent else "fever"
    denied = [DENIED[name] for name in absent if rng.random() < DENIED_SHARE]
    seen = [name for name in PATHOLOGIES if name in findings]
    heart = [] if "Cardiomegaly" in findings else ["Heart size is normal."]
    return {
        "indication": INDICATIONS[rng.integers(len(INDICATIONS))].format(asked),
        "comparison": "None.",
        "findings": " ".join([*heart, *(AFFIRMED[name][0] for name in seen), *_deny(denied)]),
        "impression": " ".join(AFFIRMED[name][1] for name in seen) or NORMAL,
    }


def _deny(words: list[str]) -> list[str]:
    """`No a.`, `No a or b.`, `No a, b, or c.`: the comma list is where a reader loses the negation."""
    if len(words) < 3:
        return [f"No {' or '.join(words)}."] if words else []
    return [f"No {', '.join(words[:-1])}, or {words[-1]}."]
