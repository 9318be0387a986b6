"""Trains as a good PyTorch user does: fused attention and optimizer, batches augmented as u8, one
sync an epoch."""

import contextlib
import time

import torch
from torch.nn import functional as F

from configuration import (
    CROP_PADDING, CROPPED, LEARNING_RATE, MEAN, PRESETS, STD, Attention, ViT, arguments, finish,
    peak_mib, training_images,
)


def fused_attention(self, x):
    """`Attention.forward` without the map of all scores."""
    qkv = self.to_qkv(x).unflatten(-1, (3, self.heads, -1))  # [batch, tokens, 3, heads, dim_head]
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [batch, heads, tokens, dim_head]
    out = F.scaled_dot_product_attention(q, k, v)
    return self.to_out(out.transpose(1, 2).flatten(2))


def augmented(images, size, crop):
    """u8 [batch, 3, 32, 32] → float32 [batch, 3, size, size]: crop and flip in one gather, then
    resize and normalise."""
    batch, _, side, _ = images.shape
    offsets = torch.full((2, batch, 1), CROP_PADDING)
    if crop:
        offsets = torch.randint(2 * CROP_PADDING + 1, (2, batch, 1))
    rows, columns = offsets + torch.arange(side)  # each [batch, 32]
    columns = torch.where(torch.rand(batch, 1) < 0.5, columns.flip(1), columns)
    padded = F.pad(images, [CROP_PADDING] * 4)
    index = torch.arange(batch)[:, None, None]
    picked = padded[index, :, rows[:, :, None], columns[:, None, :]]  # [batch, 32, 32, 3]
    pixels = picked.permute(0, 3, 1, 2).float().contiguous()
    if size != side:
        pixels = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (MEAN, STD))
    return pixels.sub_(mean).div_(std)


def main():
    imports_mib = peak_mib()
    parser = arguments(__doc__)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true",
                        help="torch.compile, which needs a C++ compiler")
    options = parser.parse_args()
    images, labels = map(torch.from_numpy, training_images(options.data, options.train_samples))
    labels = labels.long()

    torch.manual_seed(0)
    Attention.forward = fused_attention
    model = ViT(PRESETS[options.model]).train()
    if options.compile:
        model = torch.compile(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    bf16 = options.precision == "bf16"
    precision = torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()
    size, crop = PRESETS[options.model]["image_size"], CROPPED[options.model]
    steps = len(labels) // options.batch_size
    for _ in range(options.epochs):
        started, loss_sum = time.monotonic(), torch.zeros(())
        chosen = torch.randperm(len(labels))[:steps * options.batch_size]
        for batch in chosen.split(options.batch_size):
            with precision:
                logits = model(augmented(images[batch], size, crop))
                loss = F.cross_entropy(logits.float(), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach()
        loss = loss_sum.item() / steps
        images_per_second = steps * options.batch_size / (time.monotonic() - started)
    finish(images_per_second, loss, imports_mib)


if __name__ == "__main__":
    main()
