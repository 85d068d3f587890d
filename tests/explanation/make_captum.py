"""Writes captum.npz: a small network, images, and what captum's methods find in them.

For ``pip install torch captum`` only; run it as ``python tests/explanation/make_captum.py`` when a method is added.
"""

from pathlib import Path

import captum
import numpy as np
import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from torch import nn

HEIGHT, WIDTH, NUM_CLASSES = 12, 10, 4
WINDOW, STEP = 4, 2
STEPS = 64


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * (HEIGHT // 2) * (WIDTH // 2), NUM_CLASSES),
    )


def last(maps: torch.Tensor) -> np.ndarray:
    """From torch's order of axes to the one with the channels last."""
    return maps.detach().numpy().transpose(0, 2, 3, 1)


def main() -> None:
    torch.use_deterministic_algorithms(True)
    model = network()
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, HEIGHT, WIDTH, generator=generator) * 255
    model[0].weight.data /= 16  # of pixels in [0, 255], so that logits are not huge
    classes = torch.tensor([0, 2, 3])

    cam = LayerGradCam(model, model[4])
    double = network().double()
    double.load_state_dict(model.state_dict())
    integrated = IntegratedGradients(double).attribute(
        images.double(), target=classes, n_steps=STEPS, method="riemann_middle"
    )
    occluded = Occlusion(model).attribute(
        images, sliding_window_shapes=(3, WINDOW, WINDOW), strides=(3, STEP, STEP), target=classes, baselines=0
    )
    features = model[:5]
    maps = features(images).detach()
    strongest = [np.unravel_index(int(own.argmax()), own.shape) for own in maps]  # filter, row and column
    projected = [
        Deconvolution(features).attribute(image[None], target=tuple(map(int, place))) * own[place]
        for image, own, place in zip(images, maps, strongest, strict=True)
    ]
    np.savez_compressed(
        Path(__file__).with_name("captum.npz"),
        version=np.array(captum.__version__),
        images=last(images),
        classes=classes.numpy().astype(np.int32),
        kernel1=model[0].weight.detach().numpy().transpose(2, 3, 1, 0),
        bias1=model[0].bias.detach().numpy(),
        kernel2=model[3].weight.detach().numpy().transpose(2, 3, 1, 0),
        bias2=model[3].bias.detach().numpy(),
        kernel3=model[6]
        .weight.detach()
        .numpy()
        .reshape(NUM_CLASSES, 8, HEIGHT // 2, WIDTH // 2)
        .transpose(2, 3, 1, 0)
        .reshape(-1, NUM_CLASSES),
        bias3=model[6].bias.detach().numpy(),
        logits=model(images).detach().numpy(),
        gradient=last(Saliency(model).attribute(images, target=classes, abs=False)).sum(-1),
        guided=last(GuidedBackprop(model).attribute(images, target=classes)).sum(-1),
        gradcam=last(
            LayerAttribution.interpolate(
                cam.attribute(images, target=classes, relu_attributions=False), (HEIGHT, WIDTH), "bilinear"
            )
        )[..., 0],
        integrated=last(integrated).sum(-1).astype(np.float64),
        occlusion=last(occluded)[..., 0],
        deconvnet=np.concatenate([last(maps) for maps in projected]),
        filters=np.array(strongest, np.int32)[:, 0],
        positions=np.array(strongest, np.int32)[:, 1:],
    )


if __name__ == "__main__":
    main()
