"""Write what prepare, train, generate and evaluate leave on disk, for any small set of images."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.small_run import CLASSES, CLASSICAL, GENERATOR, SOURCE, merge, verdict
from ganaug.fileio import read_json, write_json
from ganaug.images import Pixels, encode_png, pixel_id
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import count_rows, describe_files, read_rows, write_shards

__all__ = ["CLASSES", "CLASSICAL", "GENERATOR", "merge", "verdict"]  # handed on


def toy_images(number: int, seed: int) -> list[Pixels]:
    """`number` different grey images [8, 8, 1]."""
    return list(np.random.default_rng(seed).integers(0, 256, (number, 8, 8, 1), dtype=np.uint8))


def rows_of(images: list[Pixels], labels: list[int], split: str, **columns: Any) -> pd.DataFrame:
    """Rows of real images; synthetic ones when `columns` says so."""
    rows = pd.DataFrame({"label": labels, "image_id": [pixel_id(x) for x in images]})
    rows = rows.assign(source="real", split=split, group_id=split, weight=1.0, **columns)
    return rows.reindex(columns=METADATA_COLUMNS)


def write_prepared(folder: Path, parts: dict[str, tuple[list[Pixels], list[int]]]) -> pd.DataFrame:
    """Write data/prepared from {split: (images, labels)}; the rows of train."""
    folder.mkdir(parents=True)
    rows, paths = {}, []
    for split, (images, labels) in parts.items():
        rows[split] = rows_of(images, labels, split)
        stem = "train-real" if split == "train" else split
        png = [encode_png(x) for x in images]
        paths += write_shards(rows[split], png, folder=folder, stem=stem, class_names=CLASSES)
    counts = count_rows(pd.concat(rows.values()), CLASSES)
    height, _, channels = parts["train"][0][0].shape
    document = {"source": SOURCE, "classes": list(CLASSES), "symmetries": ["hflip"]}
    document |= {"resolution": height, "channels": channels, "counts": counts}
    document |= {"groups": {split: {split: len(part)} for split, part in rows.items()}}
    document |= {"num_images": {"read": 40, "accepted": 40, "rejected": 0, "left_out": 0}}
    document |= {"num_rejected": {}, "files": describe_files(paths)}
    write_json(document, folder / "prepared.json")
    return rows["train"]


def write_synthetic(
    folder: Path,
    images: list[Pixels],
    labels: list[int],
    train: pd.DataFrame,
    *,
    marked: bool = True,
    **columns: Any,
) -> None:
    """Write data/synthetic; `columns` overrides provenance."""
    folder.mkdir(parents=True)
    provenance = {"generator_id": GENERATOR, "label_confidence": 0.9, "realism": 1.1}
    provenance |= {"nearest_id": train["image_id"].iloc[0], "nearest_distance": 2.5}
    provenance |= {"seed": range(2**62, 2**62 + len(images))}  # does not survive a float64
    rows = rows_of(images, labels, "train").assign(source="synthetic", group_id=None)
    rows = rows.assign(**(provenance | columns))
    png = [encode_png(x, synthetic=marked) for x in images]
    paths = write_shards(rows, png, folder=folder, stem="train-synthetic", class_names=CLASSES)
    accepted = {name: labels.count(label) for label, name in enumerate(CLASSES)}
    document = {"generator_id": GENERATOR, "strategy": "balance", "amount": 1.5}
    document |= {"latent_std": 1.0, "truncation": None, "wanted": accepted, "accepted": accepted}
    document |= {"drawn": {name: n + 5 for name, n in accepted.items()}}
    rejected = {"near_copy": 0, "doubtful_class": 3, "unrealistic": 2}
    least = {"label_confidence": 0.6, "realism": 1.0}
    document |= {"min_scores": dict.fromkeys(CLASSES, least)}
    document |= {"rejected": dict.fromkeys(CLASSES, rejected), "files": describe_files(paths)}
    write_json(document, folder / "synthetic.json")


def rewrite_synthetic(
    run: Path, number: int = 6, *, side: int = 8, images_seed: int = 3, **columns: Any
) -> None:
    """Put other synthetic images, all of class 1, in the place of those of a run."""
    shutil.rmtree(run / "synthetic")
    train, _ = read_rows([run / "prepared" / "train-real-00000.parquet"])
    images = [np.resize(x, (side, side, 1)) for x in toy_images(number, images_seed)]
    write_synthetic(run / "synthetic", images, [1] * number, train, **columns)


def declare_people(run: Path) -> None:
    """Say that the real images of a run show people."""
    path = run / "prepared" / "prepared.json"
    prepared = read_json(path)
    write_json(prepared | {"source": prepared["source"] | {"people": True}}, path)


def write_review(run: Path, *, complete: bool) -> dict[str, Any]:
    """Say in synthetic.json that people reviewed the images; what it says."""
    path = run / "synthetic" / "synthetic.json"
    review = {"rejected": 3, "relabelled": 2, "reviewers": ["A_B", "CD"], "complete": complete}
    write_json(read_json(path) | {"review": review}, path)
    return review


def metrics() -> dict[str, Any]:
    """The content of metrics.json of evaluate, in the parts that the report shows."""
    measured = {"kid": 0.012, "precision": 0.8, "recall": 0.6, "density": 0.9, "coverage": 0.75}
    unknown = dict.fromkeys(measured)
    means = {"class_mean": measured, "overall": measured | {"kid": 0.034}}
    both = {"classes": {"clear": measured, "cracked": measured}, **means}
    floor = {"classes": {"clear": measured, "cracked": unknown}, **means}
    gate = {"near_copies": 0.002, "near_copies_real": 0.003}
    gate |= {"authentic": 0.7, "authentic_real": 0.6, "passed": True}
    gate |= {"nearest_ratio": 1.48, "copying_z": -1.47, "copying_z_real": -17.8}
    pieces = {"with_fragment": 0.021, "with_fragment_real": 0.01, "passed": True}
    arms = {arm: {"mean": 0.7, "std": 0.01} for arm in ("A", "B", "B'", "C", "D", "E")}
    candidates = [
        {"recipe": name, "mean": mean, "se": 0.004, "repetitions": 4}
        for name, mean in (("better", 0.72), ("base", 0.7))
    ]
    own = {"arms": arms, "choice": {"candidates": candidates, "at_edge": False}}
    memorisation = {"imagenet": gate, "thumbnails": gate, "fragments": pieces}
    memorisation |= {"thumbnails_space": "16 px"}
    content = {"networks": {"cnn": own, "linear": own}, "memorisation": memorisation}
    for space in ("distances", "distances_trained"):
        extractor = {"name": f"net of {space}", "weights_sha256": "ef" * 32}
        content[space] = {"extractor": extractor, "synthetic": both, "floor": floor}
    return content


def write_pairs(run: Path) -> None:
    """Write closest_pairs.json: synthetic rows 5, 4 and 3 nearest to the real rows 0, 1 and 0."""
    made, _ = read_rows(sorted((run / "synthetic").glob("*.parquet")))
    real, _ = read_rows(sorted((run / "prepared").glob("train*")))
    pairs = [
        {
            "synthetic_id": made["image_id"].iloc[row],
            "train_id": real["image_id"].iloc[near],
            "distance": distance,
            "flip": flip,
        }
        for row, near, distance, flip in (
            (5, 0, 1.0, ""),
            (4, 1, 1.5, "hflip"),
            (3, 0, 2.0, "hflip+vflip"),
        )
    ]
    write_json(pairs, run / "evaluate" / "closest_pairs.json")


def write_curves(folder: Path) -> None:
    """Write the curves of results/train as DVCLive does."""
    steps = [512, 1024, 1536]
    curves = {f"loss/{name}": [1.5, 1.2, 1.3] for name in ("generator", "discriminator", "total")}
    for name, values in (curves | {"val/kid": [0.2, 0.05, 0.08]}).items():
        path = folder / "plots" / "metrics" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame({"step": steps, path.stem: values})
        table.to_csv(path, sep="\t", index=False)


def write_run(folder: Path, decision: str = "ship") -> None:
    """Write prepared/, synthetic/ and verdict.json below `folder`."""
    parts = {"train": (toy_images(12, 0), [0] * 9 + [1] * 3)}
    parts |= {
        split: (toy_images(4, seed), [0, 0, 1, 1]) for seed, split in ((1, "val"), (2, "test"))
    }
    train = write_prepared(folder / "prepared", parts)
    write_synthetic(folder / "synthetic", toy_images(6, 3), [1] * 6, train)
    write_json(verdict(decision, folder), folder / "verdict.json")


def make_old(folder: Path) -> None:
    """Give a merged dataset the manifest of schema version 2."""
    manifest = read_json(folder / "manifest.json")
    for key in ("published", "synthetic", "configs", "recipes"):
        del manifest[key]
    write_json(manifest | {"schema_version": 2, "ratio": 1.0}, folder / "manifest.json")
