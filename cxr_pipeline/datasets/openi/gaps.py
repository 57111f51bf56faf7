"""Where OpenI's reports, images and views do not name the same things. Counts, and names none."""

from pathlib import Path

from cxr_pipeline.datasets.openi.release import PROJECTIONS, Release, read_projections

WITHOUT_IMAGE = 104  # XML reports of the release


def count_unreported(release: Release, reports: str, *, published: int) -> list[str]:
    """A line where images are of no report, so without terms and text, and one where more reports than `published`
    have no image; `reports` names their file."""
    texts, images = release.texts.select("uid"), release.images.select("uid", "key")
    unreported, alone = images.join(texts, on="uid", how="anti").height, texts.join(images, on="uid", how="anti").height
    lines = [f"{PROJECTIONS}: {unreported:,} of its {images.height:,} images are of no report of {reports}"]
    more = [f"{reports}: {alone:,} of {texts.height:,} reports have no image ({published} in the release)"]
    return (lines if unreported else []) + (more if alone > published else [])


def count_views(release: Release, projections: Path) -> list[str]:
    """A line where images of the reports have no row in `projections`, and one where its rows are of none of them."""
    listed, images = read_projections(projections).select("key"), release.images.select("key")
    unseen, strangers = (
        images.join(listed, on="key", how="anti").height,
        listed.join(images, on="key", how="anti").height,
    )
    lines = [f"{projections}: {unseen:,} of the {images.height:,} images of the reports have no row there and no view"]
    more = [f"{projections}: {strangers:,} of its {listed.height:,} rows are of no image of the reports"]
    return (lines if unseen else []) + (more if strangers else [])
