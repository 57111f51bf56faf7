import polars as pl
import pytest

from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.official import claims

CONFIG = SplitConfig()


def claim_of(*images: tuple[str, str | None], config: SplitConfig = CONFIG) -> tuple[str | None, bool, bool]:
    """Of one group of images `(dataset, official part)`."""
    frame = pl.DataFrame(images, schema={"dataset": pl.String, "official_split": pl.String}, orient="row")
    decided, external, barred = claims(frame.with_columns(group=pl.lit("g")), config).drop("group").row(0)
    return None if decided is None else SPLITS[decided], external, barred


@pytest.mark.parametrize(
    ("image", "claim"),
    [
        (("nih", "test"), ("test", False, False)),
        (("nih", "train_val"), (None, False, True)),
        (("nih", None), (None, False, False)),  # without its lists
        (("chexpert", "val"), ("val", False, False)),
        (("chexpert", "train"), (None, False, False)),
        (("vindr", "train"), (None, False, True)),
        (("mimic", "train"), ("train", False, False)),
        (("rexgradient", "val"), ("val", False, False)),
        (("padchest", None), (None, False, False)),
    ],
)
def test_published_part_decides_what_it_was_published_for(image, claim):
    assert claim_of(image) == claim


def test_strictest_part_decides_for_the_group():
    assert claim_of(("mimic", "train"), ("chexpert", "val"), ("padchest", None)) == ("val", False, False)
    assert claim_of(("nih", "train_val"), ("padchest", None)) == (None, False, True)


def test_hashed_source_keeps_its_published_test_and_nothing_else():
    config = SplitConfig(hashed=["mimic"])
    assert claim_of(("mimic", "val"), config=config) == (None, False, False)
    assert claim_of(("mimic", "test"), config=config) == ("test", False, False)


def test_external_source_is_test_whatever_was_published():
    assert claim_of(("chexpert", "train"), config=SplitConfig(external=["chexpert"])) == ("test", True, False)
