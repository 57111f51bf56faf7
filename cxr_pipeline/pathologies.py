"""The NIH ChestX-ray14 label space: fourteen findings, always in this order.

Wang et al. 2017, https://arxiv.org/abs/1705.02315. The spelling (`Pleural_Thickening`) is that of the NIH release.
"""

PATHOLOGIES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)

POSITIVE, NEGATIVE, UNCERTAIN = 1, 0, -1  # null: the source cannot or did not say

EVIDENCE = (
    "explicit",  # the source states this value for this finding
    "absence",  # not mentioned by a source whose silence means "not there"
    "parent",  # follows from a broader finding that the source denies
    "ambiguous",  # a broader or doubtful term is positive: the value stays null
    "unobserved",  # the source cannot or did not say: the value is null
)

SPLITS = ("train", "val", "test")
