"""The table of formats: a sound file, how it is damaged, and in which ways it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np

from tests.support import foreign_sets
from tests.support.fuzz import foreign_structures, mutations, picture_structures, reading, samples
from tests.support.fuzz.hdf5_structures import hdf5_structures
from tests.support.fuzz.reading import Way, command_line
from tests.support.fuzz.samples import Sample, cached
from tests.support.fuzz.structures import rewriting
from tests.support.fuzz.varint_structures import parquet_places, protobuf_places, renumbering
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


def _data(
    sample: Sample, mutate: Mutate, name: str, *, shape: reading.Shape = reading.SHAPE, read: str = "",
    beside: Mapping[str, Sample] = MappingProxyType({}),
) -> Format:
    """A data set; `read` is what of it is read, where that isn't the damaged file itself."""
    ways = (reading.streaming(shape), reading.looking_at(shape), command_line("inspect", "FILE", "--json"))
    return Format(sample, mutate, tuple(reading.beside(read, way) for way in ways) if read else ways,
                  name, alone=None if read else command_line("inspect", "FILE", alone=True), beside=beside)


def _evidence(mutate: Mutate) -> Format:
    return Format(_EVIDENCE, mutate, (reading.examination, reading.look_for_examination), "evidence.npz",
                  reading.examination_report, beside={"examine.json": _FOUND})


def _foreign(name: str, write: Callable[[Path, Any, list[int]], object], side: int = 0) -> Sample:
    return cached(samples.foreign(name, write, side))


def _picture(ending: str, mutate: Mutate) -> Format:
    return Format(cached(samples.picture(ending)), mutate, (reading.picture, reading.original), f"p.{ending}")


_GZIP = {"compression": "gzip", "chunks": (4, 1, 6, 10), "shuffle": True}
_SMALL, _SMALL_H5 = cached(samples.small_model("keras")), cached(samples.small_model("h5"))
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
_FOUND, _EVIDENCE = (cached(samples.examination(name)) for name in ("examine.json", "evidence.npz"))
_ONNX = PROJECT / "tests/data/onnx/squeezenet-script13.onnx"
_STRUCTURES = rewriting(hdf5_structures)

_NPY_IMAGES = _foreign("images.npy", lambda path, images, labels: samples.write_npy(path, labels, images))
_NPY_LABELS = _foreign("labels.npy", samples.write_npy)
_IDX_IMAGES = _foreign("images.idx", lambda path, images, _: foreign_sets.write_idx(path, images))
_IDX_LABELS = _foreign("labels.idx", lambda path, _, labels: foreign_sets.write_idx(path, np.array(labels)))
_IDX_PACKED = _foreign("images.gz", lambda path, images, _: foreign_sets.write_idx(path, images, packed=True))
_CIFAR, _TAR = _foreign("d.bin", foreign_sets.write_cifar, 32), _foreign("d.tar", foreign_sets.write_tar)
_MAT, _MAT_PACKED = _foreign("d.mat", samples.write_mat), _foreign("d.mat", partial(samples.write_mat, packed=True))
_TABLE = _foreign("labels.csv", samples.write_table)
_PICTURES = {f"{number}.png": cached(samples.picture("png")) for number in range(samples.PICTURES)}
_IDX_HEAD = rewriting(foreign_structures.idx_head)

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
    "evidence.npz": _evidence(mutations.mutated_archive),
    "order": Format(_RUN, mutations.mutated_json, (reading.order,), "run.json"),
    "run.json": Format(_RUN, mutations.mutated_json, _KEPT_WAYS, **_KEPT),
}

# Of those by their structure: pictures, and the files of other programs.
PICTURES: dict[str, Format] = {
    **{f"{ending}-fields": _picture(ending, rewriting(locate)) for ending, locate in (
        ("png", picture_structures.png_chunks), ("jpg", picture_structures.jpeg_segments),
        ("tif", picture_structures.tiff_fields), ("webp", picture_structures.riff_chunks),
        ("gif", picture_structures.gif_blocks), *((other, picture_structures.header) for other in (
            "bmp", "ico", "tga", "pcx", "sgi", "dds", "jp2", "avif")))},
    "ppm-numbers": _picture("ppm", picture_structures.ppm_numbers),
}
FOREIGN: dict[str, Format] = {
    "onnx-numbers": _model(_ONNX.read_bytes, renumbering(protobuf_places), "m.onnx"),
    "npy-images": _data(_NPY_IMAGES, mutations.one_array_word, "images.npy", beside={"labels.npy": _NPY_LABELS}),
    "npy-labels": _data(_NPY_LABELS, mutations.one_array_word, "labels.npy", read="images.npy",
                        beside={"images.npy": _NPY_IMAGES}),
    "idx-images": _data(_IDX_IMAGES, _IDX_HEAD, "images.idx", beside={"labels.idx": _IDX_LABELS}),
    "idx-labels": _data(_IDX_LABELS, _IDX_HEAD, "labels.idx", read="images.idx", beside={"images.idx": _IDX_IMAGES}),
    "idx-packed": _data(_IDX_PACKED, foreign_structures.in_gzip(_IDX_HEAD), "images.gz",
                        beside={"labels": _IDX_LABELS}),
    "cifar-records": _data(_CIFAR, foreign_structures.cifar_record, "d.bin", shape=(32, 32, 3)),
    "mat-elements": _data(_MAT, rewriting(foreign_structures.mat_elements), "d.mat"),
    "mat-packed": _data(_MAT_PACKED, foreign_structures.mat_unpacked, "d.mat"),
    "tar-headers": _data(_TAR, foreign_structures.tar_field, "d.tar"),
    "tfrecord-fields": _data(_foreign("d.tfrecord", foreign_sets.write_tfrecord), foreign_structures.tfrecord_field,
                             "d.tfrecord"),
    "parquet-numbers": _data(_foreign("d.parquet", foreign_sets.write_parquet), renumbering(parquet_places),
                             "d.parquet"),
    "table-cells": _data(_TABLE, foreign_structures.one_cell, "labels.csv", read=".", beside=_PICTURES),
}

# By their structure: some values or fields at a bound, in an otherwise sound file.
STRUCTURED: dict[str, Format] = {
    "keras-keys": _model(samples.plain_model, mutations.in_member(".json", mutations.one_bound), "m.keras"),
    "keras-headers": _model(_SMALL, mutations.one_header_field, "m.keras"),
    "keras-weights": _model(_SMALL, mutations.in_member(".h5", _STRUCTURES), "m.keras"),
    "h5-fields": _model(_SMALL_H5, _STRUCTURES, "m.h5"),
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
    "evidence-headers": _evidence(mutations.one_header_field),
    "evidence-arrays": _evidence(mutations.in_member(".npy", mutations.one_array_word)),
    "examine.json-keys": Format(_FOUND, mutations.one_bound, (reading.examination, reading.look_for_examination),
                                "examine.json", reading.examination_report, beside={"evidence.npz": _EVIDENCE}),
    "goodnet.json-keys": Format(_NOTES, mutations.one_bound, (reading.notes,), **_PAIR),
    "run.json-keys": Format(_RUN, mutations.one_bound, _KEPT_WAYS, **_KEPT),
    "order-keys": Format(_RUN, mutations.one_bound, (reading.order,), "run.json"),
    "project-keys": Format(_PROJECT, mutations.one_bound, (
        reading.project, reading.open_project, command_line("prune", "--project", "FILE")), "p.goodnet"),
    "manifest-keys": Format(_MANIFEST, mutations.one_bound, (reading.foreign,), "manifest.json"),
    "names-keys": Format(cached(samples.names("json")), mutations.one_bound, (reading.classes,), "names.json"),
    "names-lines": Format(cached(samples.names("txt")), mutations.one_line, (reading.classes,), "names.txt"),
    **PICTURES, **FOREIGN,
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
