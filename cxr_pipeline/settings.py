"""Where things live: one class, read from `CXR_*` variables and `.env`. Library functions take paths, never this."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Folders and services of one installation. Relative paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="CXR_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path(".cxr"), description="Everything that the pipeline writes")
    lake: Path | None = Field(None, description="Tables, image stores and job folders; default `<home>/lake`")
    nih_root: Path | None = Field(None, description="Folder of NIH ChestX-ray14; default `<home>/raw/nih`")
    chexpert_root: Path | None = Field(None, description="Folder of CheXpert; default `<home>/raw/chexpert`")
    image_size: int = Field(384, ge=32, le=2048, description="Side of the stored square images, in pixels")
    mlflow_uri: str | None = Field(None, description="MLflow tracking URI; default SQLite under `<home>/mlflow`")
    mlflow_experiment: str = Field("cxr_pipeline", description="MLflow experiment")
    ui_port: int = Field(3000, ge=1, le=65535, description="Port of the Dagster UI on 127.0.0.1")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="Port of the MLflow UI on 127.0.0.1")

    @property
    def lake_root(self) -> Path:
        return self.lake or self.home / "lake"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{(self.home / 'mlflow' / 'mlflow.db').resolve()}"

    def source_root(self, dataset: str) -> Path:
        """The folder of a source: `CXR_<NAME>_ROOT`, else `<home>/raw/<name>`."""
        return getattr(self, f"{dataset}_root", None) or self.home / "raw" / dataset
