"""finetune.py, shared by several GPUs: the same options, started by torchrun. Needs finetune.py beside it.

    torchrun --nproc-per-node=4 many_gpus.py photographs masks --batch-size 8

What finetune.py does not have is marked with its number: notebook 14 explains each. --batch-size is the batch of all
processes together, and has to be divisible by their number. Without GPUs the processes share the CPU, which shows that
it works, and is no faster.

Each process takes the loss of its own part of a batch. For the Dice loss that is not quite the training of one process.
"""

import os
from datetime import timedelta

import finetune
import torch
import torch.distributed as dist
from torch import nn, optim
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, Subset
from torchvision import transforms


def join(args):
    """1. Find the other processes; returns the device of this one."""
    if "LOCAL_RANK" not in os.environ:
        raise finetune.UserError("Start it by torchrun: torchrun --nproc-per-node=2 many_gpus.py ...")
    if args.device not in (None, "cuda", "cpu"):
        raise finetune.UserError(f"--device {args.device}: here it is cuda, one GPU for each process, or cpu.")
    on_gpus = torch.cuda.is_available() and args.device != "cpu"
    local_rank = int(os.environ["LOCAL_RANK"])
    if on_gpus and local_rank >= torch.cuda.device_count():
        raise finetune.UserError(f"{torch.cuda.device_count()} GPUs, and more processes. Start as many as GPUs.")
    device = torch.device("cuda", local_rank) if on_gpus else torch.device("cpu")
    if on_gpus:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if on_gpus and dist.is_nccl_available() else "gloo",  # Windows has no NCCL
        timeout=timedelta(hours=1),  # so long the others wait while process 0 validates
        device_id=device if on_gpus else None,
    )
    least = 1 if on_gpus else 2  # pictures for each process: BatchNorm needs two numbers, on GPUs from all processes
    if args.batch_size % dist.get_world_size() or args.batch_size < least * dist.get_world_size():
        raise finetune.UserError(
            f"--batch-size {args.batch_size} for {dist.get_world_size()} processes. Expected: a multiple of their "
            f"number, {least} or more for each."
        )
    return device


def build_in_turn(args):
    """Process 0 first: with --weights coco it downloads, and the others find the file."""
    if dist.get_rank():
        dist.barrier()
    model = finetune.build_deeplab(args.model, args.weights)
    if dist.get_rank() == 0:
        dist.barrier()
    return model


@record  # an error ends torchrun's page
def main(words=None):
    """The training loop of finetune.py, with what several processes need."""
    args = finetune.read_arguments(words)
    device = join(args)
    rank = dist.get_rank()
    torch.manual_seed(args.seed)  # the same new layer in all processes

    # As in finetune.py
    resize = transforms.Resize(args.size)
    normalize = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    resize_mask = transforms.Resize(args.size, interpolation=transforms.InterpolationMode.NEAREST)
    dataset = finetune.CustomDataset(
        args.image_folder,
        args.mask_folder,
        transforms.Compose([resize, transforms.ToTensor(), normalize]),
        transforms.Compose([resize_mask, transforms.ToTensor()]),
    )
    train, validation = finetune.split_indices(dataset, args)

    # 2. My part of the pictures, and of each batch
    train_set = Subset(dataset, train)
    sampler = DistributedSampler(train_set, seed=args.seed, drop_last=True)
    batch_size = args.batch_size // dist.get_world_size()
    train_dataloader = DataLoader(
        train_set, batch_size=batch_size, sampler=sampler, drop_last=True, num_workers=args.workers
    )
    validation_dataloader = DataLoader(Subset(dataset, validation), batch_size=batch_size)

    # 3. BatchNorm of all (torch has it for GPUs only), and the exchange of the gradients
    model = build_in_turn(args).to(device)
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    replica = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
    groups = [
        {"params": model.backbone.parameters(), "lr": args.lr},
        {"params": model.classifier.parameters(), "lr": 5 * args.lr},
    ]
    optimizer = optim.AdamW(groups, weight_decay=1e-4)
    steps = args.epochs * len(train_dataloader)
    scheduler = optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / finetune.WARM_UP) * max(0, 1 - step / steps) ** 0.9
    )

    torch.manual_seed(args.seed + 1 + rank)  # 4. from here on, each process draws its own random numbers
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)  # 5. a new order in each epoch
        replica.train()
        total_loss = torch.zeros((), device=device)
        for images, masks in train_dataloader:
            images, masks = images.to(device), masks.to(device)
            if torch.rand(()) < 0.5:
                images, masks = images.flip(-1), masks.flip(-1)
            optimizer.zero_grad()
            loss = finetune.bce_dice(replica(images)["out"], masks)
            loss.backward()  # the mean of all gradients comes out
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=10.0)
            optimizer.step()
            scheduler.step()
            total_loss += loss.detach()
        dist.all_reduce(total_loss)  # 6. a number about the pictures of all
        mean_loss = total_loss.item() / (len(train_dataloader) * dist.get_world_size())
        if not mean_loss < float("inf"):  # in all processes, so none waits for another
            raise finetune.UserError(
                f"The loss became {mean_loss} in epoch {epoch + 1}. Try a tenth of --lr {args.lr:g}."
            )
        if rank == 0:  # 7. one process measures, prints and saves: the model inside, for the replica would exchange
            iou = finetune.evaluate(model, validation_dataloader, device)
            print(f"epoch {epoch + 1}: loss {mean_loss:.4f}, validation IoU {iou:.4f}", flush=True)
            finetune.save(model, args.out)
        dist.barrier()
    if rank == 0:
        print(f"The weights are in {args.out}.")
    dist.destroy_process_group()


if __name__ == "__main__":
    try:
        main()
    except finetune.UserError as error:
        raise SystemExit(f"many_gpus.py: {error}") from None
