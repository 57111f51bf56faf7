from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.training.checkpoint import export


def test_the_named_checkpoint_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def note(checkpoint: Path, out: Path) -> bool:
        calls.append((checkpoint, out))
        out.write_bytes(b"x" * 2_500_000)
        return True

    monkeypatch.setattr(export, "export_onnx", note)
    arguments = ["export", str(tmp_path / "checkpoint"), "--onnx", str(tmp_path / "chest.onnx")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert calls == [(tmp_path / "checkpoint", tmp_path / "chest.onnx")]
    assert result.output.splitlines() == [f"{tmp_path / 'chest.onnx'}  2.5 MB"]


def test_the_file_to_write_must_be_named(tmp_path: Path):
    assert CliRunner().invoke(app, ["export", str(tmp_path)]).exit_code == 2
