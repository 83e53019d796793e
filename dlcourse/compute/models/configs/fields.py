"""The fields of a Hugging Face config.json, by their common names and with their defaults.

What a config leaves out takes the default that the config class of its `model_type` has in
transformers; `data/config_defaults.json` keeps those, with their version.
"""

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib import resources

OLD_NAMES = {  # `model_type` -> older name of a field -> common name; the older one decides
    "bloom": {"n_embed": "hidden_size"},
    **dict.fromkeys(
        ("RefinedWeb", "RefinedWebModel"),
        {
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
            "n_head_kv": "num_kv_heads",
        },
    ),
}


@cache
def known_types() -> dict[str, dict]:
    """`model_type` -> {"defaults": field -> value, "aliases": common name -> name in the file}."""
    data = resources.files("dlcourse.compute") / "data" / "config_defaults.json"
    return json.loads(data.read_text())["model_types"]


class Fields:
    """Read access to a config. `fields["hidden_size"]` also finds `n_embd` in a GPT-2 config.

    Raises `ValueError` for a config that is no dict, for a field that is missing and has no
    default, and for a value that is not of its kind.
    """

    def __init__(self, config: Mapping, model_type: str | None = None):
        if not isinstance(config, Mapping):
            raise ValueError(
                f"`config` must be a dict of fields, got {type(config).__name__}. "
                "Read a config.json with `read_config(path)`."
            )
        self.config = renamed(config)
        self.model_type = model_type or str(config.get("model_type", ""))
        known = known_types().get(self.model_type, {"defaults": {}, "aliases": {}})
        self.defaults, self.aliases = known["defaults"], known["aliases"]
        self._check_kinds()
        self._check_heads()

    def _check_kinds(self):
        """Raise where a field is not of the kind of its default: a number, a word or a list."""
        for name, default in self.defaults.items():
            kind = type(default) if isinstance(default, str | list) else int | float
            value = self.config.get(name)
            if value is not None and not isinstance(value, kind):
                raise ValueError(
                    f"`{name}` must be of the kind of {default!r}, got {value!r}. Correct it."
                )

    def _check_heads(self):
        """Raise where heads have no width of their own and do not share the stream evenly."""
        if any(self.get(name) for name in ("head_dim", "d_kv", "kv_lora_rank")):
            return
        for name in ("num_attention_heads", "decoder_attention_heads"):
            width, heads = self.get("hidden_size"), self.get(name)
            if not is_positive(width) or not is_positive(heads) or width % heads == 0:
                continue
            if not self.is_default("hidden_size") or not self.is_default(name):
                raise ValueError(
                    f"`hidden_size` must be a multiple of `{name}` where the config has no "
                    f"`head_dim`, got {width} and {heads}. Correct one, or add `head_dim`."
                )

    def is_default(self, name: str) -> bool:
        """Whether the file leaves the field out and the class of its `model_type` has a default."""
        alias = self.aliases.get(name, name)
        in_file = name in self.config or alias in self.config
        return not in_file and self.get(name) is not None

    def get(self, name: str, default=None):
        """The value under this name or its alias; else the default of the class; else `default`."""
        alias = self.aliases.get(name, name)
        for key in (name, alias):
            if key in self.config:  # a null in the file overrides the default of the class
                return default if self.config[key] is None else self.config[key]
        value = self.defaults.get(name, self.defaults.get(alias))
        return default if value is None else value

    def __getitem__(self, name: str):
        value = self.get(name)
        if value is None:
            raise ValueError(
                f"The config of model_type {self.model_type!r} must have `{name}`, and it has no "
                f"default. Add the field; the file has {', '.join(sorted(self.config))}."
            )
        return value

    def size(self, name: str, default: int | None = None) -> int:
        """A whole number of at least 1, or an error."""
        return _size(name, self[name] if default is None else self.get(name, default))

    def sizes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers of at least 1, or an error."""
        values = self[name]
        if not isinstance(values, list) or not values:
            raise ValueError(
                f"`{name}` must be a list of sizes, got {values!r}. Correct the field."
            )
        return tuple(_size(name, value) for value in values)

    def number(self, name: str, default: int) -> int:
        """A whole number of any sign, or an error."""
        value = self.get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"`{name}` must be a whole number, got {value!r}. Correct the field.")
        return value

    def count(self, name: str, default: int) -> int:
        """A whole number of at least 0, or an error."""
        value = self.number(name, default)
        if value < 0:
            raise ValueError(f"`{name}` must be at least 0, got {value}. Correct the field.")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words, or words joined by a bar, or none."""
        value = self.get(name, [])
        if not isinstance(value, str | list):
            raise ValueError(f"`{name}` must be a list of words, got {value!r}. Correct the field.")
        return tuple(value.split("|") if isinstance(value, str) else map(str, value))

    def first(self, *names: str, default: int | None = None) -> int | None:
        """The first of these fields that is set to a size."""
        for name in names:
            if self.get(name):
                return self.size(name)
        return default

    def sub(self, name: str, model_type: str) -> "Fields":
        """A nested config, such as `vision_config`, read as a config of `model_type`."""
        return Fields(self.config.get(name) or {}, model_type)

    @property
    def class_name(self) -> str:
        """The class that the file names under `architectures`, or an empty string."""
        names = self.words("architectures")
        return names[0] if names else ""

    def n_classes(self) -> int:
        """Labels of a classifier: those listed, or two."""
        for name in ("id2label", "label2id"):
            labels = self.config.get(name)
            if labels and not isinstance(labels, Mapping | list):
                raise ValueError(
                    f"`{name}` must be a dict of labels, got {labels!r}. Correct the field, or "
                    "leave it out and give `num_labels`."
                )
            if labels:
                return len(labels)
        return self.size("num_labels", 2)


def is_positive(value) -> bool:
    """Whether this is a finite number above zero."""
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


def renamed(config: Mapping) -> Mapping:
    """The config with the older names of its `model_type` under the common ones."""
    old = OLD_NAMES.get(str(config.get("model_type")), {})
    given = {old[name]: config[name] for name in old if config.get(name) is not None}
    return {**config, **given}


def _size(name: str, value) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"`{name}` must be a whole number of at least 1, got {value!r}. Sizes in a config "
            "count layers, heads or entries of vectors: correct the field."
        )
    return value
