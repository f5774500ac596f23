import pytest

from ganaug.sources.registry import load_source


@pytest.fixture
def load(shipped_params):
    """Load a source at a path with changes to the sections files and table."""

    def load(source, path, table=None, **files):
        prepare_params = shipped_params.prepare
        changes = {
            "source": source,
            "files": prepare_params.files.model_copy(update={"path": str(path)} | files),
            "table": prepare_params.table.model_copy(update=table or {}),
        }
        return load_source(prepare_params.model_copy(update=changes))

    return load
