"""What can be said of a run's data in sentences, each figure from its tables. The datasheet and the Croissant description say the same."""

from __future__ import annotations

from voxmill.pipeline.release.release_facts import Amount, ReleaseFacts

_SHOWN = 12


def collection(facts: ReleaseFacts) -> str:
    """Where the audio is from, and what was not taken."""
    honoured = "; ".join(f"{loss.rows} left out as `{loss.reason}` ({loss.meaning})" for loss in facts.opt_outs)
    sources = ", ".join(f"{one.name} ({one.kept_hours:.2f} of {one.hours:.2f} h)" for one in facts.sources[:_SHOWN])
    more = f" and {len(facts.sources) - _SHOWN} more" if len(facts.sources) > _SHOWN else ""
    return (
        f"Audio is from {len(facts.sources)} sources that its maker named: {sources}{more}. On the web, robots.txt "
        f"and opt-outs (X-Robots-Tag, TDMRep, meta tags) are honoured: {honoured or 'nothing was left out for them'}. Each sample carries its address, what "
        "permitted the fetch, and its licence with the evidence for it."
    )


def missing(facts: ReleaseFacts) -> str:
    """What was left out, and why."""
    losses = "; ".join(f"{loss.reason}: {loss.rows} ({loss.hours:.3f} h)" for loss in facts.losses)
    return f"Everything that was found and is not in the data has a reason: {losses or 'nothing was left out'}."


def preprocessing(facts: ReleaseFacts) -> str:
    """From files to samples."""
    return (
        "Audio was decoded to 16 kHz mono, speech was found by a detector and cut at pauses; exact duplicates were removed "
        f"(recordings: {facts.duplicates})."
        + (
            f" What looked like personal data was made unreadable and silent in {facts.redacted} samples."
            if facts.redacted
            else ""
        )
    )


def annotation(facts: ReleaseFacts) -> str:
    """How labels came about."""
    labels = "; ".join(f"{one.task} by {one.labeller} ({one.coverage:.0%} of samples)" for one in facts.labels)
    by = f"Every segment was transcribed by {', '.join(facts.engines)}. "
    several = f"Their texts were aligned, and a segment is kept where their agreement is at least {facts.weak:g} (tier `high` from {facts.high:g})."
    return (
        by
        + (
            several
            if len(facts.engines) + facts.given > 1
            else "With one recogniser there is no agreement: segments are kept by its own confidence."
        )
        + (" Transcripts that came with the recordings were compared with them as one more opinion." if facts.given else "")
        + (f" Other labels are by machines as well: {labels}." if labels else "")
    )


def biases(facts: ReleaseFacts) -> str:
    """What is over- and under-represented, as far as the tables know."""
    shares = "; ".join(
        f"{one.language}: {one.kept_hours:.2f} of {one.speech_hours:.2f} h ({one.kept_hours / one.speech_hours:.0%})"
        for one in facts.retention
        if one.speech_hours
    )
    return (
        "Speech is kept where recognisers agree, so what they hear badly is rarer here than in the sources. "
        f"Share of the speech that was kept, by language: {shares or 'none was found'}."
    )


def limitations(facts: ReleaseFacts) -> str:
    """What nobody should rely on."""
    if facts.expected:
        each = "; ".join(f"tier {one.tier}: {one.error:.1%} of words ({one.samples} samples)" for one in facts.expected)
        wrong = f"Errors expected in the labels, by a calibration on labelled samples of the run: {each}."
    else:
        wrong = "The run has no calibration, so the share of wrong words has not been estimated; agreement is no measure of it."
    return wrong + " Recognisers that were trained on the same data can agree on the same mistake."


def personal(facts: ReleaseFacts) -> str:
    """Whom the data is about."""
    done = f"Personal data was looked for in the transcripts; {facts.redacted} samples had some and are silent there." if facts.redacted else (
        "Personal data in what people say was not found by a redaction, or none was made: treat the data as containing some."
    )  # fmt: skip
    return f"Voices and words of real people who spoke in public. {done}"


def uses(facts: ReleaseFacts) -> str:
    """What it is for."""
    return (
        "Training and evaluating speech recognition and related models, within each sample's licence. Not for identifying speakers, cloning voices "
        "or profiling people."
    )


def maintenance(facts: ReleaseFacts) -> str:
    """How something is taken out."""
    return (
        f"On request recordings are taken out with `voxmill revoke`, which writes the shards that held them again and refuses them from then on "
        f"({facts.revoked} so far); whoever holds a copy takes the new shards."
    )


def amounts(title: str, rows: tuple[Amount, ...]) -> str:
    """A table in Markdown."""
    body = "".join(f"| {one.value} | {one.samples:,} | {one.hours:.3f} |\n" for one in rows)
    return f"| {title} | samples | hours |\n|---|---|---|\n{body}"
