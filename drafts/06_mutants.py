# 1. Existing mutant "average IoU over batches": engine.py has changed. Its third edit becomes
            (
                "    return Evaluation(loss, matrix)",
                "    return Evaluation(loss, matrix, sum(ious) / len(ious))",
            ),
# (instead of "return Evaluation(_mean_or_error(total_loss, count), matrix)" -> ...; the other four edits still fit.)

# 2. New ones.
    Mutant(
        "train without zero_grad",
        "seglib/engine.py",
        (("        optimizer.zero_grad()\n", ""),),
        ("06_training_loop",),
    ),
    Mutant(
        "step before backward",
        "seglib/engine.py",
        (
            (
                "        loss.backward()\n        optimizer.step()\n",
                "        optimizer.step()\n        loss.backward()\n",
            ),
        ),
        ("06_training_loop",),
    ),
    Mutant(
        "count four images for every batch",
        "seglib/engine.py",
        (
            (
                "        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                "        count += 4\n        total_loss += loss.detach() * len(images)\n",
            ),
        ),
        ("06_training_loop",),
    ),
    Mutant(
        "average of batch averages",
        "seglib/engine.py",
        (
            (
                "        count += len(images)\n        total_loss += loss.detach() * len(images)\n",
                "        count += 1\n        total_loss += loss.detach()\n",
            ),
        ),
        ("06_training_loop",),
    ),
    Mutant(
        "evaluation mode while training",
        "seglib/engine.py",
        (("    model.train()\n", "    model.eval()\n"),),
        ("06_training_loop",),
    ),
    Mutant(
        "leave the weights as a NaN made them",
        "seglib/watch.py",
        (("                live.copy_(kept)\n", "                pass\n"),),
        ("06_training_loop",),
    ),
