"""Owns the words beside the notes' loop, seglib's loop, and the changes of the script. See 07_training_loop."""

# A piece of one line of `train_one_epoch` -> its explanation, in the form of the notes: what the line does, and what
# happens without it. `annotate` shows both side by side; a piece that no longer stands in the source is an error.
LOOP_EXPLANATIONS = {
    "train_dataloader: Batches,": "**Types.** `Batches`, `Loss` and `Step` tell reader and editor what may be given. "
    "Python itself does not look at them.",
    "model.train()": "**Training mode.** Tells the model to keep dropout active and to let BatchNorm follow the batch. "
    "It stands here, and not once before all epochs, because the evaluation after each epoch switches it off. Without "
    "it the second epoch trains with frozen statistics.",
    "guard = guard or DivergenceGuard": "**A guard against NaN.** Keeps the last good weights, ends the training when "
    "the loss is NaN or infinite, and tells a progress bar how it goes. Without it, a NaN spreads to every weight.",
    "labels_checked_once(": "**Inner loop.** The batches, as they are. On a GPU the masks of the first epoch are "
    "looked at on the way; on a CPU the loss does that.",
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
    "loss = step(images, masks)": "**Only where it is asked for.** Another function for the five lines below. `fit` "
    "makes one that clips the gradients, if it gets a `clip_norm`. Notebook 08 has one for a GPU.",
    "guard.check_step(total_loss / count)": "**Is it still a number?** If not, the training ends here, and the model "
    "gets the weights back that were kept.",
    "loss.backward()": "**Backward pass.** Calculates the gradient of every weight, and adds it to what is there. "
    "Without it, there is nothing to follow.",
    "optimizer.step()": "**Optimization step.** Moves each weight a little, against its gradient. This is how the "
    "model learns; without it, everything above is computed for nothing. Before `backward` it would find no gradients.",
    "if scheduler:": "**Learning rate.** It may change from step to step; notebook 06 shows how and why.",
    "return mean_over_images": "**The exact mean.** The sum divided by the number of all images, once, at the end. "
    "Without any batch it is an error.",
}

# The notes' own lines, in the notes' form.
NOTES_LOOP_EXPLANATIONS = {
    "pretrained_deeplab.train()": "**Training mode.** Dropout is active, and BatchNorm takes its mean and spread from "
    "the batch. A new model is in this mode anyway. Without this line, a model that was measured, after `eval()`, "
    "would be trained in evaluation mode.",
    "for epoch in range(100)": "**Epoch loop.** Shows all pictures a hundred times; twice, above. Without it each is "
    "seen once.",
    "total_loss = 0": "**The sum begins at 0.** In each epoch anew. Without it the losses of earlier epochs stay in "
    "the printed mean.",
    "count = 0": "**The count too.** Without it the pictures of earlier epochs stay in the count.",
    "for images, masks in": "**Inner loop.** Gives one batch after another. All that follows happens once for each "
    "batch: that is a step.",
    "images = images.to": "**Moving data.** Copies the images to where the model is. Without it, on a GPU: an error.",
    "masks = masks.to": "**The masks too.** The loss compares them with the outputs. Without it: the same error.",
    "optimizer.zero_grad()": "**Zeroing gradients.** Throws away the gradients of the step before. Without it they "
    "add up, and no error tells.",
    "outputs =": "**Forward pass.** The model computes one number for each pixel, and writes down how. A DeepLab "
    "gives back a dict, and `['out']` takes the outputs from it; many other models give back the outputs themselves. "
    "Without this line the next one stops.",
    "loss = criterion": "**Loss calculation.** One number: how far the outputs are from the masks. Without it the "
    "lines below stop. (MSE takes masks of whole numbers too, BCE does not; our masks are floats anyway.)",
    "count += 4": "**Counting.** Right only if the batch holds four pictures. The last one may hold fewer.",
    "total_loss += loss.item()": "**Adding up.** `.item()` makes a plain number of the loss. Without it the sum keeps "
    "what each batch wrote down.",
    "loss.backward()": "**Backward pass.** Computes for each weight how the loss changes with it: the gradient. "
    "Without it there is nothing to follow, and no error tells.",
    "optimizer.step()": "**Optimization step.** Moves each weight a little, against its gradient. Without it nothing "
    "is learned, and no error tells.",
    "print(total_loss / count)": "**Progress.** It prints a quarter of the loss: see below.",
}

# The loop of examples/finetune.py and its `evaluate`, beside what was learned above.
SCRIPT_LOOP_EXPLANATIONS = {
    "for epoch in range(args.epochs)": "**Epoch loop.** As many as the options say.",
    "pretrained_deeplab.train()": "**Training mode, in each epoch.** `evaluate` below ends in evaluation mode.",
    "images = images.to(device)": "**Moving data.** As in the notes.",
    "if torch.rand(()) < 0.5": "**Mirrored at random.** In half of the batches, images and masks together. One draw "
    "for a batch is short to write; usually each picture has its own (02).",
    "optimizer.zero_grad()": "**Zeroing gradients.** And the five steps begin.",
    "if not torch.isfinite(loss)": "**A number?** `isfinite` is false for NaN and for infinity. The script stops "
    "before `backward`, so no weight has seen it. BatchNorm's running averages may have: go on from the saved file.",
    "count += len(images)": "**A mean over pictures.** The loss times its pictures, divided by all pictures below.",
    "loss.backward()": "**Backward pass.** The gradients are complete.",
    "clip_grad_norm_": "**Clipping.** Between `backward` and `step`.",
    "optimizer.step()": "**Optimization step.** The weights move, and then the rate (06).",
    "iou = evaluate(": "**Validation.** After each epoch, by the function below. Both numbers are printed, and the "
    "weights are saved.",
    "@torch.no_grad()": "**Without a graph.** The same as `with torch.no_grad():` around all lines of the function.",
    "model.eval()": "**Evaluation mode.** No dropout, and BatchNorm's running averages.",
    "predicted =": "**Masks.** The loss was BCE and Dice, so an output above 0 means fruit (05).",
    "intersection +=": "**Count pixels.** Over all pictures, whatever the size of a batch.",
    "return intersection": "**IoU.** The pixels in both masks, divided by those in either.",
}

# A piece of one line that examples/finetune.py has and the notes have not, or the other way round -> why. The lines
# that follow it, up to the next piece or to a line of the notes, belong to it.
SCRIPT_REASONS = {
    '"""Fine-tune a pretrained': "**What it is.** The first lines say how it is called, what it expects, and how to "
    "predict with what it saves.",
    "import argparse": "**For the options.** Both are Python's own.",
    "import torch.nn.functional as F": "**For the loss** (05), and the optimizer's import, which the notes have "
    "further down.",
    "from PIL import Image, ImageOps": "**For upright pictures** (01).",
    "import DataLoader, Subset": "**For two sides** (03).",
    "from torchvision.models import get_model": "**For the model** (04), and three constants.",
    "class UserError": "**One kind of error.** Its message is all that is shown: no traceback, unless there are "
    "`--workers`.",
    "def read_arguments": "**Options instead of edits.** The size is the notes'. Epochs and rate were better with our "
    "small pictures: 30 epochs instead of 100 (09 measures both). What cannot work stops here.",
    "def find_pictures": "**By name, in order** (01). `os.listdir` gives any order, and whatever else lies there. Two "
    "files of one name are an error.",
    "def open_picture": "**Upright, in three colours** (01). A phone stores a turned picture and a note beside it. A "
    "grey or a transparent picture would break the batch.",
    '"""Pairs of an image': "**A docstring.**",
    "images = find_pictures": "**Pairs** (01). A photograph is a `.jpg`, its mask a `.png`: the name up to the dot "
    "counts. A file without partner stops the script before training does.",
    "image = open_picture": "**The image** (01), through the function above.",
    "mask = open_picture": "**The mask** (01), and what may not be: another size than the image's, values that are no "
    "labels (JPEG, several classes). 1 becomes 255, so that `ToTensor` gives 1.0 and not 0.004.",
    "def split_indices": "**Validation pictures** (03). Without them nobody knows what the model does with new "
    "pictures. Pictures of one scene or film belong on one side: name them in a file, `--split`.",
    "def build_deeplab": "**One output channel** (04). The pretrained model has 21, and the notes' loss would compare "
    "each of them with the mask. The last layer is new; `aux` is dropped. BatchNorm follows faster.",
    "def bce_dice": "**The loss** (05). Made for two answers. Plain BCE does as well here; Dice is meant for rarer "
    "objects.",
    "def evaluate": "**IoU** (00). Without dropout, without a graph, over all pixels of all validation pictures.",
    "def save": "**On disk** (10). The notes keep none. A write that breaks off leaves the old one whole.",
    "def best_device": "**Whatever is here** (08).",
    "def main": "**A function.** From here on the order is the notes'. Workers of the loader import this file, so "
    "nothing may start at the import. One seed for the new layer, dropout and mirroring (03).",
    "transforms.Resize(args.size),": "**(height, width)** (02). `(1280, 960)` is 1280 high. The photographs are 1280 "
    "wide, so the notes' line squeezed them.",
    "interpolation=": "**No values between** (02). A smoothed mask has greys at its edges, and they are no labels.",
    "CustomDataset(args.image_folder": "**From the options.**",
    "train, validation = split_indices": "**Two sides** (03).",
    "Subset(dataset, train),": "**The loader** (03). Shuffled from a seed of its own. Of validation no picture is left "
    "out, and the order stays. A last batch of one would stop DeepLab: `drop_last`.",
    'get_model("deeplabv3_resnet50"': "**The model.** The notes use it and do not show this line.",
    "optimizer = optim.Adam(": "**Moved down** (08): an optimizer is made after the model has moved.",
    "build_deeplab(args.model": "**The model** (04). A small one: with a small `--size` a CPU will do. "
    "`--model` has larger ones.",
    "device = args.device": "**The device** (08). A GPU if there is one.",
    "criterion = bce_dice": "**The loss** (05), see above. The import went to the top.",
    "groups = [": "**Rates** (06). At 1e-5, 100 epochs were not enough. The head is new and may move faster. Weight "
    "decay, and a rate that rises in the first steps and then falls.",
    "pictures to train on, {len(validation)} to validate on, {args.epochs}": "**What begins.**",
    "for epoch in range(args.epochs)": "**Above `train()`** (07). `evaluate` switches to evaluation mode, so each "
    "epoch has to switch back.",
    "for epoch in range(100)": "**Two lines up** (07, 09), with a number from the options.",
    "if torch.rand(()) < 0.5": "**Mirrored at random** (02). Images and masks together.",
    "if not torch.isfinite": "**No number** (07). One step later every weight would be NaN.",
    "count += len(images)": "**The images that are there** (03, 07).",
    "total_loss += loss.item() * len": "**A sum over images** (07). The loss is a mean already.",
    "clip_grad_norm_": "**Clipping** (07). One odd batch cannot spoil Adam's running means.",
    "scheduler.step()": "**The next rate** (06).",
    "iou = evaluate": "**Progress** (07, 00). The mean loss of an image, and the number that counts. Then the weights "
    "are saved, after each epoch.",
    'if __name__ == "__main__"': "**Only as a program.** Not when a worker imports the file.",
}
