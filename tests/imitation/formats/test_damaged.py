"""Files that were copied or written half: one sentence, and never zeros in place of data."""

import shutil

import pytest

from rlopt.errors import UserError
from rlopt.imitation import load_demonstrations

from .shared import FIXTURES, STEPS

PARTS = {
    "h5py": ["d4rl.hdf5", "robomimic.hdf5"],
    "pyarrow": [
        "imitation/state.json",
        "imitation/dataset_info.json",
        "imitation/data-00000-of-00001.arrow",
        "lerobot/meta/info.json",
        "lerobot/data/chunk-000/file-000.parquet",
    ],
    "torchrl": ["torchrl/storage/storage_metadata.json", "torchrl/writer/metadata.json"],
}
MEMORY_MAPS = ["action", "next/observation", "next/terminated"]


def copied(part, folder):
    """A copy of the fixture that this file is a part of: the source, and the file."""
    name = part.partition("/")[0]
    copy = shutil.copytree if (FIXTURES / name).is_dir() else shutil.copy
    return copy(FIXTURES / name, folder / name), folder / part


@pytest.mark.parametrize(("library", "part"), [(library, part) for library, parts in PARTS.items() for part in parts])
def test_half_a_file_is_one_sentence(library, part, tmp_path):
    pytest.importorskip(library)
    source, file = copied(part, tmp_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=r"is damaged, or not all there: .* Copy it or write it again") as error:
        load_demonstrations(source, env=STEPS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MEMORY_MAPS)
@pytest.mark.parametrize("rest", ["half", "gone"])
def test_a_memory_map_is_not_filled_up_with_zeros(name, rest, tmp_path):
    source, file = copied(f"torchrl/storage/{name}.memmap", tmp_path)
    size = file.stat().st_size
    if rest == "half":
        file.write_bytes(file.read_bytes()[: size // 2])
    else:
        file.unlink()
    with pytest.raises(UserError, match=f"{file.name} is missing, or has less than its {size} bytes"):
        load_demonstrations(source, env=STEPS)
    assert not file.exists() or file.stat().st_size == size // 2
