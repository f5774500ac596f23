"""Features that outlive a run, computed by workers where they are not known yet."""

import hashlib
import io
from functools import partial
from pathlib import Path

import numpy as np

from ganaug.fileio import atomic_file, sha256_file
from ganaug.images import Pixels
from ganaug.parallel import MapTasks, in_order, one_thread
from ganaug.quality.features import BATCH_SIZE, Features, ImageNetFeatures

BLOCK = 8 * BATCH_SIZE  # images that a worker takes at a time
DIGEST_BYTES = 32  # at the end of a file


class FeatureCache:
    """Keeps features in a folder, by the extractor, the hash of its weights and the images.

    Args:
        folder: created when missing; any file may be deleted at any time.
        map_tasks: as `map`, which works in this process; may give the results in any order.
    """

    def __init__(self, folder: Path, map_tasks: MapTasks = map) -> None:
        self._folder, self._map_tasks = folder, map_tasks
        self._used: set[Path] = set()

    def __call__(self, extractor: ImageNetFeatures, images: Pixels) -> Features:
        """[N, H, W, C] uint8 -> [N, D] float32, computed unless they are kept."""
        named = f"{extractor.name} {extractor.weights_sha256} {images.shape}"
        digest = hashlib.sha256(named.encode())
        digest.update(np.ascontiguousarray(images).data)
        path = self._folder / f"{digest.hexdigest()}.npy"
        self._used.add(path)
        if (known := _read_features(path)) is not None:
            return known
        blocks = [images[i : i + BLOCK] for i in range(0, max(1, len(images)), BLOCK)]
        work = partial(_on_one_thread, extractor)
        features = np.concatenate(list(in_order(work, blocks, self._map_tasks)))
        with atomic_file(path) as temporary:
            with temporary.open("wb") as file:
                np.save(file, features)
            checksum = bytes.fromhex(sha256_file(temporary))
            with temporary.open("ab") as file:
                file.write(checksum)
        return features

    def drop_unused(self) -> None:
        """Delete what was not asked for since the start, so that the folder does not grow."""
        for path in set(self._folder.glob("*.npy")) - self._used:
            path.unlink(missing_ok=True)


@one_thread()
def _on_one_thread(extractor: ImageNetFeatures, images: Pixels) -> Features:
    return extractor(images)


def _read_features(path: Path) -> Features | None:
    """What a file of `FeatureCache` holds, or None if there is none or a byte has changed."""
    content = memoryview(path.read_bytes() if path.is_file() else b"")
    array, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(array).digest() != digest:
        return None
    features: Features = np.load(io.BytesIO(array))
    return features
