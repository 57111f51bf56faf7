"""Collections that are made of other collections' images, and what tells them by their ids alone.

From "Derived sets" in the descriptions of the seven sources: RSNA Pneumonia (mapping published by RSNA), SIIM-ACR
Pneumothorax, NIH "sample", Google's NIH labels and ChestX-Det are images of NIH; VinBigData (Kaggle) of VinDr-CXR;
CheXlocalize, CheXpert Plus and CheXphoto of CheXpert; MS-CXR, REFLACX, Chest ImaGenome and CXR-LT of MIMIC-CXR;
PadChest-GR of PadChest. Whether the pixels agree is found by `duplicates`, for every source and without ids.
"""

from dataclasses import dataclass

import polars as pl

from cxr_pipeline.datasets.quality import Verdict


@dataclass(frozen=True)
class IdForm:
    """How the ids of one collection look; `home` is the source whose images they are."""

    collection: str
    home: str
    pattern: str  # of an image's name without its dataset; one group is its id at home, if it can be told
    tells_image: bool = True


ID_FORMS = (
    IdForm("NIH ChestX-ray14, its sample, Google's labels", "nih", r"^(?:.*/)?(\d{8}_\d{3})$"),
    IdForm(
        "CheXpert, CheXlocalize, CheXpert Plus, CheXphoto",
        "chexpert",
        r"((?:train|valid|val|test)/patient\d{5,}/study\d+/view\d+_(?:frontal|lateral))$",
    ),
    IdForm("MIMIC-CXR, MS-CXR, REFLACX, CXR-LT", "mimic", r"^(?:.*/)?([0-9a-f]{8}(?:-[0-9a-f]{8}){4})$"),
    IdForm("PadChest, PadChest-GR", "padchest", r"^(?:.*/)?(\d{30,}_[\d-]+)$"),
    IdForm("VinDr-CXR, VinBigData", "vindr", r"^(?:.*/)?([0-9a-f]{32})$"),
    # Their own ids: the mapping that the publisher of the first gives is not read, and there is none for the second.
    IdForm("RSNA Pneumonia", "nih", r"^(?:.*/)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$", False),
    IdForm("SIIM-ACR Pneumothorax", "nih", r"^(?:.*/)?(1\.2\.276\.0\.7230010\.3\.1\.4\.8323329\.[\d.]+)$", False),
)


def find_derived(images: pl.DataFrame) -> pl.DataFrame:
    """Images (`image_id dataset`) that bear the id of another source: `image_id dataset collection home home_id`.

    `home_id` is the `image_id` of the same image at home, null where the id does not tell it; whether that image is
    there as well is not asked. An id says where an image comes from, it does not prove it.
    """
    name = pl.col("image_id").str.strip_prefix(pl.concat_str("dataset", pl.lit("/")))
    found = [_of_form(images, name, form) for form in ID_FORMS]
    return pl.concat(found).unique("image_id", keep="first", maintain_order=True).sort("image_id")


def count_derived(images: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Per source and collection: images that bear its ids, how many of these originals are here too, and how many of
    those the pixels confirm (`pairs`: a DuplicateTable): `dataset collection images present confirmed`."""
    derived = find_derived(images).with_columns(is_present=pl.col("home_id").is_in(images["image_id"].implode()))
    either = pl.concat(
        [pairs.select(image_id="image_a", home_id="image_b"), pairs.select(image_id="image_b", home_id="image_a")]
    ).with_columns(is_confirmed=True)
    return (
        derived.join(either.unique(), on=["image_id", "home_id"], how="left")
        .group_by("dataset", "collection")
        .agg(
            images=pl.len(),
            present=pl.col("is_present").fill_null(value=False).sum(),
            confirmed=pl.col("is_confirmed").fill_null(value=False).sum(),
        )
        .sort("dataset", "collection")
    )


def judge_derived(derived: pl.DataFrame) -> Verdict:
    """Whether no source bears the ids of another one (`derived` as by `count_derived`).

    A source that does holds images of its home, and must not be split apart from it, whatever the pixels say.
    """
    facts = {f"{source}, ids of {of}": f"{n} images" for source, of, n in derived.select(derived.columns[:3]).rows()}
    return Verdict(derived.is_empty(), facts)


def _of_form(images: pl.DataFrame, name: pl.Expr, form: IdForm) -> pl.DataFrame:
    own = pl.concat_str(pl.lit(f"{form.home}/"), pl.col("found")) if form.tells_image else pl.lit(None, pl.String)
    return (
        images.filter(pl.col("dataset") != form.home)
        .select("image_id", "dataset", found=name.str.extract(form.pattern, 1))
        .filter(pl.col("found").is_not_null())
        .select("image_id", "dataset", collection=pl.lit(form.collection), home=pl.lit(form.home), home_id=own)
    )
