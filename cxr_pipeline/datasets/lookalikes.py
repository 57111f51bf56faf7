"""Files of other collections of the same images, found where a release is expected: what each is, what to get instead.

Name of the file -> the rest of a sentence about it. A source that is read from such a file does not belong here.
"""

_R2GEN = "is R2Gen's list of reports and paths of pictures, without the labels"  # https://github.com/zhjohnchan/R2Gen
_MIMIC_JPG = (
    "Get mimic-cxr-2.0.0-metadata.csv.gz, -split.csv.gz and -chexpert.csv.gz of MIMIC-CXR-JPG "
    "(https://physionet.org/content/mimic-cxr-jpg/) into this folder; the pictures are found as they lie"
)
_MIMIC_DICOM = f"is of MIMIC-CXR, whose DICOM files and reports come without labels. {_MIMIC_JPG}"

MIMIC = {
    "annotation.json": f"{_R2GEN} and views of the release. {_MIMIC_JPG}",
    "mimic_annotation_all.json": f"{_R2GEN} and views of the release. {_MIMIC_JPG}",
    "cxr-record-list.csv": _MIMIC_DICOM,
    "cxr-record-list.csv.gz": _MIMIC_DICOM,
}
OPENI = {
    "annotation.json": f"{_R2GEN}, and its pictures have names of their own (CXR1_1_IM-0001/0.png). Get "
    "NLMCXR_reports.tgz and NLMCXR_png.tgz (https://openi.nlm.nih.gov/faq#collection), or Kaggle's "
    "raddar/chest-xrays-indiana-university, into this folder"
}
CHEXPERT = {
    "annotation.json": f"{_R2GEN}. Get train.csv of CheXpert, or df_chexpert_plus_240401.csv and chexbert_labels.zip "
    "of CheXpert Plus, into this folder"
}
