"""Starting weights of other programs: found wherever they lie in a file, counted, and never run."""

import importlib
import importlib.util
import pickle
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.backbone import build_network, grey_statistics, starting_weights

BACKBONE = "test_convnext"
Tensors = dict[str, torch.Tensor]


def built(file: Path, backbone: str = BACKBONE) -> nn.Module:
    return build_network(TrainConfig(backbone=backbone, pretrained=str(file))).eval()


def saved(folder: Path, holds: object, name: str = "weights.pt") -> Path:
    torch.save(holds, folder / name)
    return folder / name


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Of a network for grey pictures and 3 classes."""
    torch.manual_seed(3)
    return timm.create_model(BACKBONE, in_chans=1, num_classes=3).state_dict()


def body(tensors: Tensors) -> Tensors:
    return {name: one for name, one in tensors.items() if not name.startswith("head.fc")}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: one for name, one in tensors.items()}


def same_body(network: nn.Module, tensors: Tensors) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[name], one) for name, one in body(tensors).items())


PLACES = {
    "the top": lambda t: t,
    "state_dict": lambda t: {"state_dict": t, "epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
    "model": lambda t: {"model": t, "scaler": None},
    "model_state_dict": lambda t: {"model_state_dict": t},
    "module": lambda t: {"module": t},
    "network.weights": lambda t: {"network": {"weights": t}},
    "the top without the prefix 'module.'": lambda t: under("module.", t),
    "the top without the prefix 'backbone.'": lambda t: {**under("backbone.", t), "proj.weight": torch.ones(2, 2)},
    "the top without the prefix 'encoder.'": lambda t: {
        **under("encoder.", t),
        **under("decoder.", {"x": torch.ones(1)}),
    },
    "state_dict without the prefix 'module.model.'": lambda t: {"state_dict": under("module.model.", t)},
    "state_dict without the prefix 'net.0.vision.'": lambda t: {"state_dict": under("net.0.vision.", t)},
    "teacher without the prefix 'backbone.'": lambda t: {
        "student": under("backbone.", {name: one + 1 for name, one in t.items()}),
        "teacher": under("backbone.", t),
    },
    "model_ema": lambda t: {"model": {name: one + 1 for name, one in t.items()}, "model_ema": t},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_a_state_dict_is_found_where_programs_put_it(place: str, suffix: str, tensors: Tensors, tmp_path: Path):
    network = built(saved(tmp_path, PLACES[place](tensors), f"weights{suffix}"))
    assert same_body(network, tensors)
    loaded = starting_weights(network)
    assert loaded.taken_from == place
    assert (loaded.loaded, loaded.missing) == (len(body(tensors)), [])
    assert {"head.fc.weight", "head.fc.bias"} <= set(loaded.skipped)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [("student.backbone.", "teacher.backbone."), ("online.", "target_encoder."), ("net.", "model_ema.module.")],
)
def test_of_copies_in_one_dictionary_the_running_mean_is_taken(
    student: str, teacher: str, tensors: Tensors, tmp_path: Path
):
    other = {name: one + 1 for name, one in tensors.items()}
    network = built(saved(tmp_path, {"model": {**under(student, other), **under(teacher, tensors)}}))
    assert same_body(network, tensors)
    assert starting_weights(network).taken_from == f"model without the prefix '{teacher}'"


@pytest.mark.parametrize("name", ["weights.PT", "weights.ckpt", "weights.SAFETENSORS"])
def test_a_file_is_known_by_its_suffix_in_any_case(name: str, tensors: Tensors, tmp_path: Path):
    if name.endswith("SAFETENSORS"):
        safetensors.torch.save_file(tensors, tmp_path / name)
    else:
        saved(tmp_path, tensors, name)
    assert same_body(built(tmp_path / name), tensors)


def test_a_tilde_is_the_home_folder(tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path, tensors, "pytorch_model.bin")
    assert same_body(built(Path("~/pytorch_model.bin")), tensors)
    assert same_body(build_network(TrainConfig(backbone=BACKBONE, pretrained="local-dir:~")), tensors)


def test_a_folder_and_a_file_of_another_name_are_called_what_they_are(tensors: Tensors, tmp_path: Path):
    with pytest.raises(CheckpointError, match=rf"is a folder; .* set `local-dir:{tmp_path}`"):
        built(tmp_path)
    with pytest.raises(CheckpointError, match=r"weights\.tar is no file of weights by its name"):
        built(saved(tmp_path, tensors, "weights.tar"))


def test_safetensors_are_stripped_of_prefixes_too(tensors: Tensors, tmp_path: Path):
    safetensors.torch.save_file(under("model.", tensors), tmp_path / "weights.safetensors")
    assert same_body(built(tmp_path / "weights.safetensors"), tensors)


def test_a_hub_folder_without_safetensors_is_read(tensors: Tensors, tmp_path: Path):
    saved(tmp_path, tensors, "pytorch_model.bin")
    assert same_body(built(f"local-dir:{tmp_path}"), tensors)


def test_what_was_loaded_skipped_and_missing_is_counted(tensors: Tensors, tmp_path: Path):
    gone = "stem.1.bias"
    partial = {name: one for name, one in tensors.items() if name != gone} | {"mask_token": torch.ones(1)}
    loaded = starting_weights(built(saved(tmp_path, partial)))
    assert loaded.missing == [gone]
    assert loaded.skipped == ["head.fc.bias", "head.fc.weight", "mask_token"]
    assert loaded.counts() == {
        "weights_from": "the top",
        "weights_loaded": len(body(tensors)) - 1,
        "weights_skipped": 3,
        "weights_missing": 1,
    }
    assert starting_weights(build_network(TrainConfig(backbone=BACKBONE, pretrained=""))) is None


@pytest.mark.parametrize("lacking", [0.2, 1.0])
def test_weights_of_another_backbone_are_refused(lacking: float, tensors: Tensors, tmp_path: Path):
    names = sorted(body(tensors))
    wrong = set(names[: int(lacking * len(names))])
    other = {f"{name}.other" if name in wrong else name: one for name, one in tensors.items()}
    with pytest.raises(
        CheckpointError, match=rf"lacks {len(wrong)} of the .* it holds the weights of another backbone"
    ):
        built(saved(tmp_path, other))


def test_another_shape_is_told(tmp_path: Path):
    narrow = timm.create_model("resnet18", in_chans=1).state_dict()
    with pytest.raises(CheckpointError, match="of another shape"):
        built(saved(tmp_path, narrow), "resnet50")


def test_weights_of_a_deeper_backbone_are_refused_and_not_cut_to_fit(tmp_path: Path):
    deeper = timm.create_model("resnet34", in_chans=1).state_dict()
    with pytest.raises(CheckpointError, match=r"holds 96 tensors more .* layer1\.2\.bn1\.bias for one: .* deeper"):
        built(saved(tmp_path, deeper), "resnet18")


def test_a_decoder_beside_the_backbone_is_no_deeper_backbone(tensors: Tensors, tmp_path: Path):
    file = saved(tmp_path, {**tensors, **under("decoder_", tensors), **under("teacher_head.", tensors)})
    assert same_body(built(file), tensors)


def test_whole_numbers_of_a_quantised_file_are_not_taken_for_weights(tensors: Tensors, tmp_path: Path):
    quantised = {name: (one * 10).to(torch.int8) for name, one in tensors.items()}
    with pytest.raises(CheckpointError, match="of another shape or type"):
        built(saved(tmp_path, quantised))


def test_values_that_are_no_numbers_are_told(tensors: Tensors, tmp_path: Path):
    broken = {**tensors, "stem.0.bias": torch.full_like(tensors["stem.0.bias"], torch.nan)}
    with pytest.raises(CheckpointError, match=r"no numbers, in stem\.0\.bias"):
        built(saved(tmp_path, broken))


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple:
        return Path.touch, (self.ran,)


@pytest.mark.parametrize("how", ["pickle", "torch", "legacy", "beside tensors"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(how: str, tensors: Tensors, tmp_path: Path):
    ran, file = tmp_path / "ran", tmp_path / "weights.pth"
    evil = Malicious(ran)
    if how == "pickle":
        file.write_bytes(pickle.dumps(evil, protocol=2))
    else:
        holds = {"state_dict": tensors, "hook": evil} if how == "beside tensors" else evil
        torch.save(holds, file, _use_new_zipfile_serialization=how != "legacy")
    with pytest.raises(CheckpointError, match="to read it would run code of the file, so it was not read"):
        built(file)
    assert not ran.exists()
    if how != "pickle":  # it is malicious
        torch.load(file, weights_only=False)
        assert ran.exists()


def test_a_whole_network_is_refused_with_the_way_to_its_state_dict(tmp_path: Path):
    file = saved(tmp_path, torchvision.models.densenet121(num_classes=18))
    with pytest.raises(CheckpointError) as caught:
        built(file, "densenet121")
    told = str(caught.value)
    assert "holds a pickled torchvision.models.densenet.DenseNet" in told
    assert "\n" not in told
    command = told[told.index('python -c "') + len('python -c "') : told.rindex('"')]
    exec(command)  # noqa: S102 - what the message tells to do
    assert starting_weights(built(tmp_path / "weights-tensors.pt", "densenet121")).missing == []


PICKLED_BESIDE = {
    "state_dict": lambda tensors: {"state_dict": tensors, "args": Namespace(lr=1)},
    "model, as MAE": lambda tensors: {"model": tensors, "optimizer": {"state": {}}, "args": Namespace(lr=1)},
    "another name, as SimMIM": lambda tensors: {"encoder": tensors, "epoch": 3, "args": Namespace(lr=1)},
    "at the top": lambda tensors: {**tensors, "args": Namespace(lr=1)},
}


@pytest.mark.parametrize("place", PICKLED_BESIDE)
def test_settings_that_were_pickled_beside_the_tensors_are_refused_with_a_way_that_works(
    place: str, tensors: Tensors, tmp_path: Path
):
    file = saved(tmp_path, PICKLED_BESIDE[place](tensors))
    with pytest.raises(CheckpointError, match=r"holds a pickled argparse\.Namespace") as caught:
        built(file)
    told = str(caught.value)
    exec(told[told.index('python -c "') + len('python -c "') : told.rindex('"')])  # noqa: S102
    assert same_body(built(tmp_path / "weights-tensors.pt"), tensors)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS: .*git lfs pull"),
        (b"<!DOCTYPE html><title>404</title>", "a web page, .*download the file again"),
        (b"gAMA", "it starts with b'gAMA'"),
    ],
)
def test_a_file_that_is_none_is_told_by_what_it_starts_with(content: bytes, told: str, tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        built(tmp_path / "weights.bin")
    assert "weights_only" not in str(caught.value)


UNREADABLE = {
    "noise": lambda folder: (folder / "weights.pt").write_bytes(b"not weights"),
    "nothing": lambda folder: (folder / "weights.pt").write_bytes(b""),
    "cut off": lambda folder: (folder / "weights.pt").write_bytes(
        saved(folder, {"w": torch.ones(999)}).read_bytes()[:2000]
    ),
    "a tensor": lambda folder: saved(folder, torch.ones(3)),
    "a list": lambda folder: saved(folder, [torch.ones(3)]),
    "no tensors": lambda folder: saved(folder, {"epoch": 3}),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_file_without_a_state_dict_is_told(what: str, tmp_path: Path):
    UNREADABLE[what](tmp_path)
    with pytest.raises(CheckpointError, match=r"No starting weights for .*expected a state dict") as caught:
        built(tmp_path / "weights.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("backbone", "head"), [("densenet121", "classifier"), ("resnet50", "fc")])
def test_torchvisions_weights_give_torchvisions_features(backbone: str, head: str, tmp_path: Path):
    torch.manual_seed(5)
    theirs = getattr(torchvision.models, backbone)().eval()
    ours = built(saved(tmp_path, theirs.state_dict()), backbone)
    setattr(theirs, head, nn.Identity())
    picture = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        features = ours.forward_head(ours.forward_features(picture), pre_logits=True)
        torch.testing.assert_close(features, theirs(picture.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)
    assert grey_statistics(ours) == pytest.approx((0.449, 0.226), abs=1e-9)


def test_old_names_of_densenet_are_mapped(tmp_path: Path):
    old = torchvision.models.densenet121().state_dict()  # as published in 2017: norm.1 for norm1
    names = {
        name: name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") for name in old if "denselayer" in name
    }
    file = saved(tmp_path, {names.get(name, name): one for name, one in old.items()})
    assert starting_weights(built(file, "densenet121")).missing == []


@pytest.fixture(scope="module")
def xrayvision() -> Iterator[ModuleType]:
    """torchxrayvision's real networks; imageio and scikit-image, which only read pictures, may be missing."""
    if importlib.util.find_spec("torchxrayvision") is None:
        pytest.skip("torchxrayvision is not installed")
    stubs = {name: ModuleType(name) for name in ("imageio", "imageio.v2", "skimage", "skimage.transform", "skimage.io")}
    for name, stub in stubs.items():
        stub.__dict__.update({"imread": None, "v2": None, "transform": stubs.get(f"{name}.transform")})
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name, stub in stubs.items():
            patch.setitem(sys.modules, name, stub)
        yield importlib.import_module("torchxrayvision.models")


@pytest.mark.parametrize("has_points", [False, True])
def test_torchxrayvisions_densenet_gives_its_features(has_points: bool, xrayvision: ModuleType, tmp_path: Path):
    torch.manual_seed(7)
    points = torch.full((18,), torch.nan) if has_points else None  # NaN for classes that a data set has not
    theirs = xrayvision.DenseNet(op_threshs=points).eval()
    ours = built(saved(tmp_path, theirs.state_dict()), "densenet121")
    picture = 500 * torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        features = ours.forward_head(ours.forward_features(picture), pre_logits=True)
        torch.testing.assert_close(features, theirs.features2(picture), rtol=1e-4, atol=1e-3)
    loaded = starting_weights(ours)
    assert loaded.missing == []
    assert loaded.skipped == ["classifier.bias", "classifier.weight", *(["op_threshs"] if has_points else [])]


def test_torchxrayvisions_whole_network_is_refused_by_name(xrayvision: ModuleType, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"a pickled torchxrayvision\.models\.DenseNet"):
        built(saved(tmp_path, xrayvision.DenseNet()), "densenet121")


def grey_net(folder: Path, *, classes: int, points: bool) -> Path:
    """A resnet18 as torchxrayvision makes its resnets: torchvision's with a grey first convolution, within `model`."""
    network = torchvision.models.resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return saved(folder, under("model.", network.state_dict()) | ({"op_threshs": torch.ones(18)} if points else {}))


@pytest.mark.parametrize(
    ("classes", "points", "expected"),
    [(18, True, (0.5, 1 / 2048)), (18, False, (0.5, 1 / 2048)), (14, False, (0.449, 0.226))],
)
def test_torchxrayvisions_networks_get_the_grey_values_they_know(classes, points, expected, tmp_path: Path):
    network = built(grey_net(tmp_path, classes=classes, points=points), "resnet18")
    mean, std = grey_statistics(network)
    assert (mean, std) == pytest.approx(expected, abs=1e-9)
    assert ("weights_greys" in starting_weights(network).counts()) == (expected[0] == 0.5)
    assert (1 - mean) / std == pytest.approx(1024 if expected[0] == 0.5 else 2.438, abs=1e-3)


def test_a_checkpoint_of_ours_passes_its_grey_values_on(tensors: Tensors, tmp_path: Path):
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"weights_sha256": "0", "mean": 0.25, "std": 0.125}')
    assert grey_statistics(built(tmp_path / "model.safetensors")) == (0.25, 0.125)


def test_positions_of_a_vision_transformer_are_fitted(tmp_path: Path):
    torch.manual_seed(2)
    theirs = timm.create_model("test_vit", img_size=96, num_classes=0).state_dict()
    network = built(saved(tmp_path, {"model": theirs}), "test_vit")
    assert starting_weights(network).missing == []
    assert network.pos_embed.shape != theirs["pos_embed"].shape
