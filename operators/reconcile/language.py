"""The language of a segment, from the recognisers that detect one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from voxmill.manifests.records import Hypothesis
from voxmill.operators.contract.languages import primary


def spoken_language(hypotheses: Sequence[Hypothesis], hint: str | None) -> tuple[str | None, float | None]:
    """The language and its probability: the summed probability it gets from its detectors, over the number of detectors.

    So detectors that contradict each other are never sure together. Engines that name a language without a probability were given it,
    or know no other: they count only where nothing was detected and the source gives no hint, and the probability is then None.
    """
    detected: dict[str, list[float]] = {}
    assumed = []
    for hypothesis in hypotheses:
        if hypothesis.language is None:
            continue
        if hypothesis.language_confidence is None:
            assumed.append(primary(hypothesis.language))
        else:
            detected.setdefault(primary(hypothesis.language), []).append(hypothesis.language_confidence)
    if detected:
        support = {language: math.fsum(values) for language, values in detected.items()}
        language = min(support, key=lambda name: (-support[name], name))
        return language, support[language] / sum(map(len, detected.values()))
    if hint:
        return primary(hint), None
    return (min(assumed, key=lambda name: (-assumed.count(name), name)) if assumed else None), None
