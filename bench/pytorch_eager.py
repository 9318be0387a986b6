"""Trains as the Python repository does: torchvision in a DataLoader, plain modules, two syncs and a
print a step."""

import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from configuration import (
    CROP_PADDING, CROPPED, LEARNING_RATE, MEAN, PRESETS, STD, ViT, arguments, finish, peak_mib,
    training_images,
)

# One a core on the smallest machine; PyTorch's default, none, leaves the cores idle while images
# are decoded.
WORKERS = 2


class Cifar10(Dataset):
    """As torchvision's: an image is an array that becomes a PIL image when it is asked for."""

    def __init__(self, images, labels, transform):
        self.images = images.transpose(0, 2, 3, 1)  # [samples, row, column, RGB]
        self.labels = labels
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = Image.fromarray(np.ascontiguousarray(self.images[index]))
        return self.transform(image), int(self.labels[index])


def main():
    imports_mib = peak_mib()
    options = arguments(__doc__).parse_args()
    size = PRESETS[options.model]["image_size"]
    transform = transforms.Compose([
        *([transforms.RandomCrop(32, padding=CROP_PADDING)] if CROPPED[options.model] else []),
        transforms.Resize((size, size)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    dataset = Cifar10(*training_images(options.data, options.train_samples), transform)
    # The workers outlive an epoch, so that starting them is not measured.
    loader = DataLoader(dataset, options.batch_size, shuffle=True, drop_last=True,
                        num_workers=WORKERS, persistent_workers=True)

    torch.manual_seed(0)
    model = ViT(PRESETS[options.model]).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for epoch in range(options.epochs):
        started, loss_sum, correct, seen = time.monotonic(), 0.0, 0, 0
        for step, (images, labels) in enumerate(loader, start=1):
            optimizer.zero_grad()
            logits = model(images)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
            seen += len(labels)
            print(f"epoch {epoch + 1} step {step} loss {loss_sum / step:.4f} "
                  f"accuracy {100 * correct / seen:.2f} %")
        images_per_second = seen / (time.monotonic() - started)
    finish(images_per_second, loss_sum / step, imports_mib)


if __name__ == "__main__":
    main()
