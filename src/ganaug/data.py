"""Open a merged dataset, from a folder or from a version under DVC, with the tool at hand.

folder = fetch("augmented@v1.2.0", repo="https://git.example.org/solar-cells")
train = load_torch(folder, classical=True)
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from ganaug.errors import DatasetError, GanaugError, one_line
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.fileio import read_json
from ganaug.images import decode_png
from ganaug.publishing.card import HUB_SPLITS
from ganaug.publishing.manifest import CLASSICAL, read_manifest, shards_of

if TYPE_CHECKING:
    from datasets import DatasetDict
    from dvc.api import DVCFileSystem

AUGMENTED = "data/augmented"  # as dvc.yaml names it
CACHE = Path.home() / ".cache" / "ganaug"


def fetch(rev: str, *, repo: str = ".", path: str = AUGMENTED, cache: Path | None = None) -> Path:
    """The folder of a version, downloaded from the DVC remote unless it is there already.

    Args:
        rev: tag, branch or commit, say "augmented@v1.2.0".
        repo: folder or URL of the Git repository.
        path: of the dataset in it.
        cache: where versions are kept, by their content; ~/.cache/ganaug where it is not given.
    Raises:
        DatasetError: there is no such version, or its files can't be had.
    """
    with dvc_version(rev, repo=repo) as files:
        folder = (cache or CACHE) / str(files.info(path)["md5"]).removesuffix(".dir")
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own: the processes of one training may all ask for the same version.
            with TemporaryDirectory(dir=folder.parent) as scratch:
                whole = Path(scratch) / "whole"
                files.get(f"{path}/", str(whole), recursive=True)
                with suppress(OSError):  # another process was faster
                    whole.rename(folder)
    return folder


@contextmanager
def dvc_version(rev: str, *, repo: str = ".") -> Iterator["DVCFileSystem"]:
    """The files of a version; what goes wrong with them is told in one line.

    Raises:
        DatasetError: there is no such version, or a file of it can't be had.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield DVCFileSystem(repo, rev=rev)
    except (DvcException, DataIndexDirError, SCMError, OSError) as error:
        raise DatasetError(
            f"{repo} at {rev}: {one_line(error)}; is it pushed, by git and by dvc?"
        ) from None


def load_pandas(folder: Path, split: str = "train", *, real_only: bool = False) -> pd.DataFrame:
    """A split as a frame: the columns of `records`, `image` as PNG bytes, `class` by name.

    The weights make all synthetic rows count as much as the verdict measured: its ratio times the
    real ones.

    Raises:
        DatasetError: `folder` is no merged dataset, or there is no such split.
    """
    manifest = read_manifest(folder)
    shards = shards_of(folder, manifest, split, real_only=real_only)
    rows = pd.concat(map(pd.read_parquet, shards), ignore_index=True)
    synthetic = rows["source"] == "synthetic"
    if synthetic.any():
        rows.loc[synthetic, "weight"] *= manifest["ratio"] * (~synthetic).sum() / synthetic.sum()
    rows["image"] = rows["image"].str.get("bytes")
    rows["class"] = rows["label"].map(dict(enumerate(manifest["classes"])))
    return rows


class TorchImages(torch.utils.data.Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Images [C, H, W] float32 in [0, 1], labels int64, weights of the rows in the loss float32.

    The PNGs lie in memory. With `augment`, each image is changed by it whenever it is asked for,
    drawn from torch's generator: epochs differ, with workers too, and `torch.manual_seed` repeats
    them.
    """

    def __init__(self, rows: pd.DataFrame, augment: ClassicalAugmentation | None = None) -> None:
        self._images = rows["image"].tolist()
        self._labels = torch.tensor(rows["label"].to_numpy("int64"))
        self._weights = torch.tensor(rows["weight"].to_numpy("float32"))
        self._augment = augment

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        pixels = decode_png(self._images[index])
        if self._augment is not None:
            self._augment.reseed(int(torch.randint(2**62, ())))
            pixels = self._augment(pixels[None])[0]
        image = torch.tensor(pixels).permute(2, 0, 1) / 255
        return image, self._labels[index], self._weights[index]


def load_torch(
    folder: Path, split: str = "train", *, real_only: bool = False, classical: bool = False
) -> TorchImages:
    """A split for a torch DataLoader.

    Args:
        folder: the merged dataset.
        split: train, val or test.
        real_only: leave synthetic rows out.
        classical: change images by the classical policy that the verdict compared with.
    Raises:
        DatasetError: `folder` is no merged dataset, or there is no such split.
    """
    rows = load_pandas(folder, split, real_only=real_only)
    if not classical:
        return TorchImages(rows)
    return TorchImages(rows, ClassicalAugmentation.from_dict(read_json(folder / CLASSICAL)))


def load_datasets(folder: Path, *, real_only: bool = False) -> "DatasetDict":
    """All splits for Hugging Face `datasets`: train, validation and test.

    Raises:
        DatasetError: `folder` is no merged dataset.
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
        hub: [str(path) for path in shards_of(folder, manifest, split, real_only=real_only)]
        for split, hub in HUB_SPLITS.items()
    }
    return load_dataset("parquet", data_files={hub: paths for hub, paths in files.items() if paths})
