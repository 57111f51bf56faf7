"""Tables of `raw/`: the images of a source and whether their files are there."""

import dataframely as dy

VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")
FRONTAL_VIEWS = ("PA", "AP")
SEXES = ("F", "M")
OFFICIAL_SPLITS = ("train", "train_val", "val", "test")
LABELLERS = ("physician", "program", "chexbert", "negbio")  # the last two are programs, named where a choice was made


class ImageTable(dy.Schema):
    """One row per published image, as its source describes it."""

    image_id = dy.String(primary_key=True, min_length=1, description="`<dataset>/<name>`, unique across sources")
    patient_id = dy.String(nullable=False, min_length=1, description="`<dataset>/<patient>`: the unit of splitting")
    study_id = dy.String(nullable=False, min_length=1, description="`<dataset>/<study>`: images read together")
    dataset = dy.String(nullable=False, min_length=1, description="Name of the source")
    view = dy.Enum(VIEWS, nullable=False, description="Projection as the source states it")
    age_years = dy.Float32(nullable=True, min=0.0, max=120.0, description="Age at the study; null when not credible")
    sex = dy.Enum(SEXES, nullable=True, description="Sex as the source states it")
    official_split = dy.Enum(OFFICIAL_SPLITS, nullable=True, description="The part that the publisher put it in")
    is_phantom = dy.Bool(nullable=False, description="A rendered phantom, not a radiograph of a person")
    labelled_by = dy.Enum(
        LABELLERS, nullable=True, description="Who read the labels; null where the source does not say so per image"
    )


class RawTable(ImageTable):
    """The inventory of one source: its images and whether each pixel file is there."""

    birth_year = dy.Int16(nullable=True, description="Year of birth, where the source states it")
    path = dy.String(nullable=False, min_length=1, description="File, relative to the source's folder")
    is_present = dy.Bool(nullable=False, description="Whether the pixel file was found")
    file_bytes = dy.Int64(nullable=True, min=0, description="Size of the pixel file; null when it is not there")
