"""Which patients stay together, and which images show the same picture. In which split they go is not decided here."""

import polars as pl


def group_patients(images: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """`patient_id, group`: one row per patient of `images` (`image_id, patient_id, study_id`), across sources.

    Two patients stay together when one study stands under both ids (PadChest has one), or when they share a picture
    (`pairs`: `image_a, image_b`), and so do all that such links reach. A group is named by its smallest patient key.
    """
    links = pl.concat([_shared_studies(images), _shared_pictures(images, pairs)])
    linked = smallest_of_component(links).rename({"member": "patient_id", "smallest": "group"})
    patients = images.select(pl.col("patient_id").unique(maintain_order=False)).sort("patient_id")
    return patients.join(linked, on="patient_id", how="left", maintain_order="left").with_columns(
        group=pl.coalesce("group", "patient_id")
    )


def group_duplicates(pairs: pl.DataFrame) -> pl.DataFrame:
    """`image_id, duplicate_group`: each image that has a copy, with the smallest id among all its copies."""
    found = smallest_of_component(pairs.select(a="image_a", b="image_b"))
    return found.rename({"member": "image_id", "smallest": "duplicate_group"})


def smallest_of_component(links: pl.DataFrame) -> pl.DataFrame:
    """`member, smallest`: every name in `links` (`a, b`) with the smallest name that a chain of links leads to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = pl.concat([links["a"], links["b"]]).unique().sort()
    if names.is_empty():
        return pl.DataFrame(schema={"member": pl.String, "smallest": pl.String})
    ends = (names.search_sorted(links[end]).to_numpy() for end in ("a", "b"))
    shape = (len(names), len(names))
    graph = coo_array(([True] * links.height, tuple(ends)), shape=shape)
    count, component = connected_components(graph, directed=False)
    smallest = pl.DataFrame({"member": names, "component": component})
    # Names are sorted, so the first of each component is its smallest.
    return smallest.select("member", smallest=pl.col("member").first().over("component"))


def _shared_studies(images: pl.DataFrame) -> pl.DataFrame:
    """Each patient of a study with several, linked to the first of them."""
    # 64-bit hashes find the few studies worth a look, at a quarter of the cost of comparing a million names.
    hashes = images.select(study=pl.col("study_id").hash(), patient=pl.col("patient_id").hash())
    several = hashes.group_by("study").agg(low=pl.col("patient").min(), high=pl.col("patient").max())
    doubtful = several.filter(pl.col("low") != pl.col("high"))["study"]
    few = images.filter(pl.col("study_id").hash().is_in(doubtful.implode()))
    first = few.group_by("study_id").agg(a=pl.col("patient_id").min())
    return first.join(few, on="study_id").filter(pl.col("a") != pl.col("patient_id")).select("a", b="patient_id")


def _shared_pictures(images: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """The patients of each pair; a pair of an image that is no longer published links nobody."""
    owner = images.select("image_id", "patient_id").filter(
        pl.col("image_id").is_in(pl.concat([pairs["image_a"], pairs["image_b"]]).implode())
    )
    return (
        pairs.join(owner.rename({"patient_id": "a"}), left_on="image_a", right_on="image_id")
        .join(owner.rename({"patient_id": "b"}), left_on="image_b", right_on="image_id")
        .select("a", "b")
    )
