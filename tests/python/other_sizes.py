"""Networks of other sizes than the presets': their weights, and what plain PyTorch computes.

other_sizes.py make FOLDER
other_sizes.py compare FOLDER NAME BUNDLE IMAGES
"""

import json
import pathlib
import sys

import numpy
import torch
from PIL import Image
from torchvision import transforms

import cifar10

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "trainer/tests/fixtures"))
from make_fixtures import MEAN, STD, TINY, ViT  # noqa: E402

NETWORKS = {
    "patch16": TINY | {"dim": 768, "mlp_dim": 768, "heads": 12, "layers": 2},
    "patch4": TINY | {
        "image_size": 32, "patch_size": 4, "dim": 512, "layers": 6, "heads": 8, "mlp_dim": 1024,
    },
    # Heads of 24 and of 40, which no shape tells; mean over the tokens.
    "mean": TINY | {
        "image_size": 32, "patch_size": 8, "dim": 80, "layers": 3, "heads": 5, "dim_head": 24,
        "mlp_dim": 100, "pool": "mean",
    },
    "odd": TINY | {
        "image_size": 48, "patch_size": 16, "dim": 72, "layers": 1, "heads": 1, "dim_head": 40,
        "mlp_dim": 33,
    },
}  # fmt: skip


def make(folder):
    for seed, (name, config) in enumerate(NETWORKS.items()):
        torch.manual_seed(seed)
        weights = ViT(config).state_dict()
        torch.save({"epoch": 3, "net": weights}, folder / f"{name}.pth")
        (folder / f"{name}.json").write_text(json.dumps(config))
    # What vit-pytorch 1.2 calls the parameters that it has beside these.
    weights = ViT(NETWORKS["odd"]).state_dict()
    weights["to_patch_embedding.2.weight"] = weights.pop("to_patch_embedding.1.weight")
    weights["to_patch_embedding.1.weight"] = torch.ones(16 * 16 * 3)
    weights["transformer.norm.weight"] = torch.ones(72)
    torch.save(weights, folder / "newer.pth")


@torch.no_grad()
def compare(folder, name, bundle, test_batch):
    config = NETWORKS[name]
    found = json.loads((bundle / "manifest.json").read_text())["model"]["config"]
    assert found == config, found
    golden = numpy.load(bundle / "npy/logits.npy")
    model = ViT(config).eval()
    model.load_state_dict(torch.load(folder / f"{name}.pth", weights_only=True)["net"])
    size = config["image_size"]
    transform = transforms.Compose([
        transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD),
    ])
    pixels = cifar10.pixels(test_batch)[:len(golden)]
    images = torch.stack([transform(Image.fromarray(image)) for image in pixels])
    error = (model(images) - torch.from_numpy(golden)).abs().max().item()
    assert error <= 1e-5, error
    print(f"same logits within {error:.1e}")


mode, *arguments = sys.argv[1:]
if mode == "make":
    make(pathlib.Path(arguments[0]))
else:
    folder, name, bundle, images = arguments
    compare(pathlib.Path(folder), name, pathlib.Path(bundle), pathlib.Path(images))
