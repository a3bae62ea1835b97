"""The table of formats: a sound file, how it is damaged, and in which ways it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.fuzz import mutations, picture_structures, reading, samples
from tests.support.fuzz.hdf5_structures import hdf5_structures
from tests.support.fuzz.onnx_structures import protobuf_numbers
from tests.support.fuzz.reading import Way, command_line
from tests.support.fuzz.samples import Sample, cached
from tests.support.fuzz.structures import rewriting
from tests.support.places import PROJECT

Mutate = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Format:
    """A kind of damaged file.

    Attributes:
        name: under which it is read; `beside` are the files that it needs beside it.
        ways: how it is read, one after the other, file by file; `rare` takes the place of every tenth.
        alone: the command by which every 1,000th is read in a process of its own.
    """

    sample: Sample
    mutate: Mutate
    ways: tuple[Way, ...]
    name: str
    rare: Way | None = None
    alone: Way | None = None
    beside: Mapping[str, Sample] = field(default_factory=dict)


def _model(sample: Sample, mutate: Mutate, name: str) -> Format:
    return Format(sample, mutate, (reading.describe, reading.look_at_model, command_line("inspect", "FILE")), name,
                  reading.build, command_line("inspect", "FILE", "--json", alone=True))


def _data(sample: Sample, mutate: Mutate, name: str) -> Format:
    return Format(sample, mutate, (reading.stream, reading.look_at_data, command_line("inspect", "FILE", "--json")),
                  name, alone=command_line("inspect", "FILE", alone=True))


def _picture(ending: str, mutate: Mutate) -> Format:
    return Format(cached(samples.picture(ending)), mutate, (reading.picture, reading.original), f"p.{ending}")


_GZIP = {"compression": "gzip", "chunks": (4, 1, 6, 10), "shuffle": True}
_H5, _LATEST = cached(samples.model("h5")), cached(samples.model_latest)
_WEIGHTS, _PLAIN, _PACKED = cached(samples.weights), cached(samples.data()), cached(samples.data(**_GZIP))
_NEW_DATA, _NPZ = cached(samples.data_latest), cached(samples.npz)
_NOTES, _GUARD, _RUN = cached(samples.pair_notes), cached(samples.guard), cached(samples.run)
_PROJECT, _MANIFEST = cached(samples.project), cached(samples.manifest)

_PAIR = {"name": "goodnet.json", "rare": reading.pair, "beside": {
    "b.keras": samples.plain_model, "b_prime.keras": samples.plain_model}}
_KEPT = {"name": "run.json", "beside": {"guard.npz": _GUARD}, "alone": command_line(
    "compare", "FOLDER", "FOLDER", alone=True)}
_KEPT_WAYS = (reading.reopen, reading.list_run, command_line("compare", "FOLDER", "FOLDER", "--json"))
_ONNX = PROJECT / "tests/data/onnx/squeezenet-script13.onnx"
_STRUCTURES = rewriting(hdf5_structures)

# Anywhere in the file.
ANYWHERE: dict[str, Format] = {
    "keras": _model(samples.plain_model, mutations.mutated_archive, "m.keras"),
    "h5": _model(_H5, mutations.mutated_bytes, "m.h5"),
    "h5-latest": _model(_LATEST, mutations.mutated_bytes, "m.h5"),
    "weights": _model(_WEIGHTS, mutations.mutated_bytes, "w.h5"),
    "hdf5": _data(_PLAIN, mutations.mutated_bytes, "d.h5"),
    "gzip": _data(_PACKED, mutations.mutated_bytes, "d.h5"),
    "hdf5-latest": _data(_NEW_DATA, mutations.mutated_bytes, "d.h5"),
    "npz": _data(_NPZ, mutations.mutated_archive, "d.npz"),
    "png": _picture("png", mutations.mutated_bytes), "jpeg": _picture("jpg", mutations.mutated_bytes),
    "goodnet.json": Format(_NOTES, mutations.mutated_json, (reading.notes,), **_PAIR),
    "guard.npz": Format(_GUARD, mutations.mutated_archive, (reading.guard,), "guard.npz"),
    "order": Format(_RUN, mutations.mutated_json, (reading.order, reading.look_at_order), "run.json"),
    "run.json": Format(_RUN, mutations.mutated_json, _KEPT_WAYS, **_KEPT),
}

# By their structure: some values or fields at a bound, in an otherwise sound file.
STRUCTURED: dict[str, Format] = {
    "keras-keys": _model(samples.plain_model, mutations.in_member(".json", mutations.one_bound), "m.keras"),
    "keras-headers": _model(samples.plain_model, mutations.one_header_field, "m.keras"),
    "keras-weights": _model(samples.plain_model, mutations.in_member(".h5", _STRUCTURES), "m.keras"),
    "h5-fields": _model(_H5, _STRUCTURES, "m.h5"),
    "h5-latest-fields": _model(_LATEST, _STRUCTURES, "m.h5"),
    "weights-fields": _model(_WEIGHTS, _STRUCTURES, "w.h5"),
    "hdf5-fields": _data(_PLAIN, _STRUCTURES, "d.h5"),
    "gzip-fields": _data(_PACKED, _STRUCTURES, "d.h5"),
    "hdf5-latest-fields": _data(_NEW_DATA, _STRUCTURES, "d.h5"),
    "npz-headers": _data(_NPZ, mutations.one_header_field, "d.npz"),
    "npz-arrays": _data(_NPZ, mutations.in_member(".npy", mutations.one_array_word), "d.npz"),
    "guard-headers": Format(_GUARD, mutations.one_header_field, (reading.guard,), "guard.npz"),
    "guard-arrays": Format(_GUARD, mutations.in_member(".npy", mutations.one_array_word), (reading.guard,),
                           "guard.npz"),
    "goodnet.json-keys": Format(_NOTES, mutations.one_bound, (reading.notes,), **_PAIR),
    "run.json-keys": Format(_RUN, mutations.one_bound, _KEPT_WAYS, **_KEPT),
    "order-keys": Format(_RUN, mutations.one_bound, (reading.order, reading.look_at_order), "run.json"),
    "project-keys": Format(_PROJECT, mutations.one_bound, (
        reading.project, reading.open_project, command_line("prune", "--project", "FILE")), "p.goodnet"),
    "manifest-keys": Format(_MANIFEST, mutations.one_bound, (reading.foreign,), "manifest.json"),
    "names-keys": Format(cached(samples.names("json")), mutations.one_bound, (reading.classes,), "names.json"),
    "names-lines": Format(cached(samples.names("txt")), mutations.one_line, (reading.classes, reading.look_at_names),
                          "names.txt"),
    "onnx-numbers": _model(_ONNX.read_bytes, protobuf_numbers, "m.onnx"),
    **{f"{ending}-fields": _picture(ending, rewriting(locate)) for ending, locate in (
        ("png", picture_structures.png_chunks), ("jpg", picture_structures.jpeg_segments),
        ("tif", picture_structures.tiff_fields), ("webp", picture_structures.riff_chunks),
        ("gif", picture_structures.gif_blocks), *((other, picture_structures.header) for other in (
            "bmp", "ico", "tga", "pcx", "sgi", "dds", "jp2", "avif")))},
    "ppm-numbers": _picture("ppm", picture_structures.ppm_numbers),
}

FORMATS = {**ANYWHERE, **STRUCTURED}


def damaged(name: str, number: int, seed: int) -> bytes:
    """The n-th damaged file of a format."""
    return FORMATS[name].mutate(FORMATS[name].sample(), Random(f"{name} {seed} {number}"))


def way(name: str, number: int) -> Way:
    """How the n-th damaged file of a format is read."""
    found = FORMATS[name]
    if found.alone and number % 1000 == 500:
        return found.alone
    return found.rare if found.rare and number % 10 == 0 else found.ways[number % len(found.ways)]


def set_up(name: str, folder: Path) -> Path:
    """Put what a format needs, and things of a person's, into a folder; where the damaged file goes."""
    for other, sample in FORMATS[name].beside.items():
        (folder / other).write_bytes(sample())
    (folder / "thesis.doc").write_text("somebody's years of work")
    (folder / "my own").mkdir()
    (folder / "my own" / "letter.txt").write_text("somebody's words")
    return folder / FORMATS[name].name
