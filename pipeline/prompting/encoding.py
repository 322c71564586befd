"""A tokenizer of the user's, from the JSON file of the package `tokenizers`."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.prompting.cutting import Encode
from pipeline.readers.wording import described


def load_tokenizer(path: Path) -> Encode:
    """What encodes a text with the tokenizer in a file: without special tokens, whole, unpadded.

    Raises:
        ConfigError: the package is not installed, or the file is not there or no tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigError(
            "a tokenizer needs the package tokenizers",
            where=str(path),
            got=error,
            fix="pip install 'dupaudit[tokenizers]', or leave --tokenizer out to cut in words",
        ) from None
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # all that the package raises is of this class
        raise ConfigError(
            "cannot read a tokenizer",
            where=str(path),
            got=described(error),
            expected="a tokenizer.json of the package tokenizers",
            fix="name another file, or leave --tokenizer out to cut in words",
        ) from error
    # A file may say that texts are to be cut at a model's length, or filled up to it.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = tokenizer.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    return encode
