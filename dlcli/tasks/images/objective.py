"""The training objective of an image recipe."""

from dlcli.recipe.load import ImageRecipe
from dlcli.recipe.tasks.localization import Localization
from dlcli.tasks.losses import loss_arguments
from dlcli.training.objectives import classification as classification_objectives
from dlcli.training.objectives import localization as localization_objectives
from dlcli.training.objectives import objective


def make_objective(
    recipe: ImageRecipe,
    *,
    num_classes: int,
    class_weights: tuple[float, ...] | None = None,
    losses: str = "all",
    exact: bool = False,
) -> objective.Objective:
    """The loss and metrics of a recipe; for evaluation without class weights.

    Args:
        losses: for localization, the losses to minimize: all, class or box.
        exact: see :func:`dlcli.tasks.losses.loss_arguments`.
    """
    has_boxes = isinstance(recipe, Localization)
    classes = classification_objectives.classification(
        num_classes=num_classes,
        class_weights=None if has_boxes else class_weights,
        **loss_arguments(recipe.train, exact=exact),
    )
    if not isinstance(recipe, Localization):
        return classes
    return localization_objectives.localization(
        classes=classes,
        box_loss=recipe.box_head.loss,
        class_weight=0.0 if losses == "box" else 1.0,
        box_weight=0.0 if losses == "class" else recipe.box_head.weight,
        class_weights=class_weights,
    )
