"""Every defence this project knows, made for one finished run and measured side by side on its data."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.data.datasets import Dataset
from engine.data.targets import true_labels
from engine.defences.comparison import (
    BADNET,
    UNLEARNT_UNPAIRED,
    UNPAIRED,
    Comparison,
    Defence,
    GuardDefence,
    compare,
)
from engine.defences.course import Course, prepare
from engine.defences.distillation import distil
from engine.defences.fine_pruning import fine_prune
from engine.defences.further import defended, further_defences
from engine.defences.training import Repair, missing_labels_warning, repaired_network
from engine.defences.unlearning import unlearn
from engine.errors import EngineError
from engine.guards.calibration import SPARING_GUARD, Guard, calibrate, calibrate_both
from engine.guards.transplant import refuse_other_sizes
from engine.literal import literal
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.runs.doubts.alarms_borne import borne_text, is_known
from engine.runs.kept import Made, ranked_on_text
from engine.runs.pairs import open_again
from engine.runs.prune import PruningRun
from engine.runs.repair import measured_on_text, without
from engine.runs.rows import rows_of

# Images with which it is tried whether a further defence is the same once it is saved.
_TRIED = 16


def compare_defences(
    run: PruningRun, *, allow_missing_labels: bool = False, trained: bool = True, made: Made | None = None,
    standing_out: Sequence[int] = (),
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Comparison:
    """Make and measure B, the run's pruned GoodNets, fine-pruning and both other repairs, plain and guarded.

    B' of fine-pruning starts from the run's last threshold. Everything is made from the clean validation set alone
    and measured on the test set (where there is none, on validation images held back) and every poisoned set. Takes
    minutes. Plug-ins are made and measured likewise; one that fails is a sentence of the comparison's warning.

    Args:
        allow_missing_labels: train although labels of the network have no validation image.
        trained: whether to train at all; without, labels may be missing, and plug-ins aren't asked.
        made: is filled with what is made, for who wants to keep a defence.
        standing_out: labels that an examination found to stand out as attackers' do.
    Raises:
        DatasetError: labels are missing and that wasn't allowed.
        EngineError: a file was changed since the run.
        Cancelled: the token was set; nothing is kept.
    """
    opened = open_again(run, progress=progress, cancel=cancel)
    b, poisoned, (clean, test) = opened.network, opened.of("poisoned"), opened.to_make_and_measure()
    refuse_other_sizes(clean, filter(None, (test, *poisoned)))
    # Asked first, because it refuses and what follows takes long.
    warning = missing_labels_warning(b, clean, allow_missing_labels) if trained else ""
    makers = _Makers(run, b, clean, allow_missing_labels, made or Made(), standing_out, progress, cancel)
    guards, trusted = makers.guards()
    makers = dataclasses.replace(makers, clean=trusted)
    truth = [true_labels(dataset, opened.clean) for dataset in poisoned]
    own = makers.defences(trained)
    # A plug-in may train, and nobody can tell beforehand.
    further, failed = makers.further([defence.name for defence in own]) if trained else ([], [])
    found = compare(b, [*own, *further], guards, test or clean, poisoned, truth, progress=progress, cancel=cancel)
    _let_go(own, further)
    makers.made.left_out.extend(failed)
    borne = (borne_text(one.guard, one.called, opened.labelling.classes, alarms)
             for one, alarms in zip(guards, found.alarms, strict=True))
    known = [doubt.sentence for doubt in run.doubts]
    said = (warning, measured_on_text(test), ranked_on_text(run) if makers.made.pruned else "", *makers.made.left_out,
            *(told for told in borne if not is_known(told, known)))
    return dataclasses.replace(found, warning=" ".join(filter(None, said)))


@dataclass(frozen=True, eq=False)
class _Makers:
    """Makes each defence and takes the time."""

    run: PruningRun
    b: Network
    clean: Dataset
    allow_missing_labels: bool
    made: Made
    standing_out: Sequence[int]
    progress: ProgressCallback
    cancel: CancelToken

    def defences(self, trained: bool) -> list[Defence]:
        """All but further ones, B first; only those that need no training unless `trained`."""
        steps = _steps(self.run)
        made = [Defence(BADNET, None, 0), *(self._pruned(x, step) for x, step in steps.items())]
        if not trained:
            return made
        last = max(steps.values(), default=0)
        if last:
            made.append(self._fine_pruned(last))
        started = time.monotonic()
        course = prepare(self.b, self.clean, allow_missing_labels=self.allow_missing_labels,
                         standing_out=self.standing_out, progress=self.progress, cancel=self.cancel)
        prepared = time.monotonic() - started
        return [*made, *self._both("repaired by distillation", UNPAIRED, distil, course, prepared),
                *self._both("repaired by unlearning", UNLEARNT_UNPAIRED, unlearn, course, prepared)]

    def further(self, taken: Sequence[str]) -> tuple[list[Defence], list[str]]:
        """What plug-ins make, and a sentence for each that can't; a network answers alone.

        Args:
            taken: names that a defence has already.
        """
        known, failed = further_defences()
        made: list[Defence] = []
        for number, further in enumerate(known):
            self.cancel.raise_if_cancelled()
            self.progress(Progress(f"Making {further.name}", number, len(known)))
            started, name = time.monotonic(), literal(further.name)
            if name in (*taken, *(defence.name for defence in made)):
                failed.append(f"There is a defence called {name} already, so the second was left out.")
                continue
            try:
                found = defended(further, self.b, self.clean)
            except EngineError as error:
                failed.append(str(error))
                continue
            self.made.keep(name, found, self.b, self.clean.take(self.clean.spread(_TRIED)))
            network, guard = (None, found) if isinstance(found, Guard) else (found, None)
            made.append(Defence(name, network, time.monotonic() - started, paired=False, guard=guard))
        return made, failed

    def guards(self) -> tuple[list[GuardDefence], Dataset]:
        """Both kinds at the rate asked for, and a transplant guard that spares nearly all clean images, for the copy
        repaired by distillation: it takes most of what is left there. Guards that flag nothing are left out.

        Returns:
            The guards, and the clean images to learn from: none that strikes the transplant guard, asleep or not.
        """
        asked, started = self.run.request.false_alarms, time.monotonic()
        transplant, sparing = calibrate_both(self.b, self.clean, "transplant", asked, progress=self.progress,
                                             cancel=self.cancel)
        calibrated = time.monotonic()
        trusted = without([transplant], self.clean)
        margin = calibrate(self.b, trusted, "margin", asked, progress=self.progress, cancel=self.cancel)
        every = [GuardDefence(transplant, calibrated - started), GuardDefence(margin, time.monotonic() - calibrated),
                 GuardDefence(sparing, calibrated - started, SPARING_GUARD, (UNPAIRED,))]
        awake = [one for one in every if not one.guard.sleeps]
        self.made.left_out.extend(filter(None, [transplant.doubt]))
        self.made.guards.update({one.called: one.guard for one in awake})
        self.made.left_out.extend(
            f"The {one.called} guard was left out. {one.guard.note()}" for one in every if one not in awake)
        return awake, trusted

    def _pruned(self, x: float, step: int) -> Defence:
        name, channels = f"pruned, X = {x:g}", _channels(self.run, step)
        self.made.pruned[name] = tuple(channels)
        return Defence(name, self.b.pruned(self.run.model.layer, channels), self.run.seconds)

    def _fine_pruned(self, step: int) -> Defence:
        started = time.monotonic()
        repair = fine_prune(self.b, self.clean, self.run.model.layer, _channels(self.run, step),
                            allow_missing_labels=self.allow_missing_labels, progress=self.progress, cancel=self.cancel)
        return self._trained(f"fine-pruned, {step} channels", repair, started)

    def _both(
        self, name: str, alone: str, method: Callable[..., Repair], course: Course, prepared: float,
    ) -> list[Defence]:
        """A repaired copy beside B, and alone: that can give backdoored inputs their true label, but flags none.

        Args:
            prepared: the seconds that the course took, which is the same for each method.
        """
        started = time.monotonic() - prepared
        repair = method(self.b, self.clean, course=course, progress=self.progress, cancel=self.cancel)
        pair = self._trained(name, repair, started)
        self.made.repairs[alone] = repair
        return [pair, dataclasses.replace(pair, name=alone, paired=False)]

    def _trained(self, name: str, repair: Repair, started: float) -> Defence:
        self.made.repairs[name] = repair
        return Defence(name, repaired_network(self.b, repair), time.monotonic() - started)


def _let_go(*made: list[Defence]) -> None:
    """Free networks one by one. Their objects refer to each other in circles, so Python would look for them some time
    later, on whatever thread, and take a tenth of a second for all at once, in which a window stands still."""
    for defences in made:
        while defences:
            defences.pop()
            gc.collect()


def _steps(run: PruningRun) -> dict[float, int]:
    """Channels pruned for each threshold that the curve reaches."""
    return {row.x: row.channels_pruned for row in rows_of(run)}


def _channels(run: PruningRun, step: int) -> list[int]:
    return [int(c) for c in run.ranking.order[:step]]
