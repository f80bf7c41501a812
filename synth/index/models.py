"""Neural models as encoders need them: found on this machine, whole, and never fetched."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from synth.errors import SynthError

T = TypeVar("T")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WHOLE = 32 * 2**20
"""Bytes up to which a file is hashed whole; of larger ones, the size and both ends."""
_END = 2**20
# Held while a model works: torch's number of threads belongs to the process, and tokenizers do not share.
_busy = threading.RLock()


def need(encoder: str, extra: str, packages: Sequence[str]) -> list[str]:
    """Versions of the packages.

    Raises:
        SynthError: one is not installed.
    """
    try:
        return [importlib.metadata.version(package) for package in packages]
    except importlib.metadata.PackageNotFoundError as error:
        raise SynthError(
            f"The encoder {encoder} needs the package {error.name}, which is not installed.",
            f"Install it with `pip install 'synth-crs[{extra}]'`, or use --encoder bm25.",
        ) from error


def locate(encoder: str, model: str) -> Path:
    """The folder of a model's files: a folder, or a hub's name that was downloaded to its cache before.

    Raises:
        SynthError: it is neither.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(model):
        raise SynthError(f"There is no folder {model} with weights.", f"Give one that exists: --encoder {encoder}=DIR.")
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(model, local_files_only=True))
    except (OSError, ValueError) as error:
        raise SynthError(
            f"The weights of {model} are not on this machine.",
            f"Fetch them with `hf download {model}`, or give their folder: --encoder {encoder}=DIR.",
        ) from error


def require(encoder: str, folder: Path, needed: Sequence[tuple[str, ...]]) -> list[Path]:
    """The files of a model: of each group the first that is there.

    Raises:
        SynthError: of a group there is none, or one is empty.
    """
    found = []
    for group in needed:
        there = [folder / name for name in group if (folder / name).is_file() and (folder / name).stat().st_size]
        if not there:
            raise SynthError(
                f"The weights of the encoder {encoder} in {folder} are not whole: {' or '.join(group)} is missing.",
                "Fetch the model again; nothing is made up in its place.",
            )
        found.append(there[0])
    return found


def digest(files: Sequence[Path]) -> str:
    """12 hex digits that tell these weights from others, without reading gigabytes."""
    hashed = hashlib.blake2b(digest_size=6)
    for file in files:
        size = file.stat().st_size
        hashed.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            if size <= _WHOLE:
                hashed.update(stream.read())
            else:
                hashed.update(stream.read(_END))
                stream.seek(-_END, 2)
                hashed.update(stream.read())
    return hashed.hexdigest()


@contextmanager
def loading(encoder: str, folder: Path) -> Iterator[None]:
    """Around a library's import and its loading of files: quiet, without network, and with one clear error.

    Raises:
        SynthError: whatever went wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        constants: Any = importlib.import_module("huggingface_hub.constants")
        log: Any = importlib.import_module("transformers.utils.logging")
        offline, verbosity = constants.HF_HUB_OFFLINE, log.get_verbosity()
        constants.HF_HUB_OFFLINE = True  # even a folder's own files make some tokenizers ask the hub
        log.set_verbosity_error()
        log.disable_progress_bar()
        try:
            yield
        except SynthError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise SynthError(
                f"The weights of the encoder {encoder} in {folder} cannot be read: {said}", "Fetch the model again."
            ) from error
        finally:
            constants.HF_HUB_OFFLINE = offline
            log.set_verbosity(verbosity)
            log.enable_progress_bar()


def pretrained(encoder: str, folder: Path, unused: tuple[str, ...] = (), **options: Any) -> Any:
    """The transformers model of a folder, on the best device, with all its weights.

    Args:
        unused: beginnings of names of weights that may be missing.

    Raises:
        SynthError: weights are missing or of another shape; the library would only have drawn them at random.
    """
    auto = importlib.import_module("transformers").AutoModel
    model, said = auto.from_pretrained(str(folder), local_files_only=True, output_loading_info=True, **options)
    missing = sorted(name for name in said["missing_keys"] if not name.startswith(unused))
    if missing or said["mismatched_keys"]:
        count, shown = len(missing) or len(said["mismatched_keys"]), (missing or sorted(said["mismatched_keys"]))[0]
        raise SynthError(
            f"The weights of the encoder {encoder} in {folder} are not whole: "
            f"{count} of them, {shown} first, are missing or of another shape.",
            "Fetch the model again; nothing is made up in their place.",
        )
    return model.eval()


def device() -> str:
    """Where a model runs: the first GPU, else the CPU."""
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def working() -> Iterator[None]:
    """Around a model's work on items: one model at a time, without gradients."""
    with _busy, importlib.import_module("torch").inference_mode():
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Around a model's work on one query: on one thread.

    Another split of the sums over threads would change the last bits, as would padding to a batch's longest text; and a
    search must not depend on what is searched for beside it.
    """
    torch = importlib.import_module("torch")
    with working():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def in_batches(items: Sequence[T], size: int, encode: Callable[[list[T]], Any]) -> Iterator[Any]:
    """What `encode` makes of batch after batch; batches are halved while the GPU's memory does not suffice."""
    torch = importlib.import_module("torch")
    start = 0
    while start < len(items):
        try:
            made = encode(list(items[start : start + size]))
        except torch.OutOfMemoryError:
            if size == 1:
                raise SynthError(
                    "The GPU's memory does not suffice for one item.", "Hide it: CUDA_VISIBLE_DEVICES="
                ) from None
            size //= 2
            torch.cuda.empty_cache()
            continue
        yield made
        start += size
