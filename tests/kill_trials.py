"""An audit that is killed somewhere, done again, and compared with one that nothing happened to."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import corpus
from tests.audits import write_rows
from tests.dying import KILLED, Audits, Ended, differing, left_in, told

CONFIG: dict[str, Any] = {
    "shard_bytes": 4000,
    "source": {"column": "from"},
    "mixture": {"weights": {"a": 0.7, "b": 0.3}},
    "model": {"training_tokens": 1_000_000},
    "near": {"permutations": 64},
}
REMOVED = ".removed-"


def write_inputs(folder: Path, files: int, seed: int = 1) -> None:
    """Files of copies, near copies and texts that share passages, of two sources."""
    rng = random.Random(seed)
    words = corpus.fresh(rng, 200)
    texts = [corpus.window(words, start, 40) for start in range(0, 120, 6)]
    texts += [corpus.joined(corpus.edited(rng, text.split(), 1)) for text in texts[:8]] + texts[:6]
    texts += [corpus.text(rng, 30) for _ in range(8)] + ["short", "", "東京 x"]
    rng.shuffle(texts)
    for i in range(files):
        rows = [{"text": text, "from": "ab"[n % 2]} for n, text in enumerate(texts[i::files])]
        write_rows(folder / f"{i}.jsonl", rows)


@dataclass
class Trials:
    """Audits of one configuration, each begun in a clean folder.

    With an index, each begins with one that an audit of fewer files left.
    """

    audits: Audits
    folder: Path
    indexed: bool
    undisturbed: Ended
    wanted: Mapping[str, Any]

    @classmethod
    def of(cls, audits: Audits, folder: Path, indexed: bool) -> Trials:
        """Write inputs and an index, audit once undisturbed."""
        found = cls(audits, folder, indexed, Ended(0, (), {}, (), ()), {})
        write_inputs(folder / "first", 4)
        if indexed:
            shutil.copytree(folder / "first", folder / "in", ignore=shutil.ignore_patterns("3.jsonl"))
            assert audits.run(found.config, "before").code == 0
            (folder / "index").rename(folder / "index before")
        found.begin()
        found.undisturbed = audits.run(found.config)
        assert found.undisturbed.code == 0, found.undisturbed.error
        found.wanted = told(found.run)
        return found

    @property
    def config(self) -> dict[str, Any]:
        """What is audited, how."""
        return {
            "inputs": [str(self.folder / "in")],
            "out": str(self.out),
            **CONFIG,
        } | ({"index": str(self.index)} if self.indexed else {})

    @property
    def out(self) -> Path:
        """The folder of runs."""
        return self.folder / "out"

    @property
    def index(self) -> Path:
        """The index."""
        return self.folder / "index"

    @property
    def run(self) -> Path:
        """The run."""
        return self.out / "run"

    @property
    def work(self) -> Path:
        """The work folder of a run that was killed."""
        (found,) = (path for path in self.out.iterdir() if path.name.startswith(".work-"))
        return found

    def begin(self) -> None:
        """Put things back as they were before any run of these inputs."""
        for path in (self.out, self.index, self.folder / "in"):
            shutil.rmtree(path, ignore_errors=True)
        # With the times of change, by which an index knows files.
        shutil.copytree(self.folder / "first", self.folder / "in")
        if self.indexed:
            shutil.copytree(self.folder / "index before", self.index)

    def killed(self, point: int, torn: bool = False) -> Ended:
        """Audit from the beginning and be killed at a point."""
        self.begin()
        died = self.audits.run(self.config, dies_at=point, torn=torn)
        assert died.code == KILLED, (point, died.error)
        return died

    def resumes(self, *before: Ended) -> None:
        """The same command ends well, gives the same, and does again only what was not done."""
        if self.run.exists() and not list(self.out.glob(".work-*/ending.json")):
            # Killed while it cleared away: nothing is left to do.
            self.is_wanted()
            return
        ended = self.audits.run(self.config)
        assert ended.code == 0, ended.error
        assert not ended.damaged, ended.damaged
        self.is_whole()
        assert not (self.index / ".lock").exists()
        done = sum((Counter(each.work) for each in before), Counter(ended.work))
        # One at most in each attempt: the task whose record was there but that had not returned.
        assert 0 <= sum(self.undisturbed.work.values()) - sum(done.values()) <= len(before)
        assert done <= Counter(self.undisturbed.work)

    def is_wanted(self, *but: str) -> None:
        """The run is the one that nothing happened to, but for what is named."""
        different = [each for each in differing(told(self.run), self.wanted) if not each.startswith(but)]
        assert not different, different

    def is_whole(self, *but: str) -> None:
        """The run is there as wanted, and nothing else is."""
        self.is_wanted(*but)
        assert [name for name in left_in(self.out) if not name.startswith(REMOVED)] == []
        assert json.loads((self.run / "run.json").read_text())["run"] == (self.out / "latest").readlink().name
