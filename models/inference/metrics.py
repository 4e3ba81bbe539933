"""Metrics from references and predictions: word and character errors, classes, sound events, translations.

Counting is done by jiwer (words, characters), scikit-learn (classes, events) and sacrebleu (translations), all in the extra
`evaluate`. Ours is only how texts are normalised before they are compared, and which samples count.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from voxmill.models.common.tokenizer import CLASSES, Class


@dataclass(frozen=True, slots=True)
class TextMetrics:
    """Word and character error rates in percent (characters without spaces); None if the references hold no words."""

    wer: float | None
    cer: float | None
    utterances: int
    words: int
    """Words of the references."""


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """A label with one value: accuracy, and the mean F1 of the values that occur in the references; both in percent."""

    accuracy: float
    macro_f1: float
    utterances: int


@dataclass(frozen=True, slots=True)
class EventMetrics:
    """Sound events: F1 over all pairs of utterance and event, and its mean over the events of the references; both in
    percent."""

    f1: float
    macro_f1: float
    utterances: int


@dataclass(frozen=True, slots=True)
class TranslationMetrics:
    """BLEU and chrF of a corpus into one language, 0 to 100."""

    bleu: float
    chrf: float
    utterances: int


@dataclass(frozen=True, slots=True)
class UtteranceResult:
    """References and predictions of one utterance. What is None or missing was not labelled, and does not count."""

    language: str
    text: str | None
    """Reference transcript."""
    said: str
    """Recognised text."""
    labels: Mapping[Class, tuple[str, ...]] = field(default_factory=dict)
    said_labels: Mapping[Class, tuple[str, ...]] = field(default_factory=dict)
    translations: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By target language: (reference, prediction)."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of a set of utterances."""

    text: TextMetrics
    by_language: dict[str, TextMetrics]
    choices: dict[str, ClassMetrics]
    """Language, gender, age, emotion: those that any utterance is labelled for."""
    events: EventMetrics | None
    translations: dict[str, TranslationMetrics]
    """By target language."""


def compute_metrics(results: Iterable[UtteranceResult]) -> Metrics:
    """All metrics of a set of utterances."""
    results = list(results)
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for result in results:
        if result.text is not None:
            pairs[result.language].append((result.text, result.said))
    choices: dict[str, ClassMetrics] = {}
    for kind in CLASSES:
        judged = [a for a in results if kind in a.labels and kind in a.said_labels and kind != "sound_events"]
        if judged:
            choices[kind] = class_metrics(
                *zip(*((_one(a.labels[kind]), _one(a.said_labels[kind])) for a in judged), strict=True)
            )
    heard = [a for a in results if "sound_events" in a.labels and "sound_events" in a.said_labels]
    targets = sorted({target for result in results for target in result.translations})
    return Metrics(
        text=text_metrics([pair for one in pairs.values() for pair in one]),
        by_language={language: text_metrics(one) for language, one in sorted(pairs.items())},
        choices=choices,
        events=event_metrics([(set(a.labels["sound_events"]), set(a.said_labels["sound_events"])) for a in heard]),
        translations={
            to: translation_metrics([a.translations[to] for a in results if to in a.translations], to) for to in targets
        },
    )


def text_metrics(pairs: Sequence[tuple[str, str]]) -> TextMetrics:
    """Error rates of pairs (reference, hypothesis). With an empty reference, all that was recognised is an insertion.

    >>> text_metrics([("The cat sat.", "the cat sat"), ("on a mat", "a hat")])
    TextMetrics(wer=33.33, cer=20.0, utterances=2, words=6)
    """
    import jiwer

    references, hypotheses = ([normalise(one[side]) for one in pairs] for side in (0, 1))
    words = sum(len(text.split()) for text in references)
    if not words:
        return TextMetrics(None, None, len(pairs), 0)
    by_word = jiwer.process_words(references, hypotheses)
    by_character = jiwer.process_characters(*([text.replace(" ", "") for text in side] for side in (references, hypotheses)))
    return TextMetrics(_percent(by_word.wer), _percent(by_character.cer), len(pairs), words)


def normalise(text: str) -> str:
    """A text as it is compared: NFKC, lower case, without punctuation; scripts without spaces are split into characters.

    >>> normalise("Don’t  stop—me, 谢谢 ＯＫ!")
    "don't stop me 谢 谢 ok"
    """
    out = []
    text = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    for index, letter in enumerate(text):
        if letter == "'" and 0 < index < len(text) - 1 and text[index - 1].isalpha() and text[index + 1].isalpha():
            out.append(letter)
        elif unicodedata.category(letter)[0] in "PSZC":
            out.append(" ")
        else:
            out.append(f" {letter} " if _stands_alone(letter) else letter)
    return " ".join("".join(out).split())


def class_metrics(references: Sequence[str], hypotheses: Sequence[str]) -> ClassMetrics:
    """Accuracy and F1 of one value for each utterance.

    >>> class_metrics(["en", "en", "zh", "zh"], ["en", "zh", "zh", "zh"])
    ClassMetrics(accuracy=75.0, macro_f1=73.33, utterances=4)
    """
    from sklearn.metrics import accuracy_score, f1_score

    macro = f1_score(references, hypotheses, labels=sorted(set(references)), average="macro", zero_division=0)
    return ClassMetrics(_percent(accuracy_score(references, hypotheses)), _percent(macro), len(references))


def event_metrics(pairs: Sequence[tuple[AbstractSet[str], AbstractSet[str]]]) -> EventMetrics | None:
    """F1 of sets of events, (reference, hypothesis) for each utterance; None without an utterance.

    If there is no event in any reference or hypothesis, F1 is 100.

    >>> event_metrics([({"laughter"}, {"laughter", "bgm"}), ({"bgm"}, set())])
    EventMetrics(f1=50.0, macro_f1=50.0, utterances=2)
    """
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    if not pairs:
        return None
    names = sorted({name for pair in pairs for side in pair for name in side})
    known = [index for index, name in enumerate(names) if any(name in reference for reference, _ in pairs)]
    if not names:
        return EventMetrics(100.0, 100.0, len(pairs))
    table = MultiLabelBinarizer(classes=names)
    references, hypotheses = (table.fit_transform([pair[side] for pair in pairs]) for side in (0, 1))
    macro = f1_score(references, hypotheses, labels=known, average="macro", zero_division=0) if known else 0.0
    return EventMetrics(
        _percent(f1_score(references, hypotheses, average="micro", zero_division=0)), _percent(macro), len(pairs)
    )


def translation_metrics(pairs: Sequence[tuple[str, str]], language: str) -> TranslationMetrics:
    """BLEU and chrF of pairs (reference, hypothesis): sacrebleu's defaults, with the tokenisation that suits the language."""
    import sacrebleu

    references, hypotheses = ([one[side] for one in pairs] for side in (0, 1))
    bleu = sacrebleu.corpus_bleu(hypotheses, [references], tokenize=_BLEU_TOKENS.get(language, "13a"))
    chrf = sacrebleu.corpus_chrf(hypotheses, [references])
    return TranslationMetrics(round(bleu.score, 2), round(chrf.score, 2), len(pairs))


_BLEU_TOKENS = {"zh": "zh", "yue": "zh", "ja": "char", "ko": "char", "th": "char"}


def _one(values: Sequence[str]) -> str:
    """The value of a label with one value; \"labelled: there is none\" is a value too."""
    return values[0] if values else ""


def _percent(share: float) -> float:
    return round(100 * float(share), 2)


def _stands_alone(letter: str) -> bool:
    """True for Han, kana, Thai, Lao, Khmer and Burmese, which have no spaces between words."""
    return any(low <= letter <= high for low, high in _ALONE)


_ALONE = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"), ("\u3400", "\u4dbf"),
          ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"))  # fmt: skip
