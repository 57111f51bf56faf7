"""Where things live: one class, read from `CXR_*` variables and `.env`. Library functions take paths, never this."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cxr_pipeline.errors import CxrError


class Settings(BaseSettings):
    """Folders and services of one installation. Relative paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="CXR_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path(".cxr"), description="Everything that the pipeline writes")
    lake: Path | None = Field(None, description="Tables, image stores and job folders; default `<home>/lake`")
    reports: Path | None = Field(None, description="Pages and pictures for people; default `<home>/reports`")
    nih_root: Path | None = Field(None, description="Folder of NIH ChestX-ray14; default `<home>/raw/nih`")
    openi_root: Path | None = Field(None, description="Folder of OpenI; default `<home>/raw/openi`")
    rexgradient_root: Path | None = Field(None, description="Folder of ReXGradient; default `<home>/raw/rexgradient`")
    chexpert_root: Path | None = Field(None, description="Folder of CheXpert; default `<home>/raw/chexpert`")
    mimic_root: Path | None = Field(None, description="Folder of MIMIC-CXR-JPG; default `<home>/raw/mimic`")
    padchest_root: Path | None = Field(None, description="Folder of PadChest; default `<home>/raw/padchest`")
    vindr_root: Path | None = Field(None, description="Folder of VinDr-CXR; default `<home>/raw/vindr`")
    rexgradient_states: Path | None = Field(
        None,
        description="Parquet of (study_id, class, state, source): what other labelers, such as CheXbert, found in its "
        "reports; compared with our report labeler",
    )
    rexgradient_labeler: str | None = Field(
        None, description="Source in that file whose states take the place of ours; default none does"
    )
    preset: str = Field("demo", description="Training recipe that the launchpad starts from")
    image_size: int | None = Field(None, ge=32, le=2048, description="Side of the stored images; default the preset's")
    store_codec: Literal["zstd", "raw"] = Field(
        "zstd", description="Stored pixels: `zstd` is lossless, `raw` takes twice the disk and suits NVMe"
    )
    dask_address: str | None = Field(None, description="Dask scheduler whose workers decode images; default own")
    quarantine_warn_share: float = Field(
        0.01, ge=0, le=1, description="A larger share of unusable image files of a source is a warning"
    )
    quarantine_fail_share: float = Field(
        0.2, ge=0, le=1, description="A larger one is an error: no cohort is made from that source's images"
    )
    watch_quiet_seconds: float = Field(
        120, ge=0, description="New files of a source are harmonized when nothing has changed there for so long"
    )
    mlflow_uri: str | None = Field(None, description="MLflow tracking URI; default SQLite under `<home>/mlflow`")
    mlflow_experiment: str = Field("cxr_pipeline", description="MLflow experiment")
    ui_port: int = Field(3000, ge=1, le=65535, description="Port of the Dagster UI on 127.0.0.1")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="Port of the MLflow UI on 127.0.0.1")

    @field_validator("*", mode="after")
    @classmethod
    def _find_home(cls, value: Any) -> Any:
        """`~` as the shell would read it, which never sees a line of `.env`."""
        if not isinstance(value, Path):
            return value
        try:
            return value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"{value} names a user without a home folder: write the folder in full") from error

    @property
    def lake_root(self) -> Path:
        return self.lake or self.home / "lake"

    @property
    def reports_root(self) -> Path:
        return self.reports or self.home / "reports"

    @property
    def watch_root(self) -> Path:
        """What was seen of the sources' files; each machine that looks has its own."""
        return self.home / "watch"

    @property
    def mlflow_home(self) -> Path:
        return self.home / "mlflow"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{(self.mlflow_home / 'mlflow.db').resolve()}"

    @property
    def mlflow_address(self) -> str:
        """Where a person opens MLflow: its server, or the one that `cxr ui` starts on the embedded store."""
        return self.tracking_uri if self.tracking_uri.startswith("http") else f"http://127.0.0.1:{self.mlflow_port}"

    def source_root(self, dataset: str) -> Path | None:
        """The folder of a source: `CXR_<NAME>_ROOT`, else `<home>/raw/<name>`, else the demo's phantoms.

        Phantoms stand in only where no source was named at all: they never slip into a cohort of real images by
        default. None means that this installation does not use the source. A folder that was named but is not there
        is not None: reading it says what is missing.
        """
        named = getattr(self, f"{dataset}_root")
        if named:
            return named
        for folder in (self.home / "raw" / dataset, *([] if self._names_a_source() else [self.phantom_root(dataset)])):
            if folder.is_dir():
                return folder
        return None

    def imported_states(self, dataset: str) -> tuple[Path, str | None] | None:
        """The file of states that other labelers found in the reports of a source, and whose take the place of ours.

        Raises CxrError for a labeler without a file: its states would be missed in silence.
        """
        path = getattr(self, f"{dataset}_states", None)
        labeler = getattr(self, f"{dataset}_labeler", None)
        if labeler and not path:
            name = f"CXR_{dataset.upper()}"
            raise CxrError(f"{name}_LABELER is {labeler!r}, and no file: name its Parquet in {name}_STATES.")
        return (path, labeler) if path else None

    def phantom_root(self, dataset: str) -> Path:
        """Where the demo writes the phantoms of a source."""
        return self.home / "phantoms" / dataset

    def _names_a_source(self) -> bool:
        is_named = any(getattr(self, field) for field in type(self).model_fields if field.endswith("_root"))
        return is_named or (self.home / "raw").is_dir()
