"""Owns the words beside the notes' lines, the plain script and the checks. See 12_silent_bugs."""

import inspect
from collections.abc import Callable

from seglib.lesson.silent_bugs import preflight


def sources_of(*functions: Callable) -> str:
    """The source of several functions below one another, docstrings included, as `annotate` takes it."""
    return "\n\n".join(inspect.getsource(function).rstrip() for function in functions) + "\n"


# The notes' lines that make the number and print it.
NOTES_TRACKING = """\
for epoch in range(100):
  total_loss = 0
  count = 0
  for images, masks in train_dataloader:
      outputs = pretrained_deeplab(images)['out']
      loss = criterion(outputs, masks.float())
      count += 4
      total_loss += loss.item()
  print(total_loss / count)
"""
NOTES_TRACKING_EXPLANATIONS = {
    "total_loss = 0": "**The sum begins at 0.** In each epoch anew. Without it earlier epochs stay in the number.",
    "for images, masks in": "**Pairs.** The loop takes it for granted that each mask belongs to its image. If it does "
    "not, no line complains.",
    "outputs = pretrained_deeplab": "**Forward pass.** Any picture gives outputs: one that is too bright, upside down, "
    "or blue where it should be red, too.",
    "loss = criterion": "**Loss.** One number for how far the outputs are from these masks. Right or wrong masks: it "
    "takes what it gets.",
    "total_loss += loss.item()": "**Adding up.** Of the training pictures only. Without new pictures nobody knows "
    "whether the model can do more than these.",
    "print(total_loss / count)": "**The print.** The only number that the notes watch. Without another one, a fault "
    "that lets it fall is never seen.",
}

TRAINING_EXPLANATIONS = {
    "model.train()": "**Training mode.** In each epoch anew, because `evaluate` switches it off.",
    "if torch.rand(()) < 0.5": "**Flipped, both.** Half of the batches are mirrored. The mask has to follow.",
    "optimizer.zero_grad()": "**Zeroing gradients.** Without it each step also follows all gradients before it.",
    "model(normalize(images))": "**Normalised here.** And again where the model is measured. Without it in one of the "
    "two places, the model is measured on pictures that it has never seen the like of.",
    "F.binary_cross_entropy_with_logits": "**Logits in.** This loss has a sigmoid of its own.",
    "scheduler.step()": "**A rate that rises** for eight steps. It counts in steps, so it is called in each.",
}
EVALUATION_EXPLANATIONS = {
    "model.eval()": "**Evaluation mode.** Stored running averages, no dropout.",
    "DataLoader(pairs, batch_size)": "**All pictures**, the last batch too, though it is smaller.",
    "(outputs > 0)": "**The threshold** that belongs to logits.",
    "torch.stack(matrices).sum(0)": "**One matrix** for all pixels, and one division at the end.",
}

READER_EXPLANATIONS = {
    "self.weight = ": "**A weight.** Only so that an optimizer has something to hold.",
    "self.modes.append": "**The mode** in which it is asked.",
    "self.images.append": "**The pictures**, exactly as the script hands them over.",
    "difference = images": "**Red minus blue.** Above 0 where the object is, below 0 beside it.",
    "redness = difference": "**From -1 to 1**, whether the script normalises or not.",
    "outputs = middle": "**Outputs.** Logits of -8 and 8, for a loss that takes logits.",
}
# The checks, in the order in which the lesson shows them: their source, and the words beside it.
DATA_CHECKS = sources_of(preflight.loss_on_own_masks, preflight.iou_on_own_masks, preflight.error_of_known_iou)
DATA_CHECKS_EXPLANATIONS = {
    "for answers in (outputs": "**Twice.** With right answers, and with the opposite ones.",
    "losses.append(script.train_one_epoch": "**Eight times**, since scripts flip at random. The right answers leave "
    "nearly no loss if each mask lies where its picture is red.",
    "return losses[0] /": "**A share.** So one limit does for any loss, for its mean and its sum. The opposite answers "
    "would have all of it.",
    "return script.evaluate(AnswerReader(outputs), own_pairs": "**Near 1**, but for the edges: pictures are resized "
    "smoothly, masks are not.",
    "wrong_pairs = every_second_row": "**Three of seven are wrong**, by as much as we want, in both directions. So the "
    "right IoU is known, and precision or recall are other numbers.",
    "weak = AnswerReader": "**Unsure outputs**, just below and above the threshold. With another threshold all of them "
    "fall on one side.",
    "for size in (6, 4, 2)": "**Three ways to cut seven pictures.** A dropped batch, or a mean of the batches' IoUs, "
    "gives another number.",
}
READER_CHECKS = sources_of(
    preflight.wrong_modes,
    preflight.pixels_apart,
    preflight.spread_of_pixels,
    preflight.changed_pixels,
    preflight.error_of_best_weights,
)
READER_CHECKS_EXPLANATIONS = {
    "wrong += any(reader.modes)": "**Measured in evaluation mode**, both times?",
    "wrong += not all(reader.modes)": "**Trained in training mode**, also after a measurement?",
    "colour = torch.tensor": "**One colour.** Three channels of 0.8, 0.5 and 0.2: an exchange is seen, too.",
    "for _ in range(64)": "**Sixty-four times**, so that most changes at random come out even.",
    "return (means[0] - means[1])": "**The same colour** should come in on both sides.",
    "return torch.cat(reader.images).std()": "**The spread.** About 1 after normalisation; hundreds, if bytes were "
    "not divided by 255.",
    "return int((first.flatten()": "**Measured twice**, the same numbers have to come in: nothing at random.",
    "reader.weight.data.sub_(0.05)": "**Worse with each batch.** The IoU falls from 1 to 0. So the best weights are "
    "early.",
    "if max(scores) == min(scores)": "**If nothing fell**, nothing was tested, and the check says so.",
    "return abs(max(scores)": "**Are they the early ones?** What was kept has to give what was printed.",
}
MODEL_CHECKS = sources_of(
    preflight.weights_in_common,
    preflight.gradients_not_cleared,
    preflight.layers_that_stay,
    preflight.layers_without_gradient,
    preflight.share_pretrained,
    preflight.highest_rate,
    preflight.iou_of_two_by_heart,
)
MODEL_CHECKS_EXPLANATIONS = {
    "known = {id(weight)": "**A new model each time.** Else the other checks would train the one that you still need.",
    "weight.grad = torch.full_like": "**NaN in every gradient**, after the first step, as if left over from it. NaN "
    "plus anything is NaN.",
    "if not seen_before or": "**A batch has to follow.** If none does, nothing was tested.",
    "return sum(bool(weight.isnan()": "**None left?** If the script clears them, before its step or after it, there is "
    "none.",
    "before = {name": "**A copy before.** After eight steps no tensor should be exactly as it was.",
    "return len(list(model.parameters()))": "**Without a gradient:** frozen, or not on the way to the loss.",
    "for seed in (0, 1)": "**Two seeds.** Pretrained weights are the same in both models, random ones are not. (Also "
    "the same: all of them, if `build` sets a seed.)",
    "reader.register_forward_pre_hook": "**The rate at each step.** The optimizer is the script's, the model is not: "
    "so nothing is computed.",
    "script.train_one_epoch(model, _batches(pairs[:2], steps)": "**Forty steps on two pictures.** It asks for nothing "
    "in particular, so it can find what nobody thought of.",
}
PICTURE_CHECKS = sources_of(preflight.sides_apart, preflight.pictures_on_both_sides, preflight.sizes_that_differ)
PICTURE_CHECKS_EXPLANATIONS = {
    "means.append(mean)": "**Mean and spread** of each side. Far apart, if only one side is normalised.",
    "known = torch.stack": "**Very small copies**, 16 by 12. They stay nearly equal when a file is saved again.",
    "ways = [small": "**As it is, and mirrored** in three ways.",
    "return sum(tuple(part": "**The size that was asked for**, of pictures and masks.",
}
