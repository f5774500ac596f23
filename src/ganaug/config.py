"""params.yaml as typed, frozen, strict `Params`: every setting of a run, without hidden defaults.

Read as YAML 1.2, as DVC does, so that `1e-4` is a number. An error names the place of a bad key or
value, and the nearest known key.
"""

import difflib
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ganaug.errors import ParamsError, one_line
from ganaug.fileio import write_text

Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
MOST_PIXELS = 89_478_485  # Pillow treats larger files as decompression bombs


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ElpvParams(_Section):
    """Options of the source `elpv`."""

    defect_threshold: OpenFraction


class FilesParams(_Section):
    """Images of your own: where they are, and facts about them."""

    path: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    name: Annotated[str, Field(min_length=1)]
    license: Annotated[str, Field(min_length=1)]
    citation: str
    homepage: str
    people: bool
    flips: tuple[Literal["hflip", "vflip"], ...]
    group_pattern: str | None

    @field_validator("group_pattern")
    @classmethod
    def _must_name_a_group(cls, pattern: str | None) -> str | None:
        try:
            num_groups = re.compile("()" if pattern is None else pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if num_groups != 1:
            raise ValueError("needs one pair of parentheses, around the name of the group")
        return pattern


class TableParams(_Section):
    """Columns of the sources `table` and `parquet`."""

    image: str
    label: str
    group: str | None
    split: str | None


class AudioParams(_Section):
    """Clips of the source `audio`."""

    seconds: Annotated[float, Field(ge=0.05, le=60)]
    sample_rate: Annotated[int, Field(ge=4000, le=192_000)]


Backend = Literal["loky", "ray", "dask"]  # see `parallel.map_unordered`


class PrepareParams(_Section):
    """Which real images, at which size, and how they are split."""

    source: Literal[
        "elpv", "digits", "folder", "audio", "table", "parquet", "webdataset", "archive"
    ]
    resolution: Literal[16, 32, 64, 128, 256]
    channels: Literal[1, 3]
    val_fraction: OpenFraction
    test_fraction: OpenFraction
    fold: Annotated[int, Field(ge=0)]
    train_fraction: Share
    keep_train: dict[str, Count]
    max_reject_fraction: Fraction
    keep_splits: Annotated[str, Field(min_length=1)] | None
    near_duplicate_distance: Annotated[float, Field(ge=0, le=0.5)]
    max_pixels: Annotated[int, Field(ge=1, le=MOST_PIXELS)]
    elpv: ElpvParams
    files: FilesParams
    audio: AudioParams
    table: TableParams

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "PrepareParams":
        held_out = self.val_fraction + self.test_fraction
        if held_out > 0.9:
            raise ValueError(
                f"val_fraction + test_fraction is {held_out:g}; keep it at 0.9 or below, "
                "so that images are left to train on"
            )
        return self


class TrainParams(_Section):
    """The GAN and its budget."""

    family: Literal["r3", "translator", "dcgan", "mlp", "vae"]
    size: Literal["tiny", "small", "medium", "large"]
    loss: Literal["relativistic", "non_saturating", "minimax", "hinge", "wgan_gp"]
    init_from: str | None
    kimg: Positive
    patience: Share
    batch_size: Annotated[int, Field(ge=8, multiple_of=8)]
    z_dim: Annotated[int, Field(ge=2)]
    lr: Positive
    generator_lr_ratio: Positive
    lr_final_fraction: Fraction
    d_steps_per_g_step: Count
    r1_gamma: NotNegative
    r2_gamma: NotNegative
    gradient_penalty: NotNegative
    penalty_interval: Count
    reconstruction_weight: NotNegative
    ema_kimg: Positive
    class_exponent: Fraction
    augment: tuple[Literal["translate", "brightness", "contrast", "cutout"], ...]
    augment_probability: Annotated[float, Field(ge=0, le=0.8)]
    num_evaluations: Count
    device: Literal["auto", "cpu", "cuda"]
    devices: Count
    num_nodes: Count
    precision: Literal["auto", "fp32", "bf16"]

    @model_validator(mode="after")
    def _refuse_what_cannot_work_together(self) -> "TrainParams":
        penalties = self.r1_gamma + self.r2_gamma + self.gradient_penalty
        if self.family == "dcgan" and self.loss == "wgan_gp":
            raise ValueError(
                "loss wgan_gp needs a gradient per image, which family dcgan does not have, since "
                "it normalises over the batch; choose another loss or family"
            )
        if self.family == "dcgan" and penalties:
            raise ValueError(
                "family dcgan normalises over the batch, so a gradient per image is not defined; "
                "set r1_gamma, r2_gamma and gradient_penalty to 0"
            )
        if self.loss == "wgan_gp" and not self.gradient_penalty:
            raise ValueError(
                "loss wgan_gp has no bound without its penalty; set gradient_penalty, usually 10"
            )
        if self.loss == "wgan_gp" and (self.r1_gamma or self.r2_gamma):
            raise ValueError(
                "loss wgan_gp needs a slope of one, while r1_gamma and r2_gamma pull it to zero; "
                "set both to 0"
            )
        processes = self.devices * self.num_nodes
        if self.batch_size % (8 * processes):
            raise ValueError(
                f"batch_size {self.batch_size} over {processes} processes leaves no multiple of 8 "
                f"to each; take a multiple of {8 * processes}"
            )
        return self


class GenerateParams(_Section):
    """How many synthetic images to make, and which to keep."""

    strategy: Literal["balance", "per_class", "ratio"]
    amount: Positive
    latent_std: Positive
    truncation: Positive | None
    filter_steps: Count
    real_acceptance: Fraction
    max_draws_per_image: Count


class ClassicalParams(_Section):
    """How far classical augmentation may change an image in either direction; 0: not at all."""

    max_shift: Annotated[float, Field(ge=0, le=0.5)]
    max_scale: Annotated[float, Field(ge=0, lt=1)]
    max_rotation: Annotated[float, Field(ge=0, le=180)]
    max_brightness: Fraction
    max_contrast: Fraction


class EvaluateParams(_Section):
    """How the verdict is measured."""

    networks: Annotated[tuple[Literal["cnn", "linear", "efficientnet"], ...], Field(min_length=1)]
    num_repetitions: Annotated[int, Field(ge=2)]
    num_steps: Count
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    shares: Annotated[tuple[OpenFraction, ...], Field(min_length=1)]
    confidence: OpenFraction
    harm_margin_pp: Positive
    recall_margin_pp: NotNegative
    classical: ClassicalParams

    @field_validator("networks", "shares")
    @classmethod
    def _must_name_each_once(cls, values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)}: each once")
        if info.field_name == "shares" and list(values) != sorted(values):
            raise ValueError(f"{list(values)}: must rise")
        return values

    @model_validator(mode="after")
    def _fit_shares_into_batches(self) -> "EvaluateParams":
        if self.shares[0] * self.batch_size < 1:
            raise ValueError(
                f"shares: {self.shares[0]:g} of a batch of {self.batch_size} holds no image; "
                f"start at 1 / batch_size, {math.ceil(1e5 / self.batch_size) / 1e5:g}"
            )
        return self


class MergeParams(_Section):
    """What the pipeline publishes, and what to do if the verdict does not ship synthetic images."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    on_reject: Literal["keep_apart", "real_only", "fail"]
    published: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None


class Params(_Section):
    """All of params.yaml: a seed, where the work is done, and one section per stage."""

    seed: Annotated[int, Field(ge=0)]
    backend: Backend
    prepare: PrepareParams
    train: TrainParams
    generate: GenerateParams
    evaluate: EvaluateParams
    merge: MergeParams


def load_params(path: Path, changes: Mapping[str, Any] | None = None) -> Params:
    """Read and check params.yaml.

    Args:
        path: the file.
        changes: values that replace the file's, by `section.key`.
    Raises:
        ParamsError: the file is missing, is not YAML, or breaks rules; names all of them at once.
    """
    document = _read(path, YAML(typ="safe", pure=True))
    _put(document, changes or {})
    return _check(document, path)


def change_params(path: Path, changes: Mapping[str, Any]) -> Params:
    """Write changed values, given by `section.key`, into params.yaml; keep its comments.

    Raises:
        ParamsError: as `load_params`; the file is then unchanged.
    """
    yaml = YAML()
    yaml.width = 200
    yaml.default_flow_style = None  # new lists in one line
    yaml.preserve_quotes = True
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    document = _read(path, yaml)
    _put(document, changes)
    text = io.StringIO()
    yaml.dump(document, text)
    params = _check(YAML(typ="safe", pure=True).load(text.getvalue()), path)
    write_text(text.getvalue(), path)
    return params


def _read(path: Path, yaml: YAML) -> Any:
    try:
        return yaml.load(path)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the folder that holds it") from None
    except YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {one_line(error)}") from None


def _put(document: Any, changes: Mapping[str, Any]) -> None:
    for place, value in changes.items():
        *sections, key = place.split(".")
        section = document
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):  # else it is missing; the check has a better error
            section[key] = value


def _check(raw: Any, path: Path) -> Params:
    try:
        # Through JSON: lists become tuples, while "3" or true for an int is still refused.
        return Params.model_validate_json(json.dumps(raw, default=str))
    except TypeError as error:
        raise ParamsError(f"{path}: keys must be text: {one_line(error)}") from None
    except ValidationError as error:
        problems = "; ".join(_explain(problem, raw) for problem in error.errors())
        raise ParamsError(f"{path}: {problems}") from None


def _explain(problem: Any, raw: Any) -> str:
    """One pydantic problem as `place: what is wrong`."""
    place = ".".join(map(str, problem["loc"])) or "top level"
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        close = difflib.get_close_matches(str(key), _known_keys(parents), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        return f"{place}: unknown key{hint}"
    if problem["type"] == "missing":
        return f"{place}: missing; every key must be given"
    message = problem["msg"].removeprefix("Value error, ")
    got = f", got {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
    return f"{place}: {message}{got}"


def _known_keys(parents: list[Any]) -> list[str]:
    """Names of the keys allowed below `parents`."""
    section: type[BaseModel] = Params
    for name in parents:
        section = section.model_fields[name].annotation  # type: ignore[assignment]
    return list(section.model_fields)
