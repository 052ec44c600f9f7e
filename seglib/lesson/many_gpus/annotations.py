"""Owns the words beside the notes' lines and the command line's training, for `annotate`. See 14_many_gpus."""

# The lines of the notes that several processes touch.
NOTES_LINES = """\
device = 'cuda'
pretrained_deeplab.to(device)
for images, masks in train_dataloader:
    loss = criterion(outputs, masks.float())
    count += 4
    total_loss += loss.item()
    loss.backward()
    optimizer.step()
print(total_loss / count)
"""
NOTES_LINES_EXPLANATIONS = {
    "device = 'cuda'": "**One GPU.** The first of the machine. In several processes each needs one of its own, by "
    "number. Without it all take the first, and `nccl`, which carries their messages, refuses.",
    "pretrained_deeplab.to(device)": "**The model.** Each process holds a whole copy. Without equal copies at the "
    "start, equal gradients do not make equal models.",
    "for images, masks in train_dataloader": "**The batches.** Each process should load its own part. Without a "
    "sampler that knows the process, each loads all pictures.",
    "loss = criterion": "**The loss.** It is the mean over the pictures of this process, not over all.",
    "count += 4": "**Counting.** Each process counts its own pictures. `len(images)` is right in any case; 4 is "
    "wrong as soon as the 4 are shared.",
    "total_loss += loss.item()": "**Adding up.** A number of this process; it says nothing about the pictures of the "
    "others.",
    "loss.backward()": "**Backward pass.** Afterwards the processes take the mean of their gradients: the one step "
    "that is added. Without it each trains a model of its own.",
    "optimizer.step()": "**Optimization step.** Each process moves its own copy. Equal weights and equal gradients "
    "give equal weights again.",
    "print(total_loss / count)": "**Printing.** Every process prints its own line, unless only one is asked to.",
}

# For each function of `seglib.cli.train`: a piece of one of its lines -> its explanation.
TRAIN_WORDS = {
    "exists = is_saved(options)": "**Nothing is lost.** A file that is there is gone on with, or left alone. All "
    "processes ask, and go the same way: if one went another, the others would wait for it.",
    "if options.batch_size is None:": "**The batch.** 4, unless the processes need more between them.",
    "consult_doctor(options, split)": "**Look first.** Process 0 looks at all files before a model is built; notebook "
    "13 shows what it looks for. If something stops the training, all of it is told at once.",
    "training = build(": "**The parts.** Data, model, loss, optimizer and checkpoint, in every process.",
    "history = resume(": "**From the file.** If there is one, every process continues from it.",
    "run(training, history)": "**The epochs.** The same loop over epochs as in `fit`.",
    "report(training, history)": "**The last lines.** Which epoch the file holds, and how to predict with it.",
}
BUILD_WORDS = {
    "min_per_rank = min_pictures_per_rank(": "**How few.** The smallest part of a batch that BatchNorm allows: two "
    "pictures, and with SyncBatchNorm one.",
    "train_dataloader = shard_loader(": "**Its part.** The pictures of each batch that this process loads.",
    "validation_dataloader = shard_loader(": "**Whole batches.** The validation pictures, batch by batch.",
    "_seed(options.seed, epoch=0, process=0)": "**The same start.** Every process draws the same new layer.",
    "replica = to_ddp(": "**The first wrapper.** The all-reduce, around the model.",
    "global_criterion = global_batch_loss(": "**The second wrapper.** The exchange of outputs, around the loss.",
    "checkpoint = Checkpoint(": "**What goes into the file.** The state of everything above, and the options that a "
    "resumed training has to share.",
}
RESUME_WORDS = {
    "require_same_training(": "**The same training.** What would change it in silence, a learning rate or another set "
    "of pictures, is compared with the file.",
    "history = checkpoint.resume() if rank() == 0": "**One after the other.** Process 0 first; the others wait for it.",
}
RUN_WORDS = {
    "_seed(options.seed, guard.epoch, rank())": "**Random numbers.** Decided by seed, epoch and rank: dropout differs "
    "between processes, and a training that was stopped goes on as it would have.",
    "return train_one_epoch_sharded(": "**One epoch.** `train_one_epoch` of notebook 07, which knows of neither "
    "wrapper; then the mean of all running means, and of all losses.",
    "run_epochs(": "**The loop over epochs** is that of `fit`. Only what it calls differs.",
    "on_epoch=_after_epoch(progress, training, history) if rank()": "**Printed once.** Process 0 saves and prints; the "
    "others go on to the next exchange, and wait there.",
    "progress.evaluation = evaluate_sharded(": "**The score of all.** The confusion matrices are added up.",
    "except KeyboardInterrupt:": "**Ctrl-C.** The last whole epoch is in the file, and a line says how to go on.",
}

# The small training and its mistakes.
SMALL_TRAINING_WORDS = {
    'seed = 0 if kind == "one order for all epochs"': "**The order.** From the epoch, the same in both processes. "
    "`DistributedSampler` without `set_epoch` has the order of the first epoch in each.",
    "own = batch if kind in": "**Its part.** Every second picture of the batch. Without a sampler both take all.",
    'if kind not in ("one process", "no exchange")': "**The exchange.** Left out, each process follows only its own "
    "pictures.",
    "share = 1 / 2 if equal": "**Its weight.** By its pictures; 1 / 2 is what DDP does. For the last batch, of 2 and 1 "
    "pictures, that is another gradient.",
    "dist.all_reduce(weight.grad)": "**The sum** of both parts, in both processes.",
}

# The training by one process and by two.
SAME_TRAINING_WORDS = {
    "with distributed.process_group() as device": "**The group.** Each process joins it here and leaves it at the end.",
    "losses = {": "**The losses.** The same loss three times; together it is that of the batch of all, of which no "
    "process has more than 2 pictures.",
    "torch.manual_seed(0)": "**The same start.** The new layer is drawn alike in each process and each training.",
    "train_dataloader, validation_dataloader = loaders_of": "**The batches of one process**, of 4, 4 and 3 pictures.",
    "score = evaluate(": "**Alone.** The functions of notebook 07, on all pictures.",
    "own_pictures = distributed.shard_loader(": "**The validation pictures.** Each picture in one process.",
    "score = distributed.evaluate_sharded(": "**The score of all.** The confusion matrices are added up.",
    "replica = distributed.to_ddp(": "**The all-reduce**, around the model.",
    "weights = two_epochs(model, replica": "**Its part** of each batch, for two epochs.",
    "if distributed.rank() == 0:": "**One process saves.**",
}
