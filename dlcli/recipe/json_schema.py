"""The JSON Schema of recipes, with which editors complete and check them."""

import inspect
import json
import re
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import CoreSchema, ModelSchema

from dlcli.recipe.load import Recipe


class _Generator(GenerateJsonSchema):
    """Leaves out pydantic's titles for keys, which only repeat the key, and describes every section."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        """The name of a definition: ``Plateau_loss_accuracy`` for a section that was made for a task's metrics."""
        section, _, metrics = name.partition("[")
        measures = dict.fromkeys(re.findall(r"(?:train|val)_(\w+)", metrics))
        return super().normalize_name("_".join((section, *measures)))

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """The schema of a section; one that was made for a task's metrics has the description of the section it is."""
        described = {"description": inspect.getdoc(schema["cls"])}
        return {**described, **super().model_schema(schema)}


def schema_text() -> str:
    """The schema of all recipes (draft 2020-12), with the description of each key; `recipes/schema.json` has a copy.

    It accepts what the loader accepts, but for other spellings (``localisation``), and for rules that JSON Schema
    cannot state: those between keys, the bounds of a number that is written as a fraction, and that a whole number is
    written without a point.
    """
    recipe: Any = Annotated[Recipe, Field(discriminator="task")]
    schema = TypeAdapter(recipe).json_schema(schema_generator=_Generator)
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Recipe of dlcli"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
