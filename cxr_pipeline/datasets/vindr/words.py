"""The 28 words that VinDr-CXR's readers were asked about, and the 15 of them in Kaggle's file. Parses nothing."""

LOCAL_WORDS = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)  # findings with a place: readers draw a box
GLOBAL_WORDS = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding")
WORDS = LOCAL_WORDS + GLOBAL_WORDS
_NOT_IN_KAGGLE = {
    "Clavicle fracture", "Edema", "Emphysema", "Enlarged PA", "Lung cavity", "Lung cyst", "Mediastinal shift",
    "Rib fracture",
}  # fmt: skip
KAGGLE_WORDS = (*(word for word in LOCAL_WORDS if word not in _NOT_IN_KAGGLE), "No finding")
