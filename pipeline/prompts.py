"""`dupaudit prompts`: prompts that test what a model memorized, with how often it was shown each.

A passage of a run occurs as a whole as often as each of its windows, and everything in it goes on
alike wherever it stands. So any 100 tokens of it are a prefix with one continuation and a count
that is exact. Text that occurs once is cut out of documents between passages. Counts are of
normalised words: case, punctuation and spacing may differ from place to place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import Config, parse
from pipeline.errors import ArtifactError, ConfigError
from pipeline.lookup import require_passages
from pipeline.manifest import read_manifest
from pipeline.progress import Progress
from pipeline.prompting.choosing import Choice, Tried, choose, ranked
from pipeline.prompting.cutting import PREFIX_TOKENS, PROBLEMS, STRETCH_TOKENS, Cutter, Stretch
from pipeline.prompting.drawing import Drawn, draw
from pipeline.prompting.encoding import load_tokenizer
from pipeline.prompting.held_out import TRIES, HeldOut, draw_held_out
from pipeline.prompting.lines import HELD_OUT, SPLICED, control_lines, prompt_lines, spliced
from pipeline.prompting.presence import present
from pipeline.readers.wording import printable
from pipeline.schemas import BINS

WORDS = "words"  # the name of the audit's own tokens


@dataclass(frozen=True)
class Prompts:
    """Lines of JSON, each with its line end, and what is to be said of them."""

    lines: Iterable[str]
    summary: str


@dataclass(frozen=True)
class _Controls:
    # Of one kind, with what is to be said of them.
    kind: str
    stretches: Sequence[Stretch]
    notes: Sequence[str]


def export_prompts(
    run: Path, per_bin: int, held_out: Sequence[str], tokenizer: Path | None, seed: int
) -> Prompts:
    """Prompts from a finished run: up to `per_bin` for each repeat bin, and as many controls.

    Args:
        held_out: files, folders or globs of text that was not trained on. Without any, controls are
            spliced from prompts of bin 1.
        tokenizer: a `tokenizers` JSON file; None for the audit's words.
        seed: another one draws other prompts; equal ones make equal bytes.

    Raises:
        ArtifactError: `run` is not a finished run, has no passages, or only ones longer than a prefix.
        ConfigError: the tokenizer or the held-out data cannot be read as such.
        InputError: the audited files are gone, or are not what the run read.
    """
    if per_bin < 1:
        raise ConfigError("a bin needs a prompt", got=f"--per-bin {per_bin}", expected="1 or more")
    config = _config(run)
    name = WORDS if tokenizer is None else tokenizer.name
    encode = None if tokenizer is None else load_tokenizer(tokenizer)
    cutter = Cutter(config.passages.min_tokens, encode, per_bin)
    # Before the run's files are read: this may be what is wrong.
    unseen = _held_out(held_out, config, per_bin, seed, cutter) if held_out else None
    drawn = draw(run, per_bin, seed, cutter.fewest_words)
    tried = choose(run, drawn.candidates, per_bin, cutter)
    chosen = {low: ranked(tried.get(low, []))[:per_bin] for low, _ in BINS}
    once = ranked(tried.get(1, []))
    controls = _not_present(run, config, unseen, per_bin) if unseen else _spliced(once, per_bin)
    lines = prompt_lines(run, [choice for each in chosen.values() for choice in each], name)
    lines += control_lines(controls.stretches, controls.kind, name)
    return Prompts(lines, _summary(per_bin, chosen, tried, drawn, controls, name))


def _config(run: Path) -> Config:
    require_passages(run)
    tree = read_manifest(run)["config"]
    # Bands and rows are in there as resolved, which excludes the recall they may come from.
    config = parse(tree | {"near": {**tree["near"], "recall": None}}, str(run / "run.json"))
    if config.passages.min_tokens > PREFIX_TOKENS:
        raise ArtifactError(
            "the run's shortest passages are longer than a prefix, so it cannot tell how one goes on",
            where=str(run),
            got=f"passages.min_tokens {config.passages.min_tokens}",
            expected=f"at most {PREFIX_TOKENS}",
            fix="audit again with shorter passages",
        )
    return config


def _held_out(patterns: Sequence[str], config: Config, per_bin: int, seed: int, cutter: Cutter) -> HeldOut:
    # Of a single book there may be controls enough.
    generous = replace(cutter, most=TRIES * per_bin)
    return draw_held_out(patterns, config.text_column, per_bin, seed, generous)


def _not_present(run: Path, config: Config, unseen: HeldOut, per_bin: int) -> _Controls:
    found = present(run, config, unseen.stretches, Progress()) if unseen.stretches else set()
    absent = [each for number, each in enumerate(unseen.stretches) if number not in found]
    what = f"Held-out data: {unseen.texts:,} texts, {unseen.without:,} of them without a stretch of"
    notes = [f"{what} {STRETCH_TOKENS} tokens; {unseen.rejected:,} rows without a usable text."]
    if found:
        notes.append(
            f"Of {len(unseen.stretches):,} held-out stretches {len(found):,} stand in the corpus, wholly or"
            " in part, and were left out."
        )
    if len(absent) < per_bin and unseen.beyond:
        notes.append(f"{unseen.beyond:,} further held-out stretches were not looked at.")
    return _Controls(HELD_OUT, absent[:per_bin], notes)


def _spliced(choices: Sequence[Choice], per_bin: int) -> _Controls:
    note = (
        "Controls are spliced: the prefix of one prompt of bin 1 with the suffix of another, which occurs"
        " nowhere. Held-out text of the same kind (--held-out) makes better ones."
    )
    return _Controls(SPLICED, spliced([choice.stretch for choice in choices], per_bin), [note])


def _summary(
    per_bin: int,
    chosen: Mapping[int, Sequence[Choice]],
    tried: Mapping[int, Sequence[Tried]],
    drawn: Drawn,
    controls: _Controls,
    name: str,
) -> str:
    sizes = [("controls", len(controls.stretches)), *((label, len(chosen[low])) for low, label in BINS)]
    tokens = f"{PREFIX_TOKENS} + {STRETCH_TOKENS - PREFIX_TOKENS} tokens ({printable(name)})"
    each = ", ".join(f"{label}: {n:,}" for label, n in sizes)
    lines = [f"Prompts of {tokens} by repeat bin: {each}"]
    for low, label in BINS:
        lines += _of_bin(label, per_bin, chosen[low], tried.get(low, []), drawn.short[low], drawn.beyond[low])
    if len(controls.stretches) < per_bin:
        lines.append(f"Controls: {per_bin - len(controls.stretches):,} fewer than wanted.")
    lines += controls.notes
    lines.append(
        "Counts are of words in the audit's normal form: case, punctuation and spacing may differ between"
        " the places of a prompt."
    )
    return "\n".join(lines)


def _of_bin(
    label: str, per_bin: int, chosen: Sequence[Choice], tried: Sequence[Tried], short: int, beyond: int
) -> list[str]:
    # What is to be said of a bin: nothing, if it is full of prompts from as many documents.
    kind = "document" if label == "1" else "passage"
    found = []
    missing = per_bin - len(chosen)
    if missing:
        found.append(f"{missing:,} fewer than wanted")
        found += [f"{_many(short, kind)} too short"] if short else []
        found += [f"{_many(beyond, kind)} not looked at"] if beyond else []
    problems = Counter(each.problem for each in tried)
    found += [f"{_many(problems[why], kind)} left out ({why})" for why in PROBLEMS if problems[why]]
    again = sum(choice.again > 0 for choice in chosen)
    found += [f"{again:,} from a document that has another"] if again else []
    predictable = sum(choice.stretch.predictable for choice in chosen)
    found += [f"{predictable:,} predictable"] if predictable else []
    return [f"Bin {label}: {'; '.join(found)}."] if found else []


def _many(n: int, kind: str) -> str:
    return f"{n:,} {kind}" + ("" if n == 1 else "s")
