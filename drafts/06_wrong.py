    ("06_training_loop", "gradient"): [
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight)) / h",
            "a difference to one side",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight - h)) / h",
            "a way of 2 * h",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight - h) - loss_of(weight + h)) / (2 * h)",
            "the sign is turned round",
        ),
        (
            "def my_gradient(loss_of, weight, h):\n    return (loss_of(weight + h) - loss_of(weight - h)) / 2 * h",
            "put brackets",
        ),
    ],
    ("06_training_loop", "epoch"): [
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the gradients of the batches before were still there",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        optimizer.step()\n"
            "        loss.backward()\n"
            "    return total_loss / count",
            "a step found no gradients",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        count += 4\n"
            "        total_loss += loss.item()\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the notes' number",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss += loss.item() * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "in evaluation mode",
        ),
        (
            "def my_epoch(model, batches, criterion, optimizer):\n"
            "    model.train()\n"
            "    total_loss, count = 0, 0\n"
            "    for images, masks in batches:\n"
            "        optimizer.zero_grad()\n"
            "        loss = criterion(model(images)['out'], masks)\n"
            "        total_loss = total_loss + loss * len(images)\n"
            "        count += len(images)\n"
            "        loss.backward()\n"
            "        optimizer.step()\n"
            "    return total_loss / count",
            "the graph of every batch",
        ),
    ],
