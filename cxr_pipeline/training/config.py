"""Everything that a user may set for one training run. Recipes are in `presets`; what the settings do is not here."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.run.program import read_model

LOCAL_DIR = "local-dir:"
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
LARGEST_WEIGHT = 1_000_000  # beyond, nothing but its class is learnt, and float32 overflows in the end
_IDLE: dict[str, Any] = {"decides": False}  # of a field on which the weights do not depend: see TrainConfig.deciding
ENDING_FIELDS = ("epochs", "early_stop_patience")  # with a plateau they say when a run ends and nothing else


class TrainConfig(BaseModel):
    """One training run. Flat, so that it is also a Dagster launchpad form and an MLflow parameter list."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    backbone: str = Field(default="convnext_large.fb_in22k_ft_in1k_384", min_length=1, description="timm model name")
    pretrained: str = Field(
        default="hub",
        description="Starting weights: empty for random, `hub` for timm's own, a .safetensors, .pt, .pth, .ckpt or "
        ".bin file of the same backbone, or `local-dir:<folder>` as downloaded from the Hugging Face hub",
    )
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="Stochastic depth: deepest block left out this often")
    head_per_source: bool = Field(
        default=False,
        description="In training each source has a head of its own, as in Ark (arXiv 2310.09507); their mean is kept",
    )
    image_size: int = Field(
        default=384, ge=32, le=2048, description="Side of the input, pixels; a multiple of 16 or 14"
    )
    train_on: list[str] = Field(
        default=[], description="Sources to train and validate on; empty: all. The others are only tested on"
    )
    epochs: int = Field(default=30, ge=1, le=1000, description="Most passes over the training images")
    batch_size: int = Field(default=32, ge=1, le=4096, description="Images per optimizer step")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Of the initial weights, the order and the augmentation")

    lr: float = Field(default=5e-5, gt=0, le=1, description="AdamW learning rate after the warm-up")
    weight_decay: float = Field(default=0.05, ge=0, le=10, description="AdamW weight decay; never on norms and biases")
    warmup_epochs: float = Field(default=0, ge=0, le=100, description="Epochs in which it rises from 0")
    plateau_factor: float = Field(default=0.5, gt=0, lt=1, description="Times lr when validation stops improving")
    plateau_patience: int = Field(default=2, ge=0, description="Epochs without improvement before that")
    min_lr: float = Field(default=1e-7, ge=0, description="The learning rate falls no further")
    early_stop_patience: int = Field(default=6, ge=1, description="Epochs without improvement before training ends")
    schedule: Literal["plateau", "cosine"] = Field(
        default="plateau",
        description="plateau: lower lr when validation stalls; cosine: down to min_lr over the epochs",
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="A group of layers learns at this times the lr of the one above; 1: alike"
    )
    clip_norm: float | None = Field(default=None, gt=0, description="Longest gradient (L2 norm); null: any")
    accumulate: int = Field(
        default=1, ge=1, le=1024, description="Parts of a batch, taken one after the other to hold less memory"
    )
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="Judge and keep the running mean of the weights, of this decay; 0: do not"
    )
    loss: Literal["focal", "bce", "asl"] = Field(
        default="focal", description="bce: cross entropy; asl: asymmetric loss, which forgets easy negatives"
    )
    focal_gamma: float = Field(default=2.0, ge=0, le=10, description="Focal weight (1-p)^gamma; 0: cross entropy")
    focal_alpha: float | None = Field(default=None, gt=0, lt=1, description="Focal weight of positives; null: none")

    asl_gamma_positive: float = Field(default=1.0, ge=0, le=10, description="asl: focal weight of positives")
    asl_gamma_negative: float = Field(default=4.0, ge=0, le=10, description="asl: focal weight of negatives")
    asl_margin: float = Field(default=0.05, ge=0, lt=1, description="asl: negatives below this probability are free")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Targets move by this part towards one half")
    class_weights: dict[str, float] = Field(default={}, description="Weight in the loss per class; 1 where not named")
    source_weights: dict[str, float] = Field(default={}, description="Weight in the loss per source; 1 where not named")
    weigh: Literal["images", "pictures", "studies"] = Field(
        default="pictures",
        description="What weighs one in the loss: each image; each picture, however many copies of it there are; each "
        "study, whose images share one set of labels in CheXpert, MIMIC and PadChest",
    )
    sampler: Literal["plain", "source", "class"] = Field(
        default="plain",
        description="plain: each image once an epoch; source: by sampler_temperature; class: rare findings repeated",
    )
    sampler_temperature: float = Field(
        default=2.0, ge=1, le=100, description="source: shares follow size^(1/this); 1: as they are, 100: all alike"
    )
    sampler_frequency: float = Field(
        default=0.05, gt=0, lt=1, description="class: images of findings rarer than this are repeated"
    )

    # Irvin et al. 2019, arXiv 1901.07031, compare these policies; the split per class is that of jfhealthcare's
    # Chexpert code. Cardiomegaly is never a 1: CheXpert's labeller writes an uncertain one for every heart failure.
    uncertain_as_one: list[str] = Field(
        default=["Atelectasis", "Edema"],
        description="Classes where uncertain counts as positive in training",
    )
    uncertain_as_zero: list[str] = Field(
        default=["Cardiomegaly", "Consolidation", "Effusion"],
        description="Classes where uncertain counts as negative in training; in the rest it is left out",
    )
    uncertain_as_soft: list[str] = Field(
        default=[],
        description="Classes where uncertain counts as 0.7 positive: the mean of the interval of Pham et al. 2021",
    )

    rotation_degrees: float = Field(default=25.0, ge=0, le=180, description="Rotated by up to this, either way")
    shift: float = Field(default=0.05, ge=0, le=0.5, description="Shifted by up to this part of the side")
    scale: float = Field(default=0.1, ge=0, lt=1, description="Enlarged or shrunk by up to this part")
    dropout_holes: int = Field(default=4, ge=0, le=64, description="Most black squares put on a picture")
    dropout_size: float = Field(default=0.1, gt=0, le=1, description="Largest side of such a square, part of the side")
    brightness: float = Field(default=0.15, ge=0, le=1, description="Brightness changed by up to this part of white")
    contrast: float = Field(default=0.15, ge=0, lt=1, description="Contrast changed by up to this part")
    horizontal_flip: bool = Field(default=False, description="Mirror half of them: puts the heart on the right")

    best_by: Literal["source_macro_auroc", "macro_auroc", "loss"] = Field(
        default="source_macro_auroc",
        description="What chooses the best epoch: validation macro AUROC, mean over the sources; over all images; loss",
    )
    report_steps: int = Field(
        default=50, ge=1, description="Steps between two lines of progress", json_schema_extra=_IDLE
    )
    snapshot_minutes: float = Field(
        default=10,
        ge=0,
        description="Time between two snapshots to go on from, besides that of each epoch",
        json_schema_extra=_IDLE,
    )

    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto", description="auto: bf16 on a GPU that has it; fp16 comes with a gradient scaler"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: the GPU where there is one")
    compile: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Compile the network's blocks: a third faster on an H100 after half a minute; auto: on a GPU",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice instead of holding them: less memory, a third slower"
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads of the network; 0 is torch's own choice",
        json_schema_extra=_IDLE,
    )
    loader: Literal["auto", "threads", "processes"] = Field(
        default="auto",
        description="What reads and augments the next batches. auto: processes for a GPU, whose steps threads would "
        "hold up; threads for a CPU",
        json_schema_extra=_IDLE,
    )
    loader_workers: int = Field(default=2, ge=1, le=64, description="How many of them", json_schema_extra=_IDLE)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_a_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic would read `epochs: true` as 1."""
        values = value.values() if isinstance(value, dict) else [value]
        is_switch = cls.model_fields[info.field_name or ""].annotation is bool
        if not is_switch and any(isinstance(one, bool) for one in values):
            raise PydanticCustomError("switch", "Input should not be true or false")
        return value

    @field_validator("clip_norm", "focal_alpha", mode="before")
    @classmethod
    def _read_null(cls, value: Any) -> Any:
        """`clip_norm=null` on a command line."""
        return None if isinstance(value, str) and value.strip().lower() in ("null", "none") else value

    @field_validator("class_weights", "source_weights", mode="before")
    @classmethod
    def _split_weights(cls, value: Any) -> Any:
        """`class_weights=Hernia=2,Mass=1.5` on a command line."""
        if not isinstance(value, str):
            return value
        pairs = [word.partition("=") for word in value.split(",") if word.strip()]
        if not all(separator for _, separator, _ in pairs):
            raise ValueError(f"{value!r}: expected NAME=WEIGHT,NAME=WEIGHT")
        names = [name.strip() for name, _, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError(f"{value!r}: a name stands twice, name it once")
        return {name.strip(): weight.strip() for name, _, weight in pairs}

    @field_validator("train_on", "uncertain_as_one", "uncertain_as_zero", "uncertain_as_soft", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        """`train_on=nih,vindr` on a command line."""
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @field_validator("image_size")
    @classmethod
    def _is_whole_patches(cls, value: int) -> int:
        """Of 16 pixels, as most have them, or of 14, as DINOv2 and EVA02; `network.input_size` looks closer."""
        if value % 16 and value % 14:
            nearest = sorted({step * (value // step + up) for step in (14, 16) for up in (0, 1)})
            raise ValueError(f"not a multiple of 16 or 14; the nearest are {', '.join(map(str, nearest))}")
        return value

    @model_validator(mode="after")
    def _names_are_classes(self) -> "TrainConfig":
        named = [*self.uncertain_as_one, *self.uncertain_as_zero, *self.uncertain_as_soft]
        unknown = sorted({*named, *self.class_weights} - set(PATHOLOGIES))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not among the classes {', '.join(PATHOLOGIES)}")
        if len(set(named)) < len(named):
            raise ValueError("a class stands twice in uncertain_as_one, _as_zero and _as_soft: name it once")
        return self

    @model_validator(mode="after")
    def _numbers_fit(self) -> "TrainConfig":
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs:g} leave none of the {self.epochs} epochs: lower them")
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} cannot be cut into {self.accumulate} equal parts")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr {self.min_lr:g} is above lr {self.lr:g}: the rate could never fall. Lower min_lr")
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> "TrainConfig":
        weights = {**self.class_weights, **self.source_weights}
        wrong = [name for name, weight in weights.items() if not 0 <= weight <= LARGEST_WEIGHT]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: a weight is 0 to {LARGEST_WEIGHT:,}")
        if self.train_on and not any(self.source_weights.get(name, 1) for name in self.train_on):
            raise ValueError("source_weights is 0 for every source of train_on: nothing would be learnt")
        if not any(self.class_weights.get(name, 1) for name in PATHOLOGIES):
            raise ValueError("class_weights is 0 for every class: nothing would be learnt")
        return self

    def deciding(self) -> dict[str, Any]:
        """What decides the weights, as JSON: it names the job, and a run that goes on has to share it.

        The other fields say how quickly and how often told a run gets there. Pixels depend on no worker; `threads` does
        change the order in which a CPU adds up, hence the last bits.
        """
        idle = {name for name, field in type(self).model_fields.items() if field.json_schema_extra == _IDLE}
        return self.model_dump(mode="json", exclude=idle)

    def weights_file(self) -> Path | None:
        """The file that the weights start from, whether it is there or not; None for random ones and the hub's."""
        if self.pretrained in ("", "hub"):
            return None
        if not self.pretrained.startswith(LOCAL_DIR):
            return Path(self.pretrained).expanduser()  # no shell does so within `pretrained=~/weights.pt`
        folder = Path(self.pretrained.removeprefix(LOCAL_DIR)).expanduser()
        names = [folder / "model.safetensors", folder / "pytorch_model.bin"]
        return next((path for path in names if path.is_file()), names[0])

    @classmethod
    def read(cls, path: Path) -> "TrainConfig":
        """The `config.json` at `path`; raises JobError when it is absent or does not fit."""
        return read_model(path, cls)
