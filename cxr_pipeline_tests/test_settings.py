from pathlib import Path

import pytest

from cxr_pipeline.datasets import DATASETS
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
