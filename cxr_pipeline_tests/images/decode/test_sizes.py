"""Width and height come from the header, and a header that cannot be read gives none."""

from pathlib import Path

import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from cxr_pipeline.images.decode.sizes import read_size


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [1.0, 0.9])
def test_width_comes_first_also_of_a_file_that_is_cut(tmp_path: Path, suffix: str, kept: float):
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((60, 40), 50).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert read_size(path) == (60, 40)


def test_suffix_does_not_matter(tmp_path: Path):
    Image.new("L", (60, 40)).save(tmp_path / "a.jpg", format="png")
    assert read_size(tmp_path / "a.jpg") == (60, 40)


def test_columns_of_a_dicom_file_are_its_width(tmp_path: Path):
    header = FileDataset(None, {}, preamble=b"\0" * 128)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.Rows, header.Columns = 40, 60
    header.save_as(tmp_path / "a.dicom")
    assert read_size(tmp_path / "a.dicom") == (60, 40)


@pytest.mark.parametrize("content", [b"", b"pixels", b"\x89PNG\r\n\x1a\n", b"\0" * 128 + b"DICM"])
def test_what_is_no_header_gives_no_size(tmp_path: Path, content: bytes):
    (tmp_path / "a.png").write_bytes(content)
    assert read_size(tmp_path / "a.png") is None
    assert read_size(tmp_path / "absent.png") is None
