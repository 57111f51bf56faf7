from pathlib import Path

import pytest
from pydantic import ValidationError

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import CxrError
from cxr_pipeline.settings import Settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CXR_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_lies_under_home_by_default(tmp_path: Path):
    settings = Settings(home=tmp_path / "h")
    assert settings.lake_root == tmp_path / "h" / "lake"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/h/mlflow/mlflow.db"


def test_variables_win_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".env").write_text("CXR_PRESET=baseline\nCXR_NIH_ROOT=/from/file\n")
    monkeypatch.setenv("CXR_NIH_ROOT", "/from/variable")
    settings = Settings()
    assert (settings.preset, settings.nih_root) == ("baseline", Path("/from/variable"))


def test_images_are_decoded_here_and_stored_without_loss_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch):
    assert (Settings().store_codec, Settings().dask_address) == ("zstd", None)
    monkeypatch.setenv("CXR_STORE_CODEC", "raw")
    monkeypatch.setenv("CXR_DASK_ADDRESS", "tcp://node:8786")
    assert (Settings().store_codec, Settings().dask_address) == ("raw", "tcp://node:8786")
    monkeypatch.setenv("CXR_STORE_CODEC", "lzma")
    with pytest.raises(ValidationError, match="'zstd' or 'raw'"):
        Settings()


def test_unused_source_has_no_root_and_a_named_one_keeps_it_even_when_absent(tmp_path: Path):
    settings = Settings(home=tmp_path, nih_root=tmp_path / "absent")
    assert settings.source_root("nih") == tmp_path / "absent"
    assert settings.source_root("chexpert") is None
    (tmp_path / "raw" / "chexpert").mkdir(parents=True)
    assert settings.source_root("chexpert") == tmp_path / "raw" / "chexpert"


def test_every_source_has_its_variable():
    assert {f"{name}_root" for name in DATASETS} <= set(Settings.model_fields)


def test_phantoms_stand_in_only_where_no_source_is_named(tmp_path: Path):
    for name in ("nih", "chexpert"):
        (tmp_path / "phantoms" / name).mkdir(parents=True)
    assert Settings(home=tmp_path).source_root("chexpert") == tmp_path / "phantoms" / "chexpert"
    assert Settings(home=tmp_path, nih_root=tmp_path / "real").source_root("chexpert") is None


def test_states_of_other_labelers_are_named_for_one_source(tmp_path: Path):
    settings = Settings(home=tmp_path, rexgradient_states=tmp_path / "x.parquet", rexgradient_labeler="chexbert")
    assert settings.imported_states("rexgradient") == (tmp_path / "x.parquet", "chexbert")
    assert [name for name in DATASETS if settings.imported_states(name)] == ["rexgradient"]
    assert Settings(home=tmp_path).imported_states("rexgradient") is None


def test_labeler_without_a_file_is_refused_instead_of_missed(tmp_path: Path):
    with pytest.raises(CxrError, match="name its Parquet in CXR_REXGRADIENT_STATES"):
        Settings(home=tmp_path, rexgradient_labeler="chexbert").imported_states("rexgradient")


def test_tilde_in_the_env_file_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "settings.env").write_text("CXR_NIH_ROOT=~/data/nih\n", encoding="utf-8")
    assert Settings(_env_file=str(tmp_path / "settings.env")).nih_root == tmp_path / "data" / "nih"
