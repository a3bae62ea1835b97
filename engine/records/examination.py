"""An examination as files and back: examine.json, pictures, a report, and images that wear guilty labels' stamps."""

from __future__ import annotations

import dataclasses
import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.datasets import Dataset
from engine.data.preprocessing import AUTO, choice, preprocessing
from engine.defences.evidence.filters import ColourFilter
from engine.defences.evidence.reconstruction import Reconstruction
from engine.defences.evidence.suspicion import Evidence, Judgement, Verdict
from engine.defences.scan import Scan, StampExample, Suspect
from engine.defences.stamps import Stamp
from engine.errors import EngineError
from engine.files.manifest import first_changed
from engine.files.own import read_own, read_own_arrays
from engine.files.saving import recover, whole_folder
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken
from engine.rates import Rate
from engine.records import checked
from engine.records.json_of import Json, write_json
from engine.runs.examine import Examination, Tried
from engine.runs.opening.inputs import Opened
from engine.runs.reconstructed import write_reconstructed

FILE, PICTURES = "examine.json", "evidence.npz"
# What its folder is called inside that of a defended network or of a run.
INSIDE = "examination"
# What evidence.npz may hold. Of large pictures and many labels fewer faces are kept, so that it can be read again;
# where stamps alone are too much, as of the most labels above some 1,100 x 1,100 pixels, it isn't written.
_MOST_BYTES = 1 << 29
_SAID, _REMEDY = "isn't a saved examination that can be shown again, or is damaged", "Examine the network again."
# What evidence.npz holds: the kinds of number (NumPy's letters) and how many axes.
_ENTRIES = {"masks": ("f", 3), "patterns": ("f", 4), "found": ("b", 1), "pictures": ("u", 4), "faces": ("u", 4),
            "faces_of": ("iu", 1), "scan": ("u", 4)}

# Numbers of a colour filter that this program wrote are smaller.
_LARGEST = 1e6

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class MadeWith:
    """What an examination was made with besides its network; empty where an earlier version saved it.

    Attributes:
        clean_sha256: of the clean images, as run.json holds it.
        preprocessing: the name of the one by which values were fed to the network; preprocessing_asked: the one that
            was asked for, "auto" where it was found out.
    """

    clean_sha256: str = ""
    preprocessing: str = ""
    preprocessing_asked: str = ""


UNKNOWN = MadeWith()


def made_with(opened: Opened, cancel: CancelToken = NEVER_CANCELLED, clean_sha256: str = "") -> MadeWith:
    """What an examination of these inputs is made with.

    Args:
        clean_sha256: where it is known; else it is that of the clean images as they are now.
    Raises:
        DatasetError: the clean images can't be read any more.
        Cancelled: the token was set.
    """
    name = opened.preprocessing.name
    return MadeWith(clean_sha256 or opened.of("validation")[0].sha256(cancel), name, AUTO if opened.feeding else name)


@dataclass(frozen=True, eq=False)
class SavedExamination:
    """An examination from a folder, the name and SHA-256 of its network, the name of its clean images, when it was
    made (local time), and what with."""

    found: Examination
    model: str
    sha256: str
    clean: str
    made_at: datetime.datetime
    made_with: MadeWith = UNKNOWN


def save_examination(
    examination: Examination, network: Network, clean: Dataset, folder: Path, files: tuple[Path, ...],
    rests_on: str = "", made_at: datetime.datetime | None = None, made_with: MadeWith | None = None,
) -> None:
    """Write an examination's folder; it appears whole or not at all.

    Args:
        clean: the images that wear the reconstructed stamps, in the network's input range.
        files: what was read, none of which is ever replaced.
        rests_on: the name of the clean images that were examined with, if these are others.
        made_at: local time; None for now.
        made_with: None where that isn't known.
    Raises:
        OutputError: it can't be written, or would replace what isn't this program's.
        DatasetError: the images can't be read any more.
    """
    with whole_folder(folder, files) as temporary:
        write_examination(examination, network, clean, temporary, rests_on, made_at, made_with)


def write_examination(
    examination: Examination, network: Network, clean: Dataset, folder: Path, rests_on: str = "",
    made_at: datetime.datetime | None = None, made_with: MadeWith | None = None,
) -> None:
    """The files of save_examination in a folder that exists."""
    # It brings matplotlib and Jinja, which `examine --json` needn't wait for.
    from engine.reports.pages.examination import examination_html

    made_at = made_at or datetime.datetime.now()
    document = {"model": network.path.name, "sha256": network.sha256, "clean": rests_on or clean.path.name,
                "made_at": made_at.isoformat(timespec="seconds"),
                **(dataclasses.asdict(made_with) if made_with else {}), **examination_json(examination),
                "scan": _scan_json(examination.scan)}
    write_json(folder / FILE, document)
    arrays = _arrays(examination)
    if sum(array.nbytes for array in arrays.values()) <= _MOST_BYTES:  # what is larger would never be read again
        np.savez_compressed(folder / PICTURES, allow_pickle=False, **arrays)
    for tried in examination.guilty:
        label = tried.evidence.label
        Image.fromarray(tried.picture.squeeze()).save(folder / f"stamp_{label}.png")
        for name, trigger in tried.triggers.items():
            write_reconstructed(clean, trigger, folder / f"{name}_{label}.h5")
    page = examination_html(examination, network.path.name, made_at.date())
    (folder / "report.html").write_text(page, encoding="utf-8")


def examination_json(examination: Examination) -> Json:
    """An examination as its contract names it, the most suspicious label first; rates are fractions."""
    judgement = examination.judgement
    return {"verdict": judgement.verdict, "decided": judgement.decided, "guilty": list(judgement.guilty),
            "standing_out": list(judgement.standing_out), "sentence": judgement.sentence,
            "labels": [_label_json(tried) for tried in examination.tried],
            "stamps": examination.scan.stamps, "changed": examination.scan.changed, "images": examination.images,
            "seed": examination.seed, "seconds": round(examination.seconds, 1), "limits": list(examination.limits)}


def _label_json(tried: Tried) -> Json:
    one = tried.evidence
    return {"label": one.label, "suspect": tried.suspect, "suspicion": tried.suspicion, "scan_count": one.scan_count,
            "mask_pixels": one.mask_pixels, "success_rate": one.success.value,
            "success_rate_interval": list(one.success.interval), "success_images": one.success.total,
            "margin": one.margin, "universal_stamps": one.universal, "colour_filters": one.filters,
            "own_colours": one.own_colours, "filter": tried.filter and {
                "matrix": tried.filter.matrix.tolist(), "offset": tried.filter.offset.tolist(),
                "range": list(tried.filter.within)}}


def _scan_json(found: Scan) -> Json:
    return {"suspects": [dataclasses.asdict(suspect) for suspect in found.suspects], "sentence": found.sentence,
            "overflowed": found.overflowed,
            "examples": [{**dataclasses.asdict(one.stamp), "drawn": one.drawn.count, "of": one.drawn.total}
                         for one in found.examples]}


def _arrays(examination: Examination) -> Arrays:
    """The pictures and stamps of an examination, those of all labels one after the other."""
    tried, examples = examination.tried, examination.scan.examples
    pictures = np.stack([one.picture for one in tried])
    scan = np.stack([one.picture for one in examples]) if examples else np.empty((0, *pictures.shape[1:]), np.uint8)
    arrays = {"masks": np.stack([one.stamp.mask for one in tried]),
              "found": np.array([one.stamp.found for one in tried]),
              "patterns": np.stack([one.stamp.pattern for one in tried]), "pictures": pictures, "scan": scan,
              "faces_of": np.array([len(one.faces) for one in tried])}
    room = (_MOST_BYTES - sum(array.nbytes for array in arrays.values())) // pictures.nbytes
    faces = [one.faces[:max(room, 0)] for one in tried]
    return arrays | {"faces": np.concatenate(faces), "faces_of": np.array(list(map(len, faces)))}


def read_examination(folder: Path) -> SavedExamination:
    """Read an examination's folder; nothing is computed.

    Raises:
        EngineError: it holds none, one without its pictures, or a damaged one.
    """
    recover(folder)
    if not os.path.lexists(folder / PICTURES):
        raise EngineError(f"{folder}: holds no {PICTURES}, so this examination can't be shown again: its pictures are "
                          "too large to be kept, an earlier version saved it, or something was removed. "
                          f"{_REMEDY}")
    arrays = read_own_arrays(folder / PICTURES, _ENTRIES, _MOST_BYTES, _SAID, _REMEDY)
    saved = read_own(folder / FILE, lambda document: _saved(document, arrays), _SAID, _REMEDY)
    try:
        edited = first_changed(folder, (FILE, PICTURES))
    except OSError as error:
        raise EngineError(f"{folder}: can't be read ({error.strerror or error}). {_REMEDY}") from error
    return _unsure(saved, edited.name) if edited else saved


def _unsure(saved: SavedExamination, edited: str) -> SavedExamination:
    """An examination whose verdict stands back, because a file of it isn't as it was saved."""
    told = dataclasses.replace(
        saved.found.judgement, verdict="suspicious", decided=False, guilty=(), standing_out=(),
        sentence=f"No verdict: {edited} was changed after this examination was saved, so it may not say what was "
                 "found. Examine the network again.")
    return dataclasses.replace(saved, found=dataclasses.replace(saved.found, judgement=told))


def _saved(document: Json, arrays: Arrays) -> SavedExamination:
    """Raises ValueError and the like, saying what is wrong."""
    labels = document["labels"]
    _check_arrays(arrays, len(labels))
    ends = np.cumsum(arrays["faces_of"])
    faces = np.split(arrays["faces"], ends[:-1])
    tried = tuple(_tried(one, arrays, place, faces[place]) for place, one in enumerate(labels))
    # Older ones lack those that stand out.
    guilty, out = (tuple(map(checked.count, those)) for those in (document["guilty"], document.get("standing_out", ())))
    if not {*guilty, *out} <= {one.evidence.label for one in tried}:
        raise ValueError("it names a label that wasn't tried")
    judgement = Judgement(checked.one_of(document["verdict"], get_args(Verdict)), guilty,
                          tuple(one.suspicion for one in tried), checked.text(document["sentence"]),
                          decided=checked.one_of(document.get("decided", True), (True, False)), standing_out=out)
    found = Examination(judgement, tried, _scan(document, arrays["scan"]),
                        tuple(map(checked.text, document["limits"])), checked.count(document["images"]),
                        checked.count(document["seed"]), checked.number(document["seconds"]))
    return SavedExamination(found, checked.text(document["model"]), checked.text(document["sha256"]),
                            checked.text(document["clean"]), datetime.datetime.fromisoformat(document["made_at"]),
                            _made_with(document))


def _made_with(document: Json) -> MadeWith:
    sha256, name, asked = (checked.text(document.get(field.name, "")) for field in dataclasses.fields(MadeWith))
    return MadeWith(sha256, preprocessing(name).name if name else "", choice(asked) if asked else "")


def _check_arrays(arrays: Arrays, labels: int) -> None:
    pictures = arrays["pictures"]
    size = pictures.shape[1:]
    each = all(len(arrays[name]) == labels for name in ("masks", "patterns", "found", "pictures", "faces_of"))
    if labels < 2 or not each or arrays["faces_of"].min() < 0 or arrays["faces_of"].sum() != len(arrays["faces"]):
        raise ValueError("its pictures aren't those of its labels")
    if size[2] not in (1, 3) or min(size) < 1 or arrays["masks"].shape[1:] != size[:2] \
            or any(arrays[name].shape[1:] != size for name in ("patterns", "faces", "scan")):
        raise ValueError("its pictures are of different sizes")
    masks = arrays["masks"]
    if not (np.abs(arrays["patterns"]) <= np.finfo(np.float32).max).all() or not ((masks >= 0) & (masks <= 1)).all():
        raise ValueError("a stamp holds values that none has")


def _tried(one: Json, arrays: Arrays, place: int, faces: npt.NDArray[Any]) -> Tried:
    total = checked.count(one["success_images"])
    success = Rate(round(checked.number(one["success_rate"]) * total), total)
    if not total or not 0 <= success.count <= total:
        raise ValueError("a share of no images, or above 1")
    evidence = Evidence(checked.count(one["label"]), checked.count(one["scan_count"]),
                        checked.number(one["mask_pixels"]), success, checked.number(one["margin"]),
                        checked.count(one["universal_stamps"]), checked.count(one.get("colour_filters", 0)),
                        None if one.get("own_colours") is None else checked.number(one["own_colours"]))
    stamp = Reconstruction(evidence.label, arrays["masks"][place].astype(np.float32),
                           arrays["patterns"][place].astype(np.float32), success, bool(arrays["found"][place]))
    return Tried(evidence, bool(one["suspect"]), checked.number(one["suspicion"]), stamp,
                 arrays["pictures"][place].astype(np.uint8), faces.astype(np.uint8),
                 _filter(one.get("filter"), faces.shape[3]))


def _filter(saved: Json | None, channels: int) -> ColourFilter | None:
    """A label's colour filter; older examinations have none."""
    if saved is None:
        return None
    matrix, offset, (low, high) = (np.array(saved[name], np.float64) for name in ("matrix", "offset", "range"))
    if (channels, matrix.shape, offset.shape) != (3, (3, 3), (3,)) or not low < high or \
            not all((np.abs(numbers) <= _LARGEST).all() for numbers in (matrix, offset, [low, high])):
        raise ValueError("a colour filter holds numbers that none has")
    return ColourFilter(matrix, offset, (float(low), float(high)))


def _scan(document: Json, pictures: npt.NDArray[Any]) -> Scan:
    part = document["scan"]
    suspects = tuple(Suspect(checked.count(one["label"]), checked.count(one["count"])) for one in part["suspects"])
    if len(part["examples"]) != len(pictures) or (len(pictures) and not suspects):
        raise ValueError("its random stamps aren't those of its pictures")
    examples = tuple(_example(one, picture) for one, picture in zip(part["examples"], pictures, strict=True))
    return Scan(checked.count(document["stamps"]), checked.count(document["changed"]), suspects, examples,
                checked.text(part["sentence"]), checked.count(part.get("overflowed", 0)))


def _example(one: Json, picture: npt.NDArray[Any]) -> StampExample:
    top, left, height, width = (checked.count(one[name]) for name in ("top", "left", "height", "width"))
    stamp = Stamp(checked.one_of(one["shape"], ("rectangle", "ellipse")), top, left, height, width,
                  tuple(map(checked.number, one["colour"])))
    drawn, total = checked.count(one["drawn"]), checked.count(one["of"])
    if drawn > total:
        raise ValueError("a share above 1")
    return StampExample(stamp, Rate(drawn, total), picture.astype(np.uint8))
