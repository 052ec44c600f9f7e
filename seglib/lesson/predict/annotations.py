"""Owns the annotated lines of 11_predict: the notes' that a prediction needs, and a mask in plain torch."""

NOTES_LINES = """
pretrained_deeplab.train()
for images, masks in train_dataloader:
      images = images.to(device)
      outputs = pretrained_deeplab(images)['out']
"""

NOTES_EXPLANATIONS = {
    "pretrained_deeplab.train()": "**Mode.** Right for training, wrong here: write `eval()`. In training mode dropout "
    "sets random features to 0, and BatchNorm takes mean and spread from the batch.",
    "for images, masks in": "**Pictures.** A new photograph has no mask, and comes alone, in any size. It has to go "
    "through the same transform as the training pictures, and becomes a batch of one. Without that the model sees "
    "something else than it was trained on.",
    "images = images.to(": "**Device.** As in training: the one of the model. Elsewhere torch stops with an error.",
    "outputs = pretrained_deeplab": "**Forward pass.** The same line, under `torch.no_grad()`: nobody will call "
    "`backward`, so the graph would only fill the memory. The outputs are numbers at the model's size, no mask yet. "
    "A DeepLab that was built with an auxiliary head gives a second output, `aux`, which a prediction leaves alone.",
}

PLAIN_LINES = """
image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
model.eval()
images = prepare(image)[None].to(next(model.parameters()).device)
logits = F.interpolate(logits, (image.height, image.width), mode="bilinear")
return logits.sigmoid()[0, 0].cpu()
mask = probability > 0.5
"""

PLAIN_EXPLANATIONS = {
    "image = ImageOps": "**Open, upright, in colour.** A phone may store a picture on its side, with a note (EXIF). "
    "Without `exif_transpose` the mask lies on its side too. Without `convert` a grey picture stops the transform.",
    "model.eval()": "**Evaluation mode.** Without it a batch of one stops with an error here: the BatchNorm of the "
    "ASPP has one number per channel, and no spread. With larger batches masks change without an error.",
    "images = prepare(": "**As in training.** `prepare` is the transform, `[None]` makes a batch of one, `to` takes it "
    "to the model's device. Without the transform the model sees other numbers, and its masks get worse without an "
    "error.",
    "logits = F.interpolate": "**The photograph's size.** The numbers are enlarged, not the mask. Without it the mask "
    "has the model's size, and does not fit the photograph.",
    "return logits.sigmoid()": "**Probabilities**, because we trained with BCE and Dice, for which outputs are logits. "
    "After the notes' MSE the output itself is the intensity: no sigmoid.",
    "mask = probability": "**The decision.** Without it there is a grey picture, and no mask.",
}
