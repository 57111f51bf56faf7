import pytest

from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

NIH = PhantomRequest("nih", patients=40, seed=5, size=32)
CHEXPERT = PhantomRequest("chexpert", patients=40, seed=5, size=32)


@pytest.fixture(scope="session")
def nih_root(tmp_path_factory):
    """Forty patients in NIH's layout; tests must not write here."""
    root = tmp_path_factory.mktemp("nih")
    write_phantoms(NIH, root, workers=1)
    return root


@pytest.fixture(scope="session")
def chexpert_root(tmp_path_factory):
    """Forty patients in CheXpert's layout; tests must not write here."""
    root = tmp_path_factory.mktemp("chexpert")
    write_phantoms(CHEXPERT, root, workers=1)
    return root
