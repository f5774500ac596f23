"""Load a merged dataset, from a folder or from a version under DVC, for torch, pandas or datasets.

A dataset has three configs: `default` is what the verdict recommends, `real` has no synthetic
images, `augmented` has all of them; it is absent if there are none.

folder = fetch("augmented@v1.2.0", repo="https://git.example.org/solar-cells")
train = load_torch(folder, classical=True)
batches = RecipeSampler(train, batch_size=32, num_steps=450)
loader = DataLoader(train, batch_sampler=batches)
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganaug.downstream.batches import Pool, draw_batches, one_hot, row_weights
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.recipes import Recipe
from ganaug.errors import DatasetError, GanaugError, one_line
from ganaug.fileio import read_json, scratch, sweep
from ganaug.images import decode_png
from ganaug.publishing.card import HUB_SPLITS
from ganaug.publishing.manifest import CLASSICAL, read_manifest, recipe_of, shards_of

if TYPE_CHECKING:
    from datasets import DatasetDict
    from dvc.api import DVCFileSystem

AUGMENTED = "data/augmented"  # as dvc.yaml names it
CACHE = Path("~/.cache/ganaug")


def fetch(rev: str, *, repo: str = ".", path: str = AUGMENTED, cache: Path | None = None) -> Path:
    """Download a version from the DVC remote, unless it is cached; return its folder.

    Args:
        rev: tag, branch or commit, say "augmented@v1.2.0".
        repo: folder or URL of the Git repository.
        path: of the dataset in it.
        cache: folder for versions, by content hash; default ~/.cache/ganaug.
    Raises:
        DatasetError: there is no such version, or its files can't be downloaded.
    """
    with dvc_version(rev, repo=repo) as files:
        md5 = str(files.info(path)["md5"]).removesuffix(".dir")
        folder = _expand(cache or CACHE) / md5
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        if not folder.exists():
            # A unique name: several processes may download the same version.
            with scratch(folder.parent) as own:
                whole = own / "whole"
                files.get(f"{path}/", str(whole), recursive=True)
                if (found := _folder_md5(whole)) != md5:
                    raise DatasetError(
                        f"{repo} at {rev}: the remote gave other bytes for {path} than Git names "
                        f"(md5 {found}, not {md5}); try again, or push it again from a clone that "
                        "has it"
                    )
                with suppress(OSError):  # another process was faster
                    whole.rename(folder)
    return folder


def _expand(cache: Path) -> Path:
    try:
        return cache.expanduser()
    except RuntimeError:
        raise DatasetError(f"{cache}: there is no home folder here; name a cache") from None


def _folder_md5(folder: Path) -> str:
    """The hash by which DVC names a folder: of the list of its files and their hashes."""
    listed = []
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                md5 = hashlib.file_digest(file, "md5").hexdigest()
            listed.append({"md5": md5, "relpath": path.relative_to(folder).as_posix()})
    text = json.dumps(sorted(listed, key=lambda entry: entry["relpath"]), sort_keys=True)
    return hashlib.md5(text.encode()).hexdigest()


@contextmanager
def dvc_version(rev: str, *, repo: str = ".") -> Iterator["DVCFileSystem"]:
    """The files of a version; turns errors of DVC into one line.

    Raises:
        DatasetError: there is no such version, or a file can't be downloaded.
    """
    from dvc.api import DVCFileSystem

    try:
        yield DVCFileSystem(repo, rev=rev)
    except GanaugError:
        raise
    except Exception as error:  # each kind of remote raises its own of a lost connection
        raise DatasetError(
            f"{repo} at {rev}: {one_line(error)}; is it pushed, with git and dvc?"
        ) from None


def load_pandas(
    folder: Path, split: str = "train", *, config: str = "default", network: str | None = None
) -> pd.DataFrame:
    """A split as a data frame: the columns of `records`, `image` as PNG bytes, and `class`.

    Args:
        folder: the merged dataset.
        split: train, val or test.
        config: default, real or augmented.
        network: a classifier of the verdict, say "linear": `weight` then weights the rows of train
            as its best recipe does, for learners that take all rows at once. Without it, weights
            are 1.
    Raises:
        DatasetError: `folder` is no merged dataset, or there is no such split, config or network.
    """
    manifest = read_manifest(folder)
    shards = shards_of(folder, manifest, split, config=config)
    rows = pd.concat(map(pd.read_parquet, shards), ignore_index=True)
    if network is not None and split == "train":
        recipe = Recipe(**recipe_of(manifest, config, network=network))
        synthetic = (rows["source"] == "synthetic").to_numpy()
        weights = row_weights(rows["label"].to_numpy(), synthetic, recipe)
        rows["weight"] *= weights.astype("float32")
    rows["image"] = rows["image"].str.get("bytes")
    rows["class"] = rows["label"].map(dict(enumerate(manifest["classes"])))
    return rows


class TorchImages(torch.utils.data.Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Images [C, H, W] float32 in [0, 1], labels int64, weights of the rows in the loss float32.

    The recipe gives the weight of a synthetic row; `RecipeSampler` decides how often it is drawn.
    The PNGs stay in memory. `augment` changes an image at each access, with torch's generator:
    epochs differ, with workers too, and `torch.manual_seed` repeats them.
    """

    def __init__(
        self, rows: pd.DataFrame, recipe: Recipe, augment: ClassicalAugmentation | None = None
    ) -> None:
        self.recipe = recipe
        self.synthetic = (rows["source"] == "synthetic").to_numpy()
        self.labels = torch.tensor(rows["label"].to_numpy("int64"))
        weights = rows["weight"].to_numpy("float32") * np.where(self.synthetic, recipe.weight, 1)
        self._weights = torch.tensor(weights, dtype=torch.float32)
        self._images = rows["image"].tolist()
        self._augment = augment

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        pixels = decode_png(self._images[index])
        if self._augment is not None:
            self._augment.reseed(int(torch.randint(2**62, ())))
            pixels = self._augment(pixels[None])[0]
        image = torch.tensor(pixels).permute(2, 0, 1) / 255
        return image, self.labels[index], self._weights[index]


class RecipeSampler(torch.utils.data.Sampler[list[int]]):
    """Draw batches of row numbers as the verdict did: a `batch_sampler` for a DataLoader.

    The recipe draws classes equally often, or as often as in the real images. A share of each batch
    is synthetic, in all or in the first 70 % of the steps; a class without synthetic images uses
    real ones. Mixup, CutMix and soft labels are left to the training loop.
    """

    def __init__(
        self,
        images: TorchImages,
        *,
        batch_size: int,
        num_steps: int,
        seed: int = 0,
        recipe: Recipe | None = None,
    ) -> None:
        """Plan the batches.

        Args:
            images: the split train.
            batch_size: real and synthetic images per batch.
            num_steps: of the whole training; the schedule needs it.
            seed: of the draws.
            recipe: default: the best one with these images.
        Raises:
            DatasetError: the recipe has a share of synthetic images, and there are none.
        """
        recipe = recipe or images.recipe
        if recipe.share and not images.synthetic.any():
            raise DatasetError(
                f"there is no synthetic image, and the recipe asks for {recipe.share:.0%} of each "
                "batch; load another config or give another recipe"
            )
        self._num_steps, labels = num_steps, images.labels.numpy()
        self._draw = partial(
            draw_batches,
            _numbers(labels, ~images.synthetic),
            _numbers(labels, images.synthetic) if recipe.share else None,
            recipe=recipe,
            batch_size=batch_size,
            num_steps=num_steps,
            seed=seed,
        )

    def __len__(self) -> int:
        return self._num_steps

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.images.tolist() for batch in self._draw())


def _numbers(labels: NDArray[np.int64], wanted: NDArray[np.bool_]) -> Pool:
    """Row numbers instead of images, drawn like the batches of the verdict."""
    unused = one_hot(np.zeros_like(labels), 1)
    return Pool(np.arange(len(labels)), labels, unused, np.flatnonzero(wanted))


def load_torch(
    folder: Path,
    split: str = "train",
    *,
    config: str = "default",
    network: str | None = None,
    classical: bool = False,
) -> TorchImages:
    """A split for a torch DataLoader; `RecipeSampler` gives the batches of train.

    Args:
        folder: the merged dataset.
        split: train, val or test.
        config: default, real or augmented.
        network: a classifier of the verdict; its best recipe for this config becomes `recipe`.
            None takes the first one.
        classical: apply the classical augmentation of the verdict.
    Raises:
        DatasetError: `folder` is no merged dataset, or there is no such split, config or network.
    """
    recipe = Recipe(**recipe_of(read_manifest(folder), config, network=network))
    rows = load_pandas(folder, split, config=config)
    policy = ClassicalAugmentation.from_dict(read_json(folder / CLASSICAL)) if classical else None
    return TorchImages(rows, recipe, policy)


def load_datasets(folder: Path, *, config: str = "default") -> "DatasetDict":
    """All splits for Hugging Face `datasets`: train, validation and test.

    Raises:
        DatasetError: `folder` is no merged dataset, or there is no such config.
        GanaugError: `datasets` is not installed.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise GanaugError(
            "load_datasets needs Hugging Face's library: pip install datasets"
        ) from None
    manifest = read_manifest(folder)
    files = {
        hub: [str(path) for path in shards_of(folder, manifest, split, config=config)]
        for split, hub in HUB_SPLITS.items()
    }
    return load_dataset("parquet", data_files={hub: paths for hub, paths in files.items() if paths})
