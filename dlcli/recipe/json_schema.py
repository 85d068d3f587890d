"""The JSON Schema of recipes, by which editors complete and check them."""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import CoreSchema

from dlcli.recipe.load import Recipe


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out pydantic's titles for keys, which only repeat the key."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        return False


def schema_text() -> str:
    """The schema of every recipe, draft 2020-12, with the help text of each key; as `recipes/schema.json` holds it.

    It accepts what the loader accepts, but for rules that JSON Schema cannot state: those between keys, the bounds of
    a number that is written as a fraction, and that a whole number is written without a point.
    """
    recipe: Any = Annotated[Recipe, Field(discriminator="task")]
    schema = TypeAdapter(recipe).json_schema(schema_generator=_WithoutTitles)
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Recipe of dlcli"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
