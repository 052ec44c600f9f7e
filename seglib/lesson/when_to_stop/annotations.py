"""Owns the words beside the lines of 09_when_to_stop: the notes' loop, EarlyStopping, averaged weights."""

# The lines of the notes' loop that decide how long it runs, and what is left at the end. Word for word.
NOTES_LINES = """
for epoch in range(100):
  for images, masks in train_dataloader:
      optimizer.step()
  print(total_loss / count)
"""
NOTES_EXPLANATIONS = {
    "for epoch in range(100)": "**Epoch loop.** The number is fixed beforehand. Nothing that happens in the loop can "
    "end it sooner, or make it go on. Without the loop, each picture is seen once.",
    "for images, masks in": "**Training pictures.** The loop sees no others, so it cannot say how the model does on "
    "new ones.",
    "optimizer.step()": "**Optimization step.** Writes the new weights over the old ones. If the hundredth epoch is "
    "worse than the twentieth, the twentieth is gone.",
    "print(total_loss / count)": "**Progress.** A number about the training pictures. Without it one sees nothing at "
    "all; with it one still does not see when to stop, as the next sections show.",
}

STOPPING_EXPLANATIONS = {
    "score = values[-1]": "**One number.** An IoU should rise, a loss fall; with the sign turned, both rise.",
    "if score > self.best + self.min_delta": "**Better, and by enough.** An IoU that is not defined, NaN, never counts "
    "as better.",
    "self.weights = {": "**Keep a copy**, with the buffers. `detach().clone()` copies a tensor. Without it the last "
    "weights would be kept under the name of the best.",
    ">= self.patience": "**Patience is at its end.** Counted from the best epoch, not from the first fall.",
    "history.stopped": "**Say so.** Where it stopped, and since when nothing got better.",
}

AVERAGING_LINES = """
averaged = AveragedModel(model)
for epoch in range(1, epochs + 1):
    train_one_epoch(model, train_dataloader, criterion, optimizer, device)
    if epoch > epochs - 10:
        averaged.update_parameters(model)
update_bn(train_dataloader, averaged, device)
"""
AVERAGING_EXPLANATIONS = {
    "averaged = AveragedModel(model)": "**A second model**, a copy, for the means. The first one trains as before.",
    "if epoch > epochs - 10": "**The last ten epochs.** Earlier weights are not yet near a good place. Without this "
    "line they would be in the mean too.",
    "averaged.update_parameters": "**One more into the mean.** A running mean: no ten copies are kept.",
    "update_bn(": "**BatchNorm anew.** Its running averages belong to the weights of one epoch; the averaged weights "
    "make other features. So the training pictures are shown once more, without a step. Without this line the model "
    "keeps the averages of the last epoch.",
}
