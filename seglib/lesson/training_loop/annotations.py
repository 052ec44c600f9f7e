"""Owns the explanations beside the lines of the training loop. See 07_training_loop."""

# A piece of one line of `train_one_epoch` -> its explanation, in the form of the notes: what the line does, and what
# happens without it. `annotate` shows both side by side; a piece that no longer stands in the source is an error.
LOOP_EXPLANATIONS = {
    "model.train()": "**Training mode.** Tells the model to keep dropout active and to let BatchNorm follow the batch. "
    "It stands here, and not once before all epochs, because the evaluation after each epoch switches it off. Without "
    "it the second epoch trains with frozen statistics.",
    "guard = guard or DivergenceGuard": "**A guard against NaN.** Keeps the last good weights, ends the training when "
    "the loss is NaN or infinite, and tells a progress bar how it goes. Without it, a NaN spreads to every weight.",
    "batch_to_device(images, masks, device)": "**Moving the data.** Images and masks are copied to where the model is. "
    "Without it, tensors of two devices meet, which is an error. Python does not wait for the copy to a GPU. The "
    "images come in an order in memory, `channels_last`, that convolutions read faster.",
    "to_model_inputs(images, masks)": "**Bytes or floats.** Pictures that travelled as bytes become normalised floats "
    "here, where that costs least. Those that are floats already pass as they are.",
    "optimizer.zero_grad()": "**Zeroing gradients.** Clears out the gradients of the step before. Without it they "
    "accumulate, and every step goes on pushing where the earlier ones pushed.",
    'outputs = model(images)["out"]': "**Forward pass.** We feed the images through the model, and it gives us the "
    "outputs. On the way the graph is written down. Without a graph there is no way back.",
    "loss = criterion(outputs, masks)": "**Loss calculation.** Compares the outputs to the masks: one number for the "
    "whole batch. The notes' `.float()` is gone, since a mask of the wrong type or shape is an error here.",
    "count += len(images)": "**Counting.** The images that are there. With the notes' 4, a smaller last batch makes "
    "the divisor too large.",
    "total_loss += loss.detach()": "**Adding up.** The loss is a mean over the batch; times its images it is a sum. "
    "Without the images, a smaller last batch counts as much as a full one. `detach` lets go of the graph as `.item()` "
    "does, and does not wait for a GPU.",
    "guard.keep_weights()": "**A copy of all weights.** Made before they move, so that good ones are at hand if the "
    "loss of this step is no number.",
    "loss = step(images, masks)": "**Only where it is asked for.** Another way to do the five lines below, for a GPU: "
    "notebook 08 has it. We do without.",
    "guard.check_step(total_loss / count)": "**Is it still a number?** If not, the training ends here, and the model "
    "gets the weights back that were kept.",
    "loss.backward()": "**Backward pass.** Calculates the gradient of every weight, and adds it to what is there. "
    "Without it, there is nothing to follow.",
    "optimizer.step()": "**Optimization step.** Moves the weights along their gradients. This is how the model learns; "
    "without it, everything above is computed for nothing. Before `backward` it would find no gradients.",
    "if scheduler:": "**Learning rate.** It may change from step to step; notebook 06 shows how and why.",
    "return mean_over_images": "**The exact mean.** The sum divided by all images, once, at the end.",
}
