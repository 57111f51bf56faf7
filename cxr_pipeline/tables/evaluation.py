"""Tables of `evaluation/`: probabilities and metrics."""

import dataframely as dy

from cxr_pipeline.pathologies import SPLITS


def _probability(pathology: str) -> dy.Float32:
    return dy.Float32(nullable=False, min=0.0, max=1.0, description=f"Predicted probability of {pathology}")


class PredictionTable(dy.Schema):
    """One row per evaluated image: the probability of each class."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the cohort")
    split = dy.Enum(SPLITS, nullable=False, description="Split of the image")
    Atelectasis = _probability("Atelectasis")
    Cardiomegaly = _probability("Cardiomegaly")
    Consolidation = _probability("Consolidation")
    Edema = _probability("Edema")
    Effusion = _probability("Effusion")
    Emphysema = _probability("Emphysema")
    Fibrosis = _probability("Fibrosis")
    Hernia = _probability("Hernia")
    Infiltration = _probability("Infiltration")
    Mass = _probability("Mass")
    Nodule = _probability("Nodule")
    Pleural_Thickening = _probability("Pleural_Thickening")
    Pneumonia = _probability("Pneumonia")
    Pneumothorax = _probability("Pneumothorax")


class MetricTable(dy.Schema):
    """One row per number of the evaluation, with its 95 % interval. A null value means "n/a", never 0.5."""

    split = dy.Enum(SPLITS, primary_key=True, description="Which split was measured")
    source = dy.String(primary_key=True, description="Dataset, or `all`")
    subgroup = dy.String(primary_key=True, description="`all`, or a named part of the patients")
    pathology = dy.String(primary_key=True, description="Class, or `macro` for the mean over classes with a value")
    metric = dy.String(primary_key=True, description="auroc, average_precision, f1, precision, recall, ...")
    value = dy.Float64(nullable=True, description="Point estimate; null is n/a")
    low = dy.Float64(nullable=True, description="2.5th percentile over patient-level bootstrap samples")
    high = dy.Float64(nullable=True, description="97.5th percentile over patient-level bootstrap samples")
    n = dy.Int64(nullable=False, min=0, description="Images with a known label")
    positives = dy.Int64(nullable=False, min=0, description="Of these, positive")
